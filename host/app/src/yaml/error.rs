//! What is wrong with a text, where, and what would be right.

use std::fmt;
use std::sync::Arc;

use portcullis_core::json::ParseError;
use thiserror::Error;

use super::{MAX_DOCUMENT_BYTES, Position};

/// A text that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct SyntaxError {
    /// The file, or `-`.
    pub source_name: Arc<str>,
    /// Where; line 0 where no place can be named.
    pub position: Position,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Position { line: 0, .. } => write!(formatter, "{}: {}", self.source_name, self.what)?,
            position => write!(formatter, "{}:{position}: {}", self.source_name, self.what)?,
        }
        match &self.hint {
            Some(hint) => write!(formatter, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl SyntaxError {
    pub(super) fn new(source: &Arc<str>, position: Position, what: impl Into<String>) -> SyntaxError {
        SyntaxError { source_name: source.clone(), position, what: what.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> SyntaxError {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn json(source: &Arc<str>, position: Position, error: &ParseError) -> SyntaxError {
        SyntaxError::new(source, position, error.kind.to_string())
    }

    pub(super) fn too_large(source: &Arc<str>, position: Position) -> SyntaxError {
        let limit = MAX_DOCUMENT_BYTES >> 20;
        SyntaxError::new(source, position, format!("the document is larger than {limit} MiB as JSON"))
            .with_hint("an object of a cluster has at most 1.5 MB; are aliases expanded here again and again?")
    }

    /// Adds what the line itself suggests, where nothing better is known.
    pub(super) fn hinted_by(self, line: &str, line_before: &str) -> SyntaxError {
        if self.hint.is_some() {
            return self;
        }
        let indentation = |line: &str| line[..line.len() - line.trim_start().len()].contains('\t');
        if line.contains("{{") || line_before.contains("{{") {
            return self
                .with_hint("this looks like a template; render it first: `helm template CHART | portcullis check -`");
        }
        if indentation(line) || indentation(line_before) {
            return self.with_hint("a tab stands in the indentation; YAML is indented with spaces");
        }
        let value = line.split_once(": ").map(|(_, value)| value.trim_start());
        if value.is_some_and(|value| !value.starts_with(['"', '\'', '|', '>', '#', '{', '[']) && value.contains(": ")) {
            return self.with_hint("a value that holds `: ` must be quoted");
        }
        if value.is_some_and(|value| value.starts_with(['@', '`', '%'])) {
            return self.with_hint("a value can't begin with this character; quote it");
        }
        self
    }
}
