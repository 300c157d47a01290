//! `clock`: the instant at which the request arrived, the same for every call
//! of every policy, so that a decision can be replayed.

use crate::bindings::v0_1_0::portcullis::policy::clock::{Host, Instant};
use crate::state::{State, World};

impl Host for State {
    fn now(&mut self) -> wasmtime::Result<Instant> {
        match &self.world {
            World::Open { now, .. } => Ok(Instant { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() }),
            World::Sealed { during } => {
                let during = *during;
                Err(self.sealed("clock", during))
            }
        }
    }
}
