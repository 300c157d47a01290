//! One edit of a value as one edit of the text around it.
//!
//! What is written in block style gets lines in block style, what is written in
//! flow style (and JSON) gets its brackets' style. A comment is never written
//! over. Nothing here is believed: `draft` reads the result again.

use std::ops::Range;

use portcullis_core::edit::{Edit, Pointer};
use portcullis_core::json::{self, Kind, Value, quote};

use crate::source::emit::{self, Layout};
use crate::source::{Member, Node, Shape, Tree, line_break};

/// Why an edit can't be written; for a person.
type Refusal = String;

/// The text with one edit of the value at `base`.
pub(super) fn splice(text: &str, tree: &Tree, base: &Pointer, edit: &Edit) -> Result<String, Refusal> {
    let path = edit.path().segments().fold(base.clone(), |path, segment| path.child(segment));
    let page = Page { text, tree, layout: layout_of(text), is_json: is_json(text) };
    let (range, replacement) = match edit {
        Edit::Test { .. } => return Ok(text.to_owned()),
        Edit::Remove { .. } => page.remove(&path)?,
        Edit::Add { value, .. } | Edit::Replace { value, .. } => {
            let value = json::Document::parse(value.as_bytes()).map_err(|error| error.to_string())?;
            if matches!(edit, Edit::Add { .. }) {
                page.add(&path, value.root())?
            } else {
                page.replace(&path, value.root())?
            }
        }
    };
    if text[range.clone()].contains("{{") {
        return Err("a template stands there".to_owned());
    }
    Ok([&text[..range.start], &replacement, &text[range.end..]].concat())
}

/// A part of the text, and what takes its place.
type Splice = (Range<usize>, String);

struct Page<'t> {
    text: &'t str,
    tree: &'t Tree,
    layout: Layout,
    is_json: bool,
}

impl Page<'_> {
    fn replace(&self, path: &Pointer, value: Value<'_>) -> Result<Splice, Refusal> {
        let node = self.tree.find(path).ok_or_else(elsewhere)?;
        if matches!(node.shape, Shape::Alias) {
            return Err(elsewhere());
        }
        if self.in_flow(path) {
            return Ok((node.range.clone(), self.flow(value, &self.text[node.range.clone()])));
        }
        let inline_new = !is_nested(value) && !is_block_text(value);
        let inline_old = matches!(node.shape, Shape::Scalar) && !node.range.is_empty();
        if inline_old && inline_new {
            return Ok((node.range.clone(), self.scalar(value, &self.text[node.range.clone()])));
        }
        let begin = match self.tree.member(path) {
            Some(member) => self.colon(member)? + 1,
            None if path.is_root() => return Err("the whole object would be replaced".to_owned()),
            None => self.dash(node)? + 1,
        };
        let end = self.end_of(node).max(begin);
        self.keep_comments(begin..end)?;
        let column = match self.tree.member(path) {
            Some(member) => self.column(member.key_range.start)?,
            None => self.column(begin - 1)?,
        };
        let mut out = String::new();
        if self.tree.member(path).is_some() {
            emit::member(&mut out, "k", value, column, 0, self.layout);
            out.drain(.."k:".len());
        } else {
            emit::item(&mut out, value, column, 0, self.layout);
            out.drain(.."-".len());
        }
        // A comment beside the old value stays in its line, where the new one begins.
        let line_end = self.line_end(end);
        if let Some(first_line) = out.find(self.layout.line_break) {
            out.insert_str(first_line, &self.text[end..line_end]);
            return Ok((begin..line_end, out));
        }
        Ok((begin..end, out))
    }

    fn add(&self, path: &Pointer, value: Value<'_>) -> Result<Splice, Refusal> {
        let parent_path = path.parent().ok_or("the whole object would be replaced")?;
        let segment = path.segments().next_back().unwrap_or_default();
        let Some(parent) = self.tree.find(&parent_path).filter(|parent| !self.is_null(parent)) else {
            // The parent comes with it.
            let wrapped = format!("{{{}:{}}}", quote(segment), value.raw());
            let wrapped = json::Document::parse(wrapped.as_bytes()).map_err(|error| error.to_string())?;
            return match self.tree.find(&parent_path) {
                Some(_) => self.replace(&parent_path, wrapped.root()),
                None => self.add(&parent_path, wrapped.root()),
            };
        };
        match &parent.shape {
            Shape::Mapping { members, .. } if members.iter().any(|member| member.key == segment) => {
                self.replace(path, value)
            }
            Shape::Mapping { flow, members } => match members.last() {
                None if !*flow || self.in_flow(&parent_path) || self.is_json => {
                    Ok(self.first_in_braces(parent, segment, value))
                }
                None => self.filled(&parent_path, &format!("{{{}:{}}}", quote(segment), value.raw())),
                Some(last) if *flow => Ok(self.in_braces(parent, last, members.len(), segment, value)),
                Some(last) => self.below(members[0].key_range.start, self.tree.node(last.value), last, segment, value),
            },
            Shape::Sequence { flow, items } => {
                let index = if segment == "-" { items.len() } else { segment.parse().unwrap_or(items.len()) };
                if items.is_empty() && !self.in_flow(&parent_path) && !self.is_json {
                    return self.filled(&parent_path, &format!("[{}]", value.raw()));
                }
                if *flow { Ok(self.in_brackets(parent, items, index, value)) } else { self.dashed(items, index, value) }
            }
            Shape::Alias => Err(elsewhere()),
            Shape::Scalar | Shape::BlockText => Err("a text stands where a mapping should".to_owned()),
        }
    }

    fn remove(&self, path: &Pointer) -> Result<Splice, Refusal> {
        let parent_path = path.parent().ok_or("the whole object would be removed")?;
        let parent = self.tree.find(&parent_path).ok_or_else(elsewhere)?;
        let (extents, flow) = match &parent.shape {
            Shape::Mapping { flow, members } => {
                let extent = |member: &Member| {
                    let end = self.end_of(self.tree.node(member.value)).max(member.key_range.end + 1);
                    member.key_range.start..end
                };
                (members.iter().map(extent).collect::<Vec<_>>(), *flow)
            }
            Shape::Sequence { flow, items } => {
                let extent = |item: &usize| -> Result<Range<usize>, Refusal> {
                    let node = self.tree.node(*item);
                    let start = if *flow { node.range.start } else { self.dash(node)? };
                    Ok(start..self.end_of(node).max(start + 1))
                };
                (items.iter().map(extent).collect::<Result<Vec<_>, _>>()?, *flow)
            }
            _ => return Err(elsewhere()),
        };
        let index = match (&parent.shape, self.tree.member(path)) {
            (Shape::Mapping { members, .. }, Some(member)) => {
                members.iter().position(|other| std::ptr::eq(other, member)).ok_or_else(elsewhere)?
            }
            (Shape::Sequence { .. }, _) => {
                path.segments().next_back().and_then(|segment| segment.parse().ok()).ok_or_else(elsewhere)?
            }
            _ => return Err(elsewhere()),
        };
        let extent = extents.get(index).ok_or_else(elsewhere)?.clone();
        if extents.len() == 1 {
            let empty = if matches!(parent.shape, Shape::Mapping { .. }) { "{}" } else { "[]" };
            return self.filled(&parent_path, empty);
        }
        if flow {
            return Ok(match (extents.get(index + 1), index.checked_sub(1)) {
                (Some(next), _) => (extent.start..next.start, String::new()),
                (None, Some(before)) => (extents[before].end..extent.end, String::new()),
                (None, None) => (extent, String::new()),
            });
        }
        let line_start = self.text[..extent.start].rfind('\n').map_or(0, |at| at + 1);
        if !self.text[line_start..extent.start].trim().is_empty() {
            // It shares its line with a dash, which the next one takes over.
            let next = extents.get(index + 1).ok_or("it shares its line with what stands before it")?;
            self.keep_comments(extent.start..next.start)?;
            return Ok((extent.start..next.start, String::new()));
        }
        self.keep_comments(extent.clone())?;
        match self.text[extent.end..].find('\n') {
            Some(at) => Ok((line_start..extent.end + at + 1, String::new())),
            // The last line has no end: the one before it loses its own.
            None => {
                let before = self.text[..line_start].trim_end_matches('\n').trim_end_matches('\r').len();
                Ok((before..self.text.len(), String::new()))
            }
        }
    }

    /// The value at a path, as this JSON; for what was empty or becomes so.
    fn filled(&self, path: &Pointer, json: &str) -> Result<Splice, Refusal> {
        let value = json::Document::parse(json.as_bytes()).map_err(|error| error.to_string())?;
        self.replace(path, value.root())
    }

    /// A new member below the last one of a block mapping.
    fn below(
        &self,
        first_key: usize,
        last_value: &Node,
        last: &Member,
        key: &str,
        value: Value<'_>,
    ) -> Result<Splice, Refusal> {
        let column = self.column(first_key)?;
        let at = self.line_end(self.end_of(last_value).max(last.key_range.end + 1));
        let mut out = self.new_line(column);
        emit::member(&mut out, key, value, column, 0, self.layout);
        Ok((at..at, out))
    }

    /// A new item of a block list.
    fn dashed(&self, items: &[usize], index: usize, value: Value<'_>) -> Result<Splice, Refusal> {
        let first = items.first().ok_or_else(elsewhere)?;
        let column = self.column(self.dash(self.tree.node(*first))?)?;
        if let Some(before) = index.checked_sub(1).and_then(|before| items.get(before)) {
            let node = self.tree.node(*before);
            let at = self.line_end(self.end_of(node).max(self.dash(node)? + 1));
            let mut out = self.new_line(column);
            emit::item(&mut out, value, column, 0, self.layout);
            return Ok((at..at, out));
        }
        let at = self.dash(self.tree.node(*first))?;
        let mut out = String::new();
        emit::item(&mut out, value, column, 0, self.layout);
        out.push_str(&self.new_line(column));
        Ok((at..at, out))
    }

    /// A new member behind the last one in braces, in a line of its own where the last one has.
    fn in_braces(&self, parent: &Node, last: &Member, count: usize, key: &str, value: Value<'_>) -> Splice {
        let node = self.tree.node(last.value);
        let colon = if self.text[last.key_range.end..node.range.start.max(last.key_range.end)].ends_with(' ')
            || !self.is_json
        {
            ": "
        } else {
            ":"
        };
        let before = &self.text[parent.range.start..last.key_range.start];
        let gap = &before[before.trim_end().len()..];
        let gap = match (gap, count) {
            (gap, _) if gap.contains('\n') => gap.to_owned(),
            // A single member tells nothing of what stands between two.
            ("", 1) if !self.is_json || colon == ": " => " ".to_owned(),
            (gap, _) => gap.to_owned(),
        };
        let at = node.range.end.max(last.key_range.end);
        let indent = gap.rsplit('\n').next().unwrap_or_default();
        (at..at, format!(",{gap}{}{colon}{}", self.flow_key(key), self.flow_at(value, indent, gap.contains('\n'))))
    }

    fn first_in_braces(&self, parent: &Node, key: &str, value: Value<'_>) -> Splice {
        (parent.range.clone(), format!("{{{}: {}}}", self.flow_key(key), self.flow(value, "")))
    }

    fn in_brackets(&self, parent: &Node, items: &[usize], index: usize, value: Value<'_>) -> Splice {
        let value = |text: &str| self.flow(value, text);
        let Some(last) = items.last() else { return (parent.range.clone(), format!("[{}]", value(""))) };
        let example = &self.text[self.tree.node(*last).range.clone()];
        let gap = match items {
            [.., before, last] => {
                let between = &self.text[self.tree.node(*before).range.end..self.tree.node(*last).range.start];
                between.split_once(',').map_or(" ", |(_, gap)| gap)
            }
            _ if self.is_json => "",
            _ => " ",
        };
        match items.get(index) {
            Some(next) => {
                let at = self.tree.node(*next).range.start;
                (at..at, format!("{},{gap}", value(example)))
            }
            None => {
                let at = self.tree.node(*last).range.end;
                (at..at, format!(",{gap}{}", value(example)))
            }
        }
    }

    /// A scalar in a line of block style, in the quotes of the text that it replaces.
    fn scalar(&self, value: Value<'_>, old: &str) -> String {
        match value.as_str() {
            Some(text)
                if old.starts_with('\'')
                    && !text.contains(['\'', '\n'])
                    && text.chars().all(|character| !character.is_control()) =>
            {
                format!("'{text}'")
            }
            Some(_) if old.starts_with('"') => emit::flow(value),
            _ => {
                let mut out = String::new();
                emit::scalar(&mut out, value, 0, self.layout);
                out
            }
        }
    }

    /// A value within brackets; plain where the text that it replaces is.
    fn flow(&self, value: Value<'_>, old: &str) -> String {
        if self.is_json {
            return value.raw().to_owned();
        }
        match value.as_str() {
            Some(text) if !old.starts_with('"') && !text.contains([',', '[', ']', '{', '}', ':', '#']) => {
                emit::text_inline(&text)
            }
            _ => emit::flow(value),
        }
    }

    /// As [`Self::flow`]; over several lines where the brackets around it are.
    fn flow_at(&self, value: Value<'_>, indent: &str, lines: bool) -> String {
        let pretty = || {
            let value: serde_json::Value = serde_json::from_str(value.raw()).ok()?;
            let text = serde_json::to_string_pretty(&value).ok()?;
            let unit = if indent.starts_with('\t') { "\t" } else { "  " };
            let lines = text.lines().enumerate().map(|(index, line)| {
                let inside = line.trim_start();
                let levels = (line.len() - inside.len()) / 2;
                if index == 0 { line.to_owned() } else { format!("{indent}{}{inside}", unit.repeat(levels)) }
            });
            Some(lines.collect::<Vec<_>>().join(self.layout.line_break))
        };
        let whole_numbers = !value.raw().contains(['.', 'e', 'E']) || value.raw().contains('"');
        if self.is_json && lines && is_nested(value) && whole_numbers {
            return pretty().unwrap_or_else(|| self.flow(value, ""));
        }
        self.flow(value, "")
    }

    fn flow_key(&self, key: &str) -> String {
        if self.is_json || key.contains([',', '[', ']', '{', '}', ':', '#']) {
            quote(key)
        } else {
            emit::text_inline(key)
        }
    }

    /// Whether a value stands within brackets.
    fn in_flow(&self, path: &Pointer) -> bool {
        if self.is_json {
            return true;
        }
        let mut path = path.clone();
        while let Some(parent) = path.parent() {
            let flow = self.tree.find(&parent).is_some_and(|node| {
                matches!(node.shape, Shape::Mapping { flow: true, .. } | Shape::Sequence { flow: true, .. })
            });
            if flow {
                return true;
            }
            path = parent;
        }
        false
    }

    /// Where the colon behind a key stands.
    fn colon(&self, member: &Member) -> Result<usize, Refusal> {
        let after = &self.text[member.key_range.end..];
        let blank = after.len() - after.trim_start_matches([' ', '\t']).len();
        after[blank..].starts_with(':').then_some(member.key_range.end + blank).ok_or_else(elsewhere)
    }

    /// Where the dash before an item of a block list stands.
    fn dash(&self, node: &Node) -> Result<usize, Refusal> {
        let mut before = self.text[..node.range.start].trim_end();
        if matches!(node.shape, Shape::BlockText) {
            // It begins behind the line with its `|` or `>`.
            let header = before.rfind(['|', '>']).ok_or_else(elsewhere)?;
            before = before[..header].trim_end();
        }
        if before.ends_with('-') {
            return Ok(before.len() - 1);
        }
        // An empty item begins at its dash's end or before it.
        let here = self.text[node.range.start..].starts_with('-');
        if here && node.range.is_empty() { Ok(node.range.start) } else { Err(elsewhere()) }
    }

    /// Where a value ends, without the line breaks behind a block text.
    fn end_of(&self, node: &Node) -> usize {
        node.range.start + self.text[node.range.clone()].trim_end().len()
    }

    /// Where the line ends in which something ends: behind a comment.
    fn line_end(&self, offset: usize) -> usize {
        let rest = &self.text[offset..];
        let line = rest.find('\n').map_or(rest, |at| &rest[..at]);
        offset + line.trim_end_matches('\r').len()
    }

    /// Columns before an offset, where only spaces and dashes stand there.
    fn column(&self, offset: usize) -> Result<usize, Refusal> {
        let start = self.text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let before = &self.text[start..offset];
        let plain = before.chars().all(|character| matches!(character, ' ' | '-'));
        plain.then_some(before.len()).ok_or_else(|| "the line begins in an unusual way".to_owned())
    }

    fn new_line(&self, column: usize) -> String {
        format!("{}{}", self.layout.line_break, " ".repeat(column))
    }

    fn is_null(&self, node: &Node) -> bool {
        matches!(node.shape, Shape::Scalar) && matches!(&self.text[node.range.clone()], "" | "~" | "null")
    }

    /// # Errors
    /// Where a comment would be lost.
    fn keep_comments(&self, range: Range<usize>) -> Result<(), Refusal> {
        let part = &self.text[range];
        let lines =
            part.lines().any(|line| line.trim_start().starts_with('#') || line.contains(" #") || line.contains("\t#"));
        if lines { Err("a comment would be lost".to_owned()) } else { Ok(()) }
    }
}

fn elsewhere() -> Refusal {
    "what would change stands elsewhere: in an anchor, a merge key or another document".to_owned()
}

fn is_nested(value: Value<'_>) -> bool {
    matches!(value.kind(), Kind::Object | Kind::Array) && value.len() > 0
}

fn is_block_text(value: Value<'_>) -> bool {
    value.as_str().is_some_and(|text| text.contains('\n'))
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
        && serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>().all(|value| value.is_ok())
}

/// How a text lays out lists: below their key's column, or indented.
fn layout_of(text: &str) -> Layout {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let mut lines =
        text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')).peekable();
    let mut list_indent = 0;
    while let Some(line) = lines.next() {
        let Some(next) = lines.peek() else { break };
        let is_key = line.trim_end().ends_with(':') && !line.trim_start().starts_with('-');
        if is_key && next.trim_start().starts_with("- ") {
            list_indent = indent(next).saturating_sub(indent(line)).min(emit::INDENT * 2);
            break;
        }
    }
    Layout { list_indent, line_break: line_break(text) }
}
