//! What the service accounts may do: pure, from the kinds that policies in use
//! look at.
//!
//! Two accounts, so that what answers requests from everywhere can't write what
//! decides which requests it is asked about:
//!
//! - the serving pods read the kinds in reach, and nothing else; they keep
//!   Leases in their own namespace;
//! - the controller writes webhook configurations, by name where RBAC knows
//!   names, and the status of policies.
//!
//! Invariant: Secrets are in no rule of the cluster unless a policy looks them up,
//! and then in a role of their own that says for whom and what that means. In
//! their own namespace the pods read the one with their certificate, by its name,
//! and the controller keeps that and the CA's.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use portcullis_core::kinds::Kinds;
use portcullis_core::objects::group;
use serde::Serialize;
use serde_json::Value;

use crate::certificates::{CA_SECRET, SERVING_SECRET};
use crate::crd;
use crate::registrations::RECORD;
use crate::webhooks::{CONFIGURATIONS as OUR_CONFIGURATIONS, MANAGED_BY};

/// The account of the serving pods, and of their roles.
pub const SERVING: &str = "portcullis";
/// The account of the controller, and of its roles.
pub const CONTROLLER: &str = "portcullis-controller";
/// The role that lets the serving pods read Secrets, where a policy needs it.
pub const SECRETS: &str = "portcullis-secrets";
/// The role of the Helm chart's `rbac.extraRules`: kinds that policies of one's own look up.
pub const EXTRA: &str = "portcullis-extra";
/// The Lease by which one controller is elected.
pub const CONTROLLER_LEASE: &str = "portcullis-controller";
/// Where it is said which policies need a rule.
const NEEDED_BY: &str = "portcullis.dev/needed-by";
/// Where a rule's meaning is said.
const CAUTION: &str = "portcullis.dev/caution";
/// What a watch cache does with a kind.
const READ: [&str; 3] = ["get", "list", "watch"];

/// A kind that the serving pods look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    /// As in the object: `storage.k8s.io/v1`.
    pub api_version: String,
    /// As in the object.
    pub kind: String,
    /// The policies that need it; empty where the host itself does.
    pub why: BTreeSet<String>,
}

/// The service accounts, their roles and bindings, in the order in which they
/// are applied. `kinds` knows the resources of kinds, so far as anyone does.
#[must_use]
pub fn objects(watched: &[Watched], kinds: &Kinds, namespace: &str) -> Vec<Value> {
    let mut objects = vec![
        value(&account(SERVING, namespace)),
        value(&account(CONTROLLER, namespace)),
        value(&ClusterRole { metadata: meta(SERVING), rules: Some(serving(watched, kinds)), ..ClusterRole::default() }),
        value(&cluster_binding(SERVING, SERVING, namespace)),
        value(&Role { metadata: meta_in(SERVING, namespace), rules: Some(replicating()) }),
        value(&binding(SERVING, namespace)),
    ];
    if let Some(role) = secrets(watched) {
        objects.push(value(&role));
        objects.push(value(&cluster_binding(SECRETS, SERVING, namespace)));
    }
    objects.extend([
        value(&ClusterRole { metadata: meta(CONTROLLER), rules: Some(controlling()), ..ClusterRole::default() }),
        value(&cluster_binding(CONTROLLER, CONTROLLER, namespace)),
        value(&Role { metadata: meta_in(CONTROLLER, namespace), rules: Some(leading()) }),
        value(&binding(CONTROLLER, namespace)),
    ]);
    objects
}

/// Get, list and watch of every kind that is looked at, but for Secrets.
fn serving(watched: &[Watched], kinds: &Kinds) -> Vec<PolicyRule> {
    let mut by_group: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |group: &str, plural: &str| {
        by_group.entry(group.to_owned()).or_default().insert(plural.to_owned());
    };
    // Whose labels namespaceSelector looks at.
    add("", "namespaces");
    for plural in ["clusterpolicies", "policies"] {
        add(crd::GROUP, plural);
    }
    for one in watched.iter().filter(|one| !is_secret(one)) {
        let group = group(&one.api_version);
        add(group, &kinds.resource(group, &one.kind).plural);
    }
    // Groups with the same verbs stay apart: a rule is a product.
    by_group.into_iter().map(|(group, plurals)| rule(&group, plurals, &READ)).collect()
}

/// The role that reads Secrets, where a policy looks them up.
fn secrets(watched: &[Watched]) -> Option<ClusterRole> {
    let why: BTreeSet<&str> =
        watched.iter().filter(|one| is_secret(one)).flat_map(|one| &one.why).map(String::as_str).collect();
    if !watched.iter().any(is_secret) {
        return None;
    }
    let mut metadata = meta(SECRETS);
    let why: Vec<&str> = why.into_iter().collect();
    let caution = "RBAC can't tell a Secret's metadata from its values: whoever has this account may read every Secret of \
                   the cluster. Without this role the policies that need it are undecided where they look a Secret up.";
    metadata.annotations =
        Some(BTreeMap::from([(NEEDED_BY.to_owned(), why.join(", ")), (CAUTION.to_owned(), caution.to_owned())]));
    Some(ClusterRole { metadata, rules: Some(vec![rule("", ["secrets"], &READ)]), ..ClusterRole::default() })
}

fn is_secret(watched: &Watched) -> bool {
    watched.kind == "Secret" && group(&watched.api_version).is_empty()
}

/// Each replica says in a Lease what it runs; its name is its pod's, which no
/// rule can know beforehand. The controller's it follows, to know when it may
/// drop a policy. Its certificate it takes from a Secret.
fn replicating() -> Vec<PolicyRule> {
    const LEASES: &str = "coordination.k8s.io";
    vec![
        rule(LEASES, ["leases"], &["create", "get", "patch", "delete"]),
        named([CONTROLLER_LEASE], rule(LEASES, ["leases"], &["list", "watch"])),
        named([SERVING_SECRET], rule("", ["secrets"], &READ)),
    ]
}

/// What the controller does in the cluster.
fn controlling() -> Vec<PolicyRule> {
    const REGISTRATION: &str = "admissionregistration.k8s.io";
    const CONFIGURATIONS: [&str; 2] = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
    const ROLES: &str = "rbac.authorization.k8s.io";
    vec![
        rule(crd::GROUP, ["clusterpolicies", "policies"], &READ),
        // The initial policies, once; what becomes of them is the administrator's.
        rule(crd::GROUP, ["clusterpolicies", "policies"], &["create"]),
        rule(crd::GROUP, ["clusterpolicies/status", "policies/status"], &["get", "patch"]),
        // RBAC knows no name of what is not there yet.
        rule(REGISTRATION, CONFIGURATIONS, &["create"]),
        named(OUR_CONFIGURATIONS, rule(REGISTRATION, CONFIGURATIONS, &["get", "patch", "delete"])),
        // Whether a policy could keep the cluster's network, volumes or names from coming back.
        rule("apps", ["daemonsets", "deployments", "statefulsets"], &["list"]),
        rule("", ["namespaces"], &["list"]),
        // The configurations are owned by its own role, by uid.
        named([CONTROLLER], rule(ROLES, ["clusterroles"], &["get"])),
    ]
}

/// What the controller does in its own namespace: it is elected, follows what
/// the replicas say of themselves, and keeps CA and serving certificate.
fn leading() -> Vec<PolicyRule> {
    const LEASES: &str = "coordination.k8s.io";
    vec![
        rule(LEASES, ["leases"], &["create", "get", "list", "watch"]),
        named([CONTROLLER_LEASE], rule(LEASES, ["leases"], &["update"])),
        // RBAC knows no name of what is not there yet: the record of what is registered
        // and of a break-glass, the CA and the serving certificate.
        rule("", ["configmaps", "secrets"], &["create"]),
        named([RECORD], rule("", ["configmaps"], &["get", "update"])),
        named([CA_SECRET, SERVING_SECRET], rule("", ["secrets"], &["get", "list", "watch", "update"])),
    ]
}

fn named<const COUNT: usize>(names: [&str; COUNT], rule: PolicyRule) -> PolicyRule {
    PolicyRule { resource_names: Some(names.map(str::to_owned).to_vec()), ..rule }
}

fn rule<S: Into<String>>(group: &str, resources: impl IntoIterator<Item = S>, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(resources.into_iter().map(Into::into).collect()),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}

fn account(name: &str, namespace: &str) -> ServiceAccount {
    ServiceAccount { metadata: meta_in(name, namespace), ..ServiceAccount::default() }
}

fn cluster_binding(role: &str, account: &str, namespace: &str) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: meta(role),
        role_ref: reference("ClusterRole", role),
        subjects: Some(vec![subject(account, namespace)]),
    }
}

fn binding(name: &str, namespace: &str) -> RoleBinding {
    RoleBinding {
        metadata: meta_in(name, namespace),
        role_ref: reference("Role", name),
        subjects: Some(vec![subject(name, namespace)]),
    }
}

fn reference(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: Some("rbac.authorization.k8s.io".to_owned()), kind: kind.to_owned(), name: name.to_owned() }
}

fn subject(account: &str, namespace: &str) -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: account.to_owned(),
        namespace: Some(namespace.to_owned()),
        ..Subject::default()
    }
}

fn meta(name: &str) -> ObjectMeta {
    let (key, value) = MANAGED_BY;
    let labels = [(key, value), ("app.kubernetes.io/name", "portcullis")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    ObjectMeta { name: Some(name.to_owned()), labels: Some(labels.into()), ..ObjectMeta::default() }
}

fn meta_in(name: &str, namespace: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some(namespace.to_owned()), ..meta(name) }
}

/// An object as JSON, which has its apiVersion and kind.
fn value<K: Serialize>(object: &K) -> Value {
    // Objects of the API have string keys and finite numbers: they serialise.
    serde_json::to_value(object).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn watched(api_version: &str, kind: &str, why: &[&str]) -> Watched {
        Watched {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            why: why.iter().map(|policy| (*policy).to_owned()).collect(),
        }
    }

    fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> Option<&'a Value> {
        objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    }

    /// Each rule as `group: resources: verbs`.
    fn rules(role: &Value) -> Vec<String> {
        let joined = |value: &Value| {
            let words: Vec<&str> = value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
            words.join(",")
        };
        let shown = |rule: &Value| {
            format!("{}: {}: {}", joined(&rule["apiGroups"]), joined(&rule["resources"]), joined(&rule["verbs"]))
        };
        role["rules"].as_array().unwrap().iter().map(shown).collect()
    }

    #[test]
    fn serving_pods_read_what_is_in_reach_and_write_no_configuration() {
        let kinds = [
            watched("storage.k8s.io/v1", "StorageClass", &["a"]),
            watched("v1", "Service", &["a", "b"]),
            watched("apps/v1", "StatefulSet", &[]),
            watched("mongodbcommunity.mongodb.com/v1", "MongoDBCommunity", &["b"]),
        ];
        let objects = objects(&kinds, &Kinds::default(), "portcullis-system");
        let role = find(&objects, "ClusterRole", SERVING).unwrap();
        assert_eq!(
            rules(role),
            [
                ": namespaces,services: get,list,watch",
                "apps: statefulsets: get,list,watch",
                "mongodbcommunity.mongodb.com: mongodbcommunity: get,list,watch",
                "portcullis.dev: clusterpolicies,policies: get,list,watch",
                "storage.k8s.io: storageclasses: get,list,watch",
            ]
        );
        assert!(find(&objects, "ClusterRole", SECRETS).is_none());
        let cluster = objects.iter().filter(|object| object["kind"] == "ClusterRole");
        assert!(cluster.into_iter().all(|object| !object.to_string().contains("secrets")));
    }

    #[test]
    fn in_their_own_namespace_two_secrets_are_read_by_name() {
        let objects = objects(&[], &Kinds::default(), "portcullis-system");
        for (name, secrets) in [(SERVING, vec![SERVING_SECRET]), (CONTROLLER, vec![CA_SECRET, SERVING_SECRET])] {
            let role = find(&objects, "Role", name).unwrap();
            let rules = role["rules"].as_array().unwrap().iter().filter(|rule| rule["resources"][0] == "secrets");
            for rule in rules.filter(|rule| rule["verbs"] != serde_json::json!(["create"])) {
                assert_eq!(rule["resourceNames"], serde_json::json!(secrets), "{name}");
            }
        }
        let serving = find(&objects, "Role", SERVING).unwrap();
        assert!(rules(serving).contains(&": secrets: get,list,watch".to_owned()));
        assert!(!serving.to_string().contains(CA_SECRET), "the CA's key is the controller's alone");
    }

    #[test]
    fn secrets_have_a_role_of_their_own_that_says_for_whom() {
        let kinds = [watched("v1", "Secret", &["ingress-tls", "shop/own"]), watched("other.io/v1", "Secret", &["x"])];
        let objects = objects(&kinds, &Kinds::default(), "portcullis-system");
        let role = find(&objects, "ClusterRole", SECRETS).unwrap();
        assert_eq!(rules(role), [": secrets: get,list,watch"]);
        assert_eq!(role["metadata"]["annotations"][NEEDED_BY], "ingress-tls, shop/own");
        let binding = find(&objects, "ClusterRoleBinding", SECRETS).unwrap();
        assert_eq!(binding["subjects"][0]["name"], SERVING);
        let serving = find(&objects, "ClusterRole", SERVING).unwrap();
        assert!(rules(serving).contains(&"other.io: secrets: get,list,watch".to_owned()), "another kind of that name");
    }

    #[test]
    fn configurations_are_written_by_name_wherever_rbac_knows_names() {
        let objects = objects(&[], &Kinds::default(), "portcullis-system");
        let role = find(&objects, "ClusterRole", CONTROLLER).unwrap();
        for rule in role["rules"].as_array().unwrap() {
            let group = rule["apiGroups"][0].as_str().unwrap();
            let registration = ["admissionregistration.k8s.io", "rbac.authorization.k8s.io"].contains(&group);
            let only_create = rule["verbs"].as_array().unwrap().as_slice() == ["create"];
            assert_eq!(rule.get("resourceNames").is_some(), registration && !only_create, "{rule}");
            assert!(!rule.to_string().contains('*'), "{rule}");
        }
    }
}
