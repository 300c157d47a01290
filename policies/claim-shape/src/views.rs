//! What the policy reads of each kind. Quantities stay as they were written, so
//! that a text that is none is this policy's finding and not a shape that it can't read.

use std::collections::BTreeMap;

use portcullis_sdk::pod::Workload;
use portcullis_sdk::{LabelSelector, Metadata, Objects, Quantity, Tree, View, Visited};
use portcullis_workloads::custom::CustomResource;
use portcullis_workloads::{ContainerView, Volume};
use serde::Deserialize;
use serde_json::Value;

/// The path by which volumes are found by their class.
pub(crate) const VOLUME_CLASS_KEY: &str = "spec.storageClassName";
/// The path by which claims of one name are found in every namespace.
pub(crate) const CLAIM_NAME_KEY: &str = "metadata.name";
/// The annotation that named a claim's class before the field did, and still wins over it.
pub(crate) const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
/// The annotations that make a class the default; the API server obeys both.
const DEFAULT_ANNOTATIONS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// Every kind that carries a pod template.
pub(crate) type AnyWorkload = Workload<ContainerView, PodVolumes, Template>;

/// What the policy judges.
#[derive(Debug, Objects)]
#[expect(clippy::large_enum_variant, reason = "there is one object a review, and it never moves")]
pub enum Object {
    /// A claim.
    Claim(Claim),
    /// What has claim templates, or names claims.
    Workload(AnyWorkload),
    /// An operator's resource, of which claims are made.
    Custom(CustomResource),
}

/// A claim. Also what a claim is filled from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "v1", kind = "PersistentVolumeClaim", resource = "persistentvolumeclaims")]
pub struct Claim {
    /// Its name, labels and annotations.
    pub metadata: Metadata,
    /// What it asks for.
    pub spec: ClaimSpec,
    /// What it has.
    pub status: ClaimStatus,
}

/// A claim template, of a StatefulSet or of an ephemeral volume.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct Template {
    /// Its name is the volume's.
    pub metadata: Metadata,
    /// What is asked for.
    pub spec: ClaimSpec,
}

/// What a claim asks for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// `None` asks for the default class, `Some("")` for none.
    pub storage_class_name: Option<String>,
    /// How the volume may be mounted.
    pub access_modes: Vec<String>,
    /// `Filesystem` where it isn't set.
    pub volume_mode: Option<String>,
    /// The volume that it is bound to, or shall be.
    pub volume_name: Option<String>,
    /// Which volumes it may be bound to.
    pub selector: Option<LabelSelector>,
    /// What it is filled from.
    pub data_source: Option<DataSource>,
    /// The same, for any kind of source.
    pub data_source_ref: Option<DataSource>,
    /// How much.
    pub resources: Resources,
}

/// What a claim is filled from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct DataSource {
    /// The group alone, without a version.
    pub api_group: Option<String>,
    /// `PersistentVolumeClaim`, `VolumeSnapshot`.
    pub kind: String,
    /// In the claim's namespace.
    pub name: String,
    /// Another namespace, where the cluster allows it.
    pub namespace: Option<String>,
}

/// How much a claim asks for, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct Resources {
    /// By resource: `storage`.
    pub requests: BTreeMap<String, Value>,
    /// By resource: `storage`.
    pub limits: BTreeMap<String, Value>,
}

/// What a claim has.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct ClaimStatus {
    /// By resource: `storage`.
    pub capacity: BTreeMap<String, Value>,
}

/// A pod's volumes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct PodVolumes {
    /// `spec.volumes`.
    pub volumes: Vec<PodVolume>,
}

/// A pod's volume, and the claim that is made with the pod.
#[derive(Debug, Clone, PartialEq)]
pub struct PodVolume {
    /// As the catalogue reads it, without the template.
    pub volume: Volume,
    /// `ephemeral.volumeClaimTemplate`.
    pub template: Option<Template>,
}

/// A class.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "storage.k8s.io/v1", kind = "StorageClass", resource = "storageclasses", scope = "Cluster")]
pub(crate) struct StorageClass {
    pub(crate) metadata: ClassMetadata,
    pub(crate) provisioner: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClassMetadata {
    pub(crate) name: String,
    annotations: BTreeMap<String, String>,
    /// RFC 3339 in UTC, so that texts compare as times do.
    creation_timestamp: Option<String>,
}

/// A volume that a claim may be bound to.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "v1", kind = "PersistentVolume", resource = "persistentvolumes", scope = "Cluster")]
pub(crate) struct PersistentVolume {
    pub(crate) metadata: Metadata,
    pub(crate) spec: VolumeSpec,
    pub(crate) status: VolumeStatus,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VolumeSpec {
    pub(crate) storage_class_name: Option<String>,
    pub(crate) access_modes: Vec<String>,
    pub(crate) volume_mode: Option<String>,
    pub(crate) capacity: BTreeMap<String, Value>,
    pub(crate) claim_ref: Option<ClaimReference>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(default)]
pub(crate) struct ClaimReference {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub(crate) struct VolumeStatus {
    pub(crate) phase: String,
}

/// A snapshot that a claim is filled from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "snapshot.storage.k8s.io/v1", kind = "VolumeSnapshot", resource = "volumesnapshots")]
pub(crate) struct VolumeSnapshot {
    pub(crate) status: SnapshotStatus,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SnapshotStatus {
    pub(crate) restore_size: Option<Value>,
}

impl ClaimSpec {
    /// `Filesystem` or `Block`, as the API server fills it in.
    pub(crate) fn mode(&self) -> &str {
        mode(self.volume_mode.as_deref())
    }

    /// How much storage is asked for, where it is a quantity.
    pub(crate) fn request(&self) -> Option<Quantity> {
        storage(&self.resources.requests).and_then(quantity)
    }

    /// The same, as it was written; empty where nothing is.
    pub(crate) fn request_text(&self) -> String {
        text(storage(&self.resources.requests))
    }
}

impl Claim {
    /// How large it is: what it has, or else what it asks for.
    pub(crate) fn size(&self) -> Option<Quantity> {
        storage(&self.status.capacity).and_then(quantity).or_else(|| self.spec.request())
    }

    /// The same, as it was written.
    pub(crate) fn size_text(&self) -> String {
        text(storage(&self.status.capacity).or(storage(&self.spec.resources.requests)))
    }
}

impl StorageClass {
    pub(crate) fn is_default(&self) -> bool {
        DEFAULT_ANNOTATIONS
            .iter()
            .any(|annotation| self.metadata.annotations.get(*annotation).is_some_and(|value| value == "true"))
    }

    /// The newest default class counts, and of those of one second the first by name.
    pub(crate) fn default_of(classes: Vec<Self>) -> Option<Self> {
        classes.into_iter().filter(Self::is_default).min_by(|one, two| {
            let (one, two) = (&one.metadata, &two.metadata);
            two.creation_timestamp.cmp(&one.creation_timestamp).then_with(|| one.name.cmp(&two.name))
        })
    }
}

impl PersistentVolume {
    pub(crate) fn class(&self) -> &str {
        self.metadata
            .annotations
            .get(CLASS_ANNOTATION)
            .or(self.spec.storage_class_name.as_ref())
            .map_or("", String::as_str)
    }

    pub(crate) fn mode(&self) -> &str {
        mode(self.spec.volume_mode.as_deref())
    }

    pub(crate) fn capacity(&self) -> Option<Quantity> {
        storage(&self.spec.capacity).and_then(quantity)
    }

    /// The same, as it was written.
    pub(crate) fn capacity_text(&self) -> String {
        text(storage(&self.spec.capacity))
    }
}

/// What a mode that isn't set stands for (`SetDefaults_PersistentVolumeClaimSpec` in k8s.io/kubernetes/pkg/apis/core/v1).
fn mode(written: Option<&str>) -> &str {
    written.filter(|mode| !mode.is_empty()).unwrap_or("Filesystem")
}

/// The amount of storage among resources; null is nothing, as it is to the API server.
pub(crate) fn storage(resources: &BTreeMap<String, Value>) -> Option<&Value> {
    resources.get("storage").filter(|value| !value.is_null())
}

/// A quantity, written as a text or a number.
pub(crate) fn quantity(value: &Value) -> Option<Quantity> {
    written(value).parse().ok()
}

/// A quantity as it was written.
pub(crate) fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The same, and nothing where nothing is written.
pub(crate) fn text(value: Option<&Value>) -> String {
    value.map(written).unwrap_or_default()
}

impl View for PodVolume {
    fn tree(visited: &mut Visited) -> Tree {
        let template = Tree::field("volumeClaimTemplate", Template::tree(visited));
        Volume::tree(visited).merge(Tree::field("ephemeral", template))
    }
}

impl<'de> Deserialize<'de> for PodVolume {
    /// The catalogue's reader asks quantities of templates to be sound, which is for this policy to say.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let mut template = None;
        if let Some(source) = value.get_mut("ephemeral").filter(|source| source.is_object()) {
            let taken = source["volumeClaimTemplate"].take();
            template = Some(match taken {
                Value::Null => Template::default(),
                taken => Template::deserialize(&taken).map_err(serde::de::Error::custom)?,
            });
            *source = Value::Object(serde_json::Map::new());
        }
        let volume = Volume::deserialize(&value).map_err(serde::de::Error::custom)?;
        Ok(Self { volume, template })
    }
}
