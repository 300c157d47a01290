//! Operators' custom resources: what a policy is handed of them, and where they
//! speak of storage.
//!
//! `CustomResource` stands in an enum of `Objects` like any view. Its kinds, and
//! what is read of each, are the rows of `catalogue/custom-resources.tsv` and
//! `catalogue/custom-storage.tsv`, so matches, reads and webhook rules follow
//! from the table:
//!
//! ```
//! use portcullis_workloads::custom::{CustomResource, Source};
//!
//! # #[derive(serde::Deserialize, portcullis_sdk::View)]
//! # #[view(api_version = "v1", kind = "PersistentVolumeClaim", resource = "persistentvolumeclaims")]
//! # struct Claim {}
//! #[derive(portcullis_sdk::Objects)]
//! enum Subject {
//!     Claim(Claim),
//!     Custom(CustomResource),
//! }
//!
//! fn judge(custom: &CustomResource) {
//!     for storage in &custom.storage {
//!         match &storage.source {
//!             // A claim that the operator will make: class, size and access modes
//!             // as far as they are named, each with the place where it belongs.
//!             Source::Claim(claim) => {
//!                 let _ = (&claim.class, &claim.class_path, &claim.size, &claim.size_path, &claim.access_modes);
//!             }
//!             // The data goes with the pod, or lies in a directory of the node.
//!             Source::Ephemeral { path } | Source::HostPath { path, .. } => {
//!                 let _ = path;
//!             }
//!         }
//!     }
//! }
//! # use portcullis_sdk::{GroupVersionKind, Objects};
//! # let kind = GroupVersionKind { group: "postgresql.cnpg.io".into(), version: "v1".into(), kind: "Cluster".into() };
//! # let Some(Ok(Subject::Custom(custom))) = Subject::read(&kind, r#"{"spec": {"storage": {"size": "1Gi"}}}"#) else { panic!() };
//! # judge(&custom);
//! assert_eq!(custom.storage[0].subject, "storage=spec.storage");
//! ```
//!
//! Invariants: the tree of a kind reads every path that its rows name; a field of
//! another shape than the table expects is left alone, because the CRD's schema,
//! which the API server holds it to, is the operator's and not ours.

use std::collections::BTreeMap;

use portcullis_sdk::pod::{AccessMode, ClaimResources, ClaimSpec};
use portcullis_sdk::serde_json::Value;
use portcullis_sdk::{
    FieldPath, GroupVersionKind, Malformed, Metadata, ObjectKind, Objects, Quantity, Scope, from_json, from_value,
};

use crate::catalogue::{Absent, CUSTOM_KINDS, ClaimPlace, CustomKind, StoragePlace};

mod path;
mod tree;

use path::{Node, holds};

/// Whether an API group is one of an operator's whose resources keep data.
#[must_use]
pub fn is_operator_group(group: &str) -> bool {
    CUSTOM_KINDS.iter().any(|kind| kind.group == group)
}

/// An operator's resource, as far as it speaks of storage.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomResource {
    /// Its kind's name: `KafkaNodePool`. Several groups may have the same.
    pub kind: &'static str,
    /// Its API group: `kafka.strimzi.io`.
    pub group: &'static str,
    /// The system of the catalogue whose data it keeps: `kafka`; `database`
    /// where the kind stands for several.
    pub system: &'static str,
    /// Its name, labels and annotations.
    pub metadata: Metadata,
    /// The largest number of replicas that it asks for, where it says.
    pub replicas: Option<i64>,
    /// Where it keeps data.
    pub storage: Vec<Storage>,
}

/// One volume, or kind of volumes, that the operator keeps data on.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// The same when lists are reordered: `storage=spec.nodeSets[hot].volumeClaimTemplates[data]`.
    /// Elements without a name or id have their index.
    pub subject: String,
    /// Where it comes from.
    pub source: Source,
}

/// Where a volume comes from.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are claims")]
pub enum Source {
    /// The operator makes a claim for it.
    Claim(StorageClaim),
    /// It goes with the pod.
    Ephemeral {
        /// The field that says so, or that would say otherwise.
        path: FieldPath,
    },
    /// It is a directory of the node.
    HostPath {
        /// The field that says so.
        path: FieldPath,
        /// Empty where the field doesn't name it.
        directory: String,
    },
}

/// A claim as an operator's resource describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageClaim {
    /// Where the claim is described. Where the resource describes none and the
    /// operator makes one all the same, the places of class and size are this one too.
    pub path: FieldPath,
    /// `None` asks for the cluster's default class, `Some("")` for none.
    pub class: Option<String>,
    /// Where the class is named, or belongs.
    pub class_path: FieldPath,
    /// What is asked for, where it is a quantity.
    pub size: Option<Quantity>,
    /// Where that is said, or belongs.
    pub size_path: FieldPath,
    /// Empty where the resource has no say in it.
    pub access_modes: Vec<AccessMode>,
    /// Where they are named, or belong: only where the resource describes a whole claim.
    pub access_modes_path: Option<FieldPath>,
    /// The volume that it shall be bound to.
    pub volume_name: Option<String>,
}

impl StorageClaim {
    /// The claim as a claim of its own would say it.
    #[must_use]
    pub fn spec(&self) -> ClaimSpec {
        let requests: BTreeMap<String, Quantity> = self.size.iter().map(|size| ("storage".to_owned(), *size)).collect();
        ClaimSpec {
            storage_class_name: self.class.clone(),
            access_modes: self.access_modes.clone(),
            volume_name: self.volume_name.clone(),
            resources: ClaimResources { requests },
            ..ClaimSpec::default()
        }
    }
}

impl Objects for CustomResource {
    /// One for each version of each row: an API server sends an object in the
    /// version that a webhook rule names, and under `matchPolicy: Equivalent`
    /// converts what comes in another.
    fn kinds() -> Vec<ObjectKind> {
        let kinds = CUSTOM_KINDS.iter().flat_map(|custom| {
            let tree = tree::of(custom);
            custom.versions.iter().map(move |version| ObjectKind {
                api_version: format!("{}/{version}", custom.group),
                kind: custom.kind.to_owned(),
                resource: custom.plural.to_owned(),
                subresources: Vec::new(),
                scope: Scope::Namespaced,
                tree: tree.clone(),
            })
        });
        kinds.collect()
    }

    fn read(kind: &GroupVersionKind, json: &str) -> Option<Result<Self, Malformed>> {
        let custom = find(&kind.kind, &kind.group)?;
        custom.versions.contains(&kind.version.as_str()).then(|| read(custom, json))
    }
}

/// Whether this is the kind of an operator's resource, in any version.
#[must_use]
pub fn is_custom(kind: &str, group: &str) -> bool {
    find(kind, group).is_some()
}

fn find(kind: &str, group: &str) -> Option<&'static CustomKind> {
    let index = CUSTOM_KINDS.binary_search_by(|custom| (custom.kind, custom.group).cmp(&(kind, group))).ok()?;
    Some(&CUSTOM_KINDS[index])
}

fn read(custom: &'static CustomKind, json: &str) -> Result<CustomResource, Malformed> {
    let object: Value = from_json(json)?;
    let metadata = match object.get("metadata") {
        Some(metadata) if !metadata.is_null() => from_value(metadata).map_err(|malformed: Malformed| Malformed {
            path: FieldPath::root().field("metadata").join(&malformed.path),
            ..malformed
        })?,
        _ => Metadata::default(),
    };
    let root = Node::root(&object);
    let replicas = custom.replicas.iter().flat_map(|path| path::numbers(&root, path)).max();
    let storage = custom.places.iter().flat_map(|place| storage(&root, place)).collect();
    Ok(CustomResource { kind: custom.kind, group: custom.group, system: custom.system, metadata, replicas, storage })
}

/// What one row says of an object.
fn storage(root: &Node<'_>, place: &StoragePlace) -> Vec<Storage> {
    let mut found = Vec::new();
    for node in root.all(place.at) {
        if !place.when.iter().all(|condition| holds(condition, &node, root)) {
            continue;
        }
        let named = |node: &Node<'_>| format!("storage={}", node.name);
        let host = place.host_path.iter().flat_map(|path| node.all(path)).find(|node| is_set(node.value));
        if let Some(host) = host {
            let directory = host.value.as_str().or_else(|| host.value["path"].as_str()).unwrap_or_default().to_owned();
            found.push(Storage { subject: named(&node), source: Source::HostPath { path: host.path, directory } });
            continue;
        }
        if let Some(condition) = place.ephemeral.iter().find(|condition| holds(condition, &node, root)) {
            let path = node.path.join(&path::written(path::of(condition)));
            found.push(Storage { subject: named(&node), source: Source::Ephemeral { path } });
            continue;
        }
        let before = found.len();
        if let Some(claim) = &place.claim {
            let claims = node.all(claim.path).into_iter().filter(|node| node.value.is_object());
            found.extend(claims.filter_map(|node| {
                Some(Storage { subject: named(&node), source: Source::Claim(claim_at(&node, claim)?) })
            }));
        }
        if found.len() == before {
            let is_other = place.unless.iter().any(|condition| holds(condition, &node, root));
            found.extend(absent(&node, place).filter(|_| !is_other));
        }
    }
    found
}

/// What it means that a place describes no claim.
fn absent(node: &Node<'_>, place: &StoragePlace) -> Option<Storage> {
    let at = node.path.join(&path::written(place.claim.map_or(".", |claim| claim.path)));
    let source = match place.absent {
        Absent::Nothing => return None,
        Absent::Ephemeral => Source::Ephemeral { path: at },
        Absent::DefaultClass => Source::Claim(StorageClaim {
            class: None,
            class_path: at.clone(),
            size: None,
            size_path: at.clone(),
            access_modes: Vec::new(),
            access_modes_path: None,
            volume_name: None,
            path: at,
        }),
    };
    Some(Storage { subject: format!("storage={}", node.name), source })
}

/// `None` where what should be a class's name is something else.
fn claim_at(node: &Node<'_>, claim: &ClaimPlace) -> Option<StorageClaim> {
    let first = |paths: &[&str]| {
        let set = paths.iter().flat_map(|path| node.all(path));
        set.into_iter().find(|node| !node.value.is_null() && (claim.is_spec || is_set(node.value)))
    };
    let place = |found: &Option<Node<'_>>, paths: &[&str]| match found {
        Some(node) => node.path.clone(),
        None => node.path.join(&path::written(paths.first().copied().unwrap_or("."))),
    };
    let (class, size) = (first(claim.class), first(claim.size));
    let (class_path, size_path) = (place(&class, claim.class), place(&size, claim.size));
    let class = match class {
        Some(node) => Some(node.value.as_str()?.to_owned()),
        None => None,
    };
    // What stands beside the class in a claim's spec.
    let sibling = |name: &str| {
        let path = claim.class.first()?.strip_suffix("storageClassName")?;
        claim.is_spec.then(|| format!("{path}{name}"))
    };
    let modes = sibling("accessModes");
    let read = |path: &Option<String>| path.as_ref().and_then(|path| node.all(path).into_iter().next());
    Some(StorageClaim {
        path: node.path.clone(),
        class,
        class_path,
        size: size.and_then(|node| from_value(node.value).ok()),
        size_path,
        access_modes: read(&modes).and_then(|node| from_value(node.value).ok()).unwrap_or_default(),
        access_modes_path: modes.map(|modes| node.path.join(&path::written(&modes))),
        volume_name: read(&sibling("volumeName")).and_then(|node| node.value.as_str().map(str::to_owned)),
    })
}

/// Whether something is said: null and the empty text say nothing.
fn is_set(value: &Value) -> bool {
    !value.is_null() && value.as_str() != Some("")
}
