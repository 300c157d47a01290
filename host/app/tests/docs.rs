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

/// What a subcommand of the program prints.
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .env_clear()
        .env("PORTCULLIS_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Holds files below `deploy` to what the program prints.
fn current(made_by: &str, printed: &str, files: &[&str]) {
    let expected = format!("# made by `portcullis {made_by}`: BLESS=1 cargo test -p portcullis --test docs\n{printed}");
    for name in files {
        let file = docs().join("../deploy").join(name);
        if bless() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &expected).unwrap();
        }
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert!(found == expected, "deploy/{name} is not what `portcullis {made_by}` prints (BLESS=1 writes it)");
    }
}

#[test]
fn the_definitions_in_deploy_are_current() {
    let printed = printed(&["manifests", "crds"]);
    let definitions: Vec<&str> = printed.split("---\n").collect();
    assert_eq!(definitions.len(), 2);
    for (name, definition) in ["clusterpolicies.yaml", "policies.yaml"].iter().zip(&definitions) {
        current(
            "manifests crds",
            definition,
            &[&format!("crds/{name}"), &format!("helm/portcullis/files/crds/{name}")],
        );
    }
}

/// One set of roles serves both sets of policies.
#[test]
fn the_roles_in_deploy_are_current() {
    let of = |set: &str| printed(&["manifests", "rbac", "--policy", set]);
    let baseline = of("builtin/baseline");
    assert!(baseline == of("builtin/strict"), "the strict set needs other roles than the baseline");
    let files = ["kustomize/base/rbac.yaml", "helm/portcullis/files/rbac.yaml"];
    current("manifests rbac --policy builtin/baseline", &baseline, &files);
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
