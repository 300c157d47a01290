//! What the controller says of a policy: whether it runs, where, since when.
//!
//! Invariant: a condition's lastTransitionTime moves only with its status, so
//! that nothing is written where nothing changed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Replicas that a status names; of more it says how many.
pub const MAX_LAGGING: usize = 10;
/// `metav1.Condition.message` may have this many characters.
const MAX_MESSAGE: usize = 32_768;
/// Of a message that is cut: enough to act on, and readable in `kubectl describe`.
const SHORT_MESSAGE: usize = 2_048;
/// Conditions that a status may hold: ours are four.
const MAX_CONDITIONS: usize = 8;

/// The status of a ClusterPolicy or Policy; only the controller writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready: every ready replica runs the observed generation. Degraded: something keeps it from that, and what to do. LockoutRisk: the set-up could lock the cluster out. BreakGlass: somebody has opened the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// How many of the ready replicas run the observed generation: 2/3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<String>,
    /// Names of ready replicas that don't run it yet, ten at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "lagging")]
    pub lagging: Vec<String>,
    /// The digest (sha256) of the module that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_digest: Option<String>,
    /// What it matches, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// The last generation that could be loaded: a replica that starts runs it where the newest can't be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<Loaded>,
}

/// A generation of the spec that a replica has loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Loaded {
    /// `metadata.generation` of that spec.
    pub generation: i64,
    /// The digest (sha256) of its module.
    pub digest: String,
    /// The spec itself.
    #[schemars(schema_with = "any_object")]
    pub spec: serde_json::Value,
}

/// A condition of this type, as it would be if it were new.
#[must_use]
pub fn condition(kind: &str, status: Option<bool>, reason: &str, message: &str, generation: Option<i64>) -> Condition {
    let status = match status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: shortened(message),
        observed_generation: generation,
        last_transition_time: Time(k8s_openapi::jiff::Timestamp::now()),
    }
}

/// Puts a condition in the place of the one of its type; where the status stays
/// the same, so does the time of its last transition.
pub fn set_condition(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions.iter_mut().find(|old| old.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

impl PolicyStatus {
    /// Says whether every ready replica runs the observed generation.
    pub fn set_ready(&mut self, ready: Option<bool>, reason: &str, message: &str) {
        let new = condition(READY, ready, reason, message, self.observed_generation);
        set_condition(&mut self.conditions, new);
    }

    /// Says whether something keeps the policy from running as it is written,
    /// and what to do about it.
    pub fn set_degraded(&mut self, degraded: bool, reason: &str, message: &str) {
        let new = condition(DEGRADED, Some(degraded), reason, message, self.observed_generation);
        set_condition(&mut self.conditions, new);
    }

    /// Says whether something else holds: [`LOCKOUT_RISK`], [`BREAK_GLASS`].
    pub fn set_fact(&mut self, kind: &str, holds: bool, reason: &str, message: &str) {
        let new = condition(kind, Some(holds), reason, message, self.observed_generation);
        set_condition(&mut self.conditions, new);
    }

    /// Whether there is a condition of this type.
    #[must_use]
    pub fn says(&self, kind: &str) -> bool {
        self.conditions.iter().any(|condition| condition.type_ == kind)
    }

    /// States which of the ready replicas run the observed generation.
    pub fn set_replicas(&mut self, ready: usize, mut lagging: Vec<String>) {
        lagging.sort();
        let running = ready.saturating_sub(lagging.len());
        self.replicas = Some(format!("{running}/{ready}"));
        lagging.truncate(MAX_LAGGING);
        self.lagging = lagging;
    }

    /// Whether the observed generation runs everywhere.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions.iter().any(|condition| condition.type_ == READY && condition.status == "True")
    }
}

/// The condition that says whether a policy runs.
pub const READY: &str = "Ready";
/// The condition that says what a person has to mend.
pub const DEGRADED: &str = "Degraded";
/// The condition that says that the set-up could lock the cluster out; its
/// reason is the rule of the lint that says so, its message has the way out.
pub const LOCKOUT_RISK: &str = "LockoutRisk";
/// The condition that says that the webhook configuration of the policy is gone
/// and isn't written again, because somebody has opened the cluster.
pub const BREAK_GLASS: &str = "BreakGlass";

fn shortened(message: &str) -> String {
    match message.char_indices().nth(SHORT_MESSAGE) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}

/// `metav1.Condition`, as k8s.io/apimachinery marks it up.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": MAX_CONDITIONS,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {"type": "string", "maxLength": MAX_MESSAGE},
            },
        },
    })
}

fn lagging(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {"type": "string", "maxLength": 253},
        "maxItems": MAX_LAGGING,
        "x-kubernetes-list-type": "atomic",
    })
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_has_a_time_and_nothing_else_has() {
        let mut status = PolicyStatus { observed_generation: Some(1), ..PolicyStatus::default() };
        status.set_ready(Some(false), "Loading", "1 of 3 replicas");
        let early = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
        status.conditions[0].last_transition_time = early.clone();
        let before = status.clone();
        status.set_ready(Some(false), "Loading", "1 of 3 replicas");
        assert_eq!(status, before, "nothing changed");
        status.set_ready(Some(false), "Loading", "2 of 3 replicas");
        assert_eq!(status.conditions[0].last_transition_time, early);
        assert!(!status.is_ready());
        status.set_ready(Some(true), "Running", "");
        assert_ne!(status.conditions[0].last_transition_time, early);
        assert!(status.is_ready() && status.conditions.len() == 1);
    }

    #[test]
    fn replicas_that_lag_are_counted_all_and_named_in_part() {
        let mut status = PolicyStatus::default();
        status.set_replicas(20, (0..15).map(|number| format!("portcullis-{number:02}")).collect());
        assert_eq!(status.replicas.as_deref(), Some("5/20"));
        assert_eq!(status.lagging.len(), MAX_LAGGING);
        assert_eq!(status.lagging.first().map(String::as_str), Some("portcullis-00"));
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let long = "ä".repeat(SHORT_MESSAGE + 1);
        assert_eq!(shortened(&long).chars().count(), SHORT_MESSAGE + 1);
        assert_eq!(shortened("short"), "short");
    }
}
