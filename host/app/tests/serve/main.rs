//! The server in process: real TLS on loopback, real sockets, policies that are
//! plain Rust where no Wasm is needed.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "a test may panic and has no readers outside")]

mod answers;
mod certificates;
mod documents;
mod fixture;
mod lifecycle;
mod objects;
mod process;
