//! What of an object a policy is given: a tree of what its types name, and the
//! projection of an object to it.
//!
//! So a policy that doesn't name `data` never receives a Secret's values, and
//! one that reads ten fields of a 100 KB object costs what ten fields cost.
//! What is given is copied byte for byte: number tokens, escapes and the order
//! of fields stay. A value whose shape isn't the tree's arrives whole, never as
//! absent, so that the policy can say that it is malformed.

mod superset;
mod united;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::edit::Pointer;
use crate::json::{Items, Key, Kind, Members, Value};

pub use united::{Party, UnitedViews};

/// Levels of a tree, at most. Views are typed structs; the deepest kind that
/// Kubernetes ships stays below 20. (serde_json's own limit on nesting may stop
/// a tree of fields before this does.)
pub const MAX_TREE_DEPTH: usize = 128;

/// What is read of a value.
///
/// As JSON, in a policy's description: `"value"`, `"keys"`, `"present"`,
/// `{"fields": {name: tree}}` or `{"each": tree}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// The whole of it.
    Value,
    /// Of an object, its keys, each with the value `true`.
    Keys,
    /// `true` where it is set and not null; null stays null.
    Present,
    /// Of an object, the fields that are named, in the object's own order.
    Fields(BTreeMap<String, Tree>),
    /// Every element of an array, every value of an object.
    Each(Box<Tree>),
}

impl Tree {
    /// A tree that reads nothing: of an object, no field.
    pub fn nothing() -> Self {
        Self::Fields(BTreeMap::new())
    }

    /// What is read of a field; none where it isn't named.
    pub fn get(&self, field: &str) -> Option<&Tree> {
        match self {
            Self::Value => Some(&Self::Value),
            Self::Keys => Some(&Self::Present),
            Self::Present => None,
            Self::Fields(fields) => fields.get(field),
            Self::Each(tree) => Some(tree),
        }
    }

    /// A tree of which each of the two sees what it saw alone, beside what it
    /// never looked at; None where there is none: `true` for a value's presence,
    /// or for each of its keys, can't stand where another reads the value.
    #[must_use]
    pub fn unite(&self, other: &Tree) -> Option<Tree> {
        match (self, other) {
            (left, right) if left == right => Some(left.clone()),
            (Self::Value, tree) | (tree, Self::Value) => tree.copies().then_some(Self::Value),
            (Self::Each(left), Self::Each(right)) => Some(Self::Each(Box::new(left.unite(right)?))),
            (Self::Fields(left), Self::Fields(right)) => {
                let mut both = left.clone();
                for (field, tree) in right {
                    let tree = both.get(field).map_or_else(|| Some(tree.clone()), |own| own.unite(tree))?;
                    both.insert(field.clone(), tree);
                }
                Some(Self::Fields(both))
            }
            _ => None,
        }
    }

    /// Whether all that it gives is the object's own text.
    fn copies(&self) -> bool {
        match self {
            Self::Value => true,
            Self::Keys | Self::Present => false,
            Self::Fields(fields) => fields.values().all(Self::copies),
            Self::Each(tree) => tree.copies(),
        }
    }

    /// Whether what stands at this place of an object arrives whole, whatever
    /// it is. Only then may an edit overwrite or remove it.
    pub fn gives_whole(&self, pointer: &Pointer) -> bool {
        let mut tree = self;
        for segment in pointer.segments() {
            tree = match tree {
                Self::Value => return true,
                Self::Keys | Self::Present => return false,
                Self::Fields(fields) => match fields.get(segment) {
                    Some(below) => below,
                    None => return false,
                },
                Self::Each(below) => below,
            };
        }
        *tree == Self::Value
    }
}

/// The part of a value that a tree names, as JSON text.
///
/// ```
/// use portcullis_core::{json::Document, view::{project, Tree}};
///
/// let tree: Tree = serde_json::from_str(r#"{"fields": {"data": "keys", "type": "value"}}"#)?;
/// let secret = Document::parse(br#"{"kind": "Secret", "type": "Opaque", "data": {"password": "aHVzaA=="}}"#)?;
/// assert_eq!(project(secret.root(), &tree), r#"{"type":"Opaque","data":{"password":true}}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn project(value: Value<'_>, tree: &Tree) -> String {
    let mut output = String::new();
    project_into(&mut output, value, tree);
    output
}

/// As [`project`], appended to a text.
pub fn project_into(output: &mut String, value: Value<'_>, tree: &Tree) {
    let mut open: Vec<Frame<'_, '_>> = Vec::new();
    let mut next = Some((value, tree));
    loop {
        if let Some((value, tree)) = next.take() {
            open.extend(write_value(output, value, tree));
        }
        let Some(frame) = open.last_mut() else { return };
        match frame.next() {
            Some((key, value, tree)) => {
                if frame.started {
                    output.push(',');
                }
                frame.started = true;
                if let Some(key) = key {
                    output.push_str(key.raw());
                    output.push(':');
                }
                next = Some((value, tree));
            }
            None => {
                output.push(frame.closing());
                open.pop();
            }
        }
    }
}

/// Writes a value, or opens it where its parts come one by one.
fn write_value<'d, 't>(output: &mut String, value: Value<'d>, tree: &'t Tree) -> Option<Frame<'d, 't>> {
    let children = match (tree, value.kind()) {
        (Tree::Present, kind) => {
            output.push_str(if kind == Kind::Null { "null" } else { "true" });
            return None;
        }
        (Tree::Keys, Kind::Object) => {
            write_keys(output, value);
            return None;
        }
        (Tree::Fields(fields), Kind::Object) => Children::Named(value.members(), fields),
        (Tree::Each(tree), Kind::Object) => Children::All(value.members(), tree),
        (Tree::Each(tree), Kind::Array) => Children::Elements(value.items_raw(), tree),
        (Tree::Value | Tree::Keys | Tree::Fields(_) | Tree::Each(_), _) => {
            output.push_str(value.raw());
            return None;
        }
    };
    let frame = Frame { children, started: false };
    output.push(frame.opening());
    Some(frame)
}

fn write_keys(output: &mut String, object: Value<'_>) {
    output.push('{');
    for (index, (key, _)) in object.members().enumerate() {
        if index > 0 {
            output.push(',');
        }
        output.push_str(key.raw());
        output.push_str(":true");
    }
    output.push('}');
}

/// A container of the output that isn't closed yet.
struct Frame<'d, 't> {
    children: Children<'d, 't>,
    started: bool,
}

enum Children<'d, 't> {
    Named(Members<'d>, &'t BTreeMap<String, Tree>),
    All(Members<'d>, &'t Tree),
    Elements(Items<'d>, &'t Tree),
}

impl<'d, 't> Frame<'d, 't> {
    fn opening(&self) -> char {
        match self.children {
            Children::Elements(..) => '[',
            _ => '{',
        }
    }

    fn closing(&self) -> char {
        match self.children {
            Children::Elements(..) => ']',
            _ => '}',
        }
    }

    fn next(&mut self) -> Option<(Option<Key<'d>>, Value<'d>, &'t Tree)> {
        match &mut self.children {
            Children::Named(members, fields) => {
                let fields = *fields;
                members.find_map(|(key, value)| {
                    let tree = fields.get(key.text().as_ref())?;
                    Some((Some(key), value, tree))
                })
            }
            Children::All(members, tree) => members.next().map(|(key, value)| (Some(key), value, *tree)),
            Children::Elements(items, tree) => items.next().map(|value| (None, value, *tree)),
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value => serializer.serialize_str("value"),
            Self::Keys => serializer.serialize_str("keys"),
            Self::Present => serializer.serialize_str("present"),
            Self::Fields(fields) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("fields", fields)?;
                map.end()
            }
            Self::Each(tree) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("each", tree)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TreeAt(1).deserialize(deserializer)
    }
}

/// Reads a tree at a level, so that a description can't nest without end.
struct TreeAt(usize);

impl<'de> DeserializeSeed<'de> for TreeAt {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        if self.0 > MAX_TREE_DEPTH {
            return Err(de::Error::custom(format_args!(
                "a tree of more than {MAX_TREE_DEPTH} levels; read a deep subtree as \"value\""
            )));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeAt {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(r#"a tree: "value", "keys", "present", {"fields": {name: tree}} or {"each": tree}"#)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Tree, E> {
        match word {
            "value" => Ok(Tree::Value),
            "keys" => Ok(Tree::Keys),
            "present" => Ok(Tree::Present),
            _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let Some(node) = map.next_key::<String>()? else {
            return Err(de::Error::custom(format_args!(
                r#"an empty object is no tree; {{"fields": {{}}}} reads nothing of an object"#
            )));
        };
        let tree = match node.as_str() {
            "fields" => Tree::Fields(map.next_value_seed(FieldsAt(self.0 + 1))?),
            "each" => Tree::Each(Box::new(map.next_value_seed(TreeAt(self.0 + 1))?)),
            _ => return Err(de::Error::unknown_field(&node, &["fields", "each"])),
        };
        match map.next_key::<String>()? {
            None => Ok(tree),
            Some(second) => Err(de::Error::custom(format_args!(
                "a tree has one of `fields` and `each`, not `{node}` and `{second}`"
            ))),
        }
    }
}

/// The fields of a tree's node, whose trees are at this level.
struct FieldsAt(usize);

impl<'de> DeserializeSeed<'de> for FieldsAt {
    type Value = BTreeMap<String, Tree>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldsAt {
    type Value = BTreeMap<String, Tree>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of field names and their trees")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(field) = map.next_key::<String>()? {
            let tree = map.next_value_seed(TreeAt(self.0))?;
            if fields.contains_key(&field) {
                return Err(de::Error::custom(format_args!("the field {field:?} stands twice in a tree")));
            }
            fields.insert(field, tree);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests;
