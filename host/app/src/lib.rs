//! Portcullis, a Kubernetes admission webhook and policy engine: the server, the
//! command line and all that touches files, sockets and clocks.
//!
//! ```text
//! main ─ args ─ cmd/serve ─ config ─┬ telemetry
//!              │                    ├ certs ──┐
//!              │                    ├ store ──┤ Snapshots
//!              │                    └ server ─┘ ─ core::admit
//!              └ cmd/check, cmd/policies ─ yaml, store, check ─ core::admit
//! ```
//! What decides lives in `portcullis-core`, what runs Wasm in
//! `portcullis-engine`; this crate connects them to the world.

pub mod args;
pub mod certs;
pub mod check;
pub mod cmd;
pub mod config;
pub mod fix;
pub mod report;
pub mod server;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod watch;
pub mod yaml;
