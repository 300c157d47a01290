//! What the integration tests and benchmarks share, and nothing that ships.
//!
//! The tests themselves are in `tests/`, the guests that they run in `guests/`,
//! the benchmarks in `benches/`.

use std::path::{Path, PathBuf};

/// The checkout's root.
///
/// # Panics
/// Never: this crate's folder lies in it.
#[must_use]
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' folder lies in the workspace's").to_owned()
}
