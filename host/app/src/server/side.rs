//! Probes and metrics of a process that answers no reviews: the controller.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::sync::watch;

use super::connection::Bounds;
use super::listen::{Door, Transport};
use super::probes::OPEN_METRICS;
use super::{PROBE_CONNECTIONS, StartError, Task, bind, local};
use crate::config::{Listen, ServerConfig};

/// The socket of probes and metrics; dropping it closes it.
pub struct Side {
    /// Where it listens.
    pub addr: SocketAddr,
    // Held, so that it never turns true: a probe is never waited for.
    _closing: watch::Sender<bool>,
    _task: Task,
}

/// Answers `/livez`, `/readyz` and `/metrics`, the last with what `exposition`
/// says at that moment.
///
/// # Errors
/// Where the address can't be had.
pub async fn side(
    listen: &Listen,
    exposition: impl Fn() -> String + Send + Sync + 'static,
) -> Result<Side, StartError> {
    let listener = bind(listen, "probes and metrics", "--metrics-port").await?;
    let addr = local(&listener, *listen);
    let exposition = Arc::new(exposition);
    let metrics = move || {
        let text = exposition();
        async move { ([(CONTENT_TYPE, OPEN_METRICS)], text) }
    };
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async || "ok\n"))
        .route("/metrics", get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, super::probes::KNOWN));
    let ServerConfig { header_timeout, idle_timeout, .. } = ServerConfig::default();
    let door = Door::new(PROBE_CONNECTIONS, Bounds { header_timeout, idle_timeout }, Transport::Plain);
    let (closing, closes) = watch::channel(false);
    let task = Task(tokio::spawn(door.open(listener, router, closes)));
    tracing::info!(address = %addr, "probes and metrics");
    Ok(Side { addr, _closing: closing, _task: task })
}
