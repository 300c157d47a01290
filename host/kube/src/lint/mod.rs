//! Which set-ups could lock a cluster out, with the way out of each: pure rules
//! over [`Facts`], read from files, or from a cluster by the controller.
//!
//! ```text
//! files ── Facts::of_objects ─┐
//! cluster ── facts ───────────┴─ check ─ risks ─ `portcullis lint`, conditions in statuses
//! one new policy ─────────────── admit ─ risks ─ the admission of policy objects
//! ```
//! What isn't a risk, though it looks like one: a policy that looks up what it
//! judges. A look-up is answered from memory, or is unknown after a quarter of a
//! second; it never waits for a write, so no write waits for itself.
//!
//! Invariant: a risk says what could happen and what would end it.

mod facts;
mod known;
mod read;
mod rules;
#[cfg(test)]
mod tests;

use portcullis_core::contract::Description;
use portcullis_core::policy::{PolicyDocument, PolicyId};

pub use self::facts::{Facts, JudgedPolicy, Workload};
pub use self::known::Role;
pub use self::read::facts;

/// What could lock the cluster out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Risk {
    /// Which rule says so, as `workload-outside-exempt-namespaces`.
    pub rule: &'static str,
    /// What is done about it where a policy is admitted.
    pub level: Level,
    /// Whose, where it is one policy's.
    pub policy: Option<PolicyId>,
    /// What could happen.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// What is done about a risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The policy isn't admitted.
    Refuse,
    /// Who writes it is warned.
    Warn,
}

/// The rules: the name, the reason of a condition that it becomes, and what it is
/// about.
pub const RULES: [(&str, &str, &str); 7] = [
    (
        rules::WORKLOAD,
        "WorkloadOutsideExemptNamespaces",
        "what the cluster's network, volumes or names come from isn't exempt",
    ),
    (rules::ISSUER, "CertificateIssuerJudged", "the issuer of the webhooks' certificate waits for the webhooks"),
    (rules::VITAL, "VitalKinds", "a policy names kinds that are never reviewed"),
    (rules::WILDCARD, "Wildcard", "a policy that fails closed names everything"),
    (
        rules::CLUSTER_SCOPED,
        "ClusterScopedFailClosed",
        "a policy refuses what controllers write of cluster-scoped kinds while no replica answers",
    ),
    (rules::ONE_REPLICA, "OneReplica", "a policy fails closed and one replica answers"),
    (rules::TIMEOUT, "LongTimeout", "a policy may take longer than its callers wait"),
];

/// All risks of a set-up, the worst first, then by rule and policy.
#[must_use]
pub fn check(facts: &Facts) -> Vec<Risk> {
    let mut risks: Vec<Risk> = facts.policies.iter().flat_map(|policy| rules::of_policy(policy, facts)).collect();
    risks.sort_by(|one, other| (one.level, one.rule, &one.policy).cmp(&(other.level, other.rule, &other.policy)));
    risks
}

/// The risks of one policy that is about to be written, among what is known of
/// the cluster; the policies of `facts` don't matter.
#[must_use]
pub fn admit(document: &PolicyDocument, description: Option<&Description>, facts: &Facts) -> Vec<Risk> {
    let policy = JudgedPolicy { document: document.clone(), description: description.cloned() };
    let mut risks = rules::of_policy(&policy, facts);
    risks.sort();
    risks
}

impl Risk {
    /// The rule as the reason of a condition: `OneReplica`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        RULES.iter().find(|(rule, _, _)| *rule == self.rule).map_or("Unknown", |(_, reason, _)| reason)
    }
}
