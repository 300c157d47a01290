//! What the policy reads: of an Ingress its class, both ways to name it, and of
//! its managedFields only whether somebody set the class; of an IngressClass
//! whether it is the default.

use portcullis_sdk::{Objects, Present, View};
use serde::Deserialize;

/// What is reviewed.
#[derive(Debug, Objects)]
pub enum Object {
    /// An Ingress, which is edited and judged.
    Ingress(Ingress),
    /// An IngressClass, which is judged beside the others.
    Class(IngressClass),
}

/// An Ingress.
#[derive(Debug, Deserialize, View)]
#[view(api_version = "networking.k8s.io/v1", kind = "Ingress", resource = "ingresses")]
pub struct Ingress {
    #[serde(default)]
    pub(crate) metadata: IngressMetadata,
    #[serde(default)]
    pub(crate) spec: IngressSpec,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct IngressMetadata {
    pub(crate) annotations: IngressAnnotations,
    managed_fields: Vec<ManagedFields>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct IngressAnnotations {
    /// What named the class before 1.18; controllers still obey it.
    #[serde(rename = "kubernetes.io/ingress.class")]
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
    #[serde(rename = "f:ingressClassName")]
    class: Present,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct IngressSpec {
    pub(crate) ingress_class_name: Option<String>,
}

impl Ingress {
    /// Whether the class, if there is one, was set by nobody and so by the API server.
    ///
    /// It writes managedFields before its own DefaultIngressClass runs. Without
    /// any managedFields (a file, an old client) it can't be told, and the class
    /// is taken as somebody's.
    pub(crate) fn class_is_nobodys(&self) -> bool {
        let managed = &self.metadata.managed_fields;
        !managed.is_empty() && !managed.iter().any(|manager| manager.fields.spec.class.0)
    }
}

/// An IngressClass, as far as it tells whether it is the default.
#[derive(Debug, PartialEq, Deserialize, View)]
#[view(api_version = "networking.k8s.io/v1", kind = "IngressClass", resource = "ingressclasses", scope = "Cluster")]
pub struct IngressClass {
    #[serde(default)]
    pub(crate) metadata: ClassMetadata,
}

#[derive(Debug, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClassMetadata {
    pub(crate) name: String,
    /// RFC 3339 in UTC, as the API server writes it, so that texts sort as times do.
    pub(crate) creation_timestamp: String,
    annotations: ClassAnnotations,
}

#[derive(Debug, Default, PartialEq, Deserialize, View)]
#[serde(default)]
struct ClassAnnotations {
    #[serde(rename = "ingressclass.kubernetes.io/is-default-class")]
    is_default: Option<String>,
}

impl IngressClass {
    /// Whether it is marked as the cluster's default.
    pub(crate) fn is_default(&self) -> bool {
        self.metadata.annotations.is_default.as_deref() == Some("true")
    }
}
