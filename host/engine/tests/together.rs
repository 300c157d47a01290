//! Policies of one trusted module in one call, asked through `admit`: whatever
//! one of them does, its neighbours in the same instance answer, and what is
//! said of it is what would be said of it alone.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::admit::{Origin, Owner, Policy, Request, Selection, Snapshot, admit};
use portcullis_core::cluster::{Budget, ClusterView, Scoped};
use portcullis_core::contract::{Configuration, Operation, Phase};
use portcullis_core::evaluate::{Evaluate, Failure, SharedCall};
use portcullis_core::matching::Matcher;
use portcullis_core::objects::Objects;
use portcullis_core::policy::PolicyDocument;
use portcullis_core::report::{PolicyReport, Verdict};
use portcullis_engine::{Configured, Limits};
use serde_json::json;

use common::hostile::hostile;
use common::{PATIENCE, engine};

/// Those that do nothing wrong; asked beside each of the others.
const NEIGHBOURS: [&str; 3] = ["good", "look-up", "clock"];

/// Who does what, and what is said of it; the rest of the guest's behaviours is
/// of one alone, and stands in `hostile.rs`.
const HOSTILE: [(&str, &str); 21] = [
    ("endless-loop", "ran longer than its timeout of 400 ms"),
    ("endless-log", "ran longer than its timeout of 400 ms"),
    ("endless-look-up", "more than 256 look-ups in one review"),
    ("allocation-bomb", "asked for more than its 25165824 bytes of memory"),
    ("memory-fill", "ran longer than its timeout of 400 ms"),
    ("deep-recursion", "trapped: call stack exhausted"),
    ("trap", "trapped: wasm `unreachable` instruction executed"),
    ("out-of-bounds", "trapped: out of bounds memory access"),
    ("panic", "panicked: all is lost (at src/behaviour.rs:"),
    ("undeclared-look-up", "undeclared look-up: get of Secret.v1"),
    ("undeclared-key", "undeclared look-up key \"spec.undeclared\" of ConfigMap"),
    ("no-reviews", "malformed answer: 0 reviews for 1 policy"),
    ("two-reviews", "malformed answer: 2 reviews for 1 policy"),
    ("many-reviews", "malformed answer: too much data"),
    ("huge-finding", "malformed answer: too much data"),
    ("not-utf8", "malformed answer: invalid utf-8"),
    ("finding-not-json", "malformed answer: finding 0: EOF"),
    ("finding-unknown-level", "malformed answer: finding 0: unknown variant `panic`"),
    ("finding-unknown-rule", "malformed answer: finding 0: rule \"saintly\" is not one of the policy's"),
    ("findings-too-many", "malformed answer: 101 findings"),
    ("edits-of-a-validating-policy", "malformed answer: a validating policy returned edits"),
];

/// Those that only their timeout ends.
const ENDLESS: [&str; 3] = ["endless-loop", "endless-log", "memory-fill"];

/// Every behaviour that judges, all of one module that is trusted.
fn companions() -> Vec<Arc<Policy>> {
    let module = engine().load(hostile()).unwrap();
    let judging = NEIGHBOURS.into_iter().chain(HOSTILE.map(|(name, _)| name));
    let documents: Vec<PolicyDocument> = judging
        .map(|name| {
            let timeout = if ENDLESS.contains(&name) { "400ms" } else { "5s" };
            let document = json!({
                "apiVersion": "portcullis.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": name},
                "spec": {"module": "builtin/hostile", "policy": name, "timeout": timeout, "memory": "24Mi"},
            });
            PolicyDocument::from_json(&document).unwrap()
        })
        .collect();
    let wanted = documents.iter().map(|document| {
        let configuration = Configuration { policy: document.id.name.clone(), settings: json!({}) };
        (configuration, Limits { timeout: document.spec.timeout, memory: document.spec.memory })
    });
    let configured = module.configure_all(&wanted.collect::<Vec<_>>()).unwrap();
    let policy = |(document, configured): (PolicyDocument, Configured)| {
        Arc::new(Policy {
            matcher: Matcher::new(&document, Some(&configured.description)).unwrap(),
            document,
            description: Some(configured.description.into()),
            digest: module.digest().to_owned(),
            evaluator: Ok(configured.evaluator),
        })
    };
    documents.into_iter().zip(configured).map(policy).collect()
}

fn cluster() -> Arc<dyn ClusterView> {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "a"}});
    Arc::new(Objects::new([map.to_string()], true))
}

async fn judged(policies: Vec<Arc<Policy>>) -> Vec<PolicyReport> {
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "CREATE", "name": "mongo", "namespace": "a", "object": {"metadata": {"name": "mongo"}},
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
    }});
    let body = body.to_string();
    let request = Request {
        selection: Selection { phase: Phase::Validating, group: None, owner: Owner::Cluster },
        body: body.as_bytes(),
        arrived: Instant::now(),
        deadline: Instant::now() + PATIENCE,
        now: Duration::ZERO,
        origin: Origin::Admission,
    };
    admit(&Snapshot { policies, cluster: cluster(), tenants: Default::default() }, request).await.unwrap().policies
}

fn evaluator<'p>(policies: &'p [Arc<Policy>], name: &str) -> (&'p Policy, &'p dyn Evaluate) {
    let policy = policies.iter().find(|policy| policy.document.id.name == name).unwrap();
    (policy, policy.evaluator.as_deref().unwrap())
}

/// One call for these policies, as `admit` makes it; each with its look-ups that stayed unknown.
async fn call(policies: &[Arc<Policy>], names: &[&str]) -> Result<usize, Failure> {
    let deadline = Instant::now() + PATIENCE;
    let members: Vec<_> = names
        .iter()
        .map(|name| {
            let (policy, evaluator) = evaluator(policies, name);
            let lookups = policy.description.as_ref().unwrap().reach.lookups.clone();
            (
                evaluator.company().unwrap().member,
                Arc::new(Scoped::new(cluster(), lookups.into(), Arc::new(Budget::until(deadline)))),
            )
        })
        .collect();
    let module = &evaluator(policies, names[0]).1.company().unwrap().module;
    let call = SharedCall {
        members: &members,
        operation: Operation::Create,
        object: Some(r#"{"metadata":{"name":"mongo"}}"#),
        old_object: None,
        attributes: r#"{"origin":"check"}"#,
        now: Duration::ZERO,
        deadline,
    };
    module.evaluate_together(call).await.map(|answers| answers.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_policy_does_in_a_shared_call_its_neighbours_answer() {
    let policies = tokio::task::spawn_blocking(companions).await.unwrap();
    // The call itself: good ones in one instance, with anything out of the ordinary none at all.
    assert_eq!(call(&policies, &["good", "look-up", "clock"]).await, Ok(3));
    let failed = call(&policies, &["good", "panic", "look-up"]).await.unwrap_err();
    assert!(failed.to_string().contains("all is lost"), "{failed}");
    let undeclared = call(&policies, &["look-up", "undeclared-look-up"]).await.unwrap_err();
    assert!(matches!(undeclared, Failure::Lookup(_)), "{undeclared}");

    for (name, reason) in HOSTILE {
        let asked = policies.iter().filter(|policy| {
            let own = policy.document.id.name.as_str();
            own == name || NEIGHBOURS.contains(&own)
        });
        let reports = judged(asked.cloned().collect()).await;
        assert_eq!(reports.len(), NEIGHBOURS.len() + 1);
        for report in reports {
            if report.policy == name {
                let error = report.error.unwrap_or_default();
                assert!(error.contains(reason), "{name}: {reason:?} isn't in {error:?}");
            } else {
                assert_eq!((report.verdict, report.error), (Verdict::Allow, None), "{} beside {name}", report.policy);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_misbehaves_at_once_is_told_policy_by_policy() {
    let policies = tokio::task::spawn_blocking(companions).await.unwrap();
    let reports = judged(policies.clone()).await;
    assert_eq!(reports.len(), policies.len());
    for report in reports {
        let reason = HOSTILE.iter().find(|(name, _)| *name == report.policy).map(|(_, reason)| *reason);
        let error = report.error.unwrap_or_default();
        assert_eq!(reason.is_some(), !error.is_empty(), "{}: {error}", report.policy);
        assert!(error.contains(reason.unwrap_or_default()), "{}: {error}", report.policy);
    }
}
