//! What the host asks of something that can judge: a Wasm policy in the engine,
//! plain Rust in tests. One call, one review, no state between two.
//!
//! Policies of one module may offer to be asked in one call ([`Company`]), so
//! that one instance and one text of the object serve all of them. Whatever is
//! out of the ordinary in such a call is nobody's: each is then asked alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::cluster::Scoped;
use crate::contract::{Operation, RawReview};
use crate::view::UnitedViews;

/// Judges requests.
pub trait Evaluate: Send + Sync {
    /// One review. Whatever goes wrong is a [`Failure`].
    fn evaluate<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Evaluation>;

    /// With whom it may be asked in one call; by default with nobody.
    fn company(&self) -> Option<&Company> {
        None
    }
}

/// A policy's place among those of its module that trust each other.
#[derive(Clone)]
pub struct Company {
    /// What answers for all of them; the same for each.
    pub module: Arc<dyn EvaluateTogether>,
    /// Which of them this policy is.
    pub member: u32,
    /// The views under which they were asked together before.
    pub views: Arc<UnitedViews>,
}

/// Judges requests for several policies at once.
pub trait EvaluateTogether: Send + Sync {
    /// One evaluation a member, in order. A [`Failure`] is that of the call: who
    /// of the members would have failed alone isn't known.
    fn evaluate_together<'a>(&'a self, call: SharedCall<'a>) -> BoxFuture<'a, Result<Vec<Answered>, Failure>>;
}

/// One request, as several policies see it.
#[derive(Clone, Copy)]
pub struct SharedCall<'a> {
    /// Which policies, each with the cluster as far as that one may see it.
    pub members: &'a [(u32, Arc<Scoped>)],
    /// The operation.
    pub operation: Operation,
    /// The object, projected to what their views have in common and each of them.
    pub object: Option<&'a str>,
    /// The old object, projected likewise.
    pub old_object: Option<&'a str>,
    /// The attributes as JSON.
    pub attributes: &'a str,
    /// The instant at which the request arrived, since the Unix epoch.
    pub now: Duration,
    /// When the answers must be there.
    pub deadline: Instant,
}

/// What a policy answered, and how long that took it.
#[derive(Debug)]
pub struct Answered {
    /// Its review.
    pub review: RawReview,
    /// Time that the policy itself ran.
    pub ran: Duration,
}

/// One request, as a policy sees it.
#[derive(Clone)]
pub struct Call<'a> {
    /// The operation.
    pub operation: Operation,
    /// The object, projected to the policy's view.
    pub object: Option<&'a str>,
    /// The old object, projected likewise.
    pub old_object: Option<&'a str>,
    /// The attributes as JSON.
    pub attributes: &'a str,
    /// The instant at which the request arrived, since the Unix epoch.
    pub now: Duration,
    /// When the answer must be there.
    pub deadline: Instant,
    /// The cluster, as far as the policy may see it.
    pub cluster: Arc<Scoped>,
    /// Whether panic text and log lines may be kept: not for a policy whose
    /// views take values from Secrets.
    pub may_log: bool,
}

/// What came of a call.
#[derive(Debug)]
pub struct Evaluation {
    /// The answer, or what went wrong.
    pub outcome: Result<RawReview, Failure>,
    /// Time that the policy itself ran.
    pub ran: Duration,
}

/// What can go wrong in a guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It ran into its own time limit.
    #[error("ran longer than its timeout of {} ms", .limit.as_millis())]
    Timeout {
        /// The policy's `timeout`.
        limit: Duration,
    },
    /// The request's deadline came first.
    #[error("the request's deadline passed while it ran")]
    Deadline,
    /// It asked for more memory than it may have.
    #[error("asked for more than its {limit} bytes of memory")]
    Memory {
        /// The policy's `memory` in bytes.
        limit: usize,
    },
    /// A panic, with what the guest said of it.
    #[error("panicked: {message}")]
    Panic {
        /// Message and place, or a stand-in where they may not be shown.
        message: String,
    },
    /// Any other trap.
    #[error("trapped: {reason}")]
    Trap {
        /// What the engine says of it.
        reason: String,
    },
    /// A look-up that it may not make.
    #[error("{0}")]
    Lookup(#[from] crate::cluster::LookupError),
    /// An answer that the contract doesn't allow.
    #[error("malformed answer: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// An edit outside its reach, or one that doesn't apply.
    #[error("{reason}")]
    Edit {
        /// Which edit and why.
        reason: String,
    },
    /// No instance became free in time.
    #[error("no free instance within the deadline")]
    Busy,
    /// It could not be loaded or configured.
    #[error("can't run: {reason}")]
    Broken {
        /// Why.
        reason: String,
    },
}
