//! The rules: what could happen, and the way out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis_core::contract::Operation;
use portcullis_core::matching::{Matcher, RuleMatch, Target};
use portcullis_core::policy::FailurePolicy;
use portcullis_core::review::UserInfo;
use portcullis_core::selector::Labels;

use super::facts::{Facts, JudgedPolicy, Workload};
use super::known::Role;
use super::{Level, Risk};
use crate::webhooks::{self, LONGEST_CALL, Named};

pub(super) const WORKLOAD: &str = "workload-outside-exempt-namespaces";
pub(super) const ISSUER: &str = "certificate-issuer-judged";
pub(super) const VITAL: &str = "vital-kinds";
pub(super) const WILDCARD: &str = "wildcard";
pub(super) const CLUSTER_SCOPED: &str = "cluster-scoped-fail-closed";
pub(super) const ONE_REPLICA: &str = "one-replica";
pub(super) const TIMEOUT: &str = "long-timeout";

/// Workloads that a message names.
const MAX_NAMED: usize = 3;
/// What the host keeps of a call for its answer.
const KEPT: Duration = Duration::from_secs(1);

/// The risks of one policy.
pub(super) fn of_policy(policy: &JudgedPolicy, facts: &Facts) -> Vec<Risk> {
    let subject = Subject::new(policy, facts);
    let mut risks = Vec::new();
    risks.extend(subject.timeout());
    let named = webhooks::named(&policy.document, policy.description.as_ref());
    if let Some(named) = &named {
        risks.extend(subject.vital(named));
    }
    if policy.document.spec.failure_policy == FailurePolicy::Ignore {
        return risks;
    }
    risks.extend(subject.one_replica());
    if let Some(named) = &named {
        risks.extend(subject.wildcard(named));
        risks.extend(subject.cluster_scoped(named));
    }
    risks.extend(subject.workloads());
    risks.extend(subject.issuer());
    risks
}

/// A policy among what is known.
struct Subject<'a> {
    policy: &'a JudgedPolicy,
    facts: &'a Facts,
    /// None where nothing says what it matches.
    matcher: Option<Matcher>,
}

impl<'a> Subject<'a> {
    fn new(policy: &'a JudgedPolicy, facts: &'a Facts) -> Subject<'a> {
        let is_known = policy.description.is_some() || !policy.document.spec.matching.resource_rules.is_empty();
        // One that can't be read is reported by who loads it.
        let matcher = Matcher::new(&policy.document, policy.description.as_ref()).ok().filter(|_| is_known);
        Subject { policy, facts, matcher }
    }

    fn risk(&self, rule: &'static str, level: Level, message: String, help: String) -> Risk {
        Risk { rule, level, policy: Some(self.policy.document.id.clone()), message, help }
    }

    /// A call has ten seconds at most, and whoever writes waits for it.
    fn timeout(&self) -> Option<Risk> {
        let timeout = self.policy.document.spec.timeout;
        let most = LONGEST_CALL.saturating_sub(KEPT);
        if timeout > most {
            let message = format!(
                "spec.timeout is {timeout:?}, of which at most {most:?} count: the API server waits {LONGEST_CALL:?} \
                 at most for Portcullis, which keeps {KEPT:?} for its answer"
            );
            return Some(self.risk(TIMEOUT, Level::Warn, message, format!("write {most:?} or less in spec.timeout")));
        }
        let calls = webhooks::call_timeout(&self.policy.document);
        (calls >= LONGEST_CALL).then(|| {
            // client-go gives a leader 10 s to renew (RenewDeadline of
            // RecommendedDefaultLeaderElectionConfiguration, k8s.io/component-base/config/v1alpha1), the
            // kubelet renews its Lease every 10 s (a quarter of nodeLeaseDurationSeconds, pkg/kubelet/kubelet.go).
            let message = format!(
                "spec.timeout is {timeout:?}, so a write that it judges may wait {calls:?}; controllers and kubelets \
                 give their own writes no longer, and a leader that can't write for 10s ends"
            );
            let help = "give it 5s or less in spec.timeout; a policy takes well under 100ms unless it is broken";
            self.risk(TIMEOUT, Level::Warn, message, help.to_owned())
        })
    }

    /// Kinds that the cluster or the engine can't go on without.
    fn vital(&self, named: &Named) -> Option<Risk> {
        if named.never.is_empty() {
            return None;
        }
        let never = named.never.join(", ");
        let help = "leave them out of spec.match.resourceRules; who may write them is a matter for RBAC, and a \
                    ValidatingAdmissionPolicy judges them without a webhook";
        let (level, message) = match named.is_all_never {
            true => {
                (Level::Refuse, format!("it names only {never}, which are never reviewed, so it would never be asked"))
            }
            false => (
                Level::Warn,
                format!(
                    "it names {never}, which are never reviewed: nodes, leaders or Portcullis \
                                            itself would not go on without them"
                ),
            ),
        };
        Some(self.risk(VITAL, level, message, help.to_owned()))
    }

    /// All kinds, those of operators to come included.
    fn wildcard(&self, named: &Named) -> Option<Risk> {
        if !named.is_everything {
            return None;
        }
        let closed = self.policy.document.spec.fail_closed_cluster_scoped;
        let (level, message, help) = match closed {
            true => (
                Level::Refuse,
                "it fails closed for every kind, cluster-scoped ones included: while no replica answers no node joins, \
                 no volume is attached, no certificate is signed, and nothing may bring a replica back",
                "name the cluster-scoped kinds in spec.match.resourceRules, or leave spec.failClosedClusterScoped out",
            ),
            false => (
                Level::Warn,
                "it fails closed for every kind: while no replica answers nothing is written in any namespace that \
                 isn't exempt, neither by controllers nor by operators",
                "name the kinds in spec.match.resourceRules, or write failurePolicy: Ignore",
            ),
        };
        Some(self.risk(WILDCARD, level, message.to_owned(), help.to_owned()))
    }

    /// A document that says so on purpose is still told what it means.
    fn cluster_scoped(&self, named: &Named) -> Option<Risk> {
        if !self.policy.document.spec.fail_closed_cluster_scoped || named.written.is_empty() || named.is_everything {
            return None;
        }
        let message = format!(
            "while no replica answers, {} are refused, which controllers, kubelets and drivers write on their own",
            named.written.join(", ")
        );
        let help = "leave spec.failClosedClusterScoped out, and they pass while no replica answers".to_owned();
        Some(self.risk(CLUSTER_SCOPED, Level::Warn, message, help))
    }

    fn one_replica(&self) -> Option<Risk> {
        let replicas = self.facts.replicas.filter(|replicas| *replicas <= 1)?;
        let message = format!(
            "it fails closed and {replicas} replica answers: while that restarts, what it judges can't be written"
        );
        let help = "scale the Deployment portcullis to three replicas, or write failurePolicy: Ignore".to_owned();
        Some(self.risk(ONE_REPLICA, Level::Warn, message, help))
    }

    /// What brings the cluster's network, volumes and names about, by namespace.
    fn workloads(&self) -> Vec<Risk> {
        let mut by_namespace: BTreeMap<(&str, Role), Vec<&Workload>> = BTreeMap::new();
        for workload in &self.facts.workloads {
            if workload.role != Role::Issuer && self.covers_pods(workload) {
                by_namespace.entry((&workload.namespace, workload.role)).or_default().push(workload);
            }
        }
        let risk = |((namespace, role), workloads): ((&str, Role), Vec<&Workload>)| {
            let message = format!(
                "it fails closed for the Pods of {}, which provide {}: were they gone while no replica answers, \
                 neither would come back",
                shown(&workloads),
                role.what()
            );
            self.risk(WORKLOAD, Level::Warn, message, exempting(namespace))
        };
        by_namespace.into_iter().map(risk).collect()
    }

    /// The certificate that the webhooks are checked by comes from outside.
    fn issuer(&self) -> Vec<Risk> {
        let Some((namespace, name)) = self.facts.inject_ca_from.as_deref().and_then(|from| from.split_once('/')) else {
            return Vec::new();
        };
        let mut risks = Vec::new();
        let issuers: Vec<&Workload> =
            self.facts.workloads.iter().filter(|one| one.role == Role::Issuer && self.covers_pods(one)).collect();
        if let Some(first) = issuers.first() {
            let message = format!(
                "it fails closed for the Pods of {}, which renew the certificate {namespace}/{name} of the webhooks: \
                 once that has run out, nothing starts them again",
                shown(&issuers)
            );
            risks.push(self.risk(ISSUER, Level::Warn, message, exempting(&first.namespace)));
        }
        let written = [
            ("cert-manager.io", "certificates", Some("status")),
            ("cert-manager.io", "certificaterequests", None),
            ("cert-manager.io", "certificaterequests", Some("status")),
            ("", "secrets", None),
        ];
        let covered: BTreeSet<&str> = written
            .iter()
            .filter(|(group, resource, subresource)| {
                let of = |operation| target(group, resource, *subresource, operation, namespace);
                [Operation::Create, Operation::Update]
                    .into_iter()
                    .any(|operation| self.covers(of(operation), &controller_user("cert-manager", "cert-manager"), None))
            })
            .map(|(_, resource, _)| *resource)
            .collect();
        if !covered.is_empty() {
            let covered: Vec<&str> = covered.into_iter().collect();
            let message = format!(
                "it fails closed for {} in {namespace}, by which the certificate {namespace}/{name} of the webhooks is \
                 renewed: once that has run out, it can't be",
                covered.join(", ")
            );
            risks.push(self.risk(ISSUER, Level::Warn, message, exempting(namespace)));
        }
        risks
    }

    /// Whether it judges what makes the Pods of a workload.
    fn covers_pods(&self, workload: &Workload) -> bool {
        let account = match workload.kind.as_str() {
            "DaemonSet" => "daemon-set-controller",
            "StatefulSet" => "statefulset-controller",
            _ => "replicaset-controller",
        };
        let user = controller_user("kube-system", account);
        [(None, Operation::Create), (Some("binding"), Operation::Create), (Some("status"), Operation::Update)]
            .into_iter()
            .any(|(subresource, operation)| {
                let target = target("", "pods", subresource, operation, &workload.namespace);
                // A kubelet or the scheduler writes the subresources; who is excluded there is nobody's guess.
                let user = if subresource.is_none() { user.clone() } else { UserInfo::default() };
                self.covers(target, &user, Some(&workload.labels))
            })
    }

    /// Whether a request of this user is judged, as far as that can be known.
    fn covers(&self, target: Target<'_>, user: &UserInfo, labels: Option<&Labels>) -> bool {
        let (Some(matcher), matching) = (&self.matcher, &self.policy.document.spec.matching) else { return false };
        let namespace = target.namespace;
        if self.facts.exempt_namespaces.iter().any(|exempt| exempt == namespace) {
            return false;
        }
        let named = Labels::from([("kubernetes.io/metadata.name".to_owned(), namespace.to_owned())]);
        let mut of_namespace = self.facts.namespaces.get(namespace).cloned().unwrap_or_default();
        of_namespace.extend(named);
        matcher.rules(target) != RuleMatch::No
            && !matcher.excludes(target, user)
            && matching.namespace_selector.matches(&of_namespace)
            && labels.is_none_or(|labels| matching.object_selector.matches(labels))
    }
}

fn target<'a>(
    group: &'a str,
    resource: &'a str,
    subresource: Option<&'a str>,
    operation: Operation,
    namespace: &'a str,
) -> Target<'a> {
    Target { group, version: "v1", resource, subresource, operation, namespace, is_namespace: false }
}

/// A service account as the API server sees it.
fn controller_user(namespace: &str, account: &str) -> UserInfo {
    UserInfo {
        username: format!("system:serviceaccount:{namespace}:{account}"),
        groups: vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".to_owned(),
        ],
        ..UserInfo::default()
    }
}

fn shown(workloads: &[&Workload]) -> String {
    let named = workloads
        .iter()
        .take(MAX_NAMED)
        .map(|one| format!("the {} {}/{} ({})", one.kind, one.namespace, one.name, one.known_by));
    let named = named.collect::<Vec<_>>().join(", ");
    match workloads.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn exempting(namespace: &str) -> String {
    format!(
        "add {namespace} to spec.match.exclude.namespaces, or start the controller with --exempt-namespace={namespace} \
         beside the others that are exempt"
    )
}
