//! What the policy reads of each kind.

use portcullis_sdk::pod::{AccessMode, Workload, WorkloadKind};
use portcullis_sdk::serde_json::Value;
use portcullis_sdk::{
    FieldPath, GroupVersionKind, Malformed, Metadata, ObjectKind, Objects, Tree, View, Visited, from_json, tree_of,
};
use portcullis_workloads::{ContainerView, PersistentVolumeSource, Volume};
use serde::Deserialize;

/// Every kind that carries a pod template, through the lens.
pub(crate) type AnyWorkload = Workload<ContainerView, PodVolumes, Template>;

/// What the policy judges.
#[derive(Debug, Objects)]
pub enum Subject {
    /// What runs data stores.
    Workload(Judged),
    /// A change of how many pods a workload has.
    Scale(Scale),
    /// What changes how many pods a workload has.
    Autoscaler(Autoscaler),
    /// What several pods may share.
    Claim(Claim),
}

/// A workload with what its kind says beside its pods: who controls it, how it is updated.
#[derive(Debug)]
pub struct Judged {
    /// Through the lens.
    pub workload: AnyWorkload,
    /// The rest.
    pub rest: Rest,
}

/// What is read beside the pods, of any kind; what a kind doesn't have is absent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct Rest {
    /// Who controls it.
    pub metadata: Owned,
    /// How it is updated.
    pub spec: Updated,
}

/// Metadata's owners.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct Owned {
    /// The owners; at most one is the controller.
    pub owner_references: Vec<OwnerReference>,
}

/// An owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// `postgresql.cnpg.io/v1`.
    pub api_version: String,
    /// `Cluster`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Whether it is the one that manages the object.
    pub controller: bool,
}

/// How a Deployment is updated.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct Updated {
    /// `spec.strategy`, whole, so that a fix may replace it.
    #[view(value)]
    pub strategy: Option<Strategy>,
}

/// A Deployment's strategy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    /// `RollingUpdate` or `Recreate`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The bounds of a rolling update.
    pub rolling_update: Option<RollingUpdate>,
}

/// The bounds of a rolling update.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// How many pods there may be above the wanted number: a number, or text with a percentage.
    pub max_surge: Option<Value>,
}

/// A pod's volumes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct PodVolumes {
    /// `spec.volumes`.
    pub volumes: Vec<Volume>,
}

/// A claim template's name; whose storage it is doesn't matter, since each pod has its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct Template {
    /// Its metadata.
    pub metadata: Named,
}

/// Something with a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(default)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// What a `scale` subresource carries: no containers, no labels.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "autoscaling/v1", kind = "Scale", resource = "scales")]
pub struct Scale {
    /// The workload's own name.
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

/// An autoscaler.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "autoscaling/v2", kind = "HorizontalPodAutoscaler", resource = "horizontalpodautoscalers")]
pub struct Autoscaler {
    /// Its name.
    pub metadata: Metadata,
    /// What it does.
    pub spec: AutoscalerSpec,
}

/// What an autoscaler does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerSpec {
    /// To what.
    pub scale_target_ref: Target,
    /// Up to how many pods.
    pub max_replicas: i64,
}

/// What an autoscaler scales.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A claim.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "v1", kind = "PersistentVolumeClaim", resource = "persistentvolumeclaims")]
pub struct Claim {
    /// Its name, labels and annotations.
    pub metadata: Metadata,
    /// Who may mount it, and where it comes from.
    pub spec: ClaimSpec,
}

/// What of a claim's spec decides who may mount it. How much it asks for isn't
/// read, so that a size that is none isn't this policy's business.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// How the volume may be mounted.
    #[view(value)]
    pub access_modes: Vec<AccessMode>,
    /// `None` asks for the cluster's default class, `Some("")` for none.
    pub storage_class_name: Option<String>,
    /// The volume that it is bound to, or shall be.
    pub volume_name: Option<String>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Deserialize, View)]
#[view(api_version = "v1", kind = "PersistentVolume", resource = "persistentvolumes", scope = "Cluster")]
pub(crate) struct PersistentVolume {
    /// Its name.
    #[serde(default)]
    pub metadata: Named,
    /// Where it is.
    pub spec: PersistentVolumeSource,
}

/// A storage class.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "storage.k8s.io/v1", kind = "StorageClass", resource = "storageclasses", scope = "Cluster")]
pub(crate) struct StorageClass {
    /// Its name, and whether it is the default.
    pub metadata: ClassMetadata,
    /// Who makes its volumes.
    pub provisioner: String,
    /// What the provisioner is told.
    pub parameters: std::collections::BTreeMap<String, String>,
}

/// A class's metadata.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClassMetadata {
    /// Its name.
    pub name: String,
    /// Among them, whether it is the default.
    pub annotations: std::collections::BTreeMap<String, String>,
    /// RFC 3339 in UTC, so that texts compare as times do.
    pub creation_timestamp: Option<String>,
}

/// The annotations that make a class the default, the present one first.
const DEFAULT_CLASS_ANNOTATIONS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

impl StorageClass {
    /// Whether claims that name no class get this one.
    pub(crate) fn is_default(&self) -> bool {
        DEFAULT_CLASS_ANNOTATIONS
            .iter()
            .any(|annotation| self.metadata.annotations.get(*annotation).is_some_and(|value| value == "true"))
    }
}

impl Claim {
    /// Whether only the pods of one node may mount it.
    pub(crate) fn is_for_one_node(&self) -> bool {
        let many = |mode: &AccessMode| matches!(mode, AccessMode::ReadWriteMany | AccessMode::ReadOnlyMany);
        !self.spec.access_modes.is_empty() && !self.spec.access_modes.iter().any(many)
    }

    /// Its access modes, as the API writes them.
    pub(crate) fn modes(&self) -> String {
        let modes = self.spec.access_modes.iter().map(|mode| match mode {
            AccessMode::ReadWriteOnce => "ReadWriteOnce",
            AccessMode::ReadWriteOncePod => "ReadWriteOncePod",
            AccessMode::ReadOnlyMany => "ReadOnlyMany",
            AccessMode::ReadWriteMany => "ReadWriteMany",
            AccessMode::Other(other) => other,
        });
        modes.collect::<Vec<_>>().join("+")
    }

    /// Whether pods on several nodes may write to it.
    pub(crate) fn is_written_by_many(&self) -> bool {
        self.spec.access_modes.contains(&AccessMode::ReadWriteMany)
    }
}

impl Judged {
    /// How many pods it asks for; the API server's default is one. `None` where its kind doesn't say.
    pub(crate) fn replicas(&self) -> Option<i64> {
        match self.workload.kind {
            WorkloadKind::Pod | WorkloadKind::DaemonSet | WorkloadKind::CronJob => None,
            _ => Some(self.workload.replicas.unwrap_or(1)),
        }
    }

    /// The owner that manages it.
    pub(crate) fn controller(&self) -> Option<&OwnerReference> {
        self.rest.metadata.owner_references.iter().find(|owner| owner.controller)
    }

    /// `Deployment/mysql`.
    pub(crate) fn display(&self) -> String {
        format!("{}/{}", self.workload.kind.as_str(), self.workload.metadata.display_name())
    }

    /// Where its kind says how many pods it has, or the root.
    pub(crate) fn replicas_path(&self) -> FieldPath {
        match self.workload.kind {
            WorkloadKind::Pod | WorkloadKind::DaemonSet | WorkloadKind::CronJob => FieldPath::root().field("kind"),
            WorkloadKind::Job => FieldPath::fields(["spec", "parallelism"]),
            _ => FieldPath::fields(["spec", "replicas"]),
        }
    }
}

impl OwnerReference {
    /// `postgresql.cnpg.io`; empty for the core group.
    pub(crate) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl Objects for Judged {
    fn kinds() -> Vec<ObjectKind> {
        let rest = tree_of::<Rest>();
        let with_rest = |kind: ObjectKind| ObjectKind { tree: kind.tree.merge(rest.clone()), ..kind };
        AnyWorkload::kinds().into_iter().map(with_rest).collect()
    }

    /// Two readers of one text, of which the second reads a few fields.
    fn read(kind: &GroupVersionKind, json: &str) -> Option<Result<Self, Malformed>> {
        let workload = match AnyWorkload::read(kind, json)? {
            Ok(workload) => workload,
            Err(malformed) => return Some(Err(malformed)),
        };
        Some(from_json::<Rest>(json).map(|rest| Self { workload, rest }))
    }
}

impl View for Judged {
    /// Of no single kind; `kinds` has the trees.
    fn tree(_: &mut Visited) -> Tree {
        Tree::Nothing
    }
}
