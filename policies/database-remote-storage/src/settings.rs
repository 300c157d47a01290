//! What an administrator may set.

use portcullis_sdk::{FieldPath, SettingsFindings};
use portcullis_workloads::{CustomStore, Provisioners, is_known_system};
use schemars::JsonSchema;
use serde::Deserialize;

/// Systems that make remote storage out of the drives of nodes, and can't keep their own data there.
const STORAGE_SYSTEMS: [&str; 2] = ["ceph", "glusterfs"];

/// What an administrator may set. All of it may be absent.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Data stores that the catalogue doesn't have, or images of yours that it can't know.
    pub data_stores: Vec<DataStoreSetting>,
    /// Repositories that are never data stores, by whole path segments from the right: `team/postgres-shim`.
    pub not_data_stores: Vec<String>,
    /// Systems of the catalogue that may keep their data anywhere, by name: `prometheus`.
    /// Unless said otherwise those that make remote storage out of the drives of nodes.
    pub ignored_systems: Vec<String>,
    /// Provisioners and CSI drivers that keep volumes on one node; a `*` in front or at the end stands for anything.
    pub local_provisioners: Vec<String>,
    /// Provisioners and CSI drivers whose volumes are reachable from more than one node; likewise.
    pub remote_provisioners: Vec<String>,
    /// Namespaces in which data may lie anywhere, such as those of developers; a `*` at the end stands for anything.
    pub allowed_namespaces: Vec<String>,
    /// Whether operators' custom resources are judged, beside the workloads that operators make of them.
    pub custom_resources: bool,
    /// How a replicated data store asks to stay on node-local drives.
    pub exemption: Exemption,
    /// A remote class to suggest in fixes.
    pub suggested_class: Option<String>,
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

/// How a replicated data store asks to stay on node-local drives: a label that
/// is `true`, and an annotation that says why. Both on the workload or its pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Exemption {
    /// Whether there is such a way.
    pub enabled: bool,
    /// The label.
    pub label: String,
    /// The annotation with the reason.
    pub reason_annotation: String,
}

impl Default for Exemption {
    fn default() -> Self {
        Self {
            enabled: true,
            label: "portcullis.dev/allow-node-local-storage".to_owned(),
            reason_annotation: "portcullis.dev/allow-node-local-storage-reason".to_owned(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_stores: Vec::new(),
            not_data_stores: Vec::new(),
            ignored_systems: STORAGE_SYSTEMS.map(str::to_owned).to_vec(),
            local_provisioners: Vec::new(),
            remote_provisioners: Vec::new(),
            allowed_namespaces: Vec::new(),
            custom_resources: true,
            exemption: Exemption::default(),
            suggested_class: None,
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

    /// Whether data may lie anywhere in this namespace.
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
            if store.name.is_empty() || store.name.contains([',', '=']) {
                findings.add(
                    path.field("name"),
                    "a data store needs a name, without `,` and `=`, which separate names in reports",
                );
            }
            if store.images.is_empty() {
                findings.add(path.field("images"), "name at least one repository, such as `team/ledger-db`; without one the data store is never recognised");
            }
            for (index, directory) in
                store.data_directories.iter().enumerate().filter(|(_, directory)| !directory.starts_with('/'))
            {
                findings
                    .add(path.field("dataDirectories").index(index), format!("`{directory}` isn't an absolute path"));
            }
        }
        for (index, system) in self.ignored_systems.iter().enumerate().filter(|(_, system)| !is_known_system(system)) {
            findings.add(
                field("ignoredSystems").index(index),
                format!(
                    "`{system}` isn't a system of the catalogue; reports name them in the audit annotation `datastore`"
                ),
            );
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
        if self.exemption.enabled && (self.exemption.label.is_empty() || self.exemption.reason_annotation.is_empty()) {
            findings.add(
                field("exemption"),
                "an exemption needs both a label and an annotation for the reason; to have none set `enabled: false`",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_sdk::Settings as _;
    use portcullis_sdk::serde_json::{Value, from_value, json};

    use super::*;

    /// The paths of what is wrong with these settings.
    fn check(settings: Value, expected: &[&str]) {
        let settings: Settings = from_value(settings).expect("the settings have the right shape");
        let mut findings = SettingsFindings::default();
        settings.validate(&mut findings);
        assert_eq!(findings.0.iter().map(|finding| finding.path.to_string()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn settings_that_can_not_work_are_named() {
        check(json!({}), &[]);
        check(
            json!({"dataStores": [{"name": "ledger", "images": ["team/ledger"], "dataDirectories": ["/l"]}], "ignoredSystems": ["prometheus"], "suggestedClass": "gp3"}),
            &[],
        );
        check(json!({"dataStores": [{}]}), &["dataStores[0].name", "dataStores[0].images"]);
        check(
            json!({"dataStores": [{"name": "a=b", "images": ["x"], "dataDirectories": ["l"]}]}),
            &["dataStores[0].name", "dataStores[0].dataDirectories[0]"],
        );
        check(json!({"ignoredSystems": ["postgresql", "postgras"]}), &["ignoredSystems[1]"]);
        check(json!({"localProvisioners": ["a"], "remoteProvisioners": ["a"]}), &["localProvisioners[0]"]);
        check(json!({"exemption": {"label": ""}}), &["exemption"]);
        check(json!({"exemption": {"label": "", "enabled": false}}), &[]);
    }
}
