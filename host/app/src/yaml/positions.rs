//! Where values were written: from a place in a document's JSON to a line and a
//! column of its file.
//!
//! A place is the offset of a value in the JSON text. For YAML the writer notes
//! one position a value (for a member of a mapping its key's); for JSON the text
//! is the file's own, so lines are enough.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use portcullis_core::json::{Kind, Value};

/// A line and a column, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// The positions of a document's values.
#[derive(Debug, Clone)]
pub struct Positions {
    places: Places,
    /// Where this document begins in the text that `places` speaks of.
    base: usize,
}

#[derive(Debug, Clone)]
enum Places {
    /// Offset of a value and its position, in order.
    Written(Arc<[(usize, Position)]>),
    /// The text is the file's.
    Text(Lines),
}

/// Where the lines of a text begin.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    text: Arc<str>,
    starts: Arc<[usize]>,
    before: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

impl Positions {
    pub(super) fn written(places: Vec<(usize, Position)>) -> Positions {
        Positions { places: Places::Written(places.into()), base: 0 }
    }

    pub(super) fn of_text(lines: Lines, base: usize) -> Positions {
        Positions { places: Places::Text(lines), base }
    }

    /// Of the part of the document that begins at this offset of its JSON.
    pub(super) fn below(&self, offset: usize) -> Positions {
        Positions { places: self.places.clone(), base: self.base + offset }
    }

    /// Of the value that begins at this offset of the document's JSON.
    pub fn at(&self, offset: usize) -> Option<Position> {
        let offset = self.base + offset;
        match &self.places {
            Places::Written(places) => {
                let index = places.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
                Some(places[index].1)
            }
            Places::Text(lines) => Some(lines.position(offset)),
        }
    }

    /// Of the value at a path in Kubernetes' style (`spec.volumes[0].name`,
    /// `metadata.annotations[example.com/key]`), or the nearest value around it.
    pub fn of_path(&self, root: Value<'_>, path: &str) -> Option<Position> {
        let mut nearest = root;
        let mut rest = path.trim_start_matches('.');
        while !rest.is_empty() {
            let Some((value, _, after)) = step(nearest, rest) else { break };
            (nearest, rest) = (value, after);
        }
        self.at(nearest.span().start)
    }

    /// Of the value at such a path, if it is there.
    pub fn of_whole_path(&self, root: Value<'_>, path: &str) -> Option<Position> {
        let (mut value, mut rest) = (root, path);
        while !rest.is_empty() {
            (value, _, rest) = step(value, rest)?;
        }
        self.at(value.span().start)
    }

    /// Of the value at a JSON Pointer, or the nearest value around it.
    pub fn of_pointer(&self, root: Value<'_>, pointer: &str) -> Option<Position> {
        let mut pointer = pointer;
        loop {
            if let Some(value) = root.pointer(pointer) {
                return self.at(value.span().start);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }
}

/// One step down a path: the value there, what leads to it, and what is left of the path.
pub(crate) fn step<'v, 'p>(value: Value<'v>, path: &'p str) -> Option<(Value<'v>, &'p str, &'p str)> {
    if let Some(inner) = path.strip_prefix('[') {
        let end = inner.find(']')?;
        let after = inner[end + 1..].trim_start_matches('.');
        let key = inner[..end].trim_matches(['"', '\'']);
        let found = match value.kind() {
            Kind::Array => value.at(key.parse().ok()?)?,
            _ => value.get(key)?,
        };
        return Some((found, key, after));
    }
    // A key may hold dots: the shortest that is there wins.
    path.match_indices(['.', '['])
        .map(|(end, _)| end)
        .chain([path.len()])
        .find_map(|end| Some((value.get(&path[..end])?, &path[..end], path[end..].trim_start_matches('.'))))
}

impl Lines {
    pub(super) fn new(text: &str, before: usize) -> Lines {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        Lines { text: text.into(), starts, before }
    }

    pub(super) fn position(&self, offset: usize) -> Position {
        let index = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let bytes = &self.text.as_bytes()[self.starts[index]..offset.min(self.text.len())];
        let column = String::from_utf8_lossy(bytes).chars().count() + 1;
        Position { line: self.before + index + 1, column }
    }

    /// A line of the text by its number in the file, without its end.
    pub(super) fn line(&self, number: usize) -> Cow<'_, str> {
        let index = number.wrapping_sub(self.before + 1);
        let Some(start) = self.starts.get(index) else { return Cow::Borrowed("") };
        let end = self.starts.get(index + 1).map_or(self.text.len(), |next| next - 1);
        Cow::Borrowed(self.text[*start..end].trim_end_matches('\r'))
    }
}
