//! Epochs: how a guest that runs too long is stopped.
//!
//! One thread counts ticks for the engines; compiled guests look at the count
//! at function entries and loop heads, and when it has moved the store's
//! callback ([`RunClock::on_tick`]) decides: go on, give the worker to someone
//! else, or end. A policy's own timeout counts the ticks in which it ran, not
//! wall-clock time: load, a slow look-up and a neighbour aren't charged to it.
//!
//! Invariant: the thread lives exactly as long as its [`EpochThread`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portcullis_core::evaluate::Failure;
use wasmtime::UpdateDeadline;

/// The thread that ticks. Dropping it ends and joins it.
pub(crate) struct EpochThread {
    ticks: Arc<AtomicU64>,
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

/// What one call may still use of time.
pub(crate) struct RunClock {
    /// The policy's own limit, for the message.
    limit: Duration,
    /// The same in ticks.
    limit_ticks: u64,
    /// Ticks in which the guest ran.
    ran_ticks: u64,
    /// Whether ticks passed while a host call was pending: the next one that
    /// the guest sees isn't its own.
    forgive: bool,
    /// When the answer must be there.
    deadline: Instant,
    /// Whether there is someone to yield to.
    pace: Pace,
    ticks: Arc<AtomicU64>,
}

/// What happens at a tick that ends nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The worker is shared: let others have it.
    Yield,
    /// A thread of one's own, at load.
    Continue,
}

impl EpochThread {
    /// Ticks `engines` every `tick`.
    pub(crate) fn start(engines: Vec<wasmtime::Engine>, tick: Duration) -> std::io::Result<EpochThread> {
        let ticks = Arc::new(AtomicU64::new(0));
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let thread = std::thread::Builder::new().name("epoch".to_owned()).spawn({
            let ticks = Arc::clone(&ticks);
            let stop = Arc::clone(&stop);
            move || {
                let (stopped, condition) = &*stop;
                let mut stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
                while !*stopped {
                    (stopped, _) = condition.wait_timeout(stopped, tick).unwrap_or_else(PoisonError::into_inner);
                    ticks.fetch_add(1, Ordering::Relaxed);
                    for engine in &engines {
                        engine.increment_epoch();
                    }
                }
            }
        })?;
        Ok(EpochThread { ticks, stop, thread: Some(thread) })
    }

    /// The ticks so far.
    pub(crate) fn ticks(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.ticks)
    }
}

impl Drop for EpochThread {
    fn drop(&mut self) {
        let (stopped, condition) = &*self.stop;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        condition.notify_all();
        // The last owner may be a task that the thread can't be waiting for; it
        // never takes another lock, so joining it ends within one tick.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl RunClock {
    /// A clock that has not run yet.
    pub(crate) fn new(
        limit: Duration,
        tick: Duration,
        deadline: Instant,
        pace: Pace,
        ticks: Arc<AtomicU64>,
    ) -> RunClock {
        let limit_ticks = limit.as_nanos().div_ceil(tick.as_nanos().max(1));
        RunClock {
            limit,
            limit_ticks: u64::try_from(limit_ticks).unwrap_or(u64::MAX),
            ran_ticks: 0,
            forgive: false,
            deadline,
            pace,
            ticks,
        }
    }

    /// When the answer must be there.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Starts over, with the same limit, from now.
    pub(crate) fn restart(&mut self) {
        self.ran_ticks = 0;
        self.deadline = Instant::now() + self.limit;
    }

    /// The count of ticks, to be handed to [`RunClock::waited_since`].
    pub(crate) fn count(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// A host call was pending since `count`: what passed isn't the guest's.
    pub(crate) fn waited_since(&mut self, count: u64) {
        self.forgive |= self.count() != count;
    }

    /// What a guest does that has seen a tick, or why it ends. The first tick
    /// that it sees may come at once after its start, so it ends at the one
    /// after its limit: it runs for its limit at least and a tick more at most.
    pub(crate) fn on_tick(&mut self) -> Result<UpdateDeadline, Failure> {
        if self.forgive {
            self.forgive = false;
        } else {
            self.ran_ticks += 1;
        }
        if self.ran_ticks > self.limit_ticks {
            return Err(Failure::Timeout { limit: self.limit });
        }
        if Instant::now() >= self.deadline {
            // At load there is no request: the deadline only makes the limit hold
            // where a thread gets too little of the processor to see its ticks.
            return Err(match self.pace {
                Pace::Yield => Failure::Deadline,
                Pace::Continue => Failure::Timeout { limit: self.limit },
            });
        }
        Ok(match self.pace {
            Pace::Yield => UpdateDeadline::Yield(1),
            Pace::Continue => UpdateDeadline::Continue(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(limit: u64, deadline: Duration) -> RunClock {
        RunClock::new(
            Duration::from_millis(limit),
            Duration::from_millis(10),
            Instant::now() + deadline,
            Pace::Yield,
            Arc::default(),
        )
    }

    #[test]
    fn a_policy_ends_at_the_tick_after_its_limit() {
        let mut clock = clock(20, Duration::from_secs(60));
        assert!(matches!(clock.on_tick(), Ok(UpdateDeadline::Yield(1))));
        assert!(clock.on_tick().is_ok());
        assert_eq!(clock.on_tick().err(), Some(Failure::Timeout { limit: Duration::from_millis(20) }));
    }

    #[test]
    fn ticks_that_pass_while_a_host_call_is_pending_are_not_charged() {
        let mut clock = clock(10, Duration::from_secs(60));
        for _ in 0..10 {
            let count = clock.count();
            clock.ticks.fetch_add(7, Ordering::Relaxed);
            clock.waited_since(count);
            assert!(clock.on_tick().is_ok());
        }
        assert!(clock.on_tick().is_ok());
        assert!(clock.on_tick().is_err());
    }

    #[test]
    fn a_host_call_that_no_tick_passed_in_forgives_nothing() {
        let mut clock = clock(10, Duration::from_secs(60));
        clock.waited_since(clock.count());
        assert!(clock.on_tick().is_ok());
        assert!(clock.on_tick().is_err());
    }

    #[test]
    fn the_requests_deadline_ends_a_call_that_has_time_of_its_own() {
        let mut clock = clock(60_000, Duration::ZERO);
        assert_eq!(clock.on_tick().err(), Some(Failure::Deadline));
    }

    #[test]
    fn dropping_the_thread_ends_it() {
        let thread = EpochThread::start(Vec::new(), Duration::from_millis(1)).expect("a thread starts");
        let ticks = thread.ticks();
        while ticks.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        drop(thread);
        assert_eq!(Arc::strong_count(&ticks), 1);
    }
}
