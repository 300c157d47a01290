//! Volume sources of pods and PersistentVolumes, read by the field that is set.
//!
//! Invariant: a volume that sets no field is an emptyDir, as the API server
//! makes it one.

use std::fmt;
use std::marker::PhantomData;

use portcullis_sdk::pod::ClaimTemplate;
use portcullis_sdk::{Tree, View, Visited, tree_of};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::catalogue::{self, VOLUME_SOURCES};
use crate::locality::NodeAffinity;

/// A volume of a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub source: VolumeSource,
}

/// Where a volume comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum VolumeSource {
    /// On the node, and gone with the pod.
    EmptyDir,
    /// A directory of the node.
    HostPath {
        /// On the node.
        path: String,
    },
    /// A PersistentVolumeClaim, by name.
    Claim {
        /// In the pod's namespace.
        name: String,
    },
    /// A claim that is made with the pod and gone with it.
    Ephemeral(Box<ClaimTemplate>),
    /// A CSI driver.
    Csi {
        /// The driver's name.
        driver: String,
    },
    /// A FlexVolume driver.
    Flex {
        /// The driver's name.
        driver: String,
    },
    /// Any other, by the field of the API that is set.
    Field(&'static str),
}

/// The spec of a PersistentVolume, as far as its place needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct PersistentVolumeSource {
    /// Where it comes from; nothing where no known field is set.
    pub source: Option<VolumeSource>,
    /// The nodes that can reach it.
    pub node_affinity: Option<NodeAffinity>,
    /// The class that it is of.
    pub storage_class_name: Option<String>,
}

impl VolumeSource {
    /// The field of the API: `emptyDir`, `persistentVolumeClaim`.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::EmptyDir => "emptyDir",
            Self::HostPath { .. } => "hostPath",
            Self::Claim { .. } => "persistentVolumeClaim",
            Self::Ephemeral(_) => "ephemeral",
            Self::Csi { .. } => "csi",
            Self::Flex { .. } => "flexVolume",
            Self::Field(field) => field,
        }
    }

    /// Takes the field if it is a source; else leaves its value to be read.
    fn take<'de, A: MapAccess<'de>>(field: &str, map: &mut A) -> Result<Option<Option<Self>>, A::Error> {
        let Ok(index) = VOLUME_SOURCES.binary_search_by(|(known, _)| (*known).cmp(field)) else { return Ok(None) };
        let source = match VOLUME_SOURCES[index].0 {
            "emptyDir" => map.next_value::<Option<IgnoredAny>>()?.map(|_| Self::EmptyDir),
            "hostPath" => map.next_value::<Option<HostPath>>()?.map(|source| Self::HostPath { path: source.path }),
            "persistentVolumeClaim" => {
                map.next_value::<Option<ClaimName>>()?.map(|source| Self::Claim { name: source.claim_name })
            }
            "ephemeral" => map
                .next_value::<Option<EphemeralClaim>>()?
                .map(|source| Self::Ephemeral(Box::new(source.volume_claim_template))),
            "csi" => map.next_value::<Option<Driver>>()?.map(|source| Self::Csi { driver: source.driver }),
            "flexVolume" => map.next_value::<Option<Driver>>()?.map(|source| Self::Flex { driver: source.driver }),
            other => map.next_value::<Option<IgnoredAny>>()?.map(|_| Self::Field(other)),
        };
        Ok(Some(source))
    }

    /// What is read of the sources.
    fn fields() -> impl Iterator<Item = (String, Tree)> {
        VOLUME_SOURCES.iter().map(|(field, _)| {
            let tree = match *field {
                "hostPath" => Tree::field("path", Tree::Value),
                "persistentVolumeClaim" => Tree::field("claimName", Tree::Value),
                "ephemeral" => Tree::field("volumeClaimTemplate", tree_of::<ClaimTemplate>()),
                "csi" | "flexVolume" => Tree::field("driver", Tree::Value),
                _ => Tree::Present,
            };
            ((*field).to_owned(), tree)
        })
    }

    /// What the catalogue says of the field.
    pub(crate) fn place(&self) -> catalogue::SourcePlace {
        catalogue::find(VOLUME_SOURCES, self.field()).unwrap_or(catalogue::SourcePlace::Depends)
    }
}

/// Whether a pod's own volume is reachable from more than one node.
#[must_use]
pub fn is_network_source(source: &VolumeSource) -> bool {
    source.place() == catalogue::SourcePlace::Remote
}

impl View for Volume {
    fn tree(_: &mut Visited) -> Tree {
        Tree::fields(std::iter::once(("name".to_owned(), Tree::Value)).chain(VolumeSource::fields()))
    }
}

impl View for PersistentVolumeSource {
    fn tree(_: &mut Visited) -> Tree {
        let own =
            [("nodeAffinity".to_owned(), tree_of::<NodeAffinity>()), ("storageClassName".to_owned(), Tree::Value)];
        Tree::fields(own.into_iter().chain(VolumeSource::fields()))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HostPath {
    path: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ClaimName {
    claim_name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct EphemeralClaim {
    volume_claim_template: ClaimTemplate,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Driver {
    driver: String,
}

impl<'de> Deserialize<'de> for Volume {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields::<Self>(PhantomData))
    }
}

impl<'de> Deserialize<'de> for PersistentVolumeSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields::<Self>(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de> Visitor<'de> for Fields<Volume> {
    type Value = Volume;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a volume")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Volume, A::Error> {
        let mut name = String::new();
        let mut source = None;
        while let Some(field) = map.next_key::<String>()? {
            if field == "name" {
                name = map.next_value()?;
            } else if let Some(taken) = VolumeSource::take(&field, &mut map)? {
                source = taken.or(source);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Volume { name, source: source.unwrap_or(VolumeSource::EmptyDir) })
    }
}

impl<'de> Visitor<'de> for Fields<PersistentVolumeSource> {
    type Value = PersistentVolumeSource;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the spec of a PersistentVolume")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PersistentVolumeSource, A::Error> {
        let mut spec = PersistentVolumeSource { source: None, node_affinity: None, storage_class_name: None };
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "nodeAffinity" => spec.node_affinity = map.next_value()?,
                "storageClassName" => spec.storage_class_name = map.next_value()?,
                _ => match VolumeSource::take(&field, &mut map)? {
                    Some(taken) => spec.source = taken.or(spec.source.take()),
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                },
            }
        }
        Ok(spec)
    }
}
