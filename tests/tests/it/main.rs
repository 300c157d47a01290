//! The integration tests: one binary, so that the sandbox is linked once.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod architecture;
mod cases;
mod coverage;
mod golden;
mod guest;
mod hostile;
mod image;
mod property;
mod proposals;
mod server;
mod sets;
mod suite;
mod together;
