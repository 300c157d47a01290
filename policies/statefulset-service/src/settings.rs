//! What an administrator may set.

use portcullis_sdk::{FieldPath, SettingsFindings};
use portcullis_workloads::{CustomStore, is_known_system};
use schemars::JsonSchema;
use serde::Deserialize;

/// What an administrator may set. All of it may be absent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Data stores that the catalogue doesn't have, or images of yours that it can't know.
    pub data_stores: Vec<DataStoreSetting>,
    /// Repositories that are never data stores, by whole path segments from the right: `team/postgres-shim`.
    pub not_data_stores: Vec<String>,
    /// Systems of the catalogue whose Services are only warned about, by name: `prometheus`.
    pub ignored_systems: Vec<String>,
    /// Namespaces that are left alone, such as those of developers; a `*` at the end stands for anything.
    pub allowed_namespaces: Vec<String>,
    /// Whether the Service of a data store with several members must publish the addresses of members that aren't ready.
    pub require_unready_addresses: bool,
    /// Whether the pods of a data store with one writer must start in order.
    pub require_ordered_start: bool,
    /// Whether something must keep the members of a data store apart.
    pub require_spread: bool,
}

/// A data store that the catalogue doesn't have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DataStoreSetting {
    /// What reports call it.
    pub name: String,
    /// Its repositories, by whole path segments from the right: `team/ledger-db`.
    pub images: Vec<String>,
}

impl Settings {
    /// The administrator's data stores, as recognition takes them.
    pub(crate) fn custom_stores(&self) -> Vec<CustomStore> {
        let store = |setting: &DataStoreSetting| CustomStore {
            name: setting.name.clone(),
            images: setting.images.clone(),
            data_directories: Vec::new(),
        };
        self.data_stores.iter().map(store).collect()
    }

    /// Whether this namespace is left alone.
    pub(crate) fn allows_namespace(&self, namespace: &str) -> bool {
        self.allowed_namespaces.iter().any(|allowed| match allowed.strip_suffix('*') {
            Some(prefix) => namespace.starts_with(prefix),
            None => allowed == namespace,
        })
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
    }
}
