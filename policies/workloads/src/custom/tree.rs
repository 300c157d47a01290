//! What is read of an operator's resource: every path that its rows name.
//!
//! Grown in place, path by path: a module describes itself with some hundreds
//! of these at load.

use std::collections::BTreeMap;

use portcullis_sdk::{Metadata, Tree, tree_of};

use super::path::{NAMES, compared, of as path_of, steps};
use crate::catalogue::{CustomKind, StoragePlace};

/// The tree of a kind.
pub(super) fn of(custom: &CustomKind) -> Tree {
    let mut tree = Tree::field("metadata", tree_of::<Metadata>());
    for path in custom.replicas {
        match path.strip_suffix('#') {
            Some(list) => put(&mut tree, &[list], Tree::each(Tree::Nothing)),
            None => put(&mut tree, &[path], Tree::Value),
        }
    }
    for place in custom.places {
        put_place(&mut tree, place);
    }
    tree
}

fn put_place(tree: &mut Tree, place: &StoragePlace) {
    // A place is read as an object even where nothing in it is, so that it is known to be there.
    put(tree, &[place.at], Tree::Fields(BTreeMap::new()));
    for condition in place.when.iter().chain(place.ephemeral).chain(place.unless) {
        if let Some(elsewhere) = compared(condition) {
            put(tree, &[elsewhere], Tree::Value);
        }
        // Whether something is there at all needs no more than that.
        let leaf = if condition.contains('=') { Tree::Value } else { Tree::Present };
        put(tree, &[place.at, path_of(condition)], leaf);
    }
    for path in place.host_path {
        put(tree, &[place.at, path], Tree::Value);
    }
    let Some(claim) = &place.claim else { return };
    put(tree, &[place.at, claim.path], Tree::Fields(BTreeMap::new()));
    for path in claim.class.iter().chain(claim.size) {
        put(tree, &[place.at, claim.path, path], Tree::Value);
    }
    let beside = claim.class.first().and_then(|path| path.strip_suffix("storageClassName"));
    if let Some(beside) = beside.filter(|_| claim.is_spec) {
        for name in ["accessModes", "volumeName"] {
            put(tree, &[place.at, claim.path, beside, name], Tree::Value);
        }
    }
}

/// Reads a leaf at the end of these paths too; of each element on the way its names as well.
fn put(tree: &mut Tree, paths: &[&str], leaf: Tree) {
    let mut at = tree;
    for (name, each) in paths.iter().flat_map(|path| steps(path)) {
        let Some(fields) = fields_of(at) else { return };
        at = fields.entry(name.to_owned()).or_insert(Tree::Nothing);
        if !each {
            continue;
        }
        if *at == Tree::Nothing {
            *at = Tree::each(Tree::Nothing);
            if let Tree::Each(element) = at {
                NAMES.iter().for_each(|path| put(element, &[path], Tree::Value));
            }
        }
        let Tree::Each(element) = at else {
            *at = Tree::Value;
            return;
        };
        at = element;
    }
    let before = std::mem::replace(at, Tree::Nothing);
    *at = before.merge(leaf);
}

/// The fields that are read here; `None` where the whole is.
fn fields_of(tree: &mut Tree) -> Option<&mut BTreeMap<String, Tree>> {
    match tree {
        Tree::Fields(_) => {}
        Tree::Nothing => *tree = Tree::Fields(BTreeMap::new()),
        // Read in two ways: as a whole it serves both.
        Tree::Value | Tree::Keys | Tree::Present | Tree::Each(_) => *tree = Tree::Value,
    }
    match tree {
        Tree::Fields(fields) => Some(fields),
        _ => None,
    }
}
