//! How old what a watch knows may be: the time since its last sign of life.
//!
//! A watch of a kind that nobody changes is silent, so silence alone says
//! nothing. One small request every few seconds asks the API server for its own
//! health ([`Pulse`]), and a watch that is open counts each answer as its own
//! sign of life ([`Contact`]):
//!
//! | the watch is | last sign of life |
//! |---|---|
//! | open | its last event, or the last answer to the pulse |
//! | broken | what it was when it broke |
//!
//! So an idle, healthy watch is at most one beat old, and one whose server is
//! gone is known after a beat and its timeout. A network that was gone may have
//! left connections behind that nobody answers any more; so when the pulse comes
//! back, watches begin again from where they were ([`Pulse::revived`]). What this
//! can't see: of several API servers behind a balancer, one that dies without
//! closing its connections; that ends with the watch's own time
//! (`api::WATCH_LASTS`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use super::api::is_alive;

/// Between two requests for a sign of life.
const BEAT: Duration = Duration::from_secs(5);
/// Time for the answer.
const BEAT_TIMEOUT: Duration = Duration::from_secs(4);
/// Past this age a watch is said to be without contact: two beats that got no
/// answer, and some.
pub(super) const SILENCE: Duration = Duration::from_secs(15);

/// When the API server last said that it is well.
#[derive(Debug)]
pub(super) struct Pulse {
    last: Arc<Mutex<Option<Instant>>>,
    revivals: watch::Receiver<u32>,
    task: AbortHandle,
}

/// When a watch last had contact.
#[derive(Debug, Default)]
pub(super) struct Contact {
    last: Option<Instant>,
    open: bool,
}

impl Pulse {
    /// Asks this API server until it is dropped.
    pub(super) fn of(client: Client) -> Pulse {
        let last = Arc::new(Mutex::new(None));
        let (revive, revivals) = watch::channel(0);
        let task = tokio::spawn(beat(client, last.clone(), revive)).abort_handle();
        Pulse { last, revivals, task }
    }

    /// Tells when the API server answers again after a silence.
    pub(super) fn revived(&self) -> watch::Receiver<u32> {
        let mut revivals = self.revivals.clone();
        revivals.mark_unchanged();
        revivals
    }

    /// Whether it has answered of late.
    pub(super) fn is_well(&self) -> bool {
        self.last().is_some_and(|last| last.elapsed() <= SILENCE)
    }

    pub(super) fn last(&self) -> Option<Instant> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks, and remembers when it was answered.
async fn beat(client: Client, last: Arc<Mutex<Option<Instant>>>, revive: watch::Sender<u32>) {
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        // It was well at some time after it was asked.
        let asked = Instant::now();
        if !tokio::time::timeout(BEAT_TIMEOUT, is_alive(&client)).await.unwrap_or(false) {
            continue;
        }
        let before = last.lock().unwrap_or_else(PoisonError::into_inner).replace(asked);
        if before.is_some_and(|before| asked.duration_since(before) > SILENCE) {
            revive.send_modify(|revivals| *revivals = revivals.wrapping_add(1));
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Contact {
    /// The watch is open, and what it knows is of now.
    pub(super) fn alive(&mut self, now: Instant) {
        self.open = true;
        self.last = Some(now);
    }

    /// The watch broke; until the last pulse it was well.
    pub(super) fn broken(&mut self, pulse: Option<Instant>) {
        if self.open {
            self.last = self.last.max(pulse);
        }
        self.open = false;
    }

    /// How old what it knows may be; None before the first contact.
    pub(super) fn staleness(&self, pulse: Option<Instant>, now: Instant) -> Option<Duration> {
        let last = if self.open { self.last.max(pulse) } else { self.last };
        last.map(|last| now.saturating_duration_since(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staleness_is_the_time_since_the_last_sign_of_life() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut contact = Contact::default();
        let check = |contact: &Contact, pulse: Option<u64>, now: u64, expected: Option<u64>| {
            assert_eq!(contact.staleness(pulse.map(at), at(now)), expected.map(Duration::from_secs));
        };
        check(&contact, Some(5), 7, None);
        contact.alive(at(10));
        check(&contact, Some(5), 11, Some(1));
        check(&contact, Some(100), 103, Some(3));
        contact.broken(Some(at(100)));
        check(&contact, Some(200), 203, Some(103));
        // A second failure doesn't make it younger.
        contact.broken(Some(at(200)));
        check(&contact, Some(200), 203, Some(103));
        contact.alive(at(300));
        check(&contact, Some(200), 300, Some(0));
    }
}
