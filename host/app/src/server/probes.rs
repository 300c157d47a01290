//! `/livez`, `/readyz` and `/metrics`: plain HTTP on a port of their own, so that
//! probes need no certificate and metrics aren't behind the client CA.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use super::ready::{Readiness, Ready};
use crate::telemetry::Metrics;

/// OpenMetrics, as prometheus-client writes it.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a wrong path is answered with.
pub(super) const KNOWN: &str = "known paths: /livez, /readyz, /metrics\n";

#[derive(Clone)]
struct Probes {
    ready: Arc<Ready>,
    metrics: Arc<Metrics>,
}

/// The routes of the probes' port.
pub(super) fn router(ready: Arc<Ready>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(exposition))
        .fallback(async || (StatusCode::NOT_FOUND, KNOWN))
        .with_state(Probes { ready, metrics })
}

async fn readyz(State(probes): State<Probes>) -> impl IntoResponse {
    match probes.ready.readiness() {
        Readiness::Ready => (StatusCode::OK, "ok\n"),
        Readiness::Loading => (StatusCode::SERVICE_UNAVAILABLE, "policies are being loaded\n"),
        Readiness::Uncertified => (StatusCode::SERVICE_UNAVAILABLE, "there is no certificate yet\n"),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
    }
}

async fn exposition(State(probes): State<Probes>) -> impl IntoResponse {
    probes.metrics.ready(probes.ready.readiness() == Readiness::Ready);
    ([(CONTENT_TYPE, OPEN_METRICS)], probes.metrics.exposition())
}
