//! The values of a Secret as the API server would hold them: `data` decoded,
//! `stringData` on top of it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis_sdk::FieldPath;

use crate::views::Secret;

/// One value.
#[derive(Debug)]
pub(crate) struct Value {
    /// The field that it comes from.
    pub(crate) path: FieldPath,
    /// What it is, decoded; `None` where it isn't text, or isn't base64.
    pub(crate) bytes: Option<Vec<u8>>,
    /// As it stands in the field; a number as it would be written.
    pub(crate) written: String,
    /// Whether it is text, as it must be.
    pub(crate) is_text: bool,
}

/// All values, by key.
#[derive(Debug)]
pub(crate) struct Values(pub(crate) BTreeMap<String, Value>);

impl Values {
    pub(crate) fn of(secret: &Secret) -> Self {
        let encoded = fields(&secret.data).map(|(key, held)| {
            let (written, is_text) = written(held);
            // The API server passes over line breaks, as Go's decoder does.
            let dense: String = written.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
            let bytes = BASE64_STANDARD.decode(dense).ok().filter(|_| is_text);
            (key.clone(), Value { path: FieldPath::root().field("data").key(key), bytes, written, is_text })
        });
        let plain = fields(&secret.string_data).map(|(key, held)| {
            let (written, is_text) = written(held);
            let bytes = is_text.then(|| written.clone().into_bytes());
            (key.clone(), Value { path: FieldPath::root().field("stringData").key(key), bytes, written, is_text })
        });
        Self(encoded.chain(plain).collect())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The bytes of a key that is there and can be decoded.
    pub(crate) fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key)?.bytes.as_deref()
    }

    /// The text of a key that is there, can be decoded and is text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(key)?).ok()
    }
}

/// The members of `data` or `stringData`.
fn fields(map: &serde_json::Value) -> impl Iterator<Item = (&String, &serde_json::Value)> {
    map.as_object().into_iter().flatten()
}

/// A value as it is written, and whether it is text; null is no value, as to the API server.
fn written(held: &serde_json::Value) -> (String, bool) {
    match held {
        serde_json::Value::String(text) => (text.clone(), true),
        serde_json::Value::Null => (String::new(), true),
        other => (other.to_string(), false),
    }
}

impl Value {
    /// The value where it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.as_deref()?).ok()
    }
}
