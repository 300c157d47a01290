//! What an administrator may set.

use std::collections::BTreeMap;

use portcullis_sdk::{FieldPath, LabelSelector, Level, SettingsFindings};
use portcullis_workloads::{CustomStore, is_known_system};
use schemars::JsonSchema;
use serde::Deserialize;

/// Systems of the catalogue that are made to be reached from outside, and ask for a login there.
const SERVED_OUTSIDE: [&str; 12] = [
    "artifactory",
    "chartmuseum",
    "docker-registry",
    "graylog",
    "harbor-registry",
    "nexus",
    "openbao",
    "prometheus",
    "seq",
    "splunk",
    "vault",
    "verdaccio",
];

/// What an administrator may set. All of it may be absent.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Where Services that lead to no data store may be reached from outside.
    pub allowed: Vec<Allowed>,
    /// What a NodePort means elsewhere: `deny`, `warn` or `off`.
    pub node_port: Weight,
    /// What a load balancer means elsewhere.
    pub load_balancer: Weight,
    /// What an internal load balancer means elsewhere.
    pub internal_load_balancer: Weight,
    /// What an internal load balancer for a data store means.
    pub internal_data_store: Weight,
    /// What `externalIPs` mean.
    #[serde(rename = "externalIPs")]
    pub external_ips: Weight,
    /// Addresses that any Service may name in `externalIPs`.
    #[serde(rename = "allowedExternalIPs")]
    pub allowed_external_ips: Vec<String>,
    /// The range of node ports, as the API server is told by `--service-node-port-range`.
    pub node_ports: PortRange,
    /// Data stores that the catalogue doesn't have, or images of yours that it can't know.
    pub data_stores: Vec<DataStoreSetting>,
    /// Repositories that are never data stores, by whole path segments from the right: `team/postgres-shim`.
    pub not_data_stores: Vec<String>,
    /// Systems of the catalogue that may be reached from outside, by name: `mosquitto`.
    /// Unless said otherwise those that are made for it and ask for a login.
    pub ignored_systems: Vec<String>,
}

/// Where Services may be reached from outside, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Allowed {
    /// How: `NodePort`, `LoadBalancer`.
    pub types: Vec<ServiceType>,
    /// In namespaces with these names; a `*` at the end stands for anything.
    pub namespaces: Vec<String>,
    /// In namespaces with such labels; where they aren't known, in none.
    pub namespace_selector: Option<LabelSelector>,
}

/// How a Service is reached from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// On every node.
    NodePort,
    /// By a load balancer.
    LoadBalancer,
}

/// How much something weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It may not go in.
    Deny,
    /// It may, and whoever sends it should know.
    Warn,
    /// It says nothing.
    Off,
}

/// A range of ports, both ends in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PortRange {
    /// The least.
    pub least: i64,
    /// The most.
    pub most: i64,
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

impl Weight {
    /// The level of a finding, if there is to be one.
    pub(crate) fn level(self) -> Option<Level> {
        match self {
            Self::Deny => Some(Level::Deny),
            Self::Warn => Some(Level::Warn),
            Self::Off => None,
        }
    }
}

impl Default for PortRange {
    /// The API server's own.
    fn default() -> Self {
        Self { least: 30_000, most: 32_767 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allowed: Vec::new(),
            node_port: Weight::Warn,
            load_balancer: Weight::Warn,
            internal_load_balancer: Weight::Off,
            internal_data_store: Weight::Warn,
            external_ips: Weight::Deny,
            allowed_external_ips: Vec::new(),
            node_ports: PortRange::default(),
            data_stores: Vec::new(),
            not_data_stores: Vec::new(),
            ignored_systems: SERVED_OUTSIDE.map(str::to_owned).to_vec(),
        }
    }
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

    /// Whether a system may be reached from outside.
    pub(crate) fn is_ignored(&self, system: &str) -> bool {
        self.ignored_systems.iter().any(|ignored| ignored == system)
    }

    /// Whether a Service that leads to no data store may be reached so in this namespace.
    pub(crate) fn allows(&self, kind: ServiceType, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let named = |allowed: &Allowed| {
            allowed.namespaces.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => namespace.starts_with(prefix),
                None => pattern == namespace,
            })
        };
        let labelled = |allowed: &Allowed| {
            allowed
                .namespace_selector
                .as_ref()
                .is_some_and(|selector| labels.is_some_and(|labels| selector.matches(labels)))
        };
        self.allowed.iter().any(|allowed| allowed.types.contains(&kind) && (named(allowed) || labelled(allowed)))
    }
}

impl portcullis_sdk::Settings for Settings {
    fn validate(&self, findings: &mut SettingsFindings) {
        let field = |name: &str| FieldPath::root().field(name);
        for (index, allowed) in self.allowed.iter().enumerate() {
            let path = field("allowed").index(index);
            if allowed.types.is_empty() {
                findings.add(path.field("types"), "say what is allowed: `NodePort`, `LoadBalancer`");
            }
            if allowed.namespaces.is_empty() && allowed.namespace_selector.is_none() {
                findings.add(path.clone(), "say where: `namespaces` or `namespaceSelector`; to allow it everywhere set `nodePort` or `loadBalancer` to `off`");
            }
        }
        for (index, address) in self.allowed_external_ips.iter().enumerate() {
            if address.parse::<std::net::IpAddr>().is_err() {
                findings.add(field("allowedExternalIPs").index(index), format!("`{address}` isn't an address"));
            }
        }
        if !(1..=65_535).contains(&self.node_ports.least)
            || !(self.node_ports.least..=65_535).contains(&self.node_ports.most)
        {
            findings.add(field("nodePorts"), "a range lies between 1 and 65535, and `least` isn't above `most`");
        }
        for (index, store) in self.data_stores.iter().enumerate() {
            let path = field("dataStores").index(index);
            if store.name.is_empty() {
                findings.add(path.field("name"), "a data store needs a name");
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
            json!({"allowed": [{"types": ["NodePort"], "namespaces": ["test-*"]}], "allowedExternalIPs": ["192.0.2.5", "2001:db8::1"]}),
            &[],
        );
        check(json!({"allowed": [{}]}), &["allowed[0].types", "allowed[0]"]);
        check(json!({"allowedExternalIPs": ["here"]}), &["allowedExternalIPs[0]"]);
        check(json!({"nodePorts": {"least": 40000, "most": 30000}}), &["nodePorts"]);
        check(json!({"ignoredSystems": ["mosquitto", "mosquito"]}), &["ignoredSystems[1]"]);
        check(json!({"dataStores": [{}]}), &["dataStores[0].name", "dataStores[0].images"]);
    }
}
