//! The watch cache against a real API server: the three answers, what is indexed,
//! what may not be read, and what goes on when the API server is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_cluster::{CONTEXT, Cluster};
use portcullis_core::cluster::{Answer, Budget, ClusterView, Listing, ObjectName, Query};
use portcullis_kube::cache::{Cache, CacheConfig, CacheView, Wanted};
use portcullis_kube::connect;
use serde_json::{Value, json};

/// How long something that the cluster does in milliseconds may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn wanted(api_version: &str, kind: &str, fields: Value, keys: &[&str]) -> Wanted {
    Wanted {
        fields: serde_json::from_value(fields).unwrap(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..Wanted::of(api_version, kind)
    }
}

fn named(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectName {
    ObjectName {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

fn claim(name: &str) -> ObjectName {
    named("v1", "PersistentVolumeClaim", Some("shop"), name)
}

/// A review that arrives now and has a minute, so a quarter of it to ask the API server.
fn review() -> Budget {
    Budget::until(Instant::now() + Duration::from_secs(60))
}

async fn get(view: &CacheView, name: &ObjectName) -> Answer {
    view.get(name, &review()).await
}

/// The object that is found, once what is asked of it holds.
async fn found(view: &CacheView, name: &ObjectName, holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = get(view, name).await;
        if let Answer::Found(text) = &answer {
            let object: Value = serde_json::from_str(text).unwrap();
            if holds(&object) {
                return object;
            }
        }
        assert!(Instant::now() < deadline, "{name}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn list(
    view: &CacheView,
    kind: &str,
    selector: Option<&str>,
    key: Option<(&str, &str)>,
    limit: usize,
) -> Listing {
    let query = Query {
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some("shop".to_owned()),
        label_selector: selector.map(str::to_owned),
        key: key.map(|(key, value)| (key.to_owned(), value.to_owned())),
        limit,
    };
    view.list(&query, &review()).await
}

fn names(listing: &Listing) -> Vec<String> {
    let name =
        |item: &Arc<str>| serde_json::from_str::<Value>(item).unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
    listing.items.iter().map(name).collect()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const CLAIMS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: web}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: a, namespace: shop, labels: {app: mongo, tier: db}, annotations: {secret: hush}}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast, volumeName: one, resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: b, namespace: shop, labels: {app: mongo}}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast, volumeName: two, resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c, namespace: shop}
spec: {accessModes: [ReadWriteOnce], storageClassName: slow, resources: {requests: {storage: 1Gi}}}
";

fn claims() -> Wanted {
    let fields = json!({"fields": {"spec": {"fields": {"storageClassName": "value"}}}});
    wanted("v1", "PersistentVolumeClaim", fields, &["spec.volumeName", "spec.storageClassName"])
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_answered_from_memory_as_they_come_and_go() {
    let cluster = Cluster::start();
    cluster.kubectl(&["apply", "-f", "-"], CLAIMS);
    let client = connect(Some(&cluster.kubeconfig()), CONTEXT).await.unwrap();
    let cache = Cache::new(client, CacheConfig::default());
    let view = cache.view(&[claims(), wanted("v1", "Namespace", json!({"fields": {}}), &[])]);
    assert!(!view.is_settled());
    assert!(view.settled(Instant::now() + PATIENCE).await);
    let a = found(&view, &claim("a"), |_| true).await;
    let uid = a["metadata"]["uid"].as_str().unwrap();
    assert_eq!(
        a,
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {"storageClassName": "fast"},
            "metadata": {"name": "a", "namespace": "shop", "uid": uid, "labels": {"app": "mongo", "tier": "db"}}}),
        "only what is wanted is kept"
    );
    let shop = found(&view, &named("v1", "Namespace", None, "shop"), |_| true).await;
    assert_eq!(shop["metadata"]["labels"]["team"], "web");
    assert_eq!(cache.confirmations(), (0, 0, 0), "what is in memory isn't asked for");

    lists(&view).await;
    absence(&cluster, &cache, &view).await;

    cluster.kubectl(&["-n", "shop", "label", "pvc", "b", "app=redis", "--overwrite"], "");
    found(&view, &claim("b"), |object| object["metadata"]["labels"]["app"] == "redis").await;
    assert_eq!(names(&list(&view, "PersistentVolumeClaim", Some("app=mongo"), None, 10).await), ["a"]);
    cluster
        .kubectl(&["-n", "shop", "patch", "pvc", "c", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#], "");
    cluster.kubectl(&["-n", "shop", "delete", "pvc", "c"], "");
    until("c is gone", async || get(&view, &claim("c")).await == Answer::Absent).await;
    assert!(
        names(&list(&view, "PersistentVolumeClaim", None, Some(("spec.storageClassName", "slow")), 10).await)
            .is_empty()
    );

    let stats = view.kinds();
    let of = stats.iter().find(|stats| stats.kind == "PersistentVolumeClaim").unwrap();
    assert!(of.synced && of.objects >= 2 && of.bytes > 100, "{of:?}");
    assert!(of.staleness.is_some_and(|age| age < Duration::from_secs(15)), "{of:?}");
    assert_eq!(view.problems(), []);
}

async fn lists(view: &CacheView) {
    let pvc = "PersistentVolumeClaim";
    assert_eq!(names(&list(view, pvc, None, None, 10).await), ["a", "b", "c"], "in the order of names");
    let cut = list(view, pvc, None, None, 2).await;
    assert_eq!((names(&cut).len(), cut.incomplete.as_deref()), (2, Some("there are more than 2")));
    assert_eq!(names(&list(view, pvc, Some("app=mongo"), None, 10).await), ["a", "b"]);
    assert_eq!(names(&list(view, pvc, Some("app=mongo,!tier"), None, 10).await), ["b"]);
    assert_eq!(names(&list(view, pvc, Some("app!=mongo"), None, 10).await), ["c"]);
    assert_eq!(names(&list(view, pvc, None, Some(("spec.volumeName", "two")), 10).await), ["b"]);
    assert_eq!(names(&list(view, pvc, Some("tier=db"), Some(("spec.storageClassName", "fast")), 10).await), ["a"]);
    let undeclared = list(view, pvc, None, Some(("spec.volumeMode", "Block")), 10).await;
    assert!(undeclared.incomplete.is_some_and(|reason| reason.contains("spec.volumeMode")));
    let unwatched = list(view, "Service", None, None, 10).await;
    assert!(unwatched.incomplete.is_some_and(|reason| reason.contains("isn't watched")));
}

/// An absence is asked for anew by each review, so that an object is found the
/// moment that it is created, whatever the watch has seen of it.
async fn absence(cluster: &Cluster, cache: &Cache, view: &CacheView) {
    assert_eq!(get(view, &claim("new")).await, Answer::Absent);
    assert_eq!(cache.confirmations(), (1, 0, 0));
    let manifest =
        CLAIMS.split("---").nth(1).unwrap().replace("name: a,", "name: new,").replace("mongo, tier: db", "new");
    for round in 0..10 {
        cluster.kubectl(&["create", "-f", "-"], &manifest.replace("new", &format!("new-{round}")));
        let answer = get(view, &claim(&format!("new-{round}"))).await;
        let Answer::Found(text) = answer else { panic!("{answer:?}") };
        assert!(!text.contains("hush") && text.contains("fast"), "what is confirmed is projected too: {text}");
    }
    // What can't be a name is never asked for: it would be another path.
    let escape = ObjectName { namespace: Some("shop/secrets/a?".to_owned()), ..claim("a") };
    assert_eq!(get(view, &escape).await, Answer::Absent);
    assert_eq!(cache.confirmations().2, 0);
    let spent = review();
    while spent.confirm().is_some() {}
    let answer = view.get(&claim("other"), &spent).await;
    assert!(
        matches!(&answer, Answer::Unknown(reason) if reason.contains("may ask the API server no more")),
        "{answer:?}"
    );
}
