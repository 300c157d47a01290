//! The derives: what a view's tree reads, and what doesn't compile.
#![allow(clippy::unwrap_used, dead_code, reason = "a test that can't go on fails; views are here for their trees")]

use std::collections::{BTreeMap, HashMap};

use portcullis_sdk::{Keys, Kind, Objects, Present, Quantity, Rules, Scope, Tree, Unread, View, tree_of};
use serde::Deserialize;
use serde_json::{Value, json};

fn check<T: View>(expected: Value) {
    assert_eq!(tree_of::<T>().to_json().unwrap(), expected, "{}", std::any::type_name::<T>());
}

#[derive(Deserialize, View)]
#[serde(rename_all = "camelCase")]
struct Named {
    storage_class_name: Option<String>,
    #[serde(rename = "r", alias = "s", alias = "t")]
    renamed: u8,
    #[serde(rename(deserialize = "d", serialize = "x"), default)]
    deserialized: bool,
    r#type: String,
    #[serde(skip)]
    skipped: NotAView,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    defaulted: Option<i64>,
}

#[derive(Default)]
struct NotAView;

#[derive(Deserialize, View)]
struct Shapes {
    list: Vec<Inner>,
    map: BTreeMap<String, Inner>,
    hash: HashMap<String, Option<Inner>>,
    boxed: Box<Inner>,
    values: Vec<String>,
    any: Value,
    quantity: Quantity,
    keys: Keys,
    present: Present,
    unread: Unread,
}

#[derive(Deserialize, View)]
struct Inner {
    a: String,
}

#[derive(Deserialize, View)]
struct Flat {
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    more: More,
}

#[derive(Deserialize, View)]
struct More {
    a: String,
    b: String,
}

#[derive(Deserialize, View)]
struct Open {
    a: Inner,
    #[serde(flatten)]
    all: BTreeMap<String, Value>,
}

#[derive(Deserialize, View)]
struct Recursive {
    name: String,
    children: Vec<Recursive>,
}

#[derive(Deserialize, View)]
#[serde(transparent)]
struct Transparent {
    inner: Inner,
}

#[derive(Deserialize, View)]
#[serde(untagged)]
#[view(value)]
enum IntOrString {
    Int(i64),
    Text(String),
}

#[derive(Deserialize, View)]
struct Marked {
    #[serde(deserialize_with = "anything")]
    #[view(keys)]
    keys: (),
    #[view(present)]
    present: Option<()>,
    port: IntOrString,
}

fn anything<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| ())
}

#[test]
fn a_tree_reads_what_serde_reads() {
    check::<Named>(
        json!({"fields": {"storageClassName": "value", "r": "value", "s": "value", "t": "value", "d": "value", "type": "value", "defaulted": "value"}}),
    );
    let inner = json!({"fields": {"a": "value"}});
    let each = json!({"each": inner});
    check::<Shapes>(
        json!({"fields": {"list": each, "map": each, "hash": each, "boxed": inner, "values": "value", "any": "value", "quantity": "value", "keys": "keys", "present": "present"}}),
    );
    check::<Flat>(json!({"fields": {"a": "value", "b": "value"}}));
    check::<Open>(json!("value"));
    check::<Recursive>(json!({"fields": {"name": "value", "children": "value"}}));
    check::<Transparent>(inner);
    check::<Marked>(json!({"fields": {"keys": "keys", "present": "present", "port": "value"}}));
    assert_eq!(tree_of::<Unread>(), Tree::Nothing);
}

#[test]
fn marks_are_read_from_whole_and_projected_objects() {
    #[derive(Deserialize)]
    struct Secret {
        data: Keys,
        set: Present,
        unset: Present,
        null: Present,
    }
    for data in [json!({"password": "c2VjcmV0"}), json!({"password": true})] {
        let secret: Secret = serde_json::from_value(json!({"data": data, "set": {}, "null": null})).unwrap();
        assert!(secret.data.contains("password"));
        assert_eq!([secret.set, secret.unset, secret.null], [Present(true), Present(false), Present(false)]);
    }
}

#[derive(Deserialize, View)]
#[view(api_version = "storage.k8s.io/v1", kind = "StorageClass", resource = "storageclasses", scope = "Cluster")]
struct Class {}

#[derive(Deserialize, View)]
#[view(api_version = "v1", kind = "Secret", resource = "secrets")]
struct Secret {}

#[derive(Objects)]
enum Either {
    Class(Class),
    Secret(Secret),
}

#[test]
fn kinds_are_read_by_group_version_and_kind() {
    assert_eq!(Class::SCOPE, Scope::Cluster);
    let kinds = Either::kinds();
    assert_eq!(
        kinds.iter().map(|kind| (kind.group(), kind.version(), kind.resource.as_str())).collect::<Vec<_>>(),
        [("storage.k8s.io", "v1", "storageclasses"), ("", "v1", "secrets")]
    );
    let read = |group: &str, kind: &str| {
        Either::read(
            &portcullis_sdk::GroupVersionKind {
                group: group.to_owned(),
                version: "v1".to_owned(),
                kind: kind.to_owned(),
            },
            "{}",
        )
    };
    assert!(matches!(read("", "Secret"), Some(Ok(Either::Secret(_)))));
    assert!(matches!(read("storage.k8s.io", "StorageClass"), Some(Ok(Either::Class(_)))));
    assert!(read("", "StorageClass").is_none());
}

/// Rules.
#[derive(Clone, Copy, Rules)]
enum Rule {
    /// what is wrong
    ///
    /// Why it
    /// matters.
    ///
    /// What
    /// to do.
    ///
    /// More.
    #[rule(severity = "critical", url = "https://example.org")]
    OneThing,
    /// another
    ///
    /// Why.
    #[rule(severity = "low")]
    Other,
}

#[test]
fn rules_are_declared_by_their_doc_comments() {
    let rule = Rule::OneThing.declaration();
    assert_eq!(
        (rule.id, rule.title, rule.reason, rule.remedy, rule.severity.as_str(), rule.url),
        ("one-thing", "what is wrong", "Why it matters.", "What to do.\nMore.", "critical", "https://example.org")
    );
    assert_eq!(rule.examples, None);
    assert_eq!(Rule::Other.declaration().id, "other");
    assert_eq!(Rule::ALL.len(), 2);
}

#[test]
fn what_can_not_be_followed_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
