//! Which names may stand in a path of the API server.
//!
//! A policy chooses the namespace and name that it looks up, and kube puts both
//! into a path as they are. `a/secrets/b?` as a namespace would read another
//! kind than the one that the policy declared; so what can't be a name is never
//! asked for.

use portcullis_core::cluster::{Answer, ObjectName};

/// Bytes that the API server lets a name have at most (a DNS subdomain).
const MAX_NAME: usize = 253;
/// Bytes that it lets a namespace have (a DNS label).
const MAX_NAMESPACE: usize = 63;

/// The answer to what can't be a name of an object: none can have it.
pub(crate) fn refuse(name: &ObjectName) -> Option<Answer> {
    let namespace = name.namespace.as_deref().is_none_or(is_namespace);
    (!namespace || !is_name(&name.name)).then_some(Answer::Absent)
}

/// A DNS label (RFC 1123).
pub(crate) fn is_namespace(namespace: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAMESPACE).contains(&namespace.len())
        && namespace.bytes().all(inner)
        && !namespace.starts_with('-')
        && !namespace.ends_with('-')
}

/// What is a name of one path segment and needs no escape in it: DNS names, and
/// those of RBAC with their colons.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:@".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(namespace: Option<&str>, name: &str, asked: bool) {
        let name = ObjectName {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: namespace.map(Into::into),
            name: name.into(),
        };
        assert_eq!(refuse(&name).is_none(), asked, "{name}");
    }

    #[test]
    fn only_what_can_be_a_name_is_asked_for() {
        check(None, "fast", true);
        check(Some("shop"), "mongo.v1", true);
        check(None, "system:controller:x", true);
        check(None, "", false);
        check(None, "..", false);
        check(None, "a/b", false);
        check(None, "a%2fb", false);
        check(None, "a?b", false);
        check(None, "a#b", false);
        check(None, "a b", false);
        check(None, &"a".repeat(254), false);
        check(Some(""), "a", false);
        check(Some("kube-system/secrets/token?"), "a", false);
        check(Some("../secrets"), "a", false);
        check(Some("a.b"), "a", false);
        check(Some("-a"), "a", false);
        check(Some("Shop"), "a", false);
    }
}
