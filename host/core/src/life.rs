//! The object's life: what is not judged, or judged more mildly, because of
//! where an object comes from and where it goes. In the host, once, for guests
//! of every language; the rules are the contract's.
//!
//! - leaving: an object that only loses finalizers or owners is not judged;
//! - ratcheting: a denial that the old object deserved already is a warning;
//! - judged at its owner: what a controller makes of a workload is judged there;
//! - fields that can't change: an edit on UPDATE only puts back what was there.

use crate::cluster::{Answer, Budget, ClusterView, ObjectName};
use crate::contract::{Finding, Level, Operation};
use crate::edit::{Edit, Pointer};
use crate::json::{Document, Kind, Value};
use crate::matching::{Matcher, NamespaceLabels, RuleMatch, Selectable, Selected, Target};
use crate::review::Review;

mod looked_up;

pub use self::looked_up::{HostLookup, looked_up_for};

/// Owners that are followed from an object upwards: Pod, ReplicaSet, Deployment
/// are three levels, Pod, Job, CronJob too.
const MAX_OWNERS: usize = 4;

/// A kind whose controller makes objects of its own.
struct OwnerKind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    resource: &'static str,
    /// The service account of its controller in kube-system
    /// (kubernetes/cmd/kube-controller-manager, `--use-service-account-credentials`).
    account: &'static str,
}

/// Without that flag every controller is this user.
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
const CONTROLLER_ACCOUNTS: &str = "system:serviceaccount:kube-system:";

/// Of the controller that binds claims to volumes.
const VOLUME_BINDER: &str = "persistent-volume-binder";

const OWNERS: [OwnerKind; 7] = [
    OwnerKind {
        group: "apps",
        version: "v1",
        kind: "StatefulSet",
        resource: "statefulsets",
        account: "statefulset-controller",
    },
    OwnerKind {
        group: "apps",
        version: "v1",
        kind: "Deployment",
        resource: "deployments",
        account: "deployment-controller",
    },
    OwnerKind {
        group: "apps",
        version: "v1",
        kind: "ReplicaSet",
        resource: "replicasets",
        account: "replicaset-controller",
    },
    OwnerKind {
        group: "apps",
        version: "v1",
        kind: "DaemonSet",
        resource: "daemonsets",
        account: "daemon-set-controller",
    },
    OwnerKind { group: "batch", version: "v1", kind: "Job", resource: "jobs", account: "job-controller" },
    OwnerKind { group: "batch", version: "v1", kind: "CronJob", resource: "cronjobs", account: "cronjob-controller" },
    OwnerKind {
        group: "",
        version: "v1",
        kind: "ReplicationController",
        resource: "replicationcontrollers",
        account: "replication-controller",
    },
];

/// Where an object is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JudgedAt {
    /// Itself.
    Itself,
    /// At an owner that the same policy matches.
    Owner(String),
    /// Where its volume was asked for: the cluster's own controller only binds it.
    BeforeBinding,
    /// An owner that had to be looked up gave no answer.
    Unknown {
        /// What was looked up.
        what: String,
        /// Why there is no answer.
        reason: String,
    },
}

/// Whether an UPDATE only lets the object go, or only reports its status: it
/// removes finalizers or ownerReferences and changes nothing else, or comes by
/// the status subresource and changes only status. Field ownership and what the
/// server counts (resourceVersion, generation) don't matter. A deletionTimestamp
/// exempts nothing.
pub fn is_leaving(review: &Review<'_>) -> bool {
    let (Operation::Update, Some(new), Some(old)) = (review.operation, review.object, review.old_object) else {
        return false;
    };
    if review.subresource.as_deref() == Some("status") {
        return equal_but(new, old, &["status", "metadata"]) && metadata_equal_but(new, old, &BOOKKEEPING);
    }
    if review.subresource.is_some() {
        return false;
    }
    let lists = ["finalizers", "ownerReferences"];
    let removed = lists.iter().map(|list| only_removes(metadata(new, list), metadata(old, list))).collect::<Vec<_>>();
    removed.iter().all(Option::is_some)
        && removed.contains(&Some(true))
        && equal_but(new, old, &["metadata"])
        && metadata_equal_but(new, old, &[&BOOKKEEPING[..], &lists[..]].concat())
}

/// Fields of metadata that the API server writes itself on every write.
const BOOKKEEPING: [&str; 3] = ["managedFields", "resourceVersion", "generation"];

/// Denials that the old object deserved already become warnings: same rule,
/// subject and value. Without a subject nothing is ratcheted.
pub fn ratchet(findings: &mut [Finding], before: &[Finding]) -> Vec<usize> {
    let denied_before = |finding: &Finding| {
        before.iter().any(|old| {
            old.level == Level::Deny
                && (&old.rule, &old.subject, &old.value) == (&finding.rule, &finding.subject, &finding.value)
        })
    };
    let mut softened = Vec::new();
    for (index, finding) in findings.iter_mut().enumerate() {
        if finding.level == Level::Deny && !finding.subject.is_empty() && denied_before(finding) {
            finding.level = Level::Warn;
            softened.push(index);
        }
    }
    softened
}

/// Where a policy judges an object: at an owner up the chain, if its controller
/// made the object and the same policy matches that very owner for CREATE and
/// UPDATE.
pub async fn judged_at(
    review: &Review<'_>,
    matcher: &Matcher,
    namespace: &NamespaceLabels,
    cluster: &dyn ClusterView,
    budget: &Budget,
) -> JudgedAt {
    let Some(object) = review.object else { return JudgedAt::Itself };
    if review.namespace.is_empty() || review.subresource.is_some() {
        return JudgedAt::Itself;
    }
    if is_binding(review) {
        return JudgedAt::BeforeBinding;
    }
    let makers = makers(&review.user.username);
    if makers.is_empty() {
        return JudgedAt::Itself;
    }
    let search = OwnerSearch { matcher, namespace, cluster, budget, in_namespace: &review.namespace };
    if let Some(reference) = controller(object) {
        return search.up_from(reference, &makers).await;
    }
    let is_claim = review.kind.group.is_empty() && review.kind.kind == "PersistentVolumeClaim";
    if is_claim && makers.iter().any(|maker| maker.kind == "StatefulSet") {
        return search.set_of_claim(&review.object_name()).await;
    }
    JudgedAt::Itself
}

/// Whether the cluster's volume binder ties a claim to a volume, and changes
/// nothing else. Who chose the class or the volume was judged when it was chosen;
/// a binder that is refused only tries for ever, and the pod never starts.
fn is_binding(review: &Review<'_>) -> bool {
    let (Operation::Update, Some(new), Some(old)) = (review.operation, review.object, review.old_object) else {
        return false;
    };
    let user = review.user.username.as_str();
    let is_binder = user == CONTROLLER_MANAGER || user.strip_prefix(CONTROLLER_ACCOUNTS) == Some(VOLUME_BINDER);
    let is_claim = review.kind.group.is_empty() && review.kind.kind == "PersistentVolumeClaim";
    if !is_binder || !is_claim || review.subresource.is_some() {
        return false;
    }
    let unbound = old.path(&["spec", "volumeName"]).and_then(Value::as_str).is_none_or(|name| name.is_empty());
    let same_spec = match (new.get("spec"), old.get("spec")) {
        (Some(new), Some(old)) if new.kind() == Kind::Object && old.kind() == Kind::Object => {
            equal_but(new, old, &["volumeName"])
        }
        _ => false,
    };
    let written = [&BOOKKEEPING[..], &["annotations", "finalizers"]].concat();
    unbound && same_spec && equal_but(new, old, &["spec", "metadata"]) && metadata_equal_but(new, old, &written)
}

/// The kinds whose controller this user is.
fn makers(username: &str) -> Vec<&'static OwnerKind> {
    if username == CONTROLLER_MANAGER {
        return OWNERS.iter().collect();
    }
    let account = username.strip_prefix(CONTROLLER_ACCOUNTS);
    OWNERS.iter().filter(|owner| account == Some(owner.account)).collect()
}

/// `metav1.OwnerReference` with `controller: true`.
struct ControllerReference {
    kind: &'static OwnerKind,
    name: String,
    uid: String,
}

fn controller(object: Value<'_>) -> Option<ControllerReference> {
    let references =
        object.path(&["metadata", "ownerReferences"]).filter(|references| references.kind() == Kind::Array)?;
    let text =
        |reference: Value<'_>, name: &str| reference.get(name).and_then(Value::as_str).map(|text| text.into_owned());
    let reference =
        references.items().find(|reference| reference.get("controller").and_then(Value::as_bool) == Some(true))?;
    let (group_version, kind) = (text(reference, "apiVersion")?, text(reference, "kind")?);
    let kind =
        OWNERS.iter().find(|owner| owner.kind == kind && owner.group == crate::objects::group(&group_version))?;
    Some(ControllerReference { kind, name: text(reference, "name")?, uid: text(reference, "uid")? })
}

struct OwnerSearch<'a> {
    matcher: &'a Matcher,
    namespace: &'a NamespaceLabels,
    cluster: &'a dyn ClusterView,
    budget: &'a Budget,
    in_namespace: &'a str,
}

impl OwnerSearch<'_> {
    /// Follows controller references upwards; the first must be of a kind that
    /// the requesting controller makes objects for.
    async fn up_from(&self, first: ControllerReference, makers: &[&OwnerKind]) -> JudgedAt {
        if !makers.iter().any(|maker| maker.kind == first.kind.kind) {
            return JudgedAt::Itself;
        }
        let mut reference = first;
        for _ in 0..MAX_OWNERS {
            let name = self.named(reference.kind, &reference.name);
            let text = match self.cluster.get(&name, self.budget).await {
                Answer::Found(text) => text,
                Answer::Absent => return JudgedAt::Itself,
                Answer::Unknown(reason) => return JudgedAt::Unknown { what: name.to_string(), reason },
            };
            let Ok(document) = Document::parse(text.as_bytes()) else { return JudgedAt::Itself };
            let owner = document.root();
            if owner.path(&["metadata", "uid"]).and_then(Value::as_str).as_deref() != Some(reference.uid.as_str()) {
                return JudgedAt::Itself;
            }
            if let Some(judged) = self.matched(reference.kind, owner, &name) {
                return judged;
            }
            let Some(next) = controller(owner) else { return JudgedAt::Itself };
            reference = next;
        }
        JudgedAt::Itself
    }

    /// The StatefulSet of a claim named `<template>-<set>-<ordinal>`.
    async fn set_of_claim(&self, claim: &str) -> JudgedAt {
        let Some((stem, ordinal)) = claim.rsplit_once('-') else { return JudgedAt::Itself };
        if ordinal.is_empty() || !ordinal.bytes().all(|byte| byte.is_ascii_digit()) {
            return JudgedAt::Itself;
        }
        let kind = &OWNERS[0];
        let mut unknown = None;
        for (dash, _) in stem.match_indices('-') {
            let (template, set) = (&stem[..dash], &stem[dash + 1..]);
            let name = self.named(kind, set);
            match self.cluster.get(&name, self.budget).await {
                Answer::Found(text) => {
                    let Ok(document) = Document::parse(text.as_bytes()) else { continue };
                    if has_template(document.root(), template) {
                        return self.matched(kind, document.root(), &name).unwrap_or(JudgedAt::Itself);
                    }
                }
                Answer::Absent => {}
                Answer::Unknown(reason) => unknown = Some(JudgedAt::Unknown { what: name.to_string(), reason }),
            }
        }
        unknown.unwrap_or(JudgedAt::Itself)
    }

    /// Whether the policy matches this very owner for CREATE and UPDATE.
    fn matched(&self, kind: &OwnerKind, owner: Value<'_>, name: &ObjectName) -> Option<JudgedAt> {
        let rules = |operation| {
            let target = Target {
                group: kind.group,
                version: kind.version,
                resource: kind.resource,
                subresource: None,
                operation,
                namespace: self.in_namespace,
                is_namespace: false,
            };
            self.matcher.rules(target) == RuleMatch::Yes
        };
        if !rules(Operation::Create) || !rules(Operation::Update) {
            return None;
        }
        match self.matcher.selects(self.namespace, &Selectable::Objects(vec![owner])) {
            Selected::Yes => Some(JudgedAt::Owner(name.to_string())),
            Selected::No => None,
            Selected::Unsure(reason) => Some(JudgedAt::Unknown { what: name.to_string(), reason }),
        }
    }

    fn named(&self, kind: &OwnerKind, name: &str) -> ObjectName {
        ObjectName {
            api_version: crate::review::join(kind.group, kind.version),
            kind: kind.kind.to_owned(),
            namespace: Some(self.in_namespace.to_owned()),
            name: name.to_owned(),
        }
    }
}

fn has_template(set: Value<'_>, template: &str) -> bool {
    set.path(&["spec", "volumeClaimTemplates"]).filter(|templates| templates.kind() == Kind::Array).is_some_and(
        |templates| {
            templates
                .items()
                .any(|claim| claim.path(&["metadata", "name"]).and_then(Value::as_str).as_deref() == Some(template))
        },
    )
}

/// Group, version, resource and kind of what may be a subresource's parent.
fn parents() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
    let owners = OWNERS.iter().map(|owner| (owner.group, owner.version, owner.resource, owner.kind));
    owners.chain([("", "v1", "pods", "Pod"), ("", "v1", "services", "Service"), ("", "v1", "nodes", "Node")])
}

/// The parent of a subresource whose object is of another kind (Scale,
/// Eviction, exec options), where its kind is known.
pub fn parent_of_subresource(review: &Review<'_>) -> Option<ObjectName> {
    let (group, version, _, kind) = parents()
        .find(|(group, _, resource, _)| *group == review.resource.group && *resource == review.resource.resource)?;
    Some(ObjectName {
        api_version: crate::review::join(group, version),
        kind: kind.to_owned(),
        namespace: Some(review.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        name: review.object_name(),
    })
}

/// Fields that the API server refuses to change, as patterns. Sources:
/// kubernetes/pkg/apis/{apps,core,batch,storage}/validation.
const IMMUTABLE: [(&str, &str, &[&str]); 8] = [
    (
        "apps",
        "StatefulSet",
        &["/spec/volumeClaimTemplates", "/spec/serviceName", "/spec/selector", "/spec/podManagementPolicy"],
    ),
    ("apps", "Deployment", &["/spec/selector"]),
    ("apps", "ReplicaSet", &["/spec/selector"]),
    ("apps", "DaemonSet", &["/spec/selector"]),
    ("batch", "Job", &["/spec/selector", "/spec/template", "/spec/completionMode"]),
    (
        "",
        "PersistentVolumeClaim",
        &[
            "/spec/accessModes",
            "/spec/storageClassName",
            "/spec/selector",
            "/spec/volumeName",
            "/spec/volumeMode",
            "/spec/dataSource",
            "/spec/dataSourceRef",
        ],
    ),
    ("storage.k8s.io", "StorageClass", &["/provisioner", "/parameters", "/reclaimPolicy", "/volumeBindingMode"]),
    (
        "",
        "Pod",
        &[
            "/spec/volumes",
            "/spec/initContainers/*/volumeMounts",
            "/spec/containers/*/volumeMounts",
            "/spec/nodeName",
            "/spec/serviceAccountName",
        ],
    ),
];

/// Edits of an UPDATE, with those on fields that can't change turned into what
/// the old object holds there, or left out.
pub fn put_back(edits: Vec<Edit>, group: &str, kind: &str, new: Value<'_>, old: Value<'_>) -> Vec<Edit> {
    let Some((_, _, patterns)) = IMMUTABLE.iter().find(|(of_group, of_kind, _)| (*of_group, *of_kind) == (group, kind))
    else {
        return edits;
    };
    let immutable = |path: &Pointer| patterns.iter().any(|pattern| path.matches(pattern));
    let keep = |edit: Edit| match edit {
        Edit::Add { path, .. } | Edit::Replace { path, .. } if immutable(&path) => {
            let pointer = path.to_string();
            match (new.pointer(&pointer), old.pointer(&pointer)) {
                (None, Some(held)) => Some(Edit::Add { path, value: held.raw().to_owned() }),
                _ => None,
            }
        }
        Edit::Remove { path } if immutable(&path) => None,
        edit => Some(edit),
    };
    edits.into_iter().filter_map(keep).collect()
}

fn metadata<'d>(object: Value<'d>, field: &str) -> Option<Value<'d>> {
    object.path(&["metadata", field])
}

/// None where something was added or changed, else whether anything is gone.
fn only_removes(new: Option<Value<'_>>, old: Option<Value<'_>>) -> Option<bool> {
    let items = |list: Option<Value<'_>>| list.filter(|list| list.kind() == Kind::Array).map_or(0, Value::len);
    let Some(old_list) = old.filter(|old| old.kind() == Kind::Array) else {
        return (items(new) == 0).then_some(false);
    };
    let kept = new
        .filter(|new| new.kind() == Kind::Array)
        .is_none_or(|new| new.items().all(|item| old_list.items().any(|held| held.equals(item))));
    kept.then(|| items(new) < old_list.len())
}

fn equal_but(new: Value<'_>, old: Value<'_>, but: &[&str]) -> bool {
    let one_way = |left: Value<'_>, right: Value<'_>| {
        left.fields()
            .filter(|(name, _)| !but.contains(&name.as_ref()))
            .all(|(name, value)| right.get(&name).is_some_and(|other| other.equals(value)))
    };
    one_way(new, old) && one_way(old, new)
}

fn metadata_equal_but(new: Value<'_>, old: Value<'_>, but: &[&str]) -> bool {
    match (new.get("metadata"), old.get("metadata")) {
        (Some(new), Some(old)) if new.kind() == Kind::Object && old.kind() == Kind::Object => equal_but(new, old, but),
        (None, None) => true,
        _ => false,
    }
}
