//! JSON values as YAML that kubectl reads back as the very same values.
//!
//! A text stands plain only where YAML 1.1 reads it as a text too (`yes` and
//! `0777` are quoted), texts of several lines stand as blocks, numbers keep
//! their digits. What nests deeper than [`MAX_BLOCK_DEPTH`] is written in flow
//! style: indentation would grow with the square of the depth.

use portcullis_core::json::{self, Kind, Value, quote};

use crate::yaml::is_plain_text;

/// Levels that are written in block style. No kind of Kubernetes has more.
pub const MAX_BLOCK_DEPTH: usize = 64;
/// Spaces a level.
pub const INDENT: usize = 2;
/// A plain text longer than this is hard to tell from several; no limit of YAML.
const MAX_PLAIN_BYTES: usize = 1024;

/// How a text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Spaces before the dashes of a list, below its key's column.
    pub list_indent: usize,
    /// Between lines.
    pub line_break: &'static str,
}

impl Default for Layout {
    fn default() -> Layout {
        Layout { list_indent: 0, line_break: "\n" }
    }
}

/// A JSON text as a YAML document, without `---`.
pub fn document(text: &str) -> String {
    let Ok(parsed) = json::Document::parse(text.as_bytes()) else { return format!("{text}\n") };
    let mut out = String::new();
    block(&mut out, parsed.root(), 0, 0, Layout::default());
    out.push('\n');
    out
}

/// A value where it begins in a line of its own, at a column: no line break at
/// its beginning, none at its end.
pub fn block(out: &mut String, value: Value<'_>, column: usize, depth: usize, layout: Layout) {
    let mut first = true;
    let mut separate = |out: &mut String| {
        if !std::mem::take(&mut first) {
            out.push_str(layout.line_break);
            out.extend(std::iter::repeat_n(' ', column));
        }
    };
    match value.kind() {
        Kind::Object if value.len() > 0 && depth < MAX_BLOCK_DEPTH => {
            for (key, value) in value.fields() {
                separate(out);
                member(out, &key, value, column, depth, layout);
            }
        }
        Kind::Array if value.len() > 0 && depth < MAX_BLOCK_DEPTH => {
            for value in value.items() {
                separate(out);
                item(out, value, column, depth, layout);
            }
        }
        _ => scalar(out, value, column, layout),
    }
}

/// `key: value`, where the key begins at a column.
pub fn member(out: &mut String, key: &str, value: Value<'_>, column: usize, depth: usize, layout: Layout) {
    out.push_str(&text_inline(key));
    out.push(':');
    let nested = match value.kind() {
        Kind::Object if value.len() > 0 && depth + 1 < MAX_BLOCK_DEPTH => Some(column + INDENT),
        Kind::Array if value.len() > 0 && depth + 1 < MAX_BLOCK_DEPTH => Some(column + layout.list_indent),
        _ => None,
    };
    match nested {
        Some(column) => {
            out.push_str(layout.line_break);
            out.extend(std::iter::repeat_n(' ', column));
            block(out, value, column, depth + 1, layout);
        }
        None => {
            out.push(' ');
            scalar(out, value, column, layout);
        }
    }
}

/// `- value`, where the dash stands at a column.
pub fn item(out: &mut String, value: Value<'_>, column: usize, depth: usize, layout: Layout) {
    out.push_str("- ");
    block(out, value, column + INDENT, depth + 1, layout);
}

/// A scalar, or a collection in flow style; `column` is that of its key.
pub fn scalar(out: &mut String, value: Value<'_>, column: usize, layout: Layout) {
    let Some(text) = value.as_str() else {
        out.push_str(&flow(value));
        return;
    };
    if is_block_text(&text) {
        block_text(out, &text, column + INDENT, layout);
    } else {
        out.push_str(&text_inline(&text));
    }
}

/// Any value in flow style, in one line: JSON, which YAML holds.
pub fn flow(value: Value<'_>) -> String {
    let escapes = value.raw().contains(['\\', '\u{7f}']) || !value.raw().is_ascii();
    match value.kind() {
        // Quotes and escapes of the original may be ones that YAML doesn't know.
        Kind::String => quoted(&value.as_str().unwrap_or_default()),
        Kind::Object | Kind::Array if escapes => serde_json::from_str::<serde_json::Value>(value.raw())
            .map_or_else(|_| value.raw().to_owned(), |value| escaped(&value.to_string())),
        _ => value.raw().to_owned(),
    }
}

/// A text in one line: plain where that means the text, else in quotes.
pub fn text_inline(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    text.len() <= MAX_PLAIN_BYTES
        && !"-?:,[]{}#&*!|>'\"%@`=~".contains(first)
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && !text.ends_with(':')
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(|character| is_printable(character) && character != '\t')
        && !text.starts_with("...")
        && is_plain_text(text)
}

/// Whether a text is easier to read as a block, and may stand as one.
fn is_block_text(text: &str) -> bool {
    let holds = text.trim_end_matches('\n').contains('\n');
    let starts_well = !text.starts_with([' ', '\n', '\t']);
    let lines_well =
        text.split('\n').all(|line| !line.starts_with('\t') && (line.is_empty() || !line.trim().is_empty()));
    holds
        && starts_well
        && lines_well
        && text.chars().all(|character| is_printable(character) || matches!(character, '\n' | '\t'))
}

fn block_text(out: &mut String, text: &str, column: usize, layout: Layout) {
    let body = text.trim_end_matches('\n');
    let breaks = text.len() - body.len();
    out.push_str(match breaks {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push_str(layout.line_break);
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', column));
            out.push_str(line);
        }
    }
    for _ in 1..breaks {
        out.push_str(layout.line_break);
    }
}

fn quoted(text: &str) -> String {
    escaped(&quote(text))
}

/// JSON with what YAML doesn't let stand in quotes written as escapes.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match u32::from(character) {
            _ if is_printable(character) => escaped.push(character),
            code @ 0..=0xFFFF => escaped.push_str(&format!("\\u{code:04x}")),
            code => escaped.push_str(&format!("\\U{code:08x}")),
        }
    }
    escaped
}

/// YAML 1.2's `nb-json` without line separators that YAML 1.1 breaks at.
fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

    use portcullis_core::json::Document;
    use proptest::prelude::*;

    use super::*;
    use crate::yaml;

    /// Texts that YAML has ideas of its own about, and any others.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            proptest::sample::select(vec![
                "",
                " ",
                "yes",
                "off",
                "null",
                "~",
                "0777",
                "0x1f",
                "1e3",
                "-1",
                ".5",
                "1_000",
                "<<",
                "=",
                "a: b",
                "a #b",
                "#a",
                "- a",
                "-a",
                "a:",
                "|",
                "%",
                "@a",
                "a\nb",
                "a\nb\n",
                "a\n\nb\n\n",
                "\na",
                " a\nb",
                "a\n b\n",
                "\ta\nb",
                "a\n\tb",
                "a\r\nb",
                "\u{feff}",
                "\u{2028}a",
                "\u{85}",
                "\u{7f}",
                "é",
                "日本",
                "🚪",
                "---",
                "--- a",
                "...",
                "2026-01-01",
                "a\u{0}b",
                "*a",
                "&a",
                "!a",
                "{a",
                "[a",
                "'a'",
                "\"a\"",
                "a\\b",
                "a,b",
                "a]",
                "line \nnext",
                "a\n  \nb",
            ])
            .prop_map(str::to_owned),
            "[ -~\\n]{0,40}",
            ".{0,20}",
        ]
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f32>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| f64::from(number).into()),
            texts().prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::Array),
                proptest::collection::vec((texts(), inner), 0..5)
                    .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn reads_back(value: &serde_json::Value) {
        let text = serde_json::json!({ "v": value }).to_string();
        let written = document(&text);
        let read = yaml::read("-", written.as_bytes());
        assert!(read.errors.is_empty(), "{written}\n{:?}", read.errors);
        let (read, expected) = (&read.documents[0].json, Document::parse(text.as_bytes()).unwrap());
        let parsed = Document::parse(read.as_bytes()).unwrap();
        assert!(parsed.root().equals(expected.root()), "{written}\n{read}\n{text}");
    }

    #[test]
    fn what_nests_deeper_than_indentation_may_is_written_in_flow_style() {
        let mut value = serde_json::json!({"last": "yes"});
        for _ in 0..MAX_BLOCK_DEPTH {
            value = serde_json::json!([{ "inner": value }]);
        }
        reads_back(&value);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_what_it_was(value in values()) {
            reads_back(&value);
        }
    }
}
