//! `/policies`: an AdmissionReview of a policy object, answered with whether the
//! policy would run and whether it could lock the cluster out.
//!
//! Its webhook is registered with `failurePolicy: Ignore`, and whatever goes
//! wrong here lets the object in with a warning: the status says later what this
//! could not, and a way to mend a policy must never be shut.

use std::sync::Arc;
use std::time::Instant;

use portcullis_core::admit::{self, Admitted, Unreadable};
use portcullis_core::json::Document;
use portcullis_core::policy::FailurePolicy;
use portcullis_core::review::{Denial, Response, Review, encode};
use portcullis_kube::lint::{self, Facts, Level};
use portcullis_kube::webhooks::exempt_namespaces;
use serde_json::Value;
use tokio::time::timeout_at;

use crate::store::{Opinion, Proposals};

/// The status code of an object that isn't right.
const UNPROCESSABLE: u16 = 422;

/// An answer, and whether the object may be written.
pub(super) struct Answered {
    pub(super) body: String,
    pub(super) allowed: bool,
}

impl From<Admitted> for Answered {
    fn from(admitted: Admitted) -> Answered {
        Answered { body: admitted.body, allowed: admitted.allowed }
    }
}

/// Judges the policy object of a review.
///
/// # Errors
/// Only where no uid can be read.
pub(super) async fn judge(proposals: &Arc<Proposals>, body: &[u8], deadline: Instant) -> Result<Answered, Unreadable> {
    let passes = |reason: String| admit::refuse_body(body, reason, FailurePolicy::Ignore).map(Answered::from);
    let document = match Document::parse(body) {
        Ok(document) => document,
        Err(error) => return passes(format!("the body can't be read: {error}")),
    };
    let review = match Review::decode(&document) {
        Ok(review) => review,
        Err(bad) => return passes(bad.reason),
    };
    let parsed = |value: Option<portcullis_core::json::Value<'_>>| {
        value.and_then(|value| serde_json::from_str::<Value>(value.raw()).ok())
    };
    let answer = |response: Response| Answered {
        body: encode(&review.api_version, &review.uid, &response),
        allowed: response.allowed,
    };
    let (Some(object), old) = (parsed(review.object), parsed(review.old_object)) else {
        return Ok(answer(Response { allowed: true, ..Response::default() }));
    };
    // Labels, a status, a finalizer: nothing about it is proposed.
    if old.is_some_and(|old| old.get("spec") == object.get("spec")) {
        return Ok(answer(Response { allowed: true, ..Response::default() }));
    }
    let proposals = proposals.clone();
    let judged = tokio::task::spawn_blocking(move || proposals.judge(object));
    match timeout_at(deadline.into(), judged).await {
        Ok(Ok(opinion)) => Ok(answer(response(opinion))),
        Ok(Err(error)) => passes(format!("the policy could not be checked: {error}")),
        Err(_) => passes("the policy could not be checked in time; its status will say whether it runs".to_owned()),
    }
}

fn response(opinion: Opinion) -> Response {
    let Opinion { refusal, mut warnings, document, description } = opinion;
    let mut refusals: Vec<String> = refusal.into_iter().collect();
    if let Some(document) = &document {
        // What a replica knows; the controller, which knows the workloads and the
        // replicas, says the rest in the status.
        for risk in lint::admit(document, description.as_ref(), &Facts::new(exempt_namespaces())) {
            let text = format!("{}: {}; {}", risk.rule, risk.message, risk.help);
            match risk.level {
                Level::Refuse => refusals.push(text),
                Level::Warn => warnings.push(text),
            }
        }
    }
    let denial = (!refusals.is_empty()).then(|| Denial {
        code: UNPROCESSABLE,
        reason: "Invalid",
        message: refusals.join("\n"),
        causes: Vec::new(),
    });
    Response { allowed: denial.is_none(), denial, warnings, ..Response::default() }
}
