//! The reviews that are sent: a StatefulSet as the API server writes it, with
//! managedFields, at a given size.

use serde_json::{Value, json};

/// What look-ups see.
pub(crate) const CLUSTER: &str = r#"
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: pd.csi.storage.gke.io
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
"#;

/// One kind of request.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: String,
}

/// All of them: each size, for one validating policy and for all that match,
/// and the mutating ones on a set whose class is still to be chosen.
pub(crate) fn scenarios() -> Vec<Scenario> {
    const ONE: &str = "/validate/policy/database-remote-storage";
    const ALL: &str = "/validate";
    let of_set = |name, path, bytes| Scenario { name, path, body: review(bytes, Some("standard")) };
    let without_class = |name, path| Scenario { name, path, body: review(3_000, None) };
    vec![
        Scenario { name: "validate 0.6 KB, one policy", path: ONE, body: claim().to_string() },
        Scenario { name: "validate 0.6 KB, all policies", path: ALL, body: claim().to_string() },
        of_set("validate 3 KB, one policy", ONE, 3_000),
        of_set("validate 3 KB, all policies", ALL, 3_000),
        of_set("validate 4 KB, one policy", ONE, 4_000),
        of_set("validate 4 KB, all policies", ALL, 4_000),
        of_set("validate 100 KB, one policy", ONE, 100_000),
        of_set("validate 100 KB, all policies", ALL, 100_000),
        without_class("mutate 3 KB, one policy", "/mutate/policy/default-storage-class"),
        without_class("mutate 3 KB, all policies", "/mutate"),
    ]
}

/// The smallest review that a policy judges: a claim with nothing but its spec.
fn claim() -> Value {
    let kind = json!({"group": "", "version": "v1", "kind": "PersistentVolumeClaim"});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind,
        "resource": {"group": "", "version": "v1", "resource": "persistentvolumeclaims"},
        "name": "data", "namespace": "shop", "operation": "CREATE", "userInfo": {"username": "admin"},
        "object": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"},
                   "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
                            "resources": {"requests": {"storage": "10Gi"}}}},
    }})
}

/// A review of about so many bytes: managedFields are 37 % of a small one, the
/// rest of the room is taken by an annotation that no policy reads.
fn review(bytes: usize, class: Option<&str>) -> String {
    let mut review = statefulset(class);
    let object = &mut review["request"]["object"];
    let fields: Value = (0..24)
        .map(|index| (format!("f:field-{index}"), json!({"f:nested": {}, ".": {}})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    object["metadata"]["managedFields"] = json!([{"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields}}]);
    let room = bytes.saturating_sub(review.to_string().len() + 80);
    review["request"]["object"]["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": "x".repeat(room)});
    review.to_string()
}

fn statefulset(class: Option<&str>) -> Value {
    let mut claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}});
    if let Some(class) = class {
        claim["storageClassName"] = json!(class);
    }
    let container = json!({
        "name": "mongo", "image": "docker.io/bitnami/mongodb:7.0.5", "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "mongo", "containerPort": 27017, "protocol": "TCP"}],
        "env": [{"name": "MONGODB_ROOT_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mongo", "key": "password"}}}],
        "volumeMounts": [{"name": "data", "mountPath": "/bitnami/mongodb"}, {"name": "conf", "mountPath": "/etc/mongo"}],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
    });
    let object = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "mongo", "namespace": "shop", "labels": {"app": "mongo"}},
        "spec": {
            "replicas": 3, "serviceName": "mongo", "selector": {"matchLabels": {"app": "mongo"}},
            "template": {"metadata": {"labels": {"app": "mongo"}}, "spec": {"containers": [container], "volumes": [{"name": "conf", "configMap": {"name": "mongo"}}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    });
    let kind = json!({"group": "apps", "version": "v1", "kind": "StatefulSet"});
    let resource = json!({"group": "apps", "version": "v1", "resource": "statefulsets"});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
        "name": "mongo", "namespace": "shop", "operation": "CREATE", "userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
        "object": object, "oldObject": null, "dryRun": false, "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }})
}
