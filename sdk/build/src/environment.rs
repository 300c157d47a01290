//! What of the caller's environment reaches the nested cargo.
//!
//! A build script's environment is full of what cargo, clippy, sccache or a
//! coverage tool want for the *host* build; any of it would change the guest's
//! bytes or break its build (an `x86-64` `target-cpu`, a wrapper that doesn't
//! know the target, another target folder). So everything of cargo's and
//! rustc's goes, but for the few that say where crates come from and how many
//! jobs may run.

use std::ffi::OsStr;
use std::process::Command;

/// Kept although they start like what is removed: where crates come from, how
/// to get at them, how progress looks, and the job server that keeps nested
/// builds within the caller's number of jobs.
const KEPT: [&str; 3] = ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_LOG"];
const KEPT_PREFIXES: [&str; 6] =
    ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_", "CARGO_TERM_"];

/// What cargo sets for build scripts without a prefix of its own; removed so
/// that the guest's build scripts can't read the host's by mistake.
const BUILD_SCRIPT: [&str; 7] = ["OUT_DIR", "TARGET", "HOST", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS"];
const REMOVED_PREFIXES: [&str; 6] = ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "DEP_", "__CARGO"];

/// Removes from the command's environment what would change what is built.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if !is_kept(&name) {
            command.env_remove(&name);
        }
    }
}

fn is_kept(name: &OsStr) -> bool {
    // A name that isn't UTF-8 is none of cargo's.
    let Some(name) = name.to_str() else {
        return true;
    };
    if KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return true;
    }
    !(BUILD_SCRIPT.contains(&name) || REMOVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_change_the_guest_is_kept() {
        let cases = [
            ("PATH", true),
            ("HOME", true),
            ("RUSTUP_TOOLCHAIN", true),
            ("RUSTUP_HOME", true),
            ("CARGO_HOME", true),
            ("CARGO_MAKEFLAGS", true),
            ("CARGO_NET_OFFLINE", true),
            ("CARGO_REGISTRIES_INTERNAL_TOKEN", true),
            ("CARGO_SOURCE_CRATES_IO_REPLACE_WITH", true),
            ("RUSTFLAGS", false),
            ("CARGO_ENCODED_RUSTFLAGS", false),
            ("CARGO_BUILD_RUSTFLAGS", false),
            ("CARGO_BUILD_TARGET", false),
            ("CARGO_TARGET_DIR", false),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", false),
            ("CARGO_PROFILE_GUEST_OPT_LEVEL", false),
            ("CARGO_PROFILE_RELEASE_DEBUG", false),
            ("CARGO_INCREMENTAL", false),
            ("CARGO_MANIFEST_DIR", false),
            ("CARGO_FEATURE_STD", false),
            ("RUSTC", false),
            ("RUSTC_WRAPPER", false),
            ("RUSTC_WORKSPACE_WRAPPER", false),
            ("RUSTC_BOOTSTRAP", false),
            ("RUSTDOCFLAGS", false),
            ("OUT_DIR", false),
            ("TARGET", false),
            ("DEP_Z_ROOT", false),
        ];
        for (name, kept) in cases {
            assert_eq!(is_kept(OsStr::new(name)), kept, "{name}");
        }
    }
}
