//! What a run reports: one vocabulary for `check -o json`, the decision log and
//! the tests. Version 1; scripts rely on it.

use serde::{Deserialize, Serialize};

use crate::contract::{Fix, Level, Severity};
use crate::edit::Edit;

/// The version of this vocabulary.
pub const REPORT_VERSION: u32 = 1;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// One an object and operation.
    pub results: Vec<ObjectReport>,
    /// Sums over `results`.
    pub summary: Summary,
}

/// What was said of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectReport {
    /// The file, or `-`.
    pub source: String,
    /// Where in it the object begins, from 1.
    pub line: usize,
    /// Which object.
    pub object: ObjectIdentity,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: String,
    /// `scale`, `status`…
    pub subresource: Option<String>,
    /// Whether the object may pass.
    pub allowed: bool,
    /// The policies that matched, in the order in which they were asked.
    pub policies: Vec<PolicyReport>,
    /// As the API server would show them.
    pub warnings: Vec<String>,
    /// RFC 6902, as the API server would be sent it.
    pub patch: Vec<Edit>,
}

/// Which object a result is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectIdentity {
    /// `apps/v1`.
    pub api_version: String,
    /// `StatefulSet`.
    pub kind: String,
    /// Empty for a cluster-scoped object.
    pub namespace: String,
    /// Empty where only a generateName is known.
    pub name: String,
}

/// What one policy said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReport {
    /// `name` or `namespace/name`.
    pub policy: String,
    /// `mutate` or `validate`.
    pub phase: String,
    /// What it said.
    pub verdict: Verdict,
    /// Whether a denial, an undecided verdict or an error of it stopped the request.
    pub enforced: bool,
    /// Time that the policy itself ran.
    pub duration_micros: u64,
    /// What it found.
    pub findings: Vec<FindingReport>,
    /// The look-ups that got no answer.
    pub needs: Vec<String>,
    /// Its own edits, as RFC 6902.
    pub patch: Vec<Edit>,
    /// Keys as the policy gave them.
    pub audit_annotations: std::collections::BTreeMap<String, String>,
    /// What went wrong, with `verdict: error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A policy's verdict on one request, from the mildest to the gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to say.
    Allow,
    /// Worth saying.
    Warn,
    /// The cluster didn't give an answer that it needs.
    Undecided,
    /// It must not pass.
    Deny,
    /// The policy failed.
    Error,
}

/// One finding, with what the rule says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingReport {
    /// The rule's id.
    pub rule: String,
    /// What it meant for the request, after ratcheting.
    pub level: Level,
    /// The rule's severity.
    pub severity: Severity,
    /// See [`crate::contract::Finding`].
    pub subject: String,
    /// See [`crate::contract::Finding`].
    pub value: String,
    /// See [`crate::contract::Finding`].
    pub message: String,
    /// See [`crate::contract::Finding`].
    pub path: String,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// Where more is said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Why a denial became a warning: `ratcheted` or `judged at owner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softened: Option<String>,
}

/// Sums over a run. An object counts once in each column that holds for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Objects judged.
    pub objects: usize,
    /// That may pass.
    pub allowed: usize,
    /// That may not.
    pub denied: usize,
    /// With a warning.
    pub warned: usize,
    /// With an undecided verdict.
    pub undecided: usize,
    /// With a policy that failed.
    pub errors: usize,
}

impl Summary {
    /// Counts one more result.
    pub fn add(&mut self, result: &ObjectReport) {
        let has = |verdict| result.policies.iter().any(|policy| policy.verdict == verdict);
        self.objects += 1;
        self.allowed += usize::from(result.allowed);
        self.denied += usize::from(!result.allowed);
        self.warned += usize::from(!result.warnings.is_empty());
        self.undecided += usize::from(has(Verdict::Undecided));
        self.errors += usize::from(has(Verdict::Error));
    }
}

impl Report {
    /// Sums up the results.
    pub fn new(results: Vec<ObjectReport>) -> Report {
        let mut summary = Summary::default();
        results.iter().for_each(|result| summary.add(result));
        Report { version: REPORT_VERSION, results, summary }
    }
}
