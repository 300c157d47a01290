//! What `check --context` sees of a cluster: the three answers from a real API
//! server, and the program itself.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use portcullis_cluster::{CONTEXT, Cluster};
use portcullis_core::cluster::{Answer, Budget, ClusterView, Listing, ObjectName, Query};
use portcullis_kube::{Live, connect};
use serde_json::Value;

const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local-path}
provisioner: rancher.io/local-path
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: remote, annotations: {storageclass.kubernetes.io/is-default-class: \"true\"}}
provisioner: pd.csi.storage.gke.io
---
apiVersion: v1
kind: Service
metadata: {name: mongo, namespace: shop, labels: {app: mongo}}
spec: {clusterIP: None, selector: {app: mongo}, ports: [{port: 27017}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

const DATABASE: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: mongo, namespace: shop}
spec:
  serviceName: mongo
  selector: {matchLabels: {app: mongo}}
  template:
    metadata: {labels: {app: mongo}}
    spec:
      containers:
        - {name: mongo, image: \"mongo:7.0\", volumeMounts: [{name: data, mountPath: /data/db}]}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: CLASS, resources: {requests: {storage: 1Gi}}}
";

/// All in one test: a control plane takes seconds.
#[test]
fn a_cluster_is_the_context_of_a_check() {
    let cluster = Cluster::start();
    cluster.kubectl(&["apply", "-f", "-"], OBJECTS);
    // kubectl reads the variable that `connect` reads; this process has one test.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(answers(&cluster));
    check_by_the_cluster(&cluster);
}

async fn answers(cluster: &Cluster) {
    let live = Live::new(connect(Some(&cluster.kubeconfig()), CONTEXT).await.unwrap());
    let name = |api_version: &str, kind: &str, namespace: Option<&str>, name: &str| ObjectName {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    };
    let Answer::Found(class) = live.get(&name("storage.k8s.io/v1", "StorageClass", None, "remote"), &soon()).await
    else {
        panic!("the class is there")
    };
    let class: Value = serde_json::from_str(&class).unwrap();
    assert_eq!(class["provisioner"], "pd.csi.storage.gke.io");
    for absent in [
        name("storage.k8s.io/v1", "StorageClass", None, "gone"),
        name("v1", "Service", Some("elsewhere"), "mongo"),
        name("example.com/v1", "NotServed", Some("shop"), "x"),
    ] {
        assert_eq!(live.get(&absent, &soon()).await, Answer::Absent, "{absent}");
    }

    let query = |label_selector: Option<&str>, key: Option<(&str, &str)>| Query {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        namespace: Some("shop".to_owned()),
        label_selector: label_selector.map(str::to_owned),
        key: key.map(|(key, value)| (key.to_owned(), value.to_owned())),
        limit: 10,
    };
    assert_eq!(names(&live.list(&query(None, None), &soon()).await), ["mongo", "web"]);
    assert_eq!(names(&live.list(&query(Some("app in (web)"), None), &soon()).await), ["web"]);
    assert_eq!(names(&live.list(&query(None, Some(("spec.clusterIP", "None"))), &soon()).await), ["mongo"]);

    let nobody = Live::new(connect(Some(&cluster.kubeconfig_of_nobody()), CONTEXT).await.unwrap());
    let service = name("v1", "Service", Some("shop"), "mongo");
    assert!(
        matches!(nobody.get(&service, &soon()).await, Answer::Unknown(reason) if reason.contains("nobody") && reason.contains("services")),
        "what may not be read is unknown, not absent"
    );
    let listing = nobody.list(&query(None, None), &soon()).await;
    assert!(listing.items.is_empty() && listing.incomplete.is_some_and(|reason| reason.contains("nobody")));
}

fn check_by_the_cluster(cluster: &Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let check = |class: &str, context: &str, flags: &[&str]| {
        let file = folder.path().join("database.yaml");
        std::fs::write(&file, DATABASE.replace("CLASS", class)).unwrap();
        portcullis(cluster, &file, context, flags)
    };
    let denied = check("local-path", CONTEXT, &[]);
    assert_eq!(denied.status.code(), Some(1), "{}", shown(&denied));
    assert!(shown(&denied).contains("local-path"), "{}", shown(&denied));
    let allowed = check("remote", CONTEXT, &[]);
    assert_eq!(allowed.status.code(), Some(0), "{}", shown(&allowed));
    assert!(!shown(&allowed).contains("undecided"), "{}", shown(&allowed));
    // An update of what the cluster holds: what was wrong before is a warning.
    cluster.kubectl(&["apply", "-f", "-"], &DATABASE.replace("CLASS", "local-path"));
    let ratcheted = check("local-path", CONTEXT, &["--operation", "update"]);
    assert_eq!(ratcheted.status.code(), Some(0), "{}", shown(&ratcheted));
    assert!(shown(&ratcheted).contains("warning"), "{}", shown(&ratcheted));
    let unknown = check("remote", "no-such-context", &[]);
    assert_eq!(unknown.status.code(), Some(2), "{}", shown(&unknown));
    assert!(shown(&unknown).contains("no context `no-such-context`; it has bed"), "{}", shown(&unknown));
}

fn portcullis(cluster: &Cluster, file: &Path, context: &str, flags: &[&str]) -> Output {
    let program = std::env::var_os("PORTCULLIS").expect("PORTCULLIS is the program; tests/cluster/run.sh sets it");
    Command::new(program)
        .args(["check", "--context", context])
        .args(flags)
        .arg(file)
        .env("KUBECONFIG", cluster.kubeconfig())
        .output()
        .unwrap()
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn names(listing: &Listing) -> Vec<String> {
    assert_eq!(listing.incomplete, None);
    let name = |item: &std::sync::Arc<str>| {
        let object: Value = serde_json::from_str(item).unwrap();
        object["metadata"]["name"].as_str().unwrap().to_owned()
    };
    let mut names: Vec<String> = listing.items.iter().map(name).collect();
    names.sort();
    names
}

fn soon() -> Budget {
    Budget::until(Instant::now() + Duration::from_secs(20))
}
