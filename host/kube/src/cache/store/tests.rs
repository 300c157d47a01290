//! What is kept of an object, and that every index tells the same story as a
//! plain search through all objects.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use futures_util::FutureExt;
use portcullis_core::cluster::{Budget, ClusterView};
use portcullis_core::objects::Objects;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn wanted(fields: Json, keys: &[&str]) -> Wanted {
    Wanted {
        fields: serde_json::from_value(fields).unwrap(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..Wanted::of("v1", "Pod")
    }
}

fn put(store: &mut Store, named: &Named, object: &str) {
    let prepared = store.shape.prepare(object);
    store.put(named, prepared);
}

#[track_caller]
fn check_kept(fields: Json, object: &str, expected: &str) {
    assert_eq!(Shape::of(&wanted(fields, &[])).keep(object).unwrap(), expected);
}

#[test]
fn what_is_wanted_is_kept_and_what_every_object_is_known_by() {
    let pod = r#"{"metadata":{"name":"p","namespace":"a","uid":"u","resourceVersion":"7","labels":{"l":"v"},"annotations":{"x":"y"},"managedFields":[{"fieldsV1":{}}]},"spec":{"n":1.50,"secret":"hush"},"status":{"phase":"Running"}}"#;
    check_kept(
        json!({"fields": {}}),
        pod,
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"a","uid":"u","labels":{"l":"v"}}}"#,
    );
    check_kept(
        json!({"fields": {"spec": {"fields": {"n": "value"}}, "status": "present", "metadata": {"fields": {"annotations": "keys"}}}}),
        pod,
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"a","uid":"u","labels":{"l":"v"},"annotations":{"x":true}},"spec":{"n":1.50},"status":true}"#,
    );
    // All of it, but who owns which field.
    let whole = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"a","uid":"u","resourceVersion":"7","labels":{"l":"v"},"annotations":{"x":"y"}},"spec":{"n":1.50,"secret":"hush"},"status":{"phase":"Running"}}"#;
    check_kept(json!("value"), pod, whole);
    check_kept(json!({"fields": {"metadata": "value", "spec": "value", "status": "value"}}), pod, whole);
    check_kept(
        json!({"fields": {"metadata": {"fields": {"managedFields": "value"}}}}),
        r#"{"apiVersion":"other","kind":"Other","metadata":{"managedFields":[{}]}}"#,
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"managedFields":[{}]}}"#,
    );
}

#[test]
fn an_object_that_cannot_be_read_is_not_absent_and_no_list_is_whole() {
    let mut store = Store::new(Arc::new(Shape::of(&wanted(json!("value"), &[]))));
    let named = Named { namespace: "a".to_owned(), name: "p".to_owned() };
    put(&mut store, &named, r#"{"metadata":{"name":"p","namespace":"a"},"spec":{"twice":1,"twice":2}}"#);
    assert!(matches!(store.find("a", "p"), Held::Unreadable(reason) if reason.contains("twice")));
    let all = store.select(&query(None, None, None, 10));
    assert!(all.incomplete.is_some_and(|reason| reason.starts_with("Pod a/p: ")));
    assert_eq!(store.select(&query(Some("b"), None, None, 10)).incomplete, None, "elsewhere all is known");
    put(&mut store, &named, r#"{"metadata":{"name":"p","namespace":"a"}}"#);
    assert!(matches!(store.find("a", "p"), Held::Found(_)));
    assert_eq!(store.select(&query(None, None, None, 10)).incomplete, None);
}

#[test]
fn what_stays_the_same_is_kept_once_while_all_is_read_anew() {
    let shape = Arc::new(Shape::of(&wanted(json!({"fields": {}}), &[])));
    let named = Named { namespace: "a".to_owned(), name: "p".to_owned() };
    let text = r#"{"metadata":{"name":"p","namespace":"a"}}"#;
    let (mut before, mut after) = (Store::new(shape.clone()), Store::new(shape));
    put(&mut before, &named, text);
    after.put_sharing(&named, before.shape.prepare(text), Some(&before));
    let (Held::Found(before), Held::Found(after)) = (before.find("a", "p"), after.find("a", "p")) else { panic!() };
    assert!(Arc::ptr_eq(&before, &after));
}

fn query(namespace: Option<&str>, selector: Option<&str>, key: Option<(&str, &str)>, limit: usize) -> Query {
    Query {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        namespace: namespace.map(str::to_owned),
        label_selector: selector.map(str::to_owned),
        key: key.map(|(key, value)| (key.to_owned(), value.to_owned())),
        limit,
    }
}

const CLAIMS: &str = "spec.volumes[*].claim";
const NODE: &str = "spec.node";

/// What happens to one object.
#[derive(Debug, Clone)]
enum Event {
    Put(Named, Json),
    Remove(Named),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let named = || {
        (prop::sample::select(vec!["", "a", "b"]), prop::sample::select(vec!["p", "q", "r", "s"]))
            .prop_map(|(namespace, name)| Named { namespace: namespace.to_owned(), name: name.to_owned() })
    };
    let value = || prop::sample::select(vec!["x", "y", "z"]);
    let body = (
        prop::collection::btree_map(prop::sample::select(vec!["app", "tier"]), value(), 0..3),
        prop::collection::vec(value(), 0..3),
        prop::option::of(value()),
    );
    let put = (named(), body).prop_map(|(named, (labels, claims, node))| {
        let volumes: Vec<Json> = claims.into_iter().map(|claim| json!({"claim": claim})).collect();
        let mut object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": named.name, "labels": labels},
            "spec": {"volumes": volumes, "node": node}});
        if !named.namespace.is_empty() {
            object["metadata"]["namespace"] = json!(named.namespace);
        }
        Event::Put(named, object)
    });
    prop::collection::vec(prop_oneof![3 => put, 1 => named().prop_map(Event::Remove)], 0..40)
}

/// The names of a list's items, in order.
fn names(listing: &Listing) -> Vec<(String, String)> {
    let name = |item: &Arc<str>| {
        let object: Json = serde_json::from_str(item).unwrap();
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        (text("namespace"), text("name"))
    };
    listing.items.iter().map(name).collect()
}

proptest! {
    #[test]
    fn every_index_says_what_a_search_through_all_objects_says(events in events()) {
        let mut store = Store::new(Arc::new(Shape::of(&wanted(json!({"fields": {}}), &[CLAIMS, NODE]))));
        let mut all: BTreeMap<(String, String), String> = BTreeMap::new();
        for event in events {
            match event {
                Event::Put(named, object) => {
                    put(&mut store, &named, &object.to_string());
                    all.insert((named.namespace, named.name), object.to_string());
                }
                Event::Remove(named) => {
                    store.remove(&named);
                    all.remove(&(named.namespace, named.name));
                }
            }
        }
        prop_assert_eq!(store.len(), all.len());
        let plain = Objects::new(all.values().cloned(), true);
        let budget = Budget::until(std::time::Instant::now());
        let selectors = [None, Some("app=x"), Some("app=x,tier!=y"), Some("app in (x,y)"), Some("!tier"), Some("app=x,tier=y")];
        let keys = [None, Some((CLAIMS, "x")), Some((CLAIMS, "y")), Some((NODE, "z"))];
        for namespace in [None, Some("a"), Some("c")] {
            for selector in selectors {
                for key in keys {
                    let query = query(namespace, selector, key, 100);
                    let mut expected = names(&plain.list(&query, &budget).now_or_never().unwrap());
                    expected.sort();
                    prop_assert_eq!(names(&store.select(&query)), expected, "{}", query);
                }
            }
        }
        for (namespace, name) in all.keys() {
            prop_assert!(matches!(store.find(namespace, name), Held::Found(_)));
            store.remove(&Named { namespace: namespace.clone(), name: name.clone() });
        }
        prop_assert_eq!((store.len(), store.bytes()), (0, 0));
        prop_assert!(store.names.is_empty() && store.labels.is_empty() && store.keys.iter().all(HashMap::is_empty));
    }
}
