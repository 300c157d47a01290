//! Webhooks as the API server takes them.
//!
//! Every field is written out, also where it is the API server's default, so
//! that what is there can be compared with what should be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference,
    ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use portcullis_core::contract::Phase;
use portcullis_core::policy::PolicyDocument;

use super::apart::Apart;
use super::reach::{Atom, rules};
use super::{Endpoint, Options, narrowed};
use crate::{crd, rbac};

/// The configurations that ask for ClusterPolicies.
pub const CLUSTER_POLICIES: &str = "portcullis";
/// The configurations that ask for Policies of namespaces.
pub const NAMESPACED_POLICIES: &str = "portcullis-namespaces";
/// The label of what is ours, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "portcullis");
/// What cert-manager's injector looks at.
pub(super) const INJECT_CA_FROM: &str = "cert-manager.io/inject-ca-from";
/// Our part of a webhook's name.
const DOMAIN: &str = "portcullis.dev";
/// The least that a call may take: a replica that is being replaced or a busy
/// node takes a second or two, and the host keeps a quarter for the network.
const MIN_TIMEOUT: u64 = 5;
/// The most: every write waits for it, and longer than the API server's own
/// default helps nobody.
pub(super) const MAX_TIMEOUT: u64 = 10;

/// The configuration that asks about our own kinds.
pub const OWN_POLICIES: &str = "portcullis-policies";
/// The path at which the server judges policy objects.
pub const OWN_POLICIES_PATH: &str = "/policies";
/// Every name that a configuration of ours can have.
pub const CONFIGURATIONS: [&str; 3] = [CLUSTER_POLICIES, NAMESPACED_POLICIES, OWN_POLICIES];

/// What it means for a request that nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It is refused.
    Fail,
    /// It passes, though the policies are those that fail closed: see [`super::apart`].
    FailCluster,
    /// It passes.
    Ignore,
}

/// What a webhook asks, and for whom.
pub(super) struct Asked<'a> {
    /// All of one phase and failure policy, of the cluster or of one namespace.
    pub(super) documents: &'a [&'a PolicyDocument],
    pub(super) namespace: Option<&'a str>,
    pub(super) phase: Phase,
    pub(super) unanswered: Unanswered,
    /// Counts those that differ by nothing but versions.
    pub(super) place: usize,
    pub(super) atoms: &'a BTreeSet<Atom>,
    /// Of no policy is known what it matches.
    pub(super) is_unknown: bool,
    /// What parts it from its sibling.
    pub(super) apart: Option<&'a Apart>,
}

/// One webhook, of either phase.
pub(super) struct Webhook {
    name: String,
    is_namespaced: bool,
    path: String,
    failure_policy: &'static str,
    timeout_seconds: i32,
    rules: Vec<RuleWithOperations>,
    namespace_selector: LabelSelector,
    object_selector: LabelSelector,
    match_conditions: Vec<MatchCondition>,
}

impl Webhook {
    pub(super) fn new(asked: &Asked<'_>, options: &Options<'_>) -> Webhook {
        let Asked { documents, namespace, phase, atoms, .. } = *asked;
        let (failure_policy, word, label) = match asked.unanswered {
            Unanswered::Fail => ("Fail", "fail", "fail"),
            Unanswered::FailCluster => ("Ignore", "fail", "fail-cluster"),
            Unanswered::Ignore => ("Ignore", "ignore", "ignore"),
        };
        let verb = match phase {
            Phase::Validating => "validate",
            Phase::Mutating => "mutate",
        };
        let number = if asked.place == 0 { String::new() } else { format!("-{}", asked.place + 1) };
        let prefix = namespace.map(|namespace| format!("{namespace}.")).unwrap_or_default();
        let path = match namespace {
            Some(namespace) => format!("/{verb}/namespace/{namespace}/{word}"),
            None => format!("/{verb}/{word}"),
        };
        Webhook {
            name: format!("{prefix}{label}{number}.{verb}.{DOMAIN}"),
            is_namespaced: namespace.is_some(),
            path,
            failure_policy,
            timeout_seconds: timeout(phase, documents),
            rules: rules(atoms),
            namespace_selector: narrowed::namespace_selector(namespace, documents, options.exempt_namespaces),
            object_selector: narrowed::object_selector(documents, atoms),
            match_conditions: narrowed::match_conditions(asked),
        }
    }

    fn match_conditions(&self) -> Option<Vec<MatchCondition>> {
        Some(self.match_conditions.clone()).filter(|conditions| !conditions.is_empty())
    }
}

/// Where a path is called.
fn client_config(path: &str, options: &Options<'_>) -> WebhookClientConfig {
    let ca_bundle = options.ca_bundle.map(|bundle| ByteString(bundle.to_vec()));
    match options.endpoint {
        Endpoint::Service { name, namespace, port } => WebhookClientConfig {
            ca_bundle,
            service: Some(ServiceReference {
                name: name.clone(),
                namespace: namespace.clone(),
                port: Some(*port),
                path: Some(path.to_owned()),
            }),
            url: None,
        },
        Endpoint::Url(base) => {
            WebhookClientConfig { ca_bundle, service: None, url: Some(format!("{}{path}", base.trim_end_matches('/'))) }
        }
    }
}

/// The configuration that has policy objects judged before they count. Nobody
/// who mends a policy may wait for a replica, so what isn't answered passes; the
/// controller says in the status what it would have said.
#[must_use]
pub fn own_policies(options: &Options<'_>) -> ValidatingWebhookConfiguration {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let rule = RuleWithOperations {
        api_groups: words(&[crd::GROUP]),
        api_versions: words(&[crd::VERSION]),
        resources: words(&["clusterpolicies", "policies"]),
        operations: words(&["CREATE", "UPDATE"]),
        scope: Some("*".to_owned()),
    };
    let webhook = ValidatingWebhook {
        admission_review_versions: vec!["v1".to_owned()],
        client_config: client_config(OWN_POLICIES_PATH, options),
        failure_policy: Some("Ignore".to_owned()),
        match_conditions: None,
        match_policy: Some("Equivalent".to_owned()),
        name: format!("policies.{DOMAIN}"),
        namespace_selector: Some(LabelSelector::default()),
        object_selector: Some(LabelSelector::default()),
        rules: Some(vec![rule]),
        side_effects: "None".to_owned(),
        timeout_seconds: i32::try_from(MAX_TIMEOUT).ok(),
    };
    ValidatingWebhookConfiguration { metadata: metadata(OWN_POLICIES, options), webhooks: Some(vec![webhook]) }
}

/// Seconds that a call may take. Policies judge side by side, so the slowest
/// counts, and edit one after the other, so their sum does; a second for the
/// way, and a third on top because the host answers before the time is up.
pub(super) fn timeout(phase: Phase, documents: &[&PolicyDocument]) -> i32 {
    let times = documents.iter().map(|document| document.spec.timeout);
    let longest: Duration = match phase {
        Phase::Validating => times.max().unwrap_or_default(),
        Phase::Mutating => times.sum(),
    };
    let seconds = (longest + Duration::from_secs(1)).mul_f64(4.0 / 3.0).as_secs_f64().ceil();
    let bounded = (MIN_TIMEOUT..=MAX_TIMEOUT).find(|bound| seconds <= *bound as f64).unwrap_or(MAX_TIMEOUT);
    i32::try_from(bounded).unwrap_or(i32::MAX)
}

/// `apps/statefulsets`, for a person.
pub(super) fn resources_of(rule: &RuleWithOperations) -> Vec<String> {
    let groups = rule.api_groups.iter().flatten();
    let named = groups.flat_map(|group| {
        rule.resources.iter().flatten().map(move |resource| match group.as_str() {
            "" => resource.clone(),
            group => format!("{resource}.{group}"),
        })
    });
    named.collect()
}

/// The configurations of the validating phase that aren't empty.
pub(super) fn validating(webhooks: &[Webhook], options: &Options<'_>) -> Vec<ValidatingWebhookConfiguration> {
    let webhook = |webhook: &Webhook| ValidatingWebhook {
        admission_review_versions: vec!["v1".to_owned()],
        client_config: client_config(&webhook.path, options),
        failure_policy: Some(webhook.failure_policy.to_owned()),
        match_conditions: webhook.match_conditions(),
        match_policy: Some("Equivalent".to_owned()),
        name: webhook.name.clone(),
        namespace_selector: Some(webhook.namespace_selector.clone()),
        object_selector: Some(webhook.object_selector.clone()),
        rules: Some(webhook.rules.clone()),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(webhook.timeout_seconds),
    };
    let configuration = |(name, webhooks): (&str, Vec<&Webhook>)| ValidatingWebhookConfiguration {
        metadata: metadata(name, options),
        webhooks: Some(webhooks.into_iter().map(webhook).collect()),
    };
    parted(webhooks).map(configuration).collect()
}

/// The configurations of the mutating phase that aren't empty.
pub(super) fn mutating(webhooks: &[Webhook], options: &Options<'_>) -> Vec<MutatingWebhookConfiguration> {
    let webhook = |webhook: &Webhook| MutatingWebhook {
        admission_review_versions: vec!["v1".to_owned()],
        client_config: client_config(&webhook.path, options),
        failure_policy: Some(webhook.failure_policy.to_owned()),
        match_conditions: webhook.match_conditions(),
        match_policy: Some("Equivalent".to_owned()),
        name: webhook.name.clone(),
        namespace_selector: Some(webhook.namespace_selector.clone()),
        object_selector: Some(webhook.object_selector.clone()),
        // Another webhook may add, after ours has run, what ours would have
        // edited: a sidecar, a volume claim template. Ours give on the second
        // time what they gave on the first (every mutation has a test for it).
        reinvocation_policy: Some("IfNeeded".to_owned()),
        rules: Some(webhook.rules.clone()),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(webhook.timeout_seconds),
    };
    let configuration = |(name, webhooks): (&str, Vec<&Webhook>)| MutatingWebhookConfiguration {
        metadata: metadata(name, options),
        webhooks: Some(webhooks.into_iter().map(webhook).collect()),
    };
    parted(webhooks).map(configuration).collect()
}

fn parted(webhooks: &[Webhook]) -> impl Iterator<Item = (&'static str, Vec<&Webhook>)> {
    let (namespaced, of_cluster): (Vec<&Webhook>, Vec<&Webhook>) =
        webhooks.iter().partition(|webhook| webhook.is_namespaced);
    [(CLUSTER_POLICIES, of_cluster), (NAMESPACED_POLICIES, namespaced)]
        .into_iter()
        .filter(|(_, webhooks)| !webhooks.is_empty())
}

fn metadata(name: &str, options: &Options<'_>) -> ObjectMeta {
    let (key, value) = MANAGED_BY;
    let labels = [(key, value), ("app.kubernetes.io/name", "portcullis")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let annotations = options.inject_ca_from.map(|from| BTreeMap::from([(INJECT_CA_FROM.to_owned(), from.to_owned())]));
    // No blockOwnerDeletion: what goes last must not wait for what goes first.
    let owner = options.owner_uid.map(|uid| OwnerReference {
        api_version: "rbac.authorization.k8s.io/v1".to_owned(),
        kind: "ClusterRole".to_owned(),
        name: rbac::CONTROLLER.to_owned(),
        uid: uid.to_owned(),
        ..OwnerReference::default()
    });
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels.into()),
        annotations,
        owner_references: owner.map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}
