//! Gives claims that name no storage class one, and keeps it on updates.
//!
//! ```text
//! CREATE  class absent, or filled by the API server ─► choose (settings, cluster) ─► add or replace
//! UPDATE  class absent, old object has one ──────────► put back what the old object holds
//! ```
//! Invariants: a class that somebody chose (`""` too) is never touched; on
//! UPDATE nothing is set that the old object doesn't hold, because a claim's
//! class and a StatefulSet's templates can't change.

mod choose;
mod settings;
mod views;

use portcullis_sdk::{FieldPath, Host, Lookup, Mutating, Operation, Policy, Reach, Request, Review, Rules, Sample};
use serde_json::json;

use choose::{Choice, Cluster, Source};
pub use settings::{ManagedKind, NamespaceClass, Settings};
use views::{Claim, ClaimSpec, Object, StatefulSet, StorageClass, Template};

/// Claims that name no storage class get one.
#[derive(Debug)]
pub struct DefaultStorageClass;

/// What the policy can report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// the claim names no storage class, and nothing gives it one
    ///
    /// Without a class the claim waits for a volume that somebody makes by hand: the pod that mounts it stays pending.
    ///
    /// Name a class in `storageClassName`, mark one class as the cluster's default, or name one in the settings; a claim for a volume that is made by hand says so with `""`.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#class-1")]
    NoClass,
    /// it can't be told which storage class the claim should get
    ///
    /// The cluster didn't say which class is the default, or which labels the namespace has, and a guess could put the data on the wrong storage for good: a claim's class can't be changed.
    ///
    /// Name a class in `storageClassName`, or let the policy see the cluster's classes.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass")]
    ClassUnknown,
}

impl Policy for DefaultStorageClass {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Mutating;
    type Object = Object;
    type OldObject = Object;

    const NAME: &'static str = "default-storage-class";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "claims that name no storage class get one, and keep it on updates";

    fn reach(settings: &Settings) -> Reach {
        let mut reach = Reach::of::<Self>(&[Operation::Create, Operation::Update])
            // Optional: where the settings name a class, no answer is needed; where one is, the policy says so itself.
            .lookup(Lookup::of::<StorageClass>().list().optional())
            .writes::<Claim>(&["/spec/storageClassName"])
            .writes::<StatefulSet>(&["/spec/volumeClaimTemplates/*/spec/storageClassName"]);
        for kind in ManagedKind::ALL {
            if !settings.kinds.contains(&kind) {
                reach = reach.without(kind.api_version(), kind.as_str());
            }
        }
        reach
    }

    fn samples() -> Vec<Sample> {
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "standard", "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "ebs.csi.aws.com"});
        let set = |spec: serde_json::Value| json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "mongo", "namespace": "shop"}, "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": spec}]}});
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop", "managedFields": [{"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:accessModes": {}}}}]}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard"}});
        vec![
            Sample::create(set(json!({"accessModes": ["ReadWriteOnce"]}))).with_cluster([class.clone()]),
            Sample::create(claim).with_cluster([class]),
            Sample::update(set(json!({"storageClassName": "standard"})), set(json!({}))),
        ]
    }

    fn review(settings: &Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        match (request.operation, &request.object, &request.old_object) {
            (Operation::Create, Some(object), _) => fill(settings, request, object, host, review),
            (Operation::Update, Some(object), Some(old)) => put_back(object, old, review),
            _ => {}
        }
    }
}

portcullis_sdk::cases!(DefaultStorageClass);

/// One claim of an object: the object itself, or one of its templates.
struct Place<'a> {
    /// How findings name it, whatever its index: `volume=data`.
    subject: String,
    /// How the audit annotation names it.
    name: &'a str,
    path: FieldPath,
    spec: &'a ClaimSpec,
    /// Whether the legacy annotation names a class.
    has_legacy_class: bool,
    /// Whether the class, if there is one, was set by nobody and so by the API server.
    is_filled: bool,
}

fn places(object: &Object) -> Vec<Place<'_>> {
    match object {
        Object::Claim(claim) => vec![Place {
            subject: "claim".to_owned(),
            name: "claim",
            path: FieldPath::fields(["spec", "storageClassName"]),
            spec: &claim.spec,
            has_legacy_class: claim.metadata.annotations.legacy_class.is_some(),
            is_filled: claim.metadata.class_is_nobodys(),
        }],
        Object::StatefulSet(set) => set
            .spec
            .volume_claim_templates
            .iter()
            .enumerate()
            .map(|(index, template)| template_place(index, template))
            .collect(),
    }
}

fn template_place(index: usize, template: &Template) -> Place<'_> {
    Place {
        subject: format!("volume={}", template.metadata.name),
        name: &template.metadata.name,
        path: FieldPath::fields(["spec", "volumeClaimTemplates"]).index(index).field("spec").field("storageClassName"),
        spec: &template.spec,
        has_legacy_class: template.metadata.annotations.legacy_class.is_some(),
        // The API server's own default never reaches a template.
        is_filled: false,
    }
}

/// CREATE: every claim that names no class gets one.
fn fill(
    settings: &Settings,
    request: &Request<DefaultStorageClass>,
    object: &Object,
    host: &Host,
    review: &mut Review<DefaultStorageClass>,
) {
    let mut cluster = Cluster::new(host);
    let mut filled = Vec::new();
    for place in places(object) {
        let is_static = place.spec.volume_name.as_ref().is_some_and(|name| !name.is_empty()) || place.spec.selector.0;
        if place.has_legacy_class || is_static {
            continue;
        }
        let choice = match &place.spec.storage_class_name {
            None => choose::for_absent(settings, request, place.spec, &mut cluster),
            Some(class) if place.is_filled && !class.is_empty() => {
                choose::for_filled(settings, request, place.spec, class, &mut cluster)
            }
            Some(_) => continue,
        };
        match choice {
            Choice::Keep => {}
            Choice::Class(class, source) => {
                filled.push((place.name.to_owned(), class.clone(), source));
                match &place.spec.storage_class_name {
                    Some(_) => review.replace(&place.path, class),
                    None => review.add(&place.path, class),
                }
            }
            Choice::None => {
                review
                    .warn(Rule::NoClass, "the claim names no storage class, the settings name none for it, and the cluster has no default one; it will wait until somebody makes a volume")
                    .at(&place.path)
                    .subject(place.subject)
                    .fix("name a class in storageClassName, or \"\" if the volume is made by hand");
            }
            Choice::Unknown(reason) => {
                review
                    .undecided(Rule::ClassUnknown, format!("the claim names no storage class of its own, and which one it should get can't be told: {reason}"))
                    .at(&place.path)
                    .subject(place.subject)
                    .fix("name a class in storageClassName");
            }
        }
    }
    audit(&filled, review);
}

/// UPDATE: a class that the old object holds and the new one lacks comes back; nothing else is set.
fn put_back(object: &Object, old: &Object, review: &mut Review<DefaultStorageClass>) {
    let before = places(old);
    let mut filled = Vec::new();
    for place in places(object) {
        if place.spec.storage_class_name.is_some() {
            continue;
        }
        // By name: a template that moved in its list is still the same volume.
        let held =
            before.iter().find(|old| old.subject == place.subject).and_then(|old| old.spec.storage_class_name.clone());
        if let Some(class) = held {
            filled.push((place.name.to_owned(), class.clone(), Source::OldObject));
            review.add(&place.path, class);
        }
    }
    audit(&filled, review);
}

/// Which claim got which class, and why: `data=standard(cluster default)`.
fn audit(filled: &[(String, String, Source)], review: &mut Review<DefaultStorageClass>) {
    if !filled.is_empty() {
        let texts: Vec<_> =
            filled.iter().map(|(name, class, source)| format!("{name}={class}({})", source.as_str())).collect();
        review.audit("storage-class", texts.join(","));
    }
}
