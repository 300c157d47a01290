//! From an object to the request that is judged: who writes, what happens, and
//! to which subresource.
//!
//! ```text
//! object, --operation, --subresource, --old ─► Aim ─► review::Write ─► AdmissionReview
//! ```
//! A Scale, an Eviction and a Binding are never stored: they say something of
//! another object, so their kind alone names the subresource.

use portcullis_core::contract::Operation;
use portcullis_core::json::{Document, Kind, Value, quote};
use portcullis_core::objects::group;

use super::manifest::{Manifest, text};

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// The groups that it is in.
    pub groups: Vec<String>,
}

/// The groups that the API server puts everybody, service accounts and nobody into
/// (k8s.io/apiserver/pkg/authentication/user and .../serviceaccount).
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ANONYMOUS: &str = "system:anonymous";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";

impl Default for User {
    /// The administrator that kubeadm makes, in the group that it uses since
    /// 1.29 (`system:masters` is often excluded from policies).
    fn default() -> User {
        let groups = ["kubeadm:cluster-admins", AUTHENTICATED].map(str::to_owned);
        User { name: "kubernetes-admin".to_owned(), groups: groups.into() }
    }
}

impl User {
    /// As the API server has a user that somebody acts as (`WithImpersonation`
    /// of k8s.io/apiserver): a service account without groups gets its own.
    pub fn acting_as(name: &str, groups: &[String]) -> User {
        let mut groups = groups.to_vec();
        let account = name.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'));
        if let Some((namespace, _)) = account.filter(|_| groups.is_empty()) {
            groups = vec![SERVICE_ACCOUNTS.to_owned(), format!("{SERVICE_ACCOUNTS}:{namespace}")];
        }
        let everybody = if name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
        if !groups.iter().any(|group| matches!(group.as_str(), AUTHENTICATED | UNAUTHENTICATED)) {
            groups.push(everybody.to_owned());
        }
        User { name: name.to_owned(), groups }
    }
}

/// Subresources that a review can be about, for messages.
pub const SUBRESOURCES: &[&str] = &[
    "approval",
    "attach",
    "binding",
    "ephemeralcontainers",
    "eviction",
    "exec",
    "finalize",
    "portforward",
    "proxy",
    "resize",
    "scale",
    "status",
    "token",
];

/// Subresources whose object isn't of the parent's kind: the parent's kind, the
/// subresource, what is sent, what happens (from the paths of the OpenAPI document).
const OTHER_KINDS: &[(&str, &str, &str, &str, Operation)] = &[
    ("Pod", "attach", "v1", "PodAttachOptions", Operation::Connect),
    ("Pod", "exec", "v1", "PodExecOptions", Operation::Connect),
    ("Pod", "portforward", "v1", "PodPortForwardOptions", Operation::Connect),
    ("Pod", "proxy", "v1", "PodProxyOptions", Operation::Connect),
    ("Service", "proxy", "v1", "ServiceProxyOptions", Operation::Connect),
    ("Node", "proxy", "v1", "NodeProxyOptions", Operation::Connect),
    ("Pod", "eviction", "policy/v1", "Eviction", Operation::Create),
    ("Pod", "binding", "v1", "Binding", Operation::Create),
    ("ServiceAccount", "token", "authentication.k8s.io/v1", "TokenRequest", Operation::Create),
];
/// Subresources of built-in kinds that carry the whole object; `status` is nearly everybody's.
const SAME_KIND: &[(&str, &[&str])] = &[
    ("ephemeralcontainers", &["Pod"]),
    ("resize", &["Pod"]),
    ("finalize", &["Namespace"]),
    ("approval", &["CertificateSigningRequest"]),
];
/// Kinds without a status.
const WITHOUT_STATUS: &[&str] = &[
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "StorageClass",
    "IngressClass",
    "PriorityClass",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "NetworkPolicy",
    "LimitRange",
    "Endpoints",
    "EndpointSlice",
];
/// Built-in kinds with a scale.
const SCALED: &[&str] = &["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"];
const SCALE: (&str, &str) = ("autoscaling/v1", "Scale");

/// How a run's objects are written.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// What happens; None: what follows from the subresource, or UPDATE where
    /// there was an object before, else CREATE.
    pub operation: Option<Operation>,
    /// Below which subresource.
    pub subresource: Option<String>,
    /// By whom.
    pub user: User,
}

/// What a review says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aim {
    pub(super) operation: Operation,
    /// Empty for the object itself.
    pub(super) subresource: String,
    /// `apps/v1` and `StatefulSet` of what is sent.
    pub(super) kind: (String, String),
    /// `apps/v1` and `statefulsets` of what it is sent to.
    pub(super) resource: (String, String),
    /// What is sent, if it isn't the manifest's object.
    pub(super) instead: Option<String>,
    /// What was there before, for UPDATE and DELETE.
    pub(super) old: Option<String>,
}

/// A workload that a Scale may be about.
#[derive(Debug, Clone)]
pub(super) struct Parent {
    pub(super) api_version: String,
    pub(super) plural: String,
    pub(super) object: String,
}

/// Whether objects of this kind are never stored.
pub(super) fn is_never_stored(api_version: &str, kind: &str) -> bool {
    (api_version, kind) == SCALE || OTHER_KINDS.iter().any(|row| (row.2, row.3) == (api_version, kind))
}

/// Whether a subresource is connected to rather than written.
pub fn is_connected_to(subresource: &str) -> bool {
    OTHER_KINDS.iter().any(|row| row.1 == subresource && row.4 == Operation::Connect)
}

/// Whether a Scale may be about this kind.
pub(super) fn is_scaled(kind: &str) -> bool {
    SCALED.contains(&kind)
}

impl Manner {
    /// What the review of a manifest says. `old` is what was there before under
    /// its name, `parents` are workloads of its name.
    ///
    /// # Errors
    /// Why it can't be about this subresource.
    pub(super) fn aim(&self, manifest: &Manifest, old: Option<String>, parents: &[Parent]) -> Result<Aim, String> {
        let identity = &manifest.identity;
        let (api_version, kind) = (identity.api_version.as_str(), identity.kind.as_str());
        let own = (api_version.to_owned(), kind.to_owned());
        let resource = (api_version.to_owned(), manifest.resource.plural.clone());
        let implied = if (api_version, kind) == SCALE {
            Some("scale")
        } else {
            OTHER_KINDS.iter().find(|row| (row.2, row.3) == (api_version, kind)).map(|row| row.1)
        };
        let Some(subresource) = self.subresource.as_deref().or(implied) else {
            let by_old = if old.is_some() { Operation::Update } else { Operation::Create };
            let operation = self.operation.unwrap_or(by_old);
            return Ok(Aim { operation, subresource: String::new(), kind: own, resource, instead: None, old });
        };
        let refused = || format!("{kind} has no subresource {subresource:?} and is not judged");
        let with = |operation: Operation, kind, resource, instead, old| Aim {
            operation: self.operation.unwrap_or(operation),
            subresource: subresource.to_owned(),
            kind,
            resource,
            instead,
            old,
        };
        if subresource == "scale" {
            return self.scale(manifest, old, parents).map(|(resource, object, old)| {
                with(Operation::Update, (SCALE.0.to_owned(), SCALE.1.to_owned()), resource, object, old)
            });
        }
        if let Some(row) = OTHER_KINDS.iter().find(|row| row.1 == subresource && (row.0 == kind || row.3 == kind)) {
            let sent = (row.2.to_owned(), row.3.to_owned());
            let parent = ("v1".to_owned(), format!("{}s", row.0.to_lowercase()));
            let instead = (row.3 != kind).then(|| sent_below(row.2, row.3, manifest, row.4));
            return Ok(with(row.4, sent, parent, instead, None));
        }
        let carries = SAME_KIND.iter().any(|(name, kinds)| *name == subresource && kinds.contains(&kind))
            || (subresource == "status" && !WITHOUT_STATUS.contains(&kind));
        if !carries {
            return Err(refused());
        }
        let old = Some(old.unwrap_or_else(|| manifest.object.clone()));
        Ok(with(Operation::Update, own, resource, None, old))
    }

    /// The parent's resource, the Scale where a workload was given, and the Scale before.
    #[allow(clippy::type_complexity, reason = "three things of one use")]
    fn scale(
        &self,
        manifest: &Manifest,
        old: Option<String>,
        parents: &[Parent],
    ) -> Result<((String, String), Option<String>, Option<String>), String> {
        let identity = &manifest.identity;
        if (identity.api_version.as_str(), identity.kind.as_str()) != SCALE {
            if is_built_in(&identity.api_version) && !is_scaled(&identity.kind) {
                return Err(format!("{} has no subresource \"scale\" and is not judged", identity.kind));
            }
            let resource = (identity.api_version.clone(), manifest.resource.plural.clone());
            let before = old.as_deref().unwrap_or(&manifest.object);
            return Ok((resource, Some(scale_of(&manifest.object)), Some(scale_of(before))));
        }
        let named = format!("Scale {}/{}", identity.namespace, identity.name);
        let Some(parent) = parents.first() else {
            return Err(format!(
                "{named}: no workload of this name is among the input or --cluster, so what it scales is not known; it is not judged"
            ));
        };
        if parents.iter().any(|other| other.plural != parent.plural) {
            return Err(format!(
                "{named}: several kinds have a workload of this name, so what it scales is not known; it is not judged"
            ));
        }
        Ok(((parent.api_version.clone(), parent.plural.clone()), None, Some(scale_of(&parent.object))))
    }
}

fn is_built_in(api_version: &str) -> bool {
    matches!(group(api_version), "" | "apps" | "batch" | "policy" | "autoscaling")
        || group(api_version).ends_with(".k8s.io")
}

/// The Scale of a workload, as its `/scale` gives it.
fn scale_of(workload: &str) -> String {
    let parsed = Document::parse(workload.as_bytes()).ok();
    let root = parsed.as_ref().map(Document::root);
    let field = |path: &[&str]| root.and_then(|root| root.path(path)).filter(|value| !value.is_null()).map(Value::raw);
    let mut members: Vec<String> = Vec::new();
    for name in ["name", "namespace"] {
        members.extend(field(&["metadata", name]).map(|value| format!(r#""{name}":{value}"#)));
    }
    let replicas = field(&["spec", "replicas"]).unwrap_or("1");
    format!(
        r#"{{"apiVersion":"{}","kind":"{}","metadata":{{{}}},"spec":{{"replicas":{replicas}}}}}"#,
        SCALE.0,
        SCALE.1,
        members.join(",")
    )
}

/// What is sent to a subresource of an object where nothing else is said.
fn sent_below(api_version: &str, kind: &str, manifest: &Manifest, operation: Operation) -> String {
    if operation == Operation::Connect {
        return format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}"}}"#);
    }
    let parsed = Document::parse(manifest.object.as_bytes()).ok();
    let name = |field: &str| {
        let root = parsed.as_ref().map(Document::root).filter(|root| root.kind() == Kind::Object)?;
        text(root, &["metadata", field]).map(|value| format!(r#""{field}":{}"#, quote(&value)))
    };
    let metadata: Vec<String> = ["name", "namespace"].into_iter().filter_map(name).collect();
    format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{{{}}}}}"#, metadata.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_in_the_groups_that_the_api_server_puts_them_into() {
        let cases: [(&str, &[&str], &[&str]); 4] = [
            ("jane", &[], &["system:authenticated"]),
            ("jane", &["devs"], &["devs", "system:authenticated"]),
            (
                "system:serviceaccount:ci:deployer",
                &[],
                &["system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"],
            ),
            ("system:anonymous", &[], &["system:unauthenticated"]),
        ];
        for (name, groups, expected) in cases {
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            assert_eq!(User::acting_as(name, &groups).groups, expected, "{name}");
        }
    }

    #[test]
    fn a_scale_says_what_the_workload_says() {
        let set = r#"{"kind":"StatefulSet","metadata":{"name":"m","namespace":"n","labels":{}},"spec":{"replicas":3}}"#;
        assert_eq!(
            scale_of(set),
            r#"{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"m","namespace":"n"},"spec":{"replicas":3}}"#
        );
        assert!(scale_of("{}").ends_with(r#""metadata":{},"spec":{"replicas":1}}"#));
    }

    #[test]
    fn every_subresource_of_the_tables_can_be_named() {
        let named =
            OTHER_KINDS.iter().map(|row| row.1).chain(SAME_KIND.iter().map(|row| row.0)).chain(["scale", "status"]);
        for name in named {
            assert!(SUBRESOURCES.contains(&name), "{name}");
        }
    }
}
