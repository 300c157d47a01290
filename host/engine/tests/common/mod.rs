//! What the engine's tests share: guests, a cluster, a call.

#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses a part, and a test may fail")]

pub(crate) mod hostile;

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::cluster::{Budget, ClusterView, Scoped};
use portcullis_core::contract::{Configuration, Lookup, Operation};
use portcullis_core::evaluate::{Call, Evaluation};
use portcullis_core::objects::Objects;
use portcullis_engine::{Configured, Engine, EngineConfig, Limits};

/// The committed guest of contract 0.1.0.
pub(crate) const MINIMAL: &[u8] = include_bytes!("../../../../tests/guests/minimal-0.1.0.wasm");

/// A ConfigMap without labels, as `require-label` sees it.
pub(crate) const UNLABELLED: &str = r#"{"metadata":{"name":"a"}}"#;

/// Time enough for any policy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn engine() -> Engine {
    engine_with(EngineConfig::default())
}

pub(crate) fn engine_with(config: EngineConfig) -> Engine {
    Engine::new(EngineConfig { instances: 16, ..config }).unwrap()
}

pub(crate) fn limits() -> Limits {
    Limits { timeout: Duration::from_millis(200), memory: 16 * 1024 * 1024 }
}

pub(crate) fn configuration(policy: &str, settings: serde_json::Value) -> Configuration {
    Configuration { policy: policy.to_owned(), settings }
}

pub(crate) fn configure(engine: &Engine, module: &[u8], policy: &str, settings: serde_json::Value) -> Configured {
    engine.load(module).unwrap().configure(configuration(policy, settings), limits()).unwrap()
}

/// A cluster that holds nothing, and knows so.
pub(crate) fn nothing() -> Arc<dyn ClusterView> {
    Arc::new(Objects::new(std::iter::empty(), true))
}

pub(crate) fn scoped(view: Arc<dyn ClusterView>, lookups: &[Lookup], deadline: Instant) -> Arc<Scoped> {
    Arc::new(Scoped::new(view, lookups.into(), Arc::new(Budget::until(deadline))))
}

/// A creation of `object`, to be changed where a test needs it.
pub(crate) fn call<'a>(object: &'a str, configured: &Configured, view: Arc<dyn ClusterView>) -> Call<'a> {
    let deadline = Instant::now() + PATIENCE;
    Call {
        operation: Operation::Create,
        object: Some(object),
        old_object: None,
        attributes: r#"{"origin":"check"}"#,
        now: Duration::from_secs(1_800_000_000),
        deadline,
        cluster: scoped(view, &configured.description.reach.lookups, deadline),
        may_log: true,
    }
}

pub(crate) async fn review(configured: &Configured, object: &str) -> Evaluation {
    configured.evaluator.evaluate(call(object, configured, nothing())).await
}
