//! The custom resources as a real API server takes them: the definitions, what
//! they refuse and in which words, what kubectl shows, and that a document means
//! in the cluster what it means in a file.

use portcullis_cluster::{Cluster, workspace_root};
use portcullis_core::policy::{API_VERSION, PolicyDocument};
use portcullis_kube::crd::{PolicyStatus, definitions};
use serde_json::{Value, json};

/// All in one test: a control plane takes seconds.
#[test]
fn custom_resources_are_taken_refused_shown_and_mean_the_same() {
    let cluster = Cluster::start();
    install(&cluster);
    mistakes_are_refused(&cluster);
    sets_are_taken_unchanged(&cluster);
    everything_at_once_is_taken(&cluster);
    kubectl_shows_what_matters(&cluster);
}

/// Installs the definitions and waits until they are served.
pub(crate) fn install(cluster: &Cluster) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": definitions()});
    cluster.kubectl(&["apply", "--server-side", "-f", "-"], &list.to_string());
    cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"], "");
    let there: Value = serde_json::from_str(&cluster.kubectl(&["get", "crd", "-o", "json"], "")).unwrap();
    for definition in there["items"].as_array().unwrap() {
        for condition in definition["status"]["conditions"].as_array().unwrap() {
            let kind = condition["type"].as_str().unwrap();
            assert_eq!(condition["status"] == "True", kind != "NonStructuralSchema", "{condition}");
        }
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> String {
    let mut metadata = json!({"name": name});
    if kind == "Policy" {
        metadata["namespace"] = "default".into();
    }
    json!({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}).to_string()
}

fn mistakes_are_refused(cluster: &Cluster) {
    let rule = |change: Value| {
        let mut rule = json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets"]});
        rule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({"match": {"resourceRules": [rule]}})
    };
    let selector = |requirement: Value| json!({"match": {"objectSelector": {"matchExpressions": [requirement]}}});
    let of_cluster = [
        (json!({"module": ""}), "spec.module: Invalid value", "name builtin/NAME for a module of the binary"),
        (
            json!({"module": "storage"}),
            "spec.module: Invalid value",
            "or a file of the mounted folder such as ./policy.wasm",
        ),
        (
            json!({"validationActions": []}),
            "spec.validationActions",
            "is empty; name at least one of Deny, Warn, Audit",
        ),
        (json!({"validationActions": ["Deny", "Warn"]}), "spec.validationActions", "says the same thing twice"),
        (json!({"validationActions": ["Deny", "Deny"]}), "spec.validationActions[1]", "Duplicate value"),
        (
            json!({"validationActions": ["Block"]}),
            "spec.validationActions[0]",
            "supported values: \"Deny\", \"Warn\", \"Audit\"",
        ),
        (json!({"failurePolicy": "Open"}), "spec.failurePolicy", "supported values: \"Fail\", \"Ignore\""),
        (json!({"onUndecided": "Maybe"}), "spec.onUndecided", "supported values: \"Deny\", \"Warn\", \"Allow\""),
        (json!({"timeout": "fast"}), "spec.timeout", "is no duration; write 200ms, 1s or 1.5s"),
        (json!({"timeout": "31s"}), "spec.timeout", "it lies between 1ms and 30s"),
        (json!({"timeout": "0s"}), "spec.timeout", "it lies between 1ms and 30s"),
        (json!({"memory": "64MB"}), "spec.memory", "is no amount of memory; write 64Mi"),
        (json!({"memory": "65Mi"}), "spec.memory", "it lies between 1Mi and 64Mi"),
        (json!({"memory": 5}), "spec.memory", "it lies between 1Mi and 64Mi"),
        (json!({"settings": []}), "spec.settings", "must be of type object"),
        (json!({"match": {"where": ["spec.replicas"]}}), "spec.match.where[0]", "is no JSONPath (RFC 9535)"),
        (
            json!({"match": {"exclude": {"namespaces": ["kube-*"]}}}),
            "spec.match.exclude.namespaces[0]",
            "patterns aren't known here",
        ),
        (
            json!({"match": {"exclude": {"serviceAccounts": ["robot"]}}}),
            "spec.match.exclude.serviceAccounts[0]",
            "write namespace/name",
        ),
        (rule(json!({"resources": []})), "spec.match.resourceRules[0].resources", "should have at least 1 items"),
        (
            rule(json!({"operations": ["WRITE"]})),
            "spec.match.resourceRules[0].operations[0]",
            "supported values: \"CREATE\"",
        ),
        (
            rule(json!({"scope": "Namespace"})),
            "spec.match.resourceRules[0].scope",
            "supported values: \"Cluster\", \"Namespaced\", \"*\"",
        ),
        (
            selector(json!({"key": "a", "operator": "In"})),
            "spec.match.objectSelector.matchExpressions[0]",
            "In and NotIn need values",
        ),
        (
            selector(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
            "spec.match.objectSelector.matchExpressions[0]",
            "Exists and DoesNotExist take no values",
        ),
    ];
    let refused = |kind: &str, name: &str, change: &Value, parts: [&str; 2]| {
        let mut spec = json!({"module": "builtin/storage"});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let said = cluster.kubectl_refused(&["create", "-f", "-"], &object(kind, name, &spec));
        for part in parts {
            assert!(said.contains(part), "{change} is refused without {part:?}:\n{said}");
        }
    };
    for (change, path, message) in &of_cluster {
        refused("ClusterPolicy", "wrong", change, [path, message]);
        refused("Policy", "wrong", change, [path, message]);
    }
    for name in ["a.b", &"a".repeat(64)] {
        refused("ClusterPolicy", name, &json!({}), ["metadata.name is a DNS-1123 label", "Invalid value"]);
    }
    let ignored = json!({"failurePolicy": "Ignore", "failClosedClusterScoped": true});
    refused("ClusterPolicy", "wrong", &ignored, ["says nothing under failurePolicy Ignore", "Invalid value"]);
    let namespaced = [
        (json!({"failClosedClusterScoped": true}), "spec.failClosedClusterScoped belongs to a ClusterPolicy"),
        (rule(json!({"scope": "Cluster"})), "a rule of scope Cluster needs a ClusterPolicy"),
        (rule(json!({"apiGroups": [""], "resources": ["namespaces"]})), "not the Namespace itself"),
    ];
    for (change, message) in &namespaced {
        refused("Policy", "wrong", change, [message, "Invalid value"]);
    }
    let unknown = cluster.kubectl_refused(
        &["create", "--validate=strict", "-f", "-"],
        &object("ClusterPolicy", "wrong", &json!({"module": "builtin/storage", "match": {"excludes": {}}})),
    );
    assert!(unknown.contains("unknown field \"spec.match.excludes\""), "{unknown}");
}

/// The documents that come with the program, under strict validation.
fn sets_are_taken_unchanged(cluster: &Cluster) {
    let folder = workspace_root().join("policies/bundle/sets");
    let mut sets = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path().display().to_string();
        let documents = stream(&cluster.kubectl(&["create", "--dry-run=client", "-o", "json", "-f", &file], ""));
        cluster.kubectl(&["create", "--validate=strict", "-f", &file], "");
        let objects = items(&cluster.kubectl(&["get", "clusterpolicies", "-o", "json"], ""));
        assert_eq!(documents.len(), objects.len());
        for document in &documents {
            let there = objects.iter().find(|one| one["metadata"]["name"] == document["metadata"]["name"]).unwrap();
            assert_eq!(PolicyDocument::from_json(there).unwrap(), PolicyDocument::from_json(document).unwrap());
        }
        cluster.kubectl(&["delete", "--wait", "-f", &file], "");
        sets += 1;
    }
    assert!(sets >= 2);
}

/// Every field in a form that isn't its default, twice by apply.
fn everything_at_once_is_taken(cluster: &Cluster) {
    let spec = json!({
        "module": "./policy.wasm", "policy": "x", "settings": {"a": {"b": [1, null]}, "c": null},
        "validationActions": ["Warn", "Audit"], "failurePolicy": "Ignore", "failClosedClusterScoped": false, "onUndecided": "Deny", "order": -5,
        "timeout": "1.5s", "memory": 33_554_432,
        "match": {
            "resourceRules": [{
                "apiGroups": ["", "apps"], "apiVersions": ["*"], "resources": ["pods", "*/scale"], "operations": ["CREATE"],
                "scope": "Namespaced",
            }],
            "namespaceSelector": {"matchLabels": {"a": "b"}},
            "objectSelector": {"matchExpressions": [
                {"key": "a.io/b", "operator": "NotIn", "values": ["c"]}, {"key": "d", "operator": "Exists"},
            ]},
            "exclude": {"namespaces": ["x"], "users": ["u"], "groups": ["g:h"], "serviceAccounts": ["n/s"]},
            "where": ["$.spec.volumeClaimTemplates[*]"],
        },
    });
    for kind in ["ClusterPolicy", "Policy"] {
        let text = object(kind, "full", &spec);
        let document = PolicyDocument::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
        let mut versions = Vec::new();
        for _ in 0..2 {
            cluster.kubectl(&["apply", "--server-side", "--validate=strict", "-f", "-"], &text);
            let there = cluster.kubectl(&["get", &format!("{kind}.portcullis.dev"), "full", "-o", "json"], "");
            let there: Value = serde_json::from_str(&there).unwrap();
            assert_eq!(there["spec"], spec, "nothing is pruned");
            assert_eq!(PolicyDocument::from_json(&there).unwrap(), document);
            versions.push(there["metadata"]["resourceVersion"].clone());
        }
        assert_eq!(versions[0], versions[1], "an apply of the same changes nothing");
    }
}

fn kubectl_shows_what_matters(cluster: &Cluster) {
    let mut status = PolicyStatus { observed_generation: Some(1), ..PolicyStatus::default() };
    status.set_replicas(3, vec!["portcullis-b".to_owned()]);
    status.set_ready(Some(false), "Loading", "portcullis-b doesn't run it yet");
    status.set_degraded(false, "Running", "");
    status.module_digest = Some("0".repeat(64));
    status.matches = Some("pods".to_owned());
    status.loaded = serde_json::from_value(json!({
        "generation": 1, "digest": "x", "spec": {"module": "./policy.wasm", "settings": {"a": [1, null]}},
    }))
    .unwrap();
    let patch = json!({"status": &status}).to_string();
    cluster.kubectl(&["patch", "pcp", "full", "--subresource=status", "--type=merge", "-p", &patch], "");
    let there: Value = serde_json::from_str(&cluster.kubectl(&["get", "pcp", "full", "-o", "json"], "")).unwrap();
    let read: PolicyStatus = serde_json::from_value(there["status"].clone()).unwrap();
    assert_eq!(read.loaded, status.loaded);
    assert_eq!(serde_json::to_value(&read).unwrap(), there["status"], "nothing is pruned");
    PolicyDocument::from_json(&there).unwrap();

    let columns = |arguments: &[&str]| {
        let shown = cluster.kubectl(arguments, "");
        let mut lines = shown.lines();
        let heads = lines.next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        (heads, lines.next().unwrap().split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let (heads, row) = columns(&["get", "pcp"]);
    assert_eq!(heads, "NAME READY ACTIONS MODULE POLICY AGE");
    assert!(row.starts_with("full False [\"Warn\",\"Audit\"] ./policy.wasm x "), "{row}");
    let (heads, row) = columns(&["get", "clusterpolicies.portcullis.dev", "-o", "wide"]);
    assert_eq!(heads, "NAME READY ACTIONS MODULE POLICY FAILURE REPLICAS MATCHES AGE");
    assert!(row.contains(" x Ignore 2/3 pods "), "{row}");
    let (_, row) = columns(&["get", "pp"]);
    assert!(row.starts_with("full [\"Warn\",\"Audit\"] ./policy.wasm x "), "no status yet: {row}");
    let all = cluster.kubectl(&["get", "portcullis", "-A", "-o", "name"], "");
    assert_eq!(all.lines().count(), 2, "{all}");
}

/// What kubectl prints of several documents.
fn stream(text: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(text).into_iter().map(Result::unwrap).collect()
}

fn items(list: &str) -> Vec<Value> {
    let list: Value = serde_json::from_str(list).unwrap();
    list["items"].as_array().unwrap().clone()
}
