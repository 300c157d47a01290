//! What the probes say. Ready turns true once, when everything given at start
//! has loaded or been set aside and there is a certificate; only the drain turns
//! it false.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::certs::Certificates;
use crate::store::Snapshots;

/// The state of a server between start and end.
pub(super) struct Ready {
    snapshots: Arc<Snapshots>,
    certificates: Arc<Certificates>,
    draining: AtomicBool,
    closing: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Send requests.
    Ready,
    /// Documents are being loaded.
    Loading,
    /// There is no certificate yet.
    Uncertified,
    /// The process is about to end.
    Draining,
}

impl Ready {
    pub(super) fn new(snapshots: Arc<Snapshots>, certificates: Arc<Certificates>) -> Ready {
        Ready {
            snapshots,
            certificates,
            draining: AtomicBool::new(false),
            closing: watch::Sender::new(false),
            ended: watch::Sender::new(false),
        }
    }

    pub(super) fn readiness(&self) -> Readiness {
        if self.is_draining() {
            Readiness::Draining
        } else if self.snapshots.current().is_none() {
            Readiness::Loading
        } else if self.certificates.tls().is_none() {
            Readiness::Uncertified
        } else {
            Readiness::Ready
        }
    }

    /// Not ready any more; requests are still taken.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Connections end as soon as they have answered.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Turns true when connections are to end.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// The probes end too.
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Turns true when the probes are to end.
    pub(super) fn closed(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }
}
