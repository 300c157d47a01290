//! Webhook configurations as a real API server takes them: written once, kept
//! with others' fields, narrowed when a policy goes, and acting as they say.

use portcullis_cluster::{CONTEXT, Cluster};
use portcullis_core::policy::{API_VERSION, PolicyDocument};
use portcullis_kube::connect;
use portcullis_kube::webhooks::{
    Applied, ApplyError, Endpoint, Options, Registered, Registrations, apply, exempt_namespaces, registrations,
};
use serde_json::{Value, json};

const STATEFUL_SET: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: NAME, namespace: NAMESPACE}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db}]}
";

/// All in one test: a control plane takes seconds.
#[test]
fn webhook_configurations_are_written_where_they_differ_and_act_as_they_say() {
    let cluster = Cluster::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(written_where_they_differ(&cluster));
    runtime.block_on(acting_as_they_say(&cluster));
    runtime.block_on(never_in_the_cluster_s_way(&cluster));
}

fn policy(namespace: Option<&str>, name: &str, matching: Value) -> PolicyDocument {
    let mut metadata = json!({"name": name});
    let mut kind = "ClusterPolicy";
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
        kind = "Policy";
    }
    let document = json!({
        "apiVersion": API_VERSION, "kind": kind, "metadata": metadata,
        "spec": {"module": "builtin/x", "match": matching},
    });
    PolicyDocument::from_json(&document).unwrap()
}

fn rules(resources: &[&str]) -> Value {
    json!([{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": resources, "operations": ["CREATE", "UPDATE"]}])
}

/// Nobody listens there: a call fails.
fn of(documents: &[PolicyDocument], ca_bundle: Option<&[u8]>) -> Registrations {
    let policies: Vec<Registered<'_>> =
        documents.iter().map(|document| Registered { document, description: None }).collect();
    let endpoint = Endpoint::Url("https://127.0.0.1:1".to_owned());
    let exempt = exempt_namespaces();
    let options = Options {
        endpoint: &endpoint,
        ca_bundle,
        inject_ca_from: Some("portcullis-system/portcullis"),
        exempt_namespaces: &exempt,
        served: None,
        owner_uid: None,
    };
    registrations(&policies, &options)
}

fn read(cluster: &Cluster, name: &str) -> Value {
    serde_json::from_str(&cluster.kubectl(&["get", "validatingwebhookconfiguration", name, "-o", "json"], "")).unwrap()
}

async fn written_where_they_differ(cluster: &Cluster) {
    let client = connect(Some(&cluster.kubeconfig()), CONTEXT).await.unwrap();
    // Whatever a document can exclude or select, in words that the API server has to take.
    let full = json!({
        "resourceRules": rules(&["statefulsets", "deployments"]),
        "namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
        "objectSelector": {"matchLabels": {"app": "db"}},
        "exclude": {
            "namespaces": ["shop", "not a name"], "users": ["o'brien\\", "ä\n"], "groups": ["g"], "serviceAccounts": ["n/s"],
        },
    });
    let narrow = json!({"resourceRules": rules(&["statefulsets"])});
    let documents = [policy(None, "full", full.clone()), policy(Some("shop"), "own", full)];
    let first = apply(&client, &of(&documents, None)).await.unwrap();
    let both = ["validating/portcullis", "validating/portcullis-namespaces"].map(str::to_owned).to_vec();
    assert_eq!(first, Applied { written: both.clone(), ..Applied::default() });

    let before = (read(cluster, "portcullis"), read(cluster, "portcullis-namespaces"));
    let again = apply(&client, &of(&documents, None)).await.unwrap();
    assert_eq!(again, Applied::default(), "nothing changed");
    assert_eq!((read(cluster, "portcullis"), read(cluster, "portcullis-namespaces")), before);

    // As cert-manager's injector does, and somebody who opens a hole by hand.
    let injected = r#"[{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "Q0E="}]"#;
    let patch = |patch: &str| {
        let arguments = ["patch", "validatingwebhookconfiguration", "portcullis", "--type=json", "-p", patch];
        cluster.kubectl(&arguments, "");
    };
    patch(injected);
    assert_eq!(apply(&client, &of(&documents, None)).await.unwrap(), Applied::default(), "not ours to compare");
    patch(r#"[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]"#);
    let mended = apply(&client, &of(&documents, None)).await.unwrap();
    assert_eq!(mended.written, ["validating/portcullis"]);
    let there = read(cluster, "portcullis");
    assert_eq!(there["webhooks"][0]["failurePolicy"], "Fail");
    assert_eq!(there["webhooks"][0]["clientConfig"]["caBundle"], "Q0E=", "it stays");

    // A policy goes, and what only it asked for.
    let fewer = [policy(None, "narrow", narrow)];
    let narrowed = apply(&client, &of(&fewer, None)).await.unwrap();
    assert_eq!(narrowed.written, ["validating/portcullis"]);
    assert_eq!(narrowed.deleted, ["validating/portcullis-namespaces"]);
    let there = read(cluster, "portcullis");
    assert_eq!(there["webhooks"][0]["rules"][0]["resources"], json!(["statefulsets"]));
    assert_eq!(there["webhooks"][0]["objectSelector"], json!({}));
    assert!(there["webhooks"][0]["matchConditions"].is_null());

    // Ours where it is set.
    let own = std::fs::read(cluster.certificate()).unwrap();
    assert_eq!(apply(&client, &of(&fewer, Some(&own))).await.unwrap().written, ["validating/portcullis"]);
    assert_eq!(apply(&client, &of(&fewer, Some(&own))).await.unwrap(), Applied::default());

    // What another has added stays, and is said.
    let added =
        r#"[{"op": "add", "path": "/webhooks/0/matchConditions", "value": [{"name": "hole", "expression": "false"}]}]"#;
    patch(added);
    let disputed = apply(&client, &of(&fewer, Some(&own))).await.unwrap();
    assert_eq!(disputed.disputed, ["validating/portcullis"]);

    let gone = apply(&client, &of(&[], None)).await.unwrap();
    assert_eq!(gone.deleted, ["validating/portcullis"]);
    foreign_configurations_are_left_alone(cluster, &fewer).await;
}

async fn foreign_configurations_are_left_alone(cluster: &Cluster, documents: &[PolicyDocument]) {
    let client = connect(Some(&cluster.kubeconfig()), CONTEXT).await.unwrap();
    let foreign = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "portcullis"}, "webhooks": [],
    });
    cluster.kubectl(&["create", "-f", "-"], &foreign.to_string());
    assert_eq!(apply(&client, &of(&[], None)).await.unwrap(), Applied::default(), "not ours to delete");
    let error = apply(&client, &of(documents, None)).await.unwrap_err();
    assert!(matches!(&error, ApplyError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("app.kubernetes.io/managed-by=portcullis"), "{error}");
    cluster.kubectl(&["delete", "validatingwebhookconfiguration", "portcullis"], "");
}

fn create(cluster: &Cluster, namespace: &str, user: &[&str]) -> Result<(), String> {
    let manifest = STATEFUL_SET.replace("NAMESPACE", namespace).replace("NAME", "db");
    let arguments = [&["create", "--dry-run=server", "-f", "-"][..], user].concat();
    let said = cluster.try_kubectl(&arguments, &manifest);
    if said.well() { Ok(()) } else { Err(said.errors) }
}

async fn acting_as_they_say(cluster: &Cluster) {
    let client = connect(Some(&cluster.kubeconfig()), CONTEXT).await.unwrap();
    for namespace in ["shop", "team"] {
        cluster.kubectl(&["create", "namespace", namespace], "");
    }
    let matching = json!({
        "resourceRules": rules(&["statefulsets"]),
        "exclude": {"namespaces": ["shop"], "users": ["o'brien"], "groups": ["robots"], "serviceAccounts": ["n/s"]},
    });
    let own = json!({"resourceRules": rules(&["*"])});
    let documents = [policy(None, "full", matching), policy(Some("shop"), "own", own)];
    apply(&client, &of(&documents, None)).await.unwrap();
    let called = |webhook: &str| {
        let webhook = format!("failed calling webhook \"{webhook}\"");
        move |result: Result<(), String>| {
            assert!(result.as_ref().is_err_and(|said| said.contains(&webhook)), "{result:?}")
        }
    };
    // The API server's own copy follows within milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(500));
    called("fail.validate.portcullis.dev")(create(cluster, "team", &[]));
    called("shop.fail.validate.portcullis.dev")(create(cluster, "shop", &[]));
    assert_eq!(create(cluster, "kube-system", &[]), Ok(()), "exempt");
    let master = "--as-group=system:masters";
    called("fail.validate.portcullis.dev")(create(cluster, "team", &["--as=mary", master]));
    assert_eq!(create(cluster, "team", &["--as=o'brien", master]), Ok(()));
    assert_eq!(create(cluster, "team", &["--as=mary", master, "--as-group=robots"]), Ok(()));
    assert_eq!(create(cluster, "team", &["--as=system:serviceaccount:n:s", master]), Ok(()));
    called("fail.validate.portcullis.dev")(create(cluster, "team", &["--as=system:serviceaccount:n:t", master]));
    apply(&client, &of(&[], None)).await.unwrap();
}

/// A policy whose module can't be described, and nobody answers.
async fn never_in_the_cluster_s_way(cluster: &Cluster) {
    let client = connect(Some(&cluster.kubeconfig()), CONTEXT).await.unwrap();
    apply(&client, &of(&[policy(None, "unknown", json!({}))], None)).await.unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(create(cluster, "team", &[]).is_err(), "it fails closed");
    assert_eq!(create(cluster, "kube-system", &[]), Ok(()));
    let mendable = [
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "team"}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}}),
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "kube-system"}}),
    ];
    for object in &mendable {
        cluster.kubectl(&["create", "-f", "-"], &object.to_string());
    }
    let said = cluster.kubectl_refused(&["create", "configmap", "c", "-n", "team"], "");
    assert!(said.contains("failed calling webhook \"fail.validate.portcullis.dev\""), "{said}");
    assert_eq!(apply(&client, &of(&[], None)).await.unwrap().deleted, ["validating/portcullis"]);
    cluster.kubectl(&["create", "configmap", "c", "-n", "team"], "");
}
