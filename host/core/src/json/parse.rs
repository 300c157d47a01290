//! From a text to a tape: one pass, no recursion.
//!
//! The stack of open containers is the tape itself: while a container is open,
//! its `next` holds the index of the container around it.

use std::borrow::Cow;
use std::collections::HashSet;

use super::error::{ParseError, ParseErrorKind};
use super::scan::{self, Escape};
use super::{COUNT_SHIFT, Document, ESCAPED, Kind, MAX_DEPTH, MAX_NODES, Node, line_column};

/// A fault before line and column are known.
struct Fault {
    offset: usize,
    kind: ParseErrorKind,
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    open: u32,
    depth: usize,
    deepest: usize,
}

/// No container is open.
const OUTSIDE: u32 = u32::MAX;

/// Characters of a key that an error shows.
const SHOWN_KEY: usize = 200;

/// Up to here every pair of an object's keys is compared; past it they are sorted.
const FEW_KEYS: usize = 16;

/// What follows a value.
enum Next {
    Value,
    End,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Document<'_>, ParseError> {
    parse_faulty(bytes).map_err(|Fault { offset, kind }| {
        let (line, column) = line_column(bytes, offset);
        ParseError { offset, line, column, kind }
    })
}

fn parse_faulty(bytes: &[u8]) -> Result<Document<'_>, Fault> {
    if bytes.len() >= u32::MAX as usize {
        return Err(Fault { offset: 0, kind: ParseErrorKind::TooLong });
    }
    let text = str::from_utf8(bytes)
        .map_err(|error| Fault { offset: error.valid_up_to(), kind: ParseErrorKind::InvalidUtf8 })?;
    let mut parser = Parser {
        text,
        bytes,
        at: 0,
        // The API server's compact JSON has a node every 10 to 14 bytes.
        nodes: Vec::with_capacity(bytes.len() / 12 + 4),
        open: OUTSIDE,
        depth: 0,
        deepest: 0,
    };
    if text.starts_with('\u{feff}') {
        return Err(parser.fault(0, ParseErrorKind::ByteOrderMark));
    }
    parser.run()?;
    Ok(Document { text, nodes: parser.nodes, depth: parser.deepest })
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        loop {
            self.skip_whitespace();
            let opened = self.value()?;
            if opened {
                continue;
            }
            match self.after_value()? {
                Next::Value => {}
                Next::End => break,
            }
        }
        self.skip_whitespace();
        match self.text[self.at..].chars().next() {
            None => Ok(()),
            Some(found) => Err(self.fault(self.at, ParseErrorKind::TrailingData(found))),
        }
    }

    /// Reads a scalar, an empty container, or the head of a container up to its
    /// first value; true for the last.
    fn value(&mut self) -> Result<bool, Fault> {
        let start = self.at;
        if self.nodes.len() >= MAX_NODES {
            return Err(self.fault(start, ParseErrorKind::TooManyValues));
        }
        match self.bytes.get(start) {
            Some(b'"') => {
                let escaped = self.string()?;
                self.push(Kind::String, start, escaped);
            }
            Some(b'{') => {
                self.enter(Kind::Object)?;
                if self.bytes.get(self.at) != Some(&b'}') {
                    self.key()?;
                    return Ok(true);
                }
                self.leave();
            }
            Some(b'[') => {
                self.enter(Kind::Array)?;
                if self.bytes.get(self.at) != Some(&b']') {
                    self.count();
                    return Ok(true);
                }
                self.leave();
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                self.push(Kind::Number, start, 0);
            }
            Some(b't') => self.literal("true", Kind::Bool)?,
            Some(b'f') => self.literal("false", Kind::Bool)?,
            Some(b'n') => self.literal("null", Kind::Null)?,
            _ => return Err(self.unexpected("a value")),
        }
        Ok(false)
    }

    /// Closes what ends here, up to the next value or the end of the outermost one.
    fn after_value(&mut self) -> Result<Next, Fault> {
        while self.open != OUTSIDE {
            self.skip_whitespace();
            let object = self.nodes[self.open as usize].kind() == Kind::Object;
            match (self.bytes.get(self.at), object) {
                (Some(b','), true) => {
                    self.at += 1;
                    self.skip_whitespace();
                    self.key()?;
                    return Ok(Next::Value);
                }
                (Some(b','), false) => {
                    self.at += 1;
                    self.count();
                    return Ok(Next::Value);
                }
                (Some(b'}'), true) => {
                    self.refuse_duplicate_keys()?;
                    self.leave();
                }
                (Some(b']'), false) => self.leave(),
                (_, true) => return Err(self.unexpected("`,` or `}`")),
                (_, false) => return Err(self.unexpected("`,` or `]`")),
            }
        }
        Ok(Next::End)
    }

    /// Opens a container and goes to what follows its bracket.
    fn enter(&mut self, kind: Kind) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault(self.at, ParseErrorKind::TooDeep));
        }
        self.deepest = self.deepest.max(self.depth);
        let index = self.nodes.len() as u32;
        self.nodes.push(Node::new(kind, self.at, 0, self.open));
        self.open = index;
        self.at += 1;
        self.skip_whitespace();
        Ok(())
    }

    /// Closes the open container at its bracket.
    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
        let next = self.nodes.len() as u32;
        let node = &mut self.nodes[self.open as usize];
        self.open = std::mem::replace(&mut node.next, next);
        node.end = self.at as u32;
    }

    /// One more element or field of the open container.
    fn count(&mut self) {
        self.nodes[self.open as usize].meta += 1 << COUNT_SHIFT;
    }

    fn push(&mut self, kind: Kind, start: usize, flags: u32) {
        let next = self.nodes.len() as u32 + 1;
        let mut node = Node::new(kind, start, self.at, next);
        node.meta |= flags;
        self.nodes.push(node);
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.bytes.get(start) != Some(&b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        let escaped = self.string()?;
        let inner = &self.bytes[start + 1..self.at - 1];
        let fingerprint = if escaped == 0 {
            fingerprint(inner)
        } else {
            fingerprint(scan::unescape(&self.text[start + 1..self.at - 1]).as_bytes())
        };
        self.push(Kind::String, start, escaped);
        if let Some(node) = self.nodes.last_mut() {
            node.next = fingerprint;
        }
        self.count();
        self.skip_whitespace();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// Goes past a string; [`ESCAPED`] where it holds an escape.
    fn string(&mut self) -> Result<u32, Fault> {
        let mut flags = 0;
        self.at += 1;
        loop {
            self.at = scan::special(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(flags);
                }
                Some(b'\\') => {
                    flags = ESCAPED;
                    self.escape()?;
                }
                Some(control) => {
                    return Err(self.fault(self.at, ParseErrorKind::ControlCharacter(*control)));
                }
                None => return Err(self.unexpected("the closing quote of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match scan::escape(&self.bytes[self.at..]) {
            Escape::Character(_, length) => {
                self.at += length;
                Ok(())
            }
            Escape::Invalid => Err(self.fault(self.at, ParseErrorKind::InvalidEscape)),
            Escape::LoneSurrogate => Err(self.fault(self.at, ParseErrorKind::LoneSurrogate)),
            Escape::Cut => {
                self.at = self.bytes.len();
                Err(self.unexpected("the rest of an escape"))
            }
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        let integer = self.at;
        if self.digits() == 0 {
            return Err(self.number_fault("a digit should follow the minus sign"));
        }
        if self.bytes[integer] == b'0' && self.at > integer + 1 {
            self.at = start;
            return Err(self.number_fault("it starts with a zero"));
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.number_fault("a digit should follow the point"));
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.number_fault("a digit should follow the exponent's e"));
            }
        }
        Ok(())
    }

    /// Goes past digits and counts them.
    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.at - start
    }

    fn literal(&mut self, word: &'static str, kind: Kind) -> Result<(), Fault> {
        let start = self.at;
        if !self.bytes[start..].starts_with(word.as_bytes()) {
            let same =
                word.bytes().zip(&self.bytes[start..]).take_while(|(expected, found)| expected == *found).count();
            self.at += same;
            return Err(self.unexpected("`true`, `false` or `null`"));
        }
        self.at += word.len();
        self.push(kind, start, 0);
        Ok(())
    }

    #[inline]
    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// Looks at the keys of the open object, whose last field has just ended.
    fn refuse_duplicate_keys(&self) -> Result<(), Fault> {
        let count = self.nodes[self.open as usize].count();
        if count > FEW_KEYS {
            return self.refuse_duplicates_among_many(count);
        }
        let mut keys = [(0, 0); FEW_KEYS];
        for (length, key) in self.keys().enumerate() {
            let fingerprint = self.nodes[key as usize].next;
            for (other, other_fingerprint) in &keys[..length] {
                if *other_fingerprint == fingerprint && self.key_text(*other) == self.key_text(key) {
                    return Err(self.duplicate(key));
                }
            }
            keys[length] = (key, fingerprint);
        }
        Ok(())
    }

    /// By sorted fingerprints; only keys that share one are compared as text, by
    /// a hash that a sender can't foresee.
    fn refuse_duplicates_among_many(&self, count: usize) -> Result<(), Fault> {
        let mut keys: Vec<(u32, u32)> = Vec::with_capacity(count);
        keys.extend(self.keys().map(|key| (self.nodes[key as usize].next, key)));
        keys.sort_unstable();
        for run in keys.chunk_by(|left, right| left.0 == right.0) {
            if run.len() == 1 {
                continue;
            }
            let mut seen = HashSet::with_capacity(run.len());
            for (_, key) in run {
                if !seen.insert(self.key_text(*key)) {
                    return Err(self.duplicate(*key));
                }
            }
        }
        Ok(())
    }

    /// Indexes of the keys of the open object.
    fn keys(&self) -> impl Iterator<Item = u32> {
        let mut key = self.open + 1;
        std::iter::from_fn(move || {
            let this = key;
            let value = self.nodes.get(this as usize + 1)?;
            key = value.next;
            Some(this)
        })
    }

    fn key_text(&self, key: u32) -> Cow<'_, str> {
        let node = self.nodes[key as usize];
        let inner = &self.text[node.inner()];
        if node.is_escaped() { Cow::Owned(scan::unescape(inner)) } else { Cow::Borrowed(inner) }
    }

    fn duplicate(&self, key: u32) -> Fault {
        let name = self.key_text(key).chars().take(SHOWN_KEY).collect();
        let offset = self.nodes[key as usize].start as usize;
        self.fault(offset, ParseErrorKind::DuplicateKey(name))
    }

    fn number_fault(&self, reason: &'static str) -> Fault {
        if self.at == self.bytes.len() {
            return self.unexpected("a digit");
        }
        self.fault(self.at, ParseErrorKind::InvalidNumber(reason))
    }

    fn unexpected(&self, expected: &'static str) -> Fault {
        let kind = match self.text[self.at..].chars().next() {
            Some(found) => ParseErrorKind::UnexpectedCharacter { found, expected },
            None => ParseErrorKind::UnexpectedEnd(expected),
        };
        self.fault(self.at, kind)
    }

    fn fault(&self, offset: usize, kind: ParseErrorKind) -> Fault {
        Fault { offset, kind }
    }
}

/// A cheap hash of a key: its length, its first and its last bytes. Two keys
/// that share it are compared in full, so it need not be a good one.
fn fingerprint(key: &[u8]) -> u32 {
    let length = key.len() as u32;
    let mixed = match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (Some(first), Some(last)) => u32::from_le_bytes(*first) ^ u32::from_le_bytes(*last).rotate_left(15),
        _ => key.iter().fold(0, |mixed, byte| mixed << 8 | u32::from(*byte)),
    };
    mixed.wrapping_mul(0x9E37_79B1) ^ length
}
