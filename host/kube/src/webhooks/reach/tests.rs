//! The algebra of rules, by example and by property; and what other tests of
//! webhooks make their rules and requests with.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use portcullis_core::matching::{Matcher, RuleMatch, Target};
use portcullis_core::policy::{PolicyId, PolicySpec};

use super::*;

/// A rule in the words of the contract.
pub(in crate::webhooks) fn rule(
    group: &str,
    versions: &[&str],
    resources: &[&str],
    operations: &[&str],
    scope: Scope,
) -> MatchRule {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    MatchRule {
        api_groups: vec![group.to_owned()],
        api_versions: words(versions),
        resources: words(resources),
        operations: words(operations),
        scope,
    }
}

pub(in crate::webhooks) fn document(name: &str, rules: Vec<MatchRule>) -> PolicyDocument {
    let mut spec = PolicySpec::of_module("builtin/x");
    spec.matching.resource_rules = rules;
    PolicyDocument { id: PolicyId::cluster(name), spec }
}

fn check(rules_in: &[MatchRule], expected: &str) {
    let atoms = rules_in.iter().flat_map(Atom::of).collect();
    let shown: Vec<String> = rules(&atoms).iter().map(shown).collect();
    assert_eq!(shown.join("\n"), expected);
}

pub(in crate::webhooks) fn shown(rule: &RuleWithOperations) -> String {
    let joined = |words: &Option<Vec<String>>| words.as_ref().unwrap().join(",");
    format!(
        "{}|{}|{}|{}|{}",
        joined(&rule.api_groups),
        joined(&rule.api_versions),
        joined(&rule.resources),
        joined(&rule.operations),
        rule.scope.as_ref().unwrap()
    )
}

#[test]
fn rules_are_few_and_say_the_same() {
    use Scope::{Any, Cluster, Namespaced};
    check(
        &[
            rule("apps", &["v1"], &["statefulsets"], &["CREATE"], Namespaced),
            rule("apps", &["v1"], &["deployments", "statefulsets"], &["UPDATE"], Namespaced),
            rule("apps", &["v1"], &["deployments"], &["CREATE"], Namespaced),
            rule("batch", &["v1"], &["jobs"], &["CREATE", "UPDATE", "DELETE", "CONNECT"], Any),
        ],
        "apps|v1|deployments,statefulsets|CREATE,UPDATE|Namespaced\nbatch|v1|jobs|*|*",
    );
    check(
        &[
            rule("", &["v1"], &["pods", "pods/*"], &["CREATE"], Cluster),
            rule("", &["v1"], &["pods"], &["CREATE"], Namespaced),
            rule("*", &["*"], &["*/scale"], &["UPDATE"], Any),
            rule("apps", &["v1"], &["deployments/scale"], &["UPDATE"], Any),
        ],
        "|v1|pods|CREATE|Namespaced\n|v1|pods/*|CREATE|Cluster\n*|*|*/scale|UPDATE|*",
    );
}

#[test]
fn a_document_narrows_what_its_policy_declares() {
    let declared = [rule("apps", &["v1"], &["statefulsets", "deployments"], &["*"], Scope::Namespaced)];
    let declared: BTreeSet<Atom> = declared.iter().flat_map(Atom::of).collect();
    let cases = [
        (rule("*", &["*"], &["*"], &["CREATE"], Scope::Any), "apps|v1|deployments,statefulsets|CREATE|Namespaced"),
        (rule("apps", &["v1", "v2"], &["statefulsets/*"], &["*"], Scope::Any), "apps|v1|statefulsets|*|Namespaced"),
        (rule("apps", &["v2"], &["statefulsets"], &["*"], Scope::Any), ""),
        (rule("apps", &["v1"], &["*"], &["*"], Scope::Cluster), ""),
        (rule("apps", &["v1"], &["*/scale"], &["*"], Scope::Any), ""),
    ];
    for (narrowed, expected) in cases {
        let both = intersection(&declared, &Atom::of(&narrowed));
        let found: Vec<String> = rules(&both).iter().map(shown).collect();
        assert_eq!(found.join("\n"), expected, "{narrowed:?}");
    }
}

#[test]
fn what_the_cluster_lives_on_is_never_named() {
    let of = |group: &str, resource: &str| {
        Atom::of(&rule(group, &["v1"], &[resource], &["CREATE"], Scope::Any)).iter().all(is_never)
    };
    assert!(of("coordination.k8s.io", "leases") && of("", "nodes") && of("", "nodes/status"));
    assert!(of("", "serviceaccounts/token") && !of("", "serviceaccounts") && !of("", "serviceaccounts/*"));
    assert!(of("portcullis.dev", "*/*") && of("admissionregistration.k8s.io", "*"));
    assert!(!of("", "namespaces") && !of("", "pods") && !of("*", "*") && !of("", "*"));
}

/// Rules over few words, so that they meet.
pub(in crate::webhooks) fn any_rule() -> impl Strategy<Value = MatchRule> {
    let resources = ["a", "b", "*", "a/*", "a/scale", "*/scale", "*/*", "b/scale"];
    let operations = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
    (
        prop_oneof![subsequence(vec!["", "g"], 1..=2), Just(vec!["*"])],
        prop_oneof![subsequence(vec!["v1", "v2", "v3"], 1..=3), Just(vec!["*"])],
        subsequence(resources.to_vec(), 1..=2),
        prop_oneof![subsequence(operations.to_vec(), 1..=3), Just(vec!["*"])],
        select(vec![Scope::Any, Scope::Cluster, Scope::Namespaced]),
    )
        .prop_map(|(groups, versions, resources, operations, scope)| {
            let words = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
            MatchRule {
                api_groups: words(groups),
                api_versions: words(versions),
                resources: words(resources),
                operations: words(operations),
                scope,
            }
        })
}

/// Every request that those rules can tell apart.
pub(in crate::webhooks) fn requests() -> Vec<Target<'static>> {
    let mut found = Vec::new();
    for group in ["", "g", "other"] {
        for version in ["v1", "v2", "v3", "v4"] {
            for resource in ["a", "b", "c"] {
                for subresource in [None, Some("scale"), Some("status")] {
                    for operation in OPERATIONS {
                        for namespace in ["", "shop"] {
                            let is_namespace = false;
                            found.push(Target {
                                group,
                                version,
                                resource,
                                subresource,
                                operation,
                                namespace,
                                is_namespace,
                            });
                        }
                    }
                }
            }
        }
    }
    found
}

/// What decides whether a webhook's rules match, as core reads rules; None
/// where there are none.
pub(in crate::webhooks) fn matcher(rules: &[RuleWithOperations]) -> Option<Matcher> {
    let rules: Vec<MatchRule> =
        rules.iter().map(|rule| serde_json::from_value(serde_json::to_value(rule).unwrap()).unwrap()).collect();
    (!rules.is_empty()).then(|| Matcher::new(&document("rules", rules), None).unwrap())
}

pub(in crate::webhooks) fn matched(matcher: &Option<Matcher>, target: Target<'_>) -> bool {
    matcher.as_ref().is_some_and(|matcher| matcher.rules(target) == RuleMatch::Yes)
}

proptest! {
    #[test]
    fn united_rules_match_what_one_of_the_policies_matches(
        policies in prop::collection::vec((any_rule(), any_rule()), 1..4)
    ) {
        let described = |declared: &MatchRule| Description {
            name: "x".to_owned(),
            version: String::new(),
            title: String::new(),
            phase: portcullis_core::contract::Phase::Validating,
            rules: Vec::new(),
            settings: serde_json::Value::Null,
            reach: portcullis_core::contract::Reach { matches: vec![declared.clone()], ..Default::default() },
            samples: Vec::new(),
        };
        let policies: Vec<(PolicyDocument, Description)> = policies
            .into_iter()
            .map(|(declared, narrowed)| (document("x", vec![narrowed]), described(&declared)))
            .collect();
        let matchers: Vec<Matcher> =
            policies.iter().map(|(document, description)| Matcher::new(document, Some(description)).unwrap()).collect();
        let atoms = policies.iter().flat_map(|(document, description)| match Reach::of(document, Some(description)) {
            Reach::Atoms(atoms) => atoms,
            Reach::Unknown => unreachable!(),
        }).collect();
        let united = rules(&atoms);
        let matcher = matcher(&united);
        for target in requests() {
            let one = matchers.iter().any(|matcher| matcher.rules(target) == RuleMatch::Yes);
            prop_assert_eq!(matched(&matcher, target), one, "{:?} by {:?}", target, united);
        }
    }
}
