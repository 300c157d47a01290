//! What a case came to, against what it should.

use serde_json::Value;

use crate::harness::case::{Expect, ExpectedFinding};
use crate::harness::run::Outcome;

/// The differences, each a sentence; empty if there are none.
#[must_use]
pub fn compare(expect: &Expect, outcome: &Outcome) -> Vec<String> {
    let mut differences = Vec::new();
    if expect.verdict != outcome.verdict {
        differences.push(format!(
            "expected the verdict {:?}, got {:?}: {}",
            expect.verdict,
            outcome.verdict,
            Value::from(outcome.findings.clone())
        ));
    }
    let mut left: Vec<&Value> = outcome.findings.iter().collect();
    for expected in &expect.findings {
        match left.iter().position(|finding| is_expected(finding, expected)) {
            Some(index) => {
                left.remove(index);
            }
            None => differences
                .push(format!("expected the finding {expected:?} among {}", Value::from(outcome.findings.clone()))),
        }
    }
    differences.extend(left.into_iter().map(|finding| format!("didn't expect the finding {finding}")));
    if let Some(expected) = expect.audit_annotations.as_ref().filter(|expected| **expected != outcome.audit_annotations)
    {
        differences.push(format!("expected the audit annotations {expected:?}, got {:?}", outcome.audit_annotations));
    }
    if let Some(expected) = expect.edits.as_ref().filter(|expected| **expected != outcome.edits) {
        differences.push(format!(
            "expected the edits {}, got {}",
            Value::from(expected.clone()),
            Value::from(outcome.edits.clone())
        ));
    }
    if expect.patched.is_some() && expect.patched != outcome.patched {
        differences.push(format!(
            "expected the object {}, got {}",
            expect.patched.clone().unwrap_or_default(),
            outcome.patched.clone().unwrap_or_default()
        ));
    }
    if expect.edits.is_none() && expect.patched.is_none() && !outcome.edits.is_empty() {
        differences.push(format!("didn't expect edits, got {}", Value::from(outcome.edits.clone())));
    }
    differences
}

fn is_expected(finding: &Value, expected: &ExpectedFinding) -> bool {
    let is =
        |name: &str, wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| finding[name] == wanted.as_str());
    finding["rule"] == expected.rule.as_str()
        && finding["level"] == expected.level.as_str()
        && is("subject", &expected.subject)
        && is("value", &expected.value)
        && is("path", &expected.path)
        && expected
            .message
            .as_ref()
            .is_none_or(|part| finding["message"].as_str().is_some_and(|message| message.contains(part)))
}
