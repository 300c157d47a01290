//! What an administrator may set.

use portcullis_sdk::{FieldPath, SettingsFindings};
use portcullis_workloads::{CustomStore, Provisioners, is_known_system};
use schemars::JsonSchema;
use serde::Deserialize;

/// Systems that hold nothing that anyone would miss, and whose pods are interchangeable.
const INTERCHANGEABLE: [&str; 1] = ["memcached"];

/// What an administrator may set. All of it may be absent.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Data stores that the catalogue doesn't have, or images of yours that it can't know.
    pub data_stores: Vec<DataStoreSetting>,
    /// Repositories that are never data stores, by whole path segments from the right: `team/postgres-shim`.
    pub not_data_stores: Vec<String>,
    /// Systems of the catalogue that may run in anything, by name: `prometheus`.
    /// Unless said otherwise those whose pods are interchangeable.
    pub ignored_systems: Vec<String>,
    /// Namespaces in which data stores may run in anything, such as those of developers; a `*` at the end stands for anything.
    pub allowed_namespaces: Vec<String>,
    /// Provisioners and CSI drivers that keep volumes on one node; a `*` in front or at the end stands for anything.
    pub local_provisioners: Vec<String>,
    /// Provisioners and CSI drivers whose volumes are reachable from more than one node; likewise.
    pub remote_provisioners: Vec<String>,
    /// Which operators are trusted to run data stores.
    pub operators: Operators,
}

/// A data store that the catalogue doesn't have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DataStoreSetting {
    /// What reports call it.
    pub name: String,
    /// Its repositories, by whole path segments from the right: `team/ledger-db`.
    pub images: Vec<String>,
    /// Where it keeps its data: `/var/lib/ledger`.
    pub data_directories: Vec<String>,
}

/// Which operators are trusted to run data stores.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Operators {
    /// Whether a workload whose controller is an operator's custom resource is left to that operator.
    pub trusted: bool,
    /// API groups of custom resources, beside those that are known: `databases.example.com`.
    pub groups: Vec<String>,
}

impl Default for Operators {
    fn default() -> Self {
        Self { trusted: true, groups: Vec::new() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_stores: Vec::new(),
            not_data_stores: Vec::new(),
            ignored_systems: INTERCHANGEABLE.map(str::to_owned).to_vec(),
            allowed_namespaces: Vec::new(),
            local_provisioners: Vec::new(),
            remote_provisioners: Vec::new(),
            operators: Operators::default(),
        }
    }
}

impl Settings {
    /// The administrator's data stores, as recognition takes them.
    pub(crate) fn custom_stores(&self) -> Vec<CustomStore> {
        let store = |setting: &DataStoreSetting| CustomStore {
            name: setting.name.clone(),
            images: setting.images.clone(),
            data_directories: setting.data_directories.clone(),
        };
        self.data_stores.iter().map(store).collect()
    }

    /// The administrator's provisioners.
    pub(crate) fn provisioners(&self) -> Provisioners<'_> {
        Provisioners { local: &self.local_provisioners, remote: &self.remote_provisioners }
    }

    /// Whether data stores may run in anything in this namespace.
    pub(crate) fn allows_namespace(&self, namespace: &str) -> bool {
        self.allowed_namespaces.iter().any(|allowed| match allowed.strip_suffix('*') {
            Some(prefix) => namespace.starts_with(prefix),
            None => allowed == namespace,
        })
    }

    /// Whether a system may run in anything.
    pub(crate) fn ignores(&self, system: &str) -> bool {
        self.ignored_systems.iter().any(|ignored| ignored == system)
    }
}

impl portcullis_sdk::Settings for Settings {
    fn validate(&self, findings: &mut SettingsFindings) {
        let field = |name: &str| FieldPath::root().field(name);
        for (index, store) in self.data_stores.iter().enumerate() {
            let path = field("dataStores").index(index);
            if store.name.is_empty() {
                findings.add(path.field("name"), "a data store needs a name, for reports");
            }
            if store.images.is_empty() {
                findings.add(path.field("images"), "name at least one repository, such as `team/ledger-db`; without one the data store is never recognised");
            }
        }
        for (index, system) in self.ignored_systems.iter().enumerate().filter(|(_, system)| !is_known_system(system)) {
            findings.add(field("ignoredSystems").index(index), format!("`{system}` isn't a system of the catalogue"));
        }
        for (index, provisioner) in self
            .local_provisioners
            .iter()
            .enumerate()
            .filter(|(_, provisioner)| self.remote_provisioners.contains(provisioner))
        {
            findings.add(
                field("localProvisioners").index(index),
                format!("`{provisioner}` is among `remoteProvisioners` too; it can't be both"),
            );
        }
        for (index, group) in self.operators.groups.iter().enumerate().filter(|(_, group)| !group.contains('.')) {
            findings.add(
                field("operators").field("groups").index(index),
                format!("`{group}` is no API group of custom resources; those have a dot, as `databases.example.com`"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
    use portcullis_sdk::Settings as _;
    use portcullis_sdk::serde_json::{Value, from_value, json};

    use super::*;

    /// The paths of what is wrong with these settings.
    fn check(settings: Value, expected: &[&str]) {
        let settings: Settings = from_value(settings).unwrap();
        let mut findings = SettingsFindings::default();
        settings.validate(&mut findings);
        assert_eq!(findings.0.iter().map(|finding| finding.path.to_string()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn settings_that_can_not_work_are_named() {
        check(json!({}), &[]);
        check(json!({"dataStores": [{"name": "ledger", "images": ["team/ledger"]}], "ignoredSystems": ["redis"]}), &[]);
        check(json!({"dataStores": [{}]}), &["dataStores[0].name", "dataStores[0].images"]);
        check(json!({"ignoredSystems": ["redis", "radis"]}), &["ignoredSystems[1]"]);
        check(json!({"localProvisioners": ["a"], "remoteProvisioners": ["a"]}), &["localProvisioners[0]"]);
        check(json!({"operators": {"groups": ["databases.example.com", "apps"]}}), &["operators.groups[1]"]);
    }
}
