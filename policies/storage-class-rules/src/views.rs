//! What the policy reads of each kind.

use std::collections::BTreeMap;

use portcullis_sdk::{Metadata, Objects, Present, Tree, View, Visited};
use portcullis_workloads::PersistentVolumeSource;
use serde::Deserialize;
use serde_json::Value;

/// The path by which Deployments are found that say under which name they provision.
pub(crate) const VARIABLE_KEY: &str = "spec.template.spec.containers[*].env[*].name";

/// The annotations that make a class the default; the API server obeys both.
pub(crate) const DEFAULT_ANNOTATIONS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// What the policy judges.
#[derive(Debug, Objects)]
pub enum Object {
    /// A class.
    Class(StorageClass),
    /// A volume.
    Volume(PersistentVolume),
}

/// A storage class.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
#[view(api_version = "storage.k8s.io/v1", kind = "StorageClass", resource = "storageclasses", scope = "Cluster")]
pub struct StorageClass {
    /// Its name, labels and annotations.
    pub metadata: Metadata,
    /// Who makes its volumes.
    pub provisioner: String,
    /// What the provisioner is told.
    pub parameters: BTreeMap<String, String>,
    /// `Delete` where it isn't set.
    pub reclaim_policy: Option<String>,
    /// `Immediate` where it isn't set.
    pub volume_binding_mode: Option<String>,
    /// Whether its volumes can grow.
    pub allow_volume_expansion: Option<bool>,
    /// Whether it says where volumes may be made.
    pub allowed_topologies: Present,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Deserialize, View)]
#[view(api_version = "v1", kind = "PersistentVolume", resource = "persistentvolumes", scope = "Cluster")]
pub struct PersistentVolume {
    /// Its name, labels and annotations.
    #[serde(default)]
    pub metadata: Metadata,
    /// Where it is and what becomes of it.
    #[serde(default)]
    pub spec: VolumeSpec,
}

/// A volume's spec.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeSpec {
    /// Where it is.
    pub source: PersistentVolumeSource,
    /// The fields that say where it is: one, in a sound volume.
    pub source_fields: Vec<&'static str>,
    /// What becomes of it.
    pub life: VolumeLife,
}

/// Whose it is, and what becomes of it afterwards.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeLife {
    /// `Retain` where it isn't set.
    pub persistent_volume_reclaim_policy: Option<String>,
    /// How it may be mounted.
    pub access_modes: Vec<String>,
    /// The claim that it is for.
    pub claim_ref: ClaimReference,
}

/// A claim, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(default)]
pub struct ClaimReference {
    /// Its namespace.
    pub namespace: String,
}

/// Another class, as far as it tells whether it is the default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "storage.k8s.io/v1", kind = "StorageClass", resource = "storageclasses", scope = "Cluster")]
pub(crate) struct OtherClass {
    pub(crate) metadata: OtherMetadata,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub(crate) struct OtherMetadata {
    pub(crate) name: String,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// A CSI driver; that it is there says enough.
#[derive(Debug, Deserialize, View)]
#[view(api_version = "storage.k8s.io/v1", kind = "CSIDriver", resource = "csidrivers", scope = "Cluster")]
pub(crate) struct CsiDriver {}

/// A Deployment, as far as its containers' variables.
#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
#[view(api_version = "apps/v1", kind = "Deployment", resource = "deployments")]
pub(crate) struct Deployment {
    pub(crate) metadata: DeploymentMetadata,
    spec: DeploymentSpec,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct DeploymentMetadata {
    pub(crate) name: String,
    pub(crate) namespace: String,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
struct DeploymentSpec {
    template: Template,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
struct Template {
    spec: PodSpec,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
struct Container {
    env: Vec<Variable>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
struct Variable {
    name: String,
    value: Option<String>,
}

/// The fields of a PersistentVolume of which exactly one is set
/// (`PersistentVolumeSource` in k8s.io/api/core/v1).
const SOURCE_FIELDS: [&str; 22] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

impl Deployment {
    /// What its containers are told in this variable.
    pub(crate) fn values(&self, variable: &str) -> impl Iterator<Item = &str> {
        let variables = self.spec.template.spec.containers.iter().flat_map(|container| &container.env);
        variables.filter(move |known| known.name == variable).filter_map(|known| known.value.as_deref())
    }
}

/// Whether annotations make a class the default, as the API server reads them.
pub(crate) fn is_default(annotations: &BTreeMap<String, String>) -> bool {
    DEFAULT_ANNOTATIONS.iter().any(|annotation| annotations.get(*annotation).is_some_and(|value| value == "true"))
}

impl Default for VolumeSpec {
    fn default() -> Self {
        let source = PersistentVolumeSource { source: None, node_affinity: None, storage_class_name: None };
        Self { source, source_fields: Vec::new(), life: VolumeLife::default() }
    }
}

impl View for VolumeSpec {
    fn tree(visited: &mut Visited) -> Tree {
        PersistentVolumeSource::tree(visited).merge(VolumeLife::tree(visited))
    }
}

impl<'de> Deserialize<'de> for VolumeSpec {
    /// Two readers of one object, which is small.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let source = PersistentVolumeSource::deserialize(&value).map_err(serde::de::Error::custom)?;
        let life = VolumeLife::deserialize(&value).map_err(serde::de::Error::custom)?;
        let is_set = |field: &&str| value.get(*field).is_some_and(|source| !source.is_null() && *source != false);
        Ok(Self { source, source_fields: SOURCE_FIELDS.into_iter().filter(is_set).collect(), life })
    }
}
