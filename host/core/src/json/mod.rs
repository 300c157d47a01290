//! JSON as the host reads it: one pass over a text gives a flat tape of nodes,
//! each a span of the text.
//!
//! Why not `serde_json::Value`: an object of the API server may nest 9,990
//! levels, where a recursive parser (and a recursive drop) ends the process;
//! number tokens must survive byte for byte; and of a 100 KB object only ten
//! fields are read. So nothing here recurses, nothing is copied until it is
//! asked for, and a duplicate key is an error, because projection, `where` and
//! patch must never read one text in two ways.
//!
//! ```text
//! {"a":[1,"x"],"b":null}
//! 0 object ........................ next 7
//!   1 key "a"   2 array ........... next 5
//!                 3 number 1   4 string "x"
//!   5 key "b"   6 null
//! ```
//!
//! Invariants of a tape: every span lies in the text on character boundaries; a
//! container is followed by its children; `next` of a value is the index past
//! its subtree; an object's children alternate between key and value.

mod compare;
mod error;
mod members;
mod number;
mod parse;
mod scan;

use std::borrow::Cow;
use std::iter::FusedIterator;
use std::ops::Range;

use serde::de::DeserializeOwned;

pub(crate) use compare::{Comparison, FieldFinder, NumberEquality};
pub use error::{ParseError, ParseErrorKind};
pub(crate) use members::{Items, Key, Members};
pub(crate) use scan::{array_index, unescape_segment};
pub use scan::{find_string, line_column, quote, write_quoted};

/// Containers inside each other, at most. The API server lets about 9,990
/// levels of an object through (measured on kube-apiserver 1.36.3); a review
/// puts three around it. The rest is room for what a patch adds.
pub const MAX_DEPTH: usize = 10_200;

/// Nodes of a tape (values and keys), at most: 128 MiB. An object of the size that
/// etcd takes has at most 1.5 million, a review holds two, and a dump of a
/// cluster has one every 12 bytes; 32 MiB of `[0,0,…` would have 16 million.
pub const MAX_NODES: usize = 1 << 23;

/// A valid JSON text and the tape of its nodes.
///
/// ```
/// use portcullis_core::json::Document;
///
/// let document = Document::parse(br#"{"spec": {"replicas": 3}}"#)?;
/// let replicas = document.root().path(&["spec", "replicas"]);
/// assert_eq!(replicas.and_then(|value| value.as_i64()), Some(3));
/// # Ok::<(), portcullis_core::json::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Document<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    depth: usize,
}

/// A place in a [`Document`]: one value and all that is below it.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    index: u32,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, kept as its token.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// One entry of the tape: 16 bytes, so that a 92 KB object's tape stays in the cache.
#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    /// Of a value, the index past its subtree; of a key, the fingerprint of its text.
    next: u32,
    /// Kind in the lowest three bits, then whether a string holds an escape,
    /// then the number of elements or fields.
    meta: u32,
}

const ESCAPED: u32 = 1 << 3;
const COUNT_SHIFT: u32 = 4;

impl Node {
    fn new(kind: Kind, start: usize, end: usize, next: u32) -> Self {
        // Texts past u32::MAX bytes are refused before the first node is made.
        Self { start: start as u32, end: end as u32, next, meta: kind as u32 }
    }

    fn kind(self) -> Kind {
        match self.meta & 0b111 {
            0 => Kind::Null,
            1 => Kind::Bool,
            2 => Kind::Number,
            3 => Kind::String,
            4 => Kind::Array,
            _ => Kind::Object,
        }
    }

    fn is_escaped(self) -> bool {
        self.meta & ESCAPED != 0
    }

    fn count(self) -> usize {
        (self.meta >> COUNT_SHIFT) as usize
    }

    fn span(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Without the quotes of a string.
    fn inner(self) -> Range<usize> {
        self.start as usize + 1..self.end as usize - 1
    }
}

impl<'t> Document<'t> {
    /// Parses a text as RFC 8259 has it, and stricter: a key that stands twice
    /// in one object (after unescaping), half a surrogate pair, bytes that
    /// aren't UTF-8, more than [`MAX_DEPTH`] levels or [`MAX_NODES`] nodes are
    /// errors.
    ///
    /// # Errors
    /// The first place at which the text isn't what it should be.
    pub fn parse(text: &'t [u8]) -> Result<Self, ParseError> {
        parse::parse(text)
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value { document: self, index: 0 }
    }

    /// The whole text, with the white space around the value.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// Levels of containers inside each other: 0 for a scalar, 1 for `[]`.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The text of a string node, without its quotes, unescaped.
    fn string(&self, node: Node) -> Cow<'_, str> {
        let inner = &self.text[node.inner()];
        if node.is_escaped() { Cow::Owned(scan::unescape(inner)) } else { Cow::Borrowed(inner) }
    }

    fn string_is(&self, node: Node, text: &str) -> bool {
        if node.is_escaped() {
            self.string(node) == text
        } else {
            &self.text.as_bytes()[node.inner()] == text.as_bytes()
        }
    }
}

/// Sizes only: a text may be a Secret's, and debug output ends up in logs.
impl std::fmt::Debug for Document<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Document")
            .field("bytes", &self.text.len())
            .field("nodes", &self.nodes.len())
            .field("depth", &self.depth)
            .finish()
    }
}

impl<'d> Value<'d> {
    fn node(self) -> Node {
        self.document.nodes[self.index as usize]
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        self.node().kind()
    }

    /// Its exact text.
    pub fn raw(self) -> &'d str {
        &self.document.text[self.span()]
    }

    /// Where it stands in the document's text, in bytes.
    pub fn span(self) -> Range<usize> {
        self.node().span()
    }

    /// The field of an object.
    pub fn get(self, key: &str) -> Option<Value<'d>> {
        self.members().find_map(|(name, value)| name.is(key).then_some(value))
    }

    /// The element of an array, counted from 0.
    pub fn at(self, index: usize) -> Option<Value<'d>> {
        self.items_raw().nth(index)
    }

    /// The field of a field of … an object.
    pub fn path(self, keys: &[&str]) -> Option<Value<'d>> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The value at a JSON Pointer (RFC 6901); none also for a malformed one.
    pub fn pointer(self, pointer: &str) -> Option<Value<'d>> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |value, segment| match value.kind() {
            Kind::Object => value.get(&scan::unescape_segment(segment)?),
            Kind::Array => value.at(scan::array_index(segment)?),
            _ => None,
        })
    }

    /// Elements of an array, fields of an object, 0 for anything else.
    #[allow(clippy::len_without_is_empty, reason = "a scalar is neither empty nor not")]
    pub fn len(self) -> usize {
        self.node().count()
    }

    /// The fields of an object, in the text's order; of anything else, none.
    pub fn fields(self) -> impl ExactSizeIterator<Item = (Cow<'d, str>, Value<'d>)> + FusedIterator + Clone {
        self.members().map(|(key, value)| (key.text(), value))
    }

    /// The elements of an array; of anything else, none.
    pub fn items(self) -> impl ExactSizeIterator<Item = Value<'d>> + FusedIterator + Clone {
        self.items_raw()
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        let node = self.node();
        (node.kind() == Kind::String).then(|| self.document.string(node))
    }

    /// The truth of a bool.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.raw() == "true")
    }

    /// A number that is written as an integer and fits.
    pub fn as_i64(self) -> Option<i64> {
        (self.kind() == Kind::Number).then(|| self.raw().parse().ok()).flatten()
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Reads it into a type.
    ///
    /// # Errors
    /// As `serde_json` has it; also where it nests deeper than serde_json's
    /// 128 levels and the type looks into it (a `RawValue` doesn't).
    pub fn deserialize<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.raw())
    }

    /// Levels of containers inside each other: 0 for a scalar, 1 for `[]`.
    pub fn depth(self) -> usize {
        if self.index == 0 {
            return self.document.depth;
        }
        let first = self.index as usize;
        let mut open: Vec<u32> = Vec::new();
        let mut deepest = 0;
        let mut index = first;
        while index < self.node().next as usize {
            while open.last().is_some_and(|end| *end as usize <= index) {
                open.pop();
            }
            let node = self.document.nodes[index];
            if matches!(node.kind(), Kind::Array | Kind::Object) {
                open.push(node.next);
                deepest = deepest.max(open.len());
            }
            index += 1;
        }
        deepest
    }

    /// Whether it nests deeper than this many levels; free where the whole
    /// document doesn't.
    pub fn is_deeper_than(self, levels: usize) -> bool {
        self.document.depth > levels && self.depth() > levels
    }

    /// JSON equality: numbers by value (`1`, `1.0` and `10e-1` are one), strings
    /// after unescaping, fields in any order.
    pub fn equals(self, other: Value<'_>) -> bool {
        Comparison::new(NumberEquality::Value).equal(self, other)
    }

    /// The fields with their keys as they stand in the text.
    pub(crate) fn members(self) -> Members<'d> {
        Members::new(self)
    }

    /// As [`Value::items`], with a name.
    pub(crate) fn items_raw(self) -> Items<'d> {
        Items::new(self)
    }

    /// Nodes of its subtree: a measure of the work that a walk is.
    pub(crate) fn node_count(self) -> usize {
        (self.node().next - self.index) as usize
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} at {:?}", self.kind(), self.span())
    }
}

#[cfg(test)]
pub(crate) mod generate;
#[cfg(test)]
mod tests;
