//! What a fresh instance costs.
//!
//! `cargo bench -p portcullis-engine --bench instance`. Every call is one the
//! server makes: a slot of the pool, a store, an instance, its review, and all
//! of it thrown away. The aim is 40 µs for `no-op`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may fail, and the macro documents nothing")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis_core::cluster::{Budget, Scoped};
use portcullis_core::contract::{Configuration, Operation};
use portcullis_core::evaluate::Call;
use portcullis_core::objects::Objects;
use portcullis_engine::{Configured, Cpu, Engine, EngineConfig, Limits};

const MINIMAL: &[u8] = include_bytes!("../../../tests/guests/minimal-0.1.0.wasm");
const LIMITS: Limits = Limits { timeout: Duration::from_millis(200), memory: 64 * 1024 * 1024 };

fn configured(engine: &Engine, policy: &str) -> Configured {
    let configuration = Configuration { policy: policy.to_owned(), settings: serde_json::json!({}) };
    engine.load(MINIMAL).unwrap().configure(configuration, LIMITS).unwrap()
}

async fn review(configured: &Configured, operation: Operation, object: Option<&str>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let lookups = configured.description.reach.lookups.clone().into();
    let cluster = Arc::new(Scoped::new(Arc::new(Objects::default()), lookups, Arc::new(Budget::until(deadline))));
    let call = Call {
        operation,
        object,
        old_object: None,
        attributes: r#"{"origin":"check"}"#,
        now: Duration::ZERO,
        deadline,
        cluster,
        may_log: true,
    };
    configured.evaluator.evaluate(call).await.outcome.unwrap();
}

fn instance(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let policy = configured(&engine, "require-label");
    let look_up = configured(&engine, "known-class");
    let labels: Vec<_> = (0..100).map(|number| format!(r#""label-{number}":"value of label {number}""#)).collect();
    let large = format!(r#"{{"metadata":{{"labels":{{{}}}}}}}"#, labels.join(","));

    let mut group = criterion.benchmark_group("instance");
    // `minimal` answers a DELETE without looking at anything.
    group.bench_function("no-op", |bencher| {
        bencher.to_async(&runtime).iter(|| review(&policy, Operation::Delete, None));
    });
    group.bench_function("3 KB object parsed", |bencher| {
        bencher.to_async(&runtime).iter(|| review(&policy, Operation::Create, Some(&large)));
    });
    // What an image brings along: the aim is within 5 % of code for this very CPU.
    let baseline = Engine::new(EngineConfig { cpu: Cpu::Baseline, ..EngineConfig::default() }).unwrap();
    let portable = configured(&baseline, "require-label");
    group.bench_function("3 KB object parsed, code for any CPU", |bencher| {
        bencher.to_async(&runtime).iter(|| review(&portable, Operation::Create, Some(&large)));
    });
    group.bench_function("one look-up", |bencher| {
        let claim = r#"{"spec":{"storageClassName":"fast"}}"#;
        bencher.to_async(&runtime).iter(|| review(&look_up, Operation::Create, Some(claim)));
    });
    group.finish();
}

fn start(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let config = || EngineConfig { cache_dir: Some(folder.path().join("cache")), ..EngineConfig::default() };
    let mut group = criterion.benchmark_group("start");
    group.sample_size(10);
    drop(configured(&Engine::new(config()).unwrap(), "require-label"));
    group.bench_function("engine", |bencher| bencher.iter(|| Engine::new(config()).unwrap()));
    group.bench_function("engine and a policy from the cache", |bencher| {
        bencher.iter(|| configured(&Engine::new(config()).unwrap(), "require-label"));
    });
    group.bench_function("a policy without the cache", |bencher| {
        let engine = Engine::new(EngineConfig::default()).unwrap();
        bencher.iter(|| configured(&engine, "require-label"));
    });
    group.finish();
}

criterion_group!(benches, instance, start);
criterion_main!(benches);
