//! `turn`: whose review it is in a call for several policies, so that each is
//! held to its own reach and what stays unknown is its own.
//!
//! The module says so itself, and is believed: only modules that are trusted
//! with it are asked for several policies at once.

use std::sync::Arc;

use portcullis_core::evaluate::Failure;

use crate::bindings::v0_1_0::portcullis::policy::turn::Host;
use crate::state::{State, World};

impl Host for State {
    fn begin(&mut self, id: u32) -> wasmtime::Result<()> {
        let World::Open { turns, .. } = &mut self.world else {
            return Err(self.stop(Failure::Trap { reason: "`turn` was called outside of a review".to_owned() }));
        };
        match turns.begin(id) {
            Some(member) => {
                let policy = Arc::clone(&member.policy);
                self.log.speaks(policy);
                Ok(())
            }
            None => {
                let reason = format!("the turn of {id} began, which wasn't asked or had its turn");
                Err(self.stop(Failure::Malformed { reason }))
            }
        }
    }
}
