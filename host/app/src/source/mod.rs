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

use portcullis_core::edit::Pointer;

pub use tree::{Member, Node, Shape, Tree};

use crate::yaml::{Document, Position};

/// A part of a file between two `---`, and the trees of its documents.
#[derive(Debug)]
pub struct Chunk {
    /// Where it stands in the file.
    pub range: Range<usize>,
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
    /// Of the part of its file that a document was read from; none where its
    /// shape can't be told.
    pub fn of(document: &Document) -> Option<Chunk> {
        let origin = &document.origin;
        let text = origin.text.get(origin.chunk.clone())?;
        Some(Chunk { range: origin.chunk.clone(), trees: Tree::read_all(text)? })
    }

    /// Whether a document was read from this part of this text.
    pub fn holds(&self, document: &Document) -> bool {
        self.range == document.origin.chunk
    }

    /// The tree of a document.
    pub fn tree(&self, place: &Place) -> Option<&Tree> {
        self.trees.get(place.document)
    }

    /// Where a document stands.
    pub fn place_of(&self, document: &Document) -> Option<Place> {
        let offset = self.offset_of(document, document.start)?;
        self.trees
            .iter()
            .enumerate()
            .find_map(|(number, tree)| Some(Place { document: number, base: tree.pointer_at(offset)? }))
    }

    /// From a position in the file to an offset in the chunk.
    fn offset_of(&self, document: &Document, position: Position) -> Option<usize> {
        let text = document.origin.text.get(self.range.clone())?;
        let line = position.line.checked_sub(document.origin.lines_before + 1)?;
        let begin = match line {
            0 => 0,
            line => text.match_indices('\n').nth(line - 1)?.0 + 1,
        };
        let column = position.column.checked_sub(1)?;
        let inside = text[begin..].char_indices().nth(column).map_or(text.len() - begin, |(offset, _)| offset);
        Some(begin + inside)
    }
}

/// The line break that a text uses.
pub fn line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}
