//! `storage-class-rules`: storage classes and PersistentVolumes do what those
//! who use them expect.
//!
//! ```text
//! StorageClass ─► provisioner (catalogue, CSIDriver, Deployments) ─┐
//!              ─► default mark (other classes) ────────────────────┼─► findings, audit annotations
//! PersistentVolume ─► source, driver, node affinity ───────────────┘
//! ```
//! Invariants: every look-up is optional, and what the cluster didn't tell is
//! never reported; on UPDATE only what can change on an existing object is
//! judged (of a class its marks and whether volumes can grow, of a volume nothing).

mod class;
mod rules;
mod settings;
mod views;
mod volume;

use portcullis_sdk::serde_json::json;
use portcullis_sdk::{
    FieldPath, Host, Lookup, Metadata, Operation, Origin, Policy, Reach, Request, Review, Sample, Unread, Validating,
};

pub use rules::Rule;
pub use settings::{Action, Administrators, Databases, HostPathVolumes, Settings};
use views::{CsiDriver, Deployment, Object, OtherClass, VARIABLE_KEY};

/// The annotation that a provisioner writes on the volumes that it makes
/// (sigs.k8s.io/sig-storage-lib-external-provisioner).
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Who makes the volumes of provisioners within Kubernetes itself.
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
/// The group of all service accounts, as whom external provisioners run.
const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";

/// The policy.
#[derive(Debug)]
pub struct StorageClassRules;

portcullis_sdk::cases!(StorageClassRules);

pub(crate) type Findings = Review<StorageClassRules>;

impl Policy for StorageClassRules {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Validating;
    type Object = Object;
    type OldObject = Unread;

    const NAME: &'static str = "storage-class-rules";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "storage classes and volumes do what those who use them expect";

    fn reach(_: &Settings) -> Reach {
        Reach::of::<Self>(&[Operation::Create, Operation::Update])
            .lookup(Lookup::of::<OtherClass>().list().optional())
            .lookup(Lookup::of::<CsiDriver>().get().optional())
            .lookup(Lookup::of::<Deployment>().list().key(VARIABLE_KEY).optional())
    }

    fn samples() -> Vec<Sample> {
        let class = |name: &str, provisioner: &str| json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": provisioner, "parameters": {"archiveOnDelete": "false"}});
        let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "disk"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "local": {"path": "/mnt/disk"}}});
        vec![
            Sample::create(class("nfs", "team-nfs")).with_cluster([class("standard", "ebs.csi.aws.com")]),
            Sample::create(class("vendor", "csi.vendor.example")),
            Sample::create(volume),
        ]
    }

    fn review(settings: &Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        let Some(object) = &request.object else { return };
        let (metadata, what) = match object {
            Object::Class(class) => (&class.metadata, "StorageClass"),
            Object::Volume(volume) => (&volume.metadata, "PersistentVolume"),
        };
        if request.operation == Operation::Create {
            administrators(settings, request, metadata, what, review);
            namespaced(metadata, what, review);
        }
        match object {
            Object::Class(class) => class::judge(settings, class, request.operation, host, review),
            Object::Volume(volume) => volume::judge(settings, volume, request.operation, host, review),
        }
    }
}

/// Where only some people may make classes and volumes. Files have no user, and are left alone.
fn administrators(
    settings: &Settings,
    request: &Request<StorageClassRules>,
    metadata: &Metadata,
    what: &str,
    review: &mut Findings,
) {
    let user = request.attributes.user_info.as_ref().filter(|user| !user.username.is_empty());
    if settings.administrators.is_off() || (user.is_none() && request.attributes.origin != Origin::Admission) {
        return;
    }
    // What a provisioner makes was asked for by a claim, and its class by an administrator.
    let is_provisioner = user.is_none_or(|user| {
        user.username == CONTROLLER_MANAGER || user.groups.iter().any(|group| group == SERVICE_ACCOUNTS)
    });
    let is_provisioned =
        what == "PersistentVolume" && is_provisioner && metadata.annotations.contains_key(PROVISIONED_BY);
    if is_provisioned || user.is_some_and(|user| settings.administrators.include(user)) {
        return;
    }
    let name = user.map_or("somebody without a name", |user| &user.username);
    let message = format!(
        "{name} is none of the administrators who may make a {what}; users ask for storage with a PersistentVolumeClaim"
    );
    review
        .deny(Rule::NotAnAdministrator, message)
        .subject("user")
        .value(name)
        .fix("let an administrator make it, or claim from a class that exists");
}

fn namespaced(metadata: &Metadata, what: &str, review: &mut Findings) {
    if metadata.namespace.is_empty() {
        return;
    }
    let path = FieldPath::fields(["metadata", "namespace"]);
    let message = format!("a {what} belongs to the whole cluster; its namespace `{}` is dropped", metadata.namespace);
    review
        .warn(Rule::Namespaced, message)
        .at(&path)
        .subject("namespace")
        .value(&metadata.namespace)
        .fix_with("remove it", [portcullis_sdk::Edit::Remove(path.clone())]);
}
