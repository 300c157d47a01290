//! What each step of a review costs, with the built-in policies: decode,
//! matching, projection, the review in its fresh instance, encode, and all of it;
//! what it gives to ask the policies of one module in one call, and what look-ups add.
//!
//! `cargo bench -p portcullis-tests --bench review`. `core/benches/json.rs` has
//! the yardsticks of parsing, `engine/benches/instance.rs` the bare instance; the
//! load run (`tests/load/run.sh`) measures the whole server.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may fail, and the macro documents nothing")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::future::BoxFuture;
use portcullis::store::{self, Sources};
use portcullis_core::admit::{Origin, Owner, Policy, Request, Selection, Snapshot, admit};
use portcullis_core::cluster::{Budget, Scoped};
use portcullis_core::contract::{Operation, Phase};
use portcullis_core::evaluate::{Call, Evaluate, Evaluation};
use portcullis_core::json::Document;
use portcullis_core::matching::{Matcher, NamespaceLabels, Selectable, Target};
use portcullis_core::objects::Objects;
use portcullis_core::review::{Response, Review, encode};
use portcullis_core::selector::Labels;
use portcullis_core::view::project;
use portcullis_engine::{Engine, EngineConfig};
use portcullis_kube::cache::{Cache, CacheConfig, CacheView, Wanted, wanted};
use portcullis_kube::client;
use serde_json::{Value, json};

const CLASS: &str = r#"{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"standard"},"provisioner":"pd.csi.storage.gke.io"}"#;

/// A StatefulSet's review of about so many bytes; an annotation that nothing
/// reads takes the rest of the room.
fn body(bytes: usize) -> String {
    let container = json!({
        "name": "mongo", "image": "docker.io/bitnami/mongodb:7.0.5", "ports": [{"name": "mongo", "containerPort": 27017}],
        "env": [{"name": "MONGODB_ROOT_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mongo", "key": "password"}}}],
        "volumeMounts": [{"name": "data", "mountPath": "/bitnami/mongodb"}],
    });
    let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard"}});
    let mut review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "name": "mongo", "namespace": "shop",
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
        "userInfo": {"username": "admin", "groups": ["system:masters"]},
        "object": {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "mongo", "namespace": "shop", "annotations": {"x": ""}},
            "spec": {"replicas": 3, "serviceName": "mongo", "template": {"spec": {"containers": [container]}}, "volumeClaimTemplates": [claim]}},
        "oldObject": Value::Null, "dryRun": false,
    }});
    let room = bytes.saturating_sub(review.to_string().len());
    review["request"]["object"]["metadata"]["annotations"]["x"] = "y".repeat(room).into();
    review.to_string()
}

fn snapshot() -> Snapshot {
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let loaded = store::load(&Sources::of_flags(&[]), &engine);
    assert!(loaded.problems.is_empty());
    Snapshot {
        policies: loaded.policies,
        cluster: Arc::new(Objects::new([CLASS.to_owned()], true)),
        tenants: Default::default(),
    }
}

fn policy(snapshot: &Snapshot) -> &Policy {
    snapshot.policies.iter().find(|policy| policy.document.id.name == "database-remote-storage").unwrap()
}

fn steps(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let snapshot = snapshot();
    let policy = policy(&snapshot);
    let body = body(4_000);
    let document = Document::parse(body.as_bytes()).unwrap();
    let review = Review::decode(&document).unwrap();
    let object = review.object.unwrap();
    let description = policy.description.as_ref().unwrap();
    let read = description.reach.reads.iter().find(|read| read.kind == "StatefulSet").unwrap();
    let tree = read.object.as_ref().unwrap();
    let projected = project(object, tree);
    let attributes = review.attributes(Origin::Admission, None);

    let mut group = criterion.benchmark_group("4 KB");
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let document = Document::parse(black_box(body.as_bytes())).unwrap();
            black_box(Review::decode(&document).unwrap().uid.len())
        });
    });
    group.bench_function("matching", |bencher| {
        let namespace = NamespaceLabels::Known(Labels::new());
        bencher.iter(|| {
            let target = Target {
                group: "apps",
                version: "v1",
                resource: "statefulsets",
                subresource: None,
                operation: Operation::Create,
                namespace: "shop",
                is_namespace: false,
            };
            let rules = policy.matcher.rules(black_box(target));
            (
                rules,
                policy.matcher.excludes(target, &review.user),
                policy.matcher.selects(&namespace, &Selectable::Objects(vec![object])),
            )
        });
    });
    group.bench_function("projection", |bencher| bencher.iter(|| project(black_box(object), tree)));
    group.bench_function("review", |bencher| {
        let evaluator = policy.evaluator.as_ref().unwrap();
        bencher.to_async(&runtime).iter(|| async {
            let deadline = Instant::now() + Duration::from_secs(10);
            let cluster = Arc::new(Scoped::new(
                snapshot.cluster.clone(),
                description.reach.lookups.clone().into(),
                Arc::new(Budget::until(deadline)),
            ));
            let call = Call {
                operation: Operation::Create,
                object: Some(&projected),
                old_object: None,
                attributes: &attributes,
                now: Duration::ZERO,
                deadline,
                cluster,
                may_log: true,
            };
            evaluator.evaluate(call).await.outcome.unwrap()
        });
    });
    group.bench_function("encode", |bencher| {
        let response = Response { allowed: true, warnings: vec!["p/r: a warning".to_owned()], ..Response::default() };
        bencher.iter(|| encode("admission.k8s.io/v1", "705ab4f5-6393-11e8-b7cc-42010a800002", black_box(&response)));
    });
    group.finish();
}

fn whole(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let snapshot = snapshot();
    let mut group = criterion.benchmark_group("admit");
    for (name, bytes, phase) in [
        ("validate 4 KB", 4_000, Phase::Validating),
        ("validate 100 KB", 100_000, Phase::Validating),
        ("mutate 3 KB", 3_000, Phase::Mutating),
    ] {
        let body = body(bytes);
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let request = Request {
                    selection: Selection { phase, group: None, owner: Owner::Cluster },
                    body: body.as_bytes(),
                    arrived: Instant::now(),
                    deadline: Instant::now() + Duration::from_secs(10),
                    now: Duration::ZERO,
                    origin: Origin::Admission,
                };
                admit(&snapshot, request).await.unwrap()
            });
        });
    }
    group.finish();
}

/// Never asked beside others.
struct Alone(Arc<dyn Evaluate>);

impl Evaluate for Alone {
    fn evaluate<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Evaluation> {
        self.0.evaluate(call)
    }
}

/// The same policies, each in an instance of its own.
fn alone(policies: &[Arc<Policy>]) -> Vec<Arc<Policy>> {
    let one = |policy: &Arc<Policy>| {
        let document = policy.document.clone();
        let description = policy.description.as_deref().unwrap().clone();
        let evaluator: Arc<dyn Evaluate> = Arc::new(Alone(policy.evaluator.clone().unwrap()));
        Arc::new(Policy {
            matcher: Matcher::new(&document, Some(&description)).unwrap(),
            document,
            description: Some(description.into()),
            digest: policy.digest.clone(),
            evaluator: Ok(evaluator),
        })
    };
    policies.iter().map(one).collect()
}

/// So many documents of one policy, each with a name of its own.
fn copies(count: usize) -> Vec<Arc<Policy>> {
    let document = |number: usize| {
        json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": format!("copy-{number}")},
               "spec": {"module": "builtin/storage", "policy": "database-remote-storage"}})
        .to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policies.yaml");
    std::fs::write(&file, (0..count).map(document).collect::<Vec<_>>().join("\n---\n")).unwrap();
    let loaded = store::load(&Sources::of_flags(&[file]), &Engine::new(EngineConfig::default()).unwrap());
    assert!(loaded.problems.is_empty());
    loaded.policies
}

/// What it gives to ask the policies of one module in one call.
fn together(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let body = body(4_000);
    let mut sets: Vec<(String, Vec<Arc<Policy>>)> =
        [2, 4, 8].map(|count| (format!("{count} copies"), copies(count))).into();
    sets.push(("the built-in set".to_owned(), snapshot().policies));
    let mut group = criterion.benchmark_group("together");
    for (name, policies) in sets {
        for (how, policies) in [("each alone", alone(&policies)), ("in one call", policies)] {
            let cluster = Arc::new(Objects::new([CLASS.to_owned()], true));
            let snapshot = Snapshot { policies, cluster, tenants: Default::default() };
            group.bench_function(format!("{name}, {how}"), |bencher| {
                bencher.to_async(&runtime).iter(|| async {
                    let request = Request {
                        selection: Selection { phase: Phase::Validating, group: None, owner: Owner::Cluster },
                        body: body.as_bytes(),
                        arrived: Instant::now(),
                        deadline: Instant::now() + Duration::from_secs(10),
                        now: Duration::ZERO,
                        origin: Origin::Admission,
                    };
                    admit(&snapshot, request).await.unwrap()
                });
            });
        }
    }
    group.finish();
}

/// A StatefulSet's review with three volumes for data: of a kind that needs no
/// look-up, or by claims that each name another class.
fn with_volumes(looked_up: bool) -> String {
    let mut review: Value = serde_json::from_str(&body(3_000)).unwrap();
    let spec = &mut review["request"]["object"]["spec"];
    let names = ["data", "more", "most"];
    let mounts: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "mountPath": format!("/bitnami/mongodb/{name}")})).collect();
    spec["template"]["spec"]["containers"][0]["volumeMounts"] = mounts.into();
    let claim = |name| json!({"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": format!("class-{name}")}});
    let volume = |name| json!({"name": name, "nfs": {"server": "nfs.example.com", "path": format!("/exports/{name}")}});
    match looked_up {
        true => spec["volumeClaimTemplates"] = names.map(claim).to_vec().into(),
        false => {
            spec["template"]["spec"]["volumes"] = names.map(volume).to_vec().into();
            spec["volumeClaimTemplates"] = json!([]);
        }
    }
    review.to_string()
}

/// What three look-ups add to a review, answered from the watch cache.
fn look_ups(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let policies = copies(1);
    let cluster = runtime.block_on(cached_classes(&policies));
    let snapshot = Snapshot { policies, cluster, tenants: Default::default() };
    let mut group = criterion.benchmark_group("look-ups");
    for (name, looked_up) in [("none", false), ("three", true)] {
        let body = with_volumes(looked_up);
        let ask = || async {
            let request = Request {
                selection: Selection { phase: Phase::Validating, group: None, owner: Owner::Cluster },
                body: body.as_bytes(),
                arrived: Instant::now(),
                deadline: Instant::now() + Duration::from_secs(10),
                now: Duration::ZERO,
                origin: Origin::Admission,
            };
            admit(&snapshot, request).await.unwrap()
        };
        let policies = runtime.block_on(ask()).policies;
        assert!(policies[0].findings.is_empty() && policies[0].needs.is_empty(), "{:?}", policies[0]);
        group.bench_function(name, |bencher| bencher.to_async(&runtime).iter(ask));
    }
    group.finish();
}

/// The watch cache with three classes and a Namespace in it; nothing is asked.
async fn cached_classes(policies: &[Arc<Policy>]) -> Arc<CacheView> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "none",
        "clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "none", "user": {}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}]});
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let cache = Cache::new(client(Some(&file), None).await.unwrap(), CacheConfig::default());
    let class = |name| CLASS.replace("standard", &format!("class-{name}"));
    let classes = ["data", "more", "most"].map(class).to_vec();
    let namespace = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}"#.to_owned();
    let objects = |wanted: &Wanted| match wanted.kind.as_str() {
        "StorageClass" => classes.clone(),
        "Namespace" => vec![namespace.clone()],
        _ => Vec::new(),
    };
    let given = wanted(policies).into_iter().map(|wanted| {
        let objects = objects(&wanted);
        (wanted, objects)
    });
    cache.given(given)
}

criterion_group!(benches, steps, whole, together, look_ups);
criterion_main!(benches);
