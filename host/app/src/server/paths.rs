//! Which policies a path asks: the phase, the failure policy, whose.

use portcullis_core::admit::{Owner, Selection};
use portcullis_core::contract::Phase;
use portcullis_core::policy::{FailurePolicy, PolicyId};

/// What a wrong path is answered with.
pub(super) const KNOWN: &str = "known paths: /validate, /validate/fail, /validate/ignore, \
    /validate/policy/NAME, /validate/policy/NAMESPACE/NAME, \
    /validate/namespace/NAMESPACE, /validate/namespace/NAMESPACE/fail, /validate/namespace/NAMESPACE/ignore, \
    and the same under /mutate; /policies for policy objects themselves";

/// A path that asks something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// What it asks.
    pub(super) question: Question,
    /// For metrics: the path without names, of which there could be any number.
    pub(super) label: &'static str,
    /// For metrics: `validate` or `mutate`.
    pub(super) phase: &'static str,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// What these policies say of an object.
    Policies(Selection),
    /// Whether an object that is a policy would run.
    Proposal,
}

/// What a path asks; None where there is no such path.
pub(super) fn route(path: &str) -> Option<Route> {
    if path == "/policies" {
        return Some(Route { question: Question::Proposal, label: "/policies", phase: "validate" });
    }
    let mut segments = path.strip_prefix('/')?.split('/');
    let (phase, name) = match segments.next()? {
        "validate" => (Phase::Validating, "validate"),
        "mutate" => (Phase::Mutating, "mutate"),
        _ => return None,
    };
    let rest: Vec<&str> = segments.collect();
    let (group, owner, label) = match rest[..] {
        [] => (None, Owner::Cluster, "/"),
        ["fail"] => (Some(FailurePolicy::Fail), Owner::Cluster, "/fail"),
        ["ignore"] => (Some(FailurePolicy::Ignore), Owner::Cluster, "/ignore"),
        ["policy", policy] if is_name(policy) => (None, Owner::One(PolicyId::cluster(policy)), "/policy"),
        ["policy", namespace, policy] if is_name(namespace) && is_name(policy) => {
            let id = PolicyId { namespace: Some(namespace.to_owned()), name: policy.to_owned() };
            (None, Owner::One(id), "/policy")
        }
        ["namespace", namespace] if is_name(namespace) => (None, Owner::Namespace(namespace.to_owned()), "/namespace"),
        ["namespace", namespace, "fail"] if is_name(namespace) => {
            (Some(FailurePolicy::Fail), Owner::Namespace(namespace.to_owned()), "/namespace/fail")
        }
        ["namespace", namespace, "ignore"] if is_name(namespace) => {
            (Some(FailurePolicy::Ignore), Owner::Namespace(namespace.to_owned()), "/namespace/ignore")
        }
        _ => return None,
    };
    Some(Route { question: Question::Policies(Selection { phase, group, owner }), label, phase: name })
}

/// DNS-1123: what a segment of a webhook's path may be.
fn is_name(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&segment.len())
        && segment.bytes().all(allowed)
        && !segment.starts_with('-')
        && !segment.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_asks_what_the_design_says() {
        use FailurePolicy::{Fail, Ignore};
        let one = |namespace: Option<&str>, name: &str| {
            Owner::One(PolicyId { namespace: namespace.map(str::to_owned), name: name.to_owned() })
        };
        let of = |namespace: &str| Owner::Namespace(namespace.to_owned());
        for (rest, group, owner) in [
            ("", None, Owner::Cluster),
            ("/fail", Some(Fail), Owner::Cluster),
            ("/ignore", Some(Ignore), Owner::Cluster),
            ("/policy/storage", None, one(None, "storage")),
            ("/policy/shop/storage", None, one(Some("shop"), "storage")),
            ("/namespace/shop", None, of("shop")),
            ("/namespace/shop/fail", Some(Fail), of("shop")),
            ("/namespace/shop/ignore", Some(Ignore), of("shop")),
            // A policy may have a group's name.
            ("/policy/fail", None, one(None, "fail")),
        ] {
            for (prefix, phase) in [("/validate", Phase::Validating), ("/mutate", Phase::Mutating)] {
                let expected = Selection { phase, group, owner: owner.clone() };
                assert_eq!(
                    route(&format!("{prefix}{rest}")).map(|route| route.question),
                    Some(Question::Policies(expected)),
                    "{prefix}{rest}"
                );
            }
        }
    }

    #[test]
    fn policy_objects_have_a_path_of_their_own() {
        assert_eq!(route("/policies").map(|route| route.question), Some(Question::Proposal));
    }

    #[test]
    fn other_paths_ask_nothing() {
        for path in [
            "",
            "/",
            "/validat",
            "/validate/",
            "/validate/fail/",
            "/validate/Fail",
            "/validate/policy",
            "/validate/policy/",
            "/validate/policy/A",
            "/validate/policy/a/b/c",
            "/validate/namespace",
            "/validate/namespace/shop/policy",
            "/validate/policy/-a",
            "/metrics",
            "/policies/",
            "/readyz",
            "/validate/policy/a%2Fb",
        ] {
            assert_eq!(route(path), None, "{path}");
        }
    }
}
