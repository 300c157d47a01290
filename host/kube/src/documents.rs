//! Policy documents as the cluster holds them: ClusterPolicy and Policy objects,
//! each as the JSON that a file would hold.
//!
//! They are watched as untyped objects and read one by one, so that one that
//! can't be read is a problem of its own and never stops the others.

use std::sync::Arc;

use kube::api::{Api, DynamicObject};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use portcullis_core::policy::PolicyId;
use serde_json::Value;

use crate::crd::{GROUP, VERSION};
use crate::mirror::{Held, Mirror};

/// A policy object.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyObject {
    /// Name and namespace.
    pub id: PolicyId,
    /// Which object of this name, and which version of its spec.
    pub version: PolicyVersion,
    /// RFC 3339, as the API server writes it.
    pub created: String,
    /// As in a file: apiVersion, kind, metadata, spec, status.
    pub document: Value,
}

/// One version of the spec of one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PolicyVersion {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
}

impl PolicyObject {
    /// Reads an object of the API server's; the kind is what it is watched as.
    fn read(object: &DynamicObject, kind: &str) -> PolicyObject {
        let mut document = serde_json::to_value(object).unwrap_or_default();
        document["apiVersion"] = format!("{GROUP}/{VERSION}").into();
        document["kind"] = kind.into();
        // Field ownership is no part of a document, and often half of it.
        if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        PolicyObject {
            id: PolicyId { namespace: object.namespace(), name: object.name_any() },
            version: PolicyVersion {
                uid: object.uid().unwrap_or_default(),
                generation: object.metadata.generation.unwrap_or_default(),
            },
            created: object.creation_timestamp().map(|time| time.0.to_string()).unwrap_or_default(),
            document,
        }
    }

    /// The last version that loaded, as the controller recorded it: its
    /// generation and its spec.
    pub fn loaded_before(&self) -> Option<(i64, Value)> {
        let loaded = self.document.pointer("/status/loaded")?;
        Some((loaded.get("generation")?.as_i64()?, loaded.get("spec")?.clone()))
    }

    /// The document with another spec.
    pub fn with_spec(&self, spec: Value) -> Value {
        let mut document = self.document.clone();
        document["spec"] = spec;
        document
    }
}

/// ClusterPolicy, or the namespaced Policy.
pub(crate) fn resource(namespaced: bool) -> ApiResource {
    let (kind, plural) = if namespaced { ("Policy", "policies") } else { ("ClusterPolicy", "clusterpolicies") };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, kind), plural)
}

/// A watch on all policy objects.
#[derive(Debug)]
pub struct Policies {
    cluster: Mirror<DynamicObject>,
    namespaced: Mirror<DynamicObject>,
}

/// The policy objects of one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PoliciesNow {
    /// By namespace, then by name.
    pub objects: Vec<Arc<PolicyObject>>,
    /// Whether all have been read once.
    pub synced: bool,
    /// Why the watch fails, where it does.
    pub failing: Option<String>,
}

impl Policies {
    /// Begins to watch.
    pub fn follow(client: &Client) -> Policies {
        let mirror = |namespaced| {
            let resource = resource(namespaced);
            Mirror::start(Api::all_with(client.clone(), &resource), watcher::Config::default(), resource.plural)
        };
        Policies { cluster: mirror(false), namespaced: mirror(true) }
    }

    /// What there is now.
    pub fn now(&mut self) -> PoliciesNow {
        let (cluster, namespaced) = (self.cluster.now(), self.namespaced.now());
        let read = |held: &Held<DynamicObject>, kind: &str| {
            held.objects.values().map(|object| Arc::new(PolicyObject::read(object, kind))).collect::<Vec<_>>()
        };
        PoliciesNow {
            objects: [read(&cluster, "ClusterPolicy"), read(&namespaced, "Policy")].concat(),
            synced: cluster.synced && namespaced.synced,
            failing: cluster.failing.or(namespaced.failing),
        }
    }

    /// Returns when something may have changed since [`Policies::now`].
    pub async fn changed(&mut self) {
        tokio::select! {
            () = self.cluster.changed() => {}
            () = self.namespaced.changed() => {}
        }
    }
}
