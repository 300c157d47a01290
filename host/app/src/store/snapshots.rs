//! The snapshot in use: one pointer, swapped as a whole. A request takes it once
//! and keeps it to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use portcullis_core::admit::Snapshot;
use tokio::sync::watch;

/// A snapshot and how many were before it.
pub struct Current {
    /// What requests are judged by.
    pub snapshot: Snapshot,
    /// From 1.
    pub generation: u64,
}

/// Holds the snapshot in use; there is none until the first load has ended.
pub struct Snapshots {
    current: ArcSwapOption<Current>,
    generations: AtomicU64,
    loaded: watch::Sender<bool>,
}

impl Default for Snapshots {
    fn default() -> Snapshots {
        Snapshots { current: ArcSwapOption::empty(), generations: AtomicU64::new(0), loaded: watch::Sender::new(false) }
    }
}

impl Snapshots {
    /// With a snapshot from the beginning.
    pub fn of(snapshot: Snapshot) -> Snapshots {
        let snapshots = Snapshots::default();
        snapshots.publish(snapshot);
        snapshots
    }

    /// Swaps; requests that began before keep theirs. Gives the generation.
    pub fn publish(&self, snapshot: Snapshot) -> u64 {
        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        self.current.store(Some(Arc::new(Current { snapshot, generation })));
        self.loaded.send_replace(true);
        generation
    }

    /// What is in use; None before the first load has ended.
    pub fn current(&self) -> Option<Arc<Current>> {
        self.current.load_full()
    }

    /// What is in use, waited for until `deadline` where nothing is yet.
    pub async fn wait(&self, deadline: Instant) -> Option<Arc<Current>> {
        if let Some(current) = self.current() {
            return Some(current);
        }
        let mut loaded = self.loaded.subscribe();
        let _ = tokio::time::timeout_at(deadline.into(), loaded.wait_for(|loaded| *loaded)).await;
        self.current()
    }
}
