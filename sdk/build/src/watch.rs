//! Which files a built component came from, for `rerun-if-changed` and for
//! file watchers: what rustc read (from cargo's dep-info file), and the
//! manifests, lock file and toolchain file that decide how it was built.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files at a workspace's root that change what is built.
const WORKSPACE_FILES: [&str; 4] = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "rust-toolchain"];

/// Every file that the artifact was built from, sorted; files below
/// `target_folder` are left out, because building would touch them and so make
/// what was built look stale.
pub(crate) fn watched(dep_info: &str, workspace: &Path, target_folder: &Path) -> Vec<PathBuf> {
    let mut files: BTreeSet<PathBuf> = prerequisites(dep_info)
        .into_iter()
        .map(|path| workspace.join(path))
        .filter(|path| !path.starts_with(target_folder))
        .collect();
    let manifests: BTreeSet<PathBuf> = files.iter().filter_map(|file| manifest_of(file)).collect();
    files.extend(manifests);
    files.extend(WORKSPACE_FILES.iter().map(|name| workspace.join(name)).filter(|path| path.is_file()));
    files.into_iter().collect()
}

fn manifest_of(file: &Path) -> Option<PathBuf> {
    file.ancestors().skip(1).map(|folder| folder.join("Cargo.toml")).find(|manifest| manifest.is_file())
}

/// The right-hand side of each rule of a makefile as cargo writes it, in which
/// a space within a path is `\ `.
fn prerequisites(dep_info: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for line in dep_info.lines() {
        let Some((_, right)) = line.split_once(": ") else {
            continue;
        };
        let mut path = String::new();
        let mut characters = right.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if characters.peek() == Some(&' ') => {
                    path.push(' ');
                    characters.next();
                }
                ' ' => paths.push(std::mem::take(&mut path)),
                other => path.push(other),
            }
        }
        paths.push(path);
    }
    paths.retain(|path| !path.is_empty());
    paths.into_iter().map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dep_info_file_is_read_with_its_escapes() {
        let cases: [(&str, &[&str]); 4] = [
            ("/t/a.wasm: /w/src/lib.rs /w/policy.wit\n", &["/w/src/lib.rs", "/w/policy.wit"]),
            ("/t/a.wasm: /my\\ work/lib.rs", &["/my work/lib.rs"]),
            ("/t/a.wasm:\n", &[]),
            ("", &[]),
        ];
        for (dep_info, expected) in cases {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(prerequisites(dep_info), expected, "{dep_info:?}");
        }
    }
}
