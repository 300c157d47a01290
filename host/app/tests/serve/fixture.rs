//! A server with a policy of the test's choice, and clients for it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use portcullis::certs::Certificates;
use portcullis::config::{CertificateSource, Listen, ServerConfig};
use portcullis::server::{self, Running};
use portcullis::store::{ObjectSource, Proposals, Snapshots};
use portcullis::telemetry::Metrics;
use portcullis_core::admit::{Policy, Snapshot};
use portcullis_core::contract::{Description, MatchRule, Phase, RawReview, Reach, Rule, Scope, Severity};
use portcullis_core::evaluate::{Call, Evaluate, Evaluation, Failure};
use portcullis_core::matching::Matcher;
use portcullis_core::objects::NoCluster;
use portcullis_core::policy::{FailurePolicy, PolicyDocument, PolicyId, PolicySpec};
use portcullis_engine::{Engine, EngineConfig};
use serde_json::{Value, json};

/// What a policy does.
#[derive(Clone)]
pub enum Does {
    Allow,
    Deny,
    Panic,
    Fail,
    /// Denies once it is told to go on.
    Wait(Arc<tokio::sync::Notify>),
}

struct Fake(Does);

impl Evaluate for Fake {
    fn evaluate<'a>(&'a self, _call: Call<'a>) -> BoxFuture<'a, Evaluation> {
        async move {
            let finding =
                json!({"rule": "r", "level": "deny", "message": "no", "path": "spec", "subject": "s", "value": "v"})
                    .to_string();
            let outcome = match &self.0 {
                Does::Allow => Ok(RawReview::default()),
                Does::Deny => Ok(RawReview { findings: vec![finding], ..RawReview::default() }),
                Does::Panic => panic!("a fault of the host"),
                Does::Fail => Err(Failure::Trap { reason: "unreachable".to_owned() }),
                Does::Wait(go) => {
                    go.notified().await;
                    Ok(RawReview { findings: vec![finding], ..RawReview::default() })
                }
            };
            Evaluation { outcome, ran: Duration::from_micros(41) }
        }
        .boxed()
    }
}

pub fn policy(name: &str, failure_policy: FailurePolicy, does: Does) -> Arc<Policy> {
    let spec = PolicySpec { failure_policy, ..PolicySpec::of_module("builtin/fake") };
    let document = PolicyDocument { id: PolicyId::cluster(name), spec };
    let rule = Rule {
        id: "r".to_owned(),
        severity: Severity::High,
        title: "a rule".to_owned(),
        reason: String::new(),
        remedy: String::new(),
        url: String::new(),
        examples: None,
    };
    let all = || vec!["*".to_owned()];
    let matches = vec![MatchRule {
        api_groups: all(),
        api_versions: all(),
        resources: all(),
        operations: all(),
        scope: Scope::Any,
    }];
    let description = Description {
        name: name.to_owned(),
        version: String::new(),
        title: String::new(),
        phase: Phase::Validating,
        rules: vec![rule],
        settings: Value::Null,
        reach: Reach { matches, ..Reach::default() },
        samples: Vec::new(),
    };
    let matcher = Matcher::new(&document, Some(&description)).unwrap();
    Arc::new(Policy {
        document,
        description: Some(description.into()),
        digest: String::new(),
        matcher,
        evaluator: Ok(Arc::new(Fake(does))),
    })
}

pub fn snapshot(policies: Vec<Arc<Policy>>) -> Snapshot {
    Snapshot {
        policies,
        cluster: Arc::new(NoCluster { reason: "a test has none".to_owned() }),
        tenants: Default::default(),
    }
}

pub fn config() -> ServerConfig {
    let loopback = Listen { address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), port: 0 };
    ServerConfig { listen: loopback, metrics: loopback, drain_delay: Duration::ZERO, ..ServerConfig::default() }
}

pub fn self_signed() -> CertificateSource {
    CertificateSource::SelfSigned { names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()] }
}

/// One for all tests: an engine reserves address space.
fn proposals() -> Arc<Proposals> {
    static PROPOSALS: OnceLock<Arc<Proposals>> = OnceLock::new();
    let make = || {
        let engine = Engine::new(EngineConfig { instances: 1, ..EngineConfig::default() }).unwrap();
        Arc::new(Proposals::new(ObjectSource::default(), engine))
    };
    PROPOSALS.get_or_init(make).clone()
}

/// A server and what it shares with the test.
pub struct Server {
    pub running: Running,
    pub snapshots: Arc<Snapshots>,
    pub metrics: Arc<Metrics>,
}

impl Server {
    pub async fn start(config: ServerConfig, snapshots: Snapshots) -> Server {
        let certificates = Certificates::load(&self_signed(), None).unwrap();
        Server::with(config, snapshots, Arc::new(certificates)).await
    }

    pub async fn with(config: ServerConfig, snapshots: Snapshots, certificates: Arc<Certificates>) -> Server {
        let (snapshots, metrics) = (Arc::new(snapshots), Arc::new(Metrics::new()));
        let running = server::start(&config, certificates, snapshots.clone(), proposals(), metrics.clone());
        let running = running.await.unwrap();
        Server { running, snapshots, metrics }
    }

    pub async fn judging(does: Does) -> Server {
        Server::start(config(), Snapshots::of(snapshot(vec![policy("p", FailurePolicy::Fail, does)]))).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.running.addr)
    }

    pub fn client(&self) -> reqwest::Client {
        client(self.running.ca_pem.as_deref().unwrap()).build().unwrap()
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        post(&self.client(), &self.url(path), body).await
    }

    pub async fn probe(&self, path: &str) -> (u16, String) {
        probe(self.running.metrics_addr, path).await
    }
}

pub async fn probe(address: SocketAddr, path: &str) -> (u16, String) {
    install_provider();
    let response = reqwest::Client::new().get(format!("http://{address}{path}")).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

pub fn install_provider() {
    // Another test may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub fn client(ca: &str) -> reqwest::ClientBuilder {
    install_provider();
    let ca = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
    reqwest::Client::builder().tls_certs_only([ca])
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub text: String,
    pub version: reqwest::Version,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// `response.allowed` of an in-band answer to `uid`.
    pub fn allowed(&self, uid: &str) -> bool {
        assert_eq!((self.status, self.headers["content-type"].as_str()), (200, "application/json"), "{}", self.text);
        let answer = self.json();
        assert_eq!((&answer["kind"], &answer["response"]["uid"]), (&json!("AdmissionReview"), &json!(uid)), "{answer}");
        answer["response"]["allowed"].as_bool().unwrap()
    }
}

pub async fn post(client: &reqwest::Client, url: &str, body: impl Into<reqwest::Body>) -> Reply {
    send(client.post(url).header("content-type", "application/json").body(body)).await
}

pub async fn send(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let headers =
        response.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    Reply {
        status: response.status().as_u16(),
        version: response.version(),
        headers,
        text: response.text().await.unwrap(),
    }
}

/// A review of a ConfigMap.
pub fn review(version: &str, uid: &str) -> String {
    json!({
        "apiVersion": format!("admission.k8s.io/{version}"),
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "resource": {"group": "", "version": "v1", "resource": "configmaps"},
            "name": "c", "namespace": "default", "operation": "CREATE",
            "userInfo": {"username": "alice"},
            "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}},
            "oldObject": null,
        },
    })
    .to_string()
}

/// Waits until something holds, for a few seconds at most.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < until, "{what}: not within 20 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
