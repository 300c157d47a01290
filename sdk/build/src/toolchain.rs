//! The Rust toolchain that builds guests, and the target that it needs.
//!
//! It is the caller's own: `CARGO` where cargo runs us, else `cargo` from the
//! path, and the rustc beside it, so that a guest is built with the version
//! that its own toolchain file names.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment;

/// What policies are compiled for: no system interface at all.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What is missing on this machine.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// A program of the toolchain can't be started.
    #[error(
        "`{program}` can't be started\n\
         hint: a policy is built with cargo and rustc; install Rust as https://rustup.rs says"
    )]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It ran and failed.
    #[error("`{command}` failed:\n{stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// What it printed on standard error.
        stderr: String,
    },
    /// The target isn't installed, and there is no rustup to install it.
    #[error(
        "the Rust toolchain at {sysroot} has no {TARGET}, for which policies are compiled, and there is no rustup to add it\n\
         hint: install the target from where this Rust came (Debian: libstd-rust-dev-wasm32, Fedora: rust-std-static-{TARGET}), \
         or use Rust from https://rustup.rs"
    )]
    NoTargetNoRustup {
        /// Where the toolchain lies.
        sysroot: String,
    },
    /// The target isn't installed, and rustup couldn't install it.
    #[error(
        "the Rust toolchain at {sysroot} has no {TARGET}, for which policies are compiled, and adding it failed:\n{stderr}\n\
         hint: where this machine reaches the network, run `{command}`"
    )]
    TargetNotAdded {
        /// Where the toolchain lies.
        sysroot: String,
        /// The command line that was tried.
        command: String,
        /// What rustup printed.
        stderr: String,
    },
}

/// The programs that build a guest.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    rustup: PathBuf,
}

/// What a toolchain says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Where it lies.
    pub(crate) sysroot: PathBuf,
    /// The commit that rustc was built from, as paths inside std name it.
    pub(crate) commit: String,
}

impl Toolchain {
    /// The toolchain of the caller: cargo's where it runs us, else the path's.
    pub(crate) fn of_caller() -> Self {
        let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        let beside = cargo.with_file_name(format!("rustc{}", env::consts::EXE_SUFFIX));
        let rustc = if cargo.is_absolute() && beside.is_file() { beside } else { PathBuf::from("rustc") };
        Self { cargo, rustc, rustup: PathBuf::from("rustup") }
    }

    /// What rustc says of itself when it is run in `folder`, whose toolchain
    /// file may choose it; adds the target where it is missing.
    pub(crate) fn prepare(&self, folder: &Path) -> Result<Facts, ToolchainError> {
        let sysroot = self.rustc_says(folder, &["--print", "sysroot"])?;
        let version = self.rustc_says(folder, &["-vV"])?;
        let commit =
            version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown").to_owned();
        let facts = Facts { sysroot: PathBuf::from(sysroot), commit };
        if !self.has_target(folder)? {
            self.add_target(folder, &facts.sysroot)?;
        }
        Ok(facts)
    }

    /// Runs a command to its end and gives its standard output.
    pub(crate) fn capture(command: &mut Command) -> Result<String, ToolchainError> {
        let output = command.output().map_err(|source| ToolchainError::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(ToolchainError::Failed {
                command: command_line(command),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            })
        }
    }

    fn rustc_says(&self, folder: &Path, arguments: &[&str]) -> Result<String, ToolchainError> {
        let mut command = Command::new(&self.rustc);
        environment::clean(&mut command);
        command.args(arguments).current_dir(folder);
        Self::capture(&mut command).map(|text| text.trim_end().to_owned())
    }

    /// A target is there when its folder holds `core`; the folder alone may be
    /// what an interrupted installation left.
    fn has_target(&self, folder: &Path) -> Result<bool, ToolchainError> {
        let libraries = self.rustc_says(folder, &["--print", "target-libdir", "--target", TARGET])?;
        Ok(std::fs::read_dir(libraries).is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
        }))
    }

    fn add_target(&self, folder: &Path, sysroot: &Path) -> Result<(), ToolchainError> {
        let mut command = Command::new(&self.rustup);
        environment::clean(&mut command);
        command.args(["target", "add", TARGET]).current_dir(folder);
        if let Some(toolchain) = rustup_toolchain(sysroot) {
            command.args(["--toolchain", &toolchain]);
        }
        let shown = sysroot.display().to_string();
        match Self::capture(&mut command) {
            Ok(_) if self.has_target(folder)? => Ok(()),
            // rustup added it to a toolchain of its own, and this rustc isn't that one's.
            Ok(_) | Err(ToolchainError::Start { .. }) => Err(ToolchainError::NoTargetNoRustup { sysroot: shown }),
            Err(error) => Err(ToolchainError::TargetNotAdded {
                sysroot: shown,
                command: command_line(&command),
                stderr: error.to_string(),
            }),
        }
    }
}

/// rustup keeps each toolchain in a folder of its name below `toolchains`.
fn rustup_toolchain(sysroot: &Path) -> Option<String> {
    let below_toolchains = sysroot.parent()?.file_name()? == "toolchains";
    below_toolchains.then(|| sysroot.file_name().map(|name| name.to_string_lossy().into_owned())).flatten()
}

fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A toolchain of shell scripts in `folder`; its target's folder is
    /// `folder/libraries`, and `rustup` is what stands in for it.
    fn fake(folder: &Path, rustup: Option<&str>) -> Toolchain {
        let script = |name: &str, body: &str| {
            let path = folder.join(name);
            fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let libraries = folder.join("libraries");
        let rustc = script(
            "rustc",
            &format!(
                "case \"$*\" in *sysroot*) echo /opt/rust;; *libdir*) echo '{}';; *) echo 'commit-hash: abc';; esac",
                libraries.display()
            ),
        );
        Toolchain {
            cargo: PathBuf::from("cargo"),
            rustc,
            rustup: rustup.map_or_else(|| folder.join("no-rustup"), |body| script("rustup", body)),
        }
    }

    fn check(rustup: Option<&str>, installed: bool, expected: Result<(), &str>) {
        let folder = tempfile::tempdir().unwrap();
        let toolchain = fake(folder.path(), rustup);
        if installed {
            fs::create_dir(folder.path().join("libraries")).unwrap();
            fs::write(folder.path().join("libraries/libcore-0.rlib"), "").unwrap();
        }
        match (toolchain.prepare(folder.path()), expected) {
            (Ok(facts), Ok(())) => assert_eq!(facts.commit, "abc"),
            (Err(error), Err(text)) => {
                assert!(error.to_string().contains(text), "{error}");
            }
            (result, expected) => panic!("{result:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_target_that_is_there_needs_no_rustup() {
        check(None, true, Ok(()));
    }

    #[test]
    fn a_missing_target_is_added_by_rustup() {
        check(Some("mkdir libraries; touch libraries/libcore-1.rlib"), false, Ok(()));
    }

    #[test]
    fn without_rustup_the_message_says_what_to_install() {
        check(None, false, Err("there is no rustup to add it\nhint: install the target"));
    }

    #[test]
    fn when_rustup_fails_its_words_are_shown_with_the_command() {
        check(Some("echo 'could not download' >&2; exit 1"), false, Err("could not download"));
        check(Some("exit 1"), false, Err("rustup target add wasm32-unknown-unknown`"));
    }

    #[test]
    fn a_rustup_that_added_it_elsewhere_is_not_believed() {
        check(Some("exit 0"), false, Err("no rustup to add it"));
    }

    #[test]
    fn a_rustup_toolchain_is_named_after_its_folder() {
        let cases = [
            ("/home/a/.rustup/toolchains/1.95.0-x86_64-unknown-linux-gnu", Some("1.95.0-x86_64-unknown-linux-gnu")),
            ("/usr", None),
            ("/", None),
        ];
        for (sysroot, expected) in cases {
            assert_eq!(rustup_toolchain(Path::new(sysroot)).as_deref(), expected, "{sysroot}");
        }
    }
}
