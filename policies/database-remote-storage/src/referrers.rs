//! The workloads that refer to a claim by name, and the sets whose templates
//! name a class: who is looked at when a claim, a volume or a class is made.
//!
//! The look-ups are optional. What isn't known of, because a cluster has more
//! than was given, is no reason to doubt every claim; it is judged at the
//! workload as well.

use portcullis_sdk::serde_json::Value;
use portcullis_sdk::{GroupVersionKind, Host, Kind, Lookup, Objects, Query, Scope, Tree, View, Visited};
use serde::Deserialize;

use crate::views::{AnyWorkload, CLAIM_VOLUME_KEY, Claim};

/// How many referrers of one kind are looked at: more than this share no claim in practice.
const MAX_REFERRERS: u32 = 50;
/// The path by which sets are found by the class of a template.
const TEMPLATE_CLASS_KEY: &str = "spec.volumeClaimTemplates[*].spec.storageClassName";
const POD_KEY: &str = "spec.volumes[*].persistentVolumeClaim.claimName";
const TEMPLATE_KEY: &str = "spec.template.spec.volumes[*].persistentVolumeClaim.claimName";
const CRON_JOB_KEY: &str = "spec.jobTemplate.spec.template.spec.volumes[*].persistentVolumeClaim.claimName";

/// A workload that was looked up. It is taken as it comes and read by the one
/// reader that the review's own object has: eight typed readers more would make
/// the guest half as large again.
trait Referrer: Kind {
    fn value(self) -> Value;

    fn read(self) -> Option<AnyWorkload> {
        let (group, version) = Self::API_VERSION.split_once('/').unwrap_or(("", Self::API_VERSION));
        let kind =
            GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: Self::KIND.to_owned() };
        AnyWorkload::read(&kind, &self.value().to_string())?.ok()
    }
}

macro_rules! referrers {
    ($($kind:ident, $api_version:literal, $resource:literal;)*) => {
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
                const API_VERSION: &'static str = $api_version;
                const KIND: &'static str = stringify!($kind);
                const RESOURCE: &'static str = $resource;
                const SCOPE: Scope = Scope::Namespaced;
            }

            impl Referrer for $kind {
                fn value(self) -> Value {
                    self.0
                }
            }
        )*
    };
}

referrers! {
    Pod, "v1", "pods";
    ReplicationController, "v1", "replicationcontrollers";
    Deployment, "apps/v1", "deployments";
    StatefulSet, "apps/v1", "statefulsets";
    DaemonSet, "apps/v1", "daemonsets";
    ReplicaSet, "apps/v1", "replicasets";
    Job, "batch/v1", "jobs";
    CronJob, "batch/v1", "cronjobs";
}

/// What is looked up to find referrers.
pub(crate) fn lookups() -> Vec<Lookup> {
    fn by_claim<K: Kind>(key: &str) -> Lookup {
        Lookup::of::<K>().list().key(key).optional()
    }
    vec![
        by_claim::<Pod>(POD_KEY),
        by_claim::<Deployment>(TEMPLATE_KEY),
        by_claim::<StatefulSet>(TEMPLATE_KEY).key(TEMPLATE_CLASS_KEY),
        by_claim::<DaemonSet>(TEMPLATE_KEY),
        by_claim::<ReplicaSet>(TEMPLATE_KEY),
        by_claim::<ReplicationController>(TEMPLATE_KEY),
        by_claim::<Job>(TEMPLATE_KEY),
        by_claim::<CronJob>(CRON_JOB_KEY),
    ]
}

/// The workloads of a namespace that refer to a claim. Pods and ReplicaSets that
/// a listed workload made say the same again, so the first kind that has any ends it
/// where it is one that makes others.
pub(crate) fn of_claim(host: &Host, namespace: &str, claim: &str) -> Vec<AnyWorkload> {
    fn named<K: Referrer>(host: &Host, namespace: &str, key: &str, claim: &str) -> Vec<AnyWorkload> {
        let query = Query::all().within(namespace).key(key, claim).limit(MAX_REFERRERS);
        host.list::<K>(query).items.into_iter().filter_map(Referrer::read).collect()
    }
    let mut found = named::<StatefulSet>(host, namespace, TEMPLATE_KEY, claim);
    found.extend(named::<Deployment>(host, namespace, TEMPLATE_KEY, claim));
    found.extend(named::<DaemonSet>(host, namespace, TEMPLATE_KEY, claim));
    found.extend(named::<ReplicationController>(host, namespace, TEMPLATE_KEY, claim));
    found.extend(named::<CronJob>(host, namespace, CRON_JOB_KEY, claim));
    if found.is_empty() {
        found.extend(named::<ReplicaSet>(host, namespace, TEMPLATE_KEY, claim));
        found.extend(named::<Job>(host, namespace, TEMPLATE_KEY, claim));
    }
    if found.is_empty() {
        found.extend(named::<Pod>(host, namespace, POD_KEY, claim));
    }
    found
}

/// The StatefulSets of a namespace that will take a claim of this name for one of
/// their templates: `data-mongo-0` is the first pod's of template `data` of set `mongo`.
pub(crate) fn of_template_claim(host: &Host, namespace: &str, claim: &str) -> Vec<(AnyWorkload, String)> {
    let Some((base, ordinal)) = claim.rsplit_once('-') else { return Vec::new() };
    if ordinal.is_empty() || !ordinal.bytes().all(|digit| digit.is_ascii_digit()) {
        return Vec::new();
    }
    let sets = host.list::<StatefulSet>(Query::all().within(namespace)).items.into_iter().filter_map(Referrer::read);
    let template = |set: &AnyWorkload| {
        let template = base.strip_suffix(&set.metadata.name)?.strip_suffix('-')?;
        let has = set.claim_templates.iter().any(|known| known.metadata.name == template);
        has.then(|| template.to_owned())
    };
    sets.filter_map(|set| template(&set).map(|template| (set, template))).collect()
}

/// The StatefulSets of all namespaces with a template that names a class.
pub(crate) fn of_class(host: &Host, class: &str) -> Vec<AnyWorkload> {
    let query = Query::all().key(TEMPLATE_CLASS_KEY, class).limit(MAX_REFERRERS);
    host.list::<StatefulSet>(query).items.into_iter().filter_map(Referrer::read).collect()
}

/// The claims that name a volume.
pub(crate) fn of_volume(host: &Host, volume: &str) -> Vec<Claim> {
    host.list::<Claim>(Query::all().key(CLAIM_VOLUME_KEY, volume).limit(MAX_REFERRERS)).items
}
