//! The task that keeps what is known of one kind.
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
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::FutureExt;
use futures_util::stream::StreamExt;
use kube::Client;
use tokio::task::AbortHandle;

use super::api::{Change, Fault, Sent, Served, discover, named};
use super::contact::Pulse;
use super::known::{Known, Phase};
use super::store::Store;
use super::wanted::Wanted;

/// The first pause after a failure, doubled with each until the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// After so many failures in a row, with an API server that is well, a kind is
/// one that can't be read: about 4 s.
const FAILURES: u32 = 4;
/// So often the API server has to say again that a kind may not be read, or that
/// what was read isn't served any more, with such a pause before each: one that
/// has just started may not know its roles and custom resources yet.
const DOUBTS: u32 = 4;
const DOUBT: Duration = Duration::from_millis(1_500);
/// A watch that lasted so long was no failure.
const WELL: Duration = Duration::from_secs(10);

/// A kind that is watched, until the last who holds it lets it go.
pub(super) struct Watch {
    pub(super) known: Arc<Known>,
    task: AbortHandle,
}

impl Watch {
    /// Watches until it is dropped.
    pub(super) fn start(client: Client, wanted: Wanted, pulse: Arc<Pulse>, look_again: Duration) -> Watch {
        let known = Arc::new(Known::new(wanted, pulse));
        let task = tokio::spawn(supervise(client, known.clone(), look_again)).abort_handle();
        Watch { known, task }
    }

    /// What a watch that has read these objects knows; nothing keeps it so.
    pub(super) fn given(wanted: Wanted, pulse: Arc<Pulse>, objects: &[String]) -> Watch {
        let known = Known::new(wanted, pulse);
        let mut store = Store::new(known.shape.clone());
        for object in objects {
            if let Some(named) = named(object) {
                store.put(&named, known.shape.prepare(object));
            }
        }
        known.synced(store);
        Watch { known: Arc::new(known), task: tokio::spawn(std::future::pending::<()>()).abort_handle() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begins anew after a panic, which is a fault of ours and must not leave a kind
/// unwatched without a word.
async fn supervise(client: Client, known: Arc<Known>, look_again: Duration) {
    loop {
        let ended = AssertUnwindSafe(run(client.clone(), known.clone(), look_again)).catch_unwind().await;
        let Wanted { api_version, kind, .. } = &known.wanted;
        if ended.is_err() {
            tracing::error!(api_version, kind, "a watch panicked, which is a fault of Portcullis; it begins again");
            known.broken("its task panicked, which is a fault of Portcullis".to_owned());
        }
        tokio::time::sleep(LAST_PAUSE).await;
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
                tokio::time::sleep(DOUBT).await;
            }
            Fault::Expired => pause.wait().await,
            Fault::Other(reason) => {
                known.broken(reason.clone());
                if pause.failures >= FAILURES && known.phase() == Phase::Starting && known.pulse.is_well() {
                    known.forget(Phase::Failing, Some(reason));
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
    known.served(served.clone());
    let selector = wanted.field_selector.as_deref();
    let mut store = Store::new(known.shape.clone());
    let mut see = |sent: Sent, text: &str| {
        store.put_sharing(&sent.named, known.shape.prepare(text), Some(&known.content().store));
    };
    let mut version = served.read_all(client, selector, &mut see).await?;
    tracing::info!(
        api_version = wanted.api_version,
        kind = wanted.kind,
        objects = store.len(),
        bytes = store.bytes(),
        "a kind is known"
    );
    known.synced(store);
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
    known.well();
    let mut revived = known.pulse.revived();
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            // The connection may be one that nobody answers any more.
            Ok(()) = revived.changed() => None,
        };
        let Some(change) = change else { return Ok(()) };
        let latest = match change? {
            Change::Put(sent, object) => {
                known.put(&sent.named, object.get());
                sent.version
            }
            Change::Gone(sent) => {
                known.remove(&sent.named);
                sent.version
            }
            Change::Nothing(latest) => latest,
        };
        known.alive();
        if !latest.is_empty() {
            *version = latest;
        }
    }
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
