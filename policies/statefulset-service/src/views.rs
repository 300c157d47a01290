//! What the policy reads of each kind.

use std::collections::BTreeMap;

use portcullis_sdk::pod::{PodMetadata, PodSpec};
use portcullis_sdk::{Metadata, Objects, Present, View};
use portcullis_workloads::ContainerView;
use serde::Deserialize;

/// What the policy judges.
#[derive(Debug, Objects)]
pub enum Subject {
    /// What names a Service.
    Set(StatefulSet),
    /// What is named.
    Service(Service),
    /// A change of how many pods a StatefulSet has.
    Scale(Scale),
}

/// A StatefulSet.
#[derive(Debug, Clone, PartialEq, Deserialize, View)]
#[view(api_version = "apps/v1", kind = "StatefulSet", resource = "statefulsets")]
pub struct StatefulSet {
    /// Its name and its owners.
    #[serde(default)]
    pub metadata: SetMetadata,
    /// What it runs.
    pub spec: SetSpec,
}

/// A StatefulSet's metadata.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct SetMetadata {
    /// Its name.
    pub name: String,
    /// The prefix of its name to be.
    pub generate_name: String,
    /// Its namespace.
    pub namespace: String,
    /// Who made it.
    pub owner_references: Vec<OwnerReference>,
}

/// An owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(default)]
pub struct OwnerReference {
    /// Whether it is the one that manages the object.
    pub controller: bool,
}

/// What a StatefulSet runs.
#[derive(Debug, Clone, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase")]
pub struct SetSpec {
    /// How many pods.
    pub replicas: Option<i64>,
    /// The Service that its pods have their names from.
    pub service_name: Option<String>,
    /// `OrderedReady` or `Parallel`.
    pub pod_management_policy: Option<String>,
    /// Its pods.
    pub template: PodTemplate,
}

/// A pod template.
#[derive(Debug, Clone, PartialEq, Deserialize, View)]
pub struct PodTemplate {
    /// The labels that a Service selects by.
    #[serde(default)]
    pub metadata: PodMetadata,
    /// The containers, and what keeps the pods apart.
    pub spec: PodSpec<ContainerView, Placement>,
}

/// What keeps pods apart.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct Placement {
    /// `spec.affinity`.
    pub affinity: Affinity,
    /// `spec.topologySpreadConstraints`.
    pub topology_spread_constraints: Present,
}

/// A pod's affinity.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    /// Whether it keeps away from other pods.
    pub pod_anti_affinity: Present,
}

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "v1", kind = "Service", resource = "services")]
pub struct Service {
    /// Its name.
    pub metadata: Metadata,
    /// Whom it selects and how.
    pub spec: ServiceSpec,
}

/// Whom a Service selects and how.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `ClusterIP` where it isn't set.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `None` makes it headless.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    /// The labels of its pods.
    pub selector: BTreeMap<String, String>,
    /// Whether pods that aren't ready have names too.
    pub publish_not_ready_addresses: bool,
}

/// What a `scale` subresource carries.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "autoscaling/v1", kind = "Scale", resource = "scales")]
pub struct Scale {
    /// The StatefulSet's own name.
    pub metadata: Metadata,
    /// What is asked for.
    pub spec: ScaleSpec,
}

/// What a Scale asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(default)]
pub struct ScaleSpec {
    /// How many pods.
    pub replicas: i64,
}

impl StatefulSet {
    /// The Service that it names; none where the name is empty.
    pub(crate) fn service_name(&self) -> Option<&str> {
        self.spec.service_name.as_deref().filter(|name| !name.is_empty())
    }

    /// How many pods; the API server's default is one.
    pub(crate) fn replicas(&self) -> i64 {
        self.spec.replicas.unwrap_or(1)
    }

    /// The name, or what it will begin with.
    pub(crate) fn name(&self) -> &str {
        if self.metadata.name.is_empty() { &self.metadata.generate_name } else { &self.metadata.name }
    }

    /// Whether something else made it and keeps it as it is.
    pub(crate) fn is_controlled(&self) -> bool {
        self.metadata.owner_references.iter().any(|owner| owner.controller)
    }
}
