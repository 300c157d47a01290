//! Workloads that are looked up: the parent of a Scale or the target of an
//! autoscaler by name, and those that refer to a claim by key.
//!
//! The lists are optional: what isn't known of, because a cluster has more than
//! was given, is no reason to doubt every workload; whichever of two workloads
//! comes second is judged against the first. The parent of a Scale isn't: a
//! Scale holds nothing that could be judged instead.

use portcullis_sdk::pod::WorkloadKind;
use portcullis_sdk::serde_json::Value;
use portcullis_sdk::{Answer, GroupVersionKind, Host, Kind, Lookup, Objects, Query, Scope, Tree, View, Visited};
use serde::Deserialize;

use crate::operators::is_made_by_a_workload;
use crate::views::Judged;

/// How many referrers of one kind are looked at: more than this share no claim in practice.
const MAX_REFERRERS: u32 = 50;
const POD_KEY: &str = "spec.volumes[*].persistentVolumeClaim.claimName";
const TEMPLATE_KEY: &str = "spec.template.spec.volumes[*].persistentVolumeClaim.claimName";
const CRON_JOB_KEY: &str = "spec.jobTemplate.spec.template.spec.volumes[*].persistentVolumeClaim.claimName";

/// A workload as it comes; it is read by the one reader that the review's own
/// object has, since eight typed readers more would make the guest half as large again.
trait Referrer: Kind {
    const CLAIM_KEY: &'static str;

    fn value(self) -> Value;

    fn read(self) -> Option<Judged> {
        let (group, version) = Self::API_VERSION.split_once('/').unwrap_or(("", Self::API_VERSION));
        let kind =
            GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: Self::KIND.to_owned() };
        Judged::read(&kind, &self.value().to_string())?.ok()
    }
}

macro_rules! referrers {
    ($($kind:ident, $api_version:literal, $resource:literal, $key:ident;)*) => {
        $(
            #[derive(Debug, Deserialize)]
            #[serde(transparent)]
            struct $kind(Value);

            impl View for $kind {
                fn tree(_: &mut Visited) -> Tree {
                    let kinds = Judged::kinds();
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
                const CLAIM_KEY: &'static str = $key;

                fn value(self) -> Value {
                    self.0
                }
            }
        )*
    };
}

referrers! {
    Pod, "v1", "pods", POD_KEY;
    ReplicationController, "v1", "replicationcontrollers", TEMPLATE_KEY;
    Deployment, "apps/v1", "deployments", TEMPLATE_KEY;
    StatefulSet, "apps/v1", "statefulsets", TEMPLATE_KEY;
    DaemonSet, "apps/v1", "daemonsets", TEMPLATE_KEY;
    ReplicaSet, "apps/v1", "replicasets", TEMPLATE_KEY;
    Job, "batch/v1", "jobs", TEMPLATE_KEY;
    CronJob, "batch/v1", "cronjobs", CRON_JOB_KEY;
}

/// The kinds whose number of pods the subresource `scale` changes.
pub(crate) const SCALED: [WorkloadKind; 4] = [
    WorkloadKind::Deployment,
    WorkloadKind::StatefulSet,
    WorkloadKind::ReplicaSet,
    WorkloadKind::ReplicationController,
];

/// What is looked up of workloads.
pub(crate) fn lookups() -> Vec<Lookup> {
    fn by_claim<K: Referrer>() -> Lookup {
        Lookup::of::<K>().list().key(K::CLAIM_KEY).optional()
    }
    vec![
        Lookup::of::<Deployment>().get(),
        Lookup::of::<StatefulSet>().get(),
        Lookup::of::<ReplicaSet>().get(),
        Lookup::of::<ReplicationController>().get(),
        by_claim::<Pod>(),
        by_claim::<Deployment>(),
        by_claim::<StatefulSet>(),
        by_claim::<DaemonSet>(),
        by_claim::<ReplicaSet>(),
        by_claim::<ReplicationController>(),
        by_claim::<Job>(),
        by_claim::<CronJob>(),
    ]
}

/// A workload of one of the kinds in `SCALED`, by name; absent for any other kind.
pub(crate) fn scaled(host: &Host, kind: WorkloadKind, namespace: &str, name: &str) -> Answer<Judged> {
    fn named<K: Referrer>(host: &Host, namespace: &str, name: &str) -> Answer<Judged> {
        match host.get_in::<K>(namespace, name) {
            Answer::Found(found) => found
                .read()
                .map_or_else(|| Answer::Unknown("it doesn't have the shape of its kind".to_owned()), Answer::Found),
            Answer::Absent => Answer::Absent,
            Answer::Unknown(why) => Answer::Unknown(why),
        }
    }
    match kind {
        WorkloadKind::Deployment => named::<Deployment>(host, namespace, name),
        WorkloadKind::StatefulSet => named::<StatefulSet>(host, namespace, name),
        WorkloadKind::ReplicaSet => named::<ReplicaSet>(host, namespace, name),
        WorkloadKind::ReplicationController => named::<ReplicationController>(host, namespace, name),
        _ => Answer::Absent,
    }
}

/// The workloads of a namespace that refer to a claim, without what they make themselves.
pub(crate) fn of_claim(host: &Host, namespace: &str, claim: &str) -> Vec<Judged> {
    fn named<K: Referrer>(host: &Host, namespace: &str, claim: &str, found: &mut Vec<Judged>) {
        let query = Query::all().within(namespace).key(K::CLAIM_KEY, claim).limit(MAX_REFERRERS);
        let items = host.list::<K>(query).items.into_iter().filter_map(Referrer::read);
        found.extend(items.filter(|referrer| !is_made_by_a_workload(referrer)));
    }
    let mut found = Vec::new();
    named::<StatefulSet>(host, namespace, claim, &mut found);
    named::<Deployment>(host, namespace, claim, &mut found);
    named::<DaemonSet>(host, namespace, claim, &mut found);
    named::<ReplicaSet>(host, namespace, claim, &mut found);
    named::<ReplicationController>(host, namespace, claim, &mut found);
    named::<Job>(host, namespace, claim, &mut found);
    named::<CronJob>(host, namespace, claim, &mut found);
    named::<Pod>(host, namespace, claim, &mut found);
    found
}
