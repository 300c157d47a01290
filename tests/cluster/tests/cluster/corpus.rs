//! Whatever the API server accepts gets an answer: every manifest of two
//! collections of real ones is created through Portcullis, first as a dry run and
//! then for real, and no webhook call fails.
//!
//! The collections belong to others and aren't in the tree; `PORTCULLIS_CORPUS`
//! names their folders, separated by colons.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portcullis_cluster::{Plan, Said};

use crate::world::{World, baseline, manifest};

/// Names the folders with manifests.
const CORPUS: &str = "PORTCULLIS_CORPUS";

#[test]
fn every_object_of_the_collections_is_answered() {
    let folders: Vec<PathBuf> = std::env::var(CORPUS)
        .unwrap_or_default()
        .split(':')
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir())
        .collect();
    if folders.is_empty() {
        return eprintln!("skipped: {CORPUS} names no folder with manifests");
    }
    let world = World::of(Plan::default(), baseline());
    world.cluster.kubectl(&["apply", "-f", "-"], &manifest("classes.yaml"));
    let mut files = Vec::new();
    for folder in &folders {
        manifests(folder, &mut files);
    }
    files.sort();
    for namespace in namespaces(&files) {
        world.cluster.try_kubectl(&["create", "namespace", &namespace], "");
    }
    let before = world.cluster.webhook_calls();
    let (mut created, mut denied, mut refused) = (0, 0, 0);
    for file in &files {
        let path = file.display().to_string();
        // One by one: an error in a file ends kubectl's reading of it.
        for dry_run in ["--dry-run=server", "--dry-run=none"] {
            let said = world.cluster.try_kubectl(&["create", "--validate=ignore", dry_run, "-f", &path], "");
            assert!(!said.errors.contains("failed calling webhook"), "{path}: {}", said.all());
            if dry_run == "--dry-run=none" {
                count(&said, &mut created, &mut denied, &mut refused);
            }
        }
    }
    let calls = world.cluster.webhook_calls();
    println!(
        "{} files: {created} objects created, {denied} denied, {refused} files with what the API server refuses",
        files.len()
    );
    assert!(created > files.len() / 4, "hardly anything was created");
    assert!(calls.made - before.made > created as f64, "the webhooks were not asked");
    world.cluster.assert_no_failed_webhook_call();
}

fn count(said: &Said, created: &mut usize, denied: &mut usize, refused: &mut usize) {
    *created += said.output.lines().filter(|line| line.ends_with(" created")).count();
    *denied += said.errors.matches("denied the request").count();
    *refused += usize::from(!said.well() && !said.denied());
}

fn manifests(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            manifests(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
}

/// The namespaces that the files speak of, by the lines that name them.
fn namespaces(files: &[PathBuf]) -> BTreeSet<String> {
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let names = texts.flat_map(|text| {
        let named =
            text.lines().filter_map(|line| line.trim().strip_prefix("namespace:").map(str::trim).map(str::to_owned));
        named.collect::<Vec<_>>()
    });
    names.map(|name| name.trim_matches(['"', '\'']).to_owned()).filter(|name| !name.is_empty()).collect()
}
