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
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use portcullis_core::contract::Phase;
use portcullis_core::policy::PolicyDocument;

use super::reach::{Atom, rules};
use super::{Endpoint, Options, narrowed};

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
const MAX_TIMEOUT: u64 = 10;

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
    /// The webhook for these policies, all of one phase and failure policy and
    /// of the cluster or one namespace; `place` counts those that differ by
    /// nothing but versions.
    #[allow(clippy::too_many_arguments, reason = "they are what a webhook is made of, once")]
    pub(super) fn new(
        namespace: Option<&str>,
        ignore: bool,
        phase: Phase,
        place: usize,
        documents: &[&PolicyDocument],
        atoms: &BTreeSet<Atom>,
        is_unknown: bool,
        options: &Options<'_>,
    ) -> Webhook {
        let (failure_policy, word) = if ignore { ("Ignore", "ignore") } else { ("Fail", "fail") };
        let verb = match phase {
            Phase::Validating => "validate",
            Phase::Mutating => "mutate",
        };
        let number = if place == 0 { String::new() } else { format!("-{}", place + 1) };
        let prefix = namespace.map(|namespace| format!("{namespace}.")).unwrap_or_default();
        let path = match namespace {
            Some(namespace) => format!("/{verb}/namespace/{namespace}/{word}"),
            None => format!("/{verb}/{word}"),
        };
        Webhook {
            name: format!("{prefix}{word}{number}.{verb}.{DOMAIN}"),
            is_namespaced: namespace.is_some(),
            path,
            failure_policy,
            timeout_seconds: timeout(phase, documents),
            rules: rules(atoms),
            namespace_selector: narrowed::namespace_selector(namespace, documents, options.exempt_namespaces),
            object_selector: narrowed::object_selector(documents, atoms),
            match_conditions: narrowed::match_conditions(documents, atoms, is_unknown),
        }
    }

    fn client_config(&self, options: &Options<'_>) -> WebhookClientConfig {
        let ca_bundle = options.ca_bundle.map(|bundle| ByteString(bundle.to_vec()));
        match options.endpoint {
            Endpoint::Service { name, namespace, port } => WebhookClientConfig {
                ca_bundle,
                service: Some(ServiceReference {
                    name: name.clone(),
                    namespace: namespace.clone(),
                    port: Some(*port),
                    path: Some(self.path.clone()),
                }),
                url: None,
            },
            Endpoint::Url(base) => WebhookClientConfig {
                ca_bundle,
                service: None,
                url: Some(format!("{}{}", base.trim_end_matches('/'), self.path)),
            },
        }
    }

    fn match_conditions(&self) -> Option<Vec<MatchCondition>> {
        Some(self.match_conditions.clone()).filter(|conditions| !conditions.is_empty())
    }
}

/// Seconds that a call may take. Policies judge side by side, so the slowest
/// counts, and edit one after the other, so their sum does; a second for the
/// way, and a third on top because the host answers before the time is up.
fn timeout(phase: Phase, documents: &[&PolicyDocument]) -> i32 {
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
        client_config: webhook.client_config(options),
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
        client_config: webhook.client_config(options),
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
    ObjectMeta { name: Some(name.to_owned()), labels: Some(labels.into()), annotations, ..ObjectMeta::default() }
}
