//! The AdmissionReview that the API server would send for an object.

use std::fmt::Write as _;

use portcullis_core::contract::Operation;
use portcullis_core::json::quote;
use sha2::{Digest, Sha256};

use super::manifest::Manifest;

/// Who writes: the administrator that kubeadm makes, in the group that it uses
/// since 1.29 (`system:masters` is often excluded from policies).
const USER: &str = r#"{"username":"kubernetes-admin","groups":["kubeadm:cluster-admins","system:authenticated"]}"#;

/// One write of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write<'m> {
    pub(super) operation: Operation,
    pub(super) manifest: &'m Manifest,
    /// After the operation; None on DELETE.
    pub(super) object: Option<&'m str>,
    /// Before it; None on CREATE.
    pub(super) old_object: Option<&'m str>,
    /// Tells the writes of a run apart.
    pub(super) number: usize,
}

impl Write<'_> {
    /// The review's JSON text.
    pub(super) fn body(&self) -> String {
        let identity = &self.manifest.identity;
        let (group, version) = identity.api_version.rsplit_once('/').unwrap_or(("", &identity.api_version));
        let (group, version) = (quote(group), quote(version));
        let kind = format!(r#"{{"group":{group},"version":{version},"kind":{}}}"#, quote(&identity.kind));
        let resource =
            format!(r#"{{"group":{group},"version":{version},"resource":{}}}"#, quote(&self.manifest.resource.plural));
        let mut body = format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"{}","kind":{kind},"resource":{resource},"requestKind":{kind},"requestResource":{resource}"#,
            self.uid(),
        );
        // The API server leaves both out where they are empty. A Namespace's is its own name.
        let is_namespace = identity.kind == "Namespace" && identity.api_version == "v1";
        let namespace = if is_namespace { &identity.name } else { &identity.namespace };
        for (field, value) in [("name", &identity.name), ("namespace", namespace)] {
            if !value.is_empty() {
                let _ = write!(body, r#","{field}":{}"#, quote(value));
            }
        }
        let options = match self.operation {
            Operation::Create => "CreateOptions",
            Operation::Update => "UpdateOptions",
            Operation::Delete | Operation::Connect => "DeleteOptions",
        };
        let _ = write!(
            body,
            r#","operation":"{}","userInfo":{USER},"object":{},"oldObject":{},"dryRun":false,"options":{{"kind":"{options}","apiVersion":"meta.k8s.io/v1"}}}}}}"#,
            self.operation,
            self.object.unwrap_or("null"),
            self.old_object.unwrap_or("null"),
        );
        body
    }

    /// A UUID (RFC 9562, version 8) that is the same in every run.
    fn uid(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.manifest.document.source.as_bytes());
        digest.update(self.number.to_le_bytes());
        let digest = digest.finalize();
        let (mut bytes, _) = digest.split_first_chunk::<16>().map(|(first, rest)| (*first, rest)).unwrap_or_default();
        bytes[6] = 0x80 | (bytes[6] & 0x0F);
        bytes[8] = 0x80 | (bytes[8] & 0x3F);
        let mut uid = String::with_capacity(36);
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                uid.push('-');
            }
            let _ = write!(uid, "{byte:02x}");
        }
        uid
    }
}
