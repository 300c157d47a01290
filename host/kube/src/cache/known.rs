//! What is known of one kind: its objects, how far its watch has come, and since
//! when. The watch's task writes it, look-ups read it.
//!
//! Invariant: objects and phase change together, under one lock, so that nobody
//! reads an emptied store as "there are none".

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::api::Served;
use super::confirm::Confirmations;
use super::contact::{Contact, Pulse};
use super::store::{Named, Shape, Store};
use super::wanted::Wanted;

/// What is known of a kind.
pub(super) struct Known {
    pub(super) wanted: Wanted,
    pub(super) shape: Arc<Shape>,
    pub(super) confirmations: Confirmations,
    pub(super) pulse: Arc<Pulse>,
    content: RwLock<Content>,
    contact: Mutex<Contact>,
    /// Says when the phase changes.
    settled: watch::Sender<bool>,
    look: Notify,
}

/// What stands in memory.
pub(super) struct Content {
    pub(super) store: Store,
    pub(super) phase: Phase,
    /// As the API server serves the kind; None where it doesn't, or isn't known to.
    pub(super) served: Option<Served>,
    /// What went wrong last; None since it went well again.
    pub(super) failure: Option<String>,
}

/// How far the watch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is known yet.
    Starting,
    /// All objects are known, as of the last contact.
    Synced,
    /// The API server serves no such kind.
    NotServed,
    /// It may not be read.
    Forbidden,
    /// It could not be read so far, by an API server that is well.
    Failing,
}

impl Known {
    pub(super) fn new(wanted: Wanted, pulse: Arc<Pulse>) -> Known {
        let shape = Arc::new(Shape::of(&wanted));
        let store = Store::new(shape.clone());
        Known {
            wanted,
            shape,
            confirmations: Confirmations::default(),
            pulse,
            content: RwLock::new(Content { store, phase: Phase::Starting, served: None, failure: None }),
            contact: Mutex::default(),
            settled: watch::Sender::new(false),
            look: Notify::new(),
        }
    }

    /// What stands in memory, to be read in one go: two at a time in one task
    /// wait for each other where a third writes.
    pub(super) fn content(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn phase(&self) -> Phase {
        self.content().phase
    }

    /// Waits until it is known what can be known: the objects, or that there are
    /// none to read.
    pub(super) async fn settled(&self) {
        // The sender lives as long as `self`.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }

    /// None before the first contact.
    pub(super) fn staleness(&self) -> Option<Duration> {
        let contact = self.contact.lock().unwrap_or_else(PoisonError::into_inner);
        contact.staleness(self.pulse.last(), Instant::now())
    }

    /// Asks for a look whether the kind is served by now.
    pub(super) fn look(&self) {
        self.look.notify_one();
    }

    /// Waits so long, or until it is asked for a look.
    pub(super) async fn look_again(&self, after: Duration) {
        let _ = tokio::time::timeout(after, self.look.notified()).await;
    }

    /// Takes an object as the API server sends it.
    pub(super) fn put(&self, named: &Named, object: &str) {
        let prepared = self.shape.prepare(object);
        self.change(|content| content.store.put(named, prepared));
    }

    pub(super) fn remove(&self, named: &Named) {
        self.change(|content| content.store.remove(named));
    }

    pub(super) fn served(&self, served: Served) {
        self.change(|content| content.served = Some(served));
    }

    /// There was contact just now.
    pub(super) fn alive(&self) {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner).alive(Instant::now());
    }

    /// There was contact, and all is well.
    pub(super) fn well(&self) {
        self.alive();
        if self.content().failure.is_some() {
            self.change(|content| content.failure = None);
        }
    }

    /// The watch broke. Said once, until it is well again.
    pub(super) fn broken(&self, failure: String) {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner).broken(self.pulse.last());
        let Wanted { api_version, kind, .. } = &self.wanted;
        match self.change(|content| content.failure.replace(failure.clone())) {
            None => tracing::warn!(api_version, kind, reason = failure, "a watch has no contact"),
            Some(_) => tracing::debug!(api_version, kind, reason = failure, "a watch still has no contact"),
        }
    }

    /// These are all objects.
    pub(super) fn synced(&self, store: Store) {
        self.alive();
        self.turn(Phase::Synced, store, None);
    }

    /// Nothing is there to be read: what was known is forgotten.
    pub(super) fn forget(&self, phase: Phase, failure: Option<String>) {
        self.turn(phase, Store::new(self.shape.clone()), failure);
        if phase == Phase::NotServed {
            self.change(|content| content.served = None);
        }
    }

    fn turn(&self, phase: Phase, store: Store, failure: Option<String>) {
        // What was there before is dropped outside the lock: 10,000 objects take a millisecond.
        let _before = self.change(|content| {
            content.phase = phase;
            content.failure = failure;
            std::mem::replace(&mut content.store, store)
        });
        self.settled.send_replace(phase != Phase::Starting);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Content) -> T) -> T {
        change(&mut self.content.write().unwrap_or_else(PoisonError::into_inner))
    }
}
