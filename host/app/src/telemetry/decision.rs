//! The decision log: one line an answer, in the vocabulary of the report, never
//! an object's content.

use std::fmt;
use std::time::Duration;

use portcullis_core::admit::Admitted;
use portcullis_core::report::{PolicyReport, Verdict};

/// Policies with their verdicts: `database-remote-storage=deny shop/backups=error`.
struct Verdicts<'a>(&'a [PolicyReport]);

/// Writes the line of one answer.
pub fn log_decision(admitted: &Admitted, path: &str, took: Duration) {
    let object = &admitted.object;
    tracing::info!(
        uid = admitted.uid,
        path,
        operation = admitted.operation,
        api_version = object.api_version,
        kind = object.kind,
        namespace = object.namespace,
        name = object.name,
        subresource = admitted.subresource,
        user = admitted.user,
        dry_run = admitted.dry_run,
        allowed = admitted.allowed,
        policies = %Verdicts(&admitted.policies),
        patched = admitted.patch.len(),
        micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "decision"
    );
    for policy in admitted.policies.iter().filter(|policy| policy.verdict == Verdict::Error) {
        tracing::warn!(
            uid = admitted.uid,
            policy = policy.policy,
            error = policy.error.as_deref().unwrap_or_default(),
            enforced = policy.enforced,
            micros = policy.duration_micros,
            "policy failed"
        );
    }
}

/// The word of the report.
pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Warn => "warn",
        Verdict::Undecided => "undecided",
        Verdict::Deny => "deny",
        Verdict::Error => "error",
    }
}

impl fmt::Display for Verdicts<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, policy) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(formatter, "{space}{}={}", policy.policy, verdict(policy.verdict))?;
        }
        Ok(())
    }
}
