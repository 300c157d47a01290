//! What the policy reads of a Secret: its values, its type, and of its metadata
//! only what says who made it and what it leaks.

use std::collections::BTreeMap;

use portcullis_sdk::View;
use serde::Deserialize;
use serde_json::Value;

/// A Secret.
#[derive(Debug, Deserialize, View)]
#[view(api_version = "v1", kind = "Secret", resource = "secrets")]
pub struct Secret {
    #[serde(default)]
    pub(crate) metadata: Metadata,
    /// Absent and empty mean `Opaque`.
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    /// Of any shape, as is `string_data`: what a parser says of a shape that it didn't expect repeats the value.
    #[serde(default)]
    pub(crate) data: Value,
    /// What the API server merges into `data`; it is there in files only.
    #[serde(default, rename = "stringData")]
    pub(crate) string_data: Value,
    #[serde(default)]
    pub(crate) immutable: bool,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: Annotations,
    pub(crate) owner_references: Vec<Owner>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct Annotations {
    /// What kubectl applied last, the values of the Secret included.
    #[serde(rename = "kubectl.kubernetes.io/last-applied-configuration")]
    pub(crate) last_applied: Option<String>,
    /// Whose token it is, for a Secret of the type `kubernetes.io/service-account-token`.
    #[serde(rename = "kubernetes.io/service-account.name")]
    pub(crate) service_account: Option<String>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct Owner {
    pub(crate) kind: String,
}
