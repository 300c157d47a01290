//! Policies of one trusted module in one call, in their real sandbox: whatever
//! one of them does, its neighbours in the same instance answer, and what is
//! said of it is what would be said of it alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::admit::{Origin, Owner, Policy, Request, Selection, Snapshot, admit};
use portcullis_core::cluster::{ClusterView, Scoped};
use portcullis_core::contract::{Configuration, Operation, Phase};
use portcullis_core::evaluate::{Evaluate, Failure, SharedCall};
use portcullis_core::matching::Matcher;
use portcullis_core::objects::Objects;
use portcullis_core::policy::PolicyDocument;
use portcullis_core::report::{PolicyReport, Verdict};
use portcullis_engine::{Configured, Limits};
use serde_json::{Value, json};

use crate::hostile::{BEHAVIOURS, ENDLESS, database, hostile, is_mutating};
use crate::server::engine;

/// Time enough for any call that ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every behaviour that judges, all of one module that is trusted.
fn companions() -> Vec<Arc<Policy>> {
    let module = engine().load(hostile()).unwrap();
    let judging = BEHAVIOURS.iter().map(|(name, _)| *name).filter(|name| !is_mutating(name));
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
        "uid": "u", "operation": "CREATE", "name": "mongo", "namespace": "a", "object": database("a"),
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
    }});
    let body = body.to_string();
    let request = Request {
        selection: Selection { phase: Phase::Validating, group: None, owner: Owner::Cluster },
        body: body.as_bytes(),
        deadline: Instant::now() + PATIENCE,
        now: Duration::ZERO,
        origin: Origin::Admission,
    };
    admit(&Snapshot { policies, cluster: cluster() }, request).await.unwrap().policies
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
            (evaluator.company().unwrap().member, Arc::new(Scoped::new(cluster(), lookups.into(), deadline)))
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
    let twice = call(&policies, &["good", "good"]).await.unwrap_err();
    assert!(matches!(twice, Failure::Malformed { .. }), "{twice}");

    for (name, reason) in BEHAVIOURS.iter().filter(|(name, _)| !is_mutating(name)) {
        let asked: Vec<_> = policies
            .iter()
            .filter(|policy| ["good", "look-up", "clock", *name].contains(&policy.document.id.name.as_str()))
            .cloned()
            .collect();
        for report in judged(asked).await {
            match reason.filter(|_| report.policy == *name) {
                Some(reason) => {
                    let error = report.error.unwrap_or_default();
                    assert!(error.contains(reason), "{name}: {reason:?} isn't in {error:?}");
                }
                None => {
                    assert_eq!(
                        (report.verdict, report.error),
                        (Verdict::Allow, None),
                        "{} beside {name}",
                        report.policy
                    )
                }
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
        let (_, reason) = BEHAVIOURS.iter().find(|(name, _)| *name == report.policy).unwrap();
        let error = report.error.unwrap_or_default();
        assert_eq!(reason.is_some(), !error.is_empty(), "{}: {error}", report.policy);
        assert!(error.contains(reason.unwrap_or_default()), "{}: {error}", report.policy);
    }
}

#[test]
fn an_authors_module_is_never_asked_for_several_policies() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hostile.wasm"), hostile()).unwrap();
    let document = |name: &str, module: &str, policy: &str| {
        json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": name},
               "spec": {"module": module, "policy": policy}})
    };
    let mut documents: Vec<Value> = ["good", "look-up"].map(|name| document(name, "./hostile.wasm", name)).into();
    for name in ["one", "two"] {
        documents.push(document(name, "builtin/storage", "database-remote-storage"));
    }
    let text: Vec<String> = documents.iter().map(Value::to_string).collect();
    std::fs::write(folder.path().join("policies.yaml"), text.join("\n---\n")).unwrap();
    let sources = portcullis::store::Sources::Paths(vec![folder.path().join("policies.yaml")]);
    let loaded = portcullis::store::load(&sources, engine());
    assert_eq!(loaded.problems, []);
    let company = |name: &str| evaluator(&loaded.policies, name).1.company();
    assert!(company("good").is_none() && company("look-up").is_none());
    let (one, two) = (company("one").unwrap(), company("two").unwrap());
    assert!(Arc::ptr_eq(&one.module, &two.module), "what is built in shares");
}
