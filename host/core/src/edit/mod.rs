//! Edits of a JSON text: RFC 6902 without `move` and `copy`.
//!
//! A mutating policy returns edits, never an object, so that fields unknown to
//! it can't be lost. [`apply`] works on the text: only what an edit goes
//! through is taken apart, the rest is copied byte for byte. [`diff`] is the
//! way back: the patch that is sent to the API server is made from the text
//! before the first policy and the text after the last, so it is minimal
//! whatever the policies did in between, and any RFC 6902 implementation can
//! apply it.

mod apply;
mod diff;
mod pointer;

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::json::{MAX_DEPTH, ParseError, write_quoted};

pub use apply::{apply, apply_document};
pub use diff::{diff, diff_documents};
pub use pointer::{Pointer, PointerError};

/// Edits in one list, at most. A policy that fills a field in every container
/// of the largest pod that a cluster takes needs a few hundred.
pub const MAX_EDITS: usize = 1_000;

/// One change of a JSON text. Values are JSON texts, written as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Sets a field, or inserts an array's element before the index (`-`: at
    /// the end). Parent objects that are absent or null are made.
    Add {
        /// Where.
        path: Pointer,
        /// JSON text.
        value: String,
    },
    /// Takes away what stands there.
    Remove {
        /// Where.
        path: Pointer,
    },
    /// Puts something else in the place of what stands there.
    Replace {
        /// Where.
        path: Pointer,
        /// JSON text.
        value: String,
    },
    /// Fails where something else stands there.
    Test {
        /// Where.
        path: Pointer,
        /// JSON text.
        value: String,
    },
}

/// A list of edits that can't be applied; nothing was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("edit {index}, path \"{path}\": {reason}")]
pub struct EditError {
    /// Which edit of the list, counted from 0.
    pub index: usize,
    /// Its path.
    pub path: Pointer,
    /// What is wrong.
    pub reason: EditErrorReason,
}

/// Why an edit can't be applied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditErrorReason {
    /// The text to edit isn't JSON.
    #[error("the text to edit isn't JSON: {0}")]
    Text(#[source] ParseError),
    /// The edit's value isn't JSON.
    #[error("its value isn't JSON: {0}")]
    Value(#[source] ParseError),
    /// More than [`MAX_EDITS`].
    #[error("{0} edits; at most {MAX_EDITS} are applied at once")]
    TooMany(usize),
    /// Nothing stands there.
    #[error("nothing stands at {0:?}")]
    Absent(String),
    /// A field or an element of a value that has none.
    #[error("what stands at {0:?} is neither an object nor an array")]
    Scalar(String),
    /// A segment that is no index of an array.
    #[error("{segment:?} is no index of the array at {array:?}, which has {length} elements")]
    Index {
        /// The array's pointer.
        array: String,
        /// The segment.
        segment: String,
        /// How many elements it has.
        length: usize,
    },
    /// The value of a test isn't what stands there.
    #[error("something else stands there than the test asks for")]
    TestFailed,
    /// The outermost value can't be removed.
    #[error("the outermost value can't be removed, only replaced")]
    Root,
    /// More levels than [`MAX_DEPTH`].
    #[error("the result would nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl Edit {
    /// The `op` of RFC 6902.
    pub fn op(&self) -> &'static str {
        match self {
            Self::Add { .. } => "add",
            Self::Remove { .. } => "remove",
            Self::Replace { .. } => "replace",
            Self::Test { .. } => "test",
        }
    }

    /// Where it changes something.
    pub fn path(&self) -> &Pointer {
        match self {
            Self::Add { path, .. } | Self::Remove { path } | Self::Replace { path, .. } | Self::Test { path, .. } => {
                path
            }
        }
    }

    /// Its value, as JSON text.
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Add { value, .. } | Self::Replace { value, .. } | Self::Test { value, .. } => Some(value),
            Self::Remove { .. } => None,
        }
    }
}

/// A list of edits as the JSON text of an RFC 6902 patch.
///
/// ```
/// use portcullis_core::edit::{diff, patch_text};
///
/// let patch = patch_text(&diff(r#"{"a": 1}"#, r#"{"a": 1, "b": [2]}"#));
/// assert_eq!(patch, r#"[{"op":"add","path":"/b","value":[2]}]"#);
/// ```
pub fn patch_text(edits: &[Edit]) -> String {
    let mut text = String::from("[");
    for (index, edit) in edits.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(r#"{"op":""#);
        text.push_str(edit.op());
        text.push_str(r#"","path":"#);
        write_quoted(&mut text, &edit.path().to_string());
        if let Some(value) = edit.value() {
            text.push_str(r#","value":"#);
            text.push_str(value);
        }
        text.push('}');
    }
    text.push(']');
    text
}

/// RFC 6902's object for one edit.
#[derive(Serialize, Deserialize)]
struct Operation<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    path: Cow<'a, Pointer>,
    // Not an `Option<Box<RawValue>>` alone: serde would take null for none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_value")]
    value: Option<Box<RawValue>>,
}

fn some_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Serialize for Edit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.value().map(|value| RawValue::from_string(value.to_owned()));
        Operation {
            op: Cow::Borrowed(self.op()),
            path: Cow::Borrowed(self.path()),
            value: value.transpose().map_err(serde::ser::Error::custom)?,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Edit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let operation = Operation::deserialize(deserializer)?;
        let path = operation.path.into_owned();
        let value = |value: Option<Box<RawValue>>| match value {
            Some(value) => Ok(String::from(Box::<str>::from(value))),
            None => Err(D::Error::missing_field("value")),
        };
        match operation.op.as_ref() {
            "add" => Ok(Self::Add { path, value: value(operation.value)? }),
            "remove" => Ok(Self::Remove { path }),
            "replace" => Ok(Self::Replace { path, value: value(operation.value)? }),
            "test" => Ok(Self::Test { path, value: value(operation.value)? }),
            other => Err(D::Error::unknown_variant(other, &["add", "remove", "replace", "test"])),
        }
    }
}

#[cfg(test)]
mod tests;
