//! Which Kubernetes kinds a view is of, and the way from a request's JSON text to it.
//!
//! `Kind` is one kind (derived with `#[view(api_version = …, kind = …, resource = …)]`),
//! `Objects` is all that a policy may be handed: one kind, an enum of several,
//! or every kind that carries a pod template (`pod::Workload`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::path::FieldPath;
use crate::read::{Malformed, from_json};
use crate::view::{Tree, Unread, View, Visited, tree_of};

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster.
    Cluster,
}

impl Scope {
    /// As a webhook rule says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespaced => "Namespaced",
            Self::Cluster => "Cluster",
        }
    }
}

/// A view of one Kubernetes kind in one version.
pub trait Kind: View + DeserializeOwned {
    /// As in the object: `v1`, `storage.k8s.io/v1`.
    const API_VERSION: &'static str;
    /// As in the object: `StorageClass`.
    const KIND: &'static str;
    /// The plural in webhook rules and URLs: `storageclasses`.
    const RESOURCE: &'static str;
    /// Where its objects live.
    const SCOPE: Scope;
}

/// A kind's full name, as a request gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct GroupVersionKind {
    /// Empty for the core group.
    pub group: String,
    /// `v1`.
    pub version: String,
    /// `StatefulSet`.
    pub kind: String,
}

impl GroupVersionKind {
    /// `apps/v1`, or `v1` in the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// One kind that a policy is handed, and what it reads of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectKind {
    /// `apps/v1`.
    pub api_version: String,
    /// `StatefulSet`.
    pub kind: String,
    /// `statefulsets`.
    pub resource: String,
    /// Subresources whose requests carry an object of this very kind: `ephemeralcontainers`.
    pub subresources: Vec<String>,
    /// Where its objects live.
    pub scope: Scope,
    /// What is read of it.
    pub tree: Tree,
}

impl ObjectKind {
    /// The kind of a view.
    #[must_use]
    pub fn of<K: Kind>() -> Self {
        Self {
            api_version: K::API_VERSION.to_owned(),
            kind: K::KIND.to_owned(),
            resource: K::RESOURCE.to_owned(),
            subresources: Vec::new(),
            scope: K::SCOPE,
            tree: tree_of::<K>(),
        }
    }

    /// `apps` of `apps/v1`; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// `v1` of `apps/v1`.
    #[must_use]
    pub fn version(&self) -> &str {
        self.api_version.split_once('/').map_or(self.api_version.as_str(), |(_, version)| version)
    }

    /// Whether the request is of this kind.
    #[must_use]
    pub fn is(&self, kind: &GroupVersionKind) -> bool {
        kind.kind == self.kind && kind.group == self.group() && kind.version == self.version()
    }
}

/// What a policy may be handed. Derive it for an enum with one view in each variant.
///
/// Written by hand it can be more: kinds that come from a table instead of types,
/// each with its own tree, read into one value (`portcullis_workloads::custom`
/// does so for operators' custom resources). Such a type stands in an enum's
/// variant like any view, and matches and reads follow from its `kinds`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be what a policy reviews",
    note = "derive `portcullis_sdk::View` with `#[view(api_version = …, kind = …, resource = …)]` for a kind, `portcullis_sdk::Objects` for an enum of kinds, or use `portcullis_sdk::pod::Workload`"
)]
pub trait Objects: Sized + 'static {
    /// The kinds, each with what is read of it.
    fn kinds() -> Vec<ObjectKind>;

    /// The object, or `None` where it is of no kind that `kinds` lists.
    ///
    /// # Errors
    /// The object doesn't have the shape that the view asks for.
    fn read(kind: &GroupVersionKind, json: &str) -> Option<Result<Self, Malformed>>;
}

/// Used by the derive: reads `K` if that is what the request is about.
pub fn read_kind<K: Kind>(kind: &GroupVersionKind, json: &str) -> Option<Result<K, Malformed>> {
    let api_version = K::API_VERSION;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    (kind.kind == K::KIND && kind.group == group && kind.version == version).then(|| from_json(json))
}

impl Objects for Unread {
    fn kinds() -> Vec<ObjectKind> {
        Vec::new()
    }

    fn read(_: &GroupVersionKind, _: &str) -> Option<Result<Self, Malformed>> {
        Some(Ok(Self))
    }
}

/// The parts of `metadata` that nearly every policy reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Empty while the API server has yet to make one of `generateName`.
    pub name: String,
    /// The prefix of the name to be.
    pub generate_name: String,
    /// Empty for cluster-scoped objects, and offline where the manifest gives none.
    pub namespace: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// The name, or what it will begin with.
    #[must_use]
    pub fn display_name(&self) -> &str {
        if self.name.is_empty() { &self.generate_name } else { &self.name }
    }

    /// The place of an annotation.
    #[must_use]
    pub fn annotation_path(key: &str) -> FieldPath {
        FieldPath::fields(["metadata", "annotations"]).key(key)
    }

    /// The place of a label.
    #[must_use]
    pub fn label_path(key: &str) -> FieldPath {
        FieldPath::fields(["metadata", "labels"]).key(key)
    }
}

impl View for Metadata {
    fn tree(_: &mut Visited) -> Tree {
        Tree::fields(
            ["name", "generateName", "namespace", "labels", "annotations"].map(|name| (name.to_owned(), Tree::Value)),
        )
    }
}
