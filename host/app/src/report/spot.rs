//! The spot that a finding points to: the value where it is short, else its key,
//! with the line that it stands in.
//!
//! A line may hold what nobody should read in a log. So texts in places that
//! hold free text (environment, arguments, annotations, data of Secrets and
//! ConfigMaps), under a key that speaks of credentials, or that are a URL with
//! a user are hidden, unless the finding itself names them.

use std::ops::Range;

use portcullis_core::edit::Pointer;
use portcullis_core::json;

use crate::check::Judged;
use crate::source::{Chunk, Node, Shape, Tree};
use crate::yaml::{self, Document, Position};

/// Where a finding points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Where it begins.
    pub start: Position,
    /// Where it ends, in the same line.
    pub end: Position,
    /// The line itself.
    pub line: Option<Line>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Without its end.
    pub text: String,
    /// What is pointed to, in bytes.
    pub mark: Range<usize>,
    /// What may be secret, in bytes, with the whole of it.
    pub hidden: Vec<(Range<usize>, String)>,
}

/// Finds spots; keeps what it read last, for the next finding in the same place.
#[derive(Debug, Default)]
pub struct Spotter {
    last: Option<Read>,
}

#[derive(Debug)]
struct Read {
    chunk: Chunk,
    /// What may be secret, in order.
    hidden: Vec<Range<usize>>,
}

/// Segments of a path below which texts are free.
const FREE_TEXT: &[&str] = &["data", "stringData", "binaryData", "annotations", "env", "args", "command", "config"];
/// Words of keys that speak of credentials.
const CREDENTIAL_WORDS: &[&str] =
    &["password", "passwd", "secret", "token", "credential", "apikey", "api-key", "api_key", "private"];

impl Spotter {
    /// The spot of a path of a judged object, or of the nearest value around it.
    pub fn of(&mut self, judged: &Judged, path: &str) -> Spot {
        let document = &judged.document;
        let read = self.read(judged);
        let found = read.chunk.place_of(document).and_then(|place| {
            let tree = read.chunk.trees().get(place.document)?;
            let pointer = pointer(document, path);
            let pointer = if pointer.is_root() { Pointer::new(["metadata", "name"]) } else { pointer };
            let mut full = place.base.clone();
            for segment in pointer.segments() {
                full = full.child(segment);
            }
            mark(tree, &full, place.base.depth(), read.chunk.text())
        });
        match found {
            Some(range) => read.spot(range),
            None => read.at(document.position_of(path)),
        }
    }

    /// The spot of a position in the file of a judged object.
    pub fn at(&mut self, judged: &Judged, position: Position) -> Spot {
        self.read(judged).at(position)
    }

    fn read(&mut self, judged: &Judged) -> &Read {
        let document = &judged.document;
        if !self.last.as_ref().is_some_and(|read| read.chunk.holds(document)) {
            self.last = None;
        }
        self.last.get_or_insert_with(|| {
            let chunk = Chunk::of(document);
            let mut hidden: Vec<_> = chunk.trees().iter().flat_map(|tree| hidden(tree, chunk.text())).collect();
            hidden.sort_unstable_by_key(|range| range.start);
            Read { chunk, hidden }
        })
    }
}

impl Read {
    fn spot(&self, range: Range<usize>) -> Spot {
        let text = self.chunk.text();
        let line = self.chunk.line_at(range.start);
        let mark = range.start..range.end.clamp(range.start, line.end.max(range.start));
        let first = self.hidden.partition_point(|hidden| hidden.end <= line.start);
        let hidden = self.hidden[first..].iter().take_while(|hidden| hidden.start < line.end);
        let hidden = hidden.map(|hidden| {
            let inside = hidden.start.max(line.start) - line.start..hidden.end.min(line.end) - line.start;
            (inside, text[hidden.clone()].trim_matches(['"', '\'']).to_owned())
        });
        Spot {
            start: self.chunk.position(mark.start),
            end: self.chunk.position(mark.end),
            line: Some(Line {
                text: text[line.clone()].to_owned(),
                mark: mark.start - line.start..mark.end - line.start,
                hidden: hidden.collect(),
            }),
        }
    }

    /// Where no tree says how far the value goes: the word that begins there.
    fn at(&self, position: Position) -> Spot {
        match self.chunk.offset(position) {
            Some(offset) if position != Position::default() => {
                let rest = &self.chunk.text()[offset..];
                let end =
                    rest.find(|character: char| character.is_whitespace() || character == ':').unwrap_or(rest.len());
                let mut spot = self.spot(offset..offset + end.max(1).min(rest.len()));
                // Without a tree nobody knows what is secret.
                if self.chunk.trees().is_empty() {
                    spot.line = None;
                }
                spot
            }
            _ => Spot { start: position, end: position, line: None },
        }
    }
}

/// As much of a path as leads somewhere in what was written, as a pointer.
fn pointer(document: &Document, path: &str) -> Pointer {
    let path = path.trim_start_matches('.');
    let moved = document.written_as.and_then(|(seen, written)| {
        let rest = path.strip_prefix(seen).filter(|rest| rest.starts_with(['.', '[']))?;
        walked(&document.json, &format!("{written}{rest}")).filter(|(_, whole)| *whole)
    });
    moved.or_else(|| walked(&document.json, path)).map(|(pointer, _)| pointer).unwrap_or_default()
}

/// The pointer, and whether it is the whole path.
fn walked(json: &str, path: &str) -> Option<(Pointer, bool)> {
    let document = json::Document::parse(json.as_bytes()).ok()?;
    let (mut value, mut rest) = (document.root(), path);
    let mut segments = Vec::new();
    while !rest.is_empty() {
        let Some((next, segment, after)) = yaml::step(value, rest) else { break };
        segments.push(segment.to_owned());
        (value, rest) = (next, after);
    }
    Some((Pointer::new(segments), rest.is_empty()))
}

/// What to point to for a value: as much of the pointer as the text holds, but
/// not less than `least` segments.
fn mark(tree: &Tree, pointer: &Pointer, least: usize, text: &str) -> Option<Range<usize>> {
    let mut pointer = pointer.clone();
    while tree.find(&pointer).is_none() {
        pointer = pointer.parent().filter(|parent| parent.depth() > least)?;
    }
    let node = tree.find(&pointer)?;
    if is_short(node, text) {
        return Some(node.range.clone());
    }
    match tree.member(&pointer) {
        Some(member) => Some(member.key_range.clone()),
        None => Some(first_line(node, text)),
    }
}

fn is_short(node: &Node, text: &str) -> bool {
    let is_text = matches!(node.shape, Shape::Scalar | Shape::Alias);
    is_text && !node.range.is_empty() && !text[node.range.clone()].contains('\n')
}

fn first_line(node: &Node, text: &str) -> Range<usize> {
    let whole = &text[node.range.clone()];
    let first = whole.lines().next().unwrap_or_default().trim_end();
    node.range.start..node.range.start + first.len()
}

/// The texts of a document that may be secret.
pub fn hidden(tree: &Tree, text: &str) -> Vec<Range<usize>> {
    let scalars = tree.scalars().into_iter();
    let suspicious = scalars.filter(|(pointer, node)| {
        let written = text[node.range.clone()].trim_matches(['"', '\'']);
        is_secretive(pointer, written)
    });
    suspicious.map(|(_, node)| node.range.clone()).collect()
}

fn is_secretive(pointer: &Pointer, written: &str) -> bool {
    let harmless = written.is_empty()
        || matches!(written, "true" | "false" | "null" | "~")
        || written.parse::<f64>().is_ok() && written.len() < 4;
    if harmless {
        return false;
    }
    let key = pointer.segments().next_back().unwrap_or_default().to_lowercase();
    // The name of a variable, or of what it is taken from, says nothing of its value.
    let is_name =
        matches!(key.as_str(), "name" | "key" | "kind" | "fieldpath" | "mountpath" | "secretname" | "optional");
    let free = pointer.segments().any(|segment| FREE_TEXT.contains(&segment)) && !is_name;
    let speaks = !is_name && CREDENTIAL_WORDS.iter().any(|word| key.contains(word));
    let url = written.find("://").is_some_and(|at| written[at..].contains('@'));
    free || speaks || url
}
