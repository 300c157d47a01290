//! The parts of a container, in the text's order, without a copy.

use std::borrow::Cow;
use std::iter::FusedIterator;

use super::{Document, Kind, Node, Value};

/// The key of one field of an object.
#[derive(Clone, Copy)]
pub(crate) struct Key<'d> {
    document: &'d Document<'d>,
    index: u32,
}

/// The fields of an object, keys as they are in the text; of anything else, none.
#[derive(Clone)]
pub(crate) struct Members<'d> {
    document: &'d Document<'d>,
    key: u32,
    left: usize,
}

/// The elements of an array; of anything else, none.
#[derive(Clone)]
pub(crate) struct Items<'d> {
    document: &'d Document<'d>,
    index: u32,
    left: usize,
}

impl<'d> Key<'d> {
    fn node(self) -> Node {
        self.document.nodes[self.index as usize]
    }

    /// As it stands in the text, with quotes and escapes.
    pub(crate) fn raw(self) -> &'d str {
        &self.document.text[self.node().span()]
    }

    /// Unescaped.
    pub(crate) fn text(self) -> Cow<'d, str> {
        self.document.string(self.node())
    }

    /// Whether this is its text.
    pub(crate) fn is(self, text: &str) -> bool {
        self.document.string_is(self.node(), text)
    }

    /// Whether both have one text.
    pub(crate) fn same(self, other: Key<'_>) -> bool {
        let (node, other_node) = (self.node(), other.node());
        node.next == other_node.next && other.is(&self.text())
    }
}

impl<'d> Members<'d> {
    pub(super) fn new(value: Value<'d>) -> Self {
        let node = value.node();
        let left = if node.kind() == Kind::Object { node.count() } else { 0 };
        Self { document: value.document, key: value.index + 1, left }
    }
}

impl<'d> Iterator for Members<'d> {
    type Item = (Key<'d>, Value<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let document = self.document;
        let key = Key { document, index: self.key };
        let value = Value { document, index: self.key + 1 };
        self.key = value.node().next;
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Members<'_> {}
impl FusedIterator for Members<'_> {}

impl<'d> Items<'d> {
    pub(super) fn new(value: Value<'d>) -> Self {
        let node = value.node();
        let left = if node.kind() == Kind::Array { node.count() } else { 0 };
        Self { document: value.document, index: value.index + 1, left }
    }
}

impl<'d> Iterator for Items<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = Value { document: self.document, index: self.index };
        self.index = value.node().next;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_> {}
impl FusedIterator for Items<'_> {}
