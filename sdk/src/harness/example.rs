//! The examples of a rule, held to what they show.
//!
//! Users read them in `explain` and in the documentation, so they must be true:
//! the rule is reported for the bad one and not for the good one.

use serde_json::{Map, Value};

use crate::erased::ErasedPolicy;
use crate::harness::case::{Case, CaseOperation, Expect, Verdict};
use crate::harness::run::{Outcome, run};
use crate::policy::{Examples, Rule};

/// When examples are judged: 2026-01-01T00:00:00Z, so that a certificate in one stays valid for as long as the test runs.
const NOW: u64 = 1_767_225_600;

/// What is wrong with a policy's examples: empty if nothing is.
#[must_use]
pub fn check_examples(policy: &dyn ErasedPolicy) -> Vec<String> {
    policy.rules().into_iter().flat_map(|rule| check(policy, rule)).collect()
}

/// What is wrong with the examples of one rule.
pub(super) fn check(policy: &dyn ErasedPolicy, rule: &Rule) -> Vec<String> {
    let Some(examples) = &rule.examples else { return Vec::new() };
    let mut wrong = Vec::new();
    match judge(policy, examples, examples.bad, true) {
        Err(error) => wrong.push(format!("bad.yaml: {error}")),
        Ok(whole) if reports(&whole, rule) => {}
        // A rule that speaks of what isn't known needs a cluster that isn't known whole.
        Ok(whole) => match judge(policy, examples, examples.bad, false) {
            Err(error) => wrong.push(format!("bad.yaml: {error}")),
            Ok(part) if reports(&part, rule) => {}
            Ok(_) => wrong.push(format!("bad.yaml isn't reported; what it comes to is {}", show(&whole))),
        },
    }
    match judge(policy, examples, examples.good, true) {
        Err(error) => wrong.push(format!("good.yaml: {error}")),
        Ok(outcome) if outcome.verdict == Verdict::Unmatched => {
            wrong.push("good.yaml shows nothing: the policy doesn't match its first document".to_owned());
        }
        Ok(outcome) if reports(&outcome, rule) => {
            wrong.push(format!("good.yaml is reported: {}", show(&outcome)));
        }
        Ok(_) => {}
    }
    wrong.into_iter().map(|wrong| format!("examples/{}: {wrong}", rule.id)).collect()
}

fn judge(policy: &dyn ErasedPolicy, examples: &Examples, text: &str, complete: bool) -> Result<Outcome, String> {
    let mut documents = documents(text)?.into_iter();
    let object = documents.next().ok_or("there is no document in it")?;
    let old_object = match examples.old {
        Some(old) => Some(documents_of("old.yaml", old)?.into_iter().next().ok_or("old.yaml holds no document")?),
        None => None,
    };
    let settings = match examples.settings {
        Some(settings) => documents_of("settings.yaml", settings)?.into_iter().next().unwrap_or_default(),
        None => Value::Object(Map::new()),
    };
    let case = Case {
        name: String::new(),
        settings,
        operation: if old_object.is_some() { CaseOperation::Update } else { CaseOperation::Create },
        object: Some(object),
        old_object,
        subresource: None,
        attributes: Map::new(),
        cluster: documents.collect(),
        complete,
        now: NOW,
        expect: Expect {
            verdict: Verdict::Allow,
            findings: Vec::new(),
            audit_annotations: None,
            edits: None,
            patched: None,
        },
    };
    run(policy, &case).map_err(|error| error.to_string())
}

fn documents_of(file: &str, text: &str) -> Result<Vec<Value>, String> {
    documents(text).map_err(|error| format!("{file}: {error}"))
}

/// The documents of a YAML text, without those that hold nothing.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    serde_saphyr::from_multiple(text).map_err(|error| error.to_string())
}

fn reports(outcome: &Outcome, rule: &Rule) -> bool {
    outcome.findings.iter().any(|finding| finding["rule"] == rule.id)
}

fn show(outcome: &Outcome) -> String {
    format!("{:?}: {}", outcome.verdict, Value::from(outcome.findings.clone()))
}
