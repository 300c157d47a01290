//! Policy objects of a cluster to policies: what a start falls back to, what an
//! object may load, and what a namespaced one may not.

use std::sync::Arc;

use portcullis::store::{Loaded, MAX_TENANT_POLICIES, ObjectSource, Sources, Store};
use portcullis_core::policy::PolicyId;
use portcullis_kube::{PolicyObject, PolicyVersion};
use serde_json::{Value, json};

use super::documents::ENGINE;

fn object(namespace: Option<&str>, name: &str, generation: i64, spec: Value, status: Value) -> Arc<PolicyObject> {
    let kind = if namespace.is_some() { "Policy" } else { "ClusterPolicy" };
    let mut metadata = json!({"name": name, "uid": format!("uid-{name}"), "generation": generation});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    Arc::new(PolicyObject {
        id: PolicyId { namespace: namespace.map(str::to_owned), name: name.to_owned() },
        version: PolicyVersion { uid: format!("uid-{name}"), generation },
        created: format!("2026-01-01T00:00:{:02}Z", generation % 60),
        document: json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, "status": status}),
    })
}

fn spec(module: &str) -> Value {
    json!({"module": module, "policy": "database-remote-storage"})
}

fn load(source: ObjectSource, objects: &[Arc<PolicyObject>]) -> (Store, Loaded) {
    let mut store = Store::new(Sources::of_cluster(source), ENGINE.clone());
    store.take_objects(objects.to_vec());
    let loaded = store.load();
    (store, loaded)
}

/// Which generation runs, and why the newest doesn't.
fn outcome(loaded: &Loaded, name: &str) -> (Option<i64>, String) {
    let (_, outcome) = loaded.objects.iter().find(|(id, _)| id.name == name).unwrap();
    (outcome.runs, outcome.problem.clone().unwrap_or_default())
}

#[test]
fn a_start_beside_a_broken_version_runs_the_last_that_loaded() {
    let wrong = json!({"module": "builtin/storage", "policy": "database-remote-storage", "settings": {"no": 1}});
    let status = json!({"loaded": {"generation": 4, "digest": "d", "spec": spec("builtin/storage")}});
    let (mut store, loaded) = load(ObjectSource::default(), &[object(None, "p", 5, wrong.clone(), status.clone())]);
    let (runs, problem) = outcome(&loaded, "p");
    assert_eq!(runs, Some(4));
    assert!(problem.contains("spec.settings.no"), "{problem}");
    assert!(loaded.policies.iter().all(|policy| policy.evaluator.is_ok()));
    // Put right, the newest runs.
    store.take_objects(vec![object(None, "p", 6, spec("builtin/storage"), status)]);
    assert_eq!(outcome(&store.load(), "p"), (Some(6), String::new()));
    // Without anything to fall back to, none does.
    let (_, loaded) = load(ObjectSource::default(), &[object(None, "p", 5, wrong, json!({}))]);
    assert_eq!(outcome(&loaded, "p").0, None);
}

#[test]
fn an_object_loads_what_is_built_in_or_mounted_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = || ObjectSource { modules: Some(folder.path().to_owned()), ..ObjectSource::default() };
    for (source, module, expected) in [
        (ObjectSource::default(), "./policy.wasm", "no folder of modules (--modules)"),
        (mounted(), "./policy.wasm", "can't be read"),
        (mounted(), "../policy.wasm", "in the folder of modules"),
        (mounted(), "./a/../../policy.wasm", "in the folder of modules"),
        (mounted(), "/etc/passwd", "in the folder of modules"),
        (mounted(), "oci://registry.example.com/policy@sha256:00", "loads builtin/NAME and files"),
        (mounted(), "builtin/nothing", "built in are"),
    ] {
        let (_, loaded) = load(source, &[object(None, "p", 1, spec(module), json!({}))]);
        let (runs, problem) = outcome(&loaded, "p");
        assert!(runs.is_none() && problem.contains(expected), "{module}: {problem}");
    }
}

#[test]
fn a_namespaced_policy_stays_in_its_namespace_and_leaves_room() {
    let workloads =
        json!([{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets"], "scope": "Namespaced"}]);
    let narrowed = |module: &str| {
        let mut spec = spec(module);
        spec["match"] = json!({"resourceRules": workloads});
        spec
    };
    let mutating =
        json!({"module": "builtin/storage", "policy": "default-storage-class", "match": {"resourceRules": workloads}});
    let of = |name: &str, generation, spec| object(Some("shop"), name, generation, spec, json!({}));
    let (_, loaded) = load(
        ObjectSource::default(),
        &[
            of("fine", 1, narrowed("builtin/storage")),
            of("everything", 1, spec("builtin/storage")),
            of("edits", 1, mutating),
        ],
    );
    assert_eq!(outcome(&loaded, "fine"), (Some(1), String::new()));
    let (runs, problem) = outcome(&loaded, "everything");
    assert!(runs.is_none() && problem.contains("live in no namespace"), "{problem}");
    let (runs, problem) = outcome(&loaded, "edits");
    assert!(runs.is_none() && problem.contains("--tenant-mutation"), "{problem}");

    let generation = |number: usize| i64::try_from(number).unwrap();
    let many: Vec<_> = (0..=MAX_TENANT_POLICIES)
        .map(|number| of(&format!("p-{number}"), generation(number) + 1, narrowed("builtin/storage")))
        .collect();
    let (_, loaded) = load(ObjectSource::default(), &many);
    let refused = loaded.objects.iter().filter(|(_, outcome)| outcome.runs.is_none());
    let refused: Vec<&str> = refused.map(|(id, _)| id.name.as_str()).collect();
    assert_eq!(refused, ["p-20"], "the newest");
}
