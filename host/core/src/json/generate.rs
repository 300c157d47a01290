//! What property tests start from: JSON as a value whose number tokens are
//! kept, and the same value as texts of different looks.

#![allow(clippy::unwrap_used, reason = "a generator that can't write has failed its test")]

use std::fmt::Write as _;

use proptest::prelude::*;

use super::quote;

/// A JSON value as the tests think of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// A token.
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// Keys differ.
    Object(Vec<(String, Json)>),
}

/// How a text looks: what stands between tokens, and whether characters are escaped.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) space: &'static str,
    pub(crate) escaped: bool,
}

/// As compact as can be.
pub(crate) const COMPACT: Look = Look { space: "", escaped: false };

impl Json {
    pub(crate) fn text(&self, look: &Look) -> String {
        let mut output = String::new();
        self.write(&mut output, look);
        output
    }

    /// As the oracle reads it.
    pub(crate) fn oracle(&self) -> serde_json::Value {
        serde_json::from_str(&self.text(&COMPACT)).unwrap()
    }

    fn write(&self, output: &mut String, look: &Look) {
        output.push_str(look.space);
        match self {
            Self::Null => output.push_str("null"),
            Self::Bool(truth) => write!(output, "{truth}").unwrap(),
            Self::Number(token) => output.push_str(token),
            Self::String(text) => write_string(output, text, look),
            Self::Array(elements) => {
                output.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        output.push(',');
                    }
                    element.write(output, look);
                }
                output.push_str(look.space);
                output.push(']');
            }
            Self::Object(fields) => {
                output.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        output.push(',');
                    }
                    output.push_str(look.space);
                    write_string(output, key, look);
                    output.push_str(look.space);
                    output.push(':');
                    value.write(output, look);
                }
                output.push_str(look.space);
                output.push('}');
            }
        }
        output.push_str(look.space);
    }
}

fn write_string(output: &mut String, text: &str, look: &Look) {
    if !look.escaped {
        output.push_str(&quote(text));
        return;
    }
    output.push('"');
    for unit in text.encode_utf16() {
        write!(output, "\\u{unit:04X}").unwrap();
    }
    output.push('"');
}

pub(crate) fn looks() -> impl Strategy<Value = Look> {
    (prop::sample::select(vec!["", " ", "\n\t", " \r\n  "]), any::<bool>())
        .prop_map(|(space, escaped)| Look { space, escaped })
}

/// Few, so that trees, edits and objects meet; two that need escapes somewhere.
pub(crate) fn keys() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "data", "a/b", "m~n", "\u{e9}\"", "", "0"]).prop_map(str::to_owned)
}

fn numbers() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        "[1-9][0-9]{18,30}",
    ]
}

fn strings() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,12}",
        prop::collection::vec(any::<char>(), 0..10).prop_map(String::from_iter),
        Just("\u{1f512}\\\"\n\u{1}\u{2028}/".to_owned()),
    ]
}

pub(crate) fn values() -> impl Strategy<Value = Json> {
    let scalars = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        numbers().prop_map(Json::Number),
        strings().prop_map(Json::String),
    ];
    scalars.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::vec((keys(), inner), 0..6).prop_map(|fields| {
                let mut distinct: Vec<(String, Json)> = Vec::new();
                for (key, value) in fields {
                    if distinct.iter().all(|(other, _)| *other != key) {
                        distinct.push((key, value));
                    }
                }
                Json::Object(distinct)
            }),
        ]
    })
}

/// Levels of objects and arrays in turn around a value.
pub(crate) fn nested(levels: usize, innermost: &str) -> String {
    let mut text = String::new();
    for level in 0..levels {
        text.push_str(if level % 2 == 0 { "{\"a\":" } else { "[" });
    }
    text.push_str(innermost);
    for level in (0..levels).rev() {
        text.push_str(if level % 2 == 0 { "}" } else { "]" });
    }
    text
}

/// The pointer of what [`nested`] puts innermost.
pub(crate) fn nested_pointer(levels: usize) -> String {
    (0..levels).map(|level| if level % 2 == 0 { "/a" } else { "/0" }).collect()
}

/// Runs on a stack on which a recursion of a few thousand levels would end the process.
pub(crate) fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap().join().unwrap();
}
