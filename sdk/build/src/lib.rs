//! From a policy crate to a component: what the bundle, the tests and
//! `portcullis build` all use, so that what ships is what authors build.
//!
//! ```text
//! folder with Cargo.toml --cargo--> core module --wit-component--> component
//!            (guest, toolchain, environment)       (component)      + digest
//!                                                                   + files to watch
//! ```
//!
//! Invariants:
//! - The same source, lock file and toolchain give the same bytes, in whatever
//!   folder they lie and whatever the caller's environment holds: a policy's
//!   digest is its identity, and compiled artifacts are cached under it.
//! - It can be called from a build script: the nested cargo never shares the
//!   caller's target folder, whose lock the caller holds.
//!
//! What it can't hide: a path dependency that lies outside the guest's
//! workspace makes the bytes depend on where it lies (cargo hashes its place
//! into symbol names), and so does `env!("CARGO_MANIFEST_DIR")` in the source.
//!
//! ```no_run
//! let built = portcullis_sdk_build::Guest::new("policies/my-policy").build()?;
//! println!("{} is {} bytes", built.digest, built.bytes.len());
//! # Ok::<(), portcullis_sdk_build::BuildError>(())
//! ```

mod component;
mod digest;
mod environment;
mod guest;
mod toolchain;
mod watch;

pub use component::{ComponentError, componentize};
pub use digest::Digest;
pub use guest::{BuildError, Built, Guest};
pub use toolchain::{TARGET, ToolchainError};
