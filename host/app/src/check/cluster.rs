//! The cluster that look-ups of a run go to: the one place where it is chosen.
//!
//! ```text
//! get, list ─► objects of the input ─► --cluster ─► a live cluster, if there is one
//! ```
//! What stands further left goes before what stands further right under the same
//! name. An object that is being created is in none of them: the API server
//! doesn't store it until it has been admitted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use portcullis_core::cluster::{Answer, Budget, ClusterView, Listing, ObjectName, Query};
use portcullis_core::edit::{self, Edit, Pointer};
use portcullis_core::json::{Document, Value, quote};
use portcullis_core::objects::Objects;

use super::defaults::NAMESPACE_NAME_LABEL;
use super::labels::NamespaceLabel;

/// What is known of the cluster besides the input.
#[derive(Default)]
pub(super) struct Cluster {
    /// What it holds, in JSON.
    pub(super) around: Vec<String>,
    /// Whether what is given is all that it holds.
    pub(super) complete: bool,
    /// The namespaces that the input's objects lie in.
    pub(super) namespaces: BTreeSet<String>,
    /// Labels that namespaces have besides their own.
    pub(super) labels: Vec<NamespaceLabel>,
    /// Answers what the given objects don't.
    pub(super) live: Option<Arc<dyn ClusterView>>,
}

/// A cluster with the objects of the input in it.
pub(super) struct View {
    objects: Objects,
    live: Option<Arc<dyn ClusterView>>,
}

/// A view without one object.
pub(super) struct Others {
    view: Arc<View>,
    hidden: Option<String>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("around", &self.around.len())
            .field("complete", &self.complete)
            .field("live", &self.live.is_some())
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// The cluster with these objects of the input in it.
    pub(super) fn view(&self, given: impl Iterator<Item = String>) -> View {
        let mut objects: Vec<String> = self.around.iter().cloned().chain(given).collect();
        if self.complete || !self.labels.is_empty() {
            objects.extend(self.namespaces(&objects));
        }
        View { objects: Objects::new(objects, self.complete), live: self.live.clone() }
    }

    /// The Namespaces that must be there, of a cluster that is known to be
    /// complete, and those that are labelled.
    fn namespaces(&self, objects: &[String]) -> Vec<String> {
        let mut there: BTreeMap<String, &String> = BTreeMap::new();
        for object in objects {
            let parsed = Document::parse(object.as_bytes()).ok();
            there.extend(parsed.as_ref().and_then(|parsed| namespace_name(parsed.root())).map(|name| (name, object)));
        }
        let labelled = self.labels.iter().filter_map(|label| label.namespace.clone());
        let named: BTreeSet<String> = self.namespaces.iter().cloned().chain(labelled).collect();
        let changed = |name: String| {
            let labels: Vec<Edit> = self.labels.iter().filter(|label| label.is_of(&name)).map(labelled_by).collect();
            let text = match there.get(&name) {
                Some(_) if labels.is_empty() => return None,
                None if labels.is_empty() && !self.complete => return None,
                Some(text) => (*text).clone(),
                None => bare(&name),
            };
            Some(edit::apply(&text, &labels).unwrap_or(text))
        };
        named.into_iter().filter_map(changed).collect()
    }
}

fn labelled_by(label: &NamespaceLabel) -> Edit {
    Edit::Add { path: Pointer::new(["metadata", "labels", &label.key]), value: quote(&label.value) }
}

fn bare(name: &str) -> String {
    let name = quote(name);
    format!(
        r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":{name},"labels":{{"{NAMESPACE_NAME_LABEL}":{name}}}}}}}"#
    )
}

fn namespace_name(object: Value<'_>) -> Option<String> {
    let is = |field: &str, text: &str| object.get(field).and_then(Value::as_str).is_some_and(|found| found == text);
    let name = || object.path(&["metadata", "name"]).and_then(Value::as_str);
    (is("kind", "Namespace") && is("apiVersion", "v1")).then(name).flatten().map(|name| name.into_owned())
}

impl Others {
    /// The view without this object.
    pub(super) fn new(view: Arc<View>, hidden: Option<String>) -> Others {
        Others { view, hidden }
    }

    fn is_hidden(&self, object: &str) -> bool {
        self.hidden.as_deref() == Some(object)
    }

    /// What a live cluster adds to a list: what has no namesake among the given objects.
    async fn add_live(&self, live: &dyn ClusterView, query: &Query, budget: &Budget, listing: &mut Listing) {
        let found = live.list(query, budget).await;
        for object in found.items {
            let Some(name) = name_of(&object, query) else { continue };
            if !matches!(self.view.objects.get(&name, budget).await, Answer::Found(_)) {
                listing.items.push(object);
            }
        }
        listing.incomplete = found.incomplete;
    }
}

fn name_of(object: &str, query: &Query) -> Option<ObjectName> {
    let parsed = Document::parse(object.as_bytes()).ok()?;
    let text = |field| parsed.root().path(&["metadata", field]).and_then(Value::as_str).map(|text| text.into_owned());
    Some(ObjectName {
        api_version: query.api_version.clone(),
        kind: query.kind.clone(),
        namespace: text("namespace"),
        name: text("name")?,
    })
}

impl ClusterView for Others {
    fn get<'a>(&'a self, name: &'a ObjectName, budget: &'a Budget) -> BoxFuture<'a, Answer> {
        async move {
            match (self.view.objects.get(name, budget).await, &self.view.live) {
                (Answer::Found(object), _) if self.is_hidden(&object) => Answer::Absent,
                (Answer::Unknown(_), Some(live)) => live.get(name, budget).await,
                (answer, _) => answer,
            }
        }
        .boxed()
    }

    fn list<'a>(&'a self, query: &'a Query, budget: &'a Budget) -> BoxFuture<'a, Listing> {
        async move {
            let mut wider = query.clone();
            // One more, so that the hidden object takes no other's place.
            wider.limit = query.limit.saturating_add(1);
            let mut listing = self.view.objects.list(&wider, budget).await;
            if let Some(live) = &self.view.live {
                self.add_live(live.as_ref(), &wider, budget, &mut listing).await;
            }
            listing.items.retain(|object| !self.is_hidden(object));
            if listing.items.len() > query.limit {
                listing.items.truncate(query.limit);
                listing.incomplete.get_or_insert_with(|| format!("there are more than {}", query.limit));
            }
            listing
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use portcullis_core::objects::NoCluster;

    use super::*;

    fn map(name: &str, value: &str) -> String {
        format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"shop","labels":{{"v":"{value}"}}}}}}"#
        )
    }

    fn query(selector: Option<&str>, limit: usize) -> Query {
        Query {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: Some("shop".into()),
            label_selector: selector.map(Into::into),
            key: None,
            limit,
        }
    }

    async fn answer(others: &Others, name: &str) -> Answer {
        let name = ObjectName {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: Some("shop".into()),
            name: name.into(),
        };
        others.get(&name, &Budget::until(Instant::now())).await
    }

    #[tokio::test]
    async fn a_live_cluster_answers_behind_what_is_given() {
        let live: Arc<dyn ClusterView> = Arc::new(Objects::new([map("a", "live"), map("b", "live")], true));
        let cluster = Cluster { live: Some(live), ..Cluster::default() };
        let view = Arc::new(cluster.view([map("a", "given"), map("c", "given")].into_iter()));
        let others = Others::new(view, Some(map("c", "given")));
        assert_eq!(answer(&others, "a").await, Answer::Found(map("a", "given").into()));
        assert_eq!(answer(&others, "b").await, Answer::Found(map("b", "live").into()));
        assert_eq!(answer(&others, "c").await, Answer::Absent);
        assert_eq!(answer(&others, "d").await, Answer::Absent);
        let listed = others.list(&query(None, 10), &Budget::until(Instant::now())).await;
        let expected = Listing { items: vec![map("a", "given").into(), map("b", "live").into()], incomplete: None };
        assert_eq!(listed, expected);
        // The given object has another label than its live namesake.
        assert_eq!(
            others.list(&query(Some("v=live"), 10), &Budget::until(Instant::now())).await.items,
            [map("b", "live").into()]
        );
        let cut = others.list(&query(None, 1), &Budget::until(Instant::now())).await;
        assert_eq!((cut.items.len(), cut.incomplete), (1, Some("there are more than 1".to_owned())));
    }

    #[tokio::test]
    async fn a_live_cluster_that_does_not_answer_leaves_it_unknown() {
        let live: Arc<dyn ClusterView> = Arc::new(NoCluster { reason: "no route".into() });
        let cluster = Cluster { live: Some(live), ..Cluster::default() };
        let others = Others::new(Arc::new(cluster.view([map("a", "given")].into_iter())), None);
        assert_eq!(answer(&others, "b").await, Answer::Unknown("no route".into()));
        assert_eq!(
            others.list(&query(None, 10), &Budget::until(Instant::now())).await.incomplete.as_deref(),
            Some("no route")
        );
    }

    #[test]
    fn namespaces_are_labelled_as_the_flags_say() {
        let labels = ["shop:team=a,tier=", "env=test"].map(|text| NamespaceLabel::parse(text).unwrap_or_default());
        let cluster = Cluster {
            namespaces: ["shop".to_owned(), "web".to_owned()].into(),
            labels: labels.concat(),
            ..Cluster::default()
        };
        let given =
            r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","labels":{"team":"z","x":"y"}}}"#;
        assert_eq!(
            cluster.namespaces(&[given.to_owned()]),
            [
                r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","labels":{"team":"a","x":"y","tier":"","env":"test"}}}"#,
                r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"web","labels":{"kubernetes.io/metadata.name":"web","env":"test"}}}"#,
            ]
        );
        let unlabelled = Cluster { namespaces: ["web".to_owned()].into(), complete: true, ..Cluster::default() };
        assert_eq!(unlabelled.namespaces(&[]).len(), 1);
    }
}
