//! What a policy reads, as a type and as a tree.
//!
//! A view is a small serde struct. `#[derive(View)]` follows it and yields the
//! tree of the fields that it names; the host hands the policy an object that
//! holds only those. Invariant: whatever a type can deserialise from, its tree
//! reads; what the derive can't follow doesn't compile.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A type whose reading of an object is known.
///
/// Derive it beside `serde::Deserialize`; the derive follows serde's `rename`,
/// `rename_all`, `alias`, `flatten`, `default`, `skip` and `transparent`.
#[diagnostic::on_unimplemented(
    message = "what `{Self}` reads isn't known",
    label = "no view",
    note = "derive `portcullis_sdk::View` for it, or mark the field `#[view(value)]` to take the whole subtree"
)]
pub trait View: 'static {
    /// The tree of what this type reads. `visited` holds the types on the way from the root.
    fn tree(visited: &mut Visited) -> Tree;
}

/// The tree of what `T` reads.
#[must_use]
pub fn tree_of<T: View>() -> Tree {
    T::tree(&mut Visited::default())
}

/// What is read at one place of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// Nothing.
    Nothing,
    /// The whole subtree.
    Value,
    /// A map's keys, each with the value `true`.
    Keys,
    /// `true` where something other than null is set.
    Present,
    /// Some fields of an object.
    Fields(BTreeMap<String, Tree>),
    /// Every element of an array, or every value of a map.
    Each(Box<Tree>),
}

impl Tree {
    /// A tree that reads these fields; a name that comes twice reads both.
    #[must_use]
    pub fn fields(fields: impl IntoIterator<Item = (String, Self)>) -> Self {
        let mut merged = BTreeMap::<String, Self>::new();
        for (name, tree) in fields {
            if tree == Self::Nothing {
                continue;
            }
            let before = merged.remove(&name).unwrap_or(Self::Nothing);
            merged.insert(name, before.merge(tree));
        }
        Self::Fields(merged)
    }

    /// A tree that reads one field, and nothing where there's nothing to read in it.
    #[must_use]
    pub fn field(name: &str, tree: Self) -> Self {
        Self::fields([(name.to_owned(), tree)])
    }

    /// A tree that reads every element or value so.
    #[must_use]
    pub fn each(tree: Self) -> Self {
        Self::Each(Box::new(tree))
    }

    /// A tree that reads what both read, and where they don't agree the whole value.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, tree) | (tree, Self::Nothing) => tree,
            (Self::Fields(one), Self::Fields(two)) => Self::fields(one.into_iter().chain(two)),
            (Self::Each(one), Self::Each(two)) => Self::each(one.merge(*two)),
            (one, two) if one == two => one,
            _ => Self::Value,
        }
    }

    /// The tree as the description carries it; `None` where nothing is read.
    #[must_use]
    pub fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::Nothing => return None,
            Self::Value => Value::from("value"),
            Self::Keys => Value::from("keys"),
            Self::Present => Value::from("present"),
            Self::Fields(fields) => {
                let fields: Map<_, _> =
                    fields.iter().filter_map(|(name, tree)| Some((name.clone(), tree.to_json()?))).collect();
                Value::from(Map::from_iter([("fields".to_owned(), Value::from(fields))]))
            }
            // The elements' number is read even where nothing in them is.
            Self::Each(tree) => {
                let each = tree.to_json().unwrap_or_else(|| serde_json::json!({"fields": {}}));
                Value::from(Map::from_iter([("each".to_owned(), each)]))
            }
        })
    }
}

/// The types on the way from the root of a tree to where it stands, so that a
/// recursive type ends in its whole subtree instead of never.
#[derive(Debug, Default)]
pub struct Visited(Vec<TypeId>);

impl Visited {
    /// The tree of `T`: the whole value where `T` contains itself.
    pub fn enter<T: 'static>(&mut self, tree: impl FnOnce(&mut Self) -> Tree) -> Tree {
        let id = TypeId::of::<T>();
        if self.0.contains(&id) {
            return Tree::Value;
        }
        self.0.push(id);
        let tree = tree(self);
        self.0.pop();
        tree
    }
}

/// Reads nothing. It stands where a policy, or a lens, could read something and doesn't.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unread;

impl View for Unread {
    fn tree(_: &mut Visited) -> Tree {
        Tree::Nothing
    }
}

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IgnoredAny).map(|_| Self)
    }
}

/// The keys of a map, without its values: a Secret's `data` can be counted and
/// checked for names, and not one byte of it reaches the policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(pub BTreeSet<String>);

impl Keys {
    /// Whether the map has this key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains(key)
    }
}

impl View for Keys {
    fn tree(_: &mut Visited) -> Tree {
        Tree::Keys
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeysVisitor;
        impl<'de> Visitor<'de> for KeysVisitor {
            type Value = Keys;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = BTreeSet::new();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, _>()? {
                    keys.insert(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(KeysVisitor)
    }
}

/// Whether something other than null is set, without what it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Present(pub bool);

impl View for Present {
    fn tree(_: &mut Visited) -> Tree {
        Tree::Present
    }
}

impl<'de> Deserialize<'de> for Present {
    /// An option to serde, so that an absent field is `Present(false)` without `#[serde(default)]`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<IgnoredAny>::deserialize(deserializer)?.is_some()))
    }
}

macro_rules! leaves {
    ($($leaf:ty),* $(,)?) => {
        $(impl View for $leaf {
            fn tree(_: &mut Visited) -> Tree {
                Tree::Value
            }
        })*
    };
}

leaves!(bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, String, Value, crate::Quantity, crate::LabelSelector);

impl<T: View> View for Option<T> {
    fn tree(visited: &mut Visited) -> Tree {
        T::tree(visited)
    }
}

impl<T: View> View for Box<T> {
    fn tree(visited: &mut Visited) -> Tree {
        T::tree(visited)
    }
}

impl<T: View> View for Vec<T> {
    fn tree(visited: &mut Visited) -> Tree {
        each(T::tree(visited))
    }
}

impl<T: View> View for BTreeMap<String, T> {
    fn tree(visited: &mut Visited) -> Tree {
        each(T::tree(visited))
    }
}

impl<T: View, S: 'static> View for HashMap<String, T, S> {
    fn tree(visited: &mut Visited) -> Tree {
        each(T::tree(visited))
    }
}

/// Taking every element whole is taking the whole value, which is cheaper to say and to project.
fn each(tree: Tree) -> Tree {
    if tree == Tree::Value { Tree::Value } else { Tree::each(tree) }
}
