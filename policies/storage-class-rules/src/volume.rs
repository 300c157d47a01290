//! What can be wrong with a PersistentVolume. Nothing of it can be mended once
//! it exists, so an update only says where it is.

use portcullis_sdk::{Answer, Edit, FieldPath, Host, Operation};
use portcullis_workloads::{Locality, NodeAffinity, VolumeSource, of_persistent_volume};

use crate::Findings;
use crate::PROVISIONED_BY;
use crate::rules::Rule;
use crate::settings::{Settings, is_named};
use crate::views::{CsiDriver, PersistentVolume};

/// Labels of more than one node (k8s.io/api/core/v1/well_known_labels.go), the older names too.
const AREA_LABELS: [&str; 4] = [
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];
/// `persistentVolumeReclaimPolicy`; Recycle is deprecated, and still taken.
const RECLAIM_POLICIES: [&str; 3] = ["Retain", "Delete", "Recycle"];

const ACCESS_MODES: [&str; 4] = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];
/// Sources that Kubernetes no longer has, with the version that was the first
/// without (kubernetes/website:content/en/docs/concepts/storage/persistent-volumes.md).
const REMOVED_SOURCES: [(&str, &str); 8] = [
    ("cephfs", "1.31"),
    ("flocker", "1.25"),
    ("glusterfs", "1.26"),
    ("photonPersistentDisk", "1.15"),
    ("quobyte", "1.25"),
    ("rbd", "1.31"),
    ("scaleIO", "1.21"),
    ("storageos", "1.25"),
];

/// Judges a volume.
pub(crate) fn judge(
    settings: &Settings,
    volume: &PersistentVolume,
    operation: Operation,
    host: &Host,
    review: &mut Findings,
) {
    review.audit("storage", storage(settings, volume));
    if operation != Operation::Create {
        return;
    }
    sources(volume, review);
    removed(volume, review);
    words(volume, review);
    match &volume.spec.source.source {
        Some(VolumeSource::Field("local")) => affinity(volume, review),
        Some(VolumeSource::Csi { driver }) => unknown_driver(settings, volume, driver, host, review),
        Some(VolumeSource::HostPath { path }) => host_path(settings, volume, path, review),
        _ => {}
    }
}

fn storage(settings: &Settings, volume: &PersistentVolume) -> String {
    let source = &volume.spec.source;
    match (of_persistent_volume(source, settings.provisioners()), &source.source) {
        (Locality::Unknown, Some(VolumeSource::Csi { driver } | VolumeSource::Flex { driver })) => {
            format!("unknown({driver})")
        }
        (Locality::Unknown, Some(source)) => format!("unknown({})", source.field()),
        (Locality::Unknown, None) => "unknown(source)".to_owned(),
        (known, _) => known.as_str().to_owned(),
    }
}

/// One piece of real storage stands behind a volume (R15).
fn sources(volume: &PersistentVolume, review: &mut Findings) {
    let (message, fix) = match volume.spec.source_fields.as_slice() {
        [_] => return,
        [] => (
            format!("volume `{}` has no source, so no storage stands behind it", volume.metadata.name),
            "add one, such as csi with its driver and volumeHandle",
        ),
        several => (
            format!(
                "volume `{}` has {} sources ({}); it can have one",
                volume.metadata.name,
                several.len(),
                several.join(", ")
            ),
            "keep the one that holds the data",
        ),
    };
    review
        .deny(Rule::VolumeSource, message)
        .at(&FieldPath::root().field("spec"))
        .subject("source")
        .value(volume.spec.source_fields.join(","))
        .fix(fix);
}

/// What no kubelet can mount any more.
fn removed(volume: &PersistentVolume, review: &mut Findings) {
    let [field] = volume.spec.source_fields.as_slice() else { return };
    let Some((_, version)) = REMOVED_SOURCES.into_iter().find(|(removed, _)| removed == field) else { return };
    let message = format!(
        "volume `{}` is of type {field}, which Kubernetes {version} and later don't have; no pod can mount it",
        volume.metadata.name
    );
    review
        .warn(Rule::InTreeProvisioner, message)
        .at(&FieldPath::root().field("spec").field(field))
        .subject(format!("source={field}"))
        .value(*field)
        .fix("describe it as a volume of the CSI driver that took its place");
}

/// Words that are read exactly.
fn words(volume: &PersistentVolume, review: &mut Findings) {
    let life = &volume.spec.life;
    let spec = FieldPath::root().field("spec");
    if let Some(policy) = &life.persistent_volume_reclaim_policy {
        let field = "persistentVolumeReclaimPolicy";
        unknown(field, &spec.field(field), policy, &RECLAIM_POLICIES, review);
    }
    for (index, mode) in life.access_modes.iter().enumerate() {
        unknown("accessModes", &spec.field("accessModes").index(index), mode, &ACCESS_MODES, review);
    }
}

fn unknown(field: &str, path: &FieldPath, word: &str, known: &[&str], review: &mut Findings) {
    if known.contains(&word) {
        return;
    }
    let all = known.join(", ");
    let finding = review.deny(Rule::UnknownValue, format!("`{word}` is no value of {field}; {all} are"));
    finding.at(path).subject(format!("field={field},{word}")).value(word);
    match known.iter().find(|known| known.eq_ignore_ascii_case(word)) {
        Some(meant) => finding.fix_with(format!("write {meant}"), [Edit::Replace(path.clone(), (*meant).into())]),
        None => finding.fix(format!("write one of {all}")),
    };
}

fn affinity(volume: &PersistentVolume, review: &mut Findings) {
    let path = FieldPath::fields(["spec", "nodeAffinity"]);
    let name = &volume.metadata.name;
    let affinity = volume.spec.source.node_affinity.as_ref();
    let finding = match affinity.filter(|affinity| !affinity.required.node_selector_terms.is_empty()) {
        None => review.deny(
            Rule::LocalWithoutAffinity,
            format!("volume `{name}` is a disk of one node (local) and has no node affinity that says of which"),
        ),
        Some(affinity) if names_only_areas(affinity) => review.warn(
            Rule::LocalWithoutAffinity,
            format!("volume `{name}` is a disk of one node (local), and its node affinity lets pods run in a whole zone or region"),
        ),
        Some(_) => return,
    };
    finding
        .at(&path)
        .subject("nodeAffinity")
        .fix("name the node in nodeAffinity.required by the label kubernetes.io/hostname");
}

/// Whether some term is met by every node of a zone or region.
fn names_only_areas(affinity: &NodeAffinity) -> bool {
    affinity.required.node_selector_terms.iter().any(|term| {
        let requirements = &term.match_expressions;
        !requirements.is_empty()
            && requirements.iter().all(|requirement| AREA_LABELS.contains(&requirement.key.as_str()))
    })
}

/// A driver that neither the catalogue nor the cluster knows mounts nothing.
fn unknown_driver(settings: &Settings, volume: &PersistentVolume, driver: &str, host: &Host, review: &mut Findings) {
    if settings.provisioners().knows(driver) || !matches!(host.get::<CsiDriver>(driver), Answer::Absent) {
        return;
    }
    let message = format!(
        "volume `{}` is of the CSI driver `{driver}`, which the cluster doesn't have and the catalogue doesn't know",
        volume.metadata.name
    );
    review
        .warn(Rule::ProvisionerUnknown, message)
        .at(&FieldPath::fields(["spec", "csi", "driver"]))
        .subject("driver")
        .value(driver)
        .fix("check the spelling, or install the driver first");
}

/// For development only (R13). What a provisioner made was decided with its class.
fn host_path(settings: &Settings, volume: &PersistentVolume, path: &str, review: &mut Findings) {
    let Some(level) = settings.host_path_volumes.action.level() else { return };
    let namespace = &volume.spec.life.claim_ref.namespace;
    let is_for_development =
        !namespace.is_empty() && is_named(&settings.host_path_volumes.allowed_namespaces, namespace);
    if is_for_development || volume.metadata.annotations.contains_key(PROVISIONED_BY) {
        return;
    }
    let message = format!(
        "volume `{}` is the directory `{path}` of whatever node its pod runs on, which is for development on one node only",
        volume.metadata.name
    );
    review
        .find(Rule::HostPathVolume, level, message)
        .at(&FieldPath::fields(["spec", "hostPath"]))
        .subject("source=hostPath")
        .value(path)
        .fix("use a CSI driver or NFS, or a local volume with node affinity");
}
