//! What a data store is, which volume holds its data, and whether that storage
//! is local: what the policies on stateful workloads know in common.
//!
//! Everything is a pure function of small views and of a catalogue that is
//! compiled in (`catalogue/*.tsv`, each row with its source). Nothing here asks
//! the cluster: where an answer depends on it, the result says what to look up.
//!
//! ```text
//! container --recognise--> data store --data_volumes--> volume names --VolumeSource / classify--> locality
//! ```
//!
//! Invariant: what isn't known isn't a data store, and storage that isn't known
//! is neither local nor remote.

mod catalogue;
mod command;
mod container;
mod credentials;
pub mod custom;
mod data;
mod image;
mod locality;
mod provisioner;
mod recognise;
mod volume;

pub use catalogue::Role;
pub use command::split_script;
pub use container::{ContainerPort, ContainerView, EnvVar, VolumeDevice, VolumeMount};
pub use credentials::{
    SwitchedOff, authentication_off, credential_flags, is_credential_variable, lacks_credentials, opens_a_data_store,
};
pub use data::{DataVolume, Holding, PodStorage, data_volumes};
pub use image::Image;
pub use locality::{Locality, NodeAffinity, Provisioners, matches_pattern, of_persistent_volume};
pub use provisioner::ProvisionerFacts;
pub use recognise::{
    CustomStore, DataStore, Known, Recognition, is_known_system, recognise, system_of_name, system_of_port,
};
pub use volume::{PersistentVolumeSource, Volume, VolumeSource, is_network_source};
