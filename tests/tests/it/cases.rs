//! Every case of every built-in policy, run through the real engine with the
//! host's own matching, projection, cluster and edits: what ships says what its
//! cases say, and what the native harness makes of them.

use portcullis_core::contract::Level;
use portcullis_core::evaluate::Failure;
use portcullis_sdk::Operation;
use portcullis_sdk::harness::{self, Outcome, Verdict};
use serde_json::Value;

use crate::suite::{Answered, Asked, Prepared, Suite};

/// How many there have to be: a folder that isn't found would pass.
const AT_LEAST: usize = 250;

#[tokio::test]
async fn every_case_comes_to_the_same_in_the_sandbox() {
    let suite = tokio::task::spawn_blocking(Suite::get).await.unwrap();
    assert!(suite.cases.len() >= AT_LEAST, "only {} cases", suite.cases.len());
    let (mut wrong, mut reviewed) = (Vec::new(), 0);
    for prepared in &suite.cases {
        let differences = match outcome(prepared).await {
            Ok(outcome) => {
                reviewed += usize::from(outcome.verdict != Verdict::Unmatched);
                let mut differences = harness::compare(&prepared.case.expect, &outcome);
                differences.extend(differs_from_native(prepared, &outcome));
                differences
            }
            Err(failure) => vec![failure.to_string()],
        };
        wrong.extend(differences.into_iter().map(|difference| format!("{}\n  {difference}", prepared.label)));
    }
    assert!(wrong.is_empty(), "{} differences:\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(reviewed * 10 >= suite.cases.len() * 9, "only {reviewed} of {} were matched", suite.cases.len());
}

/// What a case comes to in the sandbox, in the harness's words.
async fn outcome(prepared: &Prepared) -> Result<Outcome, Failure> {
    let mut outcome = Outcome {
        verdict: Verdict::Unmatched,
        findings: Vec::new(),
        audit_annotations: Default::default(),
        edits: Vec::new(),
        patched: prepared.case.object.clone(),
        operation: Operation::from(prepared.case.operation),
    };
    if !prepared.matches() {
        return Ok(outcome);
    }
    let Answered { said, lacks_answer, edited } = prepared.ask(&prepared.asked()).await?;
    if !said.edits.is_empty() {
        let again = prepared.ask(&Asked { object: edited.as_ref(), ..prepared.asked() }).await?;
        assert!(again.said.edits.is_empty(), "{}: done twice it edits {:?}", prepared.label, again.said.edits);
    }
    let gravest = said.findings.iter().map(|finding| finding.level).max();
    outcome.verdict = match (gravest, lacks_answer) {
        (Some(Level::Deny), _) => Verdict::Deny,
        (Some(Level::Undecided), _) | (_, true) => Verdict::Undecided,
        (Some(Level::Warn), false) => Verdict::Warn,
        (None, false) => Verdict::Allow,
    };
    outcome.findings = said.findings.iter().map(|finding| serde_json::to_value(finding).unwrap()).collect();
    outcome.edits = said.edits.iter().map(|edit| serde_json::to_value(edit).unwrap()).collect();
    outcome.audit_annotations = said.annotations;
    outcome.patched = edited;
    Ok(outcome)
}

/// What the plain Rust of the policy says otherwise than its Wasm.
fn differs_from_native(prepared: &Prepared, outcome: &Outcome) -> Vec<String> {
    let native = match harness::run(prepared.native, &prepared.case) {
        Ok(native) => native,
        Err(error) => return vec![format!("the native harness can't run it: {error}")],
    };
    let mut differences = Vec::new();
    let mut differ = |what: &str, wasm: String, native: String| {
        if wasm != native {
            differences.push(format!("{what}: {wasm} in the sandbox, {native} natively"));
        }
    };
    let findings = |outcome: &Outcome| format!("{:#?}", outcome.findings.iter().map(compared).collect::<Vec<_>>());
    differ("verdict", format!("{:?}", outcome.verdict), format!("{:?}", native.verdict));
    differ("findings", findings(outcome), findings(&native));
    differ("annotations", format!("{:?}", outcome.audit_annotations), format!("{:?}", native.audit_annotations));
    differ("edits", Value::from(outcome.edits.clone()).to_string(), Value::from(native.edits).to_string());
    differ("patched", format!("{:?}", outcome.patched), format!("{:?}", native.patched));
    differences
}

/// What of a finding has to be the same: all but the reason that a cluster
/// gives for an answer that it hasn't, which is the cluster's own wording.
fn compared(finding: &Value) -> Vec<(&'static str, String)> {
    let fields = ["rule", "level", "subject", "value", "path", "message", "fix"];
    let is_undecided = finding["level"] == "undecided";
    let fields = fields.into_iter().filter(|field| !(is_undecided && *field == "message"));
    // A field that is absent and one that is empty mean the same.
    let text = |value: &Value| if value.is_null() || value == "" { String::new() } else { value.to_string() };
    fields.map(|field| (field, text(&finding[field]))).collect()
}
