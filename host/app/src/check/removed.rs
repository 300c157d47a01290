//! API versions that Kubernetes no longer serves, and what took their place.
//!
//! Source: <https://kubernetes.io/docs/reference/using-api/deprecation-guide/>.
//! Where the shape stayed the same, or `convert` can give it its new one, an
//! object is judged as its successor would be; where it changed otherwise
//! nothing is judged, because every field might be read wrongly.

/// A version that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The first Kubernetes version without it.
    pub since: &'static str,
    /// What took its place.
    pub successor: Successor,
}

/// What took a version's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor {
    /// The same shape under another apiVersion.
    Same(&'static str),
    /// Another apiVersion, into which `convert::ingress` brings it.
    Converted(&'static str),
    /// Another apiVersion in which fields moved.
    Reshaped(&'static str),
    /// Nothing.
    Gone,
}
use Successor::{Converted, Gone, Reshaped, Same};

/// Whether a kind is no longer served in this version.
pub fn removed(api_version: &str, kind: &str) -> Option<Removed> {
    let of_version = TABLE.iter().filter(|(version, _, _)| *version == api_version);
    let mut rows =
        of_version.flat_map(|(_, since, kinds)| kinds.iter().map(move |(kind, successor)| (*since, *kind, *successor)));
    rows.find(|(_, known, _)| *known == kind).map(|(since, _, successor)| Removed { since, successor })
}

type Row = (&'static str, &'static str, &'static [(&'static str, Successor)]);

const RBAC: &[(&str, Successor)] = &[
    ("ClusterRole", Same("rbac.authorization.k8s.io/v1")),
    ("ClusterRoleBinding", Same("rbac.authorization.k8s.io/v1")),
    ("Role", Same("rbac.authorization.k8s.io/v1")),
    ("RoleBinding", Same("rbac.authorization.k8s.io/v1")),
];
const FLOW_CONTROL: &[(&str, Successor)] = &[
    ("FlowSchema", Same("flowcontrol.apiserver.k8s.io/v1")),
    ("PriorityLevelConfiguration", Same("flowcontrol.apiserver.k8s.io/v1")),
];

static TABLE: &[Row] = &[
    (
        "extensions/v1beta1",
        "1.16",
        &[
            ("DaemonSet", Same("apps/v1")),
            ("Deployment", Same("apps/v1")),
            ("ReplicaSet", Same("apps/v1")),
            ("NetworkPolicy", Same("networking.k8s.io/v1")),
        ],
    ),
    ("extensions/v1beta1", "1.22", &[("Ingress", Converted("networking.k8s.io/v1"))]),
    ("extensions/v1beta1", "1.16", &[("PodSecurityPolicy", Gone)]),
    (
        "apps/v1beta1",
        "1.16",
        &[("ControllerRevision", Same("apps/v1")), ("Deployment", Same("apps/v1")), ("StatefulSet", Same("apps/v1"))],
    ),
    (
        "apps/v1beta2",
        "1.16",
        &[
            ("ControllerRevision", Same("apps/v1")),
            ("DaemonSet", Same("apps/v1")),
            ("Deployment", Same("apps/v1")),
            ("ReplicaSet", Same("apps/v1")),
            ("StatefulSet", Same("apps/v1")),
        ],
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "1.22",
        &[
            ("MutatingWebhookConfiguration", Reshaped("admissionregistration.k8s.io/v1")),
            ("ValidatingWebhookConfiguration", Reshaped("admissionregistration.k8s.io/v1")),
        ],
    ),
    ("apiextensions.k8s.io/v1beta1", "1.22", &[("CustomResourceDefinition", Reshaped("apiextensions.k8s.io/v1"))]),
    ("apiregistration.k8s.io/v1beta1", "1.22", &[("APIService", Same("apiregistration.k8s.io/v1"))]),
    ("autoscaling/v2beta1", "1.25", &[("HorizontalPodAutoscaler", Reshaped("autoscaling/v2"))]),
    ("autoscaling/v2beta2", "1.26", &[("HorizontalPodAutoscaler", Same("autoscaling/v2"))]),
    ("batch/v2alpha1", "1.21", &[("CronJob", Same("batch/v1"))]),
    ("batch/v1beta1", "1.25", &[("CronJob", Same("batch/v1"))]),
    ("certificates.k8s.io/v1beta1", "1.22", &[("CertificateSigningRequest", Reshaped("certificates.k8s.io/v1"))]),
    ("coordination.k8s.io/v1beta1", "1.22", &[("Lease", Same("coordination.k8s.io/v1"))]),
    ("discovery.k8s.io/v1beta1", "1.25", &[("EndpointSlice", Reshaped("discovery.k8s.io/v1"))]),
    ("events.k8s.io/v1beta1", "1.25", &[("Event", Reshaped("events.k8s.io/v1"))]),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "1.26", FLOW_CONTROL),
    ("flowcontrol.apiserver.k8s.io/v1beta2", "1.29", FLOW_CONTROL),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "1.32", FLOW_CONTROL),
    (
        "networking.k8s.io/v1beta1",
        "1.22",
        &[("Ingress", Converted("networking.k8s.io/v1")), ("IngressClass", Same("networking.k8s.io/v1"))],
    ),
    ("node.k8s.io/v1beta1", "1.25", &[("RuntimeClass", Same("node.k8s.io/v1"))]),
    ("policy/v1beta1", "1.25", &[("PodDisruptionBudget", Same("policy/v1")), ("PodSecurityPolicy", Gone)]),
    ("rbac.authorization.k8s.io/v1alpha1", "1.22", RBAC),
    ("rbac.authorization.k8s.io/v1beta1", "1.22", RBAC),
    ("scheduling.k8s.io/v1alpha1", "1.22", &[("PriorityClass", Same("scheduling.k8s.io/v1"))]),
    ("scheduling.k8s.io/v1beta1", "1.22", &[("PriorityClass", Same("scheduling.k8s.io/v1"))]),
    (
        "storage.k8s.io/v1beta1",
        "1.22",
        &[
            ("CSIDriver", Same("storage.k8s.io/v1")),
            ("CSINode", Same("storage.k8s.io/v1")),
            ("StorageClass", Same("storage.k8s.io/v1")),
            ("VolumeAttachment", Same("storage.k8s.io/v1")),
        ],
    ),
    ("storage.k8s.io/v1beta1", "1.27", &[("CSIStorageCapacity", Same("storage.k8s.io/v1"))]),
    // Kubernetes 1.20's changelog.
    ("settings.k8s.io/v1alpha1", "1.20", &[("PodPreset", Gone)]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_are_gone_name_their_successor() {
        let cases = [
            ("apps/v1beta1", "StatefulSet", Some(("1.16", Same("apps/v1")))),
            ("extensions/v1beta1", "Ingress", Some(("1.22", Converted("networking.k8s.io/v1")))),
            ("networking.k8s.io/v1beta1", "Ingress", Some(("1.22", Converted("networking.k8s.io/v1")))),
            ("policy/v1beta1", "PodDisruptionBudget", Some(("1.25", Same("policy/v1")))),
            ("batch/v1beta1", "CronJob", Some(("1.25", Same("batch/v1")))),
            ("policy/v1beta1", "PodSecurityPolicy", Some(("1.25", Gone))),
            ("storage.k8s.io/v1beta1", "CSIStorageCapacity", Some(("1.27", Same("storage.k8s.io/v1")))),
            ("apps/v1", "StatefulSet", None),
            ("apps/v1beta1", "Mouse", None),
        ];
        for (api_version, kind, expected) in cases {
            let found = removed(api_version, kind).map(|removed| (removed.since, removed.successor));
            assert_eq!(found, expected, "{api_version} {kind}");
        }
    }
}
