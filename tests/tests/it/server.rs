//! A server of our own in this process: real TLS, real Wasm, free ports on
//! loopback, and a client that trusts it. It starts as `serve` does: it listens
//! first and is ready once its policies are loaded.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Parser as _;
use portcullis::args::{Arguments, Command};
use portcullis::certs::Certificates;
use portcullis::config::Config;
use portcullis::server::{self, Running};
use portcullis::store::{self, ObjectSource, Problem, Proposals, Snapshots, Sources};
use portcullis::telemetry::Metrics;
use portcullis_core::admit::Snapshot;
use portcullis_engine::{Engine, EngineConfig};
use serde_json::{Value, json};

/// How long a client waits, so that a missing answer is no test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an API server waits that isn't told otherwise (`timeoutSeconds` of a
/// webhook, admissionregistration.k8s.io/v1): an answer after it is none.
const API_SERVER_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server and clients for both versions of HTTP.
pub(crate) struct TestServer {
    pub(crate) running: Running,
    pub(crate) http1: reqwest::Client,
    pub(crate) http2: reqwest::Client,
}

impl TestServer {
    /// Starts a server with these policies and this cluster; every policy has
    /// to load.
    pub(crate) async fn start(policies: Option<&Path>, cluster: &Path) -> TestServer {
        let (server, problems) = TestServer::start_with(engine(), policies, cluster).await;
        assert!(problems.is_empty(), "{problems:?}");
        server
    }

    /// As [`TestServer::start`] with an engine of the test's choice; what is
    /// wrong with the policies is told.
    pub(crate) async fn start_with(
        engine: &'static Engine,
        policies: Option<&Path>,
        cluster: &Path,
    ) -> (TestServer, Vec<Problem>) {
        let fixed = ["portcullis", "serve", "--address=127.0.0.1", "--port=0", "--metrics-port=0", "--drain-delay=0s"];
        let mut flags: Vec<String> = fixed.map(str::to_owned).into();
        flags.push(format!("--cluster={}", cluster.display()));
        flags.extend(policies.map(|policies| format!("--policy={}", policies.display())));
        let Command::Serve(arguments) = Arguments::try_parse_from(flags).expect("flags of serve").command else {
            panic!("serve")
        };
        let (config, _) = Config::resolve(&arguments).expect("a configuration");
        let cluster = store::cluster(&config.cluster).expect("a cluster of files");
        let sources = Sources::of_flags(config.policies.as_deref().unwrap_or_default());
        let certificates = Arc::new(Certificates::load(&config.certificates, None).expect("a certificate"));
        let snapshots = Arc::new(Snapshots::default());
        let metrics = Arc::new(Metrics::new());
        let proposals = Arc::new(Proposals::new(ObjectSource::default(), engine.clone()));
        let running = server::start(&config.server, certificates, snapshots.clone(), proposals, metrics);
        let running = running.await.expect("a server");
        let ca = running.ca_pem.as_deref().expect("a CA of its own");
        let authority = reqwest::Certificate::from_pem(ca.as_bytes()).expect("a certificate");
        let client = || reqwest::Client::builder().tls_certs_only([authority.clone()]).timeout(PATIENCE);
        let http1 = client().http1_only().build().expect("a client");
        let http2 = client().http2_prior_knowledge().build().expect("a client");
        let server = TestServer { running, http1, http2 };

        assert_eq!(server.readyz().await, 503, "nothing is loaded yet");
        let loaded = tokio::task::spawn_blocking(move || store::load(&sources, engine)).await.expect("loading ends");
        snapshots.publish(Snapshot { policies: loaded.policies, cluster, tenants: Default::default() });
        (server, loaded.problems)
    }

    /// A URL of the webhook.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.running.addr.port())
    }

    /// The status of `/readyz`.
    pub(crate) async fn readyz(&self) -> u16 {
        let url = format!("http://{}/readyz", self.running.metrics_addr);
        self.http1.get(url).send().await.expect("an answer of the probes").status().as_u16()
    }

    /// Asks about an object that is created in a namespace, and gives the
    /// `response` of an answer that is one: in-band, with the request's own uid.
    pub(crate) async fn review(&self, path: &str, namespace: &str, object: &Value) -> Value {
        let uid = format!("{path} {namespace} {}", object["kind"]);
        let body = review(&uid, namespace, object).to_string();
        let call = self.http2.post(self.url(path)).header("content-type", "application/json").body(body);
        let call = call.timeout(API_SERVER_TIMEOUT);
        let answer = call.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let text = answer.text().await.expect("an answer's body");
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
        assert_eq!(answer["kind"], "AdmissionReview", "{path}: {text}");
        assert_eq!(answer["response"]["uid"], uid.as_str(), "{path}: {text}");
        answer["response"].clone()
    }
}

/// An AdmissionReview of a creation.
fn review(uid: &str, namespace: &str, object: &Value) -> Value {
    let api_version = object["apiVersion"].as_str().expect("an object has an apiVersion");
    let kind = object["kind"].as_str().expect("an object has a kind");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": {"group": group, "version": version, "kind": kind},
            "resource": {"group": group, "version": version, "resource": format!("{}s", kind.to_lowercase())},
            "name": object["metadata"]["name"],
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "jane"},
            "object": object,
            "oldObject": null,
        },
    })
}

/// One engine for all tests of this process: its pool is large.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| engine_with(EngineConfig::default()))
}

/// An engine that keeps what it compiles beside what cargo builds, so that a
/// second run of these tests is quick.
pub(crate) fn engine_with(config: EngineConfig) -> Engine {
    // Another test may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    Engine::new(EngineConfig { cache_dir: Some(cache), ..config }).expect("an engine")
}
