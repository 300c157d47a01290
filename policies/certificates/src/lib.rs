//! What is in a certificate and in a private key, and whether the two belong
//! together: what the policies on Secrets and Ingresses need of X.509, and no more.
//!
//! ```text
//! bytes ─► text::blocks ─► Certificate::chain ─► validity, names (host), order
//!                      └─► PrivateKey::read ──► public key ─► belongs to the certificate
//! ```
//! A library for policies: pure Rust, no clock (who asks says what time it is),
//! no randomness, no signatures checked. Invariants: nothing that this crate
//! returns as text holds a byte of its input, so that it can stand in a message
//! about a Secret; input that it can't follow is said to be so and never taken
//! for wrong.

mod certificate;
pub mod host;
pub mod instant;
mod key;
mod text;

pub use certificate::{Certificate, ChainFault, Unreadable, chain_faults};
pub use key::{Belongs, KeyFault, PrivateKey, PublicKey};
pub use text::{Block, TextFault, blocks, decode_base64};

#[cfg(test)]
mod tests;
