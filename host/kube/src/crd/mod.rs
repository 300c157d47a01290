//! The custom resources: `ClusterPolicy` and its namespaced twin `Policy`.
//!
//! Both hold the very [`PolicySpec`] that a file holds, and the schema is made
//! of that type, so a document means the same wherever it is read. What the API
//! server sends is not read into these types but parsed object by object with
//! `PolicyDocument::from_json`: one object that an older version let in must
//! not break the watch of all others. The types are what is written: the
//! definitions, and the status.

mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSONSchemaProps, ValidationRule,
};
use kube::{CustomResource, CustomResourceExt};
use portcullis_core::policy::PolicySpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::status::{
    BREAK_GLASS, DEGRADED, LOCKOUT_RISK, Loaded, MAX_LAGGING, PolicyStatus, READY, condition, set_condition,
};

/// The group of the custom resources.
pub const GROUP: &str = "portcullis.dev";
/// Their version.
pub const VERSION: &str = "v1alpha1";

/// The name of the definition of ClusterPolicy.
pub const CLUSTER_POLICIES: &str = "clusterpolicies.portcullis.dev";
/// The name of the definition of Policy.
pub const POLICIES: &str = "policies.portcullis.dev";

/// A custom resource that is a [`PolicySpec`], with all that both kinds share.
macro_rules! kind_of_policy {
    ($(#[$doc:meta])* $spec:ident: kind = $kind:tt, plural = $plural:tt, shortname = $short:tt, doc = $text:tt $(, $($more:tt)+)?) => {
        $(#[$doc])*
        #[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[kube(
            group = "portcullis.dev",
            version = "v1alpha1",
            kind = $kind,
            plural = $plural,
            shortname = $short,
            category = "portcullis",
            status = "PolicyStatus",
            derive = "PartialEq",
            doc = $text,
            label("app.kubernetes.io/name", "portcullis")
            $(, $($more)+)?
        )]
        pub struct $spec(pub PolicySpec);
    };
}

kind_of_policy! {
    /// A policy of the whole cluster.
    ClusterPolicySpec:
    kind = "ClusterPolicy",
    plural = "clusterpolicies",
    shortname = "pcp",
    doc = "A policy that judges, or edits, what is written to the cluster"
}

kind_of_policy! {
    /// A policy of one namespace.
    NamespacedPolicySpec:
    kind = "Policy",
    plural = "policies",
    shortname = "pp",
    doc = "A policy that judges what is written to its own namespace",
    namespaced,
    root = "NamespacedPolicy"
}

/// What kubectl shows: name, type, path, and whether only `-o wide` shows it.
const COLUMNS: [(&str, &str, &str, bool); 8] = [
    ("Ready", "string", r#".status.conditions[?(@.type=="Ready")].status"#, false),
    ("Actions", "string", ".spec.validationActions", false),
    ("Module", "string", ".spec.module", false),
    ("Policy", "string", ".spec.policy", false),
    ("Failure", "string", ".spec.failurePolicy", true),
    ("Replicas", "string", ".status.replicas", true),
    ("Matches", "string", ".status.matches", true),
    ("Age", "date", ".metadata.creationTimestamp", false),
];

/// A rule of the API server's own on a whole object.
struct Rule {
    rule: &'static str,
    message: &'static str,
}

/// A name becomes part of paths, log lines and warnings, one segment each.
const NAME: Rule = Rule {
    rule: "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
    message: "metadata.name is a DNS-1123 label: at most 63 of a-z, 0-9 and -, not at an end",
};
/// Under Ignore it would say nothing.
const FAIL_CLOSED: Rule = Rule {
    rule: "!self.spec.failClosedClusterScoped || self.spec.failurePolicy == 'Fail'",
    message: "spec.failClosedClusterScoped says nothing under failurePolicy Ignore, which lets pass what no replica judges; leave it out, or write Fail",
};
/// What lies outside its namespace is not a tenant's to judge.
const NAMESPACED_RULES: [Rule; 3] = [
    Rule {
        rule: "!self.spec.failClosedClusterScoped",
        message: "a Policy judges its own namespace, where nothing is cluster-scoped; spec.failClosedClusterScoped belongs to a ClusterPolicy",
    },
    Rule {
        rule: "!has(self.spec.match) || !has(self.spec.match.resourceRules) \
               || self.spec.match.resourceRules.all(r, !has(r.scope) || r.scope != 'Cluster')",
        message: "a Policy judges its own namespace, where nothing is cluster-scoped; a rule of scope Cluster needs a ClusterPolicy",
    },
    Rule {
        rule: "!has(self.spec.match) || !has(self.spec.match.resourceRules) \
               || self.spec.match.resourceRules.all(r, !('' in r.apiGroups && 'namespaces' in r.resources))",
        message: "a Policy judges what lies in its namespace, not the Namespace itself, which is cluster-scoped; that needs a ClusterPolicy",
    },
];

/// The definitions of both kinds, as they are installed.
#[must_use]
pub fn definitions() -> [CustomResourceDefinition; 2] {
    let mut of_cluster = ClusterPolicy::crd();
    complete(&mut of_cluster, &[NAME, FAIL_CLOSED]);
    let mut of_namespace = NamespacedPolicy::crd();
    let [fail_closed, scope, namespaces] = NAMESPACED_RULES;
    complete(&mut of_namespace, &[NAME, fail_closed, scope, namespaces]);
    [of_cluster, of_namespace]
}

/// Adds what both kinds share, and rules on the whole object.
fn complete(definition: &mut CustomResourceDefinition, rules: &[Rule]) {
    let columns = COLUMNS.iter().map(|(name, type_, path, only_wide)| CustomResourceColumnDefinition {
        name: (*name).to_owned(),
        type_: (*type_).to_owned(),
        json_path: (*path).to_owned(),
        priority: only_wide.then_some(1),
        ..CustomResourceColumnDefinition::default()
    });
    let columns: Vec<CustomResourceColumnDefinition> = columns.collect();
    for version in &mut definition.spec.versions {
        version.additional_printer_columns = Some(columns.clone());
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(JSONSchemaProps { x_kubernetes_validations, .. }) = schema {
            let rules = rules.iter().map(|rule| ValidationRule {
                rule: rule.rule.to_owned(),
                message: Some(rule.message.to_owned()),
                ..ValidationRule::default()
            });
            x_kubernetes_validations.get_or_insert_default().extend(rules);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use portcullis_core::policy::{API_VERSION, PolicyDocument};
    use serde_json::{Value, json};

    use super::*;

    fn schema(definition: &CustomResourceDefinition, path: &str) -> Value {
        let definition = serde_json::to_value(definition).unwrap();
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].pointer(path).cloned().unwrap_or_default()
    }

    #[test]
    fn both_kinds_have_one_schema_of_spec_and_status() {
        let [of_cluster, of_namespace] = definitions();
        for part in ["/properties/spec/properties", "/properties/spec/required", "/properties/status"] {
            assert!(!schema(&of_cluster, part).is_null(), "{part}");
            assert_eq!(schema(&of_cluster, part), schema(&of_namespace, part), "{part}");
        }
    }

    #[test]
    fn names_are_those_of_the_definitions() {
        for (definition, name) in definitions().iter().zip([CLUSTER_POLICIES, POLICIES]) {
            assert_eq!(definition.metadata.name.as_deref(), Some(name));
            assert_eq!((definition.spec.group.as_str(), definition.spec.versions[0].name.as_str()), (GROUP, VERSION));
        }
    }

    #[test]
    fn the_defaults_are_those_of_a_file() {
        let [definition, _] = definitions();
        let Value::Object(fields) = schema(&definition, "/properties/spec/properties") else { panic!("an object") };
        let mut spec = json!({"module": "builtin/storage"});
        for (name, field) in fields {
            if let Some(default) = field.get("default") {
                spec[name] = default.clone();
            }
        }
        assert_eq!(spec["timeout"], "200ms");
        assert_eq!(spec["memory"], "64Mi");
        let document = |spec: Value| json!({"apiVersion": API_VERSION, "kind": "ClusterPolicy", "metadata": {"name": "p"}, "spec": spec});
        let read = |spec: Value| PolicyDocument::from_json(&document(spec)).unwrap();
        assert_eq!(read(spec), read(json!({"module": "builtin/storage"})));
    }

    #[test]
    fn what_the_api_server_returns_is_a_document() {
        let object = json!({
            "apiVersion": API_VERSION, "kind": "Policy",
            "metadata": {
                "name": "p", "namespace": "shop", "uid": "1", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": {
                "module": "builtin/storage", "settings": {"a": null}, "validationActions": ["Deny"], "failurePolicy": "Fail",
                "onUndecided": "Warn", "order": 100, "timeout": "200ms", "memory": 67_108_864, "policy": null,
                "match": {"resourceRules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets"], "operations": ["*"], "scope": "*",
                }]},
            },
            "status": {"observedGeneration": 2, "conditions": []},
        });
        let document = PolicyDocument::from_json(&object).unwrap();
        assert_eq!(document.id.to_string(), "shop/p");
    }
}
