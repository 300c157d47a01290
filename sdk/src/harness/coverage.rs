//! What a policy can say and is asked, against what its cases show.

use std::collections::BTreeSet;

use crate::erased::ErasedPolicy;
use crate::harness::case::{Case, Verdict};
use crate::harness::run::Outcome;
use crate::policy::MALFORMED;

/// What goes without a case: a rule that is never reported, a rule that never
/// passes, an operation of the widest reach that is never asked about.
#[must_use]
pub fn missing(policy: &dyn ErasedPolicy, outcomes: &[(&Case, Outcome)]) -> Vec<String> {
    let mut missing = Vec::new();
    for rule in policy.rules().into_iter().filter(|rule| rule.id != MALFORMED.id) {
        let reports = |outcome: &Outcome| outcome.findings.iter().any(|finding| finding["rule"] == rule.id);
        if !outcomes.iter().any(|(_, outcome)| reports(outcome)) {
            missing.push(format!("no case shows the rule `{}` being reported", rule.id));
        }
        if !outcomes.iter().any(|(_, outcome)| !reports(outcome) && outcome.verdict == Verdict::Allow) {
            missing.push(format!("no case shows the rule `{}` passing", rule.id));
        }
    }
    let asked: BTreeSet<&str> = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.verdict != Verdict::Unmatched)
        .map(|(_, outcome)| outcome.operation.as_str())
        .collect();
    let description = policy.description();
    let matches = description["reach"]["matches"].as_array();
    let matched: BTreeSet<&str> = matches
        .into_iter()
        .flatten()
        .filter_map(|rule| rule["operations"].as_array())
        .flatten()
        .filter_map(|operation| operation.as_str())
        .collect();
    missing.extend(
        matched.difference(&asked).map(|operation| format!("the policy matches {operation}, and no case is one")),
    );
    missing
}
