//! What people wrote, as text: where each value of a document stands in its
//! file ([`Tree`]), and values written as YAML ([`emit`]).
//!
//! ```text
//! Document (json + origin) ─ Chunk::of ─ Tree a document ─ Place ─ report::snippet
//!                                                            └──── fix
//! ```
//! `yaml` reads for meaning and forgets the text; this reads the same text for
//! its shape. Nothing here decides what a document means: who changes a text
//! has to prove the change by reading it again.

pub mod emit;
mod tree;

use std::ops::Range;
use std::sync::Arc;

use portcullis_core::edit::Pointer;

pub use tree::{Member, Node, Shape, Tree};

use crate::yaml::{Document, Origin, Position};

/// A part of a file between two `---`, and the trees of its documents.
#[derive(Debug)]
pub struct Chunk {
    text: Arc<str>,
    range: Range<usize>,
    lines_before: usize,
    /// Where lines begin, in the chunk.
    starts: Vec<usize>,
    trees: Vec<Tree>,
}

/// Where a document stands in its chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which document of the chunk.
    pub document: usize,
    /// Which part of it: an item of a List.
    pub base: Pointer,
}

impl Chunk {
    /// Of the part of its file that a document was read from. Where the shape of
    /// the text can't be told it has no trees.
    pub fn of(document: &Document) -> Chunk {
        let Origin { text, chunk, lines_before } = document.origin.clone();
        let part = text.get(chunk.clone()).unwrap_or_default();
        let starts = std::iter::once(0).chain(part.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let trees = Tree::read_all(part).unwrap_or_default();
        Chunk { range: chunk, lines_before, starts, trees, text }
    }

    /// Whether a document was read from this part of this text.
    pub fn holds(&self, document: &Document) -> bool {
        self.range == document.origin.chunk && Arc::ptr_eq(&self.text, &document.origin.text)
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.text.get(self.range.clone()).unwrap_or_default()
    }

    /// Where in the file it stands.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The trees of its documents.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// Where a document stands.
    pub fn place_of(&self, document: &Document) -> Option<Place> {
        let offset = self.offset(document.start)?;
        let found = |(number, tree): (usize, &Tree)| Some(Place { document: number, base: tree.pointer_at(offset)? });
        self.trees.iter().enumerate().find_map(found)
    }

    /// From a position in the file to an offset in the chunk.
    pub fn offset(&self, position: Position) -> Option<usize> {
        let line = self.line(position.line.checked_sub(self.lines_before + 1)?)?;
        let column = position.column.checked_sub(1)?;
        let text = &self.text()[line.clone()];
        Some(line.start + text.char_indices().nth(column).map_or(text.len(), |(offset, _)| offset))
    }

    /// From an offset in the chunk to a position in the file.
    pub fn position(&self, offset: usize) -> Position {
        let index = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let before = self.text().get(self.starts[index]..offset).unwrap_or_default();
        Position { line: self.lines_before + index + 1, column: before.chars().count() + 1 }
    }

    /// The line in which an offset lies, without its end.
    pub fn line_at(&self, offset: usize) -> Range<usize> {
        let index = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        self.line(index).unwrap_or_default()
    }

    fn line(&self, index: usize) -> Option<Range<usize>> {
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).map_or(self.text().len(), |next| next - 1);
        Some(start..start + self.text()[start..end].trim_end_matches('\r').len())
    }
}

/// The line break that a text uses.
pub fn line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}
