//! The server: HTTPS for the API server, plain HTTP for probes and Prometheus.
//!
//! ```text
//! listen (bounds) ─ TLS ─ connection (idle, drain) ─ admission ─┬ paths, deadline, body
//!                                                               └ core::admit ─ answer
//! ```
//! It knows no files: certificate and snapshot are behind pointers that others
//! swap. [`Running::shutdown`] ends it without losing a call.

mod admission;
mod body;
mod connection;
mod deadline;
mod listen;
mod paths;
mod probes;
mod proposal;
mod ready;
mod side;
mod turns;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::certs::Certificates;
use crate::config::{Listen, ServerConfig};
use crate::store::{Proposals, Snapshots};
use crate::telemetry::Metrics;

use admission::Admission;
use connection::Bounds;
use listen::{Door, Transport};
use ready::Ready;

pub use side::{Side, side};

/// Probes and Prometheus together need few connections.
const PROBE_CONNECTIONS: usize = 64;

/// For the last probe or scrape.
const PROBES_END: Duration = Duration::from_millis(500);

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be had.
    #[error("can't listen on {address} for {purpose}: {source}; hint: {flag} names another port")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What for.
        purpose: &'static str,
        /// Which flag changes it.
        flag: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// How a shutdown ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request was answered.
    Complete,
    /// Some connections were still busy when the time was over.
    Cut,
}

/// A server that runs; dropping it ends it at once.
pub struct Running {
    /// Where the webhook listens.
    pub addr: SocketAddr,
    /// Where probes and metrics listen.
    pub metrics_addr: SocketAddr,
    /// The CA of a certificate that was made at start-up, as PEM.
    pub ca_pem: Option<String>,
    ready: Arc<Ready>,
    webhook: Door,
    probes: Door,
    tasks: [Task; 2],
    drain_delay: Duration,
    drain_timeout: Duration,
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Binds both sockets and starts to answer. Until `snapshots` has one, requests
/// wait for it within their deadline and `/readyz` says no.
///
/// # Errors
/// Where an address can't be had.
pub async fn start(
    config: &ServerConfig,
    certificates: Arc<Certificates>,
    snapshots: Arc<Snapshots>,
    proposals: Arc<Proposals>,
    metrics: Arc<Metrics>,
) -> Result<Running, StartError> {
    let listener = bind(&config.listen, "the webhook", "--port").await?;
    let probe_listener = bind(&config.metrics, "probes and metrics", "--metrics-port").await?;
    let (addr, metrics_addr) = (local(&listener, config.listen), local(&probe_listener, config.metrics));
    let ready = Arc::new(Ready::new(snapshots.clone(), certificates.clone()));
    let ca_pem = certificates.ca_pem().map(str::to_owned);

    let admission = Arc::new(Admission::new(config, snapshots, metrics.clone(), ready.clone(), proposals));
    let router = Router::new().fallback(admission::answer).with_state(admission);
    let bounds = Bounds { header_timeout: config.header_timeout, idle_timeout: config.idle_timeout };
    let (handshake_timeout, counted) = (config.handshake_timeout, metrics.clone());
    let transport = Transport::Tls { certificates, handshake_timeout, metrics: counted };
    let webhook = Door::new(config.max_connections, bounds, transport);
    let probes = Door::new(PROBE_CONNECTIONS, bounds, Transport::Plain);
    let tasks = [
        Task(tokio::spawn(webhook.clone().open(listener, router, ready.closing()))),
        Task(tokio::spawn(probes.clone().open(probe_listener, probes::router(ready.clone(), metrics), ready.closed()))),
    ];
    tracing::info!(address = %addr, probes = %metrics_addr, "listening");
    Ok(Running {
        addr,
        metrics_addr,
        ca_pem,
        ready,
        webhook,
        probes,
        tasks,
        drain_delay: config.drain_delay,
        drain_timeout: config.drain_timeout,
    })
}

impl Running {
    /// Returns when the server can't answer any more, which is a fault.
    pub async fn failed(&mut self) {
        let [webhook, probes] = &mut self.tasks;
        tokio::select! {
            _ = &mut webhook.0 => tracing::error!("the webhook's socket is closed"),
            _ = &mut probes.0 => tracing::error!("the socket of probes and metrics is closed"),
        }
    }

    /// Not ready; after a delay no new connection; then every call in flight is
    /// waited for, within bounds.
    pub async fn shutdown(self) -> Drained {
        tracing::info!(delay_seconds = self.drain_delay.as_secs_f64(), "draining: not ready any more, still answering");
        self.ready.drain();
        sleep(self.drain_delay).await;
        self.ready.close();
        let drained = match timeout(self.drain_timeout, self.webhook.empty()).await {
            Ok(()) => Drained::Complete,
            Err(_) => Drained::Cut,
        };
        self.ready.end();
        // A scrape in flight is worth a moment, not a wait.
        let _ = timeout(PROBES_END, self.probes.empty()).await;
        match drained {
            Drained::Complete => tracing::info!("drained: every call was answered"),
            Drained::Cut => tracing::warn!(
                seconds = self.drain_timeout.as_secs_f64(),
                "drained: some connections were still busy and were cut"
            ),
        }
        drained
    }
}

async fn bind(listen: &Listen, purpose: &'static str, flag: &'static str) -> Result<TcpListener, StartError> {
    let mut refused = None;
    for address in listen.candidates() {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            // A machine without IPv6 refuses the first and takes the second.
            Err(source) => refused = Some(StartError::Listen { address, purpose, flag, source }),
        }
    }
    Err(refused.unwrap_or_else(|| unreachable!("there is always a candidate")))
}

fn local(listener: &TcpListener, listen: Listen) -> SocketAddr {
    let asked = listen.candidates().into_iter().next_back();
    listener.local_addr().ok().or(asked).unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], listen.port)))
}
