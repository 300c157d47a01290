//! Four clients that create StatefulSets as a dry run, one after the other each.

use std::time::{Duration, Instant};

use portcullis_cluster::{ADMIN, Cluster};
use tokio::runtime::Runtime;

/// Clients at a time.
const CLIENTS: usize = 4;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The clients, each with a connection of its own.
pub(crate) struct Load {
    runtime: Runtime,
    clients: Vec<reqwest::Client>,
    url: String,
    token: String,
}

impl Load {
    pub(crate) fn new(cluster: &Cluster) -> Load {
        // Once a process; a second time is no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || {
            let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).timeout(PATIENCE);
            client.build().expect("a client")
        };
        Load {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
            clients: (0..CLIENTS).map(|_| client()).collect(),
            url: format!("{}/apis/apps/v1/namespaces/default/statefulsets?dryRun=All", cluster.server()),
            token: ADMIN.token(),
        }
    }

    /// Creates so many in all; how long each took.
    pub(crate) fn create(&self, count: usize) -> Vec<Duration> {
        self.runtime.block_on(async {
            let each = self.clients.iter().map(|client| self.create_by(client, count / CLIENTS));
            futures_util::future::join_all(each).await.concat()
        })
    }

    async fn create_by(&self, client: &reqwest::Client, count: usize) -> Vec<Duration> {
        let mut latencies = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            let request = client.post(&self.url).bearer_auth(&self.token).header("Content-Type", "application/json");
            let answer = request.body(DATABASE).send().await.expect("the API server answers");
            let status = answer.status();
            let body = answer.bytes().await.expect("its answer");
            latencies.push(begun.elapsed());
            assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        }
        latencies
    }
}

/// A database as it should be, about what people write: 2 KB.
pub(crate) const DATABASE: &str = include_str!("statefulset.json");
