//! Portcullis in a real cluster: the only crate that names kube.
//!
//! - [`Live`] answers the look-ups of a command-line run by reading from an API
//!   server; it reads and never writes;
//! - [`crd`] are the custom resources and their status;
//! - [`webhooks`] derives webhook configurations from policies and writes them;
//! - [`rbac`] derives what the service accounts may do.

mod connect;
pub mod crd;
mod live;
pub mod rbac;
pub mod webhooks;

pub use connect::{ConnectError, connect};
pub use live::Live;
