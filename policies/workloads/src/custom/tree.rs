//! What is read of an operator's resource: every path that its rows name.

use portcullis_sdk::{Metadata, Tree, tree_of};

use super::path::{NAMES, compared, of as path_of, steps};
use crate::catalogue::{CustomKind, StoragePlace};

/// The tree of a kind.
pub(super) fn of(custom: &CustomKind) -> Tree {
    let replicas = custom.replicas.iter().map(|path| match path.strip_suffix('#') {
        Some(list) => along(list, Tree::each(Tree::Nothing)),
        None => along(path, Tree::Value),
    });
    let places = custom.places.iter().map(place);
    replicas.chain(places).fold(Tree::field("metadata", tree_of::<Metadata>()), Tree::merge)
}

fn place(place: &StoragePlace) -> Tree {
    let conditions = place.when.iter().chain(place.ephemeral);
    let elsewhere = conditions.clone().filter_map(|condition| compared(condition));
    let elsewhere = elsewhere.map(|path| along(path, Tree::Value));
    let own = conditions.map(|condition| {
        // Whether something is there at all needs no more than that.
        let leaf = if condition.contains('=') { Tree::Value } else { Tree::Present };
        along(path_of(condition), leaf)
    });
    let unless = place.unless.iter().map(|path| along(path, Tree::Present));
    let host = place.host_path.iter().map(|path| along(path, Tree::Value));
    let claim = place.claim.iter().map(|claim| {
        let below = claim.class.iter().chain(claim.size).map(|path| along(path, Tree::Value));
        let beside = claim.class.first().and_then(|path| path.strip_suffix("storageClassName"));
        let beside = beside
            .filter(|_| claim.is_spec)
            .map(|path| ["accessModes", "volumeName"].map(|name| along(&format!("{path}{name}"), Tree::Value)));
        along(claim.path, all(below.chain(beside.into_iter().flatten())))
    });
    let here = all(own.chain(unless).chain(host).chain(claim));
    elsewhere.fold(along(place.at, here), Tree::merge)
}

fn all(trees: impl Iterator<Item = Tree>) -> Tree {
    // An object is read as one even where nothing in it is, so that it is known to be there.
    trees.fold(Tree::fields([]), Tree::merge)
}

/// A tree at the end of a path; of each element on the way its names as well.
fn along(path: &str, leaf: Tree) -> Tree {
    let steps: Vec<(&str, bool)> = steps(path).collect();
    steps.iter().rev().fold(leaf, |tree, (name, each)| {
        let tree = if *each { Tree::each(tree.merge(names())) } else { tree };
        Tree::field(name, tree)
    })
}

fn names() -> Tree {
    NAMES.iter().map(|path| along(path, Tree::Value)).fold(Tree::Nothing, Tree::merge)
}
