//! The examples that the project grew from, in a wrong form that is judged and a
//! right form that passes, with what kubectl shows of each (`scenarios/`).

use std::path::PathBuf;

use portcullis_cluster::{Cluster, play};

use crate::world::World;

fn folder() -> PathBuf {
    portcullis_cluster::workspace_root().join("tests/cluster/scenarios")
}

/// One after the other: they make classes, which are everybody's.
#[test]
fn scenarios_show_what_they_say() {
    let world = World::baseline();
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    let mut wrong = Vec::new();
    for folder in folders {
        if let Err(why) = play(&world.cluster, &folder) {
            wrong.push(why);
        }
        forget_classes(&world.cluster);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.cluster.assert_no_failed_webhook_call();
}

/// A scenario's classes are not the next one's.
fn forget_classes(cluster: &Cluster) {
    cluster.kubectl(&["delete", "storageclass,ingressclass", "--all"], "");
}
