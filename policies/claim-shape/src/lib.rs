//! `claim-shape`: claims can be bound, and ask for what their class and their
//! data store can use.
//!
//! ```text
//! PersistentVolumeClaim ──────────────┐
//! StatefulSet ─► claim templates ─────┼─► shape (sizes, modes) ─► class ─► volume, source ─► findings
//! pods ─► ephemeral volumes' claims ──┘
//!      └► containers' mounts, claims that volumes name ─► findings
//! operators' resources ─► sizes, modes ─► class ─────────────────► findings
//! ```
//! Invariants: every look-up is optional, and what the cluster didn't tell is
//! never reported (but for a limit that the settings set by class); what can't
//! change on an existing claim is judged when it is made.

mod asked;
mod bind;
mod class;
mod custom;
mod meant;
mod pods;
mod rules;
mod settings;
mod shape;
mod source;
mod views;
mod writers;

use portcullis_sdk::serde_json::json;
use portcullis_sdk::{Host, Lookup, Operation, Policy, Reach, Request, Review, Sample, Unread, Validating};

use asked::Asked;
pub use rules::Rule;
pub use settings::{AccessModes, Settings, Sizes};
use views::{CLAIM_NAME_KEY, Claim, Object, PersistentVolume, StorageClass, VOLUME_CLASS_KEY, VolumeSnapshot};

/// The namespace of an object that names none, as kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

/// Claims of one object that have something looked up, at most three look-ups
/// each of the 256 that a review has; the fields of the others are judged all the same.
const MAX_CLAIMS: usize = 32;

/// The policy.
#[derive(Debug)]
pub struct ClaimShape;

portcullis_sdk::cases!(ClaimShape);

pub(crate) type Findings = Review<ClaimShape>;

/// One review's surroundings.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) host: &'a Host,
    pub(crate) namespace: &'a str,
    /// Whether the object is new: what can't change afterwards is judged now.
    pub(crate) is_new: bool,
}

impl Policy for ClaimShape {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Validating;
    type Object = Object;
    type OldObject = Unread;

    const NAME: &'static str = "claim-shape";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "claims can be bound, and ask for what their class and their data store can use";

    fn reach(_: &Settings) -> Reach {
        let reach = Reach::of::<Self>(&[Operation::Create, Operation::Update])
            .lookup(Lookup::of::<StorageClass>().get().list().optional())
            .lookup(Lookup::of::<PersistentVolume>().get().list().key(VOLUME_CLASS_KEY).optional())
            .lookup(Lookup::of::<Claim>().get().list().key(CLAIM_NAME_KEY).optional())
            .lookup(Lookup::of::<VolumeSnapshot>().get().optional());
        writers::lookups().into_iter().fold(reach, Reach::lookup)
    }

    fn samples() -> Vec<Sample> {
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "gp3"}, "provisioner": "ebs.csi.aws.com"});
        let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv001"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "nfs": {"server": "nas", "path": "/"}}});
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"}, "spec": {"storageClassName": "gp3", "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Gi"}}, "dataSource": {"kind": "PersistentVolumeClaim", "name": "old"}}});
        let bound = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"}, "spec": {"storageClassName": "", "volumeName": "pv001", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}});
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "mongo", "namespace": "shop"},
            "spec": {
                "replicas": 3,
                "template": {"spec": {"containers": [{"name": "mongo", "image": "mongo:7", "volumeMounts": [{"name": "data", "mountPath": "/data/db"}]}], "volumes": [{"name": "backup", "persistentVolumeClaim": {"claimName": "backup"}}]}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "", "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}}]
            }
        });
        let cluster = json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "pg", "namespace": "shop"}, "spec": {"instances": 3, "storage": {"size": "10Gi", "storageClass": "gp3"}}});
        vec![
            Sample::create(cluster).with_cluster([class.clone()]),
            Sample::create(claim).with_cluster([class]),
            Sample::create(bound).with_cluster([volume.clone()]),
            Sample::create(set).with_cluster([volume]),
        ]
    }

    fn review(settings: &Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        let Some(object) = &request.object else { return };
        let metadata = match object {
            Object::Claim(claim) => &claim.metadata,
            Object::Workload(workload) => &workload.metadata,
            Object::Custom(custom) => &custom.metadata,
        };
        let named = request.attributes.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let own = Some(metadata.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        let namespace = named.or(own).unwrap_or(DEFAULT_NAMESPACE);
        let context = Context { settings, host, namespace, is_new: request.operation == Operation::Create };
        match object {
            Object::Claim(claim) => {
                judge(&context, &Asked::claim(claim), review);
                writers::judge(&context, claim, review);
            }
            Object::Workload(workload) => {
                let claims = asked::of_workload(workload);
                claims.iter().take(MAX_CLAIMS).for_each(|asked| judge(&context, asked, review));
                claims.iter().skip(MAX_CLAIMS).for_each(|asked| shape::judge(&context, asked, review));
                pods::judge(&context, workload, review);
            }
            Object::Custom(custom) => custom::judge(&context, custom, review),
        }
    }
}

/// Judges one claim, wherever it is written.
fn judge(context: &Context<'_>, asked: &Asked<'_>, review: &mut Findings) {
    shape::judge(context, asked, review);
    let class = class::Class::of(context, asked);
    class::judge(context, asked, &class, review);
    if context.is_new {
        source::judge(context, asked, review);
        bind::judge(context, asked, &class, review);
    }
}
