//! From JSON text to a view, with the place of what doesn't fit.
//!
//! Null is absent, as it is to the API server: `annotations:` with nothing
//! behind it in a manifest is no annotations. An array is never an object. The common case is one pass; only
//! a text that fails is written anew without its nulls and read again.
//!
//! The place comes from where the parser stopped, not from a deserialiser that
//! follows the path: that one would compile every view a second time, which
//! doubles a guest, and each byte of a guest is compiled again for each settings.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::path::FieldPath;
use crate::strict::Strict;

/// An object that doesn't have the shape that a view asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The field that doesn't fit.
    pub path: FieldPath,
    /// What was found and what would fit.
    pub message: String,
}

/// Reads a view.
///
/// # Errors
/// The text isn't JSON, or doesn't have the view's shape.
pub fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, Malformed> {
    parse(json).or_else(|_| {
        let sound = without_nulls(json)?;
        parse(&sound).map_err(|error| locate(&sound, &error))
    })
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(json);
    let value = T::deserialize(Strict(&mut parser))?;
    parser.end()?;
    Ok(value)
}

/// Reads a view from a value.
///
/// # Errors
/// The value doesn't have the view's shape.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, Malformed> {
    from_json(&value.to_string())
}

/// The same JSON on one line, without members that are null.
fn without_nulls(json: &str) -> Result<String, Malformed> {
    let mut value: Value = serde_json::from_str(json).map_err(|error| Malformed {
        path: FieldPath::root(),
        message: format!("it isn't JSON that can be read: {error}"),
    })?;
    drop_nulls(&mut value);
    Ok(value.to_string())
}

/// Members that are null go; elements that are null stay, so that indexes keep.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What an error in a one-line text says, and about which value.
fn locate(json: &str, error: &serde_json::Error) -> Malformed {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    Malformed {
        path: path_at(json, error.column()),
        message: without_value(text.strip_suffix(&position).unwrap_or(&text)),
    }
}

/// serde's message without what was found: a password that was written as a
/// number doesn't fit either, and its place is enough to find it by.
fn without_value(message: &str) -> String {
    let tells_value =
        ["invalid type: ", "invalid value: ", "unknown variant "].iter().any(|start| message.starts_with(start));
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if tells_value => {
            let kind = found.split(['`', '"']).next().unwrap_or_default().trim_end();
            format!("{kind}, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

/// Where a parser is in an array or object that it hasn't left.
enum Frame {
    Element(usize),
    Member(String),
}

/// The place of the value in which, or at whose end, a parser stands that has consumed so many bytes of sound JSON.
fn path_at(json: &str, consumed: usize) -> FieldPath {
    let bytes = json.as_bytes();
    let mut frames: Vec<Frame> = Vec::new();
    let mut is_key = false;
    let mut at = 0;
    while at < consumed.min(bytes.len()) {
        match bytes[at] {
            b'[' => frames.push(Frame::Element(0)),
            b'{' => {
                frames.push(Frame::Member(String::new()));
                is_key = true;
            }
            b']' | b'}' => {
                frames.pop();
                is_key = false;
            }
            b':' => is_key = false,
            b',' => match frames.last_mut() {
                Some(Frame::Element(index)) => *index += 1,
                Some(Frame::Member(_)) => is_key = true,
                None => {}
            },
            b'"' => {
                let end = end_of_string(bytes, at);
                if let (true, Some(Frame::Member(name))) = (is_key, frames.last_mut()) {
                    *name = serde_json::from_str(&json[at..end]).unwrap_or_default();
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    frames.iter().fold(FieldPath::root(), |path, frame| match frame {
        Frame::Element(index) => path.index(*index),
        // An object that was only just opened: the object itself is meant.
        Frame::Member(name) if name.is_empty() => path,
        Frame::Member(name) => path.field(name),
    })
}

/// The index behind the closing quote of the string that begins here.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::kind::Metadata;

    #[test]
    fn null_is_absent() {
        let metadata: Metadata =
            from_json(r#"{"name": null, "labels": null, "annotations": {"a": null, "b": "c"}}"#).unwrap();
        assert_eq!(metadata.annotations.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "c".to_owned())]);
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is only read into")]
    struct Shape {
        #[serde(default)]
        text: String,
        #[serde(default)]
        list: Vec<Inner>,
        #[serde(default)]
        map: BTreeMap<String, Inner>,
        #[serde(default)]
        amount: crate::Quantity,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is only read into")]
    struct Inner {
        number: u8,
        #[serde(default)]
        flag: bool,
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        for (json, path, message) in [
            (r#"{"text": 7}"#, "text", "invalid type: integer, expected a string"),
            (r#"{"a": [1, {"b": "c"}], "text": [ ]}"#, "text", "invalid type: sequence, expected a string"),
            (r#"{"text": {"a": 1}}"#, "text", "invalid type: map, expected a string"),
            (r#"{"text": true, "list": []}"#, "text", "invalid type: boolean, expected a string"),
            (r#"{"list": {"number": 1}}"#, "list", "invalid type: map, expected a sequence"),
            (r#"{"list": [{"number": 1}, {"number": 300}]}"#, "list[1].number", "invalid value: integer, expected u8"),
            (r#"{"list": [{"number": 1}, {"flag": true}], "text": ""}"#, "list[1]", "missing field `number`"),
            (r#"{"list": [{"number": 1}, null]}"#, "list[1]", "invalid type: null, expected struct Inner"),
            (
                r#"{"list": [{"number": 1, "x": "]}\"{["}, 7]}"#,
                "list[1]",
                "invalid type: integer, expected struct Inner",
            ),
            (r#"{"map": {"a.b/c": {"number": "x"}}}"#, "map[a.b/c].number", "invalid type: string, expected u8"),
            (r#"{"map": {"a": {"number": 1}, "b": []}}"#, "map.b", "invalid type: sequence, expected struct Inner"),
            (
                r#"{"list": [{"number": 1}, [7, false]], "text": ""}"#,
                "list[1]",
                "invalid type: sequence, expected struct Inner",
            ),
            ("[[], {}]", "", "invalid type: sequence, expected struct Shape"),
            (r#"{"amount": "1 Gi", "text": ""}"#, "amount", "`1 Gi` is no quantity"),
            ("7", "", "invalid type: integer, expected struct Shape"),
        ] {
            let malformed = from_json::<Shape>(json).unwrap_err();
            assert_eq!(malformed.path.as_str(), path, "{json}: {}", malformed.message);
            assert!(malformed.message.starts_with(message), "{json}: {}", malformed.message);
        }
    }

    #[test]
    fn no_message_holds_what_was_found() {
        for json in [
            r#"{"text": 31415926}"#,
            r#"{"list": [{"number": "31415926, expected `x`"}]}"#,
            r#"{"list": [{"number": 31415926}]}"#,
            r#"{"list": [{"number": 3.1415926}]}"#,
        ] {
            let malformed = from_json::<Shape>(json).unwrap_err();
            assert!(!malformed.message.contains("1415926"), "{}", malformed.message);
        }
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        assert!(from_json::<Shape>("{").unwrap_err().message.starts_with("it isn't JSON"));
    }
}
