//! A cluster for a test: etcd, a kube-apiserver and what else a test asks for, on
//! free ports of loopback, ready in seconds, gone with the test.
//!
//! ```text
//!   Plan ── start ──▶ Cluster ── kubectl, audit log, metrics ──▶ assertions
//!                        ▲
//!   Network (root) ──────┤ an address that replicas reach from their namespaces
//!                        ▼
//!                     Portcullis: replicas and controller of the program under test
//!                     Kubelets, Installed: the same as Pods that really run
//!                     Load: real writes, and what became of each
//! ```
//!
//! The programs of the control plane are one file that `build.sh` builds
//! (`PORTCULLIS_BED`), the program under test is `PORTCULLIS`. Each is given a
//! pipe as its standard input, or a wrapper with one, and ends when that closes,
//! so nothing is left behind by a test that panics, aborts or is killed.

#![allow(clippy::expect_used, reason = "a test bed that can't be set up has failed its test")]

mod api;
mod audit;
mod authority;
mod cluster;
mod installed;
mod kubectl;
mod kubelet;
mod load;
mod manifest;
mod network;
mod plan;
mod portcullis;
mod process;
mod session;
mod users;
mod webhooks;

use std::path::PathBuf;

pub use api::{Answer, Api};
pub use authority::{Authority, Pair};
pub use cluster::Cluster;
pub use installed::{Certificates, IMAGE, Installed, Options, images};
pub use kubectl::{Kubectl, Said};
pub use kubelet::{Image, Kubelets, Running};
pub use load::{Counts, LOAD_POLICY, Load, Pace, Tally};
pub use manifest::{documents, file_of, orders};
pub use network::{Network, Place};
pub use plan::{Controllers, Plan};
pub use portcullis::{Portcullis, Server, Setup};
pub use process::{cpu_time, resident, wait_for};
pub use session::play;
pub use users::{ADMIN, CONTROLLER, CONTROLLER_MANAGER, KUBELETS, NOBODY, SCHEDULER, SERVER, TENANT, USERS, User};
pub use webhooks::Calls;

/// The context of every kubeconfig.
pub const CONTEXT: &str = "bed";

/// The folder of the workspace, as cargo says it when it runs a test.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(folder).join("../..")
}
