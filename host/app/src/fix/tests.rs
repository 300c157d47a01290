//! Fixes as data, and over generated documents.
//!
//! A case is a folder of `tests/fix`: `before.yaml` (or `.json`), `fixes.json`
//! with the fixes of each document (lists of RFC 6902 edits), and what is
//! expected: `after` the text, `refused` why fixes were skipped. `BLESS=1`
//! writes both.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

use std::fs;
use std::path::Path;

use portcullis_core::contract::{Fix, Level, Severity};
use portcullis_core::report::{FindingReport, ObjectIdentity, ObjectReport, PolicyReport, Verdict};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::source::emit;
use crate::yaml::{self, Document};

/// Cases that there are at least: a folder that moved must not pass as empty.
const LEAST_CASES: usize = 20;

/// A document with findings that have these fixes.
fn judged(document: Document, fixes: &[Vec<Edit>]) -> Judged {
    let finding = |edits: &Vec<Edit>| FindingReport {
        rule: "rule".to_owned(),
        level: Level::Deny,
        severity: Severity::High,
        subject: String::new(),
        value: String::new(),
        message: "wrong".to_owned(),
        path: String::new(),
        fix: Some(Fix { text: "put right".to_owned(), edits: edits.clone() }),
        url: String::new(),
        softened: None,
    };
    let policy = PolicyReport {
        policy: "policy".to_owned(),
        phase: "validate".to_owned(),
        verdict: Verdict::Deny,
        enforced: true,
        duration_micros: 0,
        findings: fixes.iter().map(finding).collect(),
        needs: Vec::new(),
        patch: Vec::new(),
        audit_annotations: Default::default(),
        error: None,
    };
    let report = ObjectReport {
        source: document.source.to_string(),
        line: document.start.line,
        object: ObjectIdentity::default(),
        operation: "CREATE".to_owned(),
        subresource: None,
        allowed: false,
        policies: vec![policy],
        warnings: Vec::new(),
        patch: Vec::new(),
    };
    let written = document.json.clone();
    Judged {
        report,
        document,
        notes: Vec::new(),
        note_positions: Vec::new(),
        refusal: None,
        written,
        admitted: None,
        defaulted: Vec::new(),
    }
}

/// The documents of a text; those of a List one by one, as `check` judges them.
fn documents(text: &str) -> Vec<Document> {
    let read = yaml::read("file.yaml", text.as_bytes()).documents.into_iter();
    let opened = read.flat_map(|document| {
        let is_list = serde_json::from_str::<Value>(&document.json).is_ok_and(|value| value["kind"] == "List");
        if is_list { document.elements("/items") } else { vec![document] }
    });
    opened.collect()
}

fn fixed(text: &str, fixes: &[Vec<Vec<Edit>>]) -> (String, Plan) {
    let judged: Vec<Judged> = documents(text)
        .into_iter()
        .enumerate()
        .map(|(index, document)| self::judged(document, fixes.get(index).map_or(&[], Vec::as_slice)))
        .collect();
    let plan = plan(&judged);
    (plan.files.first().map_or_else(|| text.to_owned(), |file| file.after.clone()), plan)
}

#[test]
fn fixes_are_written_as_a_careful_person_would() {
    let folder = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/fix");
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= LEAST_CASES, "{} cases", cases.len());
    let mut different = Vec::new();
    for case in cases {
        let before = ["before.yaml", "before.json"].iter().find_map(|name| fs::read_to_string(case.join(name)).ok());
        let fixes = serde_json::from_slice(&fs::read(case.join("fixes.json")).unwrap()).unwrap();
        let before = before.unwrap();
        let (after, plan) = fixed(&before, fixes_of(&fixes).as_slice());
        let refused: String = plan.skipped.iter().map(|outcome| format!("{}\n", outcome.text)).collect();
        assert_eq!(fixed(&after, &[]).0, after);
        for (name, found) in [("after", after), ("refused", refused)] {
            let expected = fs::read_to_string(case.join(name)).unwrap_or_default();
            if bless && found != expected {
                fs::write(case.join(name), &found).unwrap();
            } else if found != expected {
                different.push(format!("== {}: {name}\n-- expected\n{expected}\n-- found\n{found}", case.display()));
            }
        }
    }
    assert!(different.is_empty(), "{}\n(BLESS=1 writes what is found)", different.join("\n"));
}

fn fixes_of(fixes: &Value) -> Vec<Vec<Vec<Edit>>> {
    serde_json::from_value(fixes.clone()).unwrap()
}

/// How a text is laid out.
#[derive(Debug, Clone, Copy)]
enum Style {
    Block,
    CarriageReturns,
    NoLastLineBreak,
    Commented,
    PrettyJson,
    Json,
}

/// Objects such as manifests are: mappings with named keys, a few texts of several lines.
fn objects() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<u16>().prop_map(Into::into),
        "[a-z][a-z0-9 .:/-]{0,12}".prop_map(Into::into),
        Just("yes".into()),
        Just("two\nlines\n".into()),
        Just("".into()),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::btree_map("[a-c/]{1,2}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map("[a-d]", value, 1..5).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

fn styles() -> impl Strategy<Value = Style> {
    proptest::sample::select(vec![
        Style::Block,
        Style::CarriageReturns,
        Style::NoLastLineBreak,
        Style::Commented,
        Style::PrettyJson,
        Style::Json,
    ])
}

fn written(value: &Value, style: Style) -> String {
    let text = value.to_string();
    let block = emit::document(&text);
    match style {
        Style::Block => block,
        Style::CarriageReturns => block.replace('\n', "\r\n"),
        Style::NoLastLineBreak => block.trim_end().to_owned(),
        // A comment in a text of several lines would be a part of it.
        Style::Commented if block.contains('|') => block,
        Style::Commented => block.lines().map(|line| format!("# above {}\n{line} # beside\n", line.len())).collect(),
        Style::PrettyJson => serde_json::to_string_pretty(value).unwrap(),
        Style::Json => text,
    }
}

/// All places of a value, and one that isn't there in each mapping and list.
fn places(value: &Value) -> Vec<String> {
    let mut places = Vec::new();
    let mut pending = vec![(String::new(), value)];
    while let Some((at, value)) = pending.pop() {
        places.push(at.clone());
        match value {
            Value::Object(fields) => {
                let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
                pending.extend(fields.iter().map(|(key, value)| (format!("{at}/{}", escaped(key)), value)));
                places.push(format!("{at}/new"));
                places.push(format!("{at}/new/deeper"));
            }
            Value::Array(items) => {
                pending.extend(items.iter().enumerate().map(|(index, item)| (format!("{at}/{index}"), item)));
                places.push(format!("{at}/-"));
            }
            _ => {}
        }
    }
    places.retain(|place| !place.is_empty());
    places
}

fn edit_of(value: &Value, place: usize, kind: u8, new: &Value) -> Option<Edit> {
    let places = places(value);
    let path = places.get(place % places.len().max(1))?.parse().ok()?;
    let value = new.to_string();
    Some(match kind % 3 {
        0 => Edit::Add { path, value },
        1 => Edit::Replace { path, value },
        _ => Edit::Remove { path },
    })
}

fn comments(text: &str) -> usize {
    text.matches("# above").count()
}

proptest! {
    #[test]
    fn what_is_written_means_the_document_with_the_edit(
        value in objects(),
        style in styles(),
        place in any::<usize>(),
        kind in any::<u8>(),
        new in objects().prop_map(|object| object.as_object().unwrap().values().next().unwrap().clone()),
    ) {
        let before = written(&value, style);
        let Some(edit) = edit_of(&value, place, kind, &new) else { return Ok(()) };
        let is_removal = matches!(edit, Edit::Remove { .. });
        let Ok(expected) = portcullis_core::edit::apply(&value.to_string(), std::slice::from_ref(&edit)) else { return Ok(()) };
        let (after, plan) = fixed(&before, &[vec![vec![edit.clone()]]]);
        if let Some(skipped) = plan.skipped.first() {
            prop_assert_eq!(&after, &before);
            // Only comments that a change would take with it are a reason in such documents.
            let reasons = ["a comment would be lost", "it shares its line", "the whole object"];
            prop_assert!(reasons.iter().any(|reason| skipped.text.contains(reason)), "{}\n{}\n{:?}", skipped.text, before, edit);
            return Ok(());
        }
        let read = documents(&after);
        prop_assert_eq!(read.len(), usize::from(expected != "null"), "{}", after);
        let found: Value = serde_json::from_str(&read[0].json).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        prop_assert_eq!(found, expected, "{}\n{}", before, after);
        prop_assert!(is_removal || comments(&after) == comments(&before), "{}\n{}", before, after);
        prop_assert_eq!(before.contains("\r\n"), after.contains("\r\n"));
        prop_assert!(before.contains("\r\n") || !after.contains('\r'));
    }

    #[test]
    fn no_text_makes_fixing_panic_or_lose_anything(
        text in "([a-c&*|>#{}\\[\\]\"': \\-\t\n]|a: |- |\r\n){0,60}",
        place in any::<usize>(),
        kind in any::<u8>(),
    ) {
        for document in documents(&text) {
            let Ok(value) = serde_json::from_str::<Value>(&document.json) else { continue };
            let Some(edit) = edit_of(&value, place, kind, &Value::from("new")) else { continue };
            let (after, plan) = fixed(&text, &[vec![vec![edit.clone()]]]);
            if plan.done.is_empty() {
                prop_assert_eq!(&after, &text);
            } else {
                prop_assert_eq!(documents(&after).len(), documents(&text).len());
            }
        }
    }
}
