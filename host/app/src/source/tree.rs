//! The shape of a text: which bytes each value of it takes.
//!
//! A block collection begins at its first key or dash and ends with its last
//! value; what is written in flow style ends with its bracket. Aliases are not
//! followed, merged keys are not resolved: they stand elsewhere.

use std::ops::Range;

use portcullis_core::edit::Pointer;
use portcullis_core::json;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use serde_json::value::RawValue;

/// The values of one document and where they stand.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    root: usize,
}

/// One value.
#[derive(Debug)]
pub struct Node {
    /// Bytes of the chunk.
    pub range: Range<usize>,
    /// What it is.
    pub shape: Shape,
}

/// What a value is, as it is written.
#[derive(Debug)]
pub enum Shape {
    /// A text, a number, a bool or null.
    Scalar,
    /// A text after `|` or `>`; the range begins behind that line.
    BlockText,
    /// `*name`.
    Alias,
    /// A list.
    Sequence {
        /// In brackets.
        flow: bool,
        /// Their nodes.
        items: Vec<usize>,
    },
    /// A mapping.
    Mapping {
        /// In braces.
        flow: bool,
        /// In order.
        members: Vec<Member>,
    },
}

/// A key and its value.
#[derive(Debug)]
pub struct Member {
    /// As it is read.
    pub key: String,
    /// Where it stands.
    pub key_range: Range<usize>,
    /// Its value's node.
    pub value: usize,
}

impl Tree {
    /// Of all documents of a chunk, in the order of `yaml::read`; none where the
    /// text is not read at first try.
    pub fn read_all(text: &str) -> Option<Vec<Tree>> {
        if text.trim_start().starts_with(['{', '[']) {
            if let Some(trees) = read_json(text) {
                return Some(trees);
            }
        }
        read_yaml(text)
    }

    /// The outermost value.
    pub fn root(&self) -> &Node {
        &self.nodes[self.root]
    }

    /// A node by its number.
    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number]
    }

    /// The value at a pointer.
    pub fn find(&self, pointer: &Pointer) -> Option<&Node> {
        let mut node = self.root();
        for segment in pointer.segments() {
            node = &self.nodes[self.child(node, segment)?];
        }
        Some(node)
    }

    /// The member of a mapping that a pointer names.
    pub fn member(&self, pointer: &Pointer) -> Option<&Member> {
        let parent = self.find(&pointer.parent()?)?;
        let key = pointer.segments().next_back()?;
        match &parent.shape {
            Shape::Mapping { members, .. } => members.iter().rev().find(|member| member.key == key),
            _ => None,
        }
    }

    fn child(&self, node: &Node, segment: &str) -> Option<usize> {
        match &node.shape {
            // Of a key that stands twice the later counts.
            Shape::Mapping { members, .. } => {
                members.iter().rev().find(|member| member.key == segment).map(|member| member.value)
            }
            Shape::Sequence { items, .. } => items.get(segment.parse::<usize>().ok()?).copied(),
            _ => None,
        }
    }

    /// The outermost value that begins at an offset, or whose key does.
    pub fn pointer_at(&self, offset: usize) -> Option<Pointer> {
        let mut pointer = Vec::new();
        let mut node = self.root();
        loop {
            // A list that isn't indented begins where its first item does; the item is meant.
            let first = match &node.shape {
                Shape::Sequence { items, .. } => items.first().map(|item| self.nodes[*item].range.start),
                _ => None,
            };
            if node.range.start == offset && first != Some(offset) {
                return Some(Pointer::new(pointer));
            }
            let (segment, next, found) = match &node.shape {
                Shape::Sequence { items, .. } => {
                    let index = items.iter().rposition(|item| self.nodes[*item].range.start <= offset)?;
                    (index.to_string(), items[index], false)
                }
                Shape::Mapping { members, .. } => {
                    let member = members.iter().rev().find(|member| member.key_range.start <= offset)?;
                    (member.key.clone(), member.value, member.key_range.start == offset)
                }
                _ => return None,
            };
            pointer.push(segment);
            if found {
                return Some(Pointer::new(pointer));
            }
            node = &self.nodes[next];
        }
    }

    /// All scalars below the root with the keys on the way, in order.
    pub fn scalars(&self) -> Vec<(Pointer, &Node)> {
        let mut found = Vec::new();
        let mut pending = vec![(Pointer::root(), self.root)];
        while let Some((pointer, number)) = pending.pop() {
            let node = &self.nodes[number];
            match &node.shape {
                Shape::Scalar | Shape::BlockText => found.push((pointer, node)),
                Shape::Alias => {}
                Shape::Sequence { items, .. } => {
                    let items = items.iter().enumerate().rev();
                    pending.extend(items.map(|(index, item)| (pointer.child(index.to_string()), *item)));
                }
                Shape::Mapping { members, .. } => {
                    let members = members.iter().rev();
                    pending.extend(members.map(|member| (pointer.child(member.key.clone()), member.value)));
                }
            }
        }
        found
    }
}

/// A collection that is not closed yet.
struct Open {
    start: usize,
    flow: bool,
    items: Vec<usize>,
    /// Some for a mapping.
    members: Option<Vec<Member>>,
    key: Option<(String, Range<usize>)>,
}

struct Builder<'t> {
    text: &'t str,
    /// Byte offset of each character, where they differ.
    offsets: Option<Vec<usize>>,
    nodes: Vec<Node>,
    open: Vec<Open>,
}

fn read_yaml(text: &str) -> Option<Vec<Tree>> {
    let offsets =
        (!text.is_ascii()).then(|| text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect());
    let mut builder = Builder { text, offsets, nodes: Vec::new(), open: Vec::new() };
    let mut trees = Vec::new();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.ok()?;
        let range = builder.offset(span.start)..builder.offset(span.end);
        if let Some(root) = builder.take(event, range)? {
            let tree = Tree { nodes: std::mem::take(&mut builder.nodes), root };
            let is_empty = matches!(tree.root().shape, Shape::Scalar)
                && matches!(text[tree.root().range.clone()].trim(), "" | "~" | "null");
            trees.extend((!is_empty).then_some(tree));
        }
    }
    Some(trees)
}

impl Builder<'_> {
    fn offset(&self, marker: Marker) -> usize {
        match &self.offsets {
            None => marker.index().min(self.text.len()),
            Some(offsets) => offsets.get(marker.index()).copied().unwrap_or(self.text.len()),
        }
    }

    /// Takes an event; the root's number where it ends a document. None of all
    /// where a key is no scalar.
    fn take(&mut self, event: Event<'_>, range: Range<usize>) -> Option<Option<usize>> {
        match event {
            Event::Scalar(text, style, ..) => {
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if let Some(open) = self.open.last_mut().filter(|open| open.members.is_some() && open.key.is_none()) {
                    open.key = Some((text.into_owned(), range));
                    return Some(None);
                }
                let shape = if block { Shape::BlockText } else { Shape::Scalar };
                self.place(Node { range, shape })
            }
            Event::Alias(_) => {
                if let Some(open) = self.open.last_mut().filter(|open| open.members.is_some() && open.key.is_none()) {
                    open.key = Some((String::new(), range));
                    return Some(None);
                }
                self.place(Node { range, shape: Shape::Alias })
            }
            Event::SequenceStart(..) => self.begin(range, '[', None),
            Event::MappingStart(..) => self.begin(range, '{', Some(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => self.end(range),
            _ => Some(None),
        }
    }

    fn begin(&mut self, range: Range<usize>, bracket: char, members: Option<Vec<Member>>) -> Option<Option<usize>> {
        if self.open.last().is_some_and(|open| open.members.is_some() && open.key.is_none()) {
            return None;
        }
        let flow = self.text[range.clone()].ends_with(bracket);
        self.open.push(Open { start: range.start, flow, items: Vec::new(), members, key: None });
        Some(None)
    }

    fn end(&mut self, range: Range<usize>) -> Option<Option<usize>> {
        let open = self.open.pop()?;
        let last = match &open.members {
            Some(members) => members.last().map(|member| {
                // Where there is no value, the colon still belongs to the key.
                self.nodes[member.value].range.end.max(member.key_range.end + 1)
            }),
            None => open.items.last().map(|item| self.nodes[*item].range.end),
        };
        let end = if open.flow { range.end } else { last.unwrap_or(range.start) };
        let shape = match open.members {
            Some(members) => Shape::Mapping { flow: open.flow, members },
            None => Shape::Sequence { flow: open.flow, items: open.items },
        };
        self.place(Node { range: open.start..end.max(open.start), shape })
    }

    fn place(&mut self, node: Node) -> Option<Option<usize>> {
        let number = self.nodes.len();
        self.nodes.push(node);
        let Some(open) = self.open.last_mut() else { return Some(Some(number)) };
        match &mut open.members {
            None => open.items.push(number),
            Some(members) => {
                let (key, key_range) = open.key.take()?;
                members.push(Member { key, key_range, value: number });
            }
        }
        Some(None)
    }
}

/// JSON documents one after the other.
fn read_json(text: &str) -> Option<Vec<Tree>> {
    let mut trees = Vec::new();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    while let Some(raw) = values.next() {
        let raw = raw.ok()?.get();
        let begin = values.byte_offset() - raw.len();
        let document = json::Document::parse(raw.as_bytes()).ok()?;
        if !document.root().is_null() {
            trees.push(of_json(document.root(), begin));
        }
    }
    Some(trees)
}

/// Without recursion: documents nest deeply.
fn of_json(root: json::Value<'_>, begin: usize) -> Tree {
    let mut nodes = vec![json_node(root, begin)];
    let mut pending = vec![(0, root)];
    while let Some((number, value)) = pending.pop() {
        match value.kind() {
            json::Kind::Array => {
                let first = nodes.len();
                nodes.extend(value.items().map(|item| json_node(item, begin)));
                pending.extend(value.items().enumerate().map(|(index, item)| (first + index, item)));
                nodes[number].shape = Shape::Sequence { flow: true, items: (first..nodes.len()).collect() };
            }
            json::Kind::Object => {
                let first = nodes.len();
                nodes.extend(value.fields().map(|(_, field)| json_node(field, begin)));
                pending.extend(value.fields().enumerate().map(|(index, (_, field))| (first + index, field)));
                let mut before = value.span().start + 1;
                let members = value.fields().enumerate().map(|(index, (key, field))| {
                    let member = Member {
                        key: key.into_owned(),
                        key_range: json_key(value, before..field.span().start, begin),
                        value: first + index,
                    };
                    before = field.span().end;
                    member
                });
                nodes[number].shape = Shape::Mapping { flow: true, members: members.collect() };
            }
            _ => {}
        }
    }
    Tree { nodes, root: 0 }
}

/// Where a key stands in what lies between two values: behind a comma, before a colon.
fn json_key(object: json::Value<'_>, between: Range<usize>, begin: usize) -> Range<usize> {
    let inside = between.start - object.span().start..between.end - object.span().start;
    let text = &object.raw()[inside];
    let first = text.find('"').unwrap_or(0);
    let last = text.rfind('"').map_or(text.len(), |quote| quote + 1);
    begin + between.start + first..begin + between.start + last
}

fn json_node(value: json::Value<'_>, begin: usize) -> Node {
    let span = value.span();
    Node { range: begin + span.start..begin + span.end, shape: Shape::Scalar }
}
