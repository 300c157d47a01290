//! From start to drain: when the server is ready, and that ending loses no call.

use std::sync::Arc;
use std::time::Duration;

use portcullis::server::Drained;
use portcullis::store::Snapshots;
use portcullis_core::policy::FailurePolicy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::fixture::{Does, Server, client, config, eventually, policy, post, probe, review, snapshot};

#[tokio::test(flavor = "multi_thread")]
async fn ready_once_everything_is_loaded_and_a_review_before_that_waits() {
    let server = Server::start(config(), Snapshots::default()).await;
    assert_eq!(server.probe("/livez").await.0, 200);
    assert_eq!(server.probe("/readyz").await, (503, "policies are being loaded\n".to_owned()));
    let early = server.post("/validate/fail?timeout=1s", review("v1", "early")).await;
    assert!(!early.allowed("early"));
    assert!(early.text.contains("still being loaded"), "{}", early.text);
    assert!(server.post("/validate/ignore?timeout=1s", review("v1", "early")).await.allowed("early"));

    let load = async {
        server.snapshots.publish(snapshot(vec![policy("p", FailurePolicy::Fail, Does::Allow)]));
    };
    let (waited, ()) = tokio::join!(server.post("/validate/fail?timeout=10s", review("v1", "u")), load);
    assert!(waited.allowed("u"));
    assert_eq!(server.probe("/readyz").await, (200, "ok\n".to_owned()));

    // No later document makes it false.
    server.snapshots.publish(snapshot(vec![]));
    assert_eq!(server.probe("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_snapshot_judges_the_next_request_not_the_one_in_flight() {
    let go = Arc::new(Notify::new());
    let server = Server::judging(Does::Wait(go.clone())).await;
    let swap = async {
        eventually("the first request is in flight", async || {
            server.metrics.exposition().contains("requests_in_flight 1")
        })
        .await;
        server.snapshots.publish(snapshot(vec![policy("p", FailurePolicy::Fail, Does::Allow)]));
        let second = server.post("/validate/fail", review("v1", "second")).await;
        go.notify_one();
        second
    };
    let (first, second) = tokio::join!(server.post("/validate/fail", review("v1", "first")), swap);
    assert!(!first.allowed("first"), "judged by the snapshot that it began with");
    assert!(second.allowed("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_answers_what_is_in_flight_and_then_ends() {
    for http1 in [true, false] {
        let go = Arc::new(Notify::new());
        let mut bounds = config();
        bounds.drain_delay = Duration::from_secs(2);
        let waiting = policy("p", FailurePolicy::Fail, Does::Wait(go.clone()));
        let server = Server::start(bounds, Snapshots::of(snapshot(vec![waiting]))).await;
        let (addr, metrics_addr, metrics) = (server.running.addr, server.running.metrics_addr, server.metrics.clone());
        let builder = client(server.running.ca_pem.as_deref().unwrap());
        let client = if http1 { builder.http1_only() } else { builder }.build().unwrap();
        let url = server.url("/validate/fail?timeout=30s");
        let first = {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move { post(&client, &url, review("v1", "first")).await })
        };
        eventually("a call is in flight", async || metrics.exposition().contains("requests_in_flight 1")).await;

        let shutdown = tokio::spawn(server.running.shutdown());
        eventually("not ready", async || probe(metrics_addr, "/readyz").await.0 == 503).await;
        // During the delay new calls are still taken.
        let second = {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move { post(&client, &url, review("v1", "second")).await })
        };
        eventually("another call is in flight", async || metrics.exposition().contains("requests_in_flight 2")).await;
        eventually("no new connection", async || TcpStream::connect(addr).await.is_err()).await;
        assert!(!shutdown.is_finished(), "calls are still in flight");
        go.notify_one();
        go.notify_one();
        eventually("one call is left or none", async || {
            go.notify_one();
            first.is_finished() && second.is_finished()
        })
        .await;
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert!(!first.allowed("first") && !second.allowed("second"));
        if http1 {
            assert_eq!(first.headers["connection"], "close");
        }
        assert_eq!(shutdown.await.unwrap(), Drained::Complete);
        assert!(TcpStream::connect(metrics_addr).await.is_err(), "the probes end last, but end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_bounded() {
    let mut bounds = config();
    bounds.drain_timeout = Duration::from_millis(100);
    let waiting = policy("p", FailurePolicy::Fail, Does::Wait(Arc::default()));
    let server = Server::start(bounds, Snapshots::of(snapshot(vec![waiting]))).await;
    let (client, url, metrics) = (server.client(), server.url("/validate/fail?timeout=30s"), server.metrics.clone());
    let hanging = tokio::spawn(async move { client.post(url).body(review("v1", "u")).send().await });
    eventually("a call is in flight", async || metrics.exposition().contains("requests_in_flight 1")).await;
    assert_eq!(server.running.shutdown().await, Drained::Cut);
    hanging.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_tls_or_sends_half_a_head_is_let_go() {
    let mut bounds = config();
    bounds.handshake_timeout = Duration::from_millis(100);
    bounds.header_timeout = Duration::from_millis(100);
    let server = Server::start(bounds, Snapshots::of(snapshot(vec![]))).await;
    // Nothing said: the handshake's time is over.
    let mut silent = TcpStream::connect(server.running.addr).await.unwrap();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
    // Half a head on the probes' port, which has the same bounds.
    let mut slow = TcpStream::connect(server.running.metrics_addr).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost:").await.unwrap();
    assert_eq!(slow.read(&mut [0; 16]).await.unwrap_or(0), 0);
    // The server is well.
    assert_eq!(server.probe("/livez").await.0, 200);
    assert!(server.post("/validate/fail", review("v1", "u")).await.allowed("u"));
}
