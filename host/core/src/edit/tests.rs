//! Edits against `json-patch`, and what makes them refuse.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

use proptest::prelude::*;

use super::*;
use crate::json::generate::{COMPACT, Json, keys, looks, nested, nested_pointer, on_a_small_stack, values};
use crate::json::{Document, quote};

fn edits(text: &str) -> Vec<Edit> {
    serde_json::from_str(text).unwrap()
}

fn json_patch(text: &str, edits: &[Edit]) -> serde_json::Value {
    let mut value = serde_json::from_str(text).unwrap();
    json_patch_value(&mut value, edits);
    value
}

fn json_patch_value(value: &mut serde_json::Value, edits: &[Edit]) {
    let patch: ::json_patch::Patch = serde_json::from_str(&patch_text(edits)).unwrap();
    ::json_patch::patch(value, &patch).unwrap();
}

#[track_caller]
fn check_apply(text: &str, patch: &str, expected: Result<&str, &str>) {
    match (apply(text, &edits(patch)), expected) {
        (Ok(result), Ok(expected)) => assert_eq!(result, expected),
        (Err(error), Err(message)) => {
            assert!(error.to_string().contains(message), "{error}");
        }
        (result, expected) => panic!("{patch}: {result:?} where {expected:?} was expected"),
    }
}

#[test]
fn edits_change_what_they_name_and_nothing_else() {
    let text = r#"{"a": 1.0, "b": [1, {"x" : 1e2}], "\u0063": null}"#;
    let cases = [
        ("[]", text),
        (r#"[{"op":"add","path":"/d","value":[1, 2]}]"#, r#"{"a":1.0,"b":[1, {"x" : 1e2}],"\u0063":null,"d":[1, 2]}"#),
        (r#"[{"op":"add","path":"/a","value":null}]"#, r#"{"a":null,"b":[1, {"x" : 1e2}],"\u0063":null}"#),
        (r#"[{"op":"add","path":"/b/0","value":0}]"#, r#"{"a":1.0,"b":[0,1,{"x" : 1e2}],"\u0063":null}"#),
        (r#"[{"op":"add","path":"/b/2","value":0}]"#, r#"{"a":1.0,"b":[1,{"x" : 1e2},0],"\u0063":null}"#),
        (r#"[{"op":"add","path":"/b/-","value":0}]"#, r#"{"a":1.0,"b":[1,{"x" : 1e2},0],"\u0063":null}"#),
        (r#"[{"op":"remove","path":"/c"}]"#, r#"{"a":1.0,"b":[1, {"x" : 1e2}]}"#),
        (r#"[{"op":"remove","path":"/b/0"}]"#, r#"{"a":1.0,"b":[{"x" : 1e2}],"\u0063":null}"#),
        (r#"[{"op":"replace","path":"/b/1/x","value":"y"}]"#, r#"{"a":1.0,"b":[1,{"x":"y"}],"\u0063":null}"#),
        (r#"[{"op":"replace","path":"","value":7}]"#, "7"),
        (r#"[{"op":"add","path":"","value":7}]"#, "7"),
        (r#"[{"op":"test","path":"/b","value":[1.0,{"x":100}]}]"#, text.trim()),
        // Parents that are absent, or null, are made.
        (
            r#"[{"op":"add","path":"/m/l/k","value":1}]"#,
            r#"{"a":1.0,"b":[1, {"x" : 1e2}],"\u0063":null,"m":{"l":{"k":1}}}"#,
        ),
        (r#"[{"op":"add","path":"/c/l/k","value":1}]"#, r#"{"a":1.0,"b":[1, {"x" : 1e2}],"\u0063":{"l":{"k":1}}}"#),
        (r#"[{"op":"add","path":"/b/1/y/z","value":1}]"#, r#"{"a":1.0,"b":[1,{"x":1e2,"y":{"z":1}}],"\u0063":null}"#),
        (r#"[{"op":"add","path":"/q~1\"~0","value":1}]"#, r#"{"a":1.0,"b":[1, {"x" : 1e2}],"\u0063":null,"q/\"~":1}"#),
        // Each edit sees those before.
        (
            r#"[{"op":"add","path":"/d","value":{"e":[]}},{"op":"test","path":"/d","value":{"e":[]}},{"op":"add","path":"/d/e/0","value":1},{"op":"test","path":"/d","value":{"e":[1]}},{"op":"remove","path":"/a"},{"op":"add","path":"/a","value":2}]"#,
            r#"{"b":[1, {"x" : 1e2}],"\u0063":null,"d":{"e":[1]},"a":2}"#,
        ),
    ];
    for (patch, expected) in cases {
        match edits(patch).iter().any(|edit| !matches!(edit, Edit::Test { .. })) {
            true => check_apply(text, patch, Ok(expected)),
            // What was only looked at may lose the space between its parts.
            false => {
                let result = apply(text, &edits(patch)).unwrap();
                let (result, text) =
                    (Document::parse(result.as_bytes()).unwrap(), Document::parse(text.as_bytes()).unwrap());
                assert!(result.root().equals(text.root()));
            }
        }
    }
}

#[test]
fn an_edit_that_cannot_be_applied_says_why() {
    let text = r#"{"a":1,"b":[1,{"x":"y"}],"n":null}"#;
    let cases = [
        (r#"[{"op":"remove","path":"/z"}]"#, r#"edit 0, path "/z": nothing stands at "/z""#),
        (r#"[{"op":"replace","path":"/z/y","value":1}]"#, r#"nothing stands at "/z""#),
        (r#"[{"op":"test","path":"/b/1/z","value":1}]"#, r#"nothing stands at "/b/1/z""#),
        (r#"[{"op":"test","path":"/a","value":2}]"#, "something else stands there"),
        (r#"[{"op":"test","path":"/b","value":{}}]"#, "something else stands there"),
        (
            r#"[{"op":"test","path":"/a","value":1},{"op":"remove","path":"/b/2"}]"#,
            r#"edit 1, path "/b/2": "2" is no index of the array at "/b", which has 2 elements"#,
        ),
        (r#"[{"op":"add","path":"/b/3","value":1}]"#, r#""3" is no index"#),
        (r#"[{"op":"add","path":"/b/01","value":1}]"#, r#""01" is no index"#),
        (r#"[{"op":"add","path":"/b/2/c","value":1}]"#, r#""2" is no index"#),
        (r#"[{"op":"add","path":"/b/-/c","value":1}]"#, r#""-" is no index"#),
        (r#"[{"op":"remove","path":"/b/-"}]"#, r#""-" is no index"#),
        (r#"[{"op":"replace","path":"/b/-","value":1}]"#, r#""-" is no index"#),
        (r#"[{"op":"add","path":"/a/b","value":1}]"#, r#"what stands at "/a" is neither"#),
        (r#"[{"op":"add","path":"/b/1/x/y/z","value":1}]"#, r#"what stands at "/b/1/x" is neither"#),
        (r#"[{"op":"remove","path":"/n/b"}]"#, r#"what stands at "/n" is neither"#),
        (r#"[{"op":"remove","path":""}]"#, "outermost value can't be removed"),
    ];
    for (patch, message) in cases {
        check_apply(text, patch, Err(message));
    }
    check_apply("{", "[]", Err("the text to edit isn't JSON: line 1, column 2"));
    let path: Pointer = "/a".parse().unwrap();
    let twice = Edit::Add { path: path.clone(), value: r#"{"k":1,"k":2}"#.into() };
    assert!(matches!(apply("{}", &[twice]).unwrap_err().reason, EditErrorReason::Value(_)));
    let many = vec![Edit::Remove { path }; MAX_EDITS + 1];
    assert_eq!(apply("{}", &many).unwrap_err().reason, EditErrorReason::TooMany(MAX_EDITS + 1));
}

#[test]
fn edits_read_and_write_rfc_6902() {
    let text = r#"[{"op":"add","path":"/a~1b/0","value":1.50},{"op":"remove","path":""},{"op":"replace","path":"/x","value":null},{"op":"test","path":"/x","value":{"b" : 12345678901234567890123,"a":[]}}]"#;
    assert_eq!(serde_json::to_string(&edits(text)).unwrap(), text);
    assert_eq!(patch_text(&edits(text)), text);
    assert_eq!(edits(text)[2].value(), Some("null"));
    let wrong = [
        (
            r#"{"op":"move","from":"/a","path":"/b"}"#,
            "unknown variant `move`, expected one of `add`, `remove`, `replace`, `test`",
        ),
        (r#"{"op":"add","path":"/a"}"#, "missing field `value`"),
        (r#"{"op":"add","value":1}"#, "missing field `path`"),
        (r#"{"path":"/a"}"#, "missing field `op`"),
        (r#"{"op":"remove","path":"a"}"#, "starts with `/`"),
        (r#"{"op":"remove","path":"/a~2"}"#, "`~` in a JSON Pointer's segment"),
    ];
    for (text, message) in wrong {
        let error = serde_json::from_str::<Edit>(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let broken = Edit::Add { path: Pointer::root(), value: "{".into() };
    assert!(serde_json::to_string(&broken).is_err());
}

#[test]
fn pointers_match_patterns_at_or_below() {
    let cases = [
        ("/spec/a", "/spec/a", true),
        ("/spec/a/0", "/spec/a", true),
        ("/spec", "/spec/a", false),
        ("/spec/ab", "/spec/a", false),
        ("/spec/0/x", "/spec/*/x", true),
        ("/spec/0/y", "/spec/*/x", false),
        ("/spec", "/spec/*", false),
        ("/spec/m~1n", "/spec/m~1n", true),
        ("/spec", "", true),
        ("", "", true),
        ("", "/*", false),
        ("/", "/*", true),
        ("/spec", "spec", false),
        ("/~0", "/~", false),
    ];
    for (pointer, pattern, expected) in cases {
        let pointer: Pointer = pointer.parse().unwrap();
        assert_eq!(pointer.matches(pattern), expected, "{pointer} {pattern}");
    }
}

#[test]
fn pointers_know_their_parts() {
    let pointer: Pointer = "/a/m~0~1n/".parse().unwrap();
    assert_eq!(pointer.segments().collect::<Vec<_>>(), ["a", "m~/n", ""]);
    assert_eq!(pointer.to_string(), "/a/m~0~1n/");
    assert_eq!(pointer.parent().unwrap().child(""), pointer);
    assert!(pointer.parent().unwrap().is_prefix_of(&pointer));
    assert!(!pointer.is_prefix_of(&pointer.parent().unwrap()));
    assert!(Pointer::root().is_root() && Pointer::root().parent().is_none());
}

#[track_caller]
fn check_diff(before: &str, after: &str, expected: &str) {
    let patch = diff(before, after);
    assert_eq!(patch_text(&patch), expected);
    assert_eq!(json_patch(before, &patch), serde_json::from_str::<serde_json::Value>(after).unwrap());
}

#[test]
fn a_diff_is_minimal() {
    let cases = [
        (r#"{"a":1}"#, r#" { "a" : 1 } "#, "[]"),
        (r#"{"a":1,"b":{"c":[]}}"#, r#"{"b":{"c":[]},"\u0061":1}"#, "[]"),
        (r#"{"a":1}"#, r#"{"a":1.0}"#, r#"[{"op":"replace","path":"/a","value":1.0}]"#),
        (
            r#"{"a":1}"#,
            r#"{"b":{"c":{"d":1}}}"#,
            r#"[{"op":"remove","path":"/a"},{"op":"add","path":"/b","value":{"c":{"d":1}}}]"#,
        ),
        (r#"{"m":{"x":1}}"#, r#"{"m":{"x":1,"y/z":2}}"#, r#"[{"op":"add","path":"/m/y~1z","value":2}]"#),
        (r#"{"a":{"b":1}}"#, r#"{"a":[1]}"#, r#"[{"op":"replace","path":"/a","value":[1]}]"#),
        (r#"{"a":null}"#, "{}", r#"[{"op":"remove","path":"/a"}]"#),
        ("{}", r#"{"a":null}"#, r#"[{"op":"add","path":"/a","value":null}]"#),
        ("1", "2", r#"[{"op":"replace","path":"","value":2}]"#),
        ("[1,2,3]", "[1,3]", r#"[{"op":"remove","path":"/1"}]"#),
        ("[1,2]", "[1,2,3,4]", r#"[{"op":"add","path":"/2","value":3},{"op":"add","path":"/3","value":4}]"#),
        ("[1,2]", "[0,1,2]", r#"[{"op":"add","path":"/0","value":0}]"#),
        (
            "[1,2,3,4]",
            "[0,1,3,4,5]",
            r#"[{"op":"add","path":"/0","value":0},{"op":"remove","path":"/2"},{"op":"add","path":"/4","value":5}]"#,
        ),
        ("[[1],[2],[3]]", "[[1],[9],[3]]", r#"[{"op":"replace","path":"/1/0","value":9}]"#),
        (
            r#"[{"n":"a","v":1},{"n":"b"}]"#,
            r#"[{"n":"x"},{"n":"a","v":1},{"n":"b","w":2},{"n":"c"}]"#,
            r#"[{"op":"add","path":"/0","value":{"n":"x"}},{"op":"add","path":"/3","value":{"n":"c"}},{"op":"add","path":"/2/w","value":2}]"#,
        ),
        ("[]", "[1]", r#"[{"op":"add","path":"/0","value":1}]"#),
        ("[1,2,3]", "[]", r#"[{"op":"remove","path":"/0"},{"op":"remove","path":"/0"},{"op":"remove","path":"/0"}]"#),
    ];
    for (before, after, expected) in cases {
        check_diff(before, after, expected);
    }
}

#[test]
fn a_text_that_is_not_json_is_replaced_whole() {
    assert_eq!(patch_text(&diff("{", "{}")), r#"[{"op":"replace","path":"","value":{}}]"#);
    assert!(diff("{", "{").is_empty());
}

#[test]
fn edits_and_diffs_work_at_9990_levels() {
    on_a_small_stack(|| {
        let before = nested(9_990, r#"{"x":1,"y":[1.0]}"#);
        let path: Pointer = nested_pointer(9_990).parse().unwrap();
        let list = [
            Edit::Test { path: path.child("x"), value: "1".into() },
            Edit::Add { path: path.child("z"), value: "2".into() },
            Edit::Remove { path: path.child("x") },
            Edit::Test { path: Pointer::root(), value: nested(9_990, r#"{"z":2,"y":[1]}"#) },
        ];
        let after = apply(&before, &list).unwrap();
        assert_eq!(after, nested(9_990, r#"{"y":[1.0],"z":2}"#));
        let patch = diff(&before, &after);
        assert_eq!(patch.len(), 2);
        assert_eq!(apply(&before, &patch).unwrap(), after);
        // Made parents count, too.
        let long = Pointer::new(std::iter::repeat_n("a", 10_200));
        assert!(apply("{}", &[Edit::Add { path: long.clone(), value: "1".into() }]).is_ok());
        let error = apply("{}", &[Edit::Add { path: long, value: "[]".into() }]).unwrap_err();
        assert_eq!(error.reason, EditErrorReason::TooDeep);
        let text = serde_json::to_string(&patch[1]).unwrap();
        assert_eq!(serde_json::from_str::<Edit>(&text).unwrap(), patch[1]);
    });
}

#[test]
fn a_difference_on_each_of_many_levels_gives_a_coarse_patch_not_a_huge_one() {
    on_a_small_stack(|| {
        let levels = |value: u32| format!("{}0{}", format!("{{\"v\":{value},\"a\":").repeat(9_000), "}".repeat(9_000));
        let (before, after) = (levels(1), levels(2));
        let patch = diff(&before, &after);
        assert!(patch_text(&patch).len() < 2 << 20);
        assert_eq!(apply(&before, &patch).unwrap(), after);
    });
}

#[test]
fn arrays_of_other_length_at_every_level_do_not_cost_a_square() {
    let levels =
        |tail: &str| format!("{}0{}", "[".repeat(9_000), format!(",\"{}\"{tail}]", "x".repeat(1_000)).repeat(9_000));
    let (before, after) = (levels(""), levels(",1"));
    let patch = diff(&before, &after);
    assert_eq!(apply(&before, &patch).unwrap(), after);
}

#[test]
fn a_thousand_edits_of_a_wide_object_are_quick() {
    let fields: Vec<_> = (0..100_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let text = format!("{{{}}}", fields.join(","));
    let list: Vec<_> =
        (0..MAX_EDITS).map(|n| Pointer::new([format!("k{}", 99_999 - n)])).map(|path| Edit::Remove { path }).collect();
    let after = apply(&text, &list).unwrap();
    assert_eq!(after, format!("{{{}}}", fields[..99_000].join(",")));
    assert_eq!(diff(&text, &after).len(), MAX_EDITS);
}

/// Every place of a value.
fn places(value: &serde_json::Value, at: Pointer, found: &mut Vec<Pointer>) {
    match value {
        serde_json::Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                places(element, at.child(index.to_string()), found);
            }
        }
        serde_json::Value::Object(fields) => {
            for (key, field) in fields {
                places(field, at.child(key), found);
            }
        }
        _ => {}
    }
    found.push(at);
}

type Wish = (u8, prop::sample::Index, prop::sample::Index, String, Json);

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let wish = (0..4_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), keys(), values());
    prop::collection::vec(wish, 1..6)
}

/// Edits that can be applied to a value, and what `json-patch` makes of it.
fn applicable(text: &str, wishes: Vec<Wish>) -> (Vec<Edit>, serde_json::Value) {
    let mut edits = Vec::new();
    let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
    for (op, place, index, key, new) in wishes {
        let mut found = Vec::new();
        places(&value, Pointer::root(), &mut found);
        let path = found[place.index(found.len())].clone();
        let held = value.pointer(&path.to_string()).unwrap();
        let new = new.text(&COMPACT);
        let edit = match (op, held) {
            (0, serde_json::Value::Object(_)) => Edit::Add { path: path.child(key), value: new },
            (0, serde_json::Value::Array(elements)) => {
                let index = index.index(elements.len() + 2);
                let segment = if index > elements.len() { "-".to_owned() } else { index.to_string() };
                Edit::Add { path: path.child(segment), value: new }
            }
            (1, _) if !path.is_root() => Edit::Remove { path },
            (2, _) => Edit::Test { value: held.to_string(), path },
            _ => Edit::Replace { path, value: new },
        };
        if !matches!(edit, Edit::Test { .. }) {
            json_patch_value(&mut value, std::slice::from_ref(&edit));
        }
        edits.push(edit);
    }
    (edits, value)
}

fn read(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

proptest! {
    #[test]
    fn applying_is_what_json_patch_does(value in values(), look in looks(), wishes in wishes()) {
        let text = value.text(&look);
        let (edits, expected) = applicable(&text, wishes);
        // The oracle's tests hold numbers that went through a float.
        let edits: Vec<_> = edits
            .into_iter()
            .filter(|edit| !matches!(edit, Edit::Test { value, .. } if value.contains(['.', 'e'])))
            .collect();
        prop_assert_eq!(read(&apply(&text, &edits).unwrap()), expected);
    }

    #[test]
    fn a_diff_of_edited_texts_is_a_patch_from_one_to_the_other(value in values(), look in looks(), wishes in wishes()) {
        let before = value.text(&look);
        let (edits, _) = applicable(&before, wishes);
        let edits: Vec<_> = edits.into_iter().filter(|edit| !matches!(edit, Edit::Test { .. })).collect();
        let after = apply(&before, &edits).unwrap();
        let patch = diff(&before, &after);
        prop_assert_eq!(json_patch(&before, &patch), read(&after));
        let again = apply(&before, &patch).unwrap();
        prop_assert!(diff(&again, &after).is_empty(), "{} is not {}", again, after);
    }

    #[test]
    fn a_diff_of_any_two_texts_is_a_patch_from_one_to_the_other(before in values(), after in values(), look in looks()) {
        let (before, after) = (before.text(&COMPACT), after.text(&look));
        let patch = diff(&before, &after);
        prop_assert_eq!(json_patch(&before, &patch), read(&after));
        let again = apply(&before, &patch).unwrap();
        prop_assert!(diff(&again, &after).is_empty());
    }

    #[test]
    fn one_edit_is_a_diff_of_one_edit_at_most(value in values(), place in any::<prop::sample::Index>(), truth in any::<bool>()) {
        let before = value.text(&COMPACT);
        let mut found = Vec::new();
        places(&read(&before), Pointer::root(), &mut found);
        let path = found[place.index(found.len())].clone();
        let edit = match path.is_root() || truth {
            true => Edit::Replace { path, value: quote("new") },
            false => Edit::Remove { path },
        };
        let after = apply(&before, &[edit]).unwrap();
        prop_assert!(diff(&before, &after).len() <= 1);
    }

    #[test]
    fn the_order_of_fields_and_the_look_are_no_difference(value in values(), look in looks()) {
        let reversed = reversed(&value).text(&look);
        prop_assert!(diff(&value.text(&COMPACT), &reversed).is_empty());
    }

    #[test]
    fn pointers_read_as_they_were_written(segments in prop::collection::vec(any::<String>(), 0..5)) {
        let pointer = Pointer::new(segments);
        prop_assert_eq!(pointer.to_string().parse::<Pointer>().unwrap(), pointer);
    }
}

fn reversed(value: &Json) -> Json {
    match value {
        Json::Array(elements) => Json::Array(elements.iter().map(reversed).collect()),
        Json::Object(fields) => {
            Json::Object(fields.iter().rev().map(|(key, value)| (key.clone(), reversed(value))).collect())
        }
        other => other.clone(),
    }
}
