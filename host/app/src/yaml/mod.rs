//! Reads what people write: YAML of several documents, JSON, JSON documents one
//! after the other. Each document becomes exact JSON text, with the line and
//! column at which every value was written.
//!
//! ```text
//! bytes ─ encoding ─ text ─ split at `---` ─┬ JSON: kept byte for byte
//!                                           └ YAML: compose ─ write ─ JSON + places
//! ```
//! YAML means what it means to kubectl (sigs.k8s.io/yaml on goyaml.v2; the table
//! in `scalar` was checked against kubectl 1.32); a key that stands twice is an
//! error that comes beside the document. A broken document doesn't hide the others. Nothing
//! recurses, and what aliases expand to is bounded.

mod compose;
mod encoding;
mod error;
mod lenient;
mod positions;
mod scalar;
#[cfg(test)]
mod tests;
mod write;

use std::ops::Range;
use std::sync::Arc;

use portcullis_core::json;
use serde_json::value::RawValue;

pub use error::SyntaxError;
pub(crate) use positions::step;
pub use positions::{Position, Positions};

/// Bytes that one file may have: twice what the largest review has.
pub const MAX_FILE_BYTES: usize = 64 << 20;
/// Bytes of JSON that one document may become: the largest review's.
pub const MAX_DOCUMENT_BYTES: usize = 32 << 20;
/// Values that one document may hold once aliases are expanded. The largest
/// object of a cluster, 1.5 MB, holds fewer.
pub const MAX_DOCUMENT_VALUES: usize = 2_000_000;

/// One document.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file that it stands in, or `-`.
    pub source: Arc<str>,
    /// Where its first value begins.
    pub start: Position,
    /// As JSON; what was written as JSON is kept byte for byte.
    pub json: String,
    /// Where its values were written.
    pub positions: Positions,
    /// Keys that stand twice in it. In `json` the later one counts, as it does
    /// to kubectl; whoever reads the document has to report the others, or to
    /// refuse it.
    pub repeated: Vec<SyntaxError>,
    /// A field of the object as others see it, and the one that it was written
    /// as: `data` of a Secret may come from `stringData`.
    pub written_as: Option<(&'static str, &'static str)>,
    /// The text that it was read from.
    pub origin: Origin,
}

/// The text of a file, and which part of it a document was read from. Kept, not
/// read again: standard input and pipes can be read once.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The whole file, decoded, without a byte order mark.
    pub text: Arc<str>,
    /// The part between two `---`; it may hold several documents.
    pub chunk: Range<usize>,
    /// Lines of the file before that part.
    pub lines_before: usize,
}

/// What a text holds.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// The documents that could be read, in order; empty ones are left out.
    pub documents: Vec<Document>,
    /// What could not be read.
    pub errors: Vec<SyntaxError>,
}

/// Reads all documents of a text.
pub fn read(source: &str, bytes: &[u8]) -> Contents {
    let source: Arc<str> = source.into();
    let mut contents = Contents::default();
    let text = match encoding::decode(&source, bytes) {
        Ok(text) => text,
        Err(error) => {
            contents.errors.push(error);
            return contents;
        }
    };
    let kept: Arc<str> = text.as_ref().into();
    for chunk in split(&text) {
        let mut read =
            if begins_as_json(chunk.text) { read_json_or_yaml(&source, chunk) } else { read_yaml(&source, chunk) };
        for document in &mut read.documents {
            let range = chunk.begin..chunk.begin + chunk.text.len();
            document.origin = Origin { text: kept.clone(), chunk: range, lines_before: chunk.lines_before };
        }
        contents.documents.extend(read.documents);
        contents.errors.extend(read.errors);
    }
    contents
}

/// Reads a text of at most one document, such as a configuration file, as a
/// value; none where it is empty.
///
/// # Errors
/// `line:column: what; hint`, or that there are several.
pub fn single(text: &str) -> Result<Option<serde_json::Value>, String> {
    let mut contents = read("", text.as_bytes()).strict();
    if let Some(error) = contents.errors.first() {
        return Err(error.to_string().trim_start_matches(':').trim_start().to_owned());
    }
    if let [_, second, ..] = contents.documents.as_slice() {
        return Err(format!("{}: a second document begins here; there is to be one", second.start));
    }
    let Some(document) = contents.documents.pop() else { return Ok(None) };
    serde_json::from_str(&document.json).map(Some).map_err(|error| format!("{}: {error}", document.start))
}

impl Contents {
    /// Refuses documents with a key that stands twice: for what is configuration,
    /// not input to be judged.
    #[must_use]
    pub fn strict(mut self) -> Contents {
        let (sound, repeated): (Vec<_>, Vec<_>) =
            self.documents.into_iter().partition(|document| document.repeated.is_empty());
        self.documents = sound;
        self.errors.extend(repeated.into_iter().flat_map(|document| document.repeated));
        self
    }
}

impl Document {
    /// The value at a JSON Pointer as a document of its own.
    pub fn part(&self, pointer: &str) -> Option<Document> {
        let document = json::Document::parse(self.json.as_bytes()).ok()?;
        Some(self.slice(document.root().pointer(pointer)?))
    }

    /// The elements of the array at a JSON Pointer, each as a document.
    pub fn elements(&self, pointer: &str) -> Vec<Document> {
        let Ok(document) = json::Document::parse(self.json.as_bytes()) else { return Vec::new() };
        let array = document.root().pointer(pointer);
        array.into_iter().flat_map(json::Value::items).map(|element| self.slice(element)).collect()
    }

    /// Where the value of a path such as `spec.volumes[0].name` was written, or
    /// the nearest value around it.
    pub fn position_of(&self, path: &str) -> Position {
        let Ok(document) = json::Document::parse(self.json.as_bytes()) else { return self.start };
        let root = document.root();
        let moved = self.written_as.and_then(|(seen, written)| {
            let rest = path.strip_prefix(seen).filter(|rest| rest.starts_with(['.', '[']))?;
            self.positions.of_whole_path(root, &format!("{written}{rest}"))
        });
        moved.or_else(|| self.positions.of_path(root, path)).unwrap_or(self.start)
    }

    fn slice(&self, value: json::Value<'_>) -> Document {
        let positions = self.positions.below(value.span().start);
        let start = positions.at(0).unwrap_or(self.start);
        Document {
            source: self.source.clone(),
            start,
            json: value.raw().to_owned(),
            positions,
            repeated: Vec::new(),
            written_as: None,
            origin: self.origin.clone(),
        }
    }
}

/// A part of a text between two `---`.
#[derive(Debug, Clone, Copy)]
struct Chunk<'t> {
    text: &'t str,
    /// Where it begins in the file.
    begin: usize,
    /// Lines of the file before it.
    lines_before: usize,
}

/// Whether this text, written plain in a block, is read as that very text and
/// not as a number, a bool, null or a merge key.
pub(crate) fn is_plain_text(text: &str) -> bool {
    let resolved = scalar::resolve(text, saphyr_parser::ScalarStyle::Plain, None);
    text != "<<" && matches!(resolved, Ok(scalar::Scalar::Text(_)))
}

/// The text of a file, as [`read`] takes it.
///
/// # Errors
/// That it is no text.
pub(crate) fn decode(source: &str, bytes: &[u8]) -> Result<String, SyntaxError> {
    encoding::decode(&source.into(), bytes).map(std::borrow::Cow::into_owned)
}

/// Splits at lines that begin with `---`, as kubectl does, so that a broken
/// document ends where the next one begins. Comments and directives stay with
/// what follows them.
fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut begin, mut lines_before, mut has_content) = (0, 0, false);
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let separates =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if separates && has_content {
            chunks.push(Chunk { text: &text[begin..offset], begin, lines_before });
            (begin, lines_before, has_content) = (offset, number, false);
        }
        has_content |= separates || !matches!(line.trim_start().chars().next(), None | Some('#' | '%'));
        offset += line.len();
    }
    if has_content {
        chunks.push(Chunk { text: &text[begin..], begin, lines_before });
    }
    chunks
}

fn begins_as_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

fn read_yaml(source: &Arc<str>, chunk: Chunk<'_>) -> Contents {
    let head = chunk.text.lines().take_while(|line| line.is_empty() || line.starts_with(['%', '#'])).enumerate();
    let other_version = |line: &str| {
        line.strip_prefix("%YAML")
            .is_some_and(|rest| rest.split_whitespace().next().is_some_and(|version| version != "1.1"))
    };
    if let Some((number, _)) = head.into_iter().find(|(_, line)| other_version(line)) {
        let position = Position { line: chunk.lines_before + number + 1, column: 1 };
        let what = "kubectl reads YAML 1.1 and refuses this directive; take it away";
        return Contents { documents: Vec::new(), errors: vec![SyntaxError::new(source, position, what)] };
    }
    compose::read(source, chunk)
}

/// What begins as JSON may be YAML in flow style.
fn read_json_or_yaml(source: &Arc<str>, chunk: Chunk<'_>) -> Contents {
    let read = read_json(source, chunk);
    if read.errors.is_empty() {
        return read;
    }
    let as_yaml = read_yaml(source, chunk);
    let rest = chunk.text.trim_start().get(1..).unwrap_or_default().trim_start();
    if as_yaml.errors.is_empty() || !rest.starts_with(['"', '}', '{', '[', ']']) { as_yaml } else { read }
}

fn read_json(source: &Arc<str>, chunk: Chunk<'_>) -> Contents {
    let mut contents = Contents::default();
    let lines = positions::Lines::new(chunk.text, chunk.lines_before);
    let mut values = serde_json::Deserializer::from_str(chunk.text).into_iter::<&RawValue>();
    loop {
        let offset = values.byte_offset();
        let (text, offset) = match values.next() {
            None => return contents,
            // A raw value carries no white space around it.
            Some(Ok(raw)) => (raw.get(), values.byte_offset() - raw.get().len()),
            Some(Err(_)) => (&chunk.text[offset..], offset),
        };
        let skipped = text.len() - text.trim_start().len();
        match json::Document::parse(text.as_bytes()) {
            Ok(document) if document.root().is_null() => {}
            Ok(_) if text.len() > MAX_DOCUMENT_BYTES => {
                contents.errors.push(SyntaxError::too_large(source, lines.position(offset + skipped)));
            }
            Ok(_) => {
                let positions = Positions::of_text(lines.clone(), offset);
                let start = lines.position(offset);
                contents.documents.push(Document {
                    source: source.clone(),
                    start,
                    json: text.to_owned(),
                    positions,
                    repeated: Vec::new(),
                    written_as: None,
                    origin: Origin::default(),
                });
            }
            Err(error) => {
                contents.errors.push(SyntaxError::json(source, lines.position(offset + error.offset), &error));
                if offset + text.len() == chunk.text.len() {
                    return contents;
                }
            }
        }
    }
}
