//! What a store holds beside a guest: its limits, its clock and what its
//! imports may reach. One a call, thrown away with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

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
        /// Whose review it is, and as far as that one may see the cluster.
        turns: Turns,
        /// The instant at which the request arrived.
        now: Duration,
    },
}

/// The policies of one call, and which of them is reviewing now.
pub(crate) struct Turns {
    members: Vec<Member>,
    /// None where several are asked and none has begun.
    current: Option<usize>,
}

/// One policy of a call.
pub(crate) struct Member {
    pub(crate) id: u32,
    pub(crate) policy: Arc<str>,
    pub(crate) cluster: Arc<Scoped>,
    /// When its turn came, where it was said.
    pub(crate) began: Option<Instant>,
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

impl Turns {
    /// A call for `members`; the turn of a single one is from the beginning.
    pub(crate) fn new(members: Vec<Member>) -> Turns {
        let current = (members.len() == 1).then_some(0);
        Turns { members, current }
    }

    /// Whose turn it is.
    pub(crate) fn current(&self) -> Option<&Member> {
        self.members.get(self.current?)
    }

    /// All of them.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The turn of `id` begins; None where it isn't asked, or had its turn.
    pub(crate) fn begin(&mut self, id: u32) -> Option<&Member> {
        let index = self.members.iter().position(|member| member.id == id && member.began.is_none())?;
        self.current = Some(index);
        let member = &mut self.members[index];
        member.began = Some(Instant::now());
        Some(member)
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
