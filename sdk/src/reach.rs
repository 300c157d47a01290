//! What a policy matches, reads, looks up and writes: the part of its
//! description from which webhook rules, RBAC and watches are made.
//!
//! Matches and reads come from the policy's types; look-ups, writes and what
//! settings narrow or widen are said here.

use serde_json::{Value, json};

use crate::kind::{Kind, ObjectKind, Objects, Scope};
use crate::policy::Policy;
use crate::request::Operation;
use crate::view::{Tree, tree_of};

/// What a policy may see and do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The requests that it judges.
    pub matches: Vec<Match>,
    /// What it reads of their objects.
    pub reads: Vec<Read>,
    /// What it looks up in the cluster.
    pub lookups: Vec<Lookup>,
    /// What it may edit.
    pub writes: Vec<Write>,
}

/// Requests for one kind, as in a webhook rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// `apps/v1`; what stands before the slash is the group.
    pub api_version: String,
    /// The kind of the objects; empty where the requests carry another (`Scale`).
    pub kind: String,
    /// `pods`, `pods/ephemeralcontainers`.
    pub resources: Vec<String>,
    /// The operations.
    pub operations: Vec<Operation>,
    /// Where the objects live.
    pub scope: Scope,
}

/// What is read of one kind in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// `apps/v1`.
    pub api_version: String,
    /// `StatefulSet`.
    pub kind: String,
    /// What is read of the object.
    pub object: Tree,
    /// What is read of the object before the operation.
    pub old_object: Tree,
}

/// What is looked up of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// `storage.k8s.io/v1`.
    pub api_version: String,
    /// `StorageClass`.
    pub kind: String,
    /// What is read of it.
    pub fields: Tree,
    /// Among `get`, `list`, `count`.
    pub verbs: Vec<&'static str>,
    /// The paths by which it is found: `spec.volumeName`.
    pub keys: Vec<String>,
    /// Those that are kept at hand, in the API server's words.
    pub field_selector: Option<String>,
    /// Whether an unknown answer leaves the review decided.
    pub optional: bool,
}

/// What may be edited of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// `apps/v1`.
    pub api_version: String,
    /// `StatefulSet`.
    pub kind: String,
    /// JSON Pointers; a `*` stands for one index or key.
    pub pointers: Vec<String>,
}

impl Reach {
    /// All kinds of the policy's `Object`, in these operations, read as `Object` and `OldObject` say.
    #[must_use]
    pub fn of<P: Policy>(operations: &[Operation]) -> Self {
        let old = P::OldObject::kinds();
        let mut reach = Self { matches: Vec::new(), reads: Vec::new(), lookups: Vec::new(), writes: Vec::new() };
        for kind in P::Object::kinds() {
            reach.matches.extend(matches_of(&kind, operations));
            let old_object = old.iter().find(|old| old.api_version == kind.api_version && old.kind == kind.kind);
            reach.reads.push(Read {
                api_version: kind.api_version,
                kind: kind.kind,
                object: kind.tree,
                old_object: old_object.map_or(Tree::Nothing, |old| old.tree.clone()),
            });
        }
        reach
    }

    /// Also looks this up.
    #[must_use]
    pub fn lookup(mut self, lookup: Lookup) -> Self {
        self.lookups.push(lookup);
        self
    }

    /// May also edit at or below these JSON Pointers of a kind; `*` stands for one index or key.
    #[must_use]
    pub fn writes<K: Kind>(self, pointers: &[&str]) -> Self {
        self.writes_to(K::API_VERSION, K::KIND, pointers)
    }

    /// As `writes`, for a kind that has no type of its own (those of a `pod::Workload`).
    #[must_use]
    pub fn writes_to(mut self, api_version: &str, kind: &str, pointers: &[&str]) -> Self {
        self.writes.push(Write {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            pointers: pointers.iter().map(|&pointer| pointer.to_owned()).collect(),
        });
        self
    }

    /// Without a kind: neither matched nor read nor edited. For settings that switch it off.
    #[must_use]
    pub fn without(mut self, api_version: &str, kind: &str) -> Self {
        let same = |other_version: &str, other: &str| other_version == api_version && other == kind;
        self.matches.retain(|rule| !same(&rule.api_version, &rule.kind));
        self.reads.retain(|read| !same(&read.api_version, &read.kind));
        self.writes.retain(|write| !same(&write.api_version, &write.kind));
        self
    }

    /// The reach as the description carries it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "matches": rules(&self.matches),
            "reads": self.reads.iter().map(Read::to_json).collect::<Vec<_>>(),
            "lookups": self.lookups.iter().map(Lookup::to_json).collect::<Vec<_>>(),
            "writes": self.writes.iter().map(Write::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Match {
    /// Group and version.
    fn split(&self) -> (&str, &str) {
        self.api_version.split_once('/').unwrap_or(("", &self.api_version))
    }

    /// Whether it is about the same resources, in whatever version of their group.
    fn is_of_same_resources(&self, other: &Self) -> bool {
        self.split().0 == other.split().0
            && self.resources == other.resources
            && self.operations == other.operations
            && self.scope == other.scope
    }
}

/// One rule for all versions of a resource.
fn rules(matches: &[Match]) -> Vec<Value> {
    let mut rules: Vec<(&Match, Vec<&str>)> = Vec::new();
    for next in matches {
        let version = next.split().1;
        match rules.iter_mut().find(|(known, _)| known.is_of_same_resources(next)) {
            Some((_, versions)) => versions.push(version),
            None => rules.push((next, vec![version])),
        }
    }
    let rule = |(rule, versions): (&Match, Vec<&str>)| {
        json!({
            "apiGroups": [rule.split().0],
            "apiVersions": versions,
            "resources": rule.resources,
            "operations": rule.operations.iter().map(|operation| operation.as_str()).collect::<Vec<_>>(),
            "scope": rule.scope.as_str(),
        })
    };
    rules.into_iter().map(rule).collect()
}

impl Read {
    fn to_json(&self) -> Value {
        let mut read = json!({"apiVersion": self.api_version, "kind": self.kind});
        for (name, tree) in [("object", &self.object), ("oldObject", &self.old_object)] {
            if let Some(tree) = tree.to_json() {
                read[name] = tree;
            }
        }
        read
    }
}

impl Lookup {
    /// Looks up objects of `K`, as far as `K` reads them. Say with which verbs.
    #[must_use]
    pub fn of<K: Kind>() -> Self {
        Self {
            api_version: K::API_VERSION.to_owned(),
            kind: K::KIND.to_owned(),
            fields: tree_of::<K>(),
            verbs: Vec::new(),
            keys: Vec::new(),
            field_selector: None,
            optional: false,
        }
    }

    /// One object, by name.
    #[must_use]
    pub fn get(self) -> Self {
        self.verb("get")
    }

    /// Several objects.
    #[must_use]
    pub fn list(self) -> Self {
        self.verb("list")
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> Self {
        self.verb("count")
    }

    /// Finds them by the value at this path:
    /// `spec.template.spec.volumes[*].persistentVolumeClaim.claimName`.
    #[must_use]
    pub fn key(mut self, path: &str) -> Self {
        self.keys.push(path.to_owned());
        self
    }

    /// Nearly always one of these is looked for: `type=kubernetes.io/tls` of
    /// Secrets. The server needs to keep only them in memory; another one is
    /// found all the same, by asking the API server. For a kind that is only got,
    /// never listed. Which selectors a kind knows is in the API's documentation
    /// ("field selectors").
    #[must_use]
    pub fn mostly(mut self, field_selector: &str) -> Self {
        self.field_selector = Some(field_selector.to_owned());
        self
    }

    /// An unknown answer doesn't make the review undecided.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    fn verb(mut self, verb: &'static str) -> Self {
        if !self.verbs.contains(&verb) {
            self.verbs.push(verb);
        }
        self
    }

    fn to_json(&self) -> Value {
        let mut lookup = json!({
            "apiVersion": self.api_version,
            "kind": self.kind,
            "fields": self.fields.to_json().unwrap_or_else(|| json!({"fields": {}})),
            "verbs": self.verbs,
            "keys": self.keys,
            "optional": self.optional,
        });
        if let Some(selector) = &self.field_selector {
            lookup["fieldSelector"] = json!(selector);
        }
        lookup
    }
}

impl Write {
    fn to_json(&self) -> Value {
        json!({"apiVersion": self.api_version, "kind": self.kind, "pointers": self.pointers})
    }
}

/// One rule for the kind, and one for its subresources where they are asked about
/// an operation that subresources have: an existing object's UPDATE.
fn matches_of(kind: &ObjectKind, operations: &[Operation]) -> Vec<Match> {
    let rule = |resources: Vec<String>, operations: Vec<Operation>| Match {
        api_version: kind.api_version.clone(),
        kind: kind.kind.clone(),
        resources,
        operations,
        scope: kind.scope,
    };
    let mut rules = vec![rule(vec![kind.resource.clone()], operations.to_vec())];
    if !kind.subresources.is_empty() && operations.contains(&Operation::Update) {
        let resources =
            kind.subresources.iter().map(|subresource| format!("{}/{subresource}", kind.resource)).collect();
        rules.push(rule(resources, vec![Operation::Update]));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_names_a_selector_only_where_it_has_one() {
        let lookup = |field_selector: Option<&str>| Lookup {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            fields: Tree::Nothing,
            verbs: Vec::new(),
            keys: Vec::new(),
            field_selector: field_selector.map(str::to_owned),
            optional: false,
        };
        assert_eq!(lookup(None).to_json().get("fieldSelector"), None);
        let lookup = lookup(None).get().mostly("type=kubernetes.io/tls");
        assert_eq!(lookup.to_json()["fieldSelector"], "type=kubernetes.io/tls");
    }
}
