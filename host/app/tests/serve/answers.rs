//! Law 1 over HTTPS: what is answered in-band, and the little that isn't.

use std::time::Duration;

use portcullis::store::Snapshots;
use portcullis_core::policy::FailurePolicy;
use serde_json::json;

use super::fixture::{Does, Server, client, config, eventually, policy, post, review, send, snapshot};

#[tokio::test(flavor = "multi_thread")]
async fn both_http_versions_both_tls_versions_and_both_review_versions_are_answered() {
    let server = Server::judging(Does::Deny).await;
    let ca = server.running.ca_pem.clone().unwrap();
    for (http, expected) in [(1, reqwest::Version::HTTP_11), (2, reqwest::Version::HTTP_2)] {
        for tls in [reqwest::tls::Version::TLS_1_2, reqwest::tls::Version::TLS_1_3] {
            let builder = client(&ca).tls_version_min(tls).tls_version_max(tls);
            let client = if http == 1 { builder.http1_only() } else { builder }.build().unwrap();
            for version in ["v1", "v1beta1"] {
                let reply = post(&client, &server.url("/validate/fail?timeout=5s"), review(version, "u-1")).await;
                assert!(!reply.allowed("u-1"));
                assert_eq!(reply.version, expected);
                assert_eq!(reply.json()["apiVersion"], format!("admission.k8s.io/{version}"));
                let message = reply.json()["response"]["status"]["message"].to_string();
                assert!(message.contains("p/r: no"), "{message}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_asks_the_policies_of_its_failure_policy() {
    let policies =
        vec![policy("strict", FailurePolicy::Fail, Does::Deny), policy("lenient", FailurePolicy::Ignore, Does::Allow)];
    let server = Server::start(config(), Snapshots::of(snapshot(policies))).await;
    for (path, allowed) in [
        ("/validate", false),
        ("/validate/fail", false),
        ("/validate/ignore", true),
        ("/validate/policy/strict", false),
        ("/validate/policy/lenient", true),
        ("/validate/namespace/default", true),
        ("/mutate/fail", true),
    ] {
        assert_eq!(server.post(path, review("v1", "u")).await.allowed("u"), allowed, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_a_policy_is_asked_is_answered_in_band_by_the_failure_policy() {
    let mut bounds = config();
    bounds.max_body = 4096;
    let server =
        Server::start(bounds, Snapshots::of(snapshot(vec![policy("p", FailurePolicy::Fail, Does::Allow)]))).await;
    let too_large = review("v1", "u").replace("\"c\"", &format!("\"{}\"", "c".repeat(5000)));
    let truncated = &review("v1", "u")[..200];
    let uid_first = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","object":{{"a":"{}"}}}}}}"#,
        "x".repeat(5000)
    );
    let cases = [
        ("larger than allowed", uid_first.as_str(), "application/json", "larger than"),
        ("another content type", &review("v1", "u"), "text/yaml", "content type is text/yaml"),
    ];
    for (what, body, content_type, expected) in cases {
        for (path, allowed) in
            [("/validate/fail", false), ("/validate/ignore", true), ("/validate", false), ("/mutate/ignore", true)]
        {
            let request =
                server.client().post(server.url(path)).header("content-type", content_type).body(body.to_owned());
            let reply = send(request).await;
            assert_eq!(reply.allowed("u"), allowed, "{what} on {path}");
            assert!(reply.text.contains(expected), "{what}: {}", reply.text);
        }
    }
    // What the core refuses is in-band too.
    assert!(!server.post("/validate/fail", review("v2", "u")).await.allowed("u"));
    // Broken off, or with the uid at the very end: in-band where there is one, else a
    // 400 that says why.
    for body in [too_large.as_str(), truncated, "", "[]", "{\"request\":{}}", "no JSON"] {
        let reply = server.post("/validate/fail", body.to_owned()).await;
        let has_uid = body.contains("\"uid\"");
        assert_eq!(reply.status, if has_uid { 200 } else { 400 }, "{body}: {}", reply.text);
        assert!(!reply.text.trim().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_more_than_32_mebibytes_is_answered_in_band() {
    let server = Server::judging(Does::Allow).await;
    let frame = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","padding":""}}"#;
    let body =
        |size: usize| frame.replace(r#""padding":"""#, &format!(r#""padding":"{}""#, "x".repeat(size - frame.len())));
    for chunked in [false, true] {
        let body = body((32 << 20) + 1);
        let body = if chunked {
            reqwest::Body::wrap_stream(futures_util::stream::once(async { Ok::<_, std::io::Error>(body) }))
        } else {
            body.into()
        };
        let reply = server.post("/validate/fail?timeout=30s", body).await;
        assert!(!reply.allowed("u"));
        assert!(reply.text.contains("larger than 32 MiB"), "{}", reply.text);
    }
    let reply = server.post("/validate/fail?timeout=30s", body(32 << 20)).await;
    assert!(!reply.text.contains("larger than"), "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_does_not_lose_the_answer_and_the_server_lives() {
    let server = Server::judging(Does::Panic).await;
    for (path, allowed) in [("/validate/fail", false), ("/validate", false)] {
        assert_eq!(server.post(path, review("v1", "u")).await.allowed("u"), allowed, "{path}");
    }
    assert!(server.post("/validate/ignore", review("v1", "u")).await.allowed("u"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_fails_is_answered_by_its_failure_policy() {
    let policies =
        vec![policy("strict", FailurePolicy::Fail, Does::Fail), policy("lenient", FailurePolicy::Ignore, Does::Fail)];
    let server = Server::start(config(), Snapshots::of(snapshot(policies))).await;
    assert!(!server.post("/validate/fail", review("v1", "u")).await.allowed("u"));
    assert!(server.post("/validate/ignore", review("v1", "u")).await.allowed("u"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_hangs_is_answered_before_the_api_server_gives_up() {
    let server = Server::judging(Does::Wait(std::sync::Arc::default())).await;
    let begun = std::time::Instant::now();
    assert!(!server.post("/validate/fail?timeout=1s", review("v1", "u")).await.allowed("u"));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_finds_no_turn_is_answered_in_band() {
    let (go, mut bounds) = (std::sync::Arc::new(tokio::sync::Notify::new()), config());
    bounds.max_requests = 1;
    let waiting = policy("p", FailurePolicy::Fail, Does::Wait(go.clone()));
    let server = Server::start(bounds, Snapshots::of(snapshot(vec![waiting]))).await;
    let second = async {
        eventually("the first has its turn", async || server.metrics.exposition().contains("requests_in_flight 1"))
            .await;
        let reply = server.post("/validate/fail?timeout=1s", review("v1", "second")).await;
        go.notify_one();
        reply
    };
    let (first, second) = tokio::join!(server.post("/validate/fail?timeout=30s", review("v1", "first")), second);
    assert!(!first.allowed("first") && first.text.contains("p/r: no"), "{}", first.text);
    assert!(!second.allowed("second") && second.text.contains("too many reviews"), "{}", second.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_path_or_method_is_told_what_would_be_right() {
    let server = Server::judging(Does::Allow).await;
    let reply = server.post("/validate/fial", review("v1", "u")).await;
    assert_eq!(reply.status, 404);
    assert!(reply.text.contains("/validate/fail"), "{}", reply.text);
    let reply = send(server.client().get(server.url("/validate/fail"))).await;
    assert_eq!((reply.status, reply.headers["allow"].as_str()), (405, "POST"));
    assert!(reply.text.contains("POST an AdmissionReview"));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_decisions_are_counted() {
    let server = Server::judging(Does::Deny).await;
    server.post("/validate/policy/p", review("v1", "u")).await;
    server.post("/nowhere", "").await;
    let (status, text) = server.probe("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        r#"portcullis_requests_total{path="/policy",phase="validate",result="denied"} 1"#,
        r#"portcullis_requests_total{path="unknown",phase="none",result="refused"} 1"#,
        r#"portcullis_decisions_total{policy="p",verdict="deny"} 1"#,
        "portcullis_requests_in_flight 0",
        "portcullis_ready 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(json!(server.probe("/nothing").await.0), json!(404));
}
