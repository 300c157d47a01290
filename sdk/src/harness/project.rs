//! An object reduced to a declared tree, over plain values.
//!
//! The host does the same over bytes; this small one is for tests, so that a
//! policy that reads what it doesn't declare misses it here too.

use serde_json::{Map, Value};

use crate::view::Tree;

/// What a policy gets of a value. A value whose shape isn't the tree's stays as it is, never absent.
#[must_use]
pub fn project(value: &Value, tree: &Tree) -> Option<Value> {
    match (tree, value) {
        (Tree::Nothing, _) => None,
        (Tree::Present, Value::Null) => None,
        (Tree::Present, _) => Some(Value::Bool(true)),
        (Tree::Keys, Value::Object(members)) => {
            Some(members.keys().map(|key| (key.clone(), Value::Bool(true))).collect::<Map<_, _>>().into())
        }
        (Tree::Fields(fields), Value::Object(members)) => {
            let kept =
                members.iter().filter_map(|(name, member)| Some((name.clone(), project(member, fields.get(name)?)?)));
            Some(kept.collect::<Map<_, _>>().into())
        }
        (Tree::Each(tree), Value::Object(members)) => Some(
            members
                .iter()
                .filter_map(|(name, member)| Some((name.clone(), project(member, tree)?)))
                .collect::<Map<_, _>>()
                .into(),
        ),
        (Tree::Each(tree), Value::Array(elements)) => Some(
            elements.iter().map(|element| project(element, tree).unwrap_or(Value::Null)).collect::<Vec<_>>().into(),
        ),
        (Tree::Value | Tree::Keys | Tree::Fields(_) | Tree::Each(_), value) => Some(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(tree: Tree, value: Value, expected: Option<Value>) {
        assert_eq!(project(&value, &tree), expected, "{tree:?} of {value}");
    }

    #[test]
    fn what_is_not_declared_is_not_there() {
        let name = Tree::field("name", Tree::Value);
        check(name.clone(), json!({"name": "a", "other": 1}), Some(json!({"name": "a"})));
        check(Tree::each(name.clone()), json!([{"name": 1}, {"x": 2}]), Some(json!([{"name": 1}, {}])));
        check(Tree::each(name.clone()), json!({"k": {"x": 2}}), Some(json!({"k": {}})));
        check(Tree::Keys, json!({"password": "c2VjcmV0"}), Some(json!({"password": true})));
        check(Tree::Present, json!({"a": 1}), Some(json!(true)));
        check(Tree::Present, json!(null), None);
        check(Tree::field("a", Tree::Present), json!({"a": null}), Some(json!({})));
    }

    #[test]
    fn another_shape_arrives_as_it_is() {
        check(Tree::field("name", Tree::Value), json!("text"), Some(json!("text")));
        check(Tree::Keys, json!([1]), Some(json!([1])));
        check(Tree::each(Tree::Value), json!(null), Some(json!(null)));
    }
}
