//! What a namespaced policy sees of the cluster: its own namespace, and the
//! cluster-scoped kinds that an administrator lists ([`Tenants`]).
//!
//! Whoever may write a Policy in a namespace must not see, through what it says,
//! anything that he couldn't read himself. So [`Confined`] stands between such a
//! policy and the cluster's view, whatever that view does with a namespace of a
//! kind that has none: an object that isn't of the own namespace never passes
//! unless its kind is listed. What may not be looked up is unknown, not absent,
//! because absence would be an answer too.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::cluster::{Answer, Budget, ClusterView, Listing, ObjectName, Query, Tenants};
use crate::json::{Document, Value};
use crate::objects::group;

/// The view of a namespaced policy.
pub struct Confined {
    view: Arc<dyn ClusterView>,
    namespace: String,
    tenants: Tenants,
}

/// Where a look-up is directed.
enum Aim {
    /// At objects of the own namespace.
    Inside,
    /// At a cluster-scoped kind that is listed.
    Listed,
    /// Anywhere else.
    Outside,
}

impl Confined {
    /// Lets look-ups of a policy of this namespace through to `view`.
    pub fn new(view: Arc<dyn ClusterView>, namespace: &str, tenants: Tenants) -> Confined {
        Confined { view, namespace: namespace.to_owned(), tenants }
    }

    fn aim(&self, api_version: &str, kind: &str, namespace: Option<&str>) -> Aim {
        let listed = |(of_group, of_kind): &(String, String)| of_kind == kind && of_group == group(api_version);
        match namespace {
            Some(namespace) if namespace == self.namespace => Aim::Inside,
            None if self.tenants.reads.iter().any(listed) => Aim::Listed,
            Some(_) | None => Aim::Outside,
        }
    }

    /// Whether an object is one of the own namespace.
    fn owns(&self, object: &str) -> bool {
        Document::parse(object.as_bytes()).is_ok_and(|object| {
            let namespace = object.root().path(&["metadata", "namespace"]).and_then(Value::as_str);
            namespace.is_some_and(|namespace| namespace == self.namespace)
        })
    }

    fn refusal(&self, kind: &str) -> String {
        let listed: Vec<&str> = self.tenants.reads.iter().map(|(_, kind)| kind.as_str()).collect();
        let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
        format!(
            "a Policy may read only its namespace and the cluster-scoped kinds that an administrator lists ({listed}); \
             this look-up of {kind} goes beyond {}",
            self.namespace
        )
    }

    async fn find(&self, name: &ObjectName, budget: &Budget) -> Answer {
        match self.view.get(name, budget).await {
            Answer::Found(object) if !self.owns(&object) => Answer::Unknown(self.refusal(&name.kind)),
            answer => answer,
        }
    }

    async fn select(&self, query: &Query, incomplete: Option<String>, budget: &Budget) -> Listing {
        let own = Query { namespace: Some(self.namespace.clone()), ..query.clone() };
        let mut listing = self.view.list(&own, budget).await;
        let found = listing.items.len();
        listing.items.retain(|object| self.owns(object));
        let hidden = (listing.items.len() < found).then(|| self.refusal(&query.kind));
        listing.incomplete = incomplete.or(hidden).or(listing.incomplete);
        listing
    }
}

impl ClusterView for Confined {
    fn get<'a>(&'a self, name: &'a ObjectName, budget: &'a Budget) -> BoxFuture<'a, Answer> {
        match self.aim(&name.api_version, &name.kind, name.namespace.as_deref()) {
            Aim::Inside => self.find(name, budget).boxed(),
            Aim::Listed => self.view.get(name, budget),
            Aim::Outside => ready(Answer::Unknown(self.refusal(&name.kind))).boxed(),
        }
    }

    /// A list that names no namespace is one of the own, and says that it isn't all.
    fn list<'a>(&'a self, query: &'a Query, budget: &'a Budget) -> BoxFuture<'a, Listing> {
        match self.aim(&query.api_version, &query.kind, query.namespace.as_deref()) {
            Aim::Inside => self.select(query, None, budget).boxed(),
            Aim::Listed => self.view.list(query, budget),
            Aim::Outside if query.namespace.is_none() => {
                self.select(query, Some(self.refusal(&query.kind)), budget).boxed()
            }
            Aim::Outside => ready(Listing { items: Vec::new(), incomplete: Some(self.refusal(&query.kind)) }).boxed(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Mutex;
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;
    use crate::admit::{Owner, Policy, Request, Selection, Snapshot, admit};
    use crate::contract::{Description, Phase, RawReview};
    use crate::evaluate::{Call, Evaluate, Evaluation};
    use crate::matching::Matcher;
    use crate::objects::Objects;
    use crate::policy::{API_VERSION, PolicyDocument};
    use crate::report::Verdict;
    use crate::review::Origin;

    const OBJECTS: [&str; 6] = [
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}"#,
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"own","namespace":"shop"}}"#,
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"foreign","namespace":"bank"}}"#,
        r#"{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"fast"}}"#,
        r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"one"}}"#,
        r#"{"apiVersion":"example.com/v1","kind":"StorageClass","metadata":{"name":"other"}}"#,
    ];

    /// A view that knows no namespaces, as one of a kind without them may.
    struct Careless(Objects);

    impl ClusterView for Careless {
        fn get<'a>(&'a self, name: &'a ObjectName, budget: &'a Budget) -> BoxFuture<'a, Answer> {
            async move {
                for namespace in [None, Some("shop".to_owned()), Some("bank".to_owned())] {
                    if let Answer::Found(object) = self.0.get(&ObjectName { namespace, ..name.clone() }, budget).await {
                        return Answer::Found(object);
                    }
                }
                Answer::Absent
            }
            .boxed()
        }

        fn list<'a>(&'a self, query: &'a Query, budget: &'a Budget) -> BoxFuture<'a, Listing> {
            async move { self.0.list(&Query { namespace: None, ..query.clone() }, budget).await }.boxed()
        }
    }

    /// Looks up what it is told to, and keeps what it was told.
    struct Asks {
        ask: Ask,
        told: Arc<Mutex<String>>,
    }

    #[derive(Clone)]
    enum Ask {
        Get(ObjectName),
        List(Query),
    }

    impl Evaluate for Asks {
        fn evaluate<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Evaluation> {
            async move {
                let told = match &self.ask {
                    Ask::Get(name) => match call.cluster.get(name).await {
                        Ok(Answer::Found(_)) => "found".to_owned(),
                        Ok(Answer::Absent) => "absent".to_owned(),
                        Ok(Answer::Unknown(reason)) => format!("unknown: {reason}"),
                        Err(error) => error.to_string(),
                    },
                    Ask::List(query) => match call.cluster.list(query).await {
                        Ok(listing) => format!("{} {}", listing.items.len(), listing.incomplete.is_none()),
                        Err(error) => error.to_string(),
                    },
                };
                *self.told.lock().unwrap() = told;
                Evaluation { outcome: Ok(RawReview::default()), ran: Duration::ZERO }
            }
            .boxed()
        }
    }

    fn policy(namespace: Option<&str>, ask: Ask, told: Arc<Mutex<String>>) -> Arc<Policy> {
        let kind = if namespace.is_some() { "Policy" } else { "ClusterPolicy" };
        let document = json!({"apiVersion": API_VERSION, "kind": kind,
            "metadata": {"name": "p", "namespace": namespace}, "spec": {"module": "builtin/m"}});
        let document = PolicyDocument::from_json(&document).unwrap();
        let (api_version, of_kind) = match &ask {
            Ask::Get(name) => (&name.api_version, &name.kind),
            Ask::List(query) => (&query.api_version, &query.kind),
        };
        let description: Description = serde_json::from_value(json!({
            "name": "p", "phase": "validating", "reach": {
                "matches": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
                "lookups": [{"apiVersion": api_version, "kind": of_kind, "fields": "value", "verbs": ["get", "list"]}]},
        }))
        .unwrap();
        Arc::new(Policy {
            matcher: Matcher::new(&document, Some(&description)).unwrap(),
            document,
            description: Some(description.into()),
            digest: String::new(),
            evaluator: Ok(Arc::new(Asks { ask, told })),
        })
    }

    /// What a policy of this namespace is told, and the verdict, through `admit`.
    fn told(view: Arc<dyn ClusterView>, namespace: Option<&str>, ask: Ask) -> (String, Verdict) {
        let told = Arc::new(Mutex::new(String::new()));
        let policies = vec![policy(namespace, ask, told.clone())];
        let owner = namespace.map_or(Owner::Cluster, |namespace| Owner::Namespace(namespace.to_owned()));
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "CREATE", "namespace": "shop", "name": "n", "object": {},
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"}}});
        let body = review.to_string();
        let request = Request {
            selection: Selection { phase: Phase::Validating, group: None, owner },
            body: body.as_bytes(),
            arrived: Instant::now(),
            deadline: Instant::now() + Duration::from_secs(60),
            now: Duration::ZERO,
            origin: Origin::Admission,
        };
        let snapshot = Snapshot { policies, cluster: view, tenants: Tenants::default() };
        let admitted = admit(&snapshot, request).now_or_never().unwrap().unwrap();
        let verdict = admitted.policies[0].verdict;
        (told.lock().unwrap().clone(), verdict)
    }

    fn views() -> [Arc<dyn ClusterView>; 2] {
        let objects = || Objects::new(OBJECTS.map(str::to_owned), true);
        [Arc::new(objects()), Arc::new(Careless(objects()))]
    }

    #[track_caller]
    fn check_get(api_version: &str, kind: &str, namespace: Option<&str>, name: &str, expected: &str) {
        let name = ObjectName {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.map(Into::into),
            name: name.into(),
        };
        for view in views() {
            let (told, verdict) = told(view, Some("shop"), Ask::Get(name.clone()));
            assert!(told.starts_with(expected), "{name}: {told}");
            // What may not be looked up leaves the review undecided.
            let expected = if expected == "unknown" { Verdict::Undecided } else { Verdict::Allow };
            assert_eq!(verdict, expected, "{name}");
        }
    }

    #[test]
    fn a_policy_of_a_namespace_is_given_objects_of_its_own_and_of_listed_kinds() {
        check_get("v1", "ConfigMap", Some("shop"), "own", "found");
        check_get("v1", "ConfigMap", Some("shop"), "none", "absent");
        check_get("storage.k8s.io/v1", "StorageClass", None, "fast", "found");
        check_get("storage.k8s.io/v1", "StorageClass", None, "none", "absent");
    }

    #[test]
    fn anything_else_is_unknown_and_its_absence_too() {
        check_get("v1", "ConfigMap", Some("bank"), "foreign", "unknown");
        check_get("v1", "ConfigMap", Some("bank"), "none", "unknown");
        check_get("v1", "ConfigMap", None, "foreign", "unknown");
        check_get("v1", "Node", None, "one", "unknown");
        check_get("v1", "Namespace", None, "shop", "unknown");
        check_get("example.com/v1", "StorageClass", None, "other", "unknown");
    }

    #[test]
    fn a_kind_without_namespaces_has_no_way_in_through_the_own() {
        let node = |namespace: &str| ObjectName {
            api_version: "v1".into(),
            kind: "Node".into(),
            namespace: Some(namespace.into()),
            name: "one".into(),
        };
        let [_, careless] = views();
        let (told_of_node, verdict) = told(careless.clone(), Some("shop"), Ask::Get(node("shop")));
        assert!(told_of_node.starts_with("unknown: a Policy may read only its namespace"), "{told_of_node}");
        assert!(told_of_node.contains("StorageClass, IngressClass"), "{told_of_node}");
        assert_eq!(verdict, Verdict::Undecided);
        assert_eq!(told(careless, None, Ask::Get(node("shop"))).0, "found", "a ClusterPolicy is not confined");
    }

    #[test]
    fn lists_are_narrowed_and_say_so() {
        let list = |api_version: &str, kind: &str, namespace: Option<&str>| {
            let query = Query {
                api_version: api_version.into(),
                kind: kind.into(),
                namespace: namespace.map(Into::into),
                label_selector: None,
                key: None,
                limit: 10,
            };
            let [plain, careless] = views();
            (told(plain, Some("shop"), Ask::List(query.clone())).0, told(careless, Some("shop"), Ask::List(query)).0)
        };
        let both = |text: &str| (text.to_owned(), text.to_owned());
        // The careless view's other items are held back, which is said.
        assert_eq!(list("v1", "ConfigMap", Some("shop")), ("1 true".to_owned(), "1 false".to_owned()));
        assert_eq!(list("v1", "ConfigMap", None), both("1 false"));
        assert_eq!(list("v1", "ConfigMap", Some("bank")), both("0 false"));
        assert_eq!(list("storage.k8s.io/v1", "StorageClass", None), both("1 true"));
        assert_eq!(list("v1", "Node", None), both("0 false"));
        assert_eq!(list("v1", "Node", Some("shop")), ("0 true".to_owned(), "0 false".to_owned()));
    }
}
