//! The sandbox: the only crate that names wasmtime.
//!
//! ```text
//! bytes ── intake ── compile ── describe ──> Module
//!                                              │ configure, snapshot, proof
//!                                              v
//!           Call ── evaluator ── instance (fresh) ──> Evaluation
//!                                   └ epoch, state, imports/{cluster,clock,turn,log}
//! ```
//! What must hold: a guest can do what it imports and nothing else; a fresh
//! instance answers every call, of one policy or of those of one trusted module; whatever goes wrong in a guest is a
//! [`Failure`](portcullis_core::evaluate::Failure), inside its deadline, and
//! none of its neighbours notices.

mod artifact;
mod bindings;
mod compile;
mod configure;
mod describe;
mod engine;
mod epoch;
mod evaluator;
mod imports;
mod instance;
mod intake;
mod memory;
mod module;
mod proof;
mod snapshot;
mod state;
mod wait;

pub use artifact::CacheState;
pub use configure::{ConfigureError, Configured, Limits, Misfit};
pub use engine::{Cpu, Engine, EngineConfig, EngineError, MAX_MEMORY};
pub use intake::{Capabilities, LoadError, MAX_MODULE_BYTES};
pub use memory::{give_back_memory, keep_little_memory};
pub use module::Module;
pub use snapshot::SnapshotState;
