//! What a store holds beside a guest: its limits, its clock and what its
//! imports may reach. One a call, thrown away with it.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::cluster::Scoped;
use portcullis_core::evaluate::Failure;
use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::epoch::RunClock;
use crate::imports::log::Log;

/// Entries that the tables of one instance may have, together: Python's
/// component, the largest seen, has about 11,000.
const MAX_TABLE_ENTRIES: usize = 20_000;

/// The data of one store.
pub(crate) struct State {
    /// Memory and tables.
    pub(crate) bounds: Bounds,
    /// Time.
    pub(crate) clock: RunClock,
    /// What `cluster` and `clock` answer.
    pub(crate) world: World,
    /// Where `log` goes.
    pub(crate) log: Log,
    /// Why the host ended the guest, where it did.
    pub(crate) stopped: Option<Failure>,
}

/// What a guest can learn.
pub(crate) enum World {
    /// Nothing: any answer would be frozen into its settings or its snapshot.
    Sealed {
        /// What the guest is doing: `describe`, `configure`, `warm-up`.
        during: &'static str,
    },
    /// One request's.
    Open {
        /// The cluster, as far as the policy may see it.
        cluster: Arc<Scoped>,
        /// The instant at which the request arrived.
        now: Duration,
    },
}

/// Memory and tables of one instance.
pub(crate) struct Bounds {
    memory_limit: usize,
    memory: usize,
    table_entries: usize,
    memory_denied: bool,
}

impl State {
    /// The store's answer to a tick.
    pub(crate) fn on_tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        match self.clock.on_tick() {
            Ok(update) => Ok(update),
            Err(failure) => {
                self.stopped = Some(failure);
                Ok(UpdateDeadline::Interrupt)
            }
        }
    }

    /// Ends the guest with `failure`.
    pub(crate) fn stop(&mut self, failure: Failure) -> wasmtime::Error {
        let error = wasmtime::Error::msg(failure.to_string());
        self.stopped = Some(failure);
        error
    }

    /// Ends the guest for a call that it may not make now.
    pub(crate) fn sealed(&mut self, interface: &str, during: &str) -> wasmtime::Error {
        self.stop(Failure::Trap {
            reason: format!(
                "`{interface}` was called during `{during}`, where its answer would be frozen in; call it in `review`"
            ),
        })
    }
}

impl Bounds {
    /// Lets `memory_limit` bytes be used.
    pub(crate) fn new(memory_limit: usize) -> Bounds {
        Bounds { memory_limit, memory: 0, table_entries: 0, memory_denied: false }
    }

    /// The limit in bytes.
    pub(crate) fn memory_limit(&self) -> usize {
        self.memory_limit
    }

    /// Whether more was asked for than there is.
    pub(crate) fn memory_denied(&self) -> bool {
        self.memory_denied
    }

    /// Lets `bytes` more be used.
    pub(crate) fn extend(&mut self, bytes: usize) {
        self.memory_limit += bytes;
    }
}

impl ResourceLimiter for Bounds {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_sub(current).saturating_add(desired);
        if total > self.memory_limit {
            self.memory_denied = true;
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_entries.saturating_sub(current).saturating_add(desired);
        if total > MAX_TABLE_ENTRIES {
            return Ok(false);
        }
        self.table_entries = total;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories_of_an_instance() {
        let mut bounds = Bounds::new(100);
        assert!(bounds.memory_growing(0, 60, None).expect("no error"));
        assert!(bounds.memory_growing(0, 30, None).expect("no error"));
        assert!(bounds.memory_growing(60, 70, None).expect("no error"));
        assert!(!bounds.memory_denied());
        assert!(!bounds.memory_growing(30, 31, None).expect("no error"));
        assert!(bounds.memory_denied());
    }

    #[test]
    fn a_table_can_not_grow_without_end() {
        let mut bounds = Bounds::new(0);
        assert!(bounds.table_growing(0, MAX_TABLE_ENTRIES, None).expect("no error"));
        assert!(!bounds.table_growing(MAX_TABLE_ENTRIES, MAX_TABLE_ENTRIES + 1, None).expect("no error"));
    }
}
