//! `database-remote-storage`: the volumes that hold a data store's data are
//! remote and outlive the pod.
//!
//! ```text
//! workload ─► containers ─► recognise ─► data volumes ─┐
//! custom resource ─► volumes by the table of kinds ────┤
//! claim ─► workloads that refer to it ─────────────────┼─► storage (cluster) ─► findings
//! PersistentVolume, StorageClass ─► who uses it ───────┘
//! ```
//!
//! A workload is judged by what it names; what it names and doesn't exist yet is
//! judged when it is made. Invariant: a denial rests on what the cluster said;
//! what it didn't tell is `undecided` and says what to look up. One judgement
//! goes further (`storage`, volumes made by hand): where every volume that is
//! known and fits a claim is on one node, the claim is taken to be local, though
//! a volume that isn't known might fit too.

mod custom;
mod exemption;
mod judge;
mod referrers;
mod report;
mod rules;
mod settings;
mod storage;
mod views;

use portcullis_sdk::serde_json::json;
use portcullis_sdk::{Host, Lookup, Objects, Operation, Policy, Reach, Request, Review, Sample, Unread, Validating};
use portcullis_workloads::custom::CustomResource;

pub use rules::Rule;
pub use settings::{DataStoreSetting, Exemption, Settings};
use views::{Claim, PersistentVolume, StorageClass, Subject};

/// The policy.
#[derive(Debug)]
pub struct DatabaseRemoteStorage;

portcullis_sdk::cases!(DatabaseRemoteStorage);

impl Policy for DatabaseRemoteStorage {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Validating;
    type Object = Subject;
    type OldObject = Unread;

    const NAME: &'static str = "database-remote-storage";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "a database keeps its data on remote storage that outlives the pod";

    fn reach(settings: &Settings) -> Reach {
        let reach = Reach::of::<Self>(&[Operation::Create, Operation::Update])
            .lookup(Lookup::of::<Claim>().get())
            .lookup(Lookup::of::<Claim>().list().key(views::CLAIM_VOLUME_KEY).optional())
            .lookup(Lookup::of::<PersistentVolume>().get())
            .lookup(Lookup::of::<PersistentVolume>().list().key(views::VOLUME_CLASS_KEY).optional())
            .lookup(Lookup::of::<StorageClass>().get())
            .lookup(Lookup::of::<StorageClass>().list().optional());
        let reach = referrers::lookups().into_iter().fold(reach, Reach::lookup);
        if settings.custom_resources {
            return reach;
        }
        CustomResource::kinds().iter().fold(reach, |reach, kind| reach.without(&kind.api_version, &kind.kind))
    }

    fn samples() -> Vec<Sample> {
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "csi-hostpath-sc"}, "provisioner": "hostpath.csi.k8s.io"});
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "mongo", "namespace": "pacman"},
            "spec": {
                "replicas": 3,
                "template": {"metadata": {"labels": {"app": "mongo"}}, "spec": {"containers": [
                    {"name": "mongo", "image": "bitnami/mongodb:4.4.8", "ports": [{"containerPort": 27017}], "volumeMounts": [{"name": "data", "mountPath": "/bitnami/mongodb"}]},
                    {"name": "metrics", "image": "percona/mongodb_exporter:0.40", "command": ["sh", "-c", "exec mongodb_exporter"]}
                ]}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "csi-hostpath-sc", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]
            }
        });
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "pacman"}, "spec": {"storageClassName": "csi-hostpath-sc", "accessModes": ["ReadWriteOnce"]}});
        let custom = json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "orders", "namespace": "shop"}, "spec": {"instances": 3, "storage": {"size": "1Gi", "storageClass": "csi-hostpath-sc"}}});
        [set, claim, custom].map(|object| Sample::create(object).with_cluster([class.clone()])).to_vec()
    }

    fn review(settings: &Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        let Some(object) = &request.object else { return };
        let namespace = request.attributes.namespace.as_deref();
        match object {
            Subject::Workload(workload) => {
                report::workload(settings, workload, namespace, request.operation, host, review)
            }
            Subject::Claim(claim) => report::claim(settings, claim, namespace, request.operation, host, review),
            Subject::Volume(volume) => report::volume(settings, volume, host, review),
            Subject::Class(class) => report::class(settings, class, host, review),
            Subject::Custom(custom) => custom::judge(settings, custom, namespace, request.operation, host, review),
        }
    }
}
