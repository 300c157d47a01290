//! One call of the API server: from an HTTP request to an answer.
//!
//! Law 1 lives here as far as HTTP goes: once a uid can be read, whatever fails
//! (size, time, memory, a panic) is answered in-band with 200, and the failure
//! policy of the path is applied on purpose. What is left out of band is a wrong
//! path, a wrong method, and a body in which there is no uid.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use futures_util::FutureExt;
use portcullis_core::admit::{self, Admitted, Origin, Selection, Unreadable};
use portcullis_core::policy::FailurePolicy;
use tokio::time::timeout_at;

use super::body::{self, Collected, Memory};
use super::deadline;
use super::paths::{self, Question, Route};
use super::proposal;
use super::ready::Ready;
use super::turns::Turns;
use crate::config::ServerConfig;
use crate::store::{Proposals, Snapshots};
use crate::telemetry::{Metrics, RequestResult, log_decision};

/// What all calls share.
pub(super) struct Admission {
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) ready: Arc<Ready>,
    /// Judges policy objects.
    pub(super) proposals: Arc<Proposals>,
    /// Largest body in bytes.
    pub(super) max_body: usize,
    /// Of all bodies together.
    pub(super) memory: Memory,
    /// Reviews at a time.
    pub(super) turns: Turns,
}

/// All bodies together may take this many of the largest.
const BODIES: usize = 16;
/// `admit` keeps the deadline itself; this much later it is given up.
const GRACE: Duration = Duration::from_millis(100);
/// What is answered in-band.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What is answered out of band.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// An answer and how it counts.
struct Answer {
    status: StatusCode,
    content_type: HeaderValue,
    body: String,
    result: RequestResult,
}

/// One call, while it is answered.
struct Call<'a> {
    admission: &'a Admission,
    route: &'a Route,
    path: &'a str,
    started: Instant,
    deadline: Instant,
    now: Duration,
}

impl Admission {
    pub(super) fn new(
        config: &ServerConfig,
        snapshots: Arc<Snapshots>,
        metrics: Arc<Metrics>,
        ready: Arc<Ready>,
        proposals: Arc<Proposals>,
    ) -> Admission {
        Admission {
            snapshots,
            metrics,
            ready,
            proposals,
            max_body: config.max_body,
            memory: Memory::of(config.max_body.saturating_mul(BODIES)),
            turns: Turns::new(config.max_requests),
        }
    }
}

/// Answers any request.
pub(super) async fn answer(State(admission): State<Arc<Admission>>, request: Request) -> Response<Body> {
    let started = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let _in_flight = admission.metrics.begin();
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let route = paths::route(path);
    let mut allow = None;
    let answer = match &route {
        None => Answer::refuse(StatusCode::NOT_FOUND, format!("no such path: {path}\n{}\n", paths::KNOWN)),
        Some(_) if parts.method != Method::POST => {
            allow = Some(HeaderValue::from_static("POST"));
            let message = format!(
                "{} is not answered here; POST an AdmissionReview (admission.k8s.io/v1) as application/json\n",
                parts.method
            );
            Answer::refuse(StatusCode::METHOD_NOT_ALLOWED, message)
        }
        Some(route) => {
            let deadline = started + deadline::budget(parts.uri.query());
            let call = Call { admission: &admission, route, path, started, deadline, now };
            call.answer(&parts.headers, body).await
        }
    };
    let (label, phase) = route.as_ref().map_or(("unknown", "none"), |route| (route.label, route.phase));
    admission.metrics.answered(label, phase, answer.result, started.elapsed());
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, answer.content_type);
    if let Some(allow) = allow {
        response.headers_mut().insert(ALLOW, allow);
    }
    // HTTP/2 has GOAWAY for this.
    if admission.ready.is_draining() && parts.version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl Call<'_> {
    async fn answer(&self, headers: &HeaderMap, body: Body) -> Answer {
        let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let Collected { bytes, failure, .. } =
            &body::collect(body, declared, self.admission.max_body, &self.admission.memory, self.deadline).await;
        self.admission.metrics.body(bytes.len());
        if let Some(failure) = failure {
            return self.failed(bytes, &failure.to_string());
        }
        if let Some(reason) = unreadable(headers) {
            return self.failed(bytes, &reason);
        }
        // A panic must not take the answer with it.
        let judged = AssertUnwindSafe(self.judge(bytes)).catch_unwind();
        match timeout_at((self.deadline + GRACE).into(), judged).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                tracing::error!(path = self.path, "a panic while a review was judged; this is a fault of Portcullis");
                self.failed(bytes, "Portcullis failed while judging the review; its log says where")
            }
            Err(_) => self.failed(bytes, "the time for the answer was over before the review was judged"),
        }
    }

    async fn judge(&self, body: &[u8]) -> Answer {
        match &self.route.question {
            Question::Policies(selection) => self.ask(selection, body).await,
            Question::Proposal => match proposal::judge(&self.admission.proposals, body, self.deadline).await {
                Ok(answered) => Answer::in_band(answered.body, answered.allowed),
                Err(unreadable) => self.unreadable(&unreadable),
            },
        }
    }

    async fn ask(&self, selection: &Selection, body: &[u8]) -> Answer {
        let Some(_turn) = self.admission.turns.take(&selection.owner, self.deadline).await else {
            return self.failed(body, "too many reviews at a time; it was not this one's turn within its deadline");
        };
        let Some(current) = self.admission.snapshots.wait(self.deadline).await else {
            return self.failed(body, "policies are still being loaded");
        };
        let request = admit::Request {
            selection: selection.clone(),
            body,
            arrived: self.started,
            deadline: self.deadline,
            now: self.now,
            origin: Origin::Admission,
        };
        match admit::admit(&current.snapshot, request).await {
            Ok(admitted) => self.judged(admitted),
            Err(unreadable) => self.unreadable(&unreadable),
        }
    }

    fn judged(&self, admitted: Admitted) -> Answer {
        log_decision(&admitted, self.path, self.started.elapsed());
        self.admission.metrics.decided(&admitted);
        Answer::in_band(admitted.body, admitted.allowed)
    }

    /// In-band where the body names a uid, however broken it is elsewhere.
    fn failed(&self, body: &[u8], reason: &str) -> Answer {
        let group = match (&self.route.question, self.admission.snapshots.current()) {
            (Question::Policies(selection), Some(current)) => admit::failure_policy(&current.snapshot, selection),
            (Question::Policies(selection), None) => selection.group.unwrap_or_default(),
            (Question::Proposal, _) => FailurePolicy::Ignore,
        };
        match admit::refuse_body(body, reason.to_owned(), group) {
            Ok(Admitted { uid, allowed, body, .. }) => {
                let micros = self.started.elapsed().as_micros();
                tracing::warn!(uid, path = self.path, reason, allowed, micros, "failure policy applied");
                Answer { status: StatusCode::OK, content_type: JSON, body, result: RequestResult::Failed }
            }
            Err(unreadable) => self.unreadable(&unreadable),
        }
    }

    fn unreadable(&self, unreadable: &Unreadable) -> Answer {
        tracing::warn!(path = self.path, reason = %unreadable, "no review in the body");
        Answer::refuse(StatusCode::BAD_REQUEST, format!("{unreadable}\n"))
    }
}

impl Answer {
    fn in_band(body: String, allowed: bool) -> Answer {
        let result = if allowed { RequestResult::Allowed } else { RequestResult::Denied };
        Answer { status: StatusCode::OK, content_type: JSON, body, result }
    }

    fn refuse(status: StatusCode, body: String) -> Answer {
        Answer { status, content_type: TEXT, body, result: RequestResult::Refused }
    }
}

/// Why the body can't be what it should be, by its headers.
fn unreadable(headers: &HeaderMap) -> Option<String> {
    let text =
        |name| headers.get(name).map(|value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if let Some(encoding) = text(CONTENT_ENCODING).filter(|encoding| encoding != "identity") {
        return Some(format!("the body is encoded ({encoding}); send it as it is"));
    }
    let content_type = text(CONTENT_TYPE).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    // A client that names none (a test by hand) means the only one there is.
    let is_json = media_type.is_empty() || media_type.eq_ignore_ascii_case("application/json");
    (!is_json).then(|| format!("the content type is {media_type}; send an AdmissionReview as application/json"))
}
