//! A policy's reach in words: what it matches, reads, looks up and may write.

use portcullis_core::contract::{Lookup, MatchRule, Reach};

/// Requests by their operations, in order: `CREATE, UPDATE` and the resources.
pub fn matched(rules: &[MatchRule]) -> Vec<(String, Vec<String>)> {
    let mut by_operations: Vec<(String, Vec<String>)> = Vec::new();
    for rule in rules {
        let operations = rule.operations.join(", ");
        let index = by_operations.iter().position(|(known, _)| *known == operations).unwrap_or_else(|| {
            by_operations.push((operations, Vec::new()));
            by_operations.len() - 1
        });
        for resource in resources(rule) {
            if !by_operations[index].1.contains(&resource) {
                by_operations[index].1.push(resource);
            }
        }
    }
    by_operations
}

/// `statefulsets.apps`, `pods/ephemeralcontainers`.
fn resources(rule: &MatchRule) -> impl Iterator<Item = String> {
    rule.resources.iter().flat_map(|resource| {
        rule.api_groups.iter().map(move |group| match (group.as_str(), resource.split_once('/')) {
            ("", _) => resource.clone(),
            (group, None) => format!("{resource}.{group}"),
            (group, Some((parent, subresource))) => format!("{parent}.{group}/{subresource}"),
        })
    })
}

/// The resources without their groups, each once: what a policy is about, in short.
pub fn judged(rules: &[MatchRule]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for resource in rules.iter().flat_map(|rule| &rule.resources) {
        let name = resource.split('/').next().unwrap_or(resource);
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Kinds whose objects are read, each once.
pub fn read(reach: &Reach) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for read in &reach.reads {
        let name = kind_name(&read.api_version, &read.kind);
        if !kinds.contains(&name) {
            kinds.push(name);
        }
    }
    kinds
}

/// Each kind that is looked up once; optional where no look-up of it is needed.
pub fn looked_up(lookups: &[Lookup]) -> Vec<String> {
    let mut kinds: Vec<(String, bool)> = Vec::new();
    for lookup in lookups {
        let name = kind_name(&lookup.api_version, &lookup.kind);
        match kinds.iter_mut().find(|(known, _)| *known == name) {
            Some((_, optional)) => *optional &= lookup.optional,
            None => kinds.push((name, lookup.optional)),
        }
    }
    let named = kinds.into_iter().map(|(name, optional)| if optional { format!("{name} (optional)") } else { name });
    named.collect()
}

/// `StatefulSet /spec/volumeClaimTemplates/*/spec/storageClassName`.
pub fn written(reach: &Reach) -> Vec<(String, String)> {
    let of_kind = |write: &portcullis_core::contract::Write| {
        let kind = kind_name(&write.api_version, &write.kind);
        write.pointers.iter().map(|pointer| (kind.clone(), pointer.clone())).collect::<Vec<_>>()
    };
    reach.writes.iter().flat_map(of_kind).collect()
}

fn kind_name(api_version: &str, kind: &str) -> String {
    match api_version.split_once('/') {
        Some((group, _)) => format!("{kind}.{group}"),
        None => kind.to_owned(),
    }
}
