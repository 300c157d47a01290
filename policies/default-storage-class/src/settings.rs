//! What an administrator may set.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_sdk::{FieldPath, LabelSelector, SettingsFindings};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which class a claim gets that names none: the first of `byNamespace` that
/// selects its namespace, else by its access modes, else the cluster's default.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// By the labels of the claim's namespace; the first that selects it wins.
    pub by_namespace: Vec<NamespaceClass>,
    /// By access mode: `ReadWriteMany`, `ReadOnlyMany`, `ReadWriteOncePod`,
    /// `ReadWriteOnce`. Of several modes the one that asks most of the storage counts, in this order.
    pub by_access_mode: BTreeMap<String, String>,
    /// Whether the cluster's default class is written into claims for which nothing above names one.
    pub cluster_default: bool,
    /// The kinds that are edited.
    pub kinds: BTreeSet<ManagedKind>,
}

/// The class for the claims of some namespaces.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceClass {
    /// Selects namespaces by their labels; `{}` selects all.
    pub selector: LabelSelector,
    /// The class.
    pub storage_class: String,
}

/// A kind that holds claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub enum ManagedKind {
    /// v1
    PersistentVolumeClaim,
    /// apps/v1
    StatefulSet,
}

/// Access modes, the one that asks most of the storage first.
pub(crate) const ACCESS_MODES: [&str; 4] = ["ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod", "ReadWriteOnce"];

impl Default for Settings {
    fn default() -> Self {
        Self {
            by_namespace: Vec::new(),
            by_access_mode: BTreeMap::new(),
            cluster_default: true,
            kinds: ManagedKind::ALL.into(),
        }
    }
}

impl ManagedKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::PersistentVolumeClaim, Self::StatefulSet];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::StatefulSet => "StatefulSet",
        }
    }

    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::PersistentVolumeClaim => "v1",
            Self::StatefulSet => "apps/v1",
        }
    }
}

impl portcullis_sdk::Settings for Settings {
    fn validate(&self, findings: &mut SettingsFindings) {
        for mode in self.by_access_mode.keys().filter(|mode| !ACCESS_MODES.contains(&mode.as_str())) {
            findings.add(
                FieldPath::root().field("byAccessMode").key(mode),
                format!("`{mode}` is no access mode; {} are", ACCESS_MODES.join(", ")),
            );
        }
        let by_mode =
            self.by_access_mode.iter().map(|(mode, class)| (FieldPath::root().field("byAccessMode").key(mode), class));
        let by_namespace = self.by_namespace.iter().enumerate().map(|(index, rule)| {
            (FieldPath::root().field("byNamespace").index(index).field("storageClass"), &rule.storage_class)
        });
        for (path, class) in by_mode.chain(by_namespace) {
            if !is_class_name(class) {
                findings.add(
                    path,
                    format!(
                        "`{class}` is no name of a storage class: lower-case letters, digits, `-` and `.`, at most 253"
                    ),
                );
            }
        }
        if self.kinds.is_empty() {
            findings.add(
                FieldPath::root().field("kinds"),
                "no kind is left to edit; name PersistentVolumeClaim, StatefulSet or both",
            );
        }
    }
}

/// Whether a text is a DNS-1123 subdomain, as the names of classes are.
fn is_class_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
