//! The committed guest, from its bytes to its reviews: the ways that are meant.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::Arc;

use common::{MINIMAL, UNLABELLED, call, configuration, configure, engine, limits, nothing, review};
use portcullis_core::cluster::Need;
use portcullis_core::contract::{Phase, RawEdit};
use portcullis_core::objects::{NoCluster, Objects};
use portcullis_engine::{ConfigureError, SnapshotState};
use serde_json::json;

const CLASS: &str = r#"{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"fast"},"provisioner":"disk.example.com"}"#;
const CLAIM: &str = r#"{"spec":{"storageClassName":"fast"}}"#;

#[test]
fn a_module_says_what_its_policies_are_and_its_binary_what_they_can() {
    let module = engine().load(MINIMAL).unwrap();
    let names: Vec<_> = module.descriptions().iter().map(|one| (one.name.as_str(), one.phase)).collect();
    let expected =
        [("require-label", Phase::Validating), ("set-label", Phase::Mutating), ("known-class", Phase::Validating)];
    assert_eq!(names, expected);
    assert!(module.capabilities().cluster);
    assert!(!module.capabilities().clock);
    assert_eq!(module.digest().len(), 64);
    assert!(module.warnings().is_empty());
}

#[tokio::test]
async fn a_review_comes_from_a_proven_snapshot() {
    let engine = engine();
    let configured = configure(&engine, MINIMAL, "require-label", json!({"label": "team"}));
    assert_eq!(configured.snapshot, SnapshotState::Taken { warmed_up: false, proofs: 1 });
    assert_eq!(configured.warnings, Vec::<String>::new());

    let evaluation = review(&configured, UNLABELLED).await;
    let review_of_unlabelled = evaluation.outcome.unwrap();
    let finding: serde_json::Value = serde_json::from_str(&review_of_unlabelled.findings[0]).unwrap();
    assert_eq!(finding["rule"], "label-missing");
    assert_eq!(finding["value"], "team");
    assert!(!evaluation.ran.is_zero());

    let labelled = r#"{"metadata":{"labels":{"team":"a"}}}"#;
    assert!(review(&configured, labelled).await.outcome.unwrap().findings.is_empty());
}

#[tokio::test]
async fn a_mutating_policy_returns_edits() {
    let configured = configure(&engine(), MINIMAL, "set-label", json!({}));
    let edits = review(&configured, UNLABELLED).await.outcome.unwrap().edits;
    assert_eq!(edits, [RawEdit::Add("/metadata/labels/minimal".to_owned(), "\"true\"".to_owned())]);
}

#[tokio::test]
async fn a_look_up_is_found_absent_or_unknown() {
    let configured = configure(&engine(), MINIMAL, "known-class", json!({}));

    let cluster = Arc::new(Objects::new([CLASS.to_owned()], true));
    let found = configured.evaluator.evaluate(call(CLAIM, &configured, cluster)).await.outcome.unwrap();
    assert_eq!(found.audit_annotations, [("provisioner".to_owned(), "disk.example.com".to_owned())]);

    let absent = configured.evaluator.evaluate(call(CLAIM, &configured, nothing())).await.outcome.unwrap();
    assert!(absent.findings[0].contains(r#""level":"deny""#), "{absent:?}");

    let call = call(CLAIM, &configured, Arc::new(NoCluster { reason: "no cluster here".to_owned() }));
    let cluster = Arc::clone(&call.cluster);
    let unknown = configured.evaluator.evaluate(call).await.outcome.unwrap();
    assert!(unknown.findings[0].contains(r#""level":"undecided""#), "{unknown:?}");
    let needs: Vec<Need> = cluster.needs();
    assert_eq!(needs[0].what, "StorageClass fast");
}

#[test]
fn wrong_settings_are_findings_that_name_the_field() {
    let module = engine().load(MINIMAL).unwrap();
    let wanted = [
        (configuration("set-label", json!({})), limits()),
        (configuration("require-label", json!({"label": 7})), limits()),
    ];
    let Err(ConfigureError::Settings(misfits)) = module.configure_all(&wanted) else { panic!("settings are wrong") };
    assert_eq!((misfits[0].index, misfits[0].policy.as_str()), (1, "require-label"));
    assert_eq!(misfits[0].finding.path, "label");
    assert_eq!(misfits[0].to_string(), "settings of require-label: label: must be the name of a label, not 7");
}

#[test]
fn an_unknown_policy_is_named_with_those_that_there_are() {
    let module = engine().load(MINIMAL).unwrap();
    let error = module.configure(configuration("no-such", json!({})), limits()).err().unwrap();
    let expected = "the module has no policy \"no-such\"; it has require-label, set-label, known-class";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn policies_configured_together_answer_each_for_itself() {
    let module = engine().load(MINIMAL).unwrap();
    let wanted = [
        (configuration("require-label", json!({"label": "a"})), limits()),
        (configuration("require-label", json!({"label": "b"})), limits()),
        (configuration("set-label", json!({})), limits()),
    ];
    let configured = module.configure_all(&wanted).unwrap();
    drop(module);
    for (one, value) in configured.iter().zip(["a", "b"]) {
        let finding = review(one, UNLABELLED).await.outcome.unwrap().findings.remove(0);
        assert!(finding.contains(&format!(r#""value":"{value}""#)), "{finding}");
    }
    assert_eq!(review(&configured[2], UNLABELLED).await.outcome.unwrap().edits.len(), 1);
}

#[tokio::test]
async fn nothing_survives_a_review() {
    let configured = configure(&engine(), MINIMAL, "require-label", json!({}));
    let first = review(&configured, UNLABELLED).await.outcome.unwrap();
    for _ in 0..100 {
        assert_eq!(review(&configured, UNLABELLED).await.outcome.unwrap(), first);
    }
}
