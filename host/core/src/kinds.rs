//! From a kind to its resource and scope, as the API server's discovery has it.
//!
//! The built-in kinds are the Kubernetes API's (reference for 1.36 and the
//! versions before it, <https://kubernetes.io/docs/reference/kubernetes-api/>);
//! CustomResourceDefinitions among the given objects teach theirs; what nobody
//! knows gets the lower-case plural, and is namespaced.

use std::collections::HashMap;

use crate::json::Value;

/// A kind's resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `statefulsets`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// The kinds that are known in a run.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    /// By group and kind.
    custom: HashMap<(String, String), Resource>,
}

impl Kinds {
    /// Learns the kind of a CustomResourceDefinition; anything else is ignored.
    pub fn learn(&mut self, object: Value<'_>) {
        let text = |path: &[&str]| object.path(path).and_then(Value::as_str).map(|text| text.into_owned());
        if text(&["kind"]).as_deref() != Some("CustomResourceDefinition") {
            return;
        }
        let names = (text(&["spec", "group"]), text(&["spec", "names", "kind"]), text(&["spec", "names", "plural"]));
        let (Some(group), Some(kind), Some(plural)) = names else { return };
        let namespaced = text(&["spec", "scope"]).as_deref() != Some("Cluster");
        self.custom.insert((group, kind), Resource { plural, namespaced });
    }

    /// The resource of a kind.
    pub fn resource(&self, group: &str, kind: &str) -> Resource {
        if let Some((_, plural, scope)) = built_in(group).iter().find(|(known, _, _)| *known == kind) {
            return Resource { plural: (*plural).to_owned(), namespaced: *scope == N };
        }
        let custom = self.custom.get(&(group.to_owned(), kind.to_owned()));
        custom.cloned().unwrap_or_else(|| Resource { plural: plural(kind), namespaced: true })
    }

    /// Whether a CustomResourceDefinition of this run defines the kind.
    pub fn knows_custom(&self, group: &str, kind: &str) -> bool {
        self.custom.contains_key(&(group.to_owned(), kind.to_owned()))
    }

    /// Whether the group is Kubernetes' own.
    pub fn is_built_in(&self, group: &str) -> bool {
        !OTHERS.contains(&group) && !built_in(group).is_empty()
    }

    /// Whether the kind is among those that are known by heart.
    pub fn is_known(&self, group: &str, kind: &str) -> bool {
        built_in(group).iter().any(|(known, _, _)| *known == kind)
    }
}

/// The resources that live in no namespace: group and plural.
pub fn cluster_scoped() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_group = |(group, kinds): &(&'static str, &'static [Known])| {
        let group = *group;
        kinds.iter().filter(|(_, _, scope)| *scope == C).map(move |(_, plural, _)| (group, *plural))
    };
    GROUPS.iter().flat_map(of_group)
}

/// As `meta.UnsafeGuessKindToResource` of k8s.io/apimachinery guesses.
fn plural(kind: &str) -> String {
    let singular = kind.to_lowercase();
    if singular.ends_with("endpoints") {
        return singular;
    }
    match singular.as_bytes().last() {
        Some(b's') => format!("{singular}es"),
        Some(b'y') => format!("{}ies", &singular[..singular.len() - 1]),
        _ => format!("{singular}s"),
    }
}

/// Whether a kind lives in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Namespace,
    Cluster,
}
use In::{Cluster as C, Namespace as N};

type Known = (&'static str, &'static str, In);

fn built_in(group: &str) -> &'static [Known] {
    GROUPS.iter().find(|(name, _)| *name == group).map_or(&[], |(_, kinds)| kinds)
}

/// Groups below that are not Kubernetes' own.
const OTHERS: &[&str] = &["cert-manager.io", "gateway.networking.k8s.io", "snapshot.storage.k8s.io", "portcullis.dev"];

static GROUPS: &[(&str, &[Known])] = &[
    (
        "",
        &[
            ("Binding", "bindings", N),
            ("ComponentStatus", "componentstatuses", C),
            ("ConfigMap", "configmaps", N),
            ("Endpoints", "endpoints", N),
            ("Event", "events", N),
            ("LimitRange", "limitranges", N),
            ("Namespace", "namespaces", C),
            ("Node", "nodes", C),
            ("PersistentVolume", "persistentvolumes", C),
            ("PersistentVolumeClaim", "persistentvolumeclaims", N),
            ("Pod", "pods", N),
            ("PodTemplate", "podtemplates", N),
            ("ReplicationController", "replicationcontrollers", N),
            ("ResourceQuota", "resourcequotas", N),
            ("Secret", "secrets", N),
            ("Service", "services", N),
            ("ServiceAccount", "serviceaccounts", N),
        ],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            ("MutatingAdmissionPolicy", "mutatingadmissionpolicies", C),
            ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", C),
            ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", C),
            ("ValidatingAdmissionPolicy", "validatingadmissionpolicies", C),
            ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", C),
            ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", C),
        ],
    ),
    ("apiextensions.k8s.io", &[("CustomResourceDefinition", "customresourcedefinitions", C)]),
    ("apiregistration.k8s.io", &[("APIService", "apiservices", C)]),
    (
        "apps",
        &[
            ("ControllerRevision", "controllerrevisions", N),
            ("DaemonSet", "daemonsets", N),
            ("Deployment", "deployments", N),
            ("ReplicaSet", "replicasets", N),
            ("StatefulSet", "statefulsets", N),
        ],
    ),
    ("autoscaling", &[("HorizontalPodAutoscaler", "horizontalpodautoscalers", N)]),
    ("batch", &[("CronJob", "cronjobs", N), ("Job", "jobs", N)]),
    (
        "certificates.k8s.io",
        &[
            ("CertificateSigningRequest", "certificatesigningrequests", C),
            ("ClusterTrustBundle", "clustertrustbundles", C),
            ("PodCertificateRequest", "podcertificaterequests", N),
        ],
    ),
    ("coordination.k8s.io", &[("Lease", "leases", N), ("LeaseCandidate", "leasecandidates", N)]),
    ("discovery.k8s.io", &[("EndpointSlice", "endpointslices", N)]),
    ("events.k8s.io", &[("Event", "events", N)]),
    (
        "flowcontrol.apiserver.k8s.io",
        &[("FlowSchema", "flowschemas", C), ("PriorityLevelConfiguration", "prioritylevelconfigurations", C)],
    ),
    (
        "networking.k8s.io",
        &[
            ("IPAddress", "ipaddresses", C),
            ("Ingress", "ingresses", N),
            ("IngressClass", "ingressclasses", C),
            ("NetworkPolicy", "networkpolicies", N),
            ("ServiceCIDR", "servicecidrs", C),
        ],
    ),
    ("node.k8s.io", &[("RuntimeClass", "runtimeclasses", C)]),
    ("policy", &[("PodDisruptionBudget", "poddisruptionbudgets", N), ("PodSecurityPolicy", "podsecuritypolicies", C)]),
    (
        "rbac.authorization.k8s.io",
        &[
            ("ClusterRole", "clusterroles", C),
            ("ClusterRoleBinding", "clusterrolebindings", C),
            ("Role", "roles", N),
            ("RoleBinding", "rolebindings", N),
        ],
    ),
    (
        "resource.k8s.io",
        &[
            ("DeviceClass", "deviceclasses", C),
            ("DeviceTaintRule", "devicetaintrules", C),
            ("ResourceClaim", "resourceclaims", N),
            ("ResourceClaimTemplate", "resourceclaimtemplates", N),
            ("ResourceSlice", "resourceslices", C),
        ],
    ),
    ("scheduling.k8s.io", &[("PriorityClass", "priorityclasses", C)]),
    (
        "storage.k8s.io",
        &[
            ("CSIDriver", "csidrivers", C),
            ("CSINode", "csinodes", C),
            ("CSIStorageCapacity", "csistoragecapacities", N),
            ("StorageClass", "storageclasses", C),
            ("VolumeAttachment", "volumeattachments", C),
            ("VolumeAttributesClass", "volumeattributesclasses", C),
        ],
    ),
    // Not built in, but everywhere, and cluster-scoped: the guess would be wrong.
    ("cert-manager.io", &[("ClusterIssuer", "clusterissuers", C)]),
    ("gateway.networking.k8s.io", &[("Gateway", "gateways", N), ("GatewayClass", "gatewayclasses", C)]),
    (
        "snapshot.storage.k8s.io",
        &[("VolumeSnapshotClass", "volumesnapshotclasses", C), ("VolumeSnapshotContent", "volumesnapshotcontents", C)],
    ),
    // Operators' kinds that the policies match and whose plural the guess would miss.
    ("apps.emqx.io", &[("EMQX", "emqxes", N)]),
    ("elasticsearch.k8s.elastic.co", &[("Elasticsearch", "elasticsearches", N)]),
    ("kubedb.com", &[("Elasticsearch", "elasticsearches", N)]),
    ("kubegres.reactive-tech.io", &[("Kubegres", "kubegres", N)]),
    ("logging.openshift.io", &[("Elasticsearch", "elasticsearches", N)]),
    ("mongodb.com", &[("MongoDB", "mongodb", N), ("MongoDBOpsManager", "opsmanagers", N)]),
    ("mongodbcommunity.mongodb.com", &[("MongoDBCommunity", "mongodbcommunity", N)]),
    ("operator.victoriametrics.com", &[("VLogs", "vlogs", N)]),
    ("redis.redis.opstreelabs.in", &[("Redis", "redis", N)]),
    ("stackgres.io", &[("SGDistributedLogs", "sgdistributedlogs", N)]),
    ("portcullis.dev", &[("ClusterPolicy", "clusterpolicies", C), ("Policy", "policies", N)]),
];

#[cfg(test)]
mod tests {
    use crate::json::Document;

    use super::*;

    #[test]
    fn kinds_have_their_resource_and_scope() {
        let mut kinds = Kinds::default();
        let definition = br#"{"kind":"CustomResourceDefinition","spec":{"group":"x.io","scope":"Cluster","names":{"kind":"Mouse","plural":"mice"}}}"#;
        kinds.learn(Document::parse(definition).expect("JSON").root());
        let cases = [
            ("apps", "StatefulSet", "statefulsets", true),
            ("", "Namespace", "namespaces", false),
            ("", "Endpoints", "endpoints", true),
            ("storage.k8s.io", "StorageClass", "storageclasses", false),
            ("networking.k8s.io", "Ingress", "ingresses", true),
            ("x.io", "Mouse", "mice", false),
            ("y.io", "Mouse", "mouses", true),
            ("y.io", "Policy", "policies", true),
            ("y.io", "Redis", "redises", true),
        ];
        for (group, kind, plural, namespaced) in cases {
            assert_eq!(
                kinds.resource(group, kind),
                Resource { plural: plural.to_owned(), namespaced },
                "{group} {kind}"
            );
        }
    }

    #[test]
    fn the_operators_kinds_that_policies_match_have_their_own_plural() {
        let catalogue = include_str!("../../../policies/workloads/catalogue/custom-resources.tsv");
        for line in catalogue.lines().skip(1) {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!(Kinds::default().resource(cells[0], cells[1]).plural, cells[2], "{} of {}", cells[1], cells[0]);
        }
    }
}
