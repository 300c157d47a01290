//! The examples that the project grew from, in a wrong form that is judged and a
//! right form that passes, with what kubectl shows of each (`deploy/examples`).

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_cluster::{Cluster, play};

use crate::world::World;

fn folder() -> PathBuf {
    portcullis_cluster::workspace_root().join("deploy/examples")
}

/// One after the other: they make classes, which are everybody's.
#[test]
fn scenarios_show_what_they_say() {
    let world = World::baseline();
    let mut wrong = Vec::new();
    for folder in folders() {
        if let Err(why) = play(&world.cluster, &folder) {
            wrong.push(why);
        }
        forget_classes(&world.cluster);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.cluster.assert_no_failed_webhook_call();
}

/// What `portcullis check` says of the same files, without a cluster.
#[test]
fn examples_are_judged_offline_as_in_a_cluster() {
    for folder in folders() {
        let (code, report) = check(&folder, "right");
        assert!(code == 0 && !report.contains("warning["), "{}: {report}", folder.display());
        let (_, report) = check(&folder, "wrong");
        for file in std::fs::read_dir(folder.join("wrong")).unwrap() {
            let file = file.unwrap().path();
            assert!(report.contains(&format!("--> {}:", file.display())), "{}: {report}", file.display());
        }
    }
}

/// Its exit code and report, among what belongs to the right form.
fn check(example: &Path, form: &str) -> (i32, String) {
    let program = std::env::var_os("PORTCULLIS").expect("PORTCULLIS names the program under test");
    let mut check = Command::new(program);
    check.args(["check", "--color", "never", "--complete", "--cluster"]);
    let said = check.arg(example.join("right")).arg(example.join(form)).output().expect("portcullis runs");
    (said.status.code().unwrap_or(-1), String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned())
}

/// The folders of examples, by name.
fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// A scenario's classes are not the next one's.
fn forget_classes(cluster: &Cluster) {
    cluster.kubectl(&["delete", "storageclass,ingressclass", "--all"], "");
}
