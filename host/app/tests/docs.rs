//! The documentation that is made of the program itself is current. `BLESS=1`
//! writes it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;

fn docs() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../docs")
}

fn bless() -> bool {
    std::env::var_os("BLESS").is_some_and(|value| value == "1")
}

#[test]
fn the_command_lines_page_is_current() {
    let page = portcullis::report::cli_page::page(portcullis::args::Arguments::command());
    let path = docs().join("cli.md");
    if bless() {
        fs::create_dir_all(docs()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/cli.md is not what the command line says of itself (BLESS=1 writes it)");
}

#[test]
fn the_definitions_in_deploy_are_current() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_portcullis")).args(["manifests", "crds"]).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let definitions: Vec<&str> = printed.split("---\n").collect();
    let folder = docs().join("../deploy/crds");
    for (name, definition) in ["clusterpolicies.yaml", "policies.yaml"].iter().zip(&definitions) {
        let definition = format!(
            "# made by `portcullis manifests crds`: BLESS=1 cargo test -p portcullis --test docs\n{definition}"
        );
        if bless() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(name), &definition).unwrap();
        }
        let found = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(found == definition, "deploy/crds/{name} is not what the types say (BLESS=1 writes it)");
    }
    assert_eq!(definitions.len(), 2);
}

#[test]
fn the_policies_pages_are_current() {
    let made = tempfile::tempdir().unwrap();
    let folder = if bless() { docs().join("policies") } else { made.path().to_owned() };
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["explain", "--all", "-o", "markdown", "--folder"])
        .arg(&folder)
        .env_clear()
        .env("PORTCULLIS_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (expected, found) = (pages(&folder), pages(&docs().join("policies")));
    assert!(expected.len() > 2, "{:?}", expected.keys());
    let different: Vec<&String> =
        expected.keys().chain(found.keys()).filter(|name| expected.get(*name) != found.get(*name)).collect();
    assert!(different.is_empty(), "docs/policies is not what the policies say: {different:?} (BLESS=1 writes it)");
}

fn pages(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap()))
        .collect()
}
