//! What an administrator may set.

use std::collections::BTreeSet;

use portcullis_sdk::{FieldPath, LabelSelector, SettingsFindings};
use schemars::JsonSchema;
use serde::Deserialize;

/// A century: a longer margin is a slip.
const MOST_DAYS: u32 = 36_500;

/// What is asked of Secrets beyond their types.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// A certificate that runs out within so many days is warned of.
    pub expiry_margin_days: u32,
    /// A bootstrap token that lives longer than so many days is warned of.
    pub bootstrap_token_days: u32,
    /// Further values that nobody may use, such as the passwords of the company's own examples. Letters compare without case.
    pub weak_values: BTreeSet<String>,
    /// Keys whose values are never judged as credentials.
    pub ignored_keys: BTreeSet<String>,
    /// Whether values that end in a line break are warned of.
    pub trailing_newline: bool,
    /// Whether an annotation in which kubectl keeps the values is warned of.
    pub last_applied: bool,
    /// Whether Secrets of kube-system are judged at admission too. Elsewhere (`portcullis check`, a scan) they always are.
    pub kube_system: bool,
    /// If set, Secrets have to come from a tool that keeps them elsewhere: such labels, or such an owner.
    pub managed_by: Option<ManagedBy>,
}

/// What tells that a tool made a Secret.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedBy {
    /// Labels that the tool gives, such as `reconcile.external-secrets.io/managed: "true"`.
    pub labels: Option<LabelSelector>,
    /// Kinds of owners, such as `ExternalSecret` and `SealedSecret`.
    pub owners: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            expiry_margin_days: 30,
            bootstrap_token_days: 30,
            weak_values: BTreeSet::new(),
            ignored_keys: BTreeSet::new(),
            trailing_newline: true,
            last_applied: true,
            kube_system: false,
            managed_by: None,
        }
    }
}

impl portcullis_sdk::Settings for Settings {
    fn validate(&self, findings: &mut SettingsFindings) {
        for (name, days) in
            [("expiryMarginDays", self.expiry_margin_days), ("bootstrapTokenDays", self.bootstrap_token_days)]
        {
            if days > MOST_DAYS {
                findings.add(
                    FieldPath::root().field(name),
                    format!("{days} days are more than a century; at most {MOST_DAYS}"),
                );
            }
        }
        if self.weak_values.iter().any(|value| value.trim().is_empty()) {
            findings.add(FieldPath::root().field("weakValues"), "an empty value is no value; leave it out");
        }
        if self.managed_by.as_ref().is_some_and(|by| by.labels.is_none() && by.owners.is_empty()) {
            findings.add(
                FieldPath::root().field("managedBy"),
                "name `labels`, `owners` or both; with neither no Secret could be right",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
    use portcullis_sdk::Settings as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_not_be_meant_is_refused_with_its_place() {
        for (settings, paths) in [
            (json!({}), vec![]),
            (
                json!({"expiryMarginDays": 36501, "bootstrapTokenDays": 40000}),
                vec!["expiryMarginDays", "bootstrapTokenDays"],
            ),
            (json!({"weakValues": ["acme", " "]}), vec!["weakValues"]),
            (json!({"managedBy": {}}), vec!["managedBy"]),
            (json!({"managedBy": {"owners": ["SealedSecret"]}}), vec![]),
        ] {
            let settings: Settings = serde_json::from_value(settings).unwrap();
            let mut findings = SettingsFindings::default();
            settings.validate(&mut findings);
            let found: Vec<&str> = findings.0.iter().map(|finding| finding.path.as_str()).collect();
            assert_eq!(found, paths, "{settings:?}");
        }
    }
}
