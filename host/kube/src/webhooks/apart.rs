//! Which of a Fail policy's requests are refused where no replica answers, and
//! which pass: two webhooks of one path.
//!
//! ```text
//! atoms of policies ─┬─ closed: fail.validate…          failurePolicy Fail
//!                    └─ open:   fail-cluster.validate…  failurePolicy Ignore, the same path
//! ```
//! Cluster-scoped kinds that controllers, kubelets and drivers write can't be
//! left out by a namespaceSelector, and without them no volume is attached and
//! no node joins: not the one either that a replica is to come back on. They are
//! judged while a replica answers, and pass while none does, unless a document
//! says `failClosedClusterScoped`. So do the few of them without which no replica
//! could come back, and the few objects of the installation
//! itself that lie in no namespace, whatever a document says.
//!
//! Invariant, held by a property test: a request that one of the policies
//! matches goes to exactly one of the two, and no other goes to either.

use std::collections::BTreeSet;

use super::reach::{Atom, Part, rules};
use crate::{crd, rbac};

/// Cluster-scoped kinds that controllers, kubelets and drivers write while a
/// cluster goes on (who does, as of Kubernetes 1.36). Nodes are in no rule at all.
const WRITTEN_BY_CONTROLLERS: [(&str, &str); 22] = [
    // The volume binder, the external provisioner and the protection controllers.
    ("", "persistentvolumes"),
    // The attach-detach controller and the external attacher.
    ("storage.k8s.io", "volumeattachments"),
    // Kubelets, when a driver registers.
    ("storage.k8s.io", "csinodes"),
    // Drivers and their operators, when they are installed or come back.
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "storageclasses"),
    ("storage.k8s.io", "volumeattributesclasses"),
    ("snapshot.storage.k8s.io", "volumesnapshotclasses"),
    ("snapshot.storage.k8s.io", "volumesnapshotcontents"),
    ("groupsnapshot.storage.k8s.io", "volumegroupsnapshotcontents"),
    // Kubelets ask for their certificates, controllers approve and sign.
    ("certificates.k8s.io", "certificatesigningrequests"),
    ("certificates.k8s.io", "clustertrustbundles"),
    // API servers give each Service its address.
    ("networking.k8s.io", "ipaddresses"),
    ("networking.k8s.io", "servicecidrs"),
    // API servers write their own defaults and take turns by them.
    ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
    ("internal.apiserver.k8s.io", "storageversions"),
    ("storagemigration.k8s.io", "storageversionmigrations"),
    // Drivers of devices publish what a node has.
    ("resource.k8s.io", "resourceslices"),
    ("resource.k8s.io", "devicetaintrules"),
    ("resource.k8s.io", "deviceclasses"),
    ("node.k8s.io", "runtimeclasses"),
    // Each network plugin of Cilium's says there what its node is.
    ("cilium.io", "ciliumnodes"),
];

/// Objects of an installation that lie in no namespace: group, resources, names.
/// Its Namespace is left out by name with all that lies in it.
const OWN: [(&str, &[&str], &[&str]); 3] = [
    (
        "rbac.authorization.k8s.io",
        &["clusterroles", "clusterrolebindings"],
        &[rbac::SERVING, rbac::CONTROLLER, rbac::SECRETS, rbac::EXTRA],
    ),
    ("apiextensions.k8s.io", &["customresourcedefinitions"], &[crd::CLUSTER_POLICIES, crd::POLICIES]),
    ("scheduling.k8s.io", &["priorityclasses"], &[rbac::SERVING]),
];

/// Kinds that pass whatever a document says: without them no node comes back that
/// a replica could run on, and no Service of the installation has an address
/// (each has an IPAddress since Kubernetes 1.33).
const ALWAYS_OPEN: [(&str, &[&str]); 3] = [
    ("certificates.k8s.io", &["certificatesigningrequests"]),
    ("networking.k8s.io", &["ipaddresses"]),
    ("storage.k8s.io", &["csinodes"]),
];

/// What goes to which webhook.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// Refused where no replica answers.
    pub(super) closed: BTreeSet<Atom>,
    /// Passes where none does.
    pub(super) open: BTreeSet<Atom>,
    /// What of `open` goes to `closed` all the same, unless it is our own.
    pub(super) but: BTreeSet<Atom>,
    /// Whether `closed` names kinds that objects of the installation are of, or
    /// that are always open: then both name them.
    pub(super) meets_own: bool,
}

/// Parts what some policies match; `kept` is what those of them match that fail
/// closed for cluster-scoped kinds too.
pub(super) fn apart(atoms: &BTreeSet<Atom>, kept: &BTreeSet<Atom>) -> Apart {
    let (mut closed, mut candidates) = (BTreeSet::new(), BTreeSet::new());
    for atom in atoms {
        let (of_cluster, rest) = parts(atom);
        closed.extend(rest);
        if let Some(one) = of_cluster {
            let is_kept = kept.iter().any(|kept| kept.contains_but_version(&one));
            if is_kept {
                closed.insert(one)
            } else {
                candidates.insert(one)
            };
        }
    }
    let mut open: BTreeSet<Atom> =
        candidates.into_iter().filter(|one| !closed.iter().any(|closed| closed.contains(one))).collect();
    let own: BTreeSet<Atom> =
        closed.iter().flat_map(|atom| own_kinds().filter_map(move |kind| kind.meets(atom))).collect();
    let meets_own = !own.is_empty();
    open.extend(own);
    let but = open.iter().flat_map(|open| closed.iter().filter_map(move |closed| open.intersection(closed))).collect();
    Apart { closed, open, but, meets_own }
}

/// What of an atom controllers write, and the rest of it.
fn parts(atom: &Atom) -> (Option<Atom>, Option<Atom>) {
    let in_scope = |namespaced| Atom { namespaced: Some(namespaced), ..atom.clone() };
    if atom.namespaced == Some(true) {
        return (None, Some(atom.clone()));
    }
    if atom.is_wild() {
        return (Some(in_scope(false)), (atom.namespaced.is_none()).then(|| in_scope(true)));
    }
    if is_written(atom) { (Some(in_scope(false)), None) } else { (None, Some(atom.clone())) }
}

/// Whether an atom names one of the kinds that controllers write.
pub(super) fn is_written(atom: &Atom) -> bool {
    let named = |(group, resource): &(&str, &str)| is_word(&atom.group, group) && is_word(&atom.resource, resource);
    atom.namespaced != Some(true) && WRITTEN_BY_CONTROLLERS.iter().any(named)
}

fn is_word(part: &Part, word: &str) -> bool {
    matches!(part, Part::One(one) if one == word)
}

/// A kind that objects of an installation are of, or that is always open.
struct OwnKind {
    group: &'static str,
    resource: &'static str,
}

fn own_kinds() -> impl Iterator<Item = OwnKind> {
    let own = OWN.into_iter().map(|(group, resources, _)| (group, resources));
    own.chain(ALWAYS_OPEN)
        .flat_map(|(group, resources)| resources.iter().map(move |resource| OwnKind { group, resource }))
}

impl OwnKind {
    /// What an atom names of this kind.
    fn meets(&self, atom: &Atom) -> Option<Atom> {
        let own = Atom {
            group: Part::One(self.group.to_owned()),
            resource: Part::One(self.resource.to_owned()),
            subresource: Part::Any,
            operation: atom.operation,
            namespaced: Some(false),
            version: Part::Any,
        };
        own.intersection(atom)
    }
}

/// CEL that holds for the objects of the installation, and for what is always open.
pub(super) fn is_own(literals: impl Fn(&[&str]) -> String) -> String {
    let of_kind = OWN.map(|(group, resources, names)| {
        format!(
            "(request.resource.group == '{group}' && request.resource.resource in [{}] && request.name in [{}])",
            literals(resources),
            literals(names)
        )
    });
    // On a deletion of many there is no name.
    let open = ALWAYS_OPEN.map(|(group, resources)| {
        let resources = literals(resources);
        format!("(request.resource.group == '{group}' && request.resource.resource in [{resources}])")
    });
    format!("((has(request.name) && ({})) || {})", of_kind.join(" || "), open.join(" || "))
}

/// CEL that holds for the cluster-scoped requests that these atoms name.
pub(super) fn is_named(atoms: &BTreeSet<Atom>, literals: impl Fn(&[&str]) -> String) -> String {
    let texts = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
    let listed = |field: &str, words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        (!words.contains(&"*")).then(|| format!("{field} in [{}]", literals(&words)))
    };
    let rule = |rule: &k8s_openapi::api::admissionregistration::v1::RuleWithOperations| {
        let resources = texts(&rule.resources);
        let resources: Vec<String> = resources
            .iter()
            .map(|pattern| {
                let (resource, subresource) = pattern.split_once('/').unwrap_or((pattern, ""));
                let one = |word: &str| literals(&[word]);
                let resource = (resource != "*").then(|| format!("request.resource.resource == {}", one(resource)));
                let subresource = match subresource {
                    "*" => None,
                    word => Some(format!("(has(request.subResource) ? request.subResource : '') == {}", one(word))),
                };
                all_of(&[resource, subresource])
            })
            .collect();
        all_of(&[
            listed("request.resource.group", &texts(&rule.api_groups)),
            // Of a request that is converted it is the version as it came: then both
            // are asked, which costs a call and misses nothing.
            listed("request.resource.version", &texts(&rule.api_versions)),
            Some(format!("({})", resources.join(" || "))),
            listed("request.operation", &texts(&rule.operations)),
        ])
    };
    let rules: Vec<String> = rules(atoms).iter().map(rule).collect();
    format!("({})", rules.join(" || "))
}

fn all_of(conditions: &[Option<String>]) -> String {
    let said: Vec<&str> = conditions.iter().flatten().map(String::as_str).collect();
    if said.is_empty() { "true".to_owned() } else { format!("({})", said.join(" && ")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use portcullis_core::contract::{MatchRule, Scope};
    use portcullis_core::matching::{Matcher, RuleMatch, Target};
    use proptest::prelude::*;

    use super::super::reach::tests::{any_rule, document, matched, matcher, requests, rule, shown};
    use super::super::versions::share;
    use super::*;

    fn atoms(rules: &[MatchRule]) -> BTreeSet<Atom> {
        rules.iter().flat_map(Atom::of).collect()
    }

    fn check(open: &[MatchRule], kept: &[MatchRule], expected: [&str; 3]) {
        let (open, kept) = (atoms(open), atoms(kept));
        let apart = apart(&open.union(&kept).cloned().collect(), &kept);
        let found = [&apart.closed, &apart.open, &apart.but]
            .map(|atoms| rules(atoms).iter().map(shown).collect::<Vec<_>>().join(" "));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_controllers_write_passes_where_no_replica_answers() {
        let volumes = rule("", &["v1"], &["persistentvolumes", "pods"], &["CREATE"], Scope::Any);
        check(std::slice::from_ref(&volumes), &[], ["|v1|pods|CREATE|*", "|v1|persistentvolumes|CREATE|Cluster", ""]);
        check(&[], &[volumes], ["|v1|persistentvolumes|CREATE|Cluster |v1|pods|CREATE|*", "", ""]);
        let every = rule("*", &["*"], &["*"], &["*"], Scope::Any);
        check(std::slice::from_ref(&every), &[], ["*|*|*|*|Namespaced", "*|*|*|*|Cluster", ""]);
        let classes = rule("storage.k8s.io", &["v1"], &["storageclasses"], &["CREATE"], Scope::Any);
        check(
            &[every],
            &[classes],
            [
                "*|*|*|*|Namespaced storage.k8s.io|v1|storageclasses|CREATE|Cluster",
                "*|*|*|*|Cluster",
                "storage.k8s.io|v1|storageclasses|CREATE|Cluster",
            ],
        );
    }

    #[test]
    fn objects_of_the_installation_pass_whatever_a_document_says() {
        let roles = rule("rbac.authorization.k8s.io", &["v1"], &["clusterroles", "roles"], &["CREATE"], Scope::Any);
        check(
            &[roles],
            &[],
            [
                "rbac.authorization.k8s.io|v1|clusterroles,roles|CREATE|*",
                "rbac.authorization.k8s.io|v1|clusterroles|CREATE|Cluster",
                "rbac.authorization.k8s.io|v1|clusterroles|CREATE|Cluster",
            ],
        );
    }

    #[test]
    fn what_a_replica_needs_to_come_back_passes_whatever_a_document_says() {
        let nodes = rule("storage.k8s.io", &["v1"], &["csinodes", "storageclasses"], &["CREATE"], Scope::Any);
        let node = "storage.k8s.io|v1|csinodes|CREATE|Cluster";
        check(&[], &[nodes], ["storage.k8s.io|v1|csinodes,storageclasses|CREATE|Cluster", node, node]);
    }

    /// The same rule over kinds that the table knows.
    fn known(mut rule: MatchRule) -> MatchRule {
        for resource in &mut rule.resources {
            *resource = resource.replace('a', "persistentvolumes").replace("scpersistentvolumesle", "scale");
            *resource = resource.replace('b', "customresourcedefinitions");
        }
        for group in &mut rule.api_groups {
            *group = group.replace('g', "apiextensions.k8s.io");
        }
        rule
    }

    fn known_target(target: Target<'static>) -> Target<'static> {
        let resource = match target.resource {
            "a" => "persistentvolumes",
            "b" => "customresourcedefinitions",
            other => other,
        };
        let group = if target.group == "g" { "apiextensions.k8s.io" } else { target.group };
        Target { resource, group, ..target }
    }

    proptest! {
        #[test]
        fn a_request_goes_to_one_of_the_two_where_a_policy_matches_it(
            policies in prop::collection::vec((prop::collection::vec(any_rule(), 1..3), any::<bool>()), 1..5)
        ) {
            let policies: Vec<(Vec<MatchRule>, bool)> =
                policies.into_iter().map(|(rules, closed)| (rules.into_iter().map(known).collect(), closed)).collect();
            let reaches: Vec<BTreeSet<Atom>> = policies.iter().map(|(rules, _)| atoms(rules)).collect();
            for shared in share(&reaches) {
                let of = |place: &usize| &policies[*place];
                let kept = shared.policies.iter().filter(|place| of(place).1).flat_map(|place| reaches[*place].clone());
                let apart = apart(&shared.atoms(), &kept.collect());
                let [closed, open, but] =
                    [&apart.closed, &apart.open, &apart.but].map(|atoms| matcher(&rules(atoms)));
                let united = matcher(&rules(&shared.atoms()));
                let keeping: Vec<Matcher> = shared
                    .policies
                    .iter()
                    .filter(|place| of(place).1)
                    .map(|place| Matcher::new(&document("x", of(place).0.clone()), None).unwrap())
                    .collect();
                for target in requests().into_iter().map(known_target) {
                    if target.resource != "c" && !target.namespace.is_empty() {
                        continue; // no such request: they are cluster-scoped
                    }
                    let is_crd = target.resource == "customresourcedefinitions" && target.group == "apiextensions.k8s.io";
                    for is_own in [false, is_crd] {
                        let refused = matched(&closed, target) && !(is_own && apart.meets_own);
                        let passes = matched(&open, target) && (is_own || !matched(&but, target));
                        prop_assert_eq!(refused || passes, matched(&united, target), "{:?} by {:?}", target, apart);
                        prop_assert!(!(refused && passes), "{target:?} by {apart:?}");
                        let kept = keeping.iter().any(|policy| policy.rules(target) == RuleMatch::Yes);
                        prop_assert!(!is_own || !refused, "{target:?} is our own");
                        if kept && !is_own && matched(&united, target) {
                            prop_assert!(refused, "{target:?} is kept by {apart:?}");
                        }
                    }
                }
            }
        }
    }
}
