//! What most policies on storage read of a claim: of a StatefulSet's template, of
//! an ephemeral volume's, and of a PersistentVolumeClaim itself.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::kind::Metadata;
use crate::quantity::Quantity;
use crate::view::{Present, Tree, View, Visited, tree_of};

/// A claim's metadata and spec.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClaimTemplate {
    /// Its name is the volume's.
    pub metadata: Metadata,
    /// What is claimed.
    pub spec: ClaimSpec,
}

/// The spec of a claim.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// `None` asks for the cluster's default class, `Some("")` for none.
    pub storage_class_name: Option<String>,
    /// How the volume may be mounted.
    pub access_modes: Vec<AccessMode>,
    /// The volume that it is bound to, or shall be.
    pub volume_name: Option<String>,
    /// `Filesystem` or `Block`.
    pub volume_mode: Option<String>,
    /// Whether it selects among existing volumes by label.
    pub selector: Present,
    /// Whether it is filled from a snapshot or another claim.
    pub data_source: Present,
    /// The same, for any kind of source.
    pub data_source_ref: Present,
    /// What it asks for.
    pub resources: ClaimResources,
}

/// What a claim asks for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClaimResources {
    /// By resource: `storage`.
    pub requests: BTreeMap<String, Quantity>,
}

/// How a volume may be mounted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum AccessMode {
    /// By one node.
    ReadWriteOnce,
    /// By one pod.
    ReadWriteOncePod,
    /// By many nodes, to read.
    ReadOnlyMany,
    /// By many nodes.
    ReadWriteMany,
    /// One that this SDK doesn't know.
    #[serde(untagged)]
    Other(String),
}

impl View for ClaimTemplate {
    fn tree(_: &mut Visited) -> Tree {
        Tree::fields([("metadata".to_owned(), tree_of::<Metadata>()), ("spec".to_owned(), tree_of::<ClaimSpec>())])
    }
}

impl View for ClaimSpec {
    fn tree(_: &mut Visited) -> Tree {
        let values =
            ["storageClassName", "accessModes", "volumeName", "volumeMode"].map(|name| (name.to_owned(), Tree::Value));
        let marks = ["selector", "dataSource", "dataSourceRef"].map(|name| (name.to_owned(), Tree::Present));
        let resources = ("resources".to_owned(), Tree::field("requests", Tree::Value));
        Tree::fields(values.into_iter().chain(marks).chain([resources]))
    }
}
