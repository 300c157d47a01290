//! What configurations say for given policies.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fmt::Write;
use std::time::Duration;

use portcullis_core::contract::{MatchRule, Reach as Declared, Scope};
use portcullis_core::policy::{Exclude, LabelSelector};

use super::reach::tests::{document, rule, shown};
use super::*;

fn sets() -> MatchRule {
    rule("apps", &["v1"], &["statefulsets"], &["CREATE", "UPDATE"], Scope::Namespaced)
}

fn hpa(version: &str) -> MatchRule {
    rule("autoscaling", &[version], &["horizontalpodautoscalers"], &["*"], Scope::Namespaced)
}

fn describing(phase: Phase, matches: Vec<MatchRule>) -> Description {
    Description {
        name: "x".to_owned(),
        version: String::new(),
        title: String::new(),
        phase,
        rules: Vec::new(),
        settings: serde_json::Value::Null,
        reach: Declared { matches, ..Declared::default() },
        samples: Vec::new(),
    }
}

fn excluding(name: &str, rules: Vec<MatchRule>, exclude: Exclude) -> PolicyDocument {
    let mut document = document(name, rules);
    document.spec.matching.exclude = exclude;
    document
}

fn in_namespace(namespace: &str, mut document: PolicyDocument) -> PolicyDocument {
    document.id.namespace = Some(namespace.to_owned());
    document
}

fn register(policies: &[(PolicyDocument, Option<Description>)]) -> Registrations {
    let policies: Vec<Registered<'_>> = policies
        .iter()
        .map(|(document, description)| Registered { document, description: description.as_ref() })
        .collect();
    let endpoint =
        Endpoint::Service { name: "portcullis".to_owned(), namespace: "portcullis-system".to_owned(), port: 443 };
    let exempt = exempt_namespaces();
    let options = Options {
        endpoint: &endpoint,
        ca_bundle: None,
        inject_ca_from: None,
        exempt_namespaces: &exempt,
        served: None,
        owner_uid: None,
    };
    registrations(&policies, &options)
}

/// Each webhook in a few lines.
fn overview(registrations: &Registrations) -> String {
    let mut out = String::new();
    for configuration in &registrations.validating {
        for webhook in configuration.webhooks.iter().flatten() {
            let path = webhook.client_config.service.as_ref().unwrap().path.clone().unwrap();
            let seconds = webhook.timeout_seconds.unwrap();
            writeln!(out, "{} {path} {seconds}s", webhook.name).unwrap();
            for rule in webhook.rules.iter().flatten() {
                writeln!(out, "  {}", shown(rule)).unwrap();
            }
            for condition in webhook.match_conditions.iter().flatten() {
                writeln!(out, "  {}: {}", condition.name, condition.expression).unwrap();
            }
        }
    }
    for configuration in &registrations.mutating {
        for webhook in configuration.webhooks.iter().flatten() {
            let seconds = webhook.timeout_seconds.unwrap();
            writeln!(out, "{} {:?} {seconds}s", webhook.name, webhook.reinvocation_policy).unwrap();
        }
    }
    for left_out in &registrations.left_out {
        writeln!(out, "{}: {}", left_out.policy, left_out.reason).unwrap();
    }
    out
}

#[test]
fn one_webhook_a_phase_failure_policy_and_owner() {
    let mut ignoring = document("c", vec![sets()]);
    ignoring.spec.failure_policy = FailurePolicy::Ignore;
    let policies = [
        (document("b", vec![sets()]), None),
        (document("a", vec![hpa("v2")]), None),
        (ignoring, None),
        (in_namespace("shop", document("d", vec![sets()])), None),
        (document("e", vec![]), Some(describing(Phase::Mutating, vec![sets()]))),
    ];
    let expected = "\
fail.validate.portcullis.dev /validate/fail 5s
  apps|v1|statefulsets|CREATE,UPDATE|Namespaced
  autoscaling|v2|horizontalpodautoscalers|*|Namespaced
ignore.validate.portcullis.dev /validate/ignore 5s
  apps|v1|statefulsets|CREATE,UPDATE|Namespaced
shop.fail.validate.portcullis.dev /validate/namespace/shop/fail 5s
  apps|v1|statefulsets|CREATE,UPDATE|Namespaced
fail.mutate.portcullis.dev Some(\"IfNeeded\") 5s
";
    let registered = register(&policies);
    assert_eq!(overview(&registered), expected);
    let mut reversed = policies.to_vec();
    reversed.reverse();
    assert_eq!(register(&reversed), registered, "whatever the order");
    assert_eq!(register(&[]), Registrations::default());
}

#[test]
fn policies_of_other_versions_have_a_webhook_of_the_same_path() {
    let policies = [(document("a", vec![hpa("v1")]), None), (document("b", vec![hpa("v2"), sets()]), None)];
    let expected = "\
fail.validate.portcullis.dev /validate/fail 5s
  autoscaling|v1|horizontalpodautoscalers|*|Namespaced
fail-2.validate.portcullis.dev /validate/fail 5s
  apps|v1|statefulsets|CREATE,UPDATE|Namespaced
  autoscaling|v2|horizontalpodautoscalers|*|Namespaced
";
    assert_eq!(overview(&register(&policies)), expected);
}

#[test]
fn a_policy_of_unknown_reach_is_by_itself_and_leaves_the_cluster_alone() {
    let policies = [(document("a", vec![]), None), (document("b", vec![sets()]), None)];
    let expected = "\
fail.validate.portcullis.dev /validate/fail 5s
  apps|v1|statefulsets|CREATE,UPDATE|Namespaced
fail-2.validate.portcullis.dev /validate/fail 5s
  *|*|*/*|*|Namespaced
  not-vital-groups: !(request.resource.group in ['events.k8s.io', 'coordination.k8s.io', 'authentication.k8s.io', 'authorization.k8s.io', 'admissionregistration.k8s.io', 'apiextensions.k8s.io', 'apiregistration.k8s.io', 'portcullis.dev'])
  not-vital-resources: !(request.resource.group == '' && request.resource.resource in ['namespaces', 'nodes', 'events', 'bindings'])
  not-tokens: !(request.resource.group == '' && request.resource.resource == 'serviceaccounts' && has(request.subResource) && request.subResource == 'token')
fail-cluster-2.validate.portcullis.dev /validate/fail 5s
  *|*|*/*|*|Cluster
  not-vital-groups: !(request.resource.group in ['events.k8s.io', 'coordination.k8s.io', 'authentication.k8s.io', 'authorization.k8s.io', 'admissionregistration.k8s.io', 'apiextensions.k8s.io', 'apiregistration.k8s.io', 'portcullis.dev'])
  not-vital-resources: !(request.resource.group == '' && request.resource.resource in ['namespaces', 'nodes', 'events', 'bindings'])
";
    assert_eq!(overview(&register(&policies)), expected);
}

#[test]
fn what_controllers_write_of_cluster_scoped_kinds_passes_where_nobody_answers() {
    let classes = rule("storage.k8s.io", &["v1"], &["storageclasses"], &["CREATE"], Scope::Any);
    let roles = rule("rbac.authorization.k8s.io", &["v1"], &["clusterroles"], &["CREATE"], Scope::Any);
    let every = rule("*", &["*"], &["*"], &["*"], Scope::Any);
    let policies = [(document("a", vec![sets(), classes.clone()]), None)];
    let expected = "\
fail.validate.portcullis.dev /validate/fail 5s
  apps|v1|statefulsets|CREATE,UPDATE|Namespaced
fail-cluster.validate.portcullis.dev /validate/fail 5s
  storage.k8s.io|v1|storageclasses|CREATE|Cluster
";
    assert_eq!(overview(&register(&policies)), expected);
    // A document that insists, and one that names kinds which objects of the installation are of.
    let mut insisting = document("a", vec![classes]);
    insisting.spec.fail_closed_cluster_scoped = true;
    let policies = [(insisting, None), (document("b", vec![roles, every]), None)];
    let found = overview(&register(&policies));
    let lines: Vec<&str> = found.lines().filter(|line| !line.starts_with("  not-vital")).collect();
    let own = "((has(request.name) && ((request.resource.group == 'rbac.authorization.k8s.io' && request.resource.resource in ['clusterroles', 'clusterrolebindings'] && request.name in ['portcullis', 'portcullis-controller', 'portcullis-secrets', 'portcullis-extra']) || (request.resource.group == 'apiextensions.k8s.io' && request.resource.resource in ['customresourcedefinitions'] && request.name in ['clusterpolicies.portcullis.dev', 'policies.portcullis.dev']) || (request.resource.group == 'scheduling.k8s.io' && request.resource.resource in ['priorityclasses'] && request.name in ['portcullis']))) || (request.resource.group == 'certificates.k8s.io' && request.resource.resource in ['certificatesigningrequests']) || (request.resource.group == 'networking.k8s.io' && request.resource.resource in ['ipaddresses']) || (request.resource.group == 'storage.k8s.io' && request.resource.resource in ['csinodes']))";
    let expected = format!(
        "\
fail.validate.portcullis.dev /validate/fail 5s
  storage.k8s.io|v1|storageclasses|CREATE|Cluster
fail-2.validate.portcullis.dev /validate/fail 5s
  *|*|*|*|Namespaced
  rbac.authorization.k8s.io|v1|clusterroles|CREATE|*
  not-own: !{own}
fail-cluster-2.validate.portcullis.dev /validate/fail 5s
  *|*|*|*|Cluster
  own-or-not-closed: {own} || !((request.resource.group in ['rbac.authorization.k8s.io'] && request.resource.version in ['v1'] && ((request.resource.resource == 'clusterroles' && (has(request.subResource) ? request.subResource : '') == '')) && request.operation in ['CREATE']))"
    );
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn our_own_kinds_are_asked_about_before_there_is_a_policy() {
    let endpoint = Endpoint::Url("https://127.0.0.1:8443/".to_owned());
    let options = Options {
        endpoint: &endpoint,
        ca_bundle: None,
        inject_ca_from: None,
        exempt_namespaces: &[],
        served: None,
        owner_uid: Some("a-role"),
    };
    let own = own_policies(&options);
    let webhook = &own.webhooks.as_ref().unwrap()[0];
    assert_eq!((webhook.name.as_str(), webhook.failure_policy.as_deref()), ("policies.portcullis.dev", Some("Ignore")));
    assert_eq!(webhook.client_config.url.as_deref(), Some("https://127.0.0.1:8443/policies"));
    let rules: Vec<String> = webhook.rules.iter().flatten().map(shown).collect();
    assert_eq!(rules, ["portcullis.dev|v1alpha1|clusterpolicies,policies|CREATE,UPDATE|*"]);
    let owner = &own.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.name.as_str(), owner.uid.as_str()),
        ("ClusterRole", "portcullis-controller", "a-role")
    );
    assert!(owner.block_owner_deletion.is_none());
}

#[test]
fn the_control_plane_s_namespaces_are_exempt_whatever_is_named() {
    let endpoint = Endpoint::Url("https://127.0.0.1:8443".to_owned());
    let exempt = ["elsewhere".to_owned()];
    let options = Options {
        endpoint: &endpoint,
        ca_bundle: None,
        inject_ca_from: None,
        exempt_namespaces: &exempt,
        served: None,
        owner_uid: None,
    };
    let document = document("a", vec![sets()]);
    let registered = registrations(&[Registered { document: &document, description: None }], &options);
    let selector = registered.validating[0].webhooks.as_ref().unwrap()[0].namespace_selector.as_ref().unwrap();
    let values = selector.match_expressions.as_ref().unwrap()[0].values.as_ref().unwrap();
    assert_eq!(values, &["elsewhere", "kube-node-lease", "kube-system"]);
}

#[test]
fn what_is_left_out_is_said() {
    let vital = rule("coordination.k8s.io", &["v1"], &["leases"], &["*"], Scope::Any);
    let classes = rule("storage.k8s.io", &["v1"], &["storageclasses"], &["*"], Scope::Cluster);
    let policies = [
        (document("a", vec![sets(), vital.clone()]), None),
        (document("b", vec![vital]), None),
        (in_namespace("kube-system", document("c", vec![sets()])), None),
        (in_namespace("shop", document("d", vec![classes])), None),
        (document("e", vec![hpa("v9")]), Some(describing(Phase::Validating, vec![sets()]))),
    ];
    let expected = "\
fail.validate.portcullis.dev /validate/fail 5s
  apps|v1|statefulsets|CREATE,UPDATE|Namespaced
a: leases.coordination.k8s.io are never reviewed: the cluster or the engine can't go on without them
b: leases.coordination.k8s.io are never reviewed: the cluster or the engine can't go on without them
e: spec.match.resourceRules leaves nothing of what the policy declares, so it is never asked
kube-system/c: the namespace kube-system is exempt, so that the engine can't keep the cluster from recovering
shop/d: it matches only cluster-scoped objects, and a Policy judges its own namespace
";
    assert_eq!(overview(&register(&policies)), expected);
}

#[test]
fn what_all_policies_exclude_is_excluded_before_the_call() {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let exclude = |namespaces: &[&str], users: &[&str], groups: &[&str], accounts: &[&str]| Exclude {
        namespaces: words(namespaces),
        users: words(users),
        groups: words(groups),
        service_accounts: words(accounts),
    };
    let policies = [
        (excluding("a", vec![sets()], exclude(&["x", "y"], &["u'", "v"], &["g"], &["n/s"])), None),
        (
            excluding(
                "b",
                vec![sets()],
                exclude(&["y", "no name"], &["u'", "system:serviceaccount:n:s"], &["g", "h"], &[]),
            ),
            None,
        ),
    ];
    let registered = register(&policies);
    let expected = "\
fail.validate.portcullis.dev /validate/fail 5s
  apps|v1|statefulsets|CREATE,UPDATE|Namespaced
  not-excluded-users: !(has(request.userInfo.username) && request.userInfo.username in ['system:serviceaccount:n:s', 'u\\''])
  not-excluded-groups: !(has(request.userInfo.groups) && request.userInfo.groups.exists(group, group in ['g']))
";
    assert_eq!(overview(&registered), expected);
    let webhook = &registered.validating[0].webhooks.as_ref().unwrap()[0];
    let selector = webhook.namespace_selector.as_ref().unwrap();
    let requirement = &selector.match_expressions.as_ref().unwrap()[0];
    let expected = words(&["kube-node-lease", "kube-public", "kube-system", "portcullis-system", "y"]);
    assert_eq!(requirement.values, Some(expected), "and the exempt namespaces");
}

#[test]
fn selectors_are_shared_or_left_to_the_host() {
    let by = |label: &str| LabelSelector {
        match_labels: [(label.to_owned(), "1".to_owned())].into(),
        ..LabelSelector::default()
    };
    let selecting = |name: &str, rules: Vec<MatchRule>, namespaces: LabelSelector, objects: LabelSelector| {
        let mut document = document(name, rules);
        document.spec.matching.namespace_selector = namespaces;
        document.spec.matching.object_selector = objects;
        (document, None)
    };
    let scale = rule("apps", &["v1"], &["statefulsets/scale"], &["UPDATE"], Scope::Namespaced);
    let status = rule("apps", &["v1"], &["statefulsets/status"], &["UPDATE"], Scope::Namespaced);
    let check = |policies: Vec<(PolicyDocument, Option<Description>)>, namespaces: bool, objects: bool| {
        let registered = register(&policies);
        let webhook = &registered.validating[0].webhooks.as_ref().unwrap()[0];
        assert_eq!(webhook.namespace_selector.as_ref().unwrap().match_labels.is_some(), namespaces);
        assert_eq!(webhook.object_selector.as_ref().unwrap().match_labels.is_some(), objects);
    };
    check(
        vec![selecting("a", vec![sets()], by("n"), by("o")), selecting("b", vec![status], by("n"), by("o"))],
        true,
        true,
    );
    check(
        vec![selecting("a", vec![sets()], by("n"), by("o")), selecting("b", vec![scale], by("n"), by("o"))],
        true,
        false,
    );
    check(
        vec![selecting("a", vec![sets()], by("n"), by("o")), selecting("b", vec![sets()], by("m"), by("p"))],
        false,
        false,
    );
    check(vec![selecting("a", vec![sets()], by("not a label"), by("Not.A/label"))], false, false);
}

#[test]
fn a_call_has_the_time_that_its_policies_may_take() {
    let taking = |name: &str, millis: u64, phase: Phase| {
        let mut document = document(name, vec![sets()]);
        document.spec.timeout = Duration::from_millis(millis);
        (document, Some(describing(phase, vec![sets()])))
    };
    let seconds = |policies: &[(PolicyDocument, Option<Description>)]| {
        let registered = register(policies);
        let validating = registered.validating.iter().flat_map(|one| one.webhooks.iter().flatten());
        let mutating = registered.mutating.iter().flat_map(|one| one.webhooks.iter().flatten());
        let found = validating.map(|one| one.timeout_seconds).chain(mutating.map(|one| one.timeout_seconds));
        found.flatten().collect::<Vec<_>>()
    };
    use Phase::{Mutating, Validating};
    assert_eq!(seconds(&[taking("a", 200, Validating)]), [5]);
    assert_eq!(seconds(&[taking("a", 3_500, Validating), taking("b", 3_500, Validating)]), [6]);
    assert_eq!(seconds(&[taking("a", 3_500, Mutating), taking("b", 3_500, Mutating)]), [10]);
    assert_eq!(seconds(&[taking("a", 30_000, Validating)]), [10]);
}

#[test]
fn many_policies_of_few_kinds_make_one_webhook_of_few_rules() {
    let kinds: Vec<String> = (0..100).map(|number| format!("databases{number:03}")).collect();
    let resources: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let policies: Vec<(PolicyDocument, Option<Description>)> = (0..200)
        .map(|number| {
            let few = resources.iter().skip(number % 7).copied().collect::<Vec<_>>();
            let rule = rule("example.com", &["v1"], &few, &["CREATE", "UPDATE"], Scope::Namespaced);
            (document(&format!("p{number:03}"), vec![]), Some(describing(Phase::Validating, vec![rule, sets()])))
        })
        .collect();
    let registered = register(&policies);
    let webhooks = registered.validating[0].webhooks.as_ref().unwrap();
    assert_eq!(webhooks.len(), 1);
    assert_eq!(webhooks[0].rules.as_ref().unwrap().len(), 2, "one a group");
}
