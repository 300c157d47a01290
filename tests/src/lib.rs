//! What the integration tests and benchmarks share, and nothing that ships.
//!
//! The tests themselves are in `tests/`, the guests that they run in `guests/`,
//! the benchmarks in `benches/`.

use std::path::{Path, PathBuf};

/// The checkout's root. Cargo says where the crate lies when it runs it; what was
/// compiled in may be another checkout, one that shared the target folder.
///
/// # Panics
/// Never: this crate's folder lies in it.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&folder).parent().expect("the tests' folder lies in the workspace's").to_owned()
}
