//! The API server's audit log: who wrote what, what came of it, and what the
//! webhooks noted beside it.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::{Cluster, wait_for};

/// Writes only, once they are answered, without the objects.
pub(crate) const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Metadata
    verbs: [create, update, patch, delete, deletecollection]
";

/// The log's file in the cluster's folder.
pub(crate) const LOG: &str = "audit.log";
/// How long an event may take after its answer: it is written behind it.
const DELAY: Duration = Duration::from_secs(10);

impl Cluster {
    /// The events so far, oldest first.
    #[must_use]
    pub fn audit_events(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.path(LOG)).unwrap_or_default();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Writes that a webhook refused, a line each: who, what, why.
    #[must_use]
    pub fn refused_writes(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let refused = |event: &Value| text(&event["responseStatus"]["message"]).contains("denied the request: ");
        let events = self.audit_events();
        let lines = events.iter().filter(|event| refused(event)).map(|event| {
            let about = &event["objectRef"];
            format!(
                "{} {} {}/{}/{}: {}",
                text(&event["user"]["username"]),
                text(&event["verb"]),
                text(&about["namespace"]),
                text(&about["resource"]),
                text(&about["name"]),
                text(&event["responseStatus"]["message"])
            )
        });
        lines.collect()
    }

    /// The newest event that is about this object, or a subresource of it (`pods/eviction`); waits for it.
    ///
    /// # Panics
    /// None comes.
    #[must_use]
    pub fn audit_event(&self, verb: &str, resource: &str, name: &str) -> Value {
        let mut found = None;
        wait_for(&format!("the audit event of {verb} {resource}/{name}"), DELAY, || {
            found = self.audit_events().into_iter().rev().find(|event| {
                let about = &event["objectRef"];
                let (main, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                event["verb"] == verb
                    && about["resource"] == main
                    && about["subresource"].as_str().unwrap_or_default() == subresource
                    && about["name"] == name
            });
            found.is_some()
        });
        found.expect("waited for")
    }
}
