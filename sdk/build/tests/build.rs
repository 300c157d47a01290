//! Real crates, built by real cargo: the same source gives the same digest
//! wherever it lies and whatever the environment holds, and what can't be built
//! says why.
//!
//! The crates have no dependencies (the world is put into the component-type
//! section here), so that a build takes a second and no network.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_sdk_build::{Built, Guest};
use wit_component::StringEncoding;
use wit_parser::Resolve;

/// A world that a crate without dependencies can export.
const WORLD: &str = "package test:guest; world guest { export answer: func(of: u32) -> u32; }";

/// Panic places of three kinds: the crate's, a path dependency's, and that of a
/// file that a build script wrote.
const GUEST: &str = r#"
#[unsafe(link_section = "component-type:guest")]
static WORLD: [u8; include_bytes!("world").len()] = *include_bytes!("world");
include!(concat!(env!("OUT_DIR"), "/generated.rs"));
#[unsafe(export_name = "answer")]
extern "C" fn answer(of: u32) -> u32 {
    std::hint::black_box(&WORLD);
    if of == 7 { panic!("seven: {:?}", std::panic::Location::caller()) }
    generated(neighbour::look(of))
}
"#;
const BUILD_SCRIPT: &str = r#"
fn main() {
    let path = format!("{}/generated.rs", std::env::var("OUT_DIR").unwrap());
    std::fs::write(path, "fn generated(of: u32) -> u32 { assert!(of != 3, \"{}\", file!()); of + 1 }").unwrap();
}
"#;
const NEIGHBOUR: &str = "pub fn look(of: u32) -> u32 { [1, 2, 3].get(of as usize).copied().expect(file!()) }";

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Writes a workspace with a guest and a neighbour that it depends on; returns
/// the guest's folder.
fn lay(root: &Path) -> PathBuf {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("guest.wit", WORLD).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let section = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None, false).unwrap();

    let package = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}")
    };
    write(&root.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"guest\", \"neighbour\"]\n");
    write(
        &root.join("Cargo.lock"),
        "version = 4\n\n[[package]]\nname = \"a-guest\"\nversion = \"0.1.0\"\ndependencies = [\n \"neighbour\",\n]\n\n[[package]]\nname = \"neighbour\"\nversion = \"0.1.0\"\n",
    );
    write(&root.join("neighbour/Cargo.toml"), package("neighbour", ""));
    write(&root.join("neighbour/src/lib.rs"), NEIGHBOUR);
    let guest = root.join("guest");
    write(
        &guest.join("Cargo.toml"),
        package(
            "a-guest",
            "[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nneighbour = { path = \"../neighbour\" }\n",
        ),
    );
    write(&guest.join("build.rs"), BUILD_SCRIPT);
    write(&guest.join("src/lib.rs"), GUEST);
    write(&guest.join("src/world"), section);
    guest
}

/// A guest whose target folder goes away with the temporary `root`.
fn guest_in(root: &Path, folder: PathBuf) -> Guest {
    Guest::new(folder).target_folder(root.join("target"))
}

/// Set in the child process of the next test: the guest's folder.
const CHILD: &str = "PORTCULLIS_TEST_GUEST";

/// Not a test of its own: what the child process of the next test runs, because
/// a process must not change its own environment.
#[test]
fn build_for_the_parent_test() {
    if let Some(folder) = std::env::var_os(CHILD) {
        let built = Guest::new(folder).build().unwrap();
        println!("digest {}", built.digest);
    }
}

fn build_in_child(guest: &Path, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "build_for_the_parent_test", "--nocapture"])
        .env(CHILD, guest)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let digest = text.lines().find_map(|line| line.split_once("digest "));
    digest.unwrap().1.to_owned()
}

#[test]
fn the_same_source_gives_the_same_digest_in_two_folders_and_a_hostile_environment() {
    let first = tempfile::tempdir().unwrap();
    let second = tempfile::tempdir().unwrap();
    let first_guest = lay(first.path());
    let second_guest = lay(&second.path().join("a folder with spaces/and depth"));
    let other_target = second.path().join("target of the caller");
    // A configuration file beside the guest is part of the environment too.
    write(
        &second.path().join(".cargo/config.toml"),
        "[build]\nrustflags = [\"-Cdebuginfo=2\"]\nrustc-wrapper = \"/nowhere/wrapper\"\n[profile.guest]\nopt-level = 0\n",
    );
    // The one has its target folder by argument, the other by environment.
    let elsewhere = tempfile::tempdir().unwrap();
    let built = Guest::new(&first_guest).target_folder(elsewhere.path()).build().unwrap();
    let hostile = build_in_child(
        &second_guest,
        &[
            ("RUSTFLAGS", "-Ctarget-cpu=native -Cinstrument-coverage"),
            ("CARGO_ENCODED_RUSTFLAGS", "-Cno-such-option"),
            ("CARGO_BUILD_RUSTFLAGS", "-Cno-such-option"),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-Cno-such-option"),
            ("RUSTC_WRAPPER", "/nowhere/wrapper"),
            ("RUSTC_WORKSPACE_WRAPPER", "/nowhere/wrapper"),
            ("CARGO_TARGET_DIR", other_target.to_str().unwrap()),
            ("CARGO_BUILD_TARGET", "no-such-target"),
            ("CARGO_PROFILE_GUEST_OPT_LEVEL", "0"),
            ("CARGO_PROFILE_RELEASE_DEBUG", "2"),
            ("CARGO_INCREMENTAL", "1"),
        ],
    );
    assert_eq!(built.digest.to_string(), hostile);
    assert!(other_target.join("guests").is_dir());
    names_no_folder(&built, &[first.path(), elsewhere.path()]);
}

/// Panic places are there, but none says where on this machine.
fn names_no_folder(built: &Built, folders: &[&Path]) {
    let text = String::from_utf8_lossy(&built.bytes);
    for folder in folders {
        assert!(!text.contains(folder.to_str().unwrap()), "{folder:?}");
    }
    for place in ["guest/src/lib.rs", "neighbour/src/lib.rs", "/target/"] {
        assert!(text.contains(place), "the panic place {place} is lost");
    }
}

#[test]
fn what_was_built_says_what_it_was_built_from() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let built = guest_in(&root, lay(&root)).build().unwrap();
    assert_eq!(built.package, "a-guest");
    let watched: Vec<&str> =
        built.watch.iter().map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap()).collect();
    assert_eq!(
        watched,
        [
            "Cargo.lock",
            "Cargo.toml",
            "guest/Cargo.toml",
            "guest/build.rs",
            "guest/src/lib.rs",
            "guest/src/world",
            "neighbour/Cargo.toml",
            "neighbour/src/lib.rs",
        ]
    );
}

/// The address where the stack begins, from which it grows down to 0: the value
/// of the module's first global.
#[test]
fn the_stack_is_as_small_as_the_engine_wants_it() {
    let root = tempfile::tempdir().unwrap();
    let built = guest_in(root.path(), lay(root.path())).build().unwrap();
    let mut first_global = None;
    for payload in wasmparser::Parser::new(0).parse_all(&built.bytes) {
        if let wasmparser::Payload::GlobalSection(globals) = payload.unwrap() {
            let global = globals.into_iter().next().unwrap().unwrap();
            let start = global.init_expr.get_operators_reader().read().unwrap();
            first_global = first_global.or(Some(format!("{start:?}")));
        }
    }
    assert_eq!(first_global.as_deref(), Some("I32Const { value: 131072 }"));
}

fn refused(change: impl FnOnce(&Path) -> PathBuf, expected: &[&str]) {
    let root = tempfile::tempdir().unwrap();
    lay(root.path());
    let message = guest_in(root.path(), change(root.path())).build().unwrap_err().to_string();
    for part in expected {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn a_missing_crate_is_named() {
    refused(|root| root.join("nothing"), &["there is no crate at", "nothing/Cargo.toml", "hint:"]);
    refused(|root| root.join("guest/src"), &["there is no crate at", "guest/src", "hint:"]);
}

#[test]
fn a_crate_that_does_not_compile_shows_what_rustc_says() {
    refused(
        |root| {
            write(&root.join("guest/src/lib.rs"), "fn broken() -> u32 { \"text\" }");
            root.join("guest")
        },
        &["doesn't build for wasm32-unknown-unknown", "mismatched types", "src/lib.rs:1"],
    );
}

#[test]
fn a_library_that_is_no_module_says_what_to_add() {
    refused(|root| root.join("neighbour"), &["crate-type = [\"cdylib\""]);
}

#[test]
fn a_missing_lock_file_says_why_it_is_needed() {
    refused(
        |root| {
            fs::remove_file(root.join("Cargo.lock")).unwrap();
            root.join("guest")
        },
        &["--locked", "hint: a policy's digest is its identity"],
    );
}

#[test]
fn a_module_without_a_world_says_how_to_export_policies() {
    refused(
        |root| {
            write(&root.join("guest/src/lib.rs"), "");
            root.join("guest")
        },
        &["can't become a component", "portcullis_sdk::module!"],
    );
}
