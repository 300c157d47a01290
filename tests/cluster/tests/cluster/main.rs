//! The cluster tier: one binary, each test with a control plane of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod context;
mod crd;
mod rbac;
mod webhooks;
