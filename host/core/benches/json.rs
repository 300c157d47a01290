//! What a review costs before and after the policies: decode, projection, the
//! edits and the patch; `serde_json::Value` beside each as the yardstick.
//!
//! The reviews are made here: a StatefulSet as the API server sends it on
//! CREATE, compact, about 4 KB with its managedFields, and 92 KB with
//! containers whose environment is long.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use portcullis_core::edit::{Edit, Pointer, apply, apply_document, diff, diff_documents, patch_text};
use portcullis_core::json::{Document, find_string};
use portcullis_core::view::{Tree, project};
use serde_json::{Value, json};

/// A review of a StatefulSet with this many containers and variables in each.
fn review(containers: usize, variables: usize) -> String {
    let container = |index: usize| {
        let environment: Vec<Value> = (0..variables)
            .map(|n| json!({"name": format!("MONGO_SETTING_{n:03}"), "value": format!("value \"{n}\" of <container> {index}")}))
            .collect();
        json!({
            "name": format!("mongo-{index}"),
            "image": format!("registry.example/library/mongo:7.0.{index}@sha256:{:064x}", index),
            "args": ["--replSet", "rs0", "--bind_ip_all"],
            "ports": [{"containerPort": 27017, "name": "mongo", "protocol": "TCP"}],
            "env": environment,
            "resources": {"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data/db"}],
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        })
    };
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": "mongo", "namespace": "pacman", "uid": "7d0c9f6e-6a3c-4c4e-9d53-0b6cf2a5a6b1",
            "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": "mongo", "app.kubernetes.io/part-of": "pacman"},
            "managedFields": [{
                "manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "apps/v1",
                "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {
                    "f:podManagementPolicy": {}, "f:replicas": {}, "f:revisionHistoryLimit": {}, "f:selector": {},
                    "f:serviceName": {}, "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {"f:containers": {"k:{\"name\":\"mongo-0\"}": {".": {}, "f:args": {}, "f:image": {}, "f:name": {}, "f:ports": {}}},
                    "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {}}},
                    "f:updateStrategy": {"f:type": {}}, "f:volumeClaimTemplates": {}}},
            }],
        },
        "spec": {
            "replicas": 3, "serviceName": "mongo", "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "mongo"}},
            "template": {
                "metadata": {"labels": {"app": "mongo"}},
                "spec": {
                    "containers": (0..containers).map(container).collect::<Vec<_>>(),
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                    "securityContext": {"fsGroup": 999}, "terminationGracePeriodSeconds": 30,
                },
            },
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "volumeClaimTemplates": [{
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}, "volumeMode": "Filesystem"},
                "status": {"phase": "Pending"},
            }],
        },
        "status": {"replicas": 0, "availableReplicas": 0},
    });
    let attributes = json!({
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
        "name": "mongo", "namespace": "pacman", "operation": "CREATE",
        "userInfo": {"username": "kubernetes-admin", "groups": ["kubeadm:cluster-admins", "system:authenticated"]},
        "object": object, "oldObject": null, "dryRun": false,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl-client-side-apply"},
    });
    // The API server writes the uid first.
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002",{}}}"#,
        &attributes.to_string()[1..],
    )
}

/// About 4 KB and 92 KB.
fn reviews() -> [(&'static str, String); 2] {
    let reviews = [("4KB", review(1, 19)), ("92KB", review(8, 152))];
    assert!((3_900..4_300).contains(&reviews[0].1.len()), "{}", reviews[0].1.len());
    assert!((90_000..95_000).contains(&reviews[1].1.len()), "{}", reviews[1].1.len());
    reviews
}

/// What a policy on storage reads of a workload.
fn tree() -> Tree {
    let container = json!({"fields": {"name": "value", "image": "value", "volumeMounts": {"each": {"fields": {"name": "value", "mountPath": "value"}}}}});
    let tree = json!({"fields": {
        "metadata": {"fields": {"name": "value", "labels": "value"}},
        "spec": {"fields": {
            "replicas": "value",
            "template": {"fields": {"spec": {"fields": {"containers": {"each": container}, "initContainers": {"each": container}, "volumes": "value"}}}},
            "volumeClaimTemplates": {"each": {"fields": {
                "metadata": {"fields": {"name": "value"}},
                "spec": {"fields": {"storageClassName": "value", "accessModes": "value"}},
            }}},
        }},
    }});
    serde_json::from_value(tree).expect("the contract's JSON")
}

fn edits() -> Vec<Edit> {
    let path = |text: &str| text.parse::<Pointer>().expect("a JSON Pointer");
    vec![
        Edit::Add {
            path: path("/spec/volumeClaimTemplates/0/spec/storageClassName"),
            value: r#""ceph-rbd""#.to_owned(),
        },
        Edit::Add { path: path("/metadata/annotations/portcullis.dev~1class"), value: r#""filled""#.to_owned() },
    ]
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, text) in reviews() {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("document", name), &text, |bencher, text| {
            bencher.iter(|| {
                let document = Document::parse(black_box(text.as_bytes())).expect("valid");
                let object = document.root().path(&["request", "object"]).map(|object| object.raw().len());
                black_box(object)
            });
        });
        group.bench_with_input(BenchmarkId::new("serde_json", name), &text, |bencher, text| {
            bencher.iter(|| serde_json::from_slice::<Value>(black_box(text.as_bytes())).expect("valid"));
        });
        let cut_off = &text[..text.len() - 1];
        group.bench_with_input(BenchmarkId::new("uid of a broken one", name), cut_off, |bencher, text| {
            bencher.iter(|| find_string(black_box(text.as_bytes()), &["request", "uid"]));
        });
    }
}

/// The same projection over the yardstick's values.
fn project_value(value: &Value, tree: &Tree) -> Value {
    match (tree, value) {
        (Tree::Fields(trees), Value::Object(fields)) => fields
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), project_value(value, trees.get(key)?))))
            .collect(),
        (Tree::Each(tree), Value::Array(elements)) => elements.iter().map(|value| project_value(value, tree)).collect(),
        _ => value.clone(),
    }
}

fn projection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("projection");
    let tree = tree();
    for (name, text) in reviews() {
        let document = Document::parse(text.as_bytes()).expect("valid");
        let object = document.root().path(&["request", "object"]).expect("there");
        group.bench_with_input(BenchmarkId::new("document", name), &object, |bencher, object| {
            bencher.iter(|| project(black_box(*object), &tree));
        });
        let object: Value = object.deserialize().expect("shallow");
        group.bench_with_input(BenchmarkId::new("serde_json", name), &object, |bencher, object| {
            bencher.iter(|| project_value(black_box(object), &tree).to_string());
        });
    }
}

fn patch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply and diff");
    let edits = edits();
    for (name, text) in reviews() {
        let document = Document::parse(text.as_bytes()).expect("valid");
        let object = document.root().path(&["request", "object"]).expect("there");
        group.bench_function(BenchmarkId::new("texts", name), |bencher| {
            bencher.iter(|| {
                let after = apply(black_box(object.raw()), &edits).expect("applies");
                patch_text(&diff(object.raw(), &after))
            });
        });
        group.bench_function(BenchmarkId::new("parsed", name), |bencher| {
            bencher.iter(|| {
                let after = apply_document(black_box(object), &edits).expect("applies");
                let after = Document::parse(after.as_bytes()).expect("valid");
                patch_text(&diff_documents(object, after.root()))
            });
        });
        let patch: json_patch::Patch =
            serde_json::from_str(&patch_text(&diff(object.raw(), &apply(object.raw(), &edits).expect("applies"))))
                .expect("a patch");
        group.bench_function(BenchmarkId::new("serde_json", name), |bencher| {
            bencher.iter(|| {
                let before: Value = serde_json::from_str(black_box(object.raw())).expect("valid");
                let mut after = before.clone();
                json_patch::patch(&mut after, &patch).expect("applies");
                serde_json::to_string(&json_patch::diff(&before, &after)).expect("writes")
            });
        });
    }
}

criterion_group!(benches, decode, projection, patch);
criterion_main!(benches);
