//! Whether a database's data may be written by several nodes at once (R31):
//! said of the workload, and of a claim that a workload names already.
//!
//! A claim is looked at from both sides because nobody knows which is made first.

use portcullis_sdk::pod::ContainerRef;
use portcullis_sdk::serde_json::Value;
use portcullis_sdk::{GroupVersionKind, Host, Kind, Lookup, Objects, Query, Scope, Tree, View, Visited};
use portcullis_workloads::{
    ContainerView, DataStore, Holding, PodStorage, Recognition, Volume, VolumeSource, data_volumes, recognise,
};
use serde::Deserialize;

use crate::rules::Rule;
use crate::views::{AnyWorkload, Claim, ClaimSpec};
use crate::{Context, Findings};

const SEVERAL_NODES: &str = "ReadWriteMany";
/// The path by which workloads are found that name a claim.
const CLAIM_KEY: &str = "spec.template.spec.volumes[*].persistentVolumeClaim.claimName";
/// How many workloads of one kind are looked at: more than this share no claim in practice.
const MAX_WORKLOADS: u32 = 20;
/// How to put it right.
const FIX: &str = "claim it with ReadWriteOncePod or ReadWriteOnce";

/// A volume that holds a data store's data.
pub(crate) struct Held<'a> {
    /// The volume's name in the pod.
    pub(crate) volume: &'a str,
    /// The container's.
    container: &'a str,
    /// The data store's.
    system: &'a str,
}

/// A workload that was looked up, taken as it comes and read by the one reader
/// that the review's own object has.
trait Named: Kind {
    fn value(self) -> Value;

    fn read(self) -> Option<AnyWorkload> {
        let (group, version) = Self::API_VERSION.split_once('/')?;
        let kind =
            GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: Self::KIND.to_owned() };
        AnyWorkload::read(&kind, &self.value().to_string())?.ok()
    }
}

macro_rules! named {
    ($($kind:ident, $resource:literal;)*) => {
        $(
            #[derive(Debug, Deserialize)]
            #[serde(transparent)]
            struct $kind(Value);

            impl View for $kind {
                fn tree(_: &mut Visited) -> Tree {
                    let kinds = AnyWorkload::kinds();
                    kinds.into_iter().find(|kind| kind.kind == Self::KIND).map_or(Tree::Nothing, |kind| kind.tree)
                }
            }

            impl Kind for $kind {
                const API_VERSION: &'static str = "apps/v1";
                const KIND: &'static str = stringify!($kind);
                const RESOURCE: &'static str = $resource;
                const SCOPE: Scope = Scope::Namespaced;
            }

            impl Named for $kind {
                fn value(self) -> Value {
                    self.0
                }
            }
        )*
    };
}

named! {
    Deployment, "deployments";
    StatefulSet, "statefulsets";
}

/// What is looked up for a claim.
pub(crate) fn lookups() -> [Lookup; 2] {
    [
        Lookup::of::<Deployment>().list().key(CLAIM_KEY).optional(),
        Lookup::of::<StatefulSet>().list().key(CLAIM_KEY).optional(),
    ]
}

/// Whether a claim may be written by several nodes.
pub(crate) fn are_several(spec: &ClaimSpec) -> bool {
    spec.access_modes.iter().any(|mode| mode == SEVERAL_NODES)
}

/// Warns of a volume of a workload.
pub(crate) fn warn(held: &Held<'_>, path: &portcullis_sdk::FieldPath, review: &mut Findings) {
    let message = format!(
        "volume `{}` holds the data of {} (container `{}`), and its claim lets several nodes write it at once ({SEVERAL_NODES})",
        held.volume, held.system, held.container
    );
    review
        .warn(Rule::ManyWriters, message)
        .at(path)
        .subject(format!("volume={}", held.volume))
        .value(SEVERAL_NODES)
        .fix(FIX);
}

/// Warns of a claim on which data stores keep their data already.
pub(crate) fn judge(context: &Context<'_>, claim: &Claim, review: &mut Findings) {
    if !context.is_new || !are_several(&claim.spec) || claim.metadata.name.is_empty() {
        return;
    }
    let name = claim.metadata.name.as_str();
    for workload in workloads(context.host, context.namespace, name) {
        let is_claim = |volume: &str| {
            workload.pod.rest.volumes.iter().any(|known| {
                known.volume.name == volume
                    && matches!(&known.volume.source, VolumeSource::Claim { name: claimed } if claimed == name)
            })
        };
        for held in held(context, &workload).iter().filter(|held| is_claim(held.volume)) {
            let user = format!("{}/{}", workload.kind.as_str(), workload.metadata.display_name());
            let message = format!(
                "claim `{name}` holds the data of {} (container `{}` of {user}), and lets several nodes write it at once ({SEVERAL_NODES})",
                held.system, held.container
            );
            review
                .warn(Rule::ManyWriters, message)
                .at(&portcullis_sdk::FieldPath::fields(["spec", "accessModes"]))
                .subject(format!("workload={user},container={}", held.container))
                .value(SEVERAL_NODES)
                .fix(FIX);
        }
    }
}

fn workloads(host: &Host, namespace: &str, claim: &str) -> Vec<AnyWorkload> {
    fn named<K: Named>(host: &Host, namespace: &str, claim: &str) -> Vec<AnyWorkload> {
        let query = Query::all().within(namespace).key(CLAIM_KEY, claim).limit(MAX_WORKLOADS);
        host.list::<K>(query).items.into_iter().filter_map(Named::read).collect()
    }
    let mut found = named::<StatefulSet>(host, namespace, claim);
    found.extend(named::<Deployment>(host, namespace, claim));
    found
}

/// The volumes that hold data stores' data, each once.
pub(crate) fn held<'a>(context: &Context<'_>, workload: &'a AnyWorkload) -> Vec<Held<'a>> {
    let templates: Vec<&str> =
        workload.claim_templates.iter().map(|template| template.metadata.name.as_str()).collect();
    let volumes: Vec<Volume> = workload.pod.rest.volumes.iter().map(|volume| volume.volume.clone()).collect();
    let storage = PodStorage { volumes: &volumes, claim_templates: &templates };
    let mut found: Vec<Held<'a>> = Vec::new();
    for (container, store) in stores(context, workload) {
        let Holding::Volumes(data) = data_volumes(&store, container.view, storage) else { continue };
        for volume in data {
            if !found.iter().any(|held| held.volume == volume.name) {
                found.push(Held { volume: volume.name, container: container.name, system: store.name() });
            }
        }
    }
    found
}

/// The containers that are data stores; beside a certain one a likely one of the same system is its client.
fn stores<'a>(
    context: &Context<'_>,
    workload: &'a AnyWorkload,
) -> Vec<(ContainerRef<'a, ContainerView>, DataStore<'static>)> {
    let never = &context.settings.not_data_stores;
    let recognised: Vec<_> = workload
        .containers()
        .filter_map(|container| match recognise(container.name, container.role, container.view, &[], never) {
            Recognition::DataStore(store) => Some((container, store)),
            Recognition::Other(_) | Recognition::Unknown => None,
        })
        .collect();
    let certain: Vec<&str> =
        recognised.iter().filter(|(_, store)| store.is_certain()).map(|(_, store)| store.name()).collect();
    let is_client = |store: &DataStore<'_>| !store.is_certain() && certain.contains(&store.name());
    recognised.iter().filter(|(_, store)| !is_client(store)).cloned().collect()
}
