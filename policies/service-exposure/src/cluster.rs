//! What is looked up: the pods that a Service selects, and the Services that
//! select a workload's pods.
//!
//! No index finds a workload by the labels of its template, so the workloads of
//! the Service's namespace are listed, at most `MAX_LISTED` of a kind, in one
//! call; running pods are found by their labels. Only Services that reach
//! outside ask. The look-ups are optional: where they say nothing, the Service's
//! ports do.

use std::collections::BTreeMap;

use portcullis_sdk::serde_json::Value;
use portcullis_sdk::{
    Batch, GroupVersionKind, Host, Kind, Listing, Lookup, Objects, Query, Scope, Tree, View, Visited,
};
use serde::Deserialize;

use crate::views::{AnyWorkload, Service};

/// How many objects of a kind are looked at: few namespaces have more.
const MAX_LISTED: u32 = 200;
/// How many running pods: those of one Service look alike.
const MAX_PODS: u32 = 3;

/// A workload that was looked up: taken as it comes, and read by the reader that
/// the review's own object has.
trait Looked: Kind {
    fn value(self) -> Value;

    fn read(self) -> Option<AnyWorkload> {
        let (group, version) = Self::API_VERSION.split_once('/').unwrap_or(("", Self::API_VERSION));
        let kind =
            GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: Self::KIND.to_owned() };
        AnyWorkload::read(&kind, &self.value().to_string())?.ok()
    }
}

macro_rules! workloads {
    ($($kind:ident, $api_version:literal, $resource:literal;)*) => {
        $(
            #[derive(Debug, Deserialize)]
            #[serde(transparent)]
            struct $kind(Value);

            impl View for $kind {
                fn tree(_: &mut Visited) -> Tree {
                    let kinds = AnyWorkload::kinds();
                    kinds.into_iter().find(|kind| kind.kind == Self::KIND).map_or(Tree::Nothing, |kind| kind.tree)
                }
            }

            impl Kind for $kind {
                const API_VERSION: &'static str = $api_version;
                const KIND: &'static str = stringify!($kind);
                const RESOURCE: &'static str = $resource;
                const SCOPE: Scope = Scope::Namespaced;
            }

            impl Looked for $kind {
                fn value(self) -> Value {
                    self.0
                }
            }
        )*
    };
}

workloads! {
    Pod, "v1", "pods";
    ReplicationController, "v1", "replicationcontrollers";
    Deployment, "apps/v1", "deployments";
    StatefulSet, "apps/v1", "statefulsets";
    DaemonSet, "apps/v1", "daemonsets";
}

/// What is looked up.
pub(crate) fn lookups() -> Vec<Lookup> {
    fn of<K: Kind>() -> Lookup {
        Lookup::of::<K>().list().optional()
    }
    vec![
        of::<Pod>(),
        of::<ReplicationController>(),
        of::<Deployment>(),
        of::<StatefulSet>(),
        of::<DaemonSet>(),
        of::<Service>(),
    ]
}

/// The workloads whose pods a Service selects; without a selector none.
pub(crate) fn selected(host: &Host, namespace: &str, service: &Service) -> Vec<AnyWorkload> {
    let selector = &service.spec.selector;
    if selector.is_empty() {
        return Vec::new();
    }
    let all = || Query::all().within(namespace).limit(MAX_LISTED);
    let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut batch = Batch::new();
    let sets = batch.list::<StatefulSet>(all());
    let deployments = batch.list::<Deployment>(all());
    let daemons = batch.list::<DaemonSet>(all());
    let controllers = batch.list::<ReplicationController>(all());
    let pods = batch.list::<Pod>(Query::all().within(namespace).labelled(labels.join(",")).limit(MAX_PODS));
    let mut answers = host.lookup_all(batch);
    let mut found = read(answers.take_list(sets));
    found.extend(read(answers.take_list(deployments)));
    found.extend(read(answers.take_list(daemons)));
    found.extend(read(answers.take_list(controllers)));
    found.extend(read(answers.take_list(pods)));
    found.retain(|workload| selects(selector, &workload.pod_metadata.labels));
    found
}

/// The Services of a namespace that select pods with these labels.
pub(crate) fn selecting(host: &Host, namespace: &str, labels: &BTreeMap<String, String>) -> Vec<Service> {
    let services = host.list::<Service>(Query::all().within(namespace).limit(MAX_LISTED)).items;
    services.into_iter().filter(|service| selects(&service.spec.selector, labels)).collect()
}

fn read<K: Looked>(listing: Listing<K>) -> Vec<AnyWorkload> {
    listing.items.into_iter().filter_map(Looked::read).collect()
}

/// Whether a Service's selector selects pods with these labels; an empty one selects none.
fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
