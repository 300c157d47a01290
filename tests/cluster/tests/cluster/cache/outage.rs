//! The API server gone, or out of reach without a word: what is known goes on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use portcullis_cluster::{ADMIN, CONTEXT, Cluster};
use portcullis_core::cluster::{Answer, Budget, ClusterView};
use portcullis_kube::cache::{Cache, CacheConfig};
use portcullis_kube::client;

use super::{CLAIMS, PATIENCE, cache_of, claim, claims, found, get, list, names, until};

#[tokio::test(flavor = "multi_thread")]
async fn without_an_api_server_what_is_known_goes_on_and_grows_old() {
    let cluster = Cluster::start();
    cluster.kubectl(&["apply", "-f", "-"], CLAIMS);
    let cache =
        cache_of(&cluster, ADMIN, CacheConfig { max_staleness: Duration::from_secs(20), ..CacheConfig::default() })
            .await;
    let view = cache.view(&[claims()]);
    assert!(view.settled(Instant::now() + PATIENCE).await);
    cluster.stop_apiserver();
    let gone = Instant::now();
    until("the silence is known", async || !view.problems().is_empty()).await;
    assert!(gone.elapsed() < Duration::from_secs(20), "after {:?}", gone.elapsed());
    let problem = view.problems()[0].reason.clone();
    assert!(problem.contains("no contact") && problem.contains(" s: "), "{problem}");
    found(&view, &claim("a"), |_| true).await;
    let listing = list(&view, "PersistentVolumeClaim", None, None, 10).await;
    assert_eq!((names(&listing).len(), listing.incomplete), (3, None));
    let asked = Instant::now();
    let soon = Budget::until(Instant::now() + Duration::from_secs(2));
    let answer = view.get(&claim("new"), &soon).await;
    assert!(matches!(&answer, Answer::Unknown(_)), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(1), "within a quarter of the time");
    assert_eq!(cache.confirmations().0, 0);
    until("what is known is too old", async || matches!(get(&view, &claim("a")).await, Answer::Unknown(_))).await;
    let Answer::Unknown(reason) = get(&view, &claim("a")).await else { panic!() };
    assert!(reason.contains("no contact with the API server for"), "{reason}");
    assert!(list(&view, "PersistentVolumeClaim", None, None, 10).await.incomplete.is_some());

    // Back again, it is followed from where it was.
    cluster.start_apiserver();
    cluster.kubectl(&["-n", "shop", "label", "pvc", "a", "app=redis", "--overwrite"], "");
    delete(&cluster, "c");
    found(&view, &claim("a"), |object| object["metadata"]["labels"]["app"] == "redis").await;
    until("c is gone", async || names(&list(&view, "PersistentVolumeClaim", None, None, 10).await) == ["a", "b"]).await;
    until("it is in touch again", async || view.problems().is_empty()).await;
}

/// A claim that is in use is kept by its finalizer.
fn delete(cluster: &Cluster, claim: &str) {
    cluster.kubectl(
        &["-n", "shop", "patch", "pvc", claim, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#],
        "",
    );
    cluster.kubectl(&["-n", "shop", "delete", "pvc", claim], "");
}

/// A way to the API server that can fall silent without closing a connection.
/// Connections of a silence stay dead when it is over.
struct Way {
    port: u16,
    /// Odd while it is silent.
    silences: Arc<AtomicU32>,
}

impl Way {
    fn to(server: &str) -> Way {
        let server = server.trim_start_matches("https://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let silences = Arc::new(AtomicU32::new(0));
        let now = silences.clone();
        std::thread::spawn(move || {
            // Kept, so that nothing is closed.
            let mut connections = Vec::new();
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(&server).unwrap());
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (now, own) = (now.clone(), now.load(Ordering::Relaxed));
                    std::thread::spawn(move || pass(from, to, || own % 2 == 0 && now.load(Ordering::Relaxed) == own));
                }
                connections.push((near, far));
            }
        });
        Way { port, silences }
    }

    fn toggle(&self) {
        self.silences.fetch_add(1, Ordering::Relaxed);
    }
}

/// Passes bytes on until one side ends, or swallows them where nothing is to pass.
fn pass(mut from: TcpStream, mut to: TcpStream, passes: impl Fn() -> bool) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if passes() && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    if passes() {
        let _ = to.shutdown(Shutdown::Both);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_without_a_word_is_known_and_given_up() {
    let cluster = Cluster::start();
    cluster.kubectl(&["apply", "-f", "-"], CLAIMS);
    let way = Way::to(cluster.server());
    let kubeconfig = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let path = cluster.path("kubeconfig-of-the-way");
    std::fs::write(&path, kubeconfig.replace(cluster.server(), &format!("https://127.0.0.1:{}", way.port))).unwrap();
    let cache = Cache::new(client(Some(&path), Some(CONTEXT)).await.unwrap(), CacheConfig::default());
    let view = cache.view(&[claims()]);
    assert!(view.settled(Instant::now() + PATIENCE).await);
    way.toggle();
    let silent = Instant::now();
    until("the silence is known", async || !view.problems().is_empty()).await;
    assert!(silent.elapsed() < Duration::from_secs(20), "after {:?}", silent.elapsed());
    found(&view, &claim("a"), |_| true).await;
    let asked = Instant::now();
    assert!(matches!(get(&view, &claim("new")).await, Answer::Unknown(_)));
    assert!(asked.elapsed() < Duration::from_secs(2), "an API server that seems gone is not waited for");

    // What happens meanwhile is older than what a restarted API server can tell: all
    // is read again. The old connections stay dead; a watch alone would wait two
    // minutes for its own.
    cluster.kubectl(&["-n", "shop", "label", "pvc", "a", "app=redis", "--overwrite"], "");
    delete(&cluster, "c");
    cluster.restart_apiserver();
    assert_eq!(names(&list(&view, "PersistentVolumeClaim", None, None, 10).await), ["a", "b", "c"]);
    way.toggle();
    found(&view, &claim("a"), |object| object["metadata"]["labels"]["app"] == "redis").await;
    until("c is gone", async || names(&list(&view, "PersistentVolumeClaim", None, None, 10).await) == ["a", "b"]).await;
    until("it is in touch again", async || view.problems().is_empty()).await;
}
