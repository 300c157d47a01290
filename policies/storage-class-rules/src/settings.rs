//! What an administrator may set.

use portcullis_sdk::{FieldPath, LabelSelector, Level, SettingsFindings};
use portcullis_workloads::{Provisioners, matches_pattern};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::views::StorageClass;

/// The label that marks classes for databases where the settings name no other.
const DATABASE_LABEL: (&str, &str) = ("portcullis.dev/for", "databases");

/// Which classes and volumes may be, beside what is wrong in every cluster.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// What a second default class comes to.
    pub second_default: Action,
    /// The only provisioners that classes may name; any where empty. `*` in front or at the end stands for the rest.
    pub allowed_provisioners: Vec<String>,
    /// Provisioners that keep volumes on one node, beside those of the catalogue.
    pub local_provisioners: Vec<String>,
    /// Provisioners whose volumes are reachable from several nodes, beside those of the catalogue.
    pub remote_provisioners: Vec<String>,
    /// Which classes are for databases, and what they must do.
    pub databases: Databases,
    /// hostPath PersistentVolumes.
    pub host_path_volumes: HostPathVolumes,
    /// Who may make classes and volumes; anybody whom RBAC lets, where both lists are empty.
    pub administrators: Administrators,
}

/// Classes for databases.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Databases {
    /// By their labels.
    pub selector: LabelSelector,
    /// By their names; `*` in front or at the end stands for the rest.
    pub classes: Vec<String>,
    /// Whether their volumes must be able to grow.
    pub require_expansion: bool,
}

/// What becomes of hostPath PersistentVolumes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostPathVolumes {
    /// What one comes to.
    pub action: Action,
    /// Namespaces for development: volumes that are reserved for a claim there are left alone. `*` in front or at the end stands for the rest.
    pub allowed_namespaces: Vec<String>,
}

/// Who may make classes and volumes. Members of `system:masters` always may, and
/// so may provisioners make the volumes of claims.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Administrators {
    /// By group.
    pub groups: Vec<String>,
    /// By name; `*` in front or at the end stands for the rest.
    pub users: Vec<String>,
}

/// What a finding comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Action {
    /// The object may not go in.
    Deny,
    /// It may, with a warning.
    #[default]
    Warn,
    /// Nothing is said.
    Allow,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            second_default: Action::Warn,
            allowed_provisioners: Vec::new(),
            local_provisioners: Vec::new(),
            remote_provisioners: Vec::new(),
            databases: Databases::default(),
            host_path_volumes: HostPathVolumes::default(),
            administrators: Administrators::default(),
        }
    }
}

impl Default for Databases {
    fn default() -> Self {
        let (label, value) = DATABASE_LABEL;
        let match_labels = [(label.to_owned(), value.to_owned())].into();
        Self {
            selector: LabelSelector { match_labels, match_expressions: Vec::new() },
            classes: Vec::new(),
            require_expansion: false,
        }
    }
}

impl Action {
    /// The level of a finding, if there is to be one.
    pub(crate) fn level(self) -> Option<Level> {
        match self {
            Self::Deny => Some(Level::Deny),
            Self::Warn => Some(Level::Warn),
            Self::Allow => None,
        }
    }
}

impl Settings {
    pub(crate) fn provisioners(&self) -> Provisioners<'_> {
        Provisioners { local: &self.local_provisioners, remote: &self.remote_provisioners }
    }
}

impl Databases {
    /// Whether a class is for databases.
    pub(crate) fn include(&self, class: &StorageClass) -> bool {
        self.selector.matches(&class.metadata.labels) || is_named(&self.classes, &class.metadata.name)
    }
}

impl Administrators {
    pub(crate) fn is_off(&self) -> bool {
        self.groups.is_empty() && self.users.is_empty()
    }

    pub(crate) fn include(&self, user: &portcullis_sdk::UserInfo) -> bool {
        let is_member = |group: &String| group == "system:masters" || self.groups.contains(group);
        user.groups.iter().any(is_member) || is_named(&self.users, &user.username)
    }
}

/// Whether one of the patterns fits a name.
pub(crate) fn is_named(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches_pattern(pattern, name))
}

impl portcullis_sdk::Settings for Settings {
    fn validate(&self, findings: &mut SettingsFindings) {
        let lists = [
            ("allowedProvisioners", &self.allowed_provisioners),
            ("localProvisioners", &self.local_provisioners),
            ("remoteProvisioners", &self.remote_provisioners),
        ];
        for (field, list) in lists {
            for (index, _) in list.iter().enumerate().filter(|(_, name)| name.is_empty()) {
                findings.add(FieldPath::root().field(field).index(index), "an empty name fits no provisioner");
            }
        }
        for (index, name) in self.local_provisioners.iter().enumerate() {
            if self.remote_provisioners.contains(name) {
                findings.add(
                    FieldPath::root().field("localProvisioners").index(index),
                    format!("`{name}` stands in remoteProvisioners too; keep one"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
    use portcullis_sdk::Settings as _;
    use serde_json::{Value, from_value, json};

    use super::*;

    fn check(settings: Value, expected: &[&str]) {
        let settings: Settings = from_value(settings).unwrap();
        let mut findings = SettingsFindings::default();
        settings.validate(&mut findings);
        assert_eq!(findings.0.iter().map(|finding| finding.path.to_string()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn settings_that_can_not_work_are_named() {
        check(json!({}), &[]);
        check(json!({"allowedProvisioners": ["*.csi.aws.com", ""]}), &["allowedProvisioners[1]"]);
        check(json!({"localProvisioners": ["a"], "remoteProvisioners": ["b", "a"]}), &["localProvisioners[0]"]);
    }
}
