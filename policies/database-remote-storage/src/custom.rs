//! Operators' custom resources: where the table of kinds says that they keep
//! data, that is judged as a workload's volumes are.
//!
//! The operator makes the claims, so what a resource names is all there is to
//! judge before they exist: a class, no class, or storage that goes with the pod.

use portcullis_sdk::{FieldPath, Host, Metadata, Operation};
use portcullis_workloads::custom::{CustomResource, Source, StorageClaim};

use crate::exemption::{Asking, audit_leave, claims_exemption, is_left, leave, unheard};
use crate::report::{Findings, fix, judge as verdict, namespace_of};
use crate::settings::Settings;
use crate::storage::{Resolver, Storage};

/// Classes that one resource may name and have looked up. Each takes at most two look-ups of the 256 that a review has.
const MAX_CLASSES: usize = 64;

/// Judges a custom resource.
pub(crate) fn judge(
    settings: &Settings,
    custom: &CustomResource,
    namespace: Option<&str>,
    operation: Operation,
    host: &Host,
    review: &mut Findings,
) {
    review.audit("datastore", format!("crd:{}={}", custom.group, custom.system));
    if settings.ignored_systems.iter().any(|ignored| ignored == custom.system) {
        return;
    }
    let namespace = namespace_of(namespace, &custom.metadata);
    let asking = Asking {
        labels: vec![&custom.metadata.labels],
        annotations: vec![&custom.metadata.annotations],
        is_replicated: custom.replicas.unwrap_or(1) > 1,
    };
    let leave = leave(settings, &asking, &namespace);
    let mut classes = Classes { resolver: Resolver { settings, host, namespace: &namespace }, known: Vec::new() };
    let mut volumes: Vec<(&str, Storage)> = Vec::new();
    for storage in &custom.storage {
        let (place, path, settable) = match &storage.source {
            Source::Ephemeral { path } => (Storage::Passing(EPHEMERAL), path, None),
            Source::HostPath { path, directory } => (Storage::HostPath(directory.clone()), path, None),
            Source::Claim(claim) => (classes.storage(claim), &claim.class_path, settable(claim, operation)),
        };
        let name = storage.subject.strip_prefix("storage=").unwrap_or(&storage.subject);
        if let Some(verdict) = verdict(&place).filter(|_| !is_left(&leave, &place)) {
            let what = match &storage.source {
                Source::Ephemeral { .. } => "it asks for storage that is deleted with the pod",
                _ => &verdict.message,
            };
            let mut message = format!("`{name}` holds the data of {}: {what}", custom.system);
            if place.is_node_local() && claims_exemption(settings, &asking) {
                message.push_str(&unheard(settings));
            }
            let finding = review.find(verdict.rule, verdict.level, message);
            finding.at(path).subject(&storage.subject).value(&verdict.value);
            match &storage.source {
                Source::Claim(_) => fix(settings, finding, &verdict, settable),
                _ => {
                    finding.fix("switch the operator's persistent storage on, with a class whose volumes are reachable from every node");
                }
            }
        }
        volumes.push((name, place));
    }
    if !volumes.is_empty() {
        let texts: Vec<_> = volumes.iter().map(|(name, storage)| format!("{name}={}", storage.audit())).collect();
        review.audit("data-volumes", texts.join(","));
    }
    audit_leave(leave, &namespace, volumes.iter().any(|(_, storage)| storage.is_node_local()), review);
}

/// What stands for the volume's type where an operator chooses it.
const EPHEMERAL: &str = "ephemeral";

/// Where a class can be put: where the claim is described, and before volumes are made of it.
fn settable(claim: &StorageClaim, operation: Operation) -> Option<&FieldPath> {
    (operation == Operation::Create && claim.class_path != claim.path).then_some(&claim.class_path)
}

/// Looks each claim up once: a resource may describe a hundred that are all alike.
struct Classes<'a> {
    resolver: Resolver<'a>,
    known: Vec<(StorageClaim, Storage)>,
}

impl Classes<'_> {
    fn storage(&mut self, claim: &StorageClaim) -> Storage {
        let alike = |known: &StorageClaim| {
            (&known.class, &known.size, &known.access_modes, &known.volume_name)
                == (&claim.class, &claim.size, &claim.access_modes, &claim.volume_name)
        };
        if let Some((_, storage)) = self.known.iter().find(|(known, _)| alike(known)) {
            return storage.clone();
        }
        if self.known.len() >= MAX_CLASSES {
            let what = claim.class.as_ref().map_or("default-class".to_owned(), |class| format!("class {class}"));
            let why = format!("the resource describes more than {MAX_CLASSES} different claims");
            return Storage::Unknown { what, why };
        }
        let storage = self.resolver.claim(&Metadata::default(), &claim.spec());
        self.known.push((claim.clone(), storage.clone()));
        storage
    }
}
