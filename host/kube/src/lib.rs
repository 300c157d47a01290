//! What Portcullis knows of a real cluster: the only crate that names kube.
//!
//! So far that is [`Live`], which answers the look-ups of a command-line run by
//! reading from an API server. It reads and never writes.

mod connect;
pub mod crd;
mod live;
pub mod rbac;
pub mod webhooks;

pub use connect::{ConnectError, connect};
pub use live::Live;
