//! What a hostile guest comes to: a reason, within its limits, and a neighbour
//! that doesn't notice.
//!
//! The table names every behaviour of `tests/guests/hostile`; one that isn't in
//! it fails the test.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::hostile::{hostile, hostile_before};
use common::{MINIMAL, PATIENCE, UNLABELLED, call, configuration, configure, engine, engine_with, nothing, review};
use portcullis_core::cluster::{Answer, Budget, ClusterView, Listing, ObjectName, Query};
use portcullis_core::evaluate::Failure;
use portcullis_core::json::Document;
use portcullis_core::verdict::{Said, within_reach};
use portcullis_core::{edit, objects};
use portcullis_engine::{Configured, Engine, EngineConfig, Limits, Module};
use serde_json::json;

const TIMEOUT: Duration = Duration::from_millis(50);
const LIMITS: Limits = Limits { timeout: TIMEOUT, memory: 24 * 1024 * 1024 };
/// Those that only a limit of time ends; the others get time enough to be what
/// they are on a busy machine.
const ENDLESS: [&str; 3] = ["endless-loop", "endless-log", "memory-fill"];

/// Policy; what comes of a review; what comes of configuring it when it strikes there.
const BEHAVIOURS: &[(&str, &str, &str)] = &[
    ("good", "fine", "fine"),
    ("changed-by-warm-up", "fine", "fine"),
    ("endless-loop", "ran longer than its timeout of 50 ms", "ran longer than its timeout of 300 ms"),
    ("endless-log", "ran longer than its timeout of 50 ms", "ran longer than its timeout of 300 ms"),
    ("endless-look-up", "more than 256 look-ups in one review", "`cluster` was called during `configure`"),
    ("allocation-bomb", "asked for more than its 25165824 bytes of memory", "asked for more than its 67108864 bytes"),
    ("memory-fill", "ran longer than its timeout of 50 ms", "ran longer than its timeout of 300 ms"),
    ("deep-recursion", "trapped: call stack exhausted", "trapped: call stack exhausted"),
    ("trap", "trapped: wasm `unreachable` instruction executed", "trapped: wasm `unreachable`"),
    ("out-of-bounds", "trapped: out of bounds memory access", "trapped: out of bounds"),
    ("panic", "panicked: all is lost (at src/behaviour.rs:", "panicked: all is lost (at src/behaviour.rs:"),
    ("clock", "fine", "`clock` was called during `configure`, where its answer would be frozen in"),
    ("look-up", "fine", "`cluster` was called during `configure`"),
    ("undeclared-look-up", "undeclared look-up: get of Secret.v1", "`cluster` was called during `configure`"),
    ("undeclared-key", "undeclared look-up key \"spec.undeclared\" of ConfigMap", "`cluster` was called"),
    ("undeclared-among-many", "undeclared look-up: get of Secret.v1", "`cluster` was called during `configure`"),
    ("no-reviews", "malformed answer: 0 reviews for 1 policy", "fine"),
    ("two-reviews", "malformed answer: 2 reviews for 1 policy", "fine"),
    ("many-reviews", "malformed answer: too much data", "fine"),
    ("huge-finding", "malformed answer: too much data", "fine"),
    ("huge-log", "malformed answer: too much data", "malformed answer: too much data"),
    ("not-utf8", "malformed answer: invalid utf-8", "fine"),
    ("finding-not-json", "malformed answer: finding 0: EOF", "fine"),
    ("finding-unknown-level", "malformed answer: finding 0: unknown variant `panic`", "fine"),
    ("finding-unknown-rule", "malformed answer: finding 0: rule \"saintly\" is not one of the policy's", "fine"),
    ("finding-oversized", "malformed answer: finding 0: 50", "fine"),
    ("findings-too-many", "malformed answer: 101 findings", "fine"),
    ("edits-of-a-validating-policy", "malformed answer: a validating policy returned edits", "fine"),
    ("edit-outside-its-reach", "is outside of what the policy declares to write", "fine"),
    ("edit-not-json", "malformed answer: edit 0: its value is not JSON", "fine"),
    ("edit-that-does-not-apply", "/metadata/labels/hostile", "fine"),
];

fn impatient() -> Engine {
    engine_with(EngineConfig { load_timeout: Duration::from_millis(300), ..EngineConfig::default() })
}

fn configured(module: &Module, policy: &str, when: &str) -> Result<Configured, String> {
    let configuration = configuration(policy, json!({"when": when}));
    let timeout = if ENDLESS.contains(&policy) { TIMEOUT } else { PATIENCE };
    module.configure(configuration, Limits { timeout, ..LIMITS }).map_err(|error| error.to_string())
}

/// What the host makes of a review of [`UNLABELLED`], as far as it needs no server.
async fn judged(configured: &Configured) -> String {
    let description = &configured.description;
    let evaluation = review(configured, UNLABELLED).await;
    let judged = evaluation.outcome.and_then(|raw| {
        let said = Said::read(raw, description)?;
        let object = Document::parse(UNLABELLED.as_bytes()).unwrap();
        within_reach(&said.edits, description, &description.reach.reads[0], object.root())?;
        let applied = edit::apply(UNLABELLED, &said.edits);
        applied.map_err(|error| Failure::Edit { reason: error.to_string() })
    });
    judged.map_or_else(|failure| failure.to_string(), |_| "fine".to_owned())
}

fn check(what: &str, answer: &str, expected: &str) {
    assert!(answer.contains(expected), "{what}: expected {expected:?}, got {answer:?}");
}

/// One worker for all: a guest that didn't give it back would stop the others.
#[tokio::test]
async fn each_behaviour_is_contained_and_its_neighbour_answers_meanwhile() {
    let engine = impatient();
    let module = engine.load(hostile()).unwrap();
    let neighbour = configure(&engine, MINIMAL, "require-label", json!({}));
    let described: Vec<_> = module.descriptions().iter().map(|description| description.name.as_str()).collect();
    let expected: Vec<_> = BEHAVIOURS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(described, expected, "every behaviour of the guest stands in the table");

    for (name, expected, _) in BEHAVIOURS {
        let policy = configured(&module, name, "review").unwrap();
        let start = Instant::now();
        let answers_of_neighbour = async {
            for _ in 0..20 {
                assert_eq!(review(&neighbour, UNLABELLED).await.outcome.unwrap().findings.len(), 1, "beside {name}");
                tokio::task::yield_now().await;
            }
        };
        let (answer, ()) = tokio::join!(judged(&policy), answers_of_neighbour);
        check(name, &answer, expected);
        assert!(start.elapsed() < PATIENCE, "{name} took {:?}", start.elapsed());
        check(&format!("{name} again"), &judged(&policy).await, expected);
    }
}

#[test]
fn what_strikes_in_configure_is_a_configure_error() {
    let (impatient, patient) = (impatient().load(hostile()).unwrap(), engine().load(hostile()).unwrap());
    for (name, _, expected) in BEHAVIOURS {
        let module = if ENDLESS.contains(name) { &impatient } else { &patient };
        let answer = configured(module, name, "configure").map_or_else(|error| error, |_| "fine".to_owned());
        check(name, &answer, expected);
    }
}

#[tokio::test]
async fn a_warm_up_that_fails_leaves_a_policy_that_works() {
    let module = impatient().load(hostile()).unwrap();
    for name in ["endless-loop", "panic", "allocation-bomb", "look-up", "clock"] {
        let policy = configured(&module, name, "warm-up").unwrap();
        check(name, &policy.warnings.join(" "), "its warm-up failed");
        check(name, &judged(&policy).await, "fine");
    }
    let policy = configured(&module, "good", "warm-up").unwrap();
    check("good", &format!("{:?}", policy.snapshot), "warmed_up: true");
}

#[tokio::test]
async fn a_snapshot_that_answers_otherwise_than_a_fresh_configure_is_dropped() {
    let module = impatient().load(hostile()).unwrap();
    let policy = configured(&module, "changed-by-warm-up", "review").unwrap();
    check("the snapshot", &format!("{:?}", policy.snapshot), "Absent");
    check("the warnings", &policy.warnings.join(" "), "it doesn't answer as a fresh configure on sample 0");
    let raw = review(&policy, UNLABELLED).await.outcome.unwrap();
    assert_eq!(raw.audit_annotations, [("warm".to_owned(), "false".to_owned())]);
}

#[test]
fn what_goes_wrong_before_configure_is_a_load_error() {
    let engine = impatient();
    let cases = [
        ('i', "`describe` failed: ran longer than its timeout of 300 ms"),
        ('d', "`describe` failed: ran longer than its timeout of 300 ms"),
        ('j', "the description of policy 0 is wrong: EOF"),
        ('h', "`describe` failed: malformed answer: too much data"),
        ('p', "`describe` failed: panicked: no description for you"),
    ];
    for (mode, expected) in cases {
        let answer = engine.load(&hostile_before(mode)).map_or_else(|error| error.to_string(), |_| "fine".to_owned());
        check(&mode.to_string(), &answer, expected);
    }
    assert!(engine.load(MINIMAL).is_ok());
}

#[tokio::test]
async fn the_requests_deadline_holds_where_the_policy_has_more_time() {
    let module = engine().load(hostile()).unwrap();
    let limits = Limits { timeout: Duration::from_secs(60), ..LIMITS };
    for name in ["endless-loop", "endless-log", "memory-fill"] {
        let policy = module.configure(configuration(name, json!({})), limits).unwrap();
        let mut call = call(UNLABELLED, &policy, nothing());
        call.deadline = Instant::now() + Duration::from_millis(60);
        let start = Instant::now();
        assert_eq!(policy.evaluator.evaluate(call).await.outcome.err(), Some(Failure::Deadline), "{name}");
        assert!(start.elapsed() < Duration::from_secs(2), "{name} took {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_call_that_finds_no_slot_in_time_is_busy() {
    let config = EngineConfig { instances: 1, ..EngineConfig::default() };
    let engine = Engine::new(config).unwrap();
    let module = engine.load(hostile()).unwrap();
    let limits = Limits { timeout: Duration::from_millis(400), ..LIMITS };
    let looping = module.configure(configuration("endless-loop", json!({})), limits).unwrap();
    let good = module.configure(configuration("good", json!({})), LIMITS).unwrap();
    let mut hurried = call(UNLABELLED, &good, nothing());
    hurried.deadline = Instant::now() + Duration::from_millis(30);
    let (looped, hurried, patient) =
        tokio::join!(review(&looping, UNLABELLED), good.evaluator.evaluate(hurried), review(&good, UNLABELLED),);
    assert_eq!(looped.outcome.err(), Some(Failure::Timeout { limit: limits.timeout }));
    assert_eq!(hurried.outcome.err(), Some(Failure::Busy));
    assert!(patient.outcome.is_ok());
}

/// Answers after a while, or never.
struct Slow(Option<Duration>);

impl ClusterView for Slow {
    fn get<'a>(&'a self, _: &'a ObjectName, _: &'a Budget) -> futures_util::future::BoxFuture<'a, Answer> {
        Box::pin(async {
            match self.0 {
                Some(while_) => tokio::time::sleep(while_).await,
                None => std::future::pending().await,
            }
            Answer::Absent
        })
    }

    fn list<'a>(&'a self, _: &'a Query, _: &'a Budget) -> futures_util::future::BoxFuture<'a, Listing> {
        Box::pin(async { Listing { items: Vec::new(), incomplete: None } })
    }
}

#[tokio::test]
async fn a_slow_look_up_is_not_charged_to_the_policy_but_the_deadline_holds() {
    let module = engine().load(hostile()).unwrap();
    let policy = module.configure(configuration("look-up", json!({})), LIMITS).unwrap();

    let slow = call(UNLABELLED, &policy, Arc::new(Slow(Some(TIMEOUT * 4))));
    let evaluation = policy.evaluator.evaluate(slow).await;
    assert!(evaluation.outcome.is_ok(), "{evaluation:?}");
    assert!(evaluation.ran < TIMEOUT, "waiting isn't running: {:?}", evaluation.ran);

    let mut never = call(UNLABELLED, &policy, Arc::new(Slow(None)));
    never.deadline = Instant::now() + Duration::from_millis(50);
    assert_eq!(policy.evaluator.evaluate(never).await.outcome.err(), Some(Failure::Deadline));
}

#[tokio::test]
async fn of_a_policy_that_reads_secrets_only_the_place_of_a_panic_is_told() {
    let module = engine().load(hostile()).unwrap();
    let policy = module.configure(configuration("panic", json!({})), LIMITS).unwrap();
    let mut secretive = call(UNLABELLED, &policy, Arc::new(objects::NoCluster { reason: String::new() }));
    secretive.may_log = false;
    let Err(Failure::Panic { message }) = policy.evaluator.evaluate(secretive).await.outcome else {
        panic!("it panics")
    };
    assert!(message.starts_with("at src/behaviour.rs:"), "{message}");
    assert!(!message.contains("lost"), "{message}");
}

#[test]
fn a_policy_that_needs_more_memory_than_it_may_have_is_refused_at_once() {
    let module = engine().load(hostile()).unwrap();
    let limits = Limits { memory: 64 * 1024, ..LIMITS };
    let error = module.configure(configuration("good", json!({})), limits).err().unwrap();
    assert_eq!(
        error.to_string(),
        "good doesn't start within its limits: asked for more than its 65536 bytes of memory"
    );
}
