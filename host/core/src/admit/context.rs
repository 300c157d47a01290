//! The policies of one phase, asked about one request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::cluster::{Answer, Budget, ObjectName};
use crate::contract::Phase;
use crate::edit::{Edit, Pointer, diff};
use crate::evaluate::Failure;
use crate::json::{Document, Value};
use crate::life::{is_leaving, parent_of_subresource};
use crate::matching::{NamespaceLabels, RuleMatch, Selectable, Selected, Target};
use crate::objects::labels;
use crate::report::{PolicyReport, Verdict};
use crate::review::Review;
use crate::verdict::enforced;

use super::evaluated::Evaluated;
use super::together::{self, Matched};
use super::{Policy, Request, Snapshot};

/// What came of one phase.
pub(super) struct Outcome {
    pub(super) judged: Vec<(Arc<Policy>, PolicyReport)>,
    pub(super) patch: Vec<Edit>,
    /// Warnings of the host itself.
    pub(super) notes: Vec<String>,
}

/// What is the same for every policy of one request.
pub(super) struct Context<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) review: &'a Review<'a>,
    /// All that are asked.
    policies: &'a [&'a Arc<Policy>],
    pub(super) namespace: NamespaceLabels,
    /// The parent of a subresource, where selectors look at it.
    parent: Option<Answer>,
    pub(super) attributes: String,
    leaving: bool,
    pub(super) budget: Arc<Budget>,
    pub(super) now: Duration,
}

impl<'a> Context<'a> {
    pub(super) async fn new(
        snapshot: &'a Snapshot,
        review: &'a Review<'a>,
        request: &Request<'_>,
        policies: &'a [&'a Arc<Policy>],
    ) -> Context<'a> {
        let budget = Arc::new(Budget::new(request.arrived, request.deadline));
        let namespace = namespace_labels(snapshot, review, &budget).await;
        let known = match &namespace {
            NamespaceLabels::Known(labels) => Some(labels),
            NamespaceLabels::ClusterScoped | NamespaceLabels::Unknown(_) => None,
        };
        let parent = match foreign_subresource(review) && policies.iter().any(|policy| policy.matcher.reads_object()) {
            true => Some(parent(snapshot, review, &budget).await),
            false => None,
        };
        Context {
            attributes: review.attributes(request.origin, known),
            leaving: is_leaving(review),
            budget,
            now: request.now,
            snapshot,
            review,
            policies,
            namespace,
            parent,
        }
    }

    /// Side by side: none sees what another says. Those that offer it are asked
    /// in one call.
    pub(super) async fn validate(&self, policies: &[&'a Arc<Policy>]) -> Outcome {
        let object = self.review.object;
        let (mut asked, mut judged) = (Vec::new(), Vec::new());
        for (place, policy) in policies.iter().copied().enumerate() {
            match self.matches(policy, object) {
                Matches::No => {}
                Matches::Yes(unsure) => asked.push(Matched { place, policy, unsure }),
                Matches::Failed(failure) => judged.push((place, policy, self.failed(policy, failure, Duration::ZERO))),
            }
        }
        let calls = together::calls(self, asked);
        judged.extend(join_all(calls.into_iter().map(|call| call.judge(self))).await.into_iter().flatten());
        judged.sort_by_key(|(place, ..)| *place);
        let judged = judged.into_iter().map(|(_, policy, report)| (policy.clone(), report)).collect();
        Outcome { judged, patch: Vec::new(), notes: Vec::new() }
    }

    /// In order: each policy sees the object as edited so far.
    pub(super) async fn mutate(&self, policies: &[&Arc<Policy>]) -> Outcome {
        let original = self.review.object.map(Value::raw);
        let mut current: Option<String> = None;
        let mut changes = Changes::default();
        let mut judged = Vec::new();
        for policy in policies {
            let step = match &current {
                // Edits have been applied and checked: the text parses.
                Some(text) => match Document::parse(text.as_bytes()) {
                    Ok(document) => self.judge(policy, Some(document.root())).await,
                    Err(_) => None,
                },
                None => self.judge(policy, self.review.object).await,
            };
            let Some((report, edited)) = step else { continue };
            if let Some(edited) = edited {
                changes.record(&report);
                current = Some(edited);
            }
            judged.push(((*policy).clone(), report));
        }
        let patch = match (original, &current) {
            (Some(before), Some(after)) => diff(before, after),
            _ => Vec::new(),
        };
        Outcome { judged, patch, notes: changes.conflicts }
    }

    /// One policy on one object; None where it doesn't match. With the edited
    /// object where it edited one.
    async fn judge(&self, policy: &Policy, object: Option<Value<'_>>) -> Option<(PolicyReport, Option<String>)> {
        let unsure = match self.matches(policy, object) {
            Matches::No => return None,
            Matches::Yes(unsure) => unsure,
            Matches::Failed(failure) => return Some((self.failed(policy, failure, Duration::ZERO), None)),
        };
        Some(self.report(policy, unsure, Evaluated::run(self, policy, object).await).await)
    }

    /// What one policy's answer comes to.
    pub(super) async fn report(
        &self,
        policy: &Policy,
        unsure: Option<String>,
        evaluated: Result<Evaluated<'_, '_>, (Failure, Duration)>,
    ) -> (PolicyReport, Option<String>) {
        match evaluated {
            Ok(evaluated) => evaluated.report(unsure).await,
            Err((failure, ran)) => (self.failed(policy, failure, ran), None),
        }
    }

    fn matches(&self, policy: &Policy, object: Option<Value<'_>>) -> Matches {
        let review = self.review;
        let target = Target {
            group: &review.resource.group,
            version: &review.resource.version,
            resource: &review.resource.resource,
            subresource: review.subresource.as_deref(),
            operation: review.operation,
            namespace: &review.namespace,
            is_namespace: is_namespace(review),
        };
        let matcher = &policy.matcher;
        let other_version = match matcher.rules(target) {
            RuleMatch::No => return Matches::No,
            RuleMatch::Yes => None,
            // Policies that read a resource in different versions are in different
            // webhooks of one path: this call is the other's.
            RuleMatch::OtherVersion(_) if self.is_read(target) => return Matches::No,
            RuleMatch::OtherVersion(versions) => Some(versions),
        };
        if matcher.excludes(target, &review.user) || (self.leaving && !matcher.declares_subresource(target)) {
            return Matches::No;
        }
        let parent;
        let selectable = match &self.parent {
            None => Selectable::Objects([object, review.old_object].into_iter().flatten().collect()),
            Some(Answer::Unknown(reason)) => Selectable::Unknown(reason.clone()),
            Some(Answer::Absent) => Selectable::Unknown("it is absent".to_owned()),
            Some(Answer::Found(text)) => match Document::parse(text.as_bytes()) {
                Ok(document) => {
                    parent = document;
                    Selectable::Objects(vec![parent.root()])
                }
                Err(error) => Selectable::Unknown(error.to_string()),
            },
        };
        let unsure = match matcher.selects(&self.namespace, &selectable) {
            Selected::No => return Matches::No,
            Selected::Yes => None,
            Selected::Unsure(reason) => Some(reason),
        };
        match other_version {
            Some(versions) => Matches::Failed(Failure::Broken {
                reason: format!(
                    "it reads {} in {versions}, the request holds {}; the webhook's rule has to name that version",
                    target.resource, target.version
                ),
            }),
            None => Matches::Yes(unsure),
        }
    }

    /// Whether one of the policies that are asked reads the request's version.
    fn is_read(&self, target: Target<'_>) -> bool {
        self.policies.iter().any(|policy| policy.matcher.rules(target) == RuleMatch::Yes)
    }

    fn failed(&self, policy: &Policy, failure: Failure, ran: Duration) -> PolicyReport {
        PolicyReport { error: Some(failure.to_string()), ..empty_report(policy, Verdict::Error, ran) }
    }
}

/// Whether a policy is asked.
enum Matches {
    No,
    /// With what is unknown about it.
    Yes(Option<String>),
    Failed(Failure),
}

/// What policies of one request have set, to notice a later one that overrides
/// it. Their patches are minimal, so a field that was set before shows as a
/// replace or a remove.
#[derive(Default)]
struct Changes {
    made: Vec<(String, Pointer)>,
    conflicts: Vec<String>,
}

impl Changes {
    fn record(&mut self, report: &PolicyReport) {
        for edit in &report.patch {
            let overrides = matches!(edit, Edit::Replace { .. } | Edit::Remove { .. });
            let earlier = self.made.iter().find(|(policy, path)| {
                *policy != report.policy && (path.is_prefix_of(edit.path()) || edit.path().is_prefix_of(path))
            });
            if let (true, Some((policy, _))) = (overrides, earlier) {
                let path = edit.path();
                self.conflicts.push(format!(
                    "{} changes {path}, which {policy} has set to another value; the later one counts",
                    report.policy
                ));
            }
            self.made.push((report.policy.clone(), edit.path().clone()));
        }
    }
}

pub(super) fn empty_report(policy: &Policy, verdict: Verdict, ran: Duration) -> PolicyReport {
    let phase = policy.description.as_ref().map_or(Phase::Validating, |description| description.phase);
    PolicyReport {
        policy: policy.document.id.to_string(),
        phase: match phase {
            Phase::Validating => "validate".to_owned(),
            Phase::Mutating => "mutate".to_owned(),
        },
        verdict,
        enforced: enforced(verdict, &policy.document.spec),
        duration_micros: u64::try_from(ran.as_micros()).unwrap_or(u64::MAX),
        findings: Vec::new(),
        needs: Vec::new(),
        patch: Vec::new(),
        audit_annotations: BTreeMap::new(),
        error: None,
    }
}

fn is_namespace(review: &Review<'_>) -> bool {
    review.resource.group.is_empty() && review.resource.resource == "namespaces"
}

/// A subresource whose object is of another kind than its parent's.
fn foreign_subresource(review: &Review<'_>) -> bool {
    review.subresource.is_some() && parent_of_subresource(review).is_none_or(|parent| parent.kind != review.kind.kind)
}

async fn parent(snapshot: &Snapshot, review: &Review<'_>, budget: &Budget) -> Answer {
    match parent_of_subresource(review) {
        Some(name) => snapshot.cluster.get(&name, budget).await,
        None => Answer::Unknown(format!("the kind of {} is not known", review.resource.resource)),
    }
}

async fn namespace_labels(snapshot: &Snapshot, review: &Review<'_>, budget: &Budget) -> NamespaceLabels {
    if is_namespace(review) {
        return NamespaceLabels::Known(review.object.or(review.old_object).map(labels).unwrap_or_default());
    }
    if review.namespace.is_empty() {
        return NamespaceLabels::ClusterScoped;
    }
    let name = ObjectName {
        api_version: "v1".to_owned(),
        kind: "Namespace".to_owned(),
        namespace: None,
        name: review.namespace.clone(),
    };
    match snapshot.cluster.get(&name, budget).await {
        Answer::Found(text) => match Document::parse(text.as_bytes()) {
            Ok(document) => NamespaceLabels::Known(labels(document.root())),
            Err(error) => NamespaceLabels::Unknown(error.to_string()),
        },
        Answer::Absent => NamespaceLabels::Unknown("the namespace is absent".to_owned()),
        Answer::Unknown(reason) => NamespaceLabels::Unknown(reason),
    }
}
