//! What the policy reads of each kind.

use std::collections::BTreeMap;

use portcullis_sdk::pod::{AccessMode, ClaimSpec, ClaimTemplate, Workload};
use portcullis_sdk::{Metadata, Objects, Quantity, Strict, Tree, View, Visited};
use portcullis_workloads::custom::CustomResource;
use portcullis_workloads::{ContainerView, PersistentVolumeSource, Volume};
use serde::Deserialize;

/// The path by which claims are found by their volume.
pub(crate) const CLAIM_VOLUME_KEY: &str = "spec.volumeName";
/// The path by which volumes are found by their class.
pub(crate) const VOLUME_CLASS_KEY: &str = "spec.storageClassName";
/// The annotations that make a class the default, the present one first.
pub(crate) const DEFAULT_CLASS_ANNOTATIONS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// The annotation that named a claim's class before the field did, and still wins over it.
pub(crate) const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// Every kind that carries a pod template.
pub(crate) type AnyWorkload = Workload<ContainerView, PodVolumes, ClaimTemplate>;

/// What the policy judges.
#[derive(Debug, Objects)]
pub enum Subject {
    /// What runs data stores.
    Workload(AnyWorkload),
    /// What a workload may refer to by name.
    Claim(Claim),
    /// What a claim may be bound to.
    Volume(PersistentVolume),
    /// What provisions volumes for claims.
    Class(StorageClass),
    /// What an operator makes data stores of.
    Custom(CustomResource),
}

/// A pod's volumes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct PodVolumes {
    /// `spec.volumes`.
    pub volumes: Vec<Volume>,
}

/// A claim.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "v1", kind = "PersistentVolumeClaim", resource = "persistentvolumeclaims")]
pub struct Claim {
    /// Its name, labels and annotations.
    pub metadata: Metadata,
    /// What it asks for.
    pub spec: ClaimSpec,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Deserialize, View)]
#[view(api_version = "v1", kind = "PersistentVolume", resource = "persistentvolumes", scope = "Cluster")]
pub struct PersistentVolume {
    /// Its name.
    #[serde(default)]
    pub metadata: Metadata,
    /// Where it is and what it offers.
    pub spec: VolumeSpec,
}

/// A volume's spec: where it is, and what decides which claim gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeSpec {
    /// Where it is.
    pub source: PersistentVolumeSource,
    /// What decides which claim gets it.
    pub offer: Offer,
}

/// What decides which claim a volume is bound to.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct Offer {
    /// The claim that it is bound to, or reserved for.
    pub claim_ref: Option<ClaimReference>,
    /// How it may be mounted.
    #[view(value)]
    pub access_modes: Vec<AccessMode>,
    /// By resource: `storage`.
    pub capacity: BTreeMap<String, Quantity>,
}

/// A claim's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(default)]
pub struct ClaimReference {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A storage class.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "storage.k8s.io/v1", kind = "StorageClass", resource = "storageclasses", scope = "Cluster")]
pub struct StorageClass {
    /// Its name, and whether it is the default.
    pub metadata: ClassMetadata,
    /// Who makes its volumes.
    pub provisioner: String,
    /// What the provisioner is told.
    pub parameters: BTreeMap<String, String>,
}

/// A class's metadata.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct ClassMetadata {
    /// Its name.
    pub name: String,
    /// Among them, whether it is the default.
    pub annotations: BTreeMap<String, String>,
    /// RFC 3339 in UTC, so that texts compare as times do.
    pub creation_timestamp: Option<String>,
}

impl StorageClass {
    /// Whether claims that name no class get this one.
    pub(crate) fn is_default(&self) -> bool {
        DEFAULT_CLASS_ANNOTATIONS
            .iter()
            .any(|annotation| self.metadata.annotations.get(*annotation).is_some_and(|value| value == "true"))
    }
}

impl View for VolumeSpec {
    fn tree(visited: &mut Visited) -> Tree {
        PersistentVolumeSource::tree(visited).merge(Offer::tree(visited))
    }
}

impl<'de> Deserialize<'de> for VolumeSpec {
    /// Two readers of one object, which is small: a class's volumes are read by the hundred at most.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let source = PersistentVolumeSource::deserialize(Strict(&value)).map_err(serde::de::Error::custom)?;
        let offer = Offer::deserialize(Strict(&value)).map_err(serde::de::Error::custom)?;
        Ok(Self { source, offer })
    }
}
