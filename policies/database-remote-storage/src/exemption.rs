//! Who may keep data on the drives of nodes: namespaces that the settings name,
//! and replicated data stores that ask for it and say why.

use std::collections::BTreeMap;

use portcullis_sdk::pod::WorkloadKind;

use crate::report::Findings;
use crate::settings::Settings;
use crate::storage::Storage;
use crate::views::AnyWorkload;

/// How much of a reason an audit annotation repeats, in bytes.
const MAX_REASON_BYTES: usize = 256;

/// Why a workload's node-local data is let through.
pub(crate) enum Leave {
    /// It isn't.
    None,
    /// The namespace is one in which data may lie anywhere.
    Namespace,
    /// The workload is labelled, and says why.
    Exempted(String),
}

/// Who asks to stay on node-local drives, by what it is asked for.
pub(crate) struct Asking<'a> {
    /// The object's own metadata, and its pods' labels and annotations.
    pub(crate) labels: Vec<&'a BTreeMap<String, String>>,
    pub(crate) annotations: Vec<&'a BTreeMap<String, String>>,
    pub(crate) is_replicated: bool,
}

impl<'a> Asking<'a> {
    pub(crate) fn of(workload: &'a AnyWorkload) -> Self {
        // One pod of several is what a Pod most likely is; a DaemonSet runs on every node.
        let is_replicated = match workload.kind {
            WorkloadKind::Pod | WorkloadKind::DaemonSet => true,
            _ => workload.replicas.unwrap_or(1) > 1,
        };
        Self {
            labels: vec![&workload.metadata.labels, &workload.pod_metadata.labels],
            annotations: vec![&workload.metadata.annotations, &workload.pod_metadata.annotations],
            is_replicated,
        }
    }
}

/// Why findings on this object are let through.
pub(crate) fn leave(settings: &Settings, asking: &Asking<'_>, namespace: &str) -> Leave {
    if settings.allows_namespace(namespace) {
        return Leave::Namespace;
    }
    let annotation = &settings.exemption.reason_annotation;
    let reason = asking.annotations.iter().find_map(|annotations| annotations.get(annotation));
    match reason.map(|reason| reason.trim()).filter(|reason| !reason.is_empty()) {
        Some(reason) if claims_exemption(settings, asking) && asking.is_replicated => Leave::Exempted(shorten(reason)),
        _ => Leave::None,
    }
}

/// Whether the label is there, reason or not.
pub(crate) fn claims_exemption(settings: &Settings, asking: &Asking<'_>) -> bool {
    let is_set =
        |labels: &&BTreeMap<String, String>| labels.get(&settings.exemption.label).is_some_and(|value| value == "true");
    settings.exemption.enabled && asking.labels.iter().any(is_set)
}

/// Whether a finding on this storage is let through.
pub(crate) fn is_left(leave: &Leave, storage: &Storage) -> bool {
    match leave {
        Leave::None => false,
        Leave::Namespace => true,
        Leave::Exempted(_) => storage.is_node_local(),
    }
}

/// Says why findings were let through.
pub(crate) fn audit_leave(leave: Leave, namespace: &str, is_node_local: bool, review: &mut Findings) {
    match leave {
        Leave::None => {}
        Leave::Namespace => review.audit("exempted", format!("namespace {namespace}")),
        Leave::Exempted(reason) if is_node_local => review.audit("exempted", reason),
        Leave::Exempted(_) => {}
    }
}

/// Why a label alone exempts nothing.
pub(crate) fn unheard(settings: &Settings) -> String {
    format!(
        "; the label `{}` exempts it only with a reason in the annotation `{}` and at least two replicas",
        settings.exemption.label, settings.exemption.reason_annotation
    )
}

fn shorten(reason: &str) -> String {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}
