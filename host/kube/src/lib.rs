//! What Portcullis knows of a real cluster: the only crate that names kube.
//!
//! [`Live`] answers the look-ups of a command-line run by reading from an API
//! server; [`cache`] those of the server, from watches. Both read and never write.

pub mod cache;
mod connect;
mod live;
mod names;

pub use connect::{ConnectError, connect};
pub use live::Live;
