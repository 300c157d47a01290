//! The image and what is installed of it speak of the same things: versions, paths,
//! users, ports; and all that the build reads is copied into it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_tests::workspace_root;

const CONTAINERFILE: &str = "deploy/Containerfile";
const DEPLOYMENTS: [&str; 2] = ["deploy/kustomize/base/server.yaml", "deploy/kustomize/base/controller.yaml"];

#[test]
fn one_version_everywhere() {
    let version = between(&text("Cargo.toml"), "[workspace.package]\nversion = \"", "\"");
    assert_eq!(between(&text(CONTAINERFILE), "ARG VERSION=", "\n"), version);
    let chart = text("deploy/helm/portcullis/Chart.yaml");
    for key in ["\nversion: ", "\nappVersion: "] {
        assert_eq!(between(&chart, key, "\n"), version, "Chart.yaml{key}");
    }
    assert_eq!(between(&text("deploy/kustomize/base/kustomization.yaml"), "newTag: ", "\n"), version);
    for file in DEPLOYMENTS {
        assert_eq!(between(&text(file), "image: portcullis:", "\n"), version, "{file}");
    }
    let toolchain = between(&text("rust-toolchain.toml"), "channel = \"", "\"");
    let image = between(&text(CONTAINERFILE), "FROM rust:", "-slim");
    assert!(toolchain.starts_with(&format!("{image}.")), "the image's Rust {image}, the toolchain's {toolchain}");
}

#[test]
fn the_image_has_what_the_pods_name() {
    let image = text(CONTAINERFILE);
    let user = between(&image, "\nUSER ", ":");
    for file in DEPLOYMENTS {
        let pod = text(file);
        for variable in ["PORTCULLIS_CACHE", "PORTCULLIS_PRECOMPILED"] {
            let value = between(&pod, &format!("- name: {variable}\n          value: "), "\n");
            assert!(image.contains(&format!("{variable}={value}")), "{file}: {variable} is {value}");
        }
        assert_eq!(between(&pod, "runAsUser: ", "\n"), user, "{file}");
        for port in pod.split("containerPort: ").skip(1).map(|after| after.lines().next().unwrap()) {
            assert!(between(&image, "\nEXPOSE ", "\n").split(' ').any(|exposed| exposed == port), "{file}: {port}");
        }
        assert!(!pod.contains("command:"), "{file}: the entrypoint is the image's");
    }
    let folder = between(&image, "PORTCULLIS_PRECOMPILED=", "\n");
    assert!(
        image.contains(&format!("/image/portcullis precompile /image{folder};")),
        "what is compiled lies in {folder}"
    );
    assert!(image.contains(&format!("-o {user} -g {user} /image/cache")), "{user} owns its cache");
}

/// Every path that is copied exists; every member of the workspace and every file that a
/// member's source includes from elsewhere is copied.
#[test]
fn the_image_is_built_from_all_that_the_build_reads() {
    let image = text(CONTAINERFILE);
    let copied: Vec<PathBuf> = image
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| line.split(' ').rev().skip(1).map(PathBuf::from).collect::<Vec<_>>())
        .collect();
    assert!(copied.len() > 5, "{copied:?}");
    for path in &copied {
        assert!(workspace_root().join(path).exists(), "COPY {}", path.display());
    }
    let covered = |path: &Path| copied.iter().any(|copied| path.starts_with(copied));
    let members = between(&text("Cargo.toml"), "members = [", "]");
    for member in members.split('"').skip(1).step_by(2) {
        assert!(covered(Path::new(member.trim_end_matches("/*"))), "{member} is not copied");
    }
    let mut included = 0;
    for source in sources(&workspace_root().join("host/app/src")) {
        let text = fs::read_to_string(&source).unwrap();
        for path in text.split("include_str!(\"").skip(1).map(|after| after.split('"').next().unwrap()) {
            let file = source.parent().unwrap().join(path).canonicalize().unwrap();
            let path = file.strip_prefix(workspace_root().canonicalize().unwrap()).unwrap().to_owned();
            assert!(covered(&path), "{} is included by {} and not copied", path.display(), source.display());
            included += 1;
        }
    }
    assert!(included > 0);
}

/// Nothing that is committed names where images come from: who installs says so.
#[test]
fn no_registry_is_named() {
    let hosts = ["gcr", "ghcr", "docker", "quay"].map(|name| format!("{name}.io/"));
    let mut seen = BTreeSet::new();
    for file in sources(&workspace_root().join("deploy")) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for host in &hosts {
            assert!(!text.contains(host), "{} names {host}", file.display());
        }
        seen.insert(file);
    }
    assert!(seen.len() > 20, "{seen:?}");
}

/// Every file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

fn text(path: &str) -> String {
    fs::read_to_string(workspace_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between two texts, the first time.
#[track_caller]
fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before:?}")).1;
    rest.split(after).next().unwrap_or_default().to_owned()
}
