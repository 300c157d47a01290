//! That an object is absent, confirmed by asking the API server.
//!
//! A watch can't know absence: `kubectl apply -f all.yaml` creates the Service
//! milliseconds before the StatefulSet that names it. So an absence is said only
//! after a GET that began after the review arrived. Many reviews ask for the
//! same object at once (a rollout of 50 sets that name one class), so they wait
//! in line: whoever comes to its head and finds an answer that began after its
//! own review arrived takes it, else asks. At most one GET an object is under way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use portcullis_core::cluster::{Answer, Budget};

/// The answers that are being asked for, by namespace and name.
#[derive(Default)]
pub(super) struct Confirmations(Mutex<HashMap<(String, String), Arc<Line>>>);

/// Those who wait for one object, and the last answer with when its GET began.
type Line = tokio::sync::Mutex<Option<(Instant, Answer)>>;

/// What confirmations came to, since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    absent: AtomicU64,
    found: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    pub(super) fn add(&self, answer: &Answer) {
        let count = match answer {
            Answer::Absent => &self.absent,
            Answer::Found(_) => &self.found,
            Answer::Unknown(_) => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> (u64, u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.absent), of(&self.found), of(&self.failed))
    }
}

impl Confirmations {
    /// What `ask` says of this object, or said since the review arrived; inside
    /// the review's share of time, and inside `patience` where that is given.
    pub(super) async fn confirm<'a>(
        &self,
        namespace: &str,
        name: &str,
        budget: &Budget,
        patience: Option<Duration>,
        ask: impl FnOnce() -> BoxFuture<'a, Answer>,
    ) -> Answer {
        let Some(until) = budget.confirm() else {
            return Answer::Unknown(
                "it isn't in memory, and the review may ask the API server no more: it has done so 8 times, or for a \
                 quarter of its time"
                    .to_owned(),
            );
        };
        let key = (namespace.to_owned(), name.to_owned());
        let line = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default().clone();
        let asked = async {
            let mut last = line.lock().await;
            match &*last {
                Some((began, answer)) if *began >= budget.arrived() => answer.clone(),
                _ => {
                    let began = Instant::now();
                    let answer = ask().await;
                    *last = Some((began, answer.clone()));
                    answer
                }
            }
        };
        let until = patience.map_or(until, |patience| until.min(Instant::now() + patience));
        let answer = tokio::time::timeout_at(until.into(), asked).await;
        self.leave(&key, line);
        answer.unwrap_or_else(|_| {
            Answer::Unknown("it isn't in memory, and the API server didn't answer in time".to_owned())
        })
    }

    /// The last who waits takes the line away.
    fn leave(&self, key: &(String, String), line: Arc<Line>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(line);
        if lines.get(key).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{FutureExt, join_all, pending, ready};

    use super::*;

    fn budget(arrived: Instant) -> Budget {
        Budget::new(arrived, Instant::now() + Duration::from_secs(40))
    }

    #[tokio::test]
    async fn those_who_arrived_before_a_get_share_it() {
        let confirmations = Confirmations::default();
        let asked = AtomicU64::new(0);
        let ask = || {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).map(|()| Answer::Absent).boxed()
        };
        let arrived = Instant::now();
        let early: Vec<Budget> = (0..10).map(|_| budget(arrived)).collect();
        let answers = join_all(early.iter().map(|budget| confirmations.confirm("a", "b", budget, None, ask))).await;
        assert!(answers.iter().all(|answer| *answer == Answer::Absent));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(confirmations.0.lock().is_ok_and(|lines| lines.is_empty()), "nothing is kept past the last");
    }

    #[tokio::test]
    async fn who_arrives_after_a_get_began_waits_for_the_next() {
        let confirmations = Confirmations::default();
        let (early, other) = (budget(Instant::now()), budget(Instant::now()));
        let (send, receive) = tokio::sync::oneshot::channel::<()>();
        let first = confirmations.confirm("", "b", &early, None, || receive.map(|_| Answer::Absent).boxed());
        let others = async {
            tokio::task::yield_now().await;
            let late = budget(Instant::now());
            let late = confirmations.confirm("", "b", &late, None, || ready(Answer::Found("{}".into())).boxed());
            let elsewhere = confirmations.confirm("", "c", &other, None, || ready(Answer::Absent).boxed());
            assert_eq!(elsewhere.await, Answer::Absent, "another object's line is another");
            assert!(send.send(()).is_ok());
            late.await
        };
        let (first, late) = tokio::join!(first, others);
        assert_eq!((first, late), (Answer::Absent, Answer::Found("{}".into())));
    }

    #[tokio::test]
    async fn an_answer_that_comes_too_late_is_unknown() {
        let confirmations = Confirmations::default();
        let late = Budget::until(Instant::now() + Duration::from_millis(40));
        let answer = confirmations.confirm("", "b", &late, None, || pending().boxed()).await;
        assert!(matches!(answer, Answer::Unknown(reason) if reason.contains("in time")));
        assert!(confirmations.0.lock().is_ok_and(|lines| lines.is_empty()));
        let over = Budget::until(Instant::now());
        let answer = confirmations.confirm("", "b", &over, None, || ready(Answer::Absent).boxed()).await;
        assert!(matches!(answer, Answer::Unknown(_)), "without time nothing is asked");
    }
}
