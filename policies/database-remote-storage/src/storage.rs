//! Where storage is, followed through the cluster: claim, volume, class, provisioner.
//!
//! ```text
//! claim ─ volumeName ─► PersistentVolume ─► source, driver, nodes
//!       └ class ──────► StorageClass ─────► provisioner, parameters
//!                       no such class, "" or no provisioner ─► the volumes that the claim can be bound to
//!       └ neither ────► the default class
//! ```

use portcullis_sdk::pod::ClaimSpec;
use portcullis_sdk::{Answer, Host, Metadata, Query};
use portcullis_workloads::{Locality, VolumeSource, is_network_source, of_persistent_volume};

use crate::judge::Origin;
use crate::settings::Settings;
use crate::views::{CLASS_ANNOTATION, Claim, PersistentVolume, StorageClass, VOLUME_CLASS_KEY};

/// The provisioner of classes whose volumes are made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// Where a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Reachable from more than one node, and there when the pod isn't.
    Remote,
    /// Gone with the pod; the field of its source.
    Passing(&'static str),
    /// This directory of the node.
    HostPath(String),
    /// From a class that keeps volumes on one node.
    LocalClass {
        /// The class.
        class: String,
        /// What makes its volumes.
        provisioner: String,
        /// Whether it is named or the default.
        is_default: bool,
    },
    /// A PersistentVolume on one node.
    LocalVolume {
        /// Its name.
        volume: String,
        /// The field of its source.
        source: &'static str,
    },
    /// It can't be told; what to look up, and why it couldn't be.
    Unknown {
        /// `class fast`, `claim data`, `default-class`.
        what: String,
        /// Why there is no answer.
        why: String,
    },
    /// What decides it doesn't exist: `class fast`, `claim data`, `default-class`.
    Absent(String),
}

/// Follows what a workload names.
pub(crate) struct Resolver<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) host: &'a Host,
    pub(crate) namespace: &'a str,
}

impl Resolver<'_> {
    /// Where a volume of a pod is; `None` where the object doesn't have it at all,
    /// which the API server refuses.
    pub(crate) fn storage(&self, origin: &Origin<'_>) -> Option<Storage> {
        Some(match origin {
            Origin::Missing => return None,
            Origin::Template(template) => self.claim(&template.metadata, &template.spec),
            Origin::Volume(VolumeSource::HostPath { path }) => Storage::HostPath(path.clone()),
            Origin::Volume(VolumeSource::Claim { name }) => match self.host.get_in::<Claim>(self.namespace, name) {
                Answer::Found(claim) => self.claim(&claim.metadata, &claim.spec),
                Answer::Absent => Storage::Absent(format!("claim {name}")),
                Answer::Unknown(why) => Storage::Unknown { what: format!("claim {name}"), why },
            },
            Origin::Volume(VolumeSource::Flex { driver }) => self.driver(driver),
            Origin::Volume(source) if is_network_source(source) => Storage::Remote,
            Origin::Volume(source) => Storage::Passing(source.field()),
        })
    }

    /// Where a claim's volume is, or will be.
    pub(crate) fn claim(&self, metadata: &Metadata, spec: &ClaimSpec) -> Storage {
        if let Some(volume) = spec.volume_name.as_deref().filter(|volume| !volume.is_empty()) {
            return match self.host.get::<PersistentVolume>(volume) {
                Answer::Found(volume) => self.volume(&volume),
                Answer::Absent => Storage::Absent(format!("volume {volume}")),
                Answer::Unknown(why) => Storage::Unknown { what: format!("volume {volume}"), why },
            };
        }
        let class = metadata.annotations.get(CLASS_ANNOTATION).or(spec.storage_class_name.as_ref());
        match class.map(String::as_str) {
            Some("") => self
                .by_hand("", spec, metadata)
                .unwrap_or_else(|| Storage::Absent("volume for a claim without a class".to_owned())),
            Some(name) => self.named_class(name, metadata, spec),
            None => self.default_class(metadata, spec),
        }
    }

    /// Where a PersistentVolume is.
    pub(crate) fn volume(&self, volume: &PersistentVolume) -> Storage {
        let source = &volume.spec.source;
        match of_persistent_volume(source, self.settings.provisioners()) {
            Locality::Remote => Storage::Remote,
            Locality::Local => Storage::LocalVolume {
                volume: volume.metadata.name.clone(),
                source: source.source.as_ref().map_or("source", VolumeSource::field),
            },
            Locality::Unknown => match &source.source {
                Some(VolumeSource::Csi { driver } | VolumeSource::Flex { driver }) => self.driver(driver),
                _ => Storage::Unknown {
                    what: format!("volume {}", volume.metadata.name),
                    why: "its source isn't one that the catalogue knows".to_owned(),
                },
            },
        }
    }

    fn driver(&self, driver: &str) -> Storage {
        match self.settings.provisioners().driver_locality(driver) {
            Locality::Remote => Storage::Remote,
            Locality::Local => Storage::LocalVolume { volume: driver.to_owned(), source: "driver" },
            Locality::Unknown => {
                Storage::Unknown { what: format!("driver {driver}"), why: UNKNOWN_PROVISIONER.to_owned() }
            }
        }
    }

    fn named_class(&self, name: &str, metadata: &Metadata, spec: &ClaimSpec) -> Storage {
        match self.host.get::<StorageClass>(name) {
            Answer::Found(class) => self.class(&class, false, metadata, spec),
            // Volumes made by hand are often of a class that nobody made.
            Answer::Absent => {
                self.by_hand(name, spec, metadata).unwrap_or_else(|| Storage::Absent(format!("class {name}")))
            }
            Answer::Unknown(why) => match self.by_hand(name, spec, metadata) {
                Some(storage @ Storage::LocalVolume { .. }) => storage,
                _ => Storage::Unknown { what: format!("class {name}"), why },
            },
        }
    }

    fn class(&self, class: &StorageClass, is_default: bool, metadata: &Metadata, spec: &ClaimSpec) -> Storage {
        let name = &class.metadata.name;
        if class.provisioner == NO_PROVISIONER && self.by_hand(name, spec, metadata) == Some(Storage::Remote) {
            return Storage::Remote;
        }
        self.of_class(class, is_default)
    }

    /// Where a class puts volumes.
    pub(crate) fn of_class(&self, class: &StorageClass, is_default: bool) -> Storage {
        match self.settings.provisioners().locality(&class.provisioner, &class.parameters) {
            Locality::Remote => Storage::Remote,
            Locality::Local => Storage::LocalClass {
                class: class.metadata.name.clone(),
                provisioner: class.provisioner.clone(),
                is_default,
            },
            Locality::Unknown => Storage::Unknown {
                what: format!("provisioner {}", class.provisioner),
                why: UNKNOWN_PROVISIONER.to_owned(),
            },
        }
    }

    /// The newest of the default classes is taken, as the API server does.
    fn default_class(&self, metadata: &Metadata, spec: &ClaimSpec) -> Storage {
        let listing = self.host.list::<StorageClass>(Query::all());
        let mut defaults: Vec<StorageClass> = listing.items.into_iter().filter(StorageClass::is_default).collect();
        defaults.sort_by(|one, two| {
            two.metadata
                .creation_timestamp
                .cmp(&one.metadata.creation_timestamp)
                .then_with(|| one.metadata.name.cmp(&two.metadata.name))
        });
        match defaults.first() {
            Some(class) => self.class(class, true, metadata, spec),
            None if listing.complete => Storage::Absent("default-class".to_owned()),
            None => Storage::Unknown {
                what: "default-class".to_owned(),
                why: listing.reason.unwrap_or_else(|| "not all classes are known".to_owned()),
            },
        }
    }

    /// Where the existing volumes are that this claim can be bound to; `None` if
    /// there is none, or it can't be told which it will be.
    fn by_hand(&self, class: &str, spec: &ClaimSpec, metadata: &Metadata) -> Option<Storage> {
        let query = if class.is_empty() { Query::all() } else { Query::all().key(VOLUME_CLASS_KEY, class) };
        let listing = self.host.list::<PersistentVolume>(query);
        let fits = |volume: &&PersistentVolume| {
            volume.spec.source.storage_class_name.as_deref().unwrap_or_default() == class
                && self.fits(volume, spec, metadata)
        };
        let places: Vec<Storage> = listing.items.iter().filter(fits).map(|volume| self.volume(volume)).collect();
        let first = places.first()?.clone();
        let is_local = |storage: &Storage| matches!(storage, Storage::LocalVolume { .. });
        if places.iter().all(is_local) {
            return Some(first);
        }
        let all_remote = places.iter().all(|storage| *storage == Storage::Remote);
        Some(if all_remote && listing.complete {
            Storage::Remote
        } else {
            let what = if class.is_empty() { "volumes without a class".to_owned() } else { format!("class {class}") };
            Storage::Unknown {
                what,
                why: "the volumes that the claim can be bound to aren't all of one sort, or not all known".to_owned(),
            }
        })
    }

    /// Whether a volume can be bound to a claim, as far as both say.
    fn fits(&self, volume: &PersistentVolume, spec: &ClaimSpec, metadata: &Metadata) -> bool {
        let offer = &volume.spec.offer;
        let free = offer
            .claim_ref
            .as_ref()
            .is_none_or(|claim| claim.name == metadata.name && claim.namespace == self.namespace);
        let modes = spec.access_modes.iter().all(|mode| offer.access_modes.contains(mode));
        let room = match (spec.resources.requests.get("storage"), offer.capacity.get("storage")) {
            (Some(asked), Some(given)) => given >= asked,
            _ => true,
        };
        free && modes && room
    }
}

/// Why a provisioner's place can't be told.
const UNKNOWN_PROVISIONER: &str = "the catalogue doesn't know where it keeps volumes; name it in the setting `localProvisioners` or `remoteProvisioners`";

impl Storage {
    /// As the audit annotation has it: `remote`, `local(csi-hostpath-sc)`, `unknown(class fast)`.
    pub(crate) fn audit(&self) -> String {
        match self {
            Self::Remote => "remote".to_owned(),
            Self::Passing(field) => format!("local({field})"),
            Self::HostPath(_) => "local(hostPath)".to_owned(),
            Self::LocalClass { class, .. } => format!("local({class})"),
            Self::LocalVolume { volume, .. } => format!("local({volume})"),
            Self::Unknown { what, .. } | Self::Absent(what) => format!("unknown({what})"),
        }
    }

    /// Whether the data is on one node's drives, which a replicated data store may be allowed.
    pub(crate) fn is_node_local(&self) -> bool {
        matches!(self, Self::HostPath(_) | Self::LocalClass { .. } | Self::LocalVolume { .. })
    }
}
