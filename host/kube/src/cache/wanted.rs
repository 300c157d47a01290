//! What has to be watched for a set of policies: pure, so that it can be told
//! and tested without a cluster.
//!
//! ```text
//! look-ups of the policies ─┐
//! labels of Namespaces      ├─► one Wanted a kind and version: fields, keys, selector, who wants it
//! owners and parents (life) ┘
//! ```
//! Invariant: what is kept of an object is enough for each of those who want it
//! ([`Tree::superset`]); nobody is given more than his own view of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis_core::admit::Policy;
use portcullis_core::contract::{Lookup, Verb};
use portcullis_core::life::looked_up_for;
use portcullis_core::view::Tree;

/// A kind that is to be watched, in one version.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// As in the object: `storage.k8s.io/v1`.
    pub api_version: String,
    /// As in the object.
    pub kind: String,
    /// What is kept of its objects.
    pub fields: Tree,
    /// Paths by which they are found, in order.
    pub keys: Vec<String>,
    /// Only these are watched, in the API server's words; None: all.
    pub field_selector: Option<String>,
    /// The policies that want it; empty where only the host does.
    pub why: BTreeSet<String>,
}

impl Wanted {
    /// Of a kind, nothing but what every object is known by.
    pub fn of(api_version: &str, kind: &str) -> Wanted {
        Wanted {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            fields: Tree::nothing(),
            keys: Vec::new(),
            field_selector: None,
            why: BTreeSet::new(),
        }
    }

    /// Whether one watch serves both: who wants it makes no difference.
    pub fn is_served_like(&self, other: &Wanted) -> bool {
        self.kind == other.kind
            && self.api_version == other.api_version
            && self.fields == other.fields
            && self.keys == other.keys
            && self.field_selector == other.field_selector
    }
}

/// What these policies look up, and what the host looks up to judge by them; by
/// kind, then version.
pub fn wanted(policies: &[Arc<Policy>]) -> Vec<Wanted> {
    let mut all = Collected::default();
    all.host("v1", "Namespace", &Tree::of_paths(&[&["metadata", "labels"]]), None);
    for policy in policies {
        let id = policy.document.id.to_string();
        for lookup in policy.description.iter().flat_map(|description| &description.reach.lookups) {
            all.declared(lookup, &id);
        }
        for lookup in looked_up_for(&policy.matcher) {
            all.host(&lookup.api_version, lookup.kind, &lookup.fields, Some(&id));
        }
    }
    all.0.into_values().map(Collecting::done).collect()
}

/// By kind and version.
#[derive(Default)]
struct Collected(BTreeMap<(String, String), Collecting>);

/// What is known of one kind so far.
struct Collecting {
    wanted: Wanted,
    keys: BTreeSet<String>,
    /// The selector that all agree on; None where somebody needs every object.
    selector: Option<Selector>,
}

/// What the look-ups of a kind say of `fieldSelector`.
#[derive(PartialEq)]
enum Selector {
    /// Nobody has said anything yet.
    Open,
    /// All say this.
    Agreed(String),
}

impl Collected {
    fn of(&mut self, api_version: &str, kind: &str, fields: &Tree, policy: Option<&str>) -> &mut Collecting {
        let collecting = self.0.entry((kind.to_owned(), api_version.to_owned())).or_insert_with(|| Collecting {
            wanted: Wanted::of(api_version, kind),
            keys: BTreeSet::new(),
            selector: Some(Selector::Open),
        });
        collecting.wanted.fields = collecting.wanted.fields.superset(fields);
        collecting.wanted.why.extend(policy.map(str::to_owned));
        collecting
    }

    /// A look-up of the host needs every object of its kind.
    fn host(&mut self, api_version: &str, kind: &str, fields: &Tree, policy: Option<&str>) {
        self.of(api_version, kind, fields, policy).selector = None;
    }

    fn declared(&mut self, lookup: &Lookup, policy: &str) {
        let collecting = self.of(&lookup.api_version, &lookup.kind, &lookup.fields, Some(policy));
        collecting.keys.extend(lookup.keys.iter().cloned());
        // Who lists must see all; who gets one finds another by asking the API server.
        let only_gets = lookup.verbs.iter().all(|verb| *verb == Verb::Get);
        let own = lookup.field_selector.clone().filter(|_| only_gets).map(Selector::Agreed);
        collecting.selector = match (collecting.selector.take(), own) {
            (Some(Selector::Open), own) => own,
            (agreed, own) if agreed == own => own,
            _ => None,
        };
    }
}

impl Collecting {
    fn done(self) -> Wanted {
        let field_selector = match self.selector {
            Some(Selector::Agreed(selector)) => Some(selector),
            Some(Selector::Open) | None => None,
        };
        Wanted { keys: self.keys.into_iter().collect(), field_selector, ..self.wanted }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use portcullis_core::contract::Description;
    use portcullis_core::matching::Matcher;
    use portcullis_core::policy::{API_VERSION, PolicyDocument};
    use serde_json::{Value, json};

    use super::*;

    fn policy(name: &str, reach: Value, matching: Value) -> Arc<Policy> {
        let document = json!({"apiVersion": API_VERSION, "kind": "ClusterPolicy", "metadata": {"name": name},
            "spec": {"module": "m", "match": matching}});
        let document = PolicyDocument::from_json(&document).unwrap();
        let description: Description =
            serde_json::from_value(json!({"name": name, "phase": "validating", "reach": reach})).unwrap();
        let matcher = Matcher::new(&document, Some(&description)).unwrap();
        let evaluator = Err("a test asks nobody".to_owned());
        Arc::new(Policy { document, description: Some(description.into()), digest: String::new(), matcher, evaluator })
    }

    fn matches(group: &str, resources: &[&str]) -> Value {
        json!([{"apiGroups": [group], "apiVersions": ["v1"], "resources": resources}])
    }

    /// Kind, fields, keys and selector of all that is wanted, one a line.
    #[track_caller]
    fn check(policies: &[Arc<Policy>], expected: &[&str]) {
        let line = |wanted: Wanted| {
            let fields =
                serde_json::to_string(&wanted.fields).unwrap().replace(['"', '{', '}'], "").replace("fields:", "/");
            let selector = wanted.field_selector.map(|selector| format!(" only {selector}")).unwrap_or_default();
            let keys = wanted.keys.iter().map(|key| format!(" by {key}")).collect::<String>();
            let why = wanted.why.into_iter().collect::<Vec<_>>().join(",");
            format!("{} {} {fields}{keys}{selector} for [{why}]", wanted.api_version, wanted.kind)
        };
        let wanted: Vec<String> = wanted(policies).into_iter().map(line).collect();
        assert_eq!(wanted, expected);
    }

    const NAMESPACES: &str = "v1 Namespace /metadata:/labels:value for []";

    #[test]
    fn nothing_but_namespaces_is_watched_for_no_policies() {
        check(&[], &[NAMESPACES]);
    }

    #[test]
    fn look_ups_of_one_kind_are_one_watch_a_version() {
        let class = |version: &str, fields: Value, keys: Value| {
            json!({"apiVersion": format!("storage.k8s.io/{version}"), "kind": "StorageClass", "fields": {"fields": fields},
                "verbs": ["get", "list"], "keys": keys})
        };
        let reach = |lookup: Value| json!({"matches": matches("apps", &["statefulsets"]), "lookups": [lookup]});
        check(
            &[
                policy("a", reach(class("v1", json!({"provisioner": "value"}), json!(["provisioner"]))), json!({})),
                policy(
                    "b",
                    reach(class("v1", json!({"provisioner": "present", "x": "keys"}), json!(["b", "a"]))),
                    json!({}),
                ),
                policy("c", reach(class("v1beta1", json!({}), json!([]))), json!({})),
            ],
            &[
                NAMESPACES,
                "storage.k8s.io/v1 StorageClass /provisioner:value,x:keys by a by b by provisioner for [a,b]",
                "storage.k8s.io/v1beta1 StorageClass / for [c]",
            ],
        );
    }

    #[test]
    fn a_selector_narrows_a_watch_only_where_all_agree_and_none_lists() {
        let secret = |verbs: Value, selector: Option<&str>| {
            let mut lookup = json!({"apiVersion": "v1", "kind": "Secret", "fields": {"fields": {}}, "verbs": verbs});
            lookup["fieldSelector"] = json!(selector);
            json!({"matches": matches("networking.k8s.io", &["ingresses"]), "lookups": [lookup]})
        };
        let tls = Some("type=kubernetes.io/tls");
        let one = |reach: Value| policy("p", reach, json!({}));
        let narrow = "v1 Secret / only type=kubernetes.io/tls for [p]";
        let wide = "v1 Secret / for [p]";
        check(&[one(secret(json!(["get"]), tls))], &[NAMESPACES, narrow]);
        check(&[one(secret(json!(["get"]), tls)), one(secret(json!(["get"]), tls))], &[NAMESPACES, narrow]);
        check(&[one(secret(json!(["get", "list"]), tls))], &[NAMESPACES, wide]);
        check(&[one(secret(json!(["get"]), tls)), one(secret(json!(["get"]), None))], &[NAMESPACES, wide]);
        check(
            &[one(secret(json!(["get"]), tls)), one(secret(json!(["get"]), Some("type=Opaque")))],
            &[NAMESPACES, wide],
        );
        let three =
            [one(secret(json!(["get"]), tls)), one(secret(json!(["get"]), None)), one(secret(json!(["get"]), tls))];
        check(&three, &[NAMESPACES, wide]);
    }

    #[test]
    fn owners_are_watched_where_controllers_make_what_is_matched() {
        const OWNER: &str = "/metadata:/labels:value,ownerReferences:value,uid:value for [p]";
        const SET: &str = "/metadata:/labels:value,ownerReferences:value,uid:value,spec:/volumeClaimTemplates:each:/metadata:/name:value for [p]";
        let on = |group, resources: &[&str]| policy("p", json!({"matches": matches(group, resources)}), json!({}));
        check(&[on("apps", &["statefulsets"])], &[NAMESPACES]);
        check(&[on("", &["persistentvolumeclaims"])], &[NAMESPACES, &format!("apps/v1 StatefulSet {SET}")]);
        check(&[on("apps", &["replicasets"])], &[&format!("apps/v1 Deployment {OWNER}"), NAMESPACES]);
        check(
            &[on("", &["pods"])],
            &[
                &format!("batch/v1 CronJob {OWNER}"),
                &format!("apps/v1 DaemonSet {OWNER}"),
                &format!("apps/v1 Deployment {OWNER}"),
                &format!("batch/v1 Job {OWNER}"),
                NAMESPACES,
                &format!("apps/v1 ReplicaSet {OWNER}"),
                &format!("v1 ReplicationController {OWNER}"),
                &format!("apps/v1 StatefulSet {SET}"),
            ],
        );
    }

    #[test]
    fn parents_of_subresources_are_watched_where_selectors_look_at_them() {
        let scale = json!({"matches": matches("apps", &["statefulsets", "statefulsets/scale"])});
        let labels = json!({"objectSelector": {"matchLabels": {"a": "b"}}});
        check(&[policy("p", scale.clone(), json!({}))], &[NAMESPACES]);
        check(
            &[policy("p", scale.clone(), labels.clone())],
            &[NAMESPACES, "apps/v1 StatefulSet /metadata:/labels:value for [p]"],
        );
        check(
            &[policy("p", scale, json!({"where": ["$.spec.volumeClaimTemplates[*]"]}))],
            &[NAMESPACES, "apps/v1 StatefulSet value for [p]"],
        );
        let status = json!({"matches": matches("", &["persistentvolumes/status"])});
        check(&[policy("p", status, labels)], &[NAMESPACES]);
    }
}
