//! The AdmissionReview that the API server would send for an object.

use std::fmt::Write as _;

use portcullis_core::contract::Operation;
use portcullis_core::json::quote;
use sha2::{Digest, Sha256};

use super::manifest::Manifest;
use super::request::{Aim, User};

/// One write of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write<'m> {
    pub(super) manifest: &'m Manifest,
    pub(super) aim: &'m Aim,
    pub(super) user: &'m User,
    /// What is sent: the aim's, the manifest's, or what mutations made of it.
    pub(super) object: &'m str,
    /// Tells the writes of a run apart.
    pub(super) number: usize,
}

impl Write<'_> {
    /// The review's JSON text.
    pub(super) fn body(&self) -> String {
        let Write { manifest, aim, user, .. } = *self;
        let identity = &manifest.identity;
        let kind = named(&aim.kind.0, "kind", &aim.kind.1);
        let resource = named(&aim.resource.0, "resource", &aim.resource.1);
        let mut body = format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"{}","kind":{kind},"resource":{resource},"requestKind":{kind},"requestResource":{resource}"#,
            self.uid(),
        );
        // The API server leaves each out where it is empty. A Namespace's namespace is its own name.
        let is_namespace = identity.kind == "Namespace" && identity.api_version == "v1";
        let namespace = if is_namespace { &identity.name } else { &identity.namespace };
        let subresource = &aim.subresource;
        let fields = [
            ("subResource", subresource),
            ("requestSubResource", subresource),
            ("name", &identity.name),
            ("namespace", namespace),
        ];
        for (field, value) in fields {
            if !value.is_empty() {
                let _ = write!(body, r#","{field}":{}"#, quote(value));
            }
        }
        let options = match aim.operation {
            Operation::Create => "CreateOptions",
            Operation::Update => "UpdateOptions",
            Operation::Delete => "DeleteOptions",
            Operation::Connect => "",
        };
        let options = match options {
            "" => "null".to_owned(),
            kind => format!(r#"{{"kind":"{kind}","apiVersion":"meta.k8s.io/v1"}}"#),
        };
        let (object, old_object) = self.objects();
        let groups: Vec<String> = user.groups.iter().map(|group| quote(group)).collect();
        let _ = write!(
            body,
            r#","operation":"{}","userInfo":{{"username":{},"groups":[{}]}},"object":{object},"oldObject":{old_object},"dryRun":false,"options":{options}}}}}"#,
            aim.operation,
            quote(&user.name),
            groups.join(","),
        );
        body
    }

    /// What there is after the operation, and what was there before.
    fn objects(&self) -> (&str, &str) {
        let before = self.aim.old.as_deref();
        match self.aim.operation {
            Operation::Create | Operation::Connect => (self.object, "null"),
            // Where nothing is known of what was there, nothing has changed.
            Operation::Update => (self.object, before.unwrap_or(&self.manifest.object)),
            Operation::Delete => ("null", before.unwrap_or(&self.manifest.object)),
        }
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

/// `{"group", "version"}` with a kind or a resource.
fn named(api_version: &str, field: &str, name: &str) -> String {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    format!(r#"{{"group":{},"version":{},"{field}":{}}}"#, quote(group), quote(version), quote(name))
}
