//! Sets of manifests, applied in one go in every order of their objects. A right
//! set is denied in no order. A wrong set is denied in every order, at the object
//! that completes it; where that one is cluster-scoped it is warned of, since
//! nobody's namespace may block what is everybody's.
//!
//! A list is answered from a watch, which may be some milliseconds behind an object
//! of the same file on a busy machine. So an order that surprises is tried once
//! more: what is wrong by design is wrong again; what was late is printed.

use portcullis_cluster::{Cluster, documents, file_of, orders};

use crate::world::{World, manifest};

/// Stands in a set for the namespace of one order, so that orders don't meet.
const PLACE: &str = "PLACE";

struct Set {
    name: String,
    is_right: bool,
    documents: Vec<String>,
}

/// Sets begin with a line `### right: …` or `### wrong: …`.
fn sets() -> Vec<Set> {
    let text = manifest("orders.yaml");
    let mut sets = Vec::new();
    for part in text.split("\n### ").skip(1) {
        let (title, body) = part.split_once('\n').unwrap();
        let (kind, name) = title.split_once(": ").unwrap();
        assert!(matches!(kind, "right" | "wrong"), "{title}");
        sets.push(Set { name: name.to_owned(), is_right: kind == "right", documents: documents(body) });
    }
    sets
}

#[test]
fn sets_are_judged_alike_in_every_order() {
    let world = World::baseline();
    let mut complaints = Vec::new();
    let sets = sets();
    assert!(sets.iter().filter(|set| set.is_right).count() > 2 && sets.len() > 6, "sets were not read");
    for (number, set) in sets.iter().enumerate() {
        for (turn, order) in orders(set.documents.len()).iter().enumerate() {
            let Some(first) = judge(&world.cluster, set, order, &format!("set-{number}-{turn}")) else { continue };
            match judge(&world.cluster, set, order, &format!("set-{number}-{turn}-again")) {
                None => println!("late once: {}, order {order:?}: {first}", set.name),
                Some(complaint) => complaints.push(format!("{}, order {order:?}: {complaint}", set.name)),
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    world.cluster.assert_no_failed_webhook_call();
}

fn judge(cluster: &Cluster, set: &Set, order: &[usize], place: &str) -> Option<String> {
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {place}}}}}\n");
    let ordered = order.iter().map(|&index| set.documents[index].replace(PLACE, place));
    let file = file_of(&std::iter::once(namespace).chain(ordered).collect::<Vec<_>>());
    let said = cluster.try_kubectl(&["apply", "-n", place, "-f", "-"], &file);
    if said.errors.contains("failed calling webhook") {
        return Some(said.all());
    }
    if set.is_right {
        let fine = said.well() && !said.denied();
        return (!fine).then(|| format!("a right set was denied: {}", said.all()));
    }
    let last = &set.documents[*order.last()?];
    let completes_for_all = last.contains("kind: StorageClass") || last.contains("kind: PersistentVolume\n");
    let judged = said.denied() || completes_for_all && !said.warnings().is_empty();
    (!judged).then(|| format!("a wrong set passed: {}", said.all()))
}
