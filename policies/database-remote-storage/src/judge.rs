//! From a workload to the volumes that hold a data store's data, and where each
//! of them is named in the object. Nothing here asks the cluster.

use portcullis_sdk::FieldPath;
use portcullis_sdk::pod::{ClaimTemplate, ContainerRef};
use portcullis_workloads::{
    ContainerView, DataStore, Holding, PodStorage, Recognition, Volume, VolumeSource, data_volumes, recognise,
};

use crate::settings::Settings;
use crate::views::{AnyWorkload, CLASS_ANNOTATION};

/// A container that is a data store.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Store<'a> {
    /// The container's name.
    pub(crate) container: &'a str,
    /// The system's name.
    pub(crate) system: String,
    /// Where it keeps its data.
    pub(crate) holding: Place<'a>,
}

/// Where a container keeps its data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place<'a> {
    /// Nowhere, or an administrator said that it doesn't matter.
    Nothing,
    /// In its own layer: no volume is mounted at any of these directories.
    Layer {
        /// Where a volume belongs.
        directories: Vec<String>,
        /// The container's place in the object.
        path: FieldPath,
    },
    /// On these volumes.
    Volumes(Vec<Named<'a>>),
}

/// A volume as the workload names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named<'a> {
    /// Its name in the pod.
    pub(crate) name: &'a str,
    /// Where it comes from.
    pub(crate) origin: Origin<'a>,
    /// The field that decides where it comes from.
    pub(crate) path: FieldPath,
}

/// Where a pod's volume comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Origin<'a> {
    /// A StatefulSet's claim template.
    Template(&'a ClaimTemplate),
    /// A volume of the pod.
    Volume(&'a VolumeSource),
    /// Nothing in the object has this name.
    Missing,
}

/// The data stores of a workload.
pub(crate) fn stores<'a>(settings: &Settings, workload: &'a AnyWorkload) -> Vec<Store<'a>> {
    let custom = settings.custom_stores();
    let templates: Vec<&str> =
        workload.claim_templates.iter().map(|template| template.metadata.name.as_str()).collect();
    let storage = PodStorage { volumes: &workload.pod.rest.volumes, claim_templates: &templates };
    let recognised: Vec<(ContainerRef<'a, ContainerView>, DataStore<'_>)> = workload
        .containers()
        .filter_map(|container| {
            match recognise(container.name, container.role, container.view, &custom, &settings.not_data_stores) {
                Recognition::DataStore(store) => Some((container, store)),
                Recognition::Other(_) | Recognition::Unknown => None,
            }
        })
        .collect();
    let is_certain = |name: &str| recognised.iter().any(|(_, store)| store.is_certain() && store.name() == name);
    let stores = recognised.iter().filter(|(_, store)| store.is_certain() || !is_certain(store.name()));
    stores
        .map(|(container, store)| Store {
            container: container.name,
            system: store.name().to_owned(),
            holding: place(settings, store, workload, container, storage),
        })
        .collect()
}

fn place<'a>(
    settings: &Settings,
    store: &DataStore<'_>,
    workload: &'a AnyWorkload,
    container: &ContainerRef<'a, ContainerView>,
    storage: PodStorage<'_>,
) -> Place<'a> {
    if settings.ignored_systems.iter().any(|ignored| ignored == store.name()) {
        return Place::Nothing;
    }
    match data_volumes(store, container.view, storage) {
        Holding::Nothing => Place::Nothing,
        Holding::Layer(directories) => Place::Layer { directories, path: container.path.clone() },
        Holding::Volumes(volumes) => {
            Place::Volumes(volumes.iter().map(|volume| named(workload, volume.name)).collect())
        }
    }
}

/// Finds a volume's origin by its name; a claim template stands before a volume of the same name.
fn named<'a>(workload: &'a AnyWorkload, name: &'a str) -> Named<'a> {
    if let Some((path, template)) = workload.claim_templates().find(|(_, template)| template.metadata.name == name) {
        return Named { name, origin: Origin::Template(template), path: class_path(&path, template) };
    }
    let volumes: &'a [Volume] = &workload.pod.rest.volumes;
    let list = workload.spec_path().field("volumes");
    match volumes.iter().enumerate().find(|(_, volume)| volume.name == name) {
        None => Named { name, origin: Origin::Missing, path: list },
        Some((index, volume)) => {
            let path = list.index(index).field(volume.source.field());
            let path = match &volume.source {
                VolumeSource::HostPath { .. } => path.field("path"),
                VolumeSource::Claim { .. } => path.field("claimName"),
                VolumeSource::Csi { .. } => path.field("driver"),
                _ => path,
            };
            Named { name, origin: Origin::Volume(&volume.source), path }
        }
    }
}

/// The field that names a claim's class: the legacy annotation wins where it is set.
pub(crate) fn class_path(claim: &FieldPath, template: &ClaimTemplate) -> FieldPath {
    if template.metadata.annotations.contains_key(CLASS_ANNOTATION) {
        return claim.field("metadata").field("annotations").key(CLASS_ANNOTATION);
    }
    claim.field("spec").field("storageClassName")
}
