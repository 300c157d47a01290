//! What the rules look at, whoever has read it.

use std::collections::BTreeMap;

use portcullis_core::contract::Description;
use portcullis_core::matching::VITAL_NAMESPACES;
use portcullis_core::policy::PolicyDocument;
use portcullis_core::selector::Labels;
use serde_json::Value;

use super::known::{Role, by_image, by_path};
use crate::rbac;

/// A set-up.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The policies.
    pub policies: Vec<JudgedPolicy>,
    /// Namespaces that no webhook looks into.
    pub exempt_namespaces: Vec<String>,
    /// Replicas that there are to be; None where that isn't known.
    pub replicas: Option<u32>,
    /// What runs in the cluster that it can't recover without.
    pub workloads: Vec<Workload>,
    /// The labels of namespaces, as far as they are known.
    pub namespaces: BTreeMap<String, Labels>,
    /// The Certificate, `namespace/name`, whose CA cert-manager injects.
    pub inject_ca_from: Option<String>,
}

/// A policy as it runs.
#[derive(Debug, Clone)]
pub struct JudgedPolicy {
    /// Its document.
    pub document: PolicyDocument,
    /// What it says of itself under its settings; None where that isn't known.
    pub description: Option<Description>,
}

/// A workload that the cluster can't recover without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// Where it lies.
    pub namespace: String,
    /// `DaemonSet`, `Deployment`, `StatefulSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// By what it is known: an image or a path.
    pub known_by: String,
    /// The labels of its Pods.
    pub labels: Labels,
}

impl Workload {
    /// A workload of these images and mounted paths, if the cluster can't recover
    /// without it.
    #[must_use]
    pub fn of(
        (kind, namespace, name): (&str, &str, &str),
        images: &[&str],
        paths: &[&str],
        labels: Labels,
    ) -> Option<Workload> {
        // What it mounts says more than what it is called.
        let by_path = || paths.iter().find_map(|path| Some((by_path(path)?, *path)));
        let by_image = || images.iter().find_map(|image| Some((by_image(image)?, *image)));
        let (role, known_by) = by_path().or_else(by_image)?;
        Some(Workload {
            namespace: namespace.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            role,
            known_by: known_by.to_owned(),
            labels,
        })
    }

    /// Reads a DaemonSet, Deployment or StatefulSet.
    #[must_use]
    pub fn read(object: &Value) -> Option<Workload> {
        let kind = object["kind"].as_str().filter(|kind| ["DaemonSet", "Deployment", "StatefulSet"].contains(kind))?;
        if !object["apiVersion"].as_str()?.starts_with("apps/") {
            return None;
        }
        let name = object["metadata"]["name"].as_str()?;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let template = &object["spec"]["template"];
        let listed = |field: &str| template["spec"][field].as_array().map(Vec::as_slice).unwrap_or_default();
        let containers = listed("containers").iter().chain(listed("initContainers"));
        let images: Vec<&str> = containers.filter_map(|one| one["image"].as_str()).collect();
        let paths: Vec<&str> = listed("volumes").iter().filter_map(|one| one["hostPath"]["path"].as_str()).collect();
        Workload::of((kind, namespace, name), &images, &paths, labels(&template["metadata"]["labels"]))
    }
}

impl Facts {
    /// A cluster of which nothing is known but how Portcullis is set up.
    #[must_use]
    pub fn new(exempt_namespaces: Vec<String>) -> Facts {
        Facts { exempt_namespaces, ..Facts::default() }
    }

    /// What objects of files say, as they would be applied: policies, workloads,
    /// namespaces, and Portcullis's own Deployments. Lists are read too; what
    /// isn't looked at is left out.
    #[must_use]
    pub fn of_objects(objects: &[Value]) -> Facts {
        let mut facts = Facts::default();
        for object in flat(objects) {
            facts.add(object);
        }
        facts.exempt_namespaces.extend(VITAL_NAMESPACES.iter().map(|namespace| (*namespace).to_owned()));
        facts.exempt_namespaces.sort();
        facts.exempt_namespaces.dedup();
        facts
    }

    fn add(&mut self, object: &Value) {
        if PolicyDocument::is_policy(object) {
            // One that can't be read is reported by who reads policies.
            if let Ok(document) = PolicyDocument::from_json(object) {
                self.policies.push(JudgedPolicy { document, description: None });
            }
            return;
        }
        self.workloads.extend(Workload::read(object));
        match object["kind"].as_str() {
            Some("Namespace") => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                self.namespaces.insert(name.to_owned(), labels(&object["metadata"]["labels"]));
            }
            Some("Deployment") => self.add_own(object),
            Some("ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
                let label = &object["metadata"]["labels"][crate::webhooks::MANAGED_BY.0];
                let from = &object["metadata"]["annotations"]["cert-manager.io/inject-ca-from"];
                if let (Some(_), Some(from)) =
                    (label.as_str().filter(|value| *value == crate::webhooks::MANAGED_BY.1), from.as_str())
                {
                    self.inject_ca_from = Some(from.to_owned());
                }
            }
            _ => {}
        }
    }

    /// Portcullis's own Deployments say how it is set up.
    fn add_own(&mut self, object: &Value) {
        let label = |name: &str| object["metadata"]["labels"][format!("app.kubernetes.io/{name}")].as_str();
        let is_named = |name: &str| object["metadata"]["name"].as_str() == Some(name);
        if label("name") != Some("portcullis") {
            return;
        }
        if label("component") == Some("server") || is_named(rbac::SERVING) {
            // Absent is one, as the API server has it.
            let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
            self.replicas = u32::try_from(replicas).ok();
        }
        if label("component") == Some("controller") || is_named(rbac::CONTROLLER) {
            let containers = object["spec"]["template"]["spec"]["containers"].as_array();
            for container in containers.into_iter().flatten() {
                let words = ["command", "args"].iter().filter_map(|field| container[*field].as_array()).flatten();
                let words: Vec<&str> = words.filter_map(Value::as_str).collect();
                self.exempt_namespaces.extend(values_of("--exempt-namespace", &words));
                self.inject_ca_from = values_of("--inject-ca-from", &words).pop().or(self.inject_ca_from.take());
            }
        }
        self.exempt_namespaces.extend(object["metadata"]["namespace"].as_str().map(str::to_owned));
    }
}

/// The values of an option, `--name value` or `--name=value`.
fn values_of(option: &str, words: &[&str]) -> Vec<String> {
    let next = words.iter().skip(1).map(Some).chain([None]);
    let pairs = words.iter().zip(next);
    let values = pairs.filter_map(|(word, next)| match word.strip_prefix(option) {
        Some("") => next.map(|next| (*next).to_owned()),
        Some(rest) => rest.strip_prefix('=').map(str::to_owned),
        None => None,
    });
    values.flat_map(|value| value.split(',').map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Objects, and those of Lists. A List in a List isn't a thing of kubectl's.
fn flat(objects: &[Value]) -> impl Iterator<Item = &Value> {
    objects.iter().flat_map(|object| match (object["kind"].as_str(), object["items"].as_array()) {
        (Some(kind), Some(items)) if kind.ends_with("List") => items.iter().collect::<Vec<_>>(),
        _ => vec![object],
    })
}

fn labels(value: &Value) -> Labels {
    let labels = value.as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
