//! From the parser's events to a graph of nodes, without recursion.
//!
//! An alias is an edge to the node that it names, so the graph is small however
//! often it is used; the writer expands it, and bounds that. An anchor may not
//! be used inside its own node, so the graph has no cycles. Merge keys are
//! resolved here, in the order in which they stand: as with kubectl, a merge
//! replaces what stands before it and is replaced by what follows.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use portcullis_core::json::MAX_DEPTH;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::lenient::{self, Indented};
use super::scalar::{self, Scalar};
use super::{Chunk, Contents, Document, MAX_DOCUMENT_VALUES, Origin, Position, SyntaxError, positions::Lines, write};

/// A node of the graph.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) value: NodeValue,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum NodeValue {
    Scalar(Scalar),
    Sequence(Vec<usize>),
    Mapping(Vec<Member>),
}

/// A member of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) key: Rc<str>,
    pub(super) position: Position,
    pub(super) node: usize,
}

/// A collection that is not closed yet.
struct Open {
    anchor: usize,
    position: Position,
    kind: OpenKind,
}

enum OpenKind {
    Sequence(Vec<usize>),
    Mapping(OpenMapping),
}

#[derive(Default)]
struct OpenMapping {
    members: Vec<Member>,
    /// Where each key stands in `members`.
    index: HashMap<Rc<str>, usize>,
    /// Keys that stand in the mapping itself, not in a merged one.
    own: HashSet<Rc<str>>,
    pending: Option<Key>,
}

enum Key {
    Merge,
    Named(Rc<str>, Position),
}

struct Composer<'s> {
    source: &'s Arc<str>,
    lines_before: usize,
    /// Lines whose columns lie further right than in the file.
    indented: &'s [Indented],
    nodes: Vec<Node>,
    anchors: HashMap<usize, usize>,
    open: Vec<Open>,
    /// Members that merges have copied: merges of merges grow like aliases do.
    merged: usize,
    /// Keys of the current document that stand twice.
    repeated: Vec<SyntaxError>,
}

/// Reads a chunk: one document, or several that `...` ends.
pub(super) fn read(source: &Arc<str>, chunk: Chunk<'_>) -> Contents {
    let mut text = Cow::Borrowed(chunk.text);
    let mut indented = Vec::new();
    let mut contents = attempt(source, chunk, &text, &indented);
    for _ in 0..lenient::MAX_REGIONS {
        let Some(error) = contents.errors.first() else { break };
        let at = (error.position.line, error.position.column);
        let line = error.position.line - chunk.lines_before;
        let widths = indented.iter().filter(|region: &&Indented| region.lines.contains(&line));
        let column = error.position.column + widths.map(|region| region.width).sum::<usize>();
        if let Some(spaced) = lenient::spaced(&text, line, column) {
            text = Cow::Owned(spaced);
        } else if let Some((deeper, region)) = lenient::indent(&text, line) {
            text = Cow::Owned(deeper);
            indented.push(region);
        } else {
            break;
        }
        let next = attempt(source, chunk, &text, &indented);
        // An error that stays where it was had another reason.
        if next.errors.first().is_some_and(|error| (error.position.line, error.position.column) <= at) {
            break;
        }
        contents = next;
    }
    contents
}

fn attempt(source: &Arc<str>, chunk: Chunk<'_>, text: &str, indented: &[Indented]) -> Contents {
    let mut contents = Contents::default();
    let mut composer = Composer::new(source, chunk.lines_before, indented);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let outcome = match event {
            Ok((event, span)) => composer.take(event, span.start),
            Err(error) => Err(SyntaxError::new(source, composer.position(*error.marker()), error.info())),
        };
        let outcome = match outcome {
            Ok(None) => Ok(()),
            Ok(Some(root)) => composer.document(root).map(|document| contents.documents.extend(document)),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            let lines = Lines::new(chunk.text, chunk.lines_before);
            let line = lines.line(error.position.line);
            let line_before = lines.line(error.position.line.saturating_sub(1));
            contents.errors.push(error.hinted_by(&line, &line_before));
            break;
        }
    }
    contents
}

impl<'s> Composer<'s> {
    fn new(source: &'s Arc<str>, lines_before: usize, indented: &'s [Indented]) -> Composer<'s> {
        Composer {
            source,
            lines_before,
            indented,
            nodes: Vec::new(),
            anchors: HashMap::new(),
            open: Vec::new(),
            merged: 0,
            repeated: Vec::new(),
        }
    }

    fn position(&self, marker: Marker) -> Position {
        let regions = self.indented.iter().filter(|region| region.lines.contains(&marker.line()));
        let added: usize = regions.map(|region| region.width).sum();
        Position { line: self.lines_before + marker.line(), column: marker.col().saturating_sub(added) + 1 }
    }

    fn error(&self, position: Position, what: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.source, position, what)
    }

    /// Takes an event; the root's node where it ends a document's root.
    fn take(&mut self, event: Event<'_>, marker: Marker) -> Result<Option<usize>, SyntaxError> {
        let position = self.position(marker);
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), position),
            Event::Alias(anchor) => self.alias(anchor, position),
            Event::SequenceStart(anchor, _) => self.start(anchor, position, OpenKind::Sequence(Vec::new())),
            Event::MappingStart(anchor, _) => self.start(anchor, position, OpenKind::Mapping(OpenMapping::default())),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::DocumentStart(_) => {
                self.nodes.clear();
                self.anchors.clear();
                self.merged = 0;
                self.repeated.clear();
                Ok(None)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(None),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        position: Position,
    ) -> Result<Option<usize>, SyntaxError> {
        let is_key =
            matches!(self.open.last(), Some(Open { kind: OpenKind::Mapping(OpenMapping { pending: None, .. }), .. }));
        if is_key && text == "<<" && style == ScalarStyle::Plain {
            self.key(Key::Merge);
            return Ok(None);
        }
        let scalar = scalar::resolve(text, style, tag).map_err(|error| self.error(position, error.to_string()))?;
        if scalar == Scalar::NotFinite {
            return Err(self
                .error(position, format!("JSON has no number {text}"))
                .with_hint("quote it if it is a text"));
        }
        if is_key && anchor == 0 {
            self.named_key(scalar, position)?;
            return Ok(None);
        }
        let node = self.add(anchor, position, NodeValue::Scalar(scalar.clone()));
        if is_key {
            self.named_key(scalar, position)?;
            return Ok(None);
        }
        self.place(node, position)
    }

    fn alias(&mut self, anchor: usize, position: Position) -> Result<Option<usize>, SyntaxError> {
        let Some(node) = self.anchors.get(&anchor).copied() else {
            let what = "this alias stands inside the value that it names; JSON can't hold a value within itself";
            return Err(self.error(position, what));
        };
        let is_key =
            matches!(self.open.last(), Some(Open { kind: OpenKind::Mapping(OpenMapping { pending: None, .. }), .. }));
        if !is_key {
            return self.place(node, position);
        }
        match &self.nodes[node].value {
            NodeValue::Scalar(scalar) => {
                let scalar = scalar.clone();
                self.named_key(scalar, position)?;
                Ok(None)
            }
            _ => Err(self.complex_key(position)),
        }
    }

    fn start(&mut self, anchor: usize, position: Position, kind: OpenKind) -> Result<Option<usize>, SyntaxError> {
        if matches!(self.open.last(), Some(Open { kind: OpenKind::Mapping(OpenMapping { pending: None, .. }), .. })) {
            return Err(self.complex_key(position));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error(position, format!("more than {MAX_DEPTH} levels inside each other")));
        }
        self.open.push(Open { anchor, position, kind });
        Ok(None)
    }

    fn end(&mut self) -> Result<Option<usize>, SyntaxError> {
        let Some(Open { anchor, position, kind }) = self.open.pop() else { return Ok(None) };
        let value = match kind {
            OpenKind::Sequence(items) => NodeValue::Sequence(items),
            OpenKind::Mapping(mapping) => NodeValue::Mapping(mapping.members),
        };
        let node = self.add(anchor, position, value);
        self.place(node, position)
    }

    fn add(&mut self, anchor: usize, position: Position, value: NodeValue) -> usize {
        let node = self.nodes.len();
        self.nodes.push(Node { position, value });
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
        node
    }

    /// Puts a node where the next value belongs.
    fn place(&mut self, node: usize, position: Position) -> Result<Option<usize>, SyntaxError> {
        let mapping = match self.open.last_mut() {
            None => return Ok(Some(node)),
            Some(Open { kind: OpenKind::Sequence(items), .. }) => {
                items.push(node);
                return Ok(None);
            }
            Some(Open { kind: OpenKind::Mapping(mapping), .. }) => mapping,
        };
        match mapping.pending.take() {
            Some(Key::Named(key, position)) => mapping.put(Member { key, position, node }),
            Some(Key::Merge) => self.merge(node, position)?,
            // Every collection that would be a key was refused when it began.
            None => {}
        }
        Ok(None)
    }

    fn key(&mut self, key: Key) {
        if let Some(Open { kind: OpenKind::Mapping(mapping), .. }) = self.open.last_mut() {
            mapping.pending = Some(key);
        }
    }

    fn named_key(&mut self, scalar: Scalar, position: Position) -> Result<(), SyntaxError> {
        let Some(key) = scalar.key() else {
            return Err(self.error(position, "null can't be a key").with_hint("quote it if the key is the text"));
        };
        let key: Rc<str> = key.into();
        let Some(Open { kind: OpenKind::Mapping(mapping), .. }) = self.open.last_mut() else { return Ok(()) };
        if !mapping.own.insert(key.clone()) {
            let first = mapping.index.get(&key).map(|index| mapping.members[*index].position);
            let first = first.map(|first| format!(" (first in line {})", first.line)).unwrap_or_default();
            let what = format!("the key {key:?} stands twice in this mapping{first}; kubectl takes the later one");
            self.repeated.push(self.error(position, what).with_hint("remove or rename one of them"));
        }
        self.key(Key::Named(key, position));
        Ok(())
    }

    /// Of several merged mappings the first wins, so they are taken from the last.
    fn merge(&mut self, node: usize, position: Position) -> Result<(), SyntaxError> {
        let sources = match &self.nodes[node].value {
            NodeValue::Mapping(_) => vec![node],
            NodeValue::Sequence(items) => items.iter().rev().copied().collect(),
            NodeValue::Scalar(_) => return Err(self.not_mergeable(position)),
        };
        for source in sources {
            let NodeValue::Mapping(members) = &self.nodes[source].value else {
                return Err(self.not_mergeable(position));
            };
            self.merged += members.len();
            if self.merged > MAX_DOCUMENT_VALUES {
                return Err(SyntaxError::too_large(self.source, position));
            }
            if let Some(Open { kind: OpenKind::Mapping(mapping), .. }) = self.open.last_mut() {
                members.iter().cloned().for_each(|member| mapping.put(member));
            }
        }
        Ok(())
    }

    fn not_mergeable(&self, position: Position) -> SyntaxError {
        self.error(position, "`<<` merges mappings; this is none")
            .with_hint("write `<<: *anchor`, or quote the key if `<<` is a text")
    }

    fn complex_key(&self, position: Position) -> SyntaxError {
        let error = self.error(position, "a mapping or list can't be a key");
        error.with_hint(
            "is this a template such as {{ … }}? render it first: `helm template CHART | portcullis check -`",
        )
    }

    /// The document of a root; none where it is empty.
    fn document(&self, root: usize) -> Result<Option<Document>, SyntaxError> {
        let start = self.nodes[root].position;
        if matches!(&self.nodes[root].value, NodeValue::Scalar(Scalar::Token(token)) if token == "null") {
            return Ok(None);
        }
        let (json, positions) =
            write::write(&self.nodes, root).ok_or_else(|| SyntaxError::too_large(self.source, start))?;
        let repeated = self.repeated.clone();
        let origin = Origin::default();
        Ok(Some(Document { source: self.source.clone(), start, json, positions, repeated, written_as: None, origin }))
    }
}

impl OpenMapping {
    fn put(&mut self, member: Member) {
        match self.index.get(&member.key) {
            Some(index) => self.members[*index] = member,
            None => {
                self.index.insert(member.key.clone(), self.members.len());
                self.members.push(member);
            }
        }
    }
}
