//! What the host asks: a policy alone, or the policies of one module together.
//!
//! Both start a fresh instance for every call. Together, a call has the least
//! limits of those who are asked: it exists to save time, not to give anybody
//! more than its own document does, and who needs more is asked alone.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use portcullis_core::contract::RawReview;
use portcullis_core::evaluate::{Answered, Call, Company, Evaluate, EvaluateTogether, Evaluation, Failure, SharedCall};

use crate::configure::Limits;
use crate::imports::log::Sink;
use crate::instance::{Guest, Question, Starter};
use crate::state::{Member, Turns, World};

/// One policy.
pub(crate) struct Evaluator {
    pub(crate) starter: Starter,
    pub(crate) id: u32,
    pub(crate) policy: Arc<str>,
    pub(crate) limits: Limits,
    /// With whom it may be asked in one call.
    pub(crate) company: Option<Company>,
}

/// All policies that were configured together.
pub(crate) struct Together {
    pub(crate) starter: Starter,
    /// By id.
    pub(crate) members: Vec<(Arc<str>, Limits)>,
}

impl Evaluate for Evaluator {
    fn evaluate<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Evaluation> {
        async move {
            match in_slot(&self.starter, call.deadline, self.review(call)).await {
                Ok((outcome, ran)) => Evaluation { outcome, ran },
                Err(failure) => Evaluation { outcome: Err(failure), ran: Duration::ZERO },
            }
        }
        .boxed()
    }

    fn company(&self) -> Option<&Company> {
        self.company.as_ref()
    }
}

impl Evaluator {
    async fn review(&self, call: Call<'_>) -> Result<RawReview, Failure> {
        let Call { operation, object, old_object, attributes, now, deadline, cluster, may_log } = call;
        let policy = Arc::clone(&self.policy);
        let sink = if may_log { Sink::Through { policy: Arc::clone(&policy) } } else { Sink::Withheld };
        let turns = Turns::new(vec![Member { id: self.id, policy, cluster, began: None }]);
        let question = Question { operation, object, old_object, attributes };
        self.ask(question, World::Open { turns, now }, sink, deadline).await
    }

    /// One question in a fresh instance of the pool; the caller holds a slot.
    pub(crate) async fn ask(
        &self,
        question: Question<'_>,
        world: World,
        sink: Sink,
        deadline: Instant,
    ) -> Result<RawReview, Failure> {
        let (mut reviews, _) = self.starter.ask(&[self.id], question, world, sink, self.limits, deadline).await?;
        reviews.pop().ok_or_else(|| Failure::Malformed { reason: "no review".to_owned() })
    }
}

impl EvaluateTogether for Together {
    fn evaluate_together<'a>(&'a self, call: SharedCall<'a>) -> BoxFuture<'a, Result<Vec<Answered>, Failure>> {
        async move {
            let (outcome, ran) = in_slot(&self.starter, call.deadline, self.reviews(call)).await?;
            let (reviews, shares) = outcome?;
            let answered = |(review, share): (RawReview, f64)| Answered { review, ran: ran.mul_f64(share) };
            Ok(reviews.into_iter().zip(shares).map(answered).collect())
        }
        .boxed()
    }
}

impl Together {
    /// The reviews, and which share of the call each of them took.
    async fn reviews(&self, call: SharedCall<'_>) -> Result<(Vec<RawReview>, Vec<f64>), Failure> {
        let unknown = || Failure::Malformed { reason: "asked for a policy that isn't one of them".to_owned() };
        let mut limits: Option<Limits> = None;
        let mut members = Vec::with_capacity(call.members.len());
        for (id, cluster) in call.members {
            let (policy, own) = self.members.get(*id as usize).ok_or_else(unknown)?;
            limits = Some(limits.map_or(*own, |least| least.least(own)));
            members.push(Member { id: *id, policy: Arc::clone(policy), cluster: Arc::clone(cluster), began: None });
        }
        let limits = limits.ok_or_else(unknown)?;
        let ids: Vec<u32> = members.iter().map(|member| member.id).collect();
        let policy = members.first().map_or_else(|| "".into(), |member| Arc::clone(&member.policy));
        let SharedCall { operation, object, old_object, attributes, now, deadline, .. } = call;
        let question = Question { operation, object, old_object, attributes };
        let world = World::Open { turns: Turns::new(members), now };
        let sink = Sink::Through { policy };
        let (reviews, guest) = self.starter.ask(&ids, question, world, sink, limits, deadline).await?;
        Ok((reviews, shares(&guest, ids.len())))
    }
}

/// Which share of the time each member took, from where their turns began; what
/// came before the first is everybody's.
fn shares(guest: &Guest, count: usize) -> Vec<f64> {
    let World::Open { turns, .. } = &guest.store.data().world else { return vec![1.0 / count as f64; count] };
    let end = Instant::now();
    let mut ends: Vec<Instant> = turns.members().iter().filter_map(|member| member.began).collect();
    ends.sort_unstable();
    let took = |member: &Member| {
        let began = member.began?;
        let next = ends.iter().find(|other| **other > began).copied().unwrap_or(end);
        Some(next.duration_since(began).as_secs_f64())
    };
    let took: Vec<f64> = turns.members().iter().map(|member| took(member).unwrap_or_default()).collect();
    let all: f64 = took.iter().sum();
    match all > 0.0 {
        true => took.iter().map(|one| one / all).collect(),
        false => vec![1.0 / count as f64; count],
    }
}

/// What a call in a slot of the pool came to, and how long it was being polled;
/// why it was not made, where it wasn't.
async fn in_slot<F: Future>(starter: &Starter, deadline: Instant, call: F) -> Result<(F::Output, Duration), Failure> {
    let _slot = starter.shared.slot(deadline).await.ok_or(Failure::Busy)?;
    if Instant::now() >= deadline {
        return Err(Failure::Deadline);
    }
    Ok(timed(call).await)
}

/// `future`'s output, and how long it was being polled: what it waited isn't in it.
async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let mut future = pin!(future);
    let mut ran = Duration::ZERO;
    let output = std::future::poll_fn(|context| {
        let start = Instant::now();
        let poll = future.as_mut().poll(context);
        ran += start.elapsed();
        poll
    })
    .await;
    (output, ran)
}
