//! What the policy reads: of a claim its class and what makes it a static one,
//! of its managedFields only whether somebody set the class.

use portcullis_sdk::pod::AccessMode;
use portcullis_sdk::{Objects, Present, View};
use serde::Deserialize;

/// What is reviewed.
#[derive(Debug, Objects)]
pub enum Object {
    /// A claim.
    Claim(Claim),
    /// A StatefulSet with its claim templates.
    StatefulSet(StatefulSet),
}

/// A PersistentVolumeClaim.
#[derive(Debug, Deserialize, View)]
#[view(api_version = "v1", kind = "PersistentVolumeClaim", resource = "persistentvolumeclaims")]
pub struct Claim {
    #[serde(default)]
    pub(crate) metadata: ClaimMetadata,
    #[serde(default)]
    pub(crate) spec: ClaimSpec,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClaimMetadata {
    pub(crate) annotations: ClaimAnnotations,
    managed_fields: Vec<ManagedFields>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct ClaimAnnotations {
    /// What named the class before 1.6, and is still obeyed.
    #[serde(rename = "volume.beta.kubernetes.io/storage-class")]
    pub(crate) legacy_class: Option<String>,
}

/// One manager's fields (`metadata.managedFields[]`).
#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
struct ManagedFields {
    #[serde(rename = "fieldsV1")]
    fields: OwnedFields,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
struct OwnedFields {
    #[serde(rename = "f:spec")]
    spec: OwnedSpec,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
struct OwnedSpec {
    #[serde(rename = "f:storageClassName")]
    class: Present,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClaimSpec {
    pub(crate) storage_class_name: Option<String>,
    #[view(value)]
    pub(crate) access_modes: Vec<AccessMode>,
    pub(crate) volume_name: Option<String>,
    pub(crate) selector: Present,
}

impl ClaimMetadata {
    /// Whether the class, if there is one, was set by nobody.
    ///
    /// The API server writes managedFields before its own DefaultStorageClass
    /// runs, so a class that no manager owns was filled on the way. Without any
    /// managedFields (a file, an old client) it can't be told, and the class is
    /// taken as somebody's.
    pub(crate) fn class_is_nobodys(&self) -> bool {
        !self.managed_fields.is_empty() && !self.managed_fields.iter().any(|manager| manager.fields.spec.class.0)
    }
}

/// A StatefulSet, as far as its claim templates.
#[derive(Debug, Deserialize, View)]
#[view(api_version = "apps/v1", kind = "StatefulSet", resource = "statefulsets")]
pub struct StatefulSet {
    #[serde(default)]
    pub(crate) spec: StatefulSetSpec,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct StatefulSetSpec {
    pub(crate) volume_claim_templates: Vec<Template>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct Template {
    pub(crate) metadata: TemplateMetadata,
    pub(crate) spec: ClaimSpec,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct TemplateMetadata {
    pub(crate) name: String,
    pub(crate) annotations: ClaimAnnotations,
}

/// A StorageClass, as far as it tells whether it is the default.
#[derive(Debug, Deserialize, View)]
#[view(api_version = "storage.k8s.io/v1", kind = "StorageClass", resource = "storageclasses", scope = "Cluster")]
pub(crate) struct StorageClass {
    #[serde(default)]
    pub(crate) metadata: ClassMetadata,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClassMetadata {
    pub(crate) name: String,
    /// RFC 3339 in UTC, as the API server writes it, so that texts sort as times do.
    pub(crate) creation_timestamp: String,
    annotations: ClassAnnotations,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
struct ClassAnnotations {
    #[serde(rename = "storageclass.kubernetes.io/is-default-class")]
    is_default: Option<String>,
    /// The API server obeys both.
    #[serde(rename = "storageclass.beta.kubernetes.io/is-default-class")]
    is_default_beta: Option<String>,
}

impl StorageClass {
    /// Whether it is marked as the cluster's default.
    pub(crate) fn is_default(&self) -> bool {
        let ClassAnnotations { is_default, is_default_beta } = &self.metadata.annotations;
        [is_default, is_default_beta].into_iter().flatten().any(|value| value == "true")
    }
}
