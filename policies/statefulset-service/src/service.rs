//! What a Service is to a StatefulSet: whether it is headless, and whether it
//! selects the set's pods.

use std::collections::BTreeMap;

use crate::views::Service;

/// The annotation that did what `publishNotReadyAddresses` does, and still does where it is set
/// (kubernetes/pkg/controller/endpoint, `TolerateUnreadyEndpointsAnnotation`).
const TOLERATE_UNREADY: &str = "service.alpha.kubernetes.io/tolerate-unready-endpoints";

/// What a Service hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    /// The addresses of its pods, each with its name.
    Pods,
    /// One of its own; its type.
    Own(&'a str),
    /// The name of something outside.
    Outside,
}

/// Whether a selector takes in pods with these labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection<'a> {
    /// It does.
    Selected,
    /// It selects nothing; somebody else writes the endpoints.
    Nothing,
    /// The pods have another value.
    Other {
        /// The label.
        label: &'a str,
        /// What the selector wants.
        wanted: &'a str,
        /// What the pods have.
        found: String,
    },
    /// The pods don't have the label, unless something gives it to them later.
    Missing {
        /// The label.
        label: &'a str,
        /// What the selector wants.
        wanted: &'a str,
    },
}

/// What a Service hands out.
pub(crate) fn address(service: &Service) -> Address<'_> {
    match service.spec.kind.as_deref() {
        Some("ExternalName") => Address::Outside,
        _ if service.spec.cluster_ip.as_deref() == Some("None") => Address::Pods,
        Some(kind) if !kind.is_empty() => Address::Own(kind),
        _ => Address::Own("ClusterIP"),
    }
}

/// Whether a Service takes in pods with these labels. A value that differs says more than one that is missing.
pub(crate) fn selection<'a>(service: &'a Service, labels: &BTreeMap<String, String>) -> Selection<'a> {
    let selector = &service.spec.selector;
    if selector.is_empty() {
        return Selection::Nothing;
    }
    let mut missing = None;
    for (label, wanted) in selector {
        match labels.get(label) {
            Some(found) if found == wanted => {}
            Some(found) => return Selection::Other { label, wanted, found: found.clone() },
            None => missing = missing.or(Some(Selection::Missing { label, wanted })),
        }
    }
    missing.unwrap_or(Selection::Selected)
}

/// Whether it also hands out pods that aren't ready.
pub(crate) fn publishes_unready(service: &Service) -> bool {
    service.spec.publish_not_ready_addresses
        || service.metadata.annotations.get(TOLERATE_UNREADY).is_some_and(|value| value == "true")
}
