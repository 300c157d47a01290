//! The list of the policies: what each matches, reads, looks up and may write,
//! its rules and its settings.

use std::io::{self, Write};

use portcullis_core::admit::Policy;
use portcullis_core::contract::{Lookup, MatchRule, Phase};
use portcullis_core::policy::ValidationAction;
use serde_json::{Value, json};

use super::palette::Palette;

/// Width of the names of a policy's parts.
const PART_WIDTH: usize = 9;

/// Writes the list for programs: an array of objects.
///
/// # Errors
/// Of the writer.
pub fn write_json<'p>(out: &mut impl Write, policies: impl Iterator<Item = &'p Policy>) -> io::Result<()> {
    let list: Vec<Value> = policies.map(as_json).collect();
    serde_json::to_writer_pretty(&mut *out, &list)?;
    writeln!(out)
}

/// Writes the list for people.
///
/// # Errors
/// Of the writer.
pub fn write_text<'p>(
    out: &mut impl Write,
    policies: impl Iterator<Item = &'p Policy>,
    palette: Palette,
) -> io::Result<()> {
    let mut count = 0;
    for policy in policies {
        if count > 0 {
            writeln!(out)?;
        }
        count += 1;
        write_policy(out, policy, palette)?;
    }
    if count == 0 {
        writeln!(out, "no policy is loaded")?;
    }
    Ok(())
}

fn as_json(policy: &Policy) -> Value {
    let spec = &policy.document.spec;
    let mut object = json!({
        "name": policy.document.id.to_string(),
        "module": spec.module,
        "digest": policy.digest,
        "validationActions": spec.validation_actions,
        "failurePolicy": spec.failure_policy,
        "onUndecided": spec.on_undecided,
        "order": spec.order,
        "timeout": format!("{}ms", spec.timeout.as_millis()),
        "memory": spec.memory,
        "settings": spec.settings,
        "match": spec.matching,
    });
    if let Some(description) = &policy.description {
        object["policy"] = json!(description.name);
        object["version"] = json!(description.version);
        object["title"] = json!(description.title);
        object["phase"] = json!(description.phase);
        object["matches"] = json!(description.reach.matches);
        object["reads"] = json!(description.reach.reads);
        object["lookups"] = json!(description.reach.lookups);
        object["writes"] = json!(description.reach.writes);
        object["rules"] = json!(description.rules);
        object["settingsSchema"] = description.settings.clone();
    }
    if let Err(reason) = &policy.evaluator {
        object["error"] = json!(reason);
    }
    object
}

fn write_policy(out: &mut impl Write, policy: &Policy, palette: Palette) -> io::Result<()> {
    let spec = &policy.document.spec;
    let Palette { bold, end, denied, .. } = palette;
    let actions: Vec<&str> = spec.validation_actions.iter().map(|action| action_name(*action)).collect();
    let phase = policy.description.as_ref().map_or("unknown", |description| match description.phase {
        Phase::Validating => "validating",
        Phase::Mutating => "mutating",
    });
    writeln!(
        out,
        "{bold}{}{end}  {phase}, {}, failurePolicy {:?}",
        policy.document.id,
        actions.join("+"),
        spec.failure_policy
    )?;
    if let Err(reason) = &policy.evaluator {
        writeln!(out, "  {denied}can't run:{end} {reason}")?;
    }
    let mut part = |name: &str, lines: Vec<String>| -> io::Result<()> {
        for (index, line) in lines.iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            writeln!(out, "  {name:<PART_WIDTH$}  {line}")?;
        }
        Ok(())
    };
    let Some(description) = &policy.description else { return part("module", vec![spec.module.clone()]) };
    let reach = &description.reach;
    part("title", vec![description.title.clone()])?;
    part("module", vec![format!("{} ({} {})", spec.module, description.name, description.version)])?;
    part("matches", matched(&reach.matches))?;
    part("reads", wrapped(reach.reads.iter().map(|read| kind_name(&read.api_version, &read.kind))))?;
    part("looks up", wrapped(looked_up(&reach.lookups)))?;
    let writes = reach
        .writes
        .iter()
        .flat_map(|write| write.pointers.iter().map(move |pointer| format!("{} {pointer}", write.kind)));
    part("may write", writes.collect())?;
    part(
        "rules",
        description
            .rules
            .iter()
            .map(|rule| format!("{} ({}): {}", rule.id, lower(&rule.severity), rule.title))
            .collect(),
    )?;
    let properties = description.settings.get("properties").and_then(Value::as_object);
    let settings = properties.into_iter().flatten().map(|(name, _)| match spec.settings.get(name) {
        Some(value) => format!("{name}: {value}"),
        None => name.clone(),
    });
    part("settings", wrapped(settings))
}

/// `CREATE, UPDATE of statefulsets.apps, deployments.apps`: one entry for each
/// set of operations.
fn matched(rules: &[MatchRule]) -> Vec<String> {
    let mut by_operations: Vec<(String, Vec<String>)> = Vec::new();
    for rule in rules {
        let operations = rule.operations.join(", ");
        let index = by_operations.iter().position(|(known, _)| *known == operations).unwrap_or_else(|| {
            by_operations.push((operations, Vec::new()));
            by_operations.len() - 1
        });
        by_operations[index].1.extend(resources(rule));
    }
    let lines = by_operations.into_iter().flat_map(|(operations, resources)| {
        let mut lines = wrapped(resources.into_iter());
        if let Some(first) = lines.first_mut() {
            first.insert_str(0, &format!("{operations} of "));
        }
        lines
    });
    lines.collect()
}

fn resources(rule: &MatchRule) -> impl Iterator<Item = String> {
    rule.resources.iter().flat_map(|resource| {
        rule.api_groups.iter().map(move |group| match (group.as_str(), resource.split_once('/')) {
            ("", _) => resource.clone(),
            (group, None) => format!("{resource}.{group}"),
            (group, Some((parent, subresource))) => format!("{parent}.{group}/{subresource}"),
        })
    })
}

/// Each kind once; optional where no look-up of it is needed.
fn looked_up(lookups: &[Lookup]) -> impl Iterator<Item = String> {
    let mut kinds: Vec<(String, bool)> = Vec::new();
    for lookup in lookups {
        let name = kind_name(&lookup.api_version, &lookup.kind);
        match kinds.iter_mut().find(|(known, _)| *known == name) {
            Some((_, optional)) => *optional &= lookup.optional,
            None => kinds.push((name, lookup.optional)),
        }
    }
    kinds.into_iter().map(|(name, optional)| if optional { format!("{name} (optional)") } else { name })
}

fn kind_name(api_version: &str, kind: &str) -> String {
    match api_version.split_once('/') {
        Some((group, _)) => format!("{kind}.{group}"),
        None => kind.to_owned(),
    }
}

/// Several names a line.
fn wrapped(names: impl Iterator<Item = String>) -> Vec<String> {
    const WIDTH: usize = 88;
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + name.len() + 2 <= WIDTH => {
                line.push_str(", ");
                line.push_str(&name);
            }
            _ => lines.push(name),
        }
    }
    lines
}

fn action_name(action: ValidationAction) -> &'static str {
    match action {
        ValidationAction::Deny => "Deny",
        ValidationAction::Warn => "Warn",
        ValidationAction::Audit => "Audit",
    }
}

fn lower(value: &impl serde::Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_owned()
}
