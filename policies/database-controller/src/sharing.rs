//! Whether a claim's volume may be written to by pods on several nodes: it is
//! ReadWriteMany, and what makes its volume keeps it where every node reaches it.
//!
//! ```text
//! claim ─ ReadWriteMany? ─ volumeName ─► PersistentVolume ─► source, driver
//!                        └ class ──────► StorageClass ─────► provisioner
//!                        └ neither ────► the default class
//! ```

use portcullis_sdk::{Answer, Host, Query};
use portcullis_workloads::{Locality, VolumeSource, of_persistent_volume};

use crate::settings::Settings;
use crate::stores::{Data, Source};
use crate::views::{Claim, PersistentVolume, StorageClass};

/// The path by which volumes are found by their class.
pub(crate) const VOLUME_CLASS_KEY: &str = "spec.storageClassName";
/// The provisioner of classes whose volumes are made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
/// The annotation that named a claim's class before the field did, and still wins over it.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// Whether several pods may write to a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// They may, from any node.
    Shared,
    /// They may not; after `the volume …`.
    Single(String),
    /// Each has its own, which is gone with it.
    Own(&'static str),
    /// It can't be told; what to look up, and why it couldn't be.
    Unknown {
        /// `claim data`, `class fast`.
        what: String,
        /// Why there is no answer.
        why: String,
    },
    /// What decides it doesn't exist: `claim data`, `class fast`.
    Absent(String),
}

/// Follows what a workload names.
pub(crate) struct Resolver<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) host: &'a Host,
    pub(crate) namespace: &'a str,
}

impl Resolver<'_> {
    /// Whether the pods of a workload may all write to this volume.
    pub(crate) fn sharing(&self, data: &Data<'_>) -> Sharing {
        match data.source {
            Source::Template => Sharing::Own("volumeClaimTemplates"),
            Source::SharedNetwork(_) => Sharing::Shared,
            Source::SingleNetwork(field) => {
                Sharing::Single(format!("is of type `{field}`, which one node may write to"))
            }
            Source::Driver(driver) => Sharing::Unknown {
                what: format!("driver {driver}"),
                why: "whether it lets several pods write isn't known".to_owned(),
            },
            Source::Passing(field) => Sharing::Own(field),
            Source::Claim(name) => match self.host.get_in::<Claim>(self.namespace, name) {
                Answer::Found(claim) => self.claim(&claim),
                Answer::Absent => Sharing::Absent(format!("claim {name}")),
                Answer::Unknown(why) => Sharing::Unknown { what: format!("claim {name}"), why },
            },
        }
    }

    /// Whether pods on several nodes may write to a claim's volume.
    pub(crate) fn claim(&self, claim: &Claim) -> Sharing {
        let name = &claim.metadata.name;
        if !claim.is_written_by_many() {
            return Sharing::Single(format!("is claim `{name}`, which isn't ReadWriteMany"));
        }
        if let Some(volume) = claim.spec.volume_name.as_deref().filter(|volume| !volume.is_empty()) {
            return match self.host.get::<PersistentVolume>(volume) {
                Answer::Found(volume) => self.volume(&volume),
                Answer::Absent => Sharing::Absent(format!("volume {volume}")),
                Answer::Unknown(why) => Sharing::Unknown { what: format!("volume {volume}"), why },
            };
        }
        let class = claim.metadata.annotations.get(CLASS_ANNOTATION).or(claim.spec.storage_class_name.as_ref());
        match class.map(String::as_str) {
            Some("") => self.by_hand("", || Sharing::Absent("volume for a claim without a class".to_owned())),
            Some(class) => match self.host.get::<StorageClass>(class) {
                Answer::Found(class) => self.class(&class),
                Answer::Absent => self.by_hand(class, || Sharing::Absent(format!("class {class}"))),
                Answer::Unknown(why) => {
                    self.by_hand(class, || Sharing::Unknown { what: format!("class {class}"), why })
                }
            },
            None => self.default_class(),
        }
    }

    fn volume(&self, volume: &PersistentVolume) -> Sharing {
        let name = &volume.metadata.name;
        match of_persistent_volume(&volume.spec, self.settings.provisioners()) {
            Locality::Remote => Sharing::Shared,
            Locality::Local => Sharing::Single(format!("is PersistentVolume `{name}`, which is on one node")),
            Locality::Unknown => {
                let driver = match &volume.spec.source {
                    Some(VolumeSource::Csi { driver } | VolumeSource::Flex { driver }) => format!("driver {driver}"),
                    _ => format!("volume {name}"),
                };
                Sharing::Unknown { what: driver, why: UNKNOWN_PLACE.to_owned() }
            }
        }
    }

    fn class(&self, class: &StorageClass) -> Sharing {
        let name = &class.metadata.name;
        if class.provisioner == NO_PROVISIONER {
            return self.by_hand(name, || Sharing::Absent(format!("volume of class {name}")));
        }
        match self.settings.provisioners().locality(&class.provisioner, &class.parameters) {
            Locality::Remote => Sharing::Shared,
            Locality::Local => {
                Sharing::Single(format!("is of class `{name}`, whose provisioner keeps a volume on one node"))
            }
            Locality::Unknown => {
                Sharing::Unknown { what: format!("provisioner {}", class.provisioner), why: UNKNOWN_PLACE.to_owned() }
            }
        }
    }

    /// The newest of the default classes is taken, as the API server does.
    fn default_class(&self) -> Sharing {
        let listing = self.host.list::<StorageClass>(Query::all());
        let newest = listing.items.iter().filter(|class| class.is_default()).max_by(|one, two| {
            one.metadata
                .creation_timestamp
                .cmp(&two.metadata.creation_timestamp)
                .then_with(|| two.metadata.name.cmp(&one.metadata.name))
        });
        match newest {
            Some(class) => self.class(class),
            None if listing.complete => Sharing::Absent("default-class".to_owned()),
            None => Sharing::Unknown {
                what: "default-class".to_owned(),
                why: listing.reason.unwrap_or_else(|| "not all classes are known".to_owned()),
            },
        }
    }

    /// The volumes of a class that were made by hand, if they all are of one sort.
    fn by_hand(&self, class: &str, none: impl FnOnce() -> Sharing) -> Sharing {
        let query = if class.is_empty() { Query::all() } else { Query::all().key(VOLUME_CLASS_KEY, class) };
        let listing = self.host.list::<PersistentVolume>(query);
        let of_class = |volume: &&PersistentVolume| volume.spec.storage_class_name.as_deref().unwrap_or("") == class;
        let places: Vec<Sharing> = listing.items.iter().filter(of_class).map(|volume| self.volume(volume)).collect();
        match places.first() {
            None => none(),
            Some(first) if places.iter().all(|place| matches!(place, Sharing::Single(_))) => first.clone(),
            Some(_) if listing.complete && places.iter().all(|place| *place == Sharing::Shared) => Sharing::Shared,
            Some(_) => Sharing::Unknown {
                what: format!("volumes of class `{class}`"),
                why: "they aren't all of one sort, or not all known".to_owned(),
            },
        }
    }
}

/// Why a place can't be told.
const UNKNOWN_PLACE: &str = "the catalogue doesn't know where it keeps volumes; name it in the setting `localProvisioners` or `remoteProvisioners`";
