//! What has to be kept of an object so that several trees can be read from it
//! later.
//!
//! Unlike [`Tree::unite`], whose result is handed out as it is, what is kept is
//! projected again for each reader, so there is always an answer: where two
//! trees can't share anything narrower, the whole value is kept.
//!
//! Invariant: projecting a superset and then the tree gives what projecting the
//! tree gives, byte for byte.

use super::Tree;

impl Tree {
    /// A tree of the values at these paths, in which `[*]` stands for each.
    #[must_use]
    pub fn of_paths(paths: &[&[&str]]) -> Tree {
        let along = |path: &&[&str]| {
            path.iter().rfold(Self::Value, |below, segment| match *segment {
                "[*]" => Self::Each(Box::new(below)),
                field => Self::Fields([(field.to_owned(), below)].into()),
            })
        };
        paths.iter().map(along).fold(Self::nothing(), |all, tree| all.superset(&tree))
    }

    /// A tree that keeps all that either of the two reads.
    #[must_use]
    pub fn superset(&self, other: &Tree) -> Tree {
        match (self, other) {
            (left, right) if left == right => left.clone(),
            // Whatever else keeps of a value is null where the value is, and only there.
            (Self::Present, tree) | (tree, Self::Present) => tree.clone(),
            (Self::Each(left), Self::Each(right)) => Self::Each(Box::new(left.superset(right))),
            (Self::Fields(left), Self::Fields(right)) => {
                let mut both = left.clone();
                for (field, tree) in right {
                    let tree = both.get(field).map_or_else(|| tree.clone(), |own| own.superset(tree));
                    both.insert(field.clone(), tree);
                }
                Self::Fields(both)
            }
            // Keys beside fields, or either beside each: what isn't an object
            // (or is no array) arrives whole for the one and in parts for the other.
            _ => Self::Value,
        }
    }
}
