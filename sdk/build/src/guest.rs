//! One guest crate, built by a nested cargo.
//!
//! Everything that decides the bytes is passed on the command line: the
//! profile, so that an author's workspace needs none of that name; the flags,
//! through `CARGO_ENCODED_RUSTFLAGS`, which wins over every configuration file;
//! and the prefixes of every folder that a panic's place could name.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::component::{ComponentError, componentize};
use crate::digest::Digest;
use crate::environment;
use crate::toolchain::{Facts, TARGET, Toolchain, ToolchainError};
use crate::watch;

/// The profile that guests are compiled with; the workspace's own is the same,
/// for who runs cargo by hand. Names of functions stay (they cost 9 %), because
/// without them a trap's backtrace says nothing.
const PROFILE: [(&str, &str); 9] = [
    ("inherits", "\"release\""),
    ("opt-level", "3"),
    ("lto", "\"fat\""),
    ("codegen-units", "1"),
    ("panic", "\"abort\""),
    ("strip", "\"debuginfo\""),
    ("debug", "0"),
    ("debug-assertions", "false"),
    ("incremental", "false"),
];
const PROFILE_NAME: &str = "guest";

/// Half of what an instance costs where `pagemap_scan` is missing is its stack:
/// 128 KiB hold 100 levels of serde's recursion many times over, where
/// wasm-ld's default is 1 MiB.
const STACK_SIZE: u32 = 128 * 1024;

/// How much of cargo's messages an error carries; what matters is at the end.
const MESSAGE_LIMIT: usize = 64 * 1024;

/// Enough of a digest to tell the workspaces of one machine apart.
const WORKSPACE_DIGITS: usize = 12;

/// A policy crate that can be built.
#[derive(Clone, Debug)]
pub struct Guest {
    folder: PathBuf,
    target_folder: Option<PathBuf>,
}

/// A component, and what it came from.
#[derive(Clone, Debug)]
pub struct Built {
    /// The package's name in its manifest.
    pub package: String,
    /// The component.
    pub bytes: Vec<u8>,
    /// Its identity.
    pub digest: Digest,
    /// The files that it was built from, sorted: sources, what they include,
    /// manifests, the lock file. When one changes, build again.
    pub watch: Vec<PathBuf>,
}

/// Why a guest was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no crate there.
    #[error(
        "there is no crate at {folder}: {folder}/Cargo.toml can't be read\n\
         hint: name the folder that holds the policy's Cargo.toml"
    )]
    NoCrate {
        /// The folder as given.
        folder: PathBuf,
        /// Why the manifest can't be read.
        source: io::Error,
    },
    /// No toolchain, or it has no such target.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// cargo's words are the message.
    #[error("{folder} doesn't build for {TARGET}:\n{stderr}{hint}")]
    Cargo {
        /// The guest's folder.
        folder: PathBuf,
        /// The end of what cargo printed.
        stderr: String,
        /// What to do, where that is known; else empty.
        hint: &'static str,
    },
    /// The crate is no `cdylib`, so there is no module.
    #[error(
        "{folder} builds, but not to a WebAssembly module\n\
         hint: add to its Cargo.toml: [lib] crate-type = [\"cdylib\", \"lib\"]"
    )]
    NoModule {
        /// The guest's folder.
        folder: PathBuf,
    },
    /// What cargo built can't be read.
    #[error("{path} was built but can't be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The module isn't a policy.
    #[error("{folder} builds to a module that can't become a component: {source}")]
    Component {
        /// The guest's folder.
        folder: PathBuf,
        /// Why.
        source: ComponentError,
    },
}

/// What the messages of a successful build say of the guest's own library.
struct Artifact {
    package: String,
    module: PathBuf,
}

impl Guest {
    /// The crate whose `Cargo.toml` lies in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), target_folder: None }
    }

    /// Where cargo puts what it builds. It must not be one that a running cargo
    /// uses, as the caller of a build script does: it would wait forever. One
    /// folder serves all guests of one workspace; those of another, whose crates
    /// may have the same names, need another. Without it, a folder of the
    /// workspace's own below `CARGO_TARGET_DIR`, or `target/guests` in it.
    #[must_use]
    pub fn target_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.target_folder = Some(folder.into());
        self
    }

    /// Builds the crate and wraps it as a component.
    ///
    /// # Errors
    /// Where the crate, the toolchain or its target is missing, where the crate
    /// doesn't compile or its lock file is out of date, and where what it
    /// compiles to isn't a policy.
    pub fn build(&self) -> Result<Built, BuildError> {
        let missing = |source| BuildError::NoCrate { folder: self.folder.clone(), source };
        // One spelling of the folder, or a symlink would show in panic places.
        let folder = self.folder.canonicalize().map_err(missing)?;
        fs::metadata(folder.join("Cargo.toml")).map_err(missing)?;

        let toolchain = Toolchain::of_caller();
        let facts = toolchain.prepare(&folder)?;
        let workspace = workspace_of(&toolchain, &folder)?;
        let target_folder = self.target_folder.clone().unwrap_or_else(|| default_target_folder(&workspace));
        let target_folder = std::path::absolute(&target_folder).unwrap_or(target_folder);

        let nested = Nested {
            toolchain: &toolchain,
            facts: &facts,
            folder: &folder,
            workspace: &workspace,
            target_folder: &target_folder,
        };
        let artifact = nested.build()?;
        let core_wasm = read(&artifact.module)?;
        let bytes =
            componentize(&core_wasm).map_err(|source| BuildError::Component { folder: folder.clone(), source })?;
        let dep_info = read(&artifact.module.with_extension("d"))?;
        Ok(Built {
            package: artifact.package,
            digest: Digest::of(&bytes),
            bytes,
            watch: watch::watched(&String::from_utf8_lossy(&dep_info), &workspace, &target_folder),
        })
    }
}

/// One run of cargo, and what it depends on.
struct Nested<'a> {
    toolchain: &'a Toolchain,
    facts: &'a Facts,
    folder: &'a Path,
    workspace: &'a Path,
    target_folder: &'a Path,
}

impl Nested<'_> {
    fn build(&self) -> Result<Artifact, BuildError> {
        let before = source_folders();
        let artifact = self.run(&before)?;
        // A first download makes folders that the prefixes didn't cover.
        let after = source_folders();
        if before == after { Ok(artifact) } else { self.run(&after) }
    }

    fn run(&self, sources: &BTreeSet<PathBuf>) -> Result<Artifact, BuildError> {
        let mut command = Command::new(&self.toolchain.cargo);
        environment::clean(&mut command);
        command
            .args(["build", "--lib", "--locked", "--target", TARGET])
            .args(["--profile", PROFILE_NAME])
            .args(["--message-format", "json-render-diagnostics"])
            .arg("--manifest-path")
            .arg(self.folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.target_folder)
            .current_dir(self.folder)
            .env("CARGO_BUILD_BUILD_DIR", self.target_folder)
            .env("RUSTC", &self.toolchain.rustc)
            // Empty, not absent: it also overrides a wrapper in a configuration file.
            .env("RUSTC_WRAPPER", "")
            .env("RUSTC_WORKSPACE_WRAPPER", "")
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags(sources).join("\x1f"));
        for (key, value) in PROFILE {
            command.args(["--config", &format!("profile.{PROFILE_NAME}.{key}={value}")]);
        }
        let output = command
            .output()
            .map_err(|source| ToolchainError::Start { program: self.toolchain.cargo.display().to_string(), source })?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(BuildError::Cargo {
                folder: self.folder.to_owned(),
                hint: hint_for(&stderr),
                stderr: tail(stderr),
            });
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        artifact_of(&messages, self.folder).ok_or_else(|| BuildError::NoModule { folder: self.folder.to_owned() })
    }

    /// rustc's flags. Of several prefixes that fit rustc takes the last, so the
    /// narrower come later.
    fn flags(&self, sources: &BTreeSet<PathBuf>) -> Vec<String> {
        let sysroot = &self.facts.sysroot;
        let std_sources = sysroot.join("lib/rustlib/src/rust");
        let mut prefixes = vec![
            (sysroot.clone(), "/sysroot".to_owned()),
            // Where rust-src is installed, std's places name it instead of the commit.
            (std_sources, format!("/rustc/{}", self.facts.commit)),
            (self.workspace.to_owned(), "/guest".to_owned()),
        ];
        // The last part of each names the registry or the mirror it came from.
        prefixes.extend(sources.iter().map(|path| (path.clone(), "/crates".to_owned())));
        prefixes.push((self.target_folder.to_owned(), "/target".to_owned()));

        let mut flags = vec![format!("-Clink-arg=-zstack-size={STACK_SIZE}")];
        flags.extend(prefixes.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())));
        flags
    }
}

/// The folders below cargo's home that hold the sources of dependencies: one a
/// registry, or mirror of it, and all git checkouts.
fn source_folders() -> BTreeSet<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let Some(home) = home else {
        return BTreeSet::new();
    };
    let registries = fs::read_dir(home.join("registry").join("src"));
    let mut folders: BTreeSet<PathBuf> = registries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.insert(home.join("git").join("checkouts"));
    folders
}

/// A folder of its own where the caller's cargo puts what it builds: the lock
/// that a running cargo holds is that of its profile, so this one never waits.
/// Below a `CARGO_TARGET_DIR`, which workspaces share, each has its own, because
/// two guests of one name would overwrite each other's module.
fn default_target_folder(workspace: &Path) -> PathBuf {
    let Some(shared) = env::var_os("CARGO_TARGET_DIR") else {
        return workspace.join("target").join("guests");
    };
    let place = Digest::of(workspace.as_os_str().as_encoded_bytes()).to_string();
    let short: String = place.chars().skip("sha256:".len()).take(WORKSPACE_DIGITS).collect();
    PathBuf::from(shared).join("guests").join(short)
}

fn workspace_of(toolchain: &Toolchain, folder: &Path) -> Result<PathBuf, BuildError> {
    let mut command = Command::new(&toolchain.cargo);
    environment::clean(&mut command);
    command.args(["locate-project", "--workspace", "--message-format", "plain"]).current_dir(folder);
    let located = Toolchain::capture(&mut command).map_err(|error| match error {
        ToolchainError::Failed { stderr, .. } => {
            BuildError::Cargo { folder: folder.to_owned(), hint: hint_for(&stderr), stderr: tail(stderr) }
        }
        other => BuildError::Toolchain(other),
    })?;
    let manifest = PathBuf::from(located.trim_end());
    Ok(manifest.parent().map_or_else(|| folder.to_owned(), Path::to_owned))
}

/// Finds the guest's own module among cargo's messages, one JSON object a line.
fn artifact_of(messages: &str, folder: &Path) -> Option<Artifact> {
    let manifest = folder.join("Cargo.toml");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["manifest_path"].as_str().map(Path::new) == Some(&manifest))
        .find_map(|message| {
            let module = message["filenames"]
                .as_array()?
                .iter()
                .filter_map(|name| name.as_str())
                .find(|name| name.ends_with(".wasm"))?;
            Some(Artifact { package: package_name(message["package_id"].as_str()?), module: PathBuf::from(module) })
        })
}

/// The name in a package id: `path+file:///a/b#0.1.0` says it by the folder,
/// `path+file:///a/b#name@0.1.0` where the two differ.
fn package_name(id: &str) -> String {
    let (place, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    let name = fragment.rsplit_once('@').map_or_else(|| place.rsplit('/').next().unwrap_or(place), |(name, _)| name);
    name.to_owned()
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(|source| BuildError::Read { path: path.to_owned(), source })
}

fn tail(mut text: String) -> String {
    if text.len() > MESSAGE_LIMIT {
        let mut start = text.len() - MESSAGE_LIMIT;
        while !text.is_char_boundary(start) {
            start += 1;
        }
        text.replace_range(..start, "…");
    }
    text.truncate(text.trim_end().len());
    text
}

/// cargo tells what is wrong; where its own advice doesn't fit, ours does. Only
/// a hint hangs on its words, never what is done.
fn hint_for(stderr: &str) -> &'static str {
    if stderr.contains("--locked") {
        "\nhint: a policy's digest is its identity, so its Cargo.lock must be there and up to date; run `cargo generate-lockfile`, or `cargo check` once"
    } else if stderr.contains("believes it's in a workspace") {
        "\nhint: add an empty [workspace] table to its Cargo.toml, or make it a member of that workspace"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_id_names_its_package() {
        let cases = [
            ("path+file:///a/minimal#0.1.0", "minimal"),
            ("path+file:///a/storage#builtin-storage@0.1.0", "builtin-storage"),
        ];
        for (id, expected) in cases {
            assert_eq!(package_name(id), expected, "{id}");
        }
    }

    #[test]
    fn a_long_message_keeps_its_end() {
        let long = format!("{}é{}", "a".repeat(MESSAGE_LIMIT), "b".repeat(MESSAGE_LIMIT - 1));
        let kept = tail(long);
        assert!(kept.starts_with("…b") && kept.ends_with('b'));
        assert_eq!(tail("error\n".to_owned()), "error");
    }
}
