//! A server of our own in this process: real TLS, real Wasm, free ports on
//! loopback, and a client that trusts it.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use clap::Parser as _;
use portcullis::args::{Arguments, Command};
use portcullis::certs::Certificates;
use portcullis::config::Config;
use portcullis::server::{self, Running};
use portcullis::store::{self, Snapshots, Sources};
use portcullis::telemetry::Metrics;
use portcullis_core::admit::Snapshot;
use portcullis_engine::{Engine, EngineConfig};

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
        let mut flags = vec!["portcullis".into(), "serve".into(), "--address=127.0.0.1".into(), "--port=0".into(), "--metrics-port=0".into(), "--drain-delay=0s".into(), format!("--cluster={}", cluster.display())];
        flags.extend(policies.map(|policies| format!("--policy={}", policies.display())));
        let Command::Serve(arguments) = Arguments::try_parse_from(flags).expect("flags of serve").command else { panic!("serve") };
        let (config, _) = Config::resolve(&arguments).expect("a configuration");
        let cluster = store::cluster(&config.cluster).expect("a cluster of files");
        let sources = config.policies.as_deref().map_or(Sources::Builtin, Sources::of_flags);
        let engine = engine();
        let loaded = tokio::task::spawn_blocking(move || store::load(&sources, engine)).await.expect("loading ends");
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        let certificates = Arc::new(Certificates::load(&config.certificates, None).expect("a certificate"));
        let snapshots = Arc::new(Snapshots::of(Snapshot { policies: loaded.policies, cluster }));
        let running = server::start(&config.server, certificates, snapshots, Arc::new(Metrics::new())).await.expect("a server");
        let authority = reqwest::Certificate::from_pem(running.ca_pem.as_deref().expect("a CA of its own").as_bytes()).expect("a certificate");
        let client = || reqwest::Client::builder().tls_certs_only([authority.clone()]);
        let http1 = client().http1_only().build().expect("a client");
        let http2 = client().http2_prior_knowledge().build().expect("a client");
        TestServer { running, http1, http2 }
    }

    /// A URL of the webhook.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.running.addr.port())
    }
}

/// One engine for all tests of this process: its pool is large.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Engine::new(EngineConfig::default()).expect("an engine")
    })
}
