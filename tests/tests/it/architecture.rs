//! The layout that ARCHITECTURE.md draws, held by a test: who may depend on
//! whom, which crate may name which heavy dependency, and what every file and
//! policy folder has. `deny.toml` holds the heavy dependencies a second time,
//! also for what comes in through others.
//!
//! A rule that has to change is changed here, in the same commit, with the
//! reason in ARCHITECTURE.md.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use portcullis_tests::workspace_root;

/// Which of our own crates a crate may depend on. A folder that ends in `/*`
/// stands for every folder below it that isn't named itself. Dev-dependencies
/// count, but for the crates that a derive or a library is tested with.
const MAY_DEPEND_ON: [(&str, Crates); 14] = [
    ("host/core", Crates::Only(&[])),
    ("host/engine", Crates::Only(&["portcullis-core"])),
    ("host/kube", Crates::Only(&["portcullis-core"])),
    (
        "host/app",
        Crates::Only(&[
            "portcullis-core",
            "portcullis-engine",
            "portcullis-kube",
            "portcullis-bundle",
            "portcullis-sdk-build",
        ]),
    ),
    ("sdk", Crates::Only(&["portcullis-sdk-derive"])),
    ("sdk/derive", Crates::Only(&[])),
    ("sdk/build", Crates::Only(&[])),
    ("policies/workloads", Crates::Only(&["portcullis-sdk"])),
    ("policies/certificates", Crates::Only(&[])),
    ("policies/bundle", Crates::Only(&["portcullis-sdk-build"])),
    ("policies/bundle/modules/*", Crates::SdkAndPolicies),
    ("policies/*", Crates::Only(&["portcullis-sdk", "portcullis-workloads", "portcullis-certificates"])),
    ("tests", Crates::Any),
    ("tests/*", Crates::Any),
];

/// Below `policies`, what isn't a policy: libraries for policies.
const POLICY_LIBRARIES: [&str; 2] = ["policies/workloads", "policies/certificates"];

/// Dev-dependencies that the table doesn't allow otherwise.
const MAY_BE_TESTED_WITH: [(&str, &str); 2] =
    [("sdk/derive", "portcullis-sdk"), ("host/engine", "portcullis-sdk-build")];

/// Dependencies that one crate alone may name.
const FENCED: [(&str, &str); 4] = [
    ("wasmtime", "host/engine"),
    ("wasmtime-wizer", "host/engine"),
    ("kube", "host/kube"),
    ("k8s-openapi", "host/kube"),
];

/// Crates that must not be in the tree at all, whoever brings them: WASI is an
/// authority that policies don't have, TLS is rustls', YAML is read by a parser
/// that keeps places.
const BANNED: [&str; 5] = ["wasmtime-wasi", "openssl", "openssl-sys", "native-tls", "serde_yaml"];

/// `main` is a signpost.
const MAIN_LINES: usize = 30;

/// Past this a file's header says why.
const FILE_LINES: usize = 600;
const FILE_LINES_REASON: &str = "long because";

/// What has no sources of ours.
const SKIPPED_FOLDERS: [&str; 2] = ["target", "node_modules"];

#[derive(Clone, Copy)]
enum Crates {
    Only(&'static [&'static str]),
    /// A built-in module: the SDK and the policies that it joins.
    SdkAndPolicies,
    Any,
}

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(workspace_root().join("Cargo.toml")).no_deps().exec().unwrap()
}

/// The package's folder from the root, with `/`.
fn folder(package: &Package) -> String {
    let root = workspace_root().canonicalize().unwrap();
    let manifest = Path::new(package.manifest_path.as_str()).canonicalize().unwrap();
    let folder = manifest.parent().unwrap().strip_prefix(root).unwrap();
    folder.to_str().unwrap().replace('\\', "/")
}

fn allowed(folder: &str) -> Option<Crates> {
    let named = MAY_DEPEND_ON.iter().find(|(place, _)| *place == folder);
    let below = || {
        MAY_DEPEND_ON.iter().find(|(place, _)| {
            place.strip_suffix("/*").is_some_and(|parent| folder.rsplit_once('/').is_some_and(|(it, _)| it == parent))
        })
    };
    named.or_else(below).map(|(_, crates)| *crates)
}

fn is_policy(folder: &str) -> bool {
    folder.starts_with("policies/") && !folder.starts_with("policies/bundle") && !POLICY_LIBRARIES.contains(&folder)
}

#[test]
fn every_crate_depends_only_on_those_that_the_layout_allows() {
    let metadata = metadata();
    let packages: Vec<(String, &Package)> =
        metadata.packages.iter().map(|package| (folder(package), package)).collect();
    let mut broken = Vec::new();
    for (folder, package) in &packages {
        let Some(allowed) = allowed(folder) else {
            broken.push(format!("{folder} is not in the layout; add it to MAY_DEPEND_ON"));
            continue;
        };
        for dependency in &package.dependencies {
            let Some((target, _)) = packages.iter().find(|(_, package)| package.name.as_str() == dependency.name)
            else {
                continue;
            };
            // A crate names itself to switch a feature on in its own tests.
            let is_tested_with = dependency.kind == DependencyKind::Development
                && (target == folder || MAY_BE_TESTED_WITH.contains(&(folder.as_str(), dependency.name.as_str())));
            let fits = is_tested_with
                || match allowed {
                    Crates::Only(names) => names.contains(&dependency.name.as_str()),
                    Crates::SdkAndPolicies => target == "sdk" || is_policy(target),
                    Crates::Any => true,
                };
            if !fits {
                broken.push(format!("{folder} must not depend on {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_fenced_dependency_is_named_by_its_crate_alone() {
    let metadata = metadata();
    let mut broken = Vec::new();
    for package in &metadata.packages {
        let folder = folder(package);
        for dependency in &package.dependencies {
            for (fenced, owner) in FENCED {
                if dependency.name == fenced && folder != owner {
                    broken.push(format!("only {owner} may name {fenced}, not {folder}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_banned_crate_is_nowhere_in_the_lock_file() {
    let lock = fs::read_to_string(workspace_root().join("Cargo.lock")).unwrap();
    let found: Vec<&str> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .filter(|name| BANNED.contains(name))
        .collect();
    assert!(found.is_empty(), "{found:?} must not be in the tree");
}

#[test]
fn every_policy_has_cases_and_a_page() {
    let metadata = metadata();
    let root = workspace_root();
    let mut missing = Vec::new();
    for package in &metadata.packages {
        let folder = folder(package);
        if !is_policy(&folder) {
            continue;
        }
        if !root.join(&folder).join("README.md").is_file() {
            missing.push(format!("{folder}/README.md"));
        }
        let cases = fs::read_dir(root.join(&folder).join("cases"));
        if !cases.is_ok_and(|mut entries| entries.next().is_some()) {
            missing.push(format!("{folder}/cases/ with at least one case"));
        }
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
}

#[test]
fn every_source_file_keeps_the_house_style() {
    let mut broken = Vec::new();
    let files = sources(&workspace_root());
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let shown = file.strip_prefix(workspace_root()).unwrap().display();
        if let Some(reason) = style_fault(&file, &text) {
            broken.push(format!("{shown}: {reason}"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// What is wrong with a file, if anything.
fn style_fault(file: &Path, text: &str) -> Option<String> {
    let lines = text.lines().count();
    if !text.starts_with("//!") {
        return Some("must open with `//!`: what it is, why it exists, its invariants".to_owned());
    }
    if file.ends_with("src/main.rs") && lines > MAIN_LINES {
        return Some(format!("{lines} lines; main is a signpost of at most {MAIN_LINES}"));
    }
    let header_gives_reason =
        text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains(FILE_LINES_REASON));
    (lines > FILE_LINES && !header_gives_reason).then(|| {
        format!(
            "{lines} lines; split it, or say in its header that it is \
             {FILE_LINES_REASON} … (at most {FILE_LINES} otherwise)"
        )
    })
}

/// Every Rust source below the folder, but for what cargo built.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !SKIPPED_FOLDERS.contains(&name.as_str()) {
                found.extend(sources(&path));
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn the_rules_of_style_find_what_breaks_them() {
    let long = "//! A table.\n".to_owned() + &"x\n".repeat(FILE_LINES);
    let excused = "//! A table, long because it is data.\n".to_owned() + &"x\n".repeat(FILE_LINES);
    let cases = [
        ("src/lib.rs", "//! What it is.\n".to_owned(), None),
        ("src/lib.rs", "use std::fs;\n".to_owned(), Some("must open with")),
        ("src/lib.rs", String::new(), Some("must open with")),
        ("src/lib.rs", long, Some("601 lines")),
        ("src/lib.rs", excused, None),
        ("host/app/src/main.rs", "//! The program.\n".repeat(MAIN_LINES + 1), Some("main is a signpost")),
    ];
    for (file, text, expected) in cases {
        let fault = style_fault(Path::new(file), &text);
        match expected {
            None => assert_eq!(fault, None),
            Some(part) => assert!(fault.as_ref().is_some_and(|fault| fault.contains(part)), "{fault:?}"),
        }
    }
}

#[test]
fn a_folder_finds_its_row_of_the_layout() {
    let cases = [
        ("policies/workloads", Some("named")),
        ("policies/certificates", Some("named")),
        ("policies/bundle", Some("named")),
        ("policies/default-storage-class", Some("named")),
        ("policies/bundle/modules/storage", Some("modules")),
        ("tests", Some("any")),
        ("tests/load", Some("any")),
        ("host/other", None),
        ("elsewhere", None),
    ];
    for (folder, expected) in cases {
        let found = allowed(folder).map(|crates| match crates {
            Crates::Only(_) => "named",
            Crates::SdkAndPolicies => "modules",
            Crates::Any => "any",
        });
        assert_eq!(found, expected, "{folder}");
    }
}
