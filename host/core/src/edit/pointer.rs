//! JSON Pointers (RFC 6901), taken apart once.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::json::unescape_segment;

/// A place in a JSON value: the keys and indexes on the way to it. Without any
/// it is the value itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(Vec<String>);

/// A text that isn't a JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PointerError {
    /// It starts with something else than a slash.
    #[error("a JSON Pointer starts with `/` (or is empty, for the whole value), not as {0:?} does")]
    NoSlash(String),
    /// A tilde that is no escape.
    #[error("`~` in a JSON Pointer's segment is written `~0` (and `/` is `~1`), not as in {0:?}")]
    BareTilde(String),
}

impl Pointer {
    /// The whole value.
    pub fn root() -> Self {
        Self::default()
    }

    /// From segments that aren't escaped.
    pub fn new<S: Into<String>>(segments: impl IntoIterator<Item = S>) -> Self {
        Self(segments.into_iter().map(Into::into).collect())
    }

    /// The keys and indexes on the way, unescaped.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator + Clone {
        self.0.iter().map(String::as_str)
    }

    /// How many segments there are.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// Whether it is the whole value.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// One level up; none for the root.
    pub fn parent(&self) -> Option<Pointer> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// One level down.
    #[must_use]
    pub fn child(&self, segment: impl Into<String>) -> Pointer {
        let mut segments = Vec::with_capacity(self.0.len() + 1);
        segments.extend_from_slice(&self.0);
        segments.push(segment.into());
        Self(segments)
    }

    /// Whether it is at or below a pattern: a JSON Pointer in which a segment
    /// `*` stands for any one key or index. A pattern that isn't one matches nothing.
    pub fn matches(&self, pattern: &str) -> bool {
        if pattern.is_empty() {
            return true;
        }
        let Some(wanted) = pattern.strip_prefix('/') else {
            return false;
        };
        let mut segments = self.segments();
        wanted.split('/').all(|wanted| match segments.next() {
            Some(segment) => wanted == "*" || unescape_segment(wanted).is_some_and(|wanted| wanted == segment),
            None => false,
        })
    }

    /// Whether the other is this place or below it.
    pub fn is_prefix_of(&self, other: &Pointer) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        let Some(segments) = text.strip_prefix('/') else {
            return Err(PointerError::NoSlash(text.to_owned()));
        };
        segments
            .split('/')
            .map(|segment| match unescape_segment(segment) {
                Some(segment) => Ok(segment.into_owned()),
                None => Err(PointerError::BareTilde(segment.to_owned())),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.0 {
            formatter.write_str("/")?;
            let mut rest = segment.as_str();
            while let Some(at) = rest.find(['~', '/']) {
                formatter.write_str(&rest[..at])?;
                formatter.write_str(if rest.as_bytes()[at] == b'~' { "~0" } else { "~1" })?;
                rest = &rest[at + 1..];
            }
            formatter.write_str(rest)?;
        }
        Ok(())
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
