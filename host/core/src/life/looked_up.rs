//! What the host itself looks up to judge by a policy, so that a server can know
//! it beforehand: the owners of what controllers make, and the parents of
//! subresources where selectors look at them.
//!
//! Invariant: whatever `life` and `admit` read of such an object stands in its
//! tree here.

use super::{OWNERS, OwnerKind, parents};
use crate::matching::Matcher;
use crate::view::Tree;

/// A kind that the host itself looks up, beside what policies declare.
#[derive(Debug, Clone, PartialEq)]
pub struct HostLookup {
    /// As in the object.
    pub api_version: String,
    /// As in the object.
    pub kind: &'static str,
    /// What is read of it.
    pub fields: Tree,
}

/// What [`super::judged_at`] and selectors on a subresource's parent may look up for a
/// policy that matches so.
pub fn looked_up_for(matcher: &Matcher) -> Vec<HostLookup> {
    let makes = |owner: &OwnerKind| {
        let made = MADE_BY.iter().filter(|(_, _, owners)| owners.contains(&owner.kind));
        made.into_iter().any(|(group, resource, _)| matcher.may_match(group, resource, None))
    };
    let owners = OWNERS.iter().filter(|owner| makes(owner)).map(|owner| HostLookup {
        api_version: crate::review::join(owner.group, owner.version),
        kind: owner.kind,
        fields: if matcher.reads_whole_object() { Tree::Value } else { owner_fields(owner) },
    });
    let parents = parents().filter(|(group, _, resource, _)| {
        matcher.reads_object() && FOREIGN_SUBRESOURCES.iter().any(|sub| matcher.may_match(group, resource, Some(sub)))
    });
    let parents = parents.map(|(group, version, _, kind)| HostLookup {
        api_version: crate::review::join(group, version),
        kind,
        fields: if matcher.reads_whole_object() { Tree::Value } else { Tree::of_paths(&[&["metadata", "labels"]]) },
    });
    owners.chain(parents).collect()
}

/// What each owner's controller makes, and whom it makes it for: of a Pod's
/// ReplicaSet the Deployment is looked up as well.
const MADE_BY: [(&str, &str, &[&str]); 5] = [
    ("", "pods", &["StatefulSet", "Deployment", "ReplicaSet", "DaemonSet", "Job", "CronJob", "ReplicationController"]),
    ("", "persistentvolumeclaims", &["StatefulSet"]),
    ("apps", "replicasets", &["Deployment"]),
    ("apps", "controllerrevisions", &["StatefulSet", "DaemonSet"]),
    ("batch", "jobs", &["CronJob"]),
];

/// Subresources whose object is of another kind than their parent.
const FOREIGN_SUBRESOURCES: [&str; 8] =
    ["scale", "eviction", "binding", "exec", "attach", "portforward", "proxy", "token"];

/// What the search for an owner reads of one.
fn owner_fields(owner: &OwnerKind) -> Tree {
    let mut paths: Vec<&[&str]> = vec![&["metadata", "uid"], &["metadata", "ownerReferences"], &["metadata", "labels"]];
    if owner.kind == "StatefulSet" {
        paths.push(&["spec", "volumeClaimTemplates", "[*]", "metadata", "name"]);
    }
    Tree::of_paths(&paths)
}
