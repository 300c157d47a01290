//! Where a text stops being JSON, and why.

use thiserror::Error;

use super::{MAX_DEPTH, MAX_NODES};

/// A text that isn't JSON as the host reads it, and where it stops being it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct ParseError {
    /// Bytes before the fault.
    pub offset: usize,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: ParseErrorKind,
}

/// What can be wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Bytes that are no UTF-8.
    #[error("not UTF-8 here; JSON is UTF-8 text")]
    InvalidUtf8,
    /// The text stops before the value does.
    #[error("the text ends where {0} should follow; is it cut off?")]
    UnexpectedEnd(&'static str),
    /// A character that can't stand here.
    #[error("{found:?} where {expected} should stand")]
    UnexpectedCharacter {
        /// What stands there.
        found: char,
        /// What would be right.
        expected: &'static str,
    },
    /// U+FEFF before the value.
    #[error("a byte order mark stands before the value; JSON has none")]
    ByteOrderMark,
    /// Something follows the value.
    #[error("{0:?} follows after the value; one text holds one value")]
    TrailingData(char),
    /// Digits that make no JSON number.
    #[error("not a JSON number: {0}")]
    InvalidNumber(&'static str),
    /// A backslash with something else behind it than JSON knows.
    #[error(r#"not a JSON escape; after a backslash stands one of "\/bfnrt or u and four hex digits"#)]
    InvalidEscape,
    /// Half of a UTF-16 surrogate pair.
    #[error(r"half a surrogate pair; \ud800 to \udbff must be followed by \udc00 to \udfff")]
    LoneSurrogate,
    /// A character below U+0020 in a string.
    #[error(r"a control character (U+{0:04X}) in a string; write it as \u{0:04x}")]
    ControlCharacter(u8),
    /// More levels than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More values than [`MAX_NODES`].
    #[error("more than {MAX_NODES} keys and values")]
    TooManyValues,
    /// More bytes than a tape can name.
    #[error("longer than {} bytes", u32::MAX)]
    TooLong,
    /// A key that the object has already; its first 200 characters.
    #[error("the key {0:?} stands twice in this object; which of the two counts would be a guess")]
    DuplicateKey(String),
}
