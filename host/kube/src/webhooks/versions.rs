//! Which policies can share a webhook, and in which versions it asks for them.
//!
//! With `matchPolicy: Equivalent` the API server looks for a rule in the
//! request's own version first and converts only where there is none. Were a
//! webhook to name v1 for one policy and v2 for another, the first would be
//! asked about v2 objects that it can't read. So a webhook names for a resource
//! only versions that all of its policies read of it, and a policy that reads
//! none of those goes into the next webhook.
//!
//! Invariants, held by a property test: in every version that a webhook names,
//! each of its policies that looks at the request reads it; and of what a policy
//! matches, its webhook names at least one version.

use std::collections::{BTreeMap, BTreeSet};

use super::reach::{Atom, Part};

/// Which versions of a resource (group, plural) the cluster serves, where known.
pub type Served<'a> = dyn Fn(&str, &str) -> Option<Vec<String>> + Sync + 'a;

/// Policies that share a webhook.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// By their place in what was given.
    pub(super) policies: Vec<usize>,
    /// What is asked for, one entry a policy whose versions had to be compared;
    /// the first is of all that are in agreement everywhere.
    members: Vec<BTreeSet<Atom>>,
}

impl Shared {
    /// All that the webhook has to name.
    pub(super) fn atoms(&self) -> BTreeSet<Atom> {
        self.members.iter().flatten().cloned().collect()
    }
}

/// Distributes policies over as few webhooks as their versions allow, the same
/// for the same policies. Those without wildcards come first: a wildcard meets
/// many resources and agrees with few.
pub(super) fn share(reaches: &[BTreeSet<Atom>]) -> Vec<Shared> {
    let is_wild = |place: &usize| reaches.get(*place).is_some_and(|atoms| atoms.iter().any(Atom::is_wild));
    let (wild, exact): (Vec<usize>, Vec<usize>) = (0..reaches.len()).partition(is_wild);
    let contested = contested(exact.iter().filter_map(|place| reaches.get(*place)));
    let mut shared: Vec<Shared> = Vec::new();
    for (place, atoms) in exact.iter().chain(&wild).filter_map(|place| Some((*place, reaches.get(*place)?))) {
        let is_open = |atom: &&Atom| atom.is_wild() || contested.contains(&key(atom));
        let (open, settled): (BTreeSet<&Atom>, BTreeSet<&Atom>) =
            if is_wild(&place) { (atoms.iter().collect(), BTreeSet::new()) } else { atoms.iter().partition(is_open) };
        let open: BTreeSet<Atom> = open.into_iter().cloned().collect();
        let fitting = shared.iter_mut().find_map(|one| Some((with(&one.members, &open)?, one)));
        let one = match fitting {
            Some((members, one)) => {
                one.members = members;
                one
            }
            None => {
                shared.push(Shared { policies: Vec::new(), members: vec![BTreeSet::new(), open] });
                let Some(last) = shared.last_mut() else { continue };
                last
            }
        };
        one.policies.push(place);
        if let Some(agreed) = one.members.first_mut() {
            agreed.extend(settled.into_iter().cloned());
        }
    }
    for one in &mut shared {
        one.policies.sort_unstable();
    }
    shared
}

/// Leaves out versions that the cluster doesn't serve, where it serves one that
/// the policy reads: they could match nothing, and would part policies.
pub(super) fn served(atoms: BTreeSet<Atom>, served: &Served<'_>) -> BTreeSet<Atom> {
    let mut known: BTreeMap<(Part, Part), Option<Vec<String>>> = BTreeMap::new();
    let mut of = |atom: &Atom| {
        let (Part::One(group), Part::One(resource)) = (&atom.group, &atom.resource) else { return None };
        known.entry(key(atom)).or_insert_with(|| served(group, resource)).clone()
    };
    let is_served = |atom: &Atom, versions: &[String]| match &atom.version {
        Part::Any => true,
        Part::One(version) => versions.contains(version),
    };
    let keep: Vec<bool> = atoms
        .iter()
        .map(|atom| match of(atom) {
            None => true,
            Some(versions) => {
                let elsewhere = |other: &Atom| other.contains_but_version(atom) && is_served(other, &versions);
                is_served(atom, &versions) || !atoms.iter().any(elsewhere)
            }
        })
        .collect();
    atoms.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(atom, _)| atom).collect()
}

fn key(atom: &Atom) -> (Part, Part) {
    (atom.group.clone(), atom.resource.clone())
}

/// Resources that not all policies read in the very same versions.
fn contested<'a>(reaches: impl Iterator<Item = &'a BTreeSet<Atom>>) -> BTreeSet<(Part, Part)> {
    let mut agreed: BTreeMap<(Part, Part), BTreeSet<&Part>> = BTreeMap::new();
    let mut contested = BTreeSet::new();
    for atoms in reaches {
        let mut lines: BTreeMap<Atom, BTreeSet<&Part>> = BTreeMap::new();
        for atom in atoms {
            lines.entry(Atom { version: Part::Any, ..atom.clone() }).or_default().insert(&atom.version);
        }
        for (line, versions) in lines {
            let key = key(&line);
            if *agreed.entry(key.clone()).or_insert_with(|| versions.clone()) != versions {
                contested.insert(key);
            }
        }
    }
    contested
}

/// The members with one more, each in the versions that all can read; None
/// where there are none.
fn with(members: &[BTreeSet<Atom>], new: &BTreeSet<Atom>) -> Option<Vec<BTreeSet<Atom>>> {
    let mut all = members.to_vec();
    if new.is_empty() || all.contains(new) {
        return Some(all);
    }
    all.push(new.clone());
    // Each round takes versions away, so there are only so many.
    loop {
        let mut changed = false;
        for this in 0..all.len() {
            for that in 0..all.len() {
                let (Some(one), Some(other)) = (all.get(this), all.get(that)) else { continue };
                if this == that {
                    continue;
                }
                let restricted = restrict(one, other)?;
                if let Some(slot) = all.get_mut(this).filter(|slot| **slot != restricted) {
                    *slot = restricted;
                    changed = true;
                }
            }
        }
        if !changed {
            return Some(all);
        }
    }
}

/// What `these` ask for, in versions that `those` read where they look at the
/// same requests; None where that leaves something out.
fn restrict(these: &BTreeSet<Atom>, those: &BTreeSet<Atom>) -> Option<BTreeSet<Atom>> {
    let mut kept = BTreeSet::new();
    for atom in these {
        let meeting: Vec<(&Atom, Atom)> =
            those.iter().filter_map(|other| Some((other, atom.in_any_version(other)?))).collect();
        let read = |region: &Atom| meeting.iter().any(|(other, _)| other.contains(region));
        if meeting.iter().all(|(_, region)| read(region)) {
            kept.insert(atom.clone());
            continue;
        }
        // A part of an atom can't be taken out of it: it goes as a whole or stays.
        let around = |other: &&Atom| other.contains_but_version(atom);
        let common: Vec<Atom> = meeting
            .iter()
            .map(|(other, _)| *other)
            .filter(around)
            .filter_map(|other| atom.intersection(other))
            .collect();
        let elsewhere = || {
            let alike = these.iter().filter(around);
            alike
                .flat_map(|one| those.iter().filter(around).map(move |other| (one, other)))
                .any(|(one, other)| one.version.contains(&other.version) || other.version.contains(&one.version))
        };
        if common.is_empty() && !elsewhere() {
            return None;
        }
        kept.extend(common);
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use portcullis_core::contract::{MatchRule, Scope};
    use portcullis_core::matching::{Matcher, RuleMatch};
    use proptest::prelude::*;

    use super::super::reach::rules;
    use super::super::reach::tests::{any_rule, document, matched, matcher, requests, rule, shown};
    use super::*;

    fn atoms(rules: &[MatchRule]) -> BTreeSet<Atom> {
        rules.iter().flat_map(Atom::of).collect()
    }

    fn hpa(versions: &[&str]) -> BTreeSet<Atom> {
        atoms(&[rule("autoscaling", versions, &["hpa"], &["CREATE"], Scope::Any)])
    }

    fn check(reaches: &[BTreeSet<Atom>], expected: &[&str]) {
        let found: Vec<String> = share(reaches)
            .iter()
            .map(|one| {
                let rules: Vec<String> = rules(&one.atoms()).iter().map(shown).collect();
                format!("{:?} {}", one.policies, rules.join(" "))
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_webhook_names_versions_that_all_its_policies_read() {
        check(&[hpa(&["v1", "v2"]), hpa(&["v2"])], &["[0, 1] autoscaling|v2|hpa|CREATE|*"]);
        check(
            &[hpa(&["v1"]), hpa(&["v2"]), hpa(&["*"])],
            &["[0, 2] autoscaling|v1|hpa|CREATE|*", "[1] autoscaling|v2|hpa|CREATE|*"],
        );
        check(
            &[hpa(&["v1", "v2"]), hpa(&["v2", "v3"]), hpa(&["v1", "v3"])],
            &["[0, 1] autoscaling|v2|hpa|CREATE|*", "[2] autoscaling|v1,v3|hpa|CREATE|*"],
        );
        check(&[hpa(&["v1"]), hpa(&["v1"])], &["[0, 1] autoscaling|v1|hpa|CREATE|*"]);
    }

    #[test]
    fn other_operations_and_resources_don_t_part_policies() {
        let update = atoms(&[rule("autoscaling", &["v2"], &["hpa"], &["UPDATE"], Scope::Any)]);
        let pods = atoms(&[rule("", &["v1"], &["pods"], &["CREATE"], Scope::Any)]);
        check(
            &[hpa(&["v1"]), update, pods],
            &["[0, 1, 2] |v1|pods|CREATE|* autoscaling|v1|hpa|CREATE|* autoscaling|v2|hpa|UPDATE|*"],
        );
    }

    #[test]
    fn a_wildcard_that_can_t_be_restricted_has_its_own() {
        let all = atoms(&[rule("*", &["*"], &["*"], &["CREATE"], Scope::Any)]);
        check(&[all, hpa(&["v2"])], &["[1] autoscaling|v2|hpa|CREATE|*", "[0] *|*|*|CREATE|*"]);
    }

    #[test]
    fn versions_that_the_cluster_doesn_t_serve_part_nobody() {
        let cluster =
            |group: &str, resource: &str| (group == "autoscaling" && resource == "hpa").then(|| vec!["v2".to_owned()]);
        assert_eq!(served(hpa(&["v1", "v2"]), &cluster), hpa(&["v2"]));
        assert_eq!(served(hpa(&["v1"]), &cluster), hpa(&["v1"]), "nothing else is there to match");
        assert_eq!(served(hpa(&["*"]), &cluster), hpa(&["*"]));
    }

    proptest! {
        #[test]
        fn policies_of_a_webhook_read_what_it_sends_and_miss_nothing(
            policies in prop::collection::vec(prop::collection::vec(any_rule(), 1..3), 1..6)
        ) {
            let reaches: Vec<BTreeSet<Atom>> = policies.iter().map(|rules| atoms(rules)).collect();
            let matchers: Vec<Matcher> = policies
                .iter()
                .map(|rules| Matcher::new(&document("x", rules.clone()), None).unwrap())
                .collect();
            let webhooks = share(&reaches);
            let mut places: Vec<usize> = webhooks.iter().flat_map(|one| one.policies.clone()).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..policies.len()).collect::<Vec<_>>());
            for one in &webhooks {
                let rules = rules(&one.atoms());
                let united = matcher(&rules);
                for target in requests() {
                    let sent = matched(&united, target);
                    let in_some_version = ["v1", "v2", "v3", "v4"]
                        .iter()
                        .any(|version| matched(&united, portcullis_core::matching::Target { version, ..target }));
                    for place in &one.policies {
                        let found = matchers[*place].rules(target);
                        prop_assert!(!sent || !matches!(found, RuleMatch::OtherVersion(_)), "{target:?} by {rules:?}");
                        prop_assert!(found != RuleMatch::Yes || in_some_version, "{target:?} misses {rules:?}");
                    }
                }
            }
        }
    }
}
