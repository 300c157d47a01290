//! Portcullis and a real cluster: the only crate that names kube.
//!
//! ```text
//! serve       documents (policy objects) ─ cache (look-ups) ─ replica (its Lease)
//! controller  documents, replica (all Leases) ─ controller ─ webhooks, crd (status)
//! check       live (look-ups, read only)
//! ```

pub mod cache;
pub mod certificates;
mod connect;
mod controller;
pub mod crd;
mod documents;
mod election;
pub mod lint;
mod live;
mod mirror;
mod names;
pub mod rbac;
pub mod registrations;
mod replica;
pub mod webhooks;

pub use certificates::{CertificateConfig, CertificateSource, ServingPair, ServingSecret};
pub use connect::{ConnectError, client, connect};
pub use controller::{
    BreakGlassState, ControllerConfig, ControllerReport, LoadedPolicy, Loader, RunningPolicy, run as run_controller,
};
pub use documents::{Policies, PoliciesNow, PolicyObject, PolicyVersion};
pub use election::Registered;
pub use live::Live;
pub use replica::{Identity, PolicyState, ReplicaState, keep_lease};

pub use kube::Client;

use kube::Error;
use kube::runtime::watcher;

/// What an API server said, without the layers around it.
fn told(error: &Error) -> String {
    match error {
        Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        error => error.to_string(),
    }
}

/// Likewise of a watch.
fn told_of_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => told(error),
        watcher::Error::WatchError(status) if !status.message.is_empty() => status.message.clone(),
        error => error.to_string(),
    }
}
