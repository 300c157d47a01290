//! What the API server thinks of its webhooks: the calls that failed, which it
//! logs and counts apart from those that denied.

use crate::Cluster;

/// The API server's counts of webhook calls since its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    /// Calls of webhooks, answered or not.
    pub made: f64,
    /// Refusals that a webhook meant.
    pub denied: f64,
    /// Refusals because the call failed.
    pub failed: f64,
    /// Failed calls that the webhook's `failurePolicy: Ignore` forgave.
    pub forgiven: f64,
}

/// What the log says of a failed call, under Fail and under Ignore.
const FAILED: [&str; 3] = ["failed calling webhook", "Failed calling webhook", "failed to call webhook"];

impl Cluster {
    /// The API server's counts.
    #[must_use]
    pub fn webhook_calls(&self) -> Calls {
        let mut calls = Calls::default();
        for line in self.kubectl(&["get", "--raw=/metrics"], "").lines() {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Some(series) = series.strip_prefix("apiserver_admission_webhook_") else { continue };
            let count = match series.split('{').next().unwrap_or_default() {
                "request_total" => &mut calls.made,
                "fail_open_count" => &mut calls.forgiven,
                "rejection_count" if series.contains("error_type=\"no_error\"") => &mut calls.denied,
                "rejection_count" => &mut calls.failed,
                _ => continue,
            };
            *count += value.parse::<f64>().unwrap_or(0.0);
        }
        calls
    }

    /// Every failed webhook call that the API server's log tells of.
    #[must_use]
    pub fn failed_webhook_calls(&self) -> Vec<String> {
        let log = self.apiserver_log();
        log.lines().filter(|line| FAILED.iter().any(|failed| line.contains(failed))).map(str::to_owned).collect()
    }

    /// # Panics
    /// A webhook call failed since the API server started.
    pub fn assert_no_failed_webhook_call(&self) {
        let lines = self.failed_webhook_calls();
        assert!(lines.is_empty(), "failed webhook calls:\n{}", lines.join("\n"));
        let calls = self.webhook_calls();
        assert!(calls.failed == 0.0 && calls.forgiven == 0.0, "failed webhook calls: {calls:?}");
    }
}
