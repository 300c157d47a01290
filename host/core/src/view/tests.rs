//! What a tree gives of an object, and that it gives nothing else.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

use proptest::prelude::*;

use super::*;
use crate::json::Document;
use crate::json::generate::{COMPACT, Json, keys, looks, nested, on_a_small_stack, values};

fn tree(text: &str) -> Tree {
    serde_json::from_str(text).unwrap()
}

#[track_caller]
fn check(object: &str, tree_text: &str, expected: &str) {
    let document = Document::parse(object.as_bytes()).unwrap();
    assert_eq!(project(document.root(), &tree(tree_text)), expected);
}

#[test]
fn a_projection_holds_what_the_tree_names() {
    let set = r#"{"kind":"StatefulSet","spec":{"replicas":3.0,"template":{"spec":{"containers":[{"name":"a","image":"x"},{"image":"y","env":[]},7]}}},"status":null}"#;
    let cases = [
        (r#""value""#, set),
        (r#""present""#, "true"),
        (r#""keys""#, r#"{"kind":true,"spec":true,"status":true}"#),
        (r#"{"fields":{}}"#, "{}"),
        (r#"{"fields":{"none":"value"}}"#, "{}"),
        (r#"{"fields":{"status":"present","kind":"present","none":"present"}}"#, r#"{"kind":true,"status":null}"#),
        (r#"{"fields":{"status":"keys"}}"#, r#"{"status":null}"#),
        (r#"{"fields":{"status":{"fields":{"a":"value"}}}}"#, r#"{"status":null}"#),
        (r#"{"fields":{"spec":{"fields":{"replicas":"value"}}}}"#, r#"{"spec":{"replicas":3.0}}"#),
        (
            r#"{"fields":{"spec":{"fields":{"template":{"fields":{"spec":{"fields":{"containers":{"each":{"fields":{"name":"value"}}}}}}}}}}}"#,
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"a"},{},7]}}}}"#,
        ),
        (r#"{"each":"present"}"#, r#"{"kind":true,"spec":true,"status":null}"#),
    ];
    for (tree, expected) in cases {
        check(set, tree, expected);
    }
}

#[test]
fn a_value_of_another_shape_arrives_whole() {
    let cases = [
        (r#"{"a":"text"}"#, r#"{"fields":{"a":{"fields":{"b":"value"}}}}"#, r#"{"a":"text"}"#),
        (r#"{"a":[{"c":1}]}"#, r#"{"fields":{"a":{"fields":{"b":"value"}}}}"#, r#"{"a":[{"c":1}]}"#),
        (r#"{"a":5}"#, r#"{"fields":{"a":{"each":"present"}}}"#, r#"{"a":5}"#),
        (r#"{"a":[1]}"#, r#"{"fields":{"a":"keys"}}"#, r#"{"a":[1]}"#),
        ("null", r#"{"fields":{"a":"value"}}"#, "null"),
    ];
    for (object, tree, expected) in cases {
        check(object, tree, expected);
    }
}

#[test]
fn numbers_escapes_order_and_inner_space_stay() {
    check(
        r#" { "z" : 1.10e+2 , "skip": 1, "\u0061" : { "x" : 12345678901234567890123 } } "#,
        r#"{"fields":{"a":"value","z":"value"}}"#,
        r#"{"z":1.10e+2,"\u0061":{ "x" : 12345678901234567890123 }}"#,
    );
}

#[test]
fn a_secret_value_that_is_not_named_does_not_arrive() {
    check(
        r#"{"kind":"Secret","data":{"password":"aHVzaA==","user":null},"stringData":{"p":"hush"}}"#,
        r#"{"fields":{"kind":"value","data":"keys"}}"#,
        r#"{"kind":"Secret","data":{"password":true,"user":true}}"#,
    );
}

#[test]
fn trees_read_and_write_the_contract_s_json() {
    let text = r#"{"fields":{"a":"value","b":"keys","c":{"each":{"each":"present"}},"d":{"fields":{}}}}"#;
    assert_eq!(serde_json::to_string(&tree(text)).unwrap(), text);
    let wrong = [
        (r#""all""#, r#"invalid value: string "all", expected a tree: "value""#),
        ("true", "invalid type: boolean `true`, expected a tree"),
        (r#"["value"]"#, "invalid type: sequence, expected a tree"),
        ("{}", "an empty object is no tree"),
        (r#"{"field":{}}"#, "unknown field `field`, expected `fields` or `each`"),
        (r#"{"fields":"value"}"#, "expected an object of field names and their trees"),
        (r#"{"each":"value","fields":{}}"#, "one of `fields` and `each`, not `each` and `fields`"),
        (r#"{"fields":{"a":"value","a":"keys"}}"#, r#"the field "a" stands twice"#),
    ];
    for (text, message) in wrong {
        let error = serde_json::from_str::<Tree>(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn a_tree_s_depth_is_bounded() {
    let each = |levels: usize| format!("{}\"value\"{}", r#"{"each":"#.repeat(levels), "}".repeat(levels));
    assert!(serde_json::from_str::<Tree>(&each(100)).is_ok());
    assert!(serde_json::from_str::<Tree>(&each(100_000)).is_err());
    // Past serde_json's own limit: from a value that was made otherwise.
    let mut value = serde_json::json!("value");
    for _ in 0..MAX_TREE_DEPTH {
        value = serde_json::json!({ "each": value });
    }
    let error = serde_json::from_value::<Tree>(value).unwrap_err().to_string();
    assert!(error.contains("more than 128 levels"), "{error}");
}

#[test]
fn two_trees_are_united_where_each_still_sees_what_it_saw() {
    let cases = [
        (r#""keys""#, r#""keys""#, Some(r#""keys""#)),
        (r#""value""#, r#"{"fields":{"a":"value"}}"#, Some(r#""value""#)),
        (r#""value""#, r#"{"each":{"fields":{"a":"value"}}}"#, Some(r#""value""#)),
        (r#""value""#, r#""keys""#, None),
        (r#""value""#, r#""present""#, None),
        (r#""value""#, r#"{"fields":{"a":"present"}}"#, None),
        (r#""present""#, r#""keys""#, None),
        (r#""keys""#, r#"{"each":"present"}"#, None),
        (r#""keys""#, r#"{"fields":{"a":"value"}}"#, None),
        (r#"{"each":"value"}"#, r#"{"fields":{"a":"value"}}"#, None),
        (r#"{"fields":{}}"#, r#""present""#, None),
        (r#"{"fields":{"a":"keys"}}"#, r#"{"fields":{"a":"value","b":"present"}}"#, None),
        (
            r#"{"fields":{"a":"keys"}}"#,
            r#"{"fields":{"a":"keys","b":"present"}}"#,
            Some(r#"{"fields":{"a":"keys","b":"present"}}"#),
        ),
        (
            r#"{"each":{"fields":{"a":"value"}}}"#,
            r#"{"each":{"fields":{"b":"keys"}}}"#,
            Some(r#"{"each":{"fields":{"a":"value","b":"keys"}}}"#),
        ),
    ];
    for (left, right, expected) in cases {
        let expected = expected.map(tree);
        assert_eq!(tree(left).unite(&tree(right)), expected, "{left} with {right}");
        assert_eq!(tree(right).unite(&tree(left)), expected, "{right} with {left}");
    }
}

#[test]
fn only_a_whole_subtree_is_given_whole() {
    let tree = tree(
        r#"{"fields":{"a":"value","b":"keys","c":{"each":{"fields":{"d":"value"}}},"e":"present","*":{"each":"value"}}}"#,
    );
    let cases = [
        ("", false),
        ("/a", true),
        ("/a/x/0", true),
        ("/b", false),
        ("/b/x", false),
        ("/c", false),
        ("/c/0", false),
        ("/c/0/d", true),
        ("/c/key/d/deep", true),
        ("/c/0/other", false),
        ("/e", false),
        ("/none", false),
        ("/*/0", true),
        ("/*", false),
    ];
    for (pointer, expected) in cases {
        assert_eq!(tree.gives_whole(&pointer.parse().unwrap()), expected, "{pointer}");
    }
}

#[test]
fn a_field_s_tree_is_found() {
    let tree = tree(r#"{"fields":{"a":{"each":"keys"}}}"#);
    assert_eq!(tree.get("a").and_then(|each| each.get("0")), Some(&Tree::Keys));
    assert_eq!(tree.get("b"), None);
    assert_eq!(Tree::Value.get("b"), Some(&Tree::Value));
    assert_eq!(Tree::Present.get("b"), None);
}

#[test]
fn deep_and_wide_values_are_projected_without_recursion() {
    on_a_small_stack(|| {
        let deep = nested(9_990, "1.0");
        check(&deep, r#""value""#, &deep);
        check(&deep, r#"{"fields":{"a":{"each":"present"}}}"#, r#"{"a":[true]}"#);
        check(&deep, r#"{"fields":{"a":{"each":"value"}}}"#, &deep);
        check(&deep, r#""keys""#, r#"{"a":true}"#);
        // A tree made by hand may be deeper than one that is read.
        let mut tree = Tree::Present;
        for level in (0..9_990).rev() {
            tree = match level % 2 {
                0 => Tree::Fields([("a".to_owned(), tree)].into()),
                _ => Tree::Each(Box::new(tree)),
            };
        }
        let document = Document::parse(deep.as_bytes()).unwrap();
        assert_eq!(project(document.root(), &tree), nested(9_990, "true"));
        // Such a tree's own drop recurses; descriptions can't hold one.
        std::mem::forget(tree);
    });
}

#[test]
fn a_superset_is_no_wider_than_it_has_to_be() {
    let cases = [
        (
            r#"{"fields":{"a":"present"}}"#,
            r#"{"fields":{"a":"keys","b":"value"}}"#,
            r#"{"fields":{"a":"keys","b":"value"}}"#,
        ),
        (
            r#"{"each":{"fields":{"a":"value"}}}"#,
            r#"{"each":{"fields":{"b":"value"}}}"#,
            r#"{"each":{"fields":{"a":"value","b":"value"}}}"#,
        ),
        (
            r#"{"fields":{"a":"keys","b":"value"}}"#,
            r#"{"fields":{"a":{"fields":{}},"b":"present"}}"#,
            r#"{"fields":{"a":"value","b":"value"}}"#,
        ),
        (r#"{"each":"present"}"#, r#""keys""#, r#""value""#),
    ];
    for (left, right, both) in cases {
        assert_eq!(tree(left).superset(&tree(right)), tree(both));
        assert_eq!(tree(right).superset(&tree(left)), tree(both));
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaves = prop_oneof![Just(Tree::Value), Just(Tree::Keys), Just(Tree::Present)];
    leaves.prop_recursive(5, 30, 5, |inner| {
        prop_oneof![
            3 => prop::collection::btree_map(keys(), inner.clone(), 0..5).prop_map(Tree::Fields),
            1 => inner.prop_map(|tree| Tree::Each(Box::new(tree))),
        ]
    })
}

/// The same thing, the plain way.
fn naive(value: &Json, tree: &Tree) -> Json {
    match (tree, value) {
        (Tree::Present, Json::Null) => Json::Null,
        (Tree::Present, _) => Json::Bool(true),
        (Tree::Keys, Json::Object(fields)) => {
            Json::Object(fields.iter().map(|(key, _)| (key.clone(), Json::Bool(true))).collect())
        }
        (Tree::Fields(trees), Json::Object(fields)) => Json::Object(
            fields.iter().filter_map(|(key, value)| Some((key.clone(), naive(value, trees.get(key)?)))).collect(),
        ),
        (Tree::Each(tree), Json::Object(fields)) => {
            Json::Object(fields.iter().map(|(key, value)| (key.clone(), naive(value, tree))).collect())
        }
        (Tree::Each(tree), Json::Array(elements)) => {
            Json::Array(elements.iter().map(|value| naive(value, tree)).collect())
        }
        _ => value.clone(),
    }
}

/// And over the oracle's values.
fn oracle(value: &serde_json::Value, tree: &Tree) -> serde_json::Value {
    use serde_json::Value;
    match (tree, value) {
        (Tree::Present, Value::Null) => Value::Null,
        (Tree::Present, _) => Value::Bool(true),
        (Tree::Keys, Value::Object(fields)) => fields.keys().map(|key| (key.clone(), Value::Bool(true))).collect(),
        (Tree::Fields(trees), Value::Object(fields)) => {
            fields.iter().filter_map(|(key, value)| Some((key.clone(), oracle(value, trees.get(key)?)))).collect()
        }
        (Tree::Each(tree), Value::Object(fields)) => {
            fields.iter().map(|(key, value)| (key.clone(), oracle(value, tree))).collect()
        }
        (Tree::Each(tree), Value::Array(elements)) => elements.iter().map(|value| oracle(value, tree)).collect(),
        _ => value.clone(),
    }
}

proptest! {
    #[test]
    fn a_projection_is_the_naive_one_byte_for_byte(value in values(), tree in trees()) {
        let text = value.text(&COMPACT);
        let document = Document::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(project(document.root(), &tree), naive(&value, &tree).text(&COMPACT));
    }

    #[test]
    fn a_projection_is_the_oracle_s_however_the_text_looks(value in values(), tree in trees(), look in looks()) {
        let text = value.text(&look);
        let document = Document::parse(text.as_bytes()).unwrap();
        let projected: serde_json::Value = serde_json::from_str(&project(document.root(), &tree)).unwrap();
        prop_assert_eq!(projected, oracle(&value.oracle(), &tree));
    }

    #[test]
    fn through_united_trees_each_sees_what_it_saw_alone(value in values(), left in trees(), right in trees()) {
        let text = value.text(&COMPACT);
        let document = Document::parse(text.as_bytes()).unwrap();
        if let Some(both) = left.unite(&right) {
            let given = project(document.root(), &both);
            let given = Document::parse(given.as_bytes()).unwrap();
            for tree in [left, right] {
                prop_assert_eq!(project(given.root(), &tree), project(document.root(), &tree));
            }
        }
    }

    #[test]
    fn what_a_superset_keeps_is_enough_for_each(value in values(), left in trees(), right in trees(), more in trees()) {
        let text = value.text(&COMPACT);
        let document = Document::parse(text.as_bytes()).unwrap();
        let kept = project(document.root(), &left.superset(&right).superset(&more));
        let kept = Document::parse(kept.as_bytes()).unwrap();
        for tree in [left, right, more] {
            prop_assert_eq!(project(kept.root(), &tree), project(document.root(), &tree));
        }
    }

    #[test]
    fn what_is_given_whole_is_equal_in_the_projection(value in values(), tree in trees(), path in prop::collection::vec(keys(), 0..4)) {
        let pointer = Pointer::new(path);
        let text = value.text(&COMPACT);
        let document = Document::parse(text.as_bytes()).unwrap();
        if let Some(held) = document.root().pointer(&pointer.to_string())
            && tree.gives_whole(&pointer)
        {
            let projected = project(document.root(), &tree);
            let projected = Document::parse(projected.as_bytes()).unwrap();
            let given = projected.root().pointer(&pointer.to_string()).map(Value::raw);
            prop_assert_eq!(given, Some(held.raw()));
        }
    }

    #[test]
    fn a_tree_reads_as_it_was_written(tree in trees()) {
        let text = serde_json::to_string(&tree).unwrap();
        prop_assert_eq!(serde_json::from_str::<Tree>(&text).unwrap(), tree);
    }
}
