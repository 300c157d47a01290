//! The pure core of Portcullis: what an admission request means and what is
//! answered, without tokio, kube, wasmtime or I/O.
//!
//! ```text
//! body ─ review ─ matching ─ view ─ evaluate (engine) ─ verdict ─ edit ─ review ─ answer
//!          │         │                  │                  │
//!        json      policy            cluster             life
//! ```
//! [`admit::admit`] walks that way once a request, without a step back. It is
//! total: whatever goes wrong becomes part of the answer.

pub mod admit;
pub mod cluster;
pub mod confined;
pub mod contract;
pub mod edit;
pub mod evaluate;
pub mod json;
pub mod kinds;
pub mod life;
pub mod matching;
pub mod objects;
pub mod policy;
pub mod report;
pub mod review;
pub mod secret;
pub mod selector;
pub mod verdict;
pub mod view;
