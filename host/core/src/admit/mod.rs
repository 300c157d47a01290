//! The way of a request, walked once. See the crate's header.
//!
//! [`admit`] decodes and answers; `context` asks the policies of a phase,
//! `together` those of one module in one call; `evaluated` is one policy's
//! answer, checked and softened.

mod context;
mod evaluated;
#[cfg(test)]
mod tests;
mod together;

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::{ClusterView, Tenants};
use crate::contract::{Description, Lookup, Phase};
use crate::edit::Edit;
use crate::evaluate::Evaluate;
use crate::json::{Document, find_string};
use crate::matching::Matcher;
use crate::policy::{FailurePolicy, PolicyDocument, PolicyId};
use crate::report::{ObjectIdentity, PolicyReport};
use crate::review::{BadReview, Denial, Response, Review, answer_version, encode};
use crate::secret::reads_secret_values;
use crate::verdict::{Judged, merge};

pub use crate::review::Origin;

use self::context::{Context, Outcome};

/// All that a request is judged by: immutable, swapped as a whole.
pub struct Snapshot {
    /// In the order in which they are asked: by `order`, then by name.
    pub policies: Vec<Arc<Policy>>,
    /// What the cluster holds.
    pub cluster: Arc<dyn ClusterView>,
    /// What of it namespaced policies may look up beside their own namespace.
    pub tenants: Tenants,
}

/// A policy document with what runs it.
pub struct Policy {
    /// The document.
    pub document: PolicyDocument,
    /// Under its settings; None where its module could not even be described.
    pub description: Option<Described>,
    /// Digest of the module's bytes (sha256, hex), for reports.
    pub digest: String,
    /// What it matches: reach and document together.
    pub matcher: Matcher,
    /// What judges, or why nothing can: then `failurePolicy` answers.
    pub evaluator: Result<Arc<dyn Evaluate>, String>,
}

/// A description with what every request needs of it, worked out once.
#[derive(Debug, Clone)]
pub struct Described {
    description: Description,
    lookups: Arc<[Lookup]>,
    reads_secret_values: bool,
}

impl From<Description> for Described {
    fn from(description: Description) -> Described {
        Described {
            lookups: description.reach.lookups.clone().into(),
            reads_secret_values: reads_secret_values(&description),
            description,
        }
    }
}

impl Deref for Described {
    type Target = Description;

    fn deref(&self) -> &Description {
        &self.description
    }
}

/// Which of the snapshot's policies are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The phase.
    pub phase: Phase,
    /// Only those with this failure policy, or both.
    pub group: Option<FailurePolicy>,
    /// Whose.
    pub owner: Owner,
}

/// Whose policies are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Every ClusterPolicy.
    Cluster,
    /// Every Policy of a namespace.
    Namespace(String),
    /// One policy.
    One(PolicyId),
}

/// One call.
pub struct Request<'a> {
    /// Which policies.
    pub selection: Selection,
    /// An AdmissionReview.
    pub body: &'a [u8],
    /// When the request arrived.
    pub arrived: Instant,
    /// When the answer must be there.
    pub deadline: Instant,
    /// The instant at which the request arrived, since the Unix epoch.
    pub now: Duration,
    /// Where it comes from.
    pub origin: Origin,
}

/// The answer to one call, and what led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// An AdmissionReview with its response, as JSON.
    pub body: String,
    /// Whether the object may pass.
    pub allowed: bool,
    /// The denial's message, empty where allowed.
    pub message: String,
    /// As in the response.
    pub warnings: Vec<String>,
    /// As in the response.
    pub patch: Vec<Edit>,
    /// Which object.
    pub object: ObjectIdentity,
    /// `request.uid`.
    pub uid: String,
    /// `CREATE`…; empty where the review could not be read so far.
    pub operation: String,
    /// `request.subResource`.
    pub subresource: Option<String>,
    /// `userInfo.username`.
    pub user: String,
    /// `request.dryRun`.
    pub dry_run: bool,
    /// The policies that matched.
    pub policies: Vec<PolicyReport>,
}

/// A body in which no uid can be read: answered with 400 and this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no AdmissionReview with a request.uid in the body: {reason}")]
pub struct Unreadable {
    /// Why.
    pub reason: String,
}

/// Judges one request. Total: once a uid can be read, whatever goes wrong is in
/// the answer, applied as the failure policy says.
///
/// # Errors
/// Only where no uid can be read.
pub async fn admit(snapshot: &Snapshot, request: Request<'_>) -> Result<Admitted, Unreadable> {
    let group = failure_policy(snapshot, &request.selection);
    let document = match Document::parse(request.body) {
        Ok(document) => document,
        Err(error) => return refuse_body(request.body, format!("the body can't be read: {error}"), group),
    };
    let review = match Review::decode(&document) {
        Ok(review) => review,
        Err(bad) => {
            let reason = bad.reason.clone();
            return refused(bad, group).ok_or(Unreadable { reason });
        }
    };
    if let Owner::One(id) = &request.selection.owner
        && !snapshot.policies.iter().any(|policy| is_selected(policy, &request.selection))
    {
        let reason = format!("no {:?} policy named {id} is loaded", request.selection.phase).to_lowercase();
        let bad = BadReview {
            uid: Some(review.uid.clone()),
            api_version: review.api_version.clone(),
            reason: reason.clone(),
        };
        return refused(bad, FailurePolicy::Fail).ok_or(Unreadable { reason });
    }
    let policies: Vec<&Arc<Policy>> =
        snapshot.policies.iter().filter(|policy| is_selected(policy, &request.selection)).collect();
    let context = Context::new(snapshot, &review, &request, &policies).await;
    let outcome = match request.selection.phase {
        Phase::Validating => context.validate(&policies).await,
        Phase::Mutating => context.mutate(&policies).await,
    };
    Ok(answer(&review, outcome))
}

/// Answers a body that can't be read as JSON: in-band where a uid can still be
/// found in it.
///
/// # Errors
/// Where no uid can be found.
pub fn refuse_body(body: &[u8], reason: String, group: FailurePolicy) -> Result<Admitted, Unreadable> {
    let uid = find_string(body, &["request", "uid"]).filter(|uid| !uid.is_empty());
    let api_version = answer_version(&find_string(body, &["apiVersion"]).unwrap_or_default());
    refused(BadReview { uid, api_version, reason: reason.clone() }, group).ok_or(Unreadable { reason })
}

/// What a failure of the whole call means: the group's failure policy, Fail
/// where the path names none.
pub fn failure_policy(snapshot: &Snapshot, selection: &Selection) -> FailurePolicy {
    let of_one = || {
        snapshot
            .policies
            .iter()
            .find(|policy| is_selected(policy, selection))
            .map(|policy| policy.document.spec.failure_policy)
    };
    match selection.owner {
        Owner::One(_) => of_one().unwrap_or_default(),
        Owner::Cluster | Owner::Namespace(_) => selection.group.unwrap_or_default(),
    }
}

fn is_selected(policy: &Policy, selection: &Selection) -> bool {
    let owned = match &selection.owner {
        Owner::Cluster => policy.document.id.namespace.is_none(),
        Owner::Namespace(namespace) => policy.document.id.namespace.as_ref() == Some(namespace),
        Owner::One(id) => policy.document.id == *id,
    };
    // A policy that can't be described has no known phase: it answers in both.
    let phase = policy.description.as_ref().is_none_or(|description| description.phase == selection.phase);
    owned && phase && selection.group.is_none_or(|group| group == policy.document.spec.failure_policy)
}

/// The failure applied on purpose; None without a uid.
fn refused(bad: BadReview, group: FailurePolicy) -> Option<Admitted> {
    let uid = bad.uid?;
    let allowed = group == FailurePolicy::Ignore;
    let text = format!("portcullis: {}", bad.reason);
    let response = Response {
        allowed,
        warnings: if allowed { vec![text.clone()] } else { Vec::new() },
        denial: (!allowed).then(|| Denial { code: 422, reason: "Invalid", message: text.clone(), causes: Vec::new() }),
        ..Response::default()
    };
    Some(Admitted {
        body: encode(&bad.api_version, &uid, &response),
        allowed,
        message: if allowed { String::new() } else { text },
        warnings: response.warnings,
        patch: Vec::new(),
        object: ObjectIdentity::default(),
        uid,
        operation: String::new(),
        subresource: None,
        user: String::new(),
        dry_run: false,
        policies: Vec::new(),
    })
}

fn answer(review: &Review<'_>, outcome: Outcome) -> Admitted {
    let judged: Vec<Judged<'_>> =
        outcome.judged.iter().map(|(policy, report)| Judged { report, spec: &policy.document.spec }).collect();
    let response = merge(&judged, outcome.patch, outcome.notes);
    let object = ObjectIdentity {
        api_version: review.kind_api_version(),
        kind: review.kind.kind.clone(),
        namespace: review.namespace.clone(),
        name: review.object_name(),
    };
    Admitted {
        body: encode(&review.api_version, &review.uid, &response),
        allowed: response.allowed,
        message: response.denial.map(|denial| denial.message).unwrap_or_default(),
        warnings: response.warnings,
        patch: response.patch,
        object,
        uid: review.uid.clone(),
        operation: review.operation.to_string(),
        subresource: review.subresource.clone(),
        user: review.user.username.clone(),
        dry_run: review.dry_run,
        policies: outcome.judged.into_iter().map(|(_, report)| report).collect(),
    }
}
