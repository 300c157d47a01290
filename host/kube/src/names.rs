//! Which names may stand in a path of the API server.
//!
//! A policy chooses the namespace and name that it looks up, and kube puts both
//! into a path as they are. `a/secrets/b?` as a namespace would read another
//! kind than the one that the policy declared; so what can't be a name is never
//! asked for.

use portcullis_core::cluster::{Answer, ObjectName};

/// Bytes that a name has at most where it is a DNS subdomain, as nearly all are.
const MAX_NAME: usize = 253;
/// Bytes that it lets a namespace have (a DNS label).
const MAX_NAMESPACE: usize = 63;

/// The answer to what can't be asked for: no object can have such a name, or only
/// one whose kind lets names be odd (RBAC's), of which nothing is said.
pub(crate) fn refuse(name: &ObjectName) -> Option<Answer> {
    if !name.namespace.as_deref().is_none_or(is_namespace) || !is_segment(&name.name) {
        return Some(Answer::Absent);
    }
    let reason = || format!("{:?} is no name that can be asked for", name.name);
    (!is_plain(&name.name)).then(|| Answer::Unknown(reason()))
}

/// A DNS label (RFC 1123).
pub(crate) fn is_namespace(namespace: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAMESPACE).contains(&namespace.len())
        && namespace.bytes().all(inner)
        && !namespace.starts_with('-')
        && !namespace.ends_with('-')
}

/// What every kind asks of a name
/// (k8s.io/apimachinery/pkg/api/validation/path, `IsValidPathSegmentName`).
fn is_segment(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '%'])
}

/// Needs no escape in a path: DNS names, and those of RBAC with their colons.
fn is_plain(name: &str) -> bool {
    name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:@".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(namespace: Option<&str>, name: &str, expected: &str) {
        let name = ObjectName {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: namespace.map(Into::into),
            name: name.into(),
        };
        let answer = match refuse(&name) {
            None => "asked",
            Some(Answer::Absent) => "absent",
            Some(Answer::Unknown(_)) => "unknown",
            Some(Answer::Found(_)) => "found",
        };
        assert_eq!(answer, expected, "{name}");
    }

    #[test]
    fn only_what_can_be_a_name_is_asked_for() {
        check(None, "fast", "asked");
        check(Some("shop"), "mongo.v1", "asked");
        check(None, "system:controller:x", "asked");
        check(None, "", "absent");
        check(None, "..", "absent");
        check(None, "a/b", "absent");
        check(None, "a%2fb", "absent");
        check(Some(""), "a", "absent");
        check(Some("kube-system/secrets/token?"), "a", "absent");
        check(Some("../secrets"), "a", "absent");
        check(Some("a.b"), "a", "absent");
        check(Some("-a"), "a", "absent");
        check(Some("Shop"), "a", "absent");
    }

    #[test]
    fn of_an_odd_name_nothing_is_said() {
        for name in ["a?b", "a#b", "a b", "a\r\nb", "\u{e9}", &"a".repeat(254)] {
            check(None, name, "unknown");
        }
    }
}
