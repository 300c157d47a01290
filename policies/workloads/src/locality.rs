//! Whether storage outlives its node: of a StorageClass by its provisioner and
//! the parameters that decide, of a PersistentVolume by its source.
//!
//! Rules are tried from the particular to the general: an administrator's own
//! lists, the whole name, prefixes, suffixes, and last whole words, for names
//! that users choose themselves (`qgg-nfs-storage`).

use std::collections::BTreeMap;

use portcullis_sdk::View;
use serde::Deserialize;

use crate::catalogue::{
    self, PROVISIONER_PREFIXES, PROVISIONER_SUFFIXES, PROVISIONER_WORDS, PROVISIONERS, Place, Provisioner, SourcePlace,
};
use crate::volume::{PersistentVolumeSource, VolumeSource};

/// Topology keys that stand for one node.
const NODE_KEYS: [&str; 3] = ["kubernetes.io/hostname", "/hostname", "/node"];

/// Where storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locality {
    /// Reachable from more than one node.
    Remote,
    /// On one node.
    Local,
    /// It can't be told.
    Unknown,
}

/// Provisioners that an administrator knows better than the catalogue; exact
/// names, or `*` in front for a suffix and at the end for a prefix.
#[derive(Debug, Clone, Copy, Default)]
pub struct Provisioners<'a> {
    /// On one node.
    pub local: &'a [String],
    /// Reachable from more than one node.
    pub remote: &'a [String],
}

/// Which nodes can reach a PersistentVolume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(default)]
pub struct NodeAffinity {
    /// What a node must have.
    pub required: NodeSelector,
}

/// A node selector; a node must match one of its terms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    /// The terms.
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// A term; a node must match all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    /// By labels.
    pub match_expressions: Vec<NodeSelectorRequirement>,
}

/// One condition on a node's labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(default)]
pub struct NodeSelectorRequirement {
    /// The label.
    pub key: String,
}

impl NodeAffinity {
    /// Whether every term names a node, rather than a zone or a region.
    #[must_use]
    pub fn pins_to_a_node(&self) -> bool {
        let terms = &self.required.node_selector_terms;
        let names_a_node =
            |key: &str| NODE_KEYS.iter().any(|known| key == *known || (known.starts_with('/') && key.ends_with(known)));
        !terms.is_empty()
            && terms.iter().all(|term| term.match_expressions.iter().any(|requirement| names_a_node(&requirement.key)))
    }
}

impl Provisioners<'_> {
    /// Where a class with this provisioner and these parameters puts volumes.
    #[must_use]
    pub fn locality(&self, provisioner: &str, parameters: &BTreeMap<String, String>) -> Locality {
        if let Some(locality) = self.own(provisioner) {
            return locality;
        }
        known(provisioner).map_or(Locality::Unknown, |known| known.locality(parameters))
    }

    /// Whether an administrator or the catalogue knows this provisioner, wherever it keeps volumes.
    #[must_use]
    pub fn knows(&self, provisioner: &str) -> bool {
        self.own(provisioner).is_some() || known(provisioner).is_some()
    }

    /// Where a CSI or FlexVolume driver keeps volumes whose class isn't at hand.
    #[must_use]
    pub fn driver_locality(&self, driver: &str) -> Locality {
        self.locality(driver, &BTreeMap::new())
    }

    fn own(&self, provisioner: &str) -> Option<Locality> {
        let named = |patterns: &[String]| patterns.iter().any(|pattern| matches_pattern(pattern, provisioner));
        if named(self.local) {
            Some(Locality::Local)
        } else if named(self.remote) {
            Some(Locality::Remote)
        } else {
            None
        }
    }
}

impl Provisioner {
    fn locality(&self, parameters: &BTreeMap<String, String>) -> Locality {
        let holds =
            |(name, value): &(&str, &str)| parameters.get(*name).is_some_and(|given| given.eq_ignore_ascii_case(value));
        self.rules
            .iter()
            .find(|(conditions, _)| conditions.iter().all(holds))
            .map_or(self.place, |(_, place)| *place)
            .into()
    }
}

impl From<Place> for Locality {
    fn from(place: Place) -> Self {
        match place {
            Place::Remote => Self::Remote,
            Place::Local => Self::Local,
            Place::Unknown => Self::Unknown,
        }
    }
}

impl Locality {
    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Local => "local",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a PersistentVolume is. A driver that isn't known is judged by the nodes
/// that can reach the volume.
#[must_use]
pub fn of_persistent_volume(volume: &PersistentVolumeSource, provisioners: Provisioners<'_>) -> Locality {
    let pinned = volume.node_affinity.as_ref().is_some_and(NodeAffinity::pins_to_a_node);
    let by_driver = |driver: &str| match provisioners.driver_locality(driver) {
        Locality::Unknown if pinned => Locality::Local,
        locality => locality,
    };
    match &volume.source {
        None => Locality::Unknown,
        Some(VolumeSource::Csi { driver }) => by_driver(driver),
        // A FlexVolume that nobody knows is nearly always a network disk, but nearly isn't known.
        Some(VolumeSource::Flex { driver }) => by_driver(driver),
        Some(source) => match source.place() {
            SourcePlace::Remote => Locality::Remote,
            SourcePlace::Local | SourcePlace::Ephemeral => Locality::Local,
            SourcePlace::NotData | SourcePlace::Depends => Locality::Unknown,
        },
    }
}

fn known(provisioner: &str) -> Option<Provisioner> {
    catalogue::find(PROVISIONERS, provisioner)
        .or_else(|| {
            PROVISIONER_PREFIXES.iter().find(|(prefix, _)| provisioner.starts_with(prefix)).map(|(_, known)| *known)
        })
        .or_else(|| {
            PROVISIONER_SUFFIXES.iter().find(|(suffix, _)| provisioner.ends_with(suffix)).map(|(_, known)| *known)
        })
        .or_else(|| {
            provisioner
                .split(['-', '.', '/', '_'])
                .find_map(|word| catalogue::find(PROVISIONER_WORDS, &word.to_ascii_lowercase()))
        })
}

/// Whether a name fits an administrator's pattern: the whole name, or with `*`
/// in front its end, or with `*` at the end its beginning.
#[must_use]
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(suffix), _) => name.ends_with(suffix),
        (_, Some(prefix)) => name.starts_with(prefix),
        _ => pattern == name,
    }
}
