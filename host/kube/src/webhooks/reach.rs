//! What policies match, as an algebra: a rule is taken apart into [`Atom`]s, each
//! a product of words and wildcards, which can be intersected and compared, and
//! put together again into as few rules as say the same.
//!
//! Invariant, held by a property test: the rules made of some policies match a
//! request exactly where one of the policies does.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::admissionregistration::v1::RuleWithOperations;
use portcullis_core::contract::{Description, MatchRule, Operation, Scope};
use portcullis_core::matching::VITAL_RESOURCES;
use portcullis_core::policy::PolicyDocument;

/// Of [`VITAL_RESOURCES`], those that an administrator may have judged after
/// all: without them a cluster goes on, and the engine can still be removed,
/// because webhook configurations can always be deleted.
const ON_DEMAND: [(&str, &str); 2] = [("", "namespaces"), ("apiextensions.k8s.io", "*")];

/// A subresource that no rule may name either: without a token no Pod starts,
/// and none that runs keeps its own (TokenRequest, the sibling of TokenReview).
pub(super) const TOKENS: (&str, &str, &str) = ("", "serviceaccounts", "token");

/// The operations that `*` stands for.
pub(super) const OPERATIONS: [Operation; 4] =
    [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect];

/// `*` or one word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Every word.
    Any,
    /// This one.
    One(String),
}

/// Requests that one line of a rule names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Atom {
    pub(super) group: Part,
    pub(super) resource: Part,
    /// The empty word is no subresource.
    pub(super) subresource: Part,
    /// Its place in [`OPERATIONS`].
    pub(super) operation: u8,
    /// None: wherever it lives.
    pub(super) namespaced: Option<bool>,
    pub(super) version: Part,
}

/// What one policy matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// These requests.
    Atoms(BTreeSet<Atom>),
    /// Nothing says what: all but what the cluster lives on.
    Unknown,
}

impl Part {
    fn of(word: &str) -> Part {
        if word == "*" { Part::Any } else { Part::One(word.to_owned()) }
    }

    pub(super) fn contains(&self, other: &Part) -> bool {
        *self == Part::Any || self == other
    }

    fn intersection(&self, other: &Part) -> Option<Part> {
        if self.contains(other) {
            Some(other.clone())
        } else if other.contains(self) {
            Some(self.clone())
        } else {
            None
        }
    }

    fn word(&self) -> &str {
        match self {
            Part::Any => "*",
            Part::One(word) => word,
        }
    }
}

impl Atom {
    /// A rule's atoms. What names nothing (an empty version or resource) is none.
    pub(super) fn of(rule: &MatchRule) -> BTreeSet<Atom> {
        let namespaced = match rule.scope {
            Scope::Any => None,
            Scope::Cluster => Some(false),
            Scope::Namespaced => Some(true),
        };
        let every = rule.operations.iter().any(|operation| operation == "*");
        let named = |operation: &&Operation| every || rule.operations.iter().any(|name| name == operation.as_str());
        let operations: Vec<u8> = (0u8..).zip(&OPERATIONS).filter(|(_, one)| named(one)).map(|(bit, _)| bit).collect();
        let mut atoms = BTreeSet::new();
        for resource in rule.resources.iter().filter(|resource| !resource.is_empty()) {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            for group in &rule.api_groups {
                for version in rule.api_versions.iter().filter(|version| !version.is_empty()) {
                    atoms.extend(operations.iter().map(|operation| Atom {
                        group: Part::of(group),
                        resource: Part::of(resource),
                        subresource: Part::of(subresource),
                        operation: *operation,
                        namespaced,
                        version: Part::of(version),
                    }));
                }
            }
        }
        atoms
    }

    /// The requests that both name.
    pub(super) fn intersection(&self, other: &Atom) -> Option<Atom> {
        let version = self.version.intersection(&other.version)?;
        Some(Atom { version, ..self.in_any_version(other)? })
    }

    /// The requests that both name but for the version, in the version of `self`.
    pub(super) fn in_any_version(&self, other: &Atom) -> Option<Atom> {
        let namespaced = match (self.namespaced, other.namespaced) {
            (Some(this), Some(that)) if this != that => return None,
            (this, that) => this.or(that),
        };
        if self.operation != other.operation {
            return None;
        }
        Some(Atom {
            group: self.group.intersection(&other.group)?,
            resource: self.resource.intersection(&other.resource)?,
            subresource: self.subresource.intersection(&other.subresource)?,
            operation: self.operation,
            namespaced,
            version: self.version.clone(),
        })
    }

    /// Whether this names all that the other names, whatever the versions.
    pub(super) fn contains_but_version(&self, other: &Atom) -> bool {
        self.group.contains(&other.group)
            && self.resource.contains(&other.resource)
            && self.subresource.contains(&other.subresource)
            && self.operation == other.operation
            && (self.namespaced.is_none() || self.namespaced == other.namespaced)
    }

    pub(super) fn contains(&self, other: &Atom) -> bool {
        self.version.contains(&other.version) && self.contains_but_version(other)
    }

    /// Whether it names groups or resources by a wildcard.
    pub(super) fn is_wild(&self) -> bool {
        self.group == Part::Any || self.resource == Part::Any
    }

    /// Whether it names every resource, of every group or of the core's.
    pub(super) fn is_everything(&self) -> bool {
        self.resource == Part::Any
            && (self.group == Part::Any || self.group == Part::One(String::new()))
            && (self.subresource == Part::Any || self.subresource == Part::One(String::new()))
    }

    pub(super) fn in_namespaces(&self) -> Option<Atom> {
        match self.namespaced {
            Some(false) => None,
            _ => Some(Atom { namespaced: Some(true), ..self.clone() }),
        }
    }

    fn resources(&self) -> String {
        match (self.resource.word(), self.subresource.word()) {
            (resource, "") => resource.to_owned(),
            (resource, subresource) => format!("{resource}/{subresource}"),
        }
    }
}

impl Reach {
    /// What a policy matches: what it declares under its settings, narrowed by
    /// its document, as `core::matching::Matcher` reads both.
    pub(super) fn of(document: &PolicyDocument, description: Option<&Description>) -> Reach {
        let union = |rules: &[MatchRule]| rules.iter().flat_map(Atom::of).collect::<BTreeSet<Atom>>();
        let declared = description.map_or(&[][..], |description| &description.reach.matches);
        let narrowed = &document.spec.matching.resource_rules;
        match (declared.is_empty(), narrowed.is_empty()) {
            (true, true) => Reach::Unknown,
            (true, false) => Reach::Atoms(union(narrowed)),
            (false, true) => Reach::Atoms(union(declared)),
            (false, false) => Reach::Atoms(intersection(&union(declared), &union(narrowed))),
        }
    }
}

/// Every request, for a policy of unknown reach.
pub(super) fn everything() -> BTreeSet<Atom> {
    Atom::of(&MatchRule {
        api_groups: vec!["*".to_owned()],
        api_versions: vec!["*".to_owned()],
        resources: vec!["*/*".to_owned()],
        operations: vec!["*".to_owned()],
        scope: Scope::Any,
    })
}

/// The requests that both name.
fn intersection(these: &BTreeSet<Atom>, those: &BTreeSet<Atom>) -> BTreeSet<Atom> {
    these.iter().flat_map(|this| those.iter().filter_map(|that| this.intersection(that))).collect()
}

/// The groups and resources that no rule may name: without them nodes,
/// controllers or the engine itself would not go on while it doesn't answer.
pub(super) fn never() -> impl Iterator<Item = (&'static str, &'static str)> {
    VITAL_RESOURCES.into_iter().filter(|vital| !ON_DEMAND.contains(vital))
}

/// Whether an atom names only what no rule may name.
pub(super) fn is_never(atom: &Atom) -> bool {
    let is = |part: &Part, word: &str| *part == Part::One(word.to_owned());
    let (group, resource, subresource) = TOKENS;
    (is(&atom.group, group) && is(&atom.resource, resource) && is(&atom.subresource, subresource))
        || never().any(|(group, resource)| Part::of(resource).contains(&atom.resource) && is(&atom.group, group))
}

/// Whether an atom names requests for tokens among others.
pub(super) fn meets_tokens(atom: &Atom) -> bool {
    let (group, resource, subresource) = TOKENS;
    atom.group.contains(&Part::of(group))
        && atom.resource.contains(&Part::of(resource))
        && atom.subresource.contains(&Part::of(subresource))
        && atom.namespaced != Some(false)
}

/// As few rules as say the same, in an order that depends on nothing but what
/// they say.
pub(super) fn rules(atoms: &BTreeSet<Atom>) -> Vec<RuleWithOperations> {
    let minimal: BTreeSet<&Atom> = {
        let wide: Vec<&Atom> = atoms
            .iter()
            .filter(|atom| {
                atom.is_wild()
                    || atom.subresource == Part::Any
                    || atom.version == Part::Any
                    || atom.namespaced.is_none()
            })
            .collect();
        atoms.iter().filter(|atom| !wide.iter().any(|other| other != atom && other.contains(atom))).collect()
    };
    // Each step joins what differs in one part alone, which is exact for products.
    let scopes = join(
        minimal.iter().map(|atom| ((&atom.group, &atom.version, atom.resources(), atom.operation), atom.namespaced)),
    );
    let scopes = scopes.into_iter().flat_map(|(key, scopes)| {
        let both = scopes.contains(&Some(true)) && scopes.contains(&Some(false));
        let scopes = if both { BTreeSet::from([None]) } else { scopes };
        scopes.into_iter().map(move |scope| (key.clone(), scope))
    });
    let operations = join(
        scopes.map(|((group, version, resource, operation), scope)| ((group, version, resource, scope), operation)),
    );
    let versions = join(
        operations
            .into_iter()
            .map(|((group, version, resource, scope), operations)| ((group, resource, scope, operations), version)),
    );
    let resources = join(
        versions
            .into_iter()
            .map(|((group, resource, scope, operations), versions)| ((group, versions, scope, operations), resource)),
    );
    let groups =
        join(resources.into_iter().map(|((group, versions, scope, operations), resources)| {
            ((resources, versions, scope, operations), group)
        }));
    let mut rules: Vec<RuleWithOperations> = groups
        .into_iter()
        .map(|((resources, versions, scope, operations), groups)| RuleWithOperations {
            api_groups: Some(groups.into_iter().map(|group| group.word().to_owned()).collect()),
            api_versions: Some(versions.into_iter().map(|version| version.word().to_owned()).collect()),
            resources: Some(resources.into_iter().collect()),
            operations: Some(operation_names(&operations)),
            scope: Some(scope_name(scope).to_owned()),
        })
        .collect();
    rules.sort_by(|one, other| (&one.api_groups, &one.resources).cmp(&(&other.api_groups, &other.resources)));
    rules
}

fn join<K: Ord, V: Ord>(pairs: impl Iterator<Item = (K, V)>) -> BTreeMap<K, BTreeSet<V>> {
    let mut joined: BTreeMap<K, BTreeSet<V>> = BTreeMap::new();
    for (key, value) in pairs {
        joined.entry(key).or_default().insert(value);
    }
    joined
}

fn operation_names(operations: &BTreeSet<u8>) -> Vec<String> {
    if operations.len() == OPERATIONS.len() {
        return vec!["*".to_owned()];
    }
    let named = |bit: &u8| OPERATIONS.get(usize::from(*bit)).map(|operation| operation.as_str().to_owned());
    operations.iter().filter_map(named).collect()
}

fn scope_name(namespaced: Option<bool>) -> &'static str {
    match namespaced {
        None => "*",
        Some(true) => "Namespaced",
        Some(false) => "Cluster",
    }
}

#[cfg(test)]
pub(super) mod tests;
