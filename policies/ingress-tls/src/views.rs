//! What the policy reads: of an Ingress its hosts, its `tls`, its backends and
//! the annotations that explain where a certificate comes from; of a Secret the
//! type and the certificate, never the key.

use std::collections::BTreeMap;

use portcullis_sdk::{Objects, Tree, View, Visited};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What is reviewed.
#[derive(Debug, Objects)]
pub enum Object {
    /// An Ingress.
    Ingress(Ingress),
    /// A Secret that an Ingress may name; asked about only where the settings let Secrets be read.
    Secret(Secret),
}

/// An Ingress.
#[derive(Debug, Deserialize, View)]
#[view(api_version = "networking.k8s.io/v1", kind = "Ingress", resource = "ingresses")]
pub struct Ingress {
    #[serde(default)]
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) spec: IngressSpec,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct IngressSpec {
    pub(crate) ingress_class_name: Option<String>,
    pub(crate) default_backend: Option<Backend>,
    pub(crate) rules: Vec<IngressRule>,
    pub(crate) tls: Vec<Tls>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct IngressRule {
    pub(crate) host: String,
    pub(crate) http: Http,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct Http {
    pub(crate) paths: Vec<HttpPath>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct HttpPath {
    pub(crate) path: String,
    pub(crate) backend: Backend,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct Backend {
    pub(crate) service: Option<ServiceBackend>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct ServiceBackend {
    pub(crate) name: String,
    pub(crate) port: BackendPort,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct BackendPort {
    pub(crate) name: String,
    pub(crate) number: u32,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Tls {
    pub(crate) hosts: Vec<String>,
    pub(crate) secret_name: String,
}

/// A Secret, as far as a server presents it to every client.
#[derive(Debug, Deserialize, View)]
#[view(api_version = "v1", kind = "Secret", resource = "secrets")]
pub struct Secret {
    #[serde(default)]
    pub(crate) metadata: SecretMetadata,
    /// Absent and empty mean `Opaque`.
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) data: SecretData,
    #[serde(default, rename = "stringData")]
    pub(crate) string_data: SecretData,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct SecretMetadata {
    pub(crate) name: String,
}

/// `tls.crt` of a Secret's `data` or `stringData`, whatever shape they have: what a parser
/// says of a shape that it didn't expect repeats the value.
#[derive(Debug, Default)]
pub(crate) struct SecretData {
    pub(crate) certificate: Option<String>,
}

impl View for SecretData {
    fn tree(_: &mut Visited) -> Tree {
        Tree::field(CERTIFICATE, Tree::Value)
    }
}

impl<'de> Deserialize<'de> for SecretData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let held = Value::deserialize(deserializer)?;
        Ok(Self { certificate: held.get(CERTIFICATE).and_then(Value::as_str).map(str::to_owned) })
    }
}

/// A Service, as far as an Ingress forwards to it.
#[derive(Debug, Deserialize, View)]
#[view(api_version = "v1", kind = "Service", resource = "services")]
pub(crate) struct Service {
    #[serde(default)]
    pub(crate) spec: ServiceSpec,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct ServiceSpec {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) ports: Vec<ServicePort>,
}

#[derive(Debug, Default, Deserialize, View)]
#[serde(default)]
pub(crate) struct ServicePort {
    pub(crate) name: String,
    pub(crate) port: u32,
}

/// The key of the certificate.
const CERTIFICATE: &str = "tls.crt";
/// The path by which the Ingresses that name a Secret are found.
pub(crate) const SECRET_NAME_KEY: &str = "spec.tls[*].secretName";
