//! The pod lens: one view of every kind that carries a pod template.
//!
//! An author writes what is read of one container, of the rest of the pod's
//! spec and of a claim template; the lens expands that to the eight kinds, with
//! their match rules and roots, and hands over one uniform value whose paths
//! begin where that kind's pod begins.
//!
//! ```text
//! Pod                        spec
//! Deployment, StatefulSet,
//! DaemonSet, ReplicaSet,
//! ReplicationController, Job spec.template.spec
//! CronJob                    spec.jobTemplate.spec.template.spec
//! ```

mod claim;
mod container;
mod layout;
mod split;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use claim::{AccessMode, ClaimResources, ClaimSpec, ClaimTemplate};
pub use container::{Container, ContainerRef, PodSpec, Role};

use crate::kind::{GroupVersionKind, Metadata, ObjectKind, Objects, Scope};
use crate::path::FieldPath;
use crate::read::Malformed;
use crate::view::{Tree, Unread, View, Visited};

/// Every kind that carries a pod template, seen through an author's views:
/// `C` of a container, `P` of the rest of the pod's spec, `T` of a
/// StatefulSet's claim templates (`ClaimTemplate` reads what most need).
#[derive(Debug, Clone, PartialEq)]
pub struct Workload<C, P = Unread, T = Unread> {
    /// Which of the kinds it is.
    pub kind: WorkloadKind,
    /// The object's own metadata.
    pub metadata: Metadata,
    /// How many pods it asks for, where it says: `spec.replicas`, a Job's `spec.parallelism`.
    pub replicas: Option<i64>,
    /// Labels and annotations of its pods; a Pod's own.
    pub pod_metadata: PodMetadata,
    /// The pod's spec.
    pub pod: PodSpec<C, P>,
    /// `spec.volumeClaimTemplates` of a StatefulSet.
    pub claim_templates: Vec<T>,
}

/// The kinds that carry a pod template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// v1
    Pod,
    /// apps/v1
    Deployment,
    /// apps/v1
    StatefulSet,
    /// apps/v1
    DaemonSet,
    /// apps/v1
    ReplicaSet,
    /// v1
    ReplicationController,
    /// batch/v1
    Job,
    /// batch/v1
    CronJob,
}

/// What is read of a pod's, or pod template's, metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodMetadata {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

impl View for PodMetadata {
    fn tree(_: &mut Visited) -> Tree {
        Tree::fields(["labels", "annotations"].map(|name| (name.to_owned(), Tree::Value)))
    }
}

impl WorkloadKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Pod,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::Job,
        Self::CronJob,
    ];

    /// As in the object.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }

    /// As in the object.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Pod | Self::ReplicationController => "v1",
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::ReplicaSet => "apps/v1",
            Self::Job | Self::CronJob => "batch/v1",
        }
    }

    /// The plural in webhook rules.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::ReplicaSet => "replicasets",
            Self::ReplicationController => "replicationcontrollers",
            Self::Job => "jobs",
            Self::CronJob => "cronjobs",
        }
    }

    /// The kind of a request, if it is one of these.
    #[must_use]
    pub fn of(kind: &GroupVersionKind) -> Option<Self> {
        let api_version = kind.api_version();
        Self::ALL.into_iter().find(|known| known.as_str() == kind.kind && known.api_version() == api_version)
    }

    /// Where its pod, or pod template, begins: metadata and spec lie below.
    #[must_use]
    pub fn pod_root(self) -> FieldPath {
        FieldPath::fields(self.pod_fields().iter().copied())
    }

    fn pod_fields(self) -> &'static [&'static str] {
        match self {
            Self::Pod => &[],
            Self::CronJob => &["spec", "jobTemplate", "spec", "template"],
            Self::Deployment
            | Self::StatefulSet
            | Self::DaemonSet
            | Self::ReplicaSet
            | Self::ReplicationController
            | Self::Job => &["spec", "template"],
        }
    }

    /// A change of a Pod's ephemeral containers comes by a subresource, with the whole Pod.
    fn subresources(self) -> Vec<String> {
        if self == Self::Pod { vec!["ephemeralcontainers".to_owned()] } else { Vec::new() }
    }

    fn tree<C: View, P: View, T: View>(self) -> Tree {
        let visited = &mut Visited::default();
        let pod = Tree::fields([
            ("metadata".to_owned(), PodMetadata::tree(visited)),
            ("spec".to_owned(), PodSpec::<C, P>::tree(visited)),
        ]);
        let rooted = self.pod_fields().iter().rev().fold(pod, |tree, name| Tree::field(name, tree));
        let metadata = Tree::field("metadata", Metadata::tree(visited));
        let own = match self {
            Self::Pod | Self::DaemonSet | Self::CronJob => Tree::Nothing,
            Self::Job => Tree::field("spec", Tree::field("parallelism", Tree::Value)),
            Self::Deployment | Self::ReplicaSet | Self::ReplicationController => {
                Tree::field("spec", Tree::field("replicas", Tree::Value))
            }
            Self::StatefulSet => {
                let replicas = ("replicas".to_owned(), Tree::Value);
                let templates = match T::tree(visited) {
                    Tree::Nothing => Tree::Nothing,
                    tree => Tree::each(tree),
                };
                Tree::field("spec", Tree::fields([replicas, ("volumeClaimTemplates".to_owned(), templates)]))
            }
        };
        rooted.merge(metadata).merge(own)
    }
}

impl<C, P, T> Workload<C, P, T> {
    /// Where the pod's spec lies in this object: `spec.template.spec`.
    #[must_use]
    pub fn spec_path(&self) -> FieldPath {
        self.kind.pod_root().field("spec")
    }

    /// Where the pod's metadata lies in this object: `spec.template.metadata`.
    #[must_use]
    pub fn pod_metadata_path(&self) -> FieldPath {
        self.kind.pod_root().field("metadata")
    }

    /// Where a claim template lies.
    #[must_use]
    pub fn claim_template_path(&self, index: usize) -> FieldPath {
        FieldPath::fields(["spec", "volumeClaimTemplates"]).index(index)
    }

    /// All containers: init containers and sidecars, regular ones, ephemeral ones, each with role and path.
    pub fn containers(&self) -> impl Iterator<Item = ContainerRef<'_, C>> {
        self.pod.containers(self.spec_path())
    }

    /// The claim templates, each with its path.
    pub fn claim_templates(&self) -> impl Iterator<Item = (FieldPath, &T)> {
        self.claim_templates.iter().enumerate().map(|(index, template)| (self.claim_template_path(index), template))
    }
}

impl<C, P, T> Objects for Workload<C, P, T>
where
    C: View + DeserializeOwned,
    P: View + DeserializeOwned,
    T: View + DeserializeOwned,
{
    fn kinds() -> Vec<ObjectKind> {
        let kind = |kind: WorkloadKind| ObjectKind {
            api_version: kind.api_version().to_owned(),
            kind: kind.as_str().to_owned(),
            resource: kind.resource().to_owned(),
            subresources: kind.subresources(),
            scope: Scope::Namespaced,
            tree: kind.tree::<C, P, T>(),
        };
        WorkloadKind::ALL.into_iter().map(kind).collect()
    }

    fn read(kind: &GroupVersionKind, json: &str) -> Option<Result<Self, Malformed>> {
        WorkloadKind::of(kind).map(|kind| layout::read(kind, json))
    }
}

#[cfg(test)]
mod tests;
