//! A cluster made of given objects: the files of a `check`, a policy's sample,
//! a test. It is all there is (`complete`), or some of it; then what isn't in it
//! is unknown, never absent.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::cluster::{Answer, Budget, ClusterView, Listing, ObjectName, Query};
use crate::json::{Document, Kind, Value};
use crate::policy::LabelSelector;
use crate::selector::Labels;

/// Given objects, by group and kind. Versions are not told apart: an object is
/// one object in whatever version it was written.
#[derive(Debug, Default)]
pub struct Objects {
    kinds: HashMap<(String, String), OfKind>,
    complete: bool,
}

/// The objects of one kind, in the order given.
#[derive(Debug, Default)]
struct OfKind {
    stored: Vec<Stored>,
    /// By namespace (empty for none) and name.
    by_name: HashMap<(String, String), usize>,
}

#[derive(Debug)]
struct Stored {
    namespace: Option<String>,
    name: String,
    labels: Labels,
    text: Arc<str>,
}

/// A cluster of which nothing is known.
#[derive(Debug)]
pub struct NoCluster {
    /// Why.
    pub reason: String,
}

impl Objects {
    /// Takes objects as JSON text; what is no Kubernetes object is left out.
    /// The last of several objects of one name counts.
    pub fn new(objects: impl IntoIterator<Item = String>, complete: bool) -> Objects {
        let mut kinds: HashMap<(String, String), OfKind> = HashMap::new();
        for object in objects {
            if let Some((key, stored)) = store(object) {
                kinds.entry(key).or_default().put(stored);
            }
        }
        Objects { kinds, complete }
    }

    fn of_kind(&self, api_version: &str, kind: &str) -> Option<&OfKind> {
        self.kinds.get(&(group(api_version).to_owned(), kind.to_owned()))
    }

    fn incomplete(&self) -> Option<String> {
        (!self.complete).then(|| "the given objects are not all that the cluster holds".to_owned())
    }

    fn find(&self, name: &ObjectName) -> Answer {
        let found = self.of_kind(&name.api_version, &name.kind).and_then(|of_kind| {
            let key = (name.namespace.clone().unwrap_or_default(), name.name.clone());
            of_kind.by_name.get(&key).map(|index| &of_kind.stored[*index])
        });
        match (found, self.complete) {
            (Some(stored), _) => Answer::Found(stored.text.clone()),
            (None, true) => Answer::Absent,
            (None, false) => Answer::Unknown("it is not among the given objects".to_owned()),
        }
    }

    fn select(&self, query: &Query) -> Listing {
        let selector = match query.label_selector.as_deref().map(LabelSelector::parse).transpose() {
            Ok(selector) => selector.unwrap_or_default(),
            Err(error) => return Listing { items: Vec::new(), incomplete: Some(error.to_string()) },
        };
        let stored = self.of_kind(&query.api_version, &query.kind).map_or(&[][..], |of_kind| &of_kind.stored);
        let mut matching = stored.iter().filter(|stored| {
            query.namespace.as_ref().is_none_or(|namespace| stored.namespace.as_ref() == Some(namespace))
                && selector.matches(&stored.labels)
                && query.key.as_ref().is_none_or(|(key, value)| has_key(&stored.text, key, value))
        });
        let items = matching.by_ref().take(query.limit).map(|stored| stored.text.clone()).collect();
        let cut = matching.next().map(|_| format!("there are more than {}", query.limit));
        Listing { items, incomplete: self.incomplete().or(cut) }
    }
}

impl OfKind {
    fn put(&mut self, stored: Stored) {
        let key = (stored.namespace.clone().unwrap_or_default(), stored.name.clone());
        match self.by_name.get(&key) {
            Some(index) => self.stored[*index] = stored,
            None => {
                self.by_name.insert(key, self.stored.len());
                self.stored.push(stored);
            }
        }
    }
}

impl ClusterView for Objects {
    fn get<'a>(&'a self, name: &'a ObjectName, _: &'a Budget) -> BoxFuture<'a, Answer> {
        ready(self.find(name)).boxed()
    }

    fn list<'a>(&'a self, query: &'a Query, _: &'a Budget) -> BoxFuture<'a, Listing> {
        ready(self.select(query)).boxed()
    }
}

impl ClusterView for NoCluster {
    fn get<'a>(&'a self, _: &'a ObjectName, _: &'a Budget) -> BoxFuture<'a, Answer> {
        ready(Answer::Unknown(self.reason.clone())).boxed()
    }

    fn list<'a>(&'a self, _: &'a Query, _: &'a Budget) -> BoxFuture<'a, Listing> {
        ready(Listing { items: Vec::new(), incomplete: Some(self.reason.clone()) }).boxed()
    }
}

/// The group of an apiVersion: empty for the core group.
pub fn group(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

fn store(text: String) -> Option<((String, String), Stored)> {
    let document = Document::parse(text.as_bytes()).ok()?;
    let root = document.root();
    let string = |path: &[&str]| root.path(path).and_then(Value::as_str).map(|text| text.into_owned());
    let key = (group(&string(&["apiVersion"])?).to_owned(), string(&["kind"])?);
    let name = string(&["metadata", "name"])?;
    let namespace = string(&["metadata", "namespace"]).filter(|namespace| !namespace.is_empty());
    let labels = labels(root);
    Some((key, Stored { namespace, name, labels, text: text.into() }))
}

/// The labels of an object.
pub fn labels(object: Value<'_>) -> Labels {
    let Some(labels) = object.path(&["metadata", "labels"]).filter(|labels| labels.kind() == Kind::Object) else {
        return Labels::new();
    };
    labels.fields().filter_map(|(key, value)| Some((key.into_owned(), value.as_str()?.into_owned()))).collect()
}

/// Few objects hold the value at all, so the text is searched before it is parsed:
/// of 1,000 manifests each may be looked for in all others.
fn has_key(text: &str, key: &str, value: &str) -> bool {
    may_hold(text, value) && has_parsed_key(text, key, value)
}

/// Whether a JSON text may hold a string: it stands there as it is, unless a
/// letter of it is one that is written as an escape, or may be.
fn may_hold(text: &str, value: &str) -> bool {
    let is_escaped = |letter: char| matches!(letter, '"' | '\\' | '/') || letter.is_control();
    text.contains(value) || value.contains(is_escaped) || text.contains("\\u")
}

fn has_parsed_key(text: &str, key: &str, value: &str) -> bool {
    Document::parse(text.as_bytes()).is_ok_and(|document| {
        let mut found = false;
        key_values(document.root(), key, &mut |text| found |= text == value);
        found
    })
}

/// Shows every text that a look-up key such as `spec.volumes[*].claimName`
/// reaches in an object.
pub fn key_values(object: Value<'_>, key: &str, see: &mut dyn FnMut(&str)) {
    let (segment, rest) = key.split_once('.').map_or((key, None), |(segment, rest)| (segment, Some(rest)));
    let (name, each) = segment.strip_suffix("[*]").map_or((segment, false), |name| (name, true));
    let Some(found) = object.get(name) else { return };
    let mut ends = |found: Value<'_>| match rest {
        Some(rest) if found.kind() == Kind::Object => key_values(found, rest, see),
        Some(_) => {}
        None => {
            if let Some(text) = found.as_str() {
                see(&text);
            }
        }
    };
    if !each {
        ends(found);
    } else if found.kind() == Kind::Array {
        found.items().for_each(ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(complete: bool) -> Objects {
        let objects = [
            r#"{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"fast"}}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"a","labels":{"app":"x"}},"spec":{"volumes":[{"name":"d","persistentVolumeClaim":{"claimName":"c"}}]}}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"q","namespace":"b"}}"#,
            r#"{"not":"an object"}"#,
        ];
        Objects::new(objects.map(str::to_owned), complete)
    }

    fn get(cluster: &Objects, api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> &'static str {
        let name = ObjectName {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.map(Into::into),
            name: name.into(),
        };
        match cluster.find(&name) {
            Answer::Found(_) => "found",
            Answer::Absent => "absent",
            Answer::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn absence_is_said_only_of_a_complete_cluster() {
        assert_eq!(get(&cluster(false), "storage.k8s.io/v1", "StorageClass", None, "fast"), "found");
        assert_eq!(get(&cluster(false), "storage.k8s.io/v1beta1", "StorageClass", None, "fast"), "found");
        assert_eq!(get(&cluster(false), "v1", "Pod", Some("b"), "p"), "unknown");
        assert_eq!(get(&cluster(true), "v1", "Pod", Some("b"), "p"), "absent");
        assert_eq!(get(&cluster(true), "example.com/v1", "Pod", Some("a"), "p"), "absent");
    }

    fn list(
        cluster: &Objects,
        namespace: Option<&str>,
        selector: Option<&str>,
        key: Option<(&str, &str)>,
        limit: usize,
    ) -> (usize, bool) {
        let listing = cluster.select(&Query {
            api_version: "v1".into(),
            kind: "Pod".into(),
            namespace: namespace.map(Into::into),
            label_selector: selector.map(Into::into),
            key: key.map(|(key, value)| (key.into(), value.into())),
            limit,
        });
        (listing.items.len(), listing.incomplete.is_none())
    }

    #[test]
    fn a_key_is_found_however_its_value_is_written() {
        let check = |written: &str, value: &str, found: bool| {
            assert_eq!(
                has_key(&format!(r#"{{"a":["{written}"],"b":[{{"c":"{written}"}}]}}"#), "b[*].c", value),
                found,
                "{written}"
            );
        };
        check("data", "data", true);
        check("d\\u0061ta", "data", true);
        check("a\\/b", "a/b", true);
        check("a\\nb", "a\nb", true);
        check("database", "data", false);
        check("logs", "data", false);
    }

    #[test]
    fn lists_go_by_namespace_label_and_key() {
        let claim = "spec.volumes[*].persistentVolumeClaim.claimName";
        assert_eq!(list(&cluster(true), None, None, None, 10), (2, true));
        assert_eq!(list(&cluster(true), None, None, None, 1), (1, false));
        assert_eq!(list(&cluster(false), Some("a"), None, None, 10), (1, false));
        assert_eq!(list(&cluster(true), None, Some("app=x"), None, 10), (1, true));
        assert_eq!(list(&cluster(true), None, Some("app=y"), None, 10), (0, true));
        assert_eq!(list(&cluster(true), None, None, Some((claim, "c")), 10), (1, true));
        assert_eq!(list(&cluster(true), None, None, Some((claim, "d")), 10), (0, true));
    }
}
