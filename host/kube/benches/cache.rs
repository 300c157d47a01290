//! What the watch cache costs: memory of 10,000 objects of 4 KB, and the host's
//! time for a look-up in them, as a policy makes it (through `Scoped`).
//!
//! `cargo bench -p portcullis-kube --bench cache`. Memory is said before the
//! times: of the texts as the cache counts them, and of the process.

use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use kube::{Client, Config};
use portcullis_core::cluster::{Answer, Budget, ClusterView, ObjectName, Query, Scoped};
use portcullis_core::contract::{Lookup, Verb};
use portcullis_core::view::Tree;
use portcullis_kube::cache::{Cache, CacheConfig, CacheView, Wanted};
use serde_json::json;
use tokio::runtime::Runtime;

const OBJECTS: usize = 10_000;
const NAMESPACES: usize = 100;
const KEY: &str = "spec.template.spec.volumes[*].persistentVolumeClaim.claimName";

/// A StatefulSet as an API server sends it, of about 4 KB.
fn object(number: usize) -> String {
    let container = |index: usize| {
        json!({"name": format!("mongo-{index}"), "image": format!("registry.example/library/mongo:7.0.{index}"),
            "args": ["--replSet", "rs0", "--bind_ip_all"],
            "env": (0..8).map(|n| json!({"name": format!("SETTING_{n}"), "value": format!("a value {n} of {number}")})).collect::<Vec<_>>(),
            "resources": {"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data/db"}], "imagePullPolicy": "IfNotPresent",
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})
    };
    let owned: serde_json::Map<_, _> = (0..24).map(|n| (format!("f:field-{n}"), json!({".": {}}))).collect();
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": format!("set-{number}"), "namespace": format!("team-{}", number % NAMESPACES),
            "uid": format!("7d0c9f6e-6a3c-4c4e-9d53-{number:012}"), "resourceVersion": number.to_string(),
            "labels": {"app": format!("app-{number}"), "team": format!("team-{}", number % NAMESPACES), "tier": "db"},
            "annotations": {"description": "x".repeat(200)},
            "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": owned}]},
        "spec": {"replicas": 3, "serviceName": format!("set-{number}"), "selector": {"matchLabels": {"app": "mongo"}},
            "template": {"metadata": {"labels": {"app": "mongo"}}, "spec": {
                "containers": (0..3).map(container).collect::<Vec<_>>(),
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": format!("claim-{number}")}}]}}},
        "status": {"replicas": 3, "readyReplicas": 3, "currentRevision": format!("set-{number}-7f9d"), "collisionCount": 0}})
    .to_string()
}

/// What the policies of the library read of a StatefulSet: names, images and volumes.
fn narrow() -> Tree {
    serde_json::from_value(
        json!({"fields": {"metadata": {"fields": {"name": "value", "namespace": "value", "labels": "value"}},
        "spec": {"fields": {"serviceName": "value", "replicas": "value", "template": {"fields": {"spec": {"fields": {
            "containers": {"each": {"fields": {"name": "value", "image": "value"}}}, "volumes": "value"}}}}}}}}),
    )
    .expect("a tree")
}

fn wanted(fields: Tree) -> Wanted {
    Wanted { fields, keys: vec![KEY.to_owned()], ..Wanted::of("apps/v1", "StatefulSet") }
}

/// What the process holds of the machine's memory, in bytes; Linux.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<usize>().ok());
    kilobytes.unwrap_or_default() * 1024
}

/// A view of all objects, and a line on what it takes.
fn filled(cache: &Arc<Cache>, name: &str, fields: Tree) -> Arc<CacheView> {
    let given: Vec<String> = (0..OBJECTS).map(object).collect();
    let sent: usize = given.iter().map(String::len).sum();
    let before = resident();
    let view = cache.given([(wanted(fields), &given)]);
    let grown = resident().saturating_sub(before);
    let stats = &view.kinds()[0];
    println!(
        "{name}: {} objects of {} bytes; {:.1} MB of text kept, the process grew by {:.1} MB",
        stats.objects,
        sent / OBJECTS,
        stats.bytes as f64 / 1e6,
        grown as f64 / 1e6,
    );
    view
}

fn scoped(view: &Arc<CacheView>) -> Scoped {
    let lookup = Lookup {
        api_version: "apps/v1".to_owned(),
        kind: "StatefulSet".to_owned(),
        fields: narrow(),
        verbs: vec![Verb::Get, Verb::List],
        keys: vec![KEY.to_owned()],
        field_selector: None,
        optional: false,
    };
    let view: Arc<dyn ClusterView> = view.clone();
    Scoped::new(view, [lookup].into(), budget())
}

fn budget() -> Arc<Budget> {
    Arc::new(Budget::until(Instant::now() + Duration::from_secs(600)))
}

fn name(number: usize) -> ObjectName {
    ObjectName {
        api_version: "apps/v1".to_owned(),
        kind: "StatefulSet".to_owned(),
        namespace: Some(format!("team-{}", number % NAMESPACES)),
        name: format!("set-{number}"),
    }
}

fn query(key: Option<String>, selector: Option<String>) -> Query {
    Query {
        api_version: "apps/v1".to_owned(),
        kind: "StatefulSet".to_owned(),
        namespace: Some("team-7".to_owned()),
        label_selector: selector,
        key: key.map(|value| (KEY.to_owned(), value)),
        limit: 100,
    }
}

fn look_ups(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    // Nobody listens there: a look-up that finds its object asks nobody.
    let config = Config::new("https://127.0.0.1:1".parse().expect("an address"));
    let cache = Cache::new(Client::try_from(config).expect("a client"), CacheConfig::default());
    let narrow_view = filled(&cache, "what policies read", narrow());
    let whole_view = filled(&cache, "whole", Tree::Value);

    for (kept, view) in [("what policies read", &narrow_view), ("whole", &whole_view)] {
        let mut group = criterion.benchmark_group(format!("kept {kept}"));
        let names: Vec<ObjectName> = (0..64).map(|number| name(number * 151)).collect();
        let own = budget();
        group.bench_function("get, memory alone", |bencher| {
            let mut next = names.iter().cycle();
            bencher.to_async(&runtime).iter(|| {
                let name = next.next().expect("a cycle has no end");
                let (view, own) = (view.clone(), own.clone());
                async move { assert!(matches!(black_box(view.get(name, &own).await), Answer::Found(_))) }
            });
        });
        // A review makes at most 256 look-ups, so each has a scope of its own, as a review has.
        group.bench_function("get, as a policy", |bencher| {
            let mut next = names.iter().cycle();
            bencher.to_async(&runtime).iter_batched(
                || (scoped(view), next.next().expect("a cycle has no end")),
                |(scoped, name)| async move {
                    assert!(matches!(black_box(scoped.get(name).await), Ok(Answer::Found(_))));
                },
                criterion::BatchSize::SmallInput,
            );
        });
        for (what, query) in [
            ("list by key, as a policy", query(Some("claim-107".to_owned()), None)),
            ("list by label, as a policy", query(None, Some("app=app-107".to_owned()))),
        ] {
            let query = &query;
            group.bench_function(what, |bencher| {
                bencher.to_async(&runtime).iter_batched(
                    || scoped(view),
                    |scoped| async move {
                        let listing = black_box(scoped.list(query).await).expect("declared");
                        assert_eq!(listing.items.len(), 1);
                    },
                    criterion::BatchSize::SmallInput,
                );
            });
        }
    }
}

criterion_group!(benches, look_ups);
criterion_main!(benches);
