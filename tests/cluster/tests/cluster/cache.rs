//! The watch cache against a real API server: the three answers, what is indexed,
//! what may not be read, and what goes on when the API server is gone (`outage`).

mod outage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use portcullis_cluster::{ADMIN, CONTEXT, Cluster, NOBODY, User};
use portcullis_core::cluster::{Answer, Budget, ClusterView, Listing, ObjectName, Query};
use portcullis_kube::cache::{Cache, CacheConfig, CacheView, Wanted};
use portcullis_kube::client;
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
    let cache = cache_of(&cluster, ADMIN, CacheConfig::default()).await;
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

async fn cache_of(cluster: &Cluster, user: User, config: CacheConfig) -> Arc<Cache> {
    Cache::new(client(Some(&cluster.kubeconfig_of(user)), Some(CONTEXT)).await.unwrap(), config)
}

/// What the cluster says no to is looked at again so soon.
fn impatient() -> CacheConfig {
    CacheConfig { look_again: Duration::from_millis(300), ..CacheConfig::default() }
}

const WIDGETS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_comes_later_is_absent_until_then() {
    let cluster = Cluster::start();
    let cache = cache_of(&cluster, ADMIN, impatient()).await;
    let view = cache.view(&[wanted("example.com/v1", "Widget", json!({"fields": {"spec": "value"}}), &["spec.part"])]);
    assert!(view.settled(Instant::now() + PATIENCE).await);
    let widget = named("example.com/v1", "Widget", Some("default"), "w");
    let query = Query {
        api_version: widget.api_version.clone(),
        kind: widget.kind.clone(),
        namespace: None,
        label_selector: None,
        key: Some(("spec.part".to_owned(), "bolt".to_owned())),
        limit: 10,
    };
    assert_eq!(get(&view, &widget).await, Answer::Absent);
    assert_eq!(view.list(&query, &review()).await, Listing { items: Vec::new(), incomplete: None });
    assert_eq!(view.problems(), [], "a kind that isn't served is no problem");

    cluster.kubectl(&["apply", "-f", "-"], WIDGETS);
    cluster.kubectl(&["wait", "--for=condition=Established", "crd/widgets.example.com"], "");
    // As deep as the API server lets it be: no JSON parser that stops at 128 levels.
    let deep = format!("{}1{}", r#"{"a":"#.repeat(2_000), "}".repeat(2_000));
    let widgets = format!(
        r#"{{"apiVersion":"example.com/v1","kind":"Widget","metadata":{{"name":"w"}},"spec":{{"part":"bolt","deep":{deep}}}}}"#
    );
    cluster.kubectl(&["create", "--validate=false", "-f", "-"], &widgets);
    let Answer::Found(text) = get(&view, &widget).await else { panic!("found at once, by asking") };
    assert!(text.contains(&deep));
    until("it is watched", async || view.list(&query, &review()).await.items.len() == 1).await;
    assert_eq!(view.list(&query, &review()).await.items, [text]);

    cluster.kubectl(&["delete", "crd", "widgets.example.com"], "");
    until("it is known to be gone", async || get(&view, &widget).await == Answer::Absent).await;
    until("with its objects", async || view.kinds()[0].objects == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_unknown_until_it_is_granted() {
    let cluster = Cluster::start();
    cluster.kubectl(&["apply", "-f", "-"], CLAIMS);
    let cache = cache_of(&cluster, NOBODY, impatient()).await;
    let view = cache.view(&[claims()]);
    assert!(view.settled(Instant::now() + PATIENCE).await, "a replica is ready without it");
    let answer = get(&view, &claim("a")).await;
    assert!(matches!(&answer, Answer::Unknown(reason) if reason.contains("may not be read")), "{answer:?}");
    assert!(list(&view, "PersistentVolumeClaim", None, None, 10).await.incomplete.is_some());
    let problems = view.problems();
    assert!(problems[0].reason.contains("forbidden"), "{problems:?}");
    assert!(!view.kinds()[0].synced);

    let rule = problems[0].grant.clone().unwrap();
    assert_eq!(rule, r#"{apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: ["get", "list", "watch"]}"#);
    grant(&cluster, &rule);
    found(&view, &claim("a"), |_| true).await;
    assert_eq!(view.problems(), []);

    // An API server that starts doesn't know its roles at once; what is known stays known.
    cluster.stop_apiserver();
    let outage = Arc::new(AtomicBool::new(true));
    let asking = tokio::spawn({
        let (view, outage) = (view.clone(), outage.clone());
        async move {
            while outage.load(Ordering::Relaxed) {
                let answer = get(&view, &claim("a")).await;
                assert!(matches!(answer, Answer::Found(_)), "{answer:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    cluster.start_apiserver();
    cluster.kubectl(&["-n", "shop", "label", "pvc", "a", "app=redis", "--overwrite"], "");
    found(&view, &claim("a"), |object| object["metadata"]["labels"]["app"] == "redis").await;
    outage.store(false, Ordering::Relaxed);
    asking.await.unwrap();

    // Who takes the permission back wants it forgotten.
    cluster.kubectl(&["delete", "clusterrolebinding", "reader"], "");
    cluster.restart_apiserver();
    until("it is forgotten", async || matches!(get(&view, &claim("a")).await, Answer::Unknown(_))).await;
    assert_eq!(view.kinds()[0].objects, 0);
}

/// Lets the user without rights do this.
fn grant(cluster: &Cluster, rule: &str) {
    let role = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: reader}}\nrules: [{rule}]\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: reader}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}}\n\
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {}}}]\n",
        NOBODY.name
    );
    cluster.kubectl(&["apply", "-f", "-"], &role);
}

const SECRETS: &str = "
apiVersion: v1
kind: Secret
metadata: {name: tls}
type: kubernetes.io/tls
stringData: {tls.crt: certificate, tls.key: hush}
---
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {password: hush}
";

#[tokio::test(flavor = "multi_thread")]
async fn of_secrets_only_what_is_wanted_is_in_memory() {
    let cluster = Cluster::start();
    cluster.kubectl(&["apply", "-f", "-"], SECRETS);
    let cache = cache_of(&cluster, ADMIN, CacheConfig::default()).await;
    let fields = json!({"fields": {"type": "value", "data": {"fields": {"tls.crt": "value"}}}});
    let mut secrets = wanted("v1", "Secret", fields, &[]);
    secrets.field_selector = Some("type=kubernetes.io/tls".to_owned());
    let view = cache.view(&[secrets]);
    assert!(view.settled(Instant::now() + PATIENCE).await);
    assert_eq!(view.kinds()[0].objects, 1);
    let tls = found(&view, &named("v1", "Secret", Some("default"), "tls"), |_| true).await;
    assert!(tls["data"]["tls.crt"].is_string() && tls["data"]["tls.key"].is_null());
    assert_eq!(cache.confirmations(), (0, 0, 0));
    let password = found(&view, &named("v1", "Secret", Some("default"), "password"), |_| true).await;
    assert_eq!((password["type"].as_str(), &password["data"]), (Some("Opaque"), &json!({})));
    assert_eq!(cache.confirmations(), (0, 1, 0), "another one is asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_that_look_for_one_thing_at_once_ask_once() {
    let cluster = Cluster::start();
    let cache = cache_of(&cluster, ADMIN, CacheConfig::default()).await;
    let view = cache.view(&[claims()]);
    assert!(view.settled(Instant::now() + PATIENCE).await);
    let (arrived, name) = (Instant::now(), claim("absent"));
    let budgets: Vec<Budget> = (0..100).map(|_| Budget::new(arrived, arrived + Duration::from_secs(60))).collect();
    let answers = join_all(budgets.iter().map(|budget| view.get(&name, budget))).await;
    assert!(answers.iter().all(|answer| *answer == Answer::Absent));
    assert_eq!(cache.confirmations(), (1, 0, 0));
    assert_eq!(get(&view, &name).await, Answer::Absent);
    assert_eq!(cache.confirmations(), (2, 0, 0), "a review that arrives later can't be told the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_objects_are_read_page_by_page_and_two_views_share_their_watches() {
    const COUNT: usize = 1_200;
    let cluster = Cluster::start();
    let map = |number| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{number:04}, labels: {{half: h{}}}}}\ndata: {{a: \"{number}\"}}\n",
            number % 2
        )
    };
    cluster.kubectl(&["create", "-f", "-"], &(0..COUNT).map(map).collect::<Vec<_>>().join("---\n"));
    let cache = cache_of(&cluster, ADMIN, CacheConfig::default()).await;
    let maps = wanted("v1", "ConfigMap", json!({"fields": {"data": "value"}}), &[]);
    let view = cache.view(std::slice::from_ref(&maps));
    assert!(view.settled(Instant::now() + PATIENCE).await);
    let query = |selector: Option<&str>| Query {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: Some("default".to_owned()),
        label_selector: selector.map(str::to_owned),
        key: None,
        limit: usize::MAX,
    };
    assert_eq!(view.list(&query(Some("half")), &review()).await.items.len(), COUNT);
    assert_eq!(view.list(&query(Some("half=h1")), &review()).await.items.len(), COUNT / 2);
    assert_eq!(view.list(&query(Some("half in (h0,h1)")), &review()).await.items.len(), COUNT);

    // Who wants it makes no difference to a watch, what is wanted does.
    let mut for_another = maps.clone();
    for_another.why.insert("p".to_owned());
    let same = cache.view(&[for_another]);
    assert!(same.is_settled(), "nothing is read again");
    let narrower = wanted("v1", "ConfigMap", json!({"fields": {"data": "keys"}}), &[]);
    let other = cache.view(&[narrower]);
    assert!(!other.is_settled());
    assert!(other.settled(Instant::now() + PATIENCE).await);
    let one = named("v1", "ConfigMap", Some("default"), "m0007");
    assert_eq!(found(&other, &one, |_| true).await["data"], json!({"a": true}));
    assert_eq!(found(&view, &one, |_| true).await["data"], json!({"a": "7"}), "the older view goes on as it was");
}
