//! From a workload to its data stores and what holds their data. Nothing here
//! asks the cluster.

use portcullis_sdk::FieldPath;
use portcullis_sdk::pod::ContainerRef;
use portcullis_workloads::{
    ContainerView, CustomStore, DataStore, Holding, PodStorage, Recognition, VolumeMount, VolumeSource, data_volumes,
    recognise,
};

use crate::settings::Settings;
use crate::views::AnyWorkload;

/// Volume sources of a pod that many nodes may write to, as the API has them
/// (https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes).
const SHARED_SOURCES: [&str; 5] = ["azureFile", "cephfs", "glusterfs", "nfs", "quobyte"];

/// A container that is a data store.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Store<'a> {
    /// The container's name.
    pub(crate) container: &'a str,
    /// The container's place in the object.
    pub(crate) path: FieldPath,
    /// The system's name.
    pub(crate) system: String,
    /// Where it keeps its data.
    pub(crate) held: Held<'a>,
    /// Whether it keeps its data in memory unless told otherwise.
    pub(crate) in_memory: bool,
}

/// Where a data store keeps its data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Held<'a> {
    /// Nowhere, because it is told so.
    NothingByChoice,
    /// In memory.
    Memory,
    /// In the container's own layer.
    Layer,
    /// On these volumes.
    Volumes(Vec<Data<'a>>),
}

/// A volume that holds data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Data<'a> {
    /// Its name in the pod.
    pub(crate) name: &'a str,
    /// Where it comes from.
    pub(crate) source: Source<'a>,
    /// The field that names it.
    pub(crate) path: FieldPath,
    /// How much of it is mounted.
    pub(crate) part: Part<'a>,
}

/// Where a volume comes from, as far as sharing it goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Source<'a> {
    /// A StatefulSet's claim template: one for each pod.
    Template,
    /// A claim: one for all pods.
    Claim(&'a str),
    /// A network volume that many nodes may write to; its field.
    SharedNetwork(&'static str),
    /// A network volume that one node may write to; its field.
    SingleNetwork(&'static str),
    /// A network volume of a FlexVolume driver; its name.
    Driver(&'a str),
    /// Gone with the pod, or with the node; its field.
    Passing(&'static str),
}

/// How much of a volume is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// All of it.
    Whole,
    /// This directory.
    Directory(&'a str),
    /// A directory of the pod's own, or one that can't be told.
    OfThePod,
}

/// A claim that some container mounts to write to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written<'a> {
    /// The claim.
    pub(crate) claim: &'a str,
    /// The container's name.
    pub(crate) container: &'a str,
    /// How much of it.
    pub(crate) part: Part<'a>,
    /// The field that names the claim.
    pub(crate) path: FieldPath,
}

impl Source<'_> {
    /// Whether all pods of the workload get the same, and it lasts.
    pub(crate) fn is_one_for_all(self) -> bool {
        matches!(self, Self::Claim(_) | Self::SharedNetwork(_) | Self::SingleNetwork(_) | Self::Driver(_))
    }
}

impl Part<'_> {
    /// Whether two mounts of one volume surely have no file in common.
    pub(crate) fn is_apart_from(self, other: Part<'_>) -> bool {
        match (self, other) {
            (Part::OfThePod, _) | (_, Part::OfThePod) => true,
            (Part::Directory(one), Part::Directory(two)) => {
                let below = |inner: &str, outer: &str| {
                    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                let (one, two) = (one.trim_matches('/'), two.trim_matches('/'));
                !below(one, two) && !below(two, one)
            }
            (Part::Whole, _) | (_, Part::Whole) => false,
        }
    }
}

/// The data stores of a workload that aren't ignored.
pub(crate) fn stores<'a>(settings: &Settings, own: &[CustomStore], workload: &'a AnyWorkload) -> Vec<Store<'a>> {
    let recognised: Vec<(ContainerRef<'a, ContainerView>, DataStore<'_>)> = workload
        .containers()
        .filter_map(|container| {
            match recognise(container.name, container.role, container.view, own, &settings.not_data_stores) {
                Recognition::DataStore(store) => Some((container, store)),
                Recognition::Other(_) | Recognition::Unknown => None,
            }
        })
        .collect();
    let is_certain = |name: &str| recognised.iter().any(|(_, store)| store.is_certain() && store.name() == name);
    recognised
        .iter()
        .filter(|(_, store)| store.is_certain() || !is_certain(store.name()))
        .filter(|(_, store)| !settings.ignores(store.name()))
        .map(|(container, store)| Store {
            container: container.name,
            path: container.path.clone(),
            system: store.name().to_owned(),
            held: held(store, workload, container),
            in_memory: store.is_in_memory(),
        })
        .collect()
}

fn held<'a>(store: &DataStore<'_>, workload: &'a AnyWorkload, container: &ContainerRef<'a, ContainerView>) -> Held<'a> {
    if store.is_told_to_keep_nothing(container.view) {
        return Held::NothingByChoice;
    }
    let templates: Vec<&str> =
        workload.claim_templates.iter().map(|template| template.metadata.name.as_str()).collect();
    let storage = PodStorage { volumes: &workload.pod.rest.volumes, claim_templates: &templates };
    match data_volumes(store, container.view, storage) {
        Holding::Nothing => Held::Memory,
        Holding::Layer(_) => Held::Layer,
        Holding::Volumes(volumes) => Held::Volumes(
            volumes
                .iter()
                .filter_map(|volume| {
                    let mount = container.view.volume_mounts.get(volume.index).filter(|_| !volume.is_device);
                    data(workload, volume.name, mount.map_or(Part::Whole, |mount| part_of(container.view, mount)))
                })
                .collect(),
        ),
    }
}

fn data<'a>(workload: &'a AnyWorkload, name: &'a str, part: Part<'a>) -> Option<Data<'a>> {
    if let Some((path, _)) = workload.claim_templates().find(|(_, template)| template.metadata.name == name) {
        return Some(Data { name, source: Source::Template, path, part });
    }
    let index = workload.pod.rest.volumes.iter().position(|volume| volume.name == name)?;
    let source = &workload.pod.rest.volumes[index].source;
    let path = workload.spec_path().field("volumes").index(index).field(source.field());
    Some(match source {
        VolumeSource::Claim { name: claim } => {
            Data { name, source: Source::Claim(claim), path: path.field("claimName"), part }
        }
        VolumeSource::Flex { driver } => Data { name, source: Source::Driver(driver), path, part },
        _ => Data { name, source: other_source(source), path, part },
    })
}

fn other_source(source: &VolumeSource) -> Source<'static> {
    let field = source.field();
    if SHARED_SOURCES.contains(&field) {
        Source::SharedNetwork(field)
    } else if portcullis_workloads::is_network_source(source) {
        Source::SingleNetwork(field)
    } else {
        Source::Passing(field)
    }
}

fn part_of<'a>(container: &ContainerView, mount: &'a VolumeMount) -> Part<'a> {
    if !mount.sub_path_expr.is_empty() || is_told_a_directory_of_the_pod(container, &mount.mount_path) {
        return Part::OfThePod;
    }
    match mount.sub_path.trim_matches('/') {
        "" => Part::Whole,
        directory => Part::Directory(directory),
    }
}

/// Whether a flag or a variable names a directory below the mount with a variable
/// in it: `--data-dir=/data/$(POD_NAME)`, `PGDATA=/data/$HOSTNAME`.
fn is_told_a_directory_of_the_pod(container: &ContainerView, mount: &str) -> bool {
    let below = format!("{}/", mount.trim_end_matches('/'));
    let variables = container.env.iter().filter_map(|variable| variable.value.as_deref());
    let texts = container.command.iter().chain(&container.args).map(String::as_str).chain(variables);
    texts
        .flat_map(|text| text.split([' ', '\n', '\t', '"', '\'', '=']))
        .any(|word| word.strip_prefix(below.as_str()).is_some_and(|rest| rest.contains('$')))
}

/// The claims that a workload's containers may write to; init containers, which
/// often prepare what others use, are left out.
pub(crate) fn written_claims(workload: &AnyWorkload) -> Vec<Written<'_>> {
    let mut written = Vec::new();
    let volumes = &workload.pod.rest.volumes;
    for container in workload.containers() {
        if !matches!(container.role, portcullis_sdk::pod::Role::Regular | portcullis_sdk::pod::Role::Sidecar) {
            continue;
        }
        for mount in container.view.volume_mounts.iter().filter(|mount| !mount.read_only) {
            let Some(index) = volumes.iter().position(|volume| volume.name == mount.name) else { continue };
            if let VolumeSource::Claim { name } = &volumes[index].source {
                let path = workload.spec_path().field("volumes").index(index);
                written.push(Written {
                    claim: name,
                    container: container.name,
                    part: part_of(container.view, mount),
                    path: path.field("persistentVolumeClaim").field("claimName"),
                });
            }
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_apart_unless_one_holds_the_other() {
        let check = |one: Part<'_>, two: Part<'_>, apart: bool| {
            assert_eq!(one.is_apart_from(two), apart, "{one:?} {two:?}");
            assert_eq!(two.is_apart_from(one), apart, "{two:?} {one:?}");
        };
        check(Part::Whole, Part::Whole, false);
        check(Part::Whole, Part::Directory("a"), false);
        check(Part::Directory("a"), Part::Directory("a/"), false);
        check(Part::Directory("a"), Part::Directory("a/b"), false);
        check(Part::Directory("a"), Part::Directory("ab"), true);
        check(Part::OfThePod, Part::Whole, true);
    }
}
