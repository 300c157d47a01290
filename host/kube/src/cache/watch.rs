//! One kind that is watched: what is known of its objects, and the task that
//! keeps it so.
//!
//! ```text
//! discover ─► read all, page by page ─► swap the store ─► watch ──► event: put, remove
//!    ▲                ▲                                     │ ended: watch again from there
//!    │ no such kind   └──────────── expired ────────────────┤
//!    └── look again every 30 s, or when told ◄── not found ─┘
//! ```
//! kube's own watcher does the same but keeps bookmarks and the opening of a
//! watch to itself, and so can't tell a silent watch from a broken one; and its
//! objects are serde_json values, which a deeply nested object breaks.
//!
//! Invariants: while all is read again, look-ups are answered from what was
//! known before; a kind that may no longer be read, or is no longer served, is
//! forgotten at once.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::stream::StreamExt;
use kube::Client;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinHandle};

use super::api::{Change, Fault, Sent, Served, discover};
use super::confirm::Confirmations;
use super::contact::{Contact, Pulse};
use super::store::{Named, Shape, Store};
use super::wanted::Wanted;

/// The first pause after a failure, doubled with each until the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// After so many failures in a row, with an API server that is well, a kind is
/// one that can't be read: about 4 s.
const FAILURES: u32 = 4;
/// So often in a row the API server has to say that a kind may not be read, or
/// that what was read isn't served any more: one that starts may not know its
/// roles and custom resources yet.
const DOUBTS: u32 = 3;
/// A watch that lasted so long was no failure.
const WELL: Duration = Duration::from_secs(10);

/// A kind that is watched, until the last who holds it lets it go.
pub(super) struct Watch {
    pub(super) wanted: Wanted,
    pub(super) known: Arc<Known>,
    task: AbortHandle,
}

/// What is known of a kind.
pub(super) struct Known {
    pub(super) wanted: Wanted,
    pub(super) shape: Arc<Shape>,
    pub(super) confirmations: Confirmations,
    pulse: Arc<Pulse>,
    content: RwLock<Content>,
    contact: Mutex<Contact>,
    phase: watch::Sender<Phase>,
    look: Notify,
}

/// What stands in memory.
struct Content {
    store: Store,
    served: Option<Served>,
    /// What went wrong last; None since it went well again.
    failure: Option<String>,
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

impl Watch {
    /// Watches until it is dropped.
    pub(super) fn start(client: Client, wanted: Wanted, pulse: Arc<Pulse>, look_again: Duration) -> Watch {
        Watch::of(wanted, pulse, |known| tokio::spawn(run(client, known, look_again)))
    }

    /// What a watch that has read these objects knows; nothing keeps it so.
    pub(super) fn given<'a>(
        wanted: Wanted,
        pulse: Arc<Pulse>,
        objects: impl IntoIterator<Item = (&'a Named, &'a str)>,
    ) -> Watch {
        let watch = Watch::of(wanted, pulse, |_| tokio::spawn(std::future::pending()));
        for (named, object) in objects {
            watch.known.put(named, object);
        }
        watch.known.alive();
        watch.known.phase.send_replace(Phase::Synced);
        watch
    }

    fn of(wanted: Wanted, pulse: Arc<Pulse>, task: impl FnOnce(Arc<Known>) -> JoinHandle<()>) -> Watch {
        let shape = Arc::new(Shape::of(&wanted));
        let known = Arc::new(Known {
            content: RwLock::new(Content { store: Store::new(shape.clone()), served: None, failure: None }),
            confirmations: Confirmations::default(),
            contact: Mutex::default(),
            phase: watch::Sender::new(Phase::Starting),
            look: Notify::new(),
            wanted: wanted.clone(),
            shape,
            pulse,
        });
        let task = task(known.clone()).abort_handle();
        Watch { wanted, known, task }
    }

    /// Whether its task came to an end, which only a panic does.
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What memory holds, to be read in one go.
pub(super) struct Held<'a>(RwLockReadGuard<'a, Content>);

impl Held<'_> {
    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(super) fn served(&self) -> Option<&Served> {
        self.0.served.as_ref()
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.0.failure.as_deref()
    }
}

impl Known {
    pub(super) fn held(&self) -> Held<'_> {
        Held(self.content.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits until it is known what can be known: the objects, or that there are
    /// none to read.
    pub(super) async fn settled(&self) {
        // The sender lives as long as `self`.
        let _ = self.phase.subscribe().wait_for(|phase| *phase != Phase::Starting).await;
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
    async fn look_again(&self, after: Duration) {
        let _ = tokio::time::timeout(after, self.look.notified()).await;
    }

    fn change(&self, change: impl FnOnce(&mut Content)) {
        change(&mut self.content.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn put(&self, named: &Named, object: &str) {
        let prepared = self.shape.prepare(object);
        self.change(|content| content.store.put(named, prepared));
    }

    fn alive(&self) {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner).alive(Instant::now());
    }

    fn broken(&self, failure: String) {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner).broken(self.pulse.last());
        tracing::warn!(
            api_version = self.wanted.api_version,
            kind = self.wanted.kind,
            reason = failure,
            "a watch has no contact"
        );
        self.change(|content| content.failure = Some(failure));
    }

    /// Nothing is there to be read: what was known is forgotten.
    fn forget(&self, phase: Phase, failure: Option<String>) {
        self.change(|content| {
            content.store = Store::new(self.shape.clone());
            content.failure = failure;
            if phase == Phase::NotServed {
                content.served = None;
            }
        });
        self.phase.send_replace(phase);
    }
}

/// Never ends; a failure is waited out.
async fn run(client: Client, known: Arc<Known>, look_again: Duration) {
    let mut pause = Pause::default();
    let mut doubts = 0;
    loop {
        let fault = match keep(&client, &known, &mut pause, &mut doubts).await {
            Ok(never) => match never {},
            Err(fault) => fault,
        };
        match fault {
            Fault::NotFound if doubts >= DOUBTS || known.phase() != Phase::Synced => {
                // Asking succeeded: that there is nothing is known as of now.
                known.alive();
                known.forget(Phase::NotServed, None);
                known.look_again(look_again).await;
            }
            Fault::Forbidden(reason) if doubts >= DOUBTS => {
                known.broken(reason.clone());
                known.forget(Phase::Forbidden, Some(reason));
                known.look_again(look_again).await;
            }
            Fault::NotFound | Fault::Forbidden(_) => {
                doubts += 1;
                known.broken(fault.to_string());
                pause.wait().await;
            }
            Fault::Expired => pause.wait().await,
            Fault::Other(reason) => {
                known.broken(reason);
                if pause.failures >= FAILURES && known.phase() == Phase::Starting && known.pulse.is_well() {
                    known.phase.send_replace(Phase::Failing);
                }
                pause.wait().await;
            }
        }
    }
}

/// Reads all and follows what changes, until all has to be read anew.
async fn keep(client: &Client, known: &Known, pause: &mut Pause, doubts: &mut u32) -> Result<Infallible, Fault> {
    let wanted = &known.wanted;
    let served = discover(client, &wanted.api_version, &wanted.kind).await?.ok_or(Fault::NotFound)?;
    known.change(|content| content.served = Some(served.clone()));
    let selector = wanted.field_selector.as_deref();
    let mut store = Store::new(known.shape.clone());
    let mut see = |sent: Sent, text: &str| {
        store.put_sharing(&sent.named, known.shape.prepare(text), Some(known.held().store()));
    };
    let mut version = served.read_all(client, selector, &mut see).await?;
    tracing::info!(
        api_version = wanted.api_version,
        kind = wanted.kind,
        objects = store.len(),
        bytes = store.bytes(),
        "a kind is known"
    );
    known.change(|content| {
        content.store = store;
        content.failure = None;
    });
    known.alive();
    known.phase.send_replace(Phase::Synced);
    *doubts = 0;
    loop {
        let began = Instant::now();
        match follow(client, known, &served, &mut version).await {
            Ok(()) => {}
            Err(Fault::Other(reason)) => known.broken(reason),
            Err(fault) => return Err(fault),
        }
        match began.elapsed() >= WELL {
            true => pause.reset(),
            false => pause.wait().await,
        }
    }
}

/// One watch, from this version on, until it ends.
async fn follow(client: &Client, known: &Known, served: &Served, version: &mut String) -> Result<(), Fault> {
    let mut changes = served.watch(client, known.wanted.field_selector.as_deref(), version).await?;
    known.alive();
    known.change(|content| content.failure = None);
    while let Some(change) = changes.next().await {
        let latest = match change? {
            Change::Put(sent, object) => {
                known.put(&sent.named, object.get());
                sent.version
            }
            Change::Gone(sent) => {
                known.change(|content| content.store.remove(&sent.named));
                sent.version
            }
            Change::Nothing(latest) => latest,
        };
        known.alive();
        if !latest.is_empty() {
            *version = latest;
        }
    }
    Ok(())
}

/// Pauses that grow, with some chance in them so that replicas don't come back at once.
#[derive(Default)]
struct Pause {
    failures: u32,
}

impl Pause {
    fn reset(&mut self) {
        self.failures = 0;
    }

    async fn wait(&mut self) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LAST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        // Up to a quarter less: the clock's last digits are chance enough.
        let chance = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos() % 256);
        tokio::time::sleep(pause - pause * chance / 1024).await;
    }
}
