//! The whole list of the policies: what each matches, reads, looks up and may
//! write, its rules and its settings.

use std::io::{self, Write};

use portcullis_core::admit::Policy;
use serde_json::Value;

use super::palette::Palette;
use super::policies::{actions, phase, secrets_note, severity};
use super::reach;

/// Width of the names of a policy's parts.
const PART_WIDTH: usize = 9;
/// Columns of a list of names.
const LIST_WIDTH: usize = 88;

/// Writes the list.
///
/// # Errors
/// Of the writer.
pub fn write<'p>(out: &mut impl Write, policies: impl Iterator<Item = &'p Policy>, palette: Palette) -> io::Result<()> {
    let policies: Vec<&Policy> = policies.collect();
    for (place, policy) in policies.iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        write_policy(out, policy, palette)?;
    }
    if policies.is_empty() {
        writeln!(out, "no policy is loaded")?;
    }
    match secrets_note(&policies) {
        Some(note) => writeln!(out, "\n{note}"),
        None => Ok(()),
    }
}

fn write_policy(out: &mut impl Write, policy: &Policy, palette: Palette) -> io::Result<()> {
    let spec = &policy.document.spec;
    let Palette { bold, end, denied, .. } = palette;
    let id = &policy.document.id;
    writeln!(out, "{bold}{id}{end}  {}, {}, failurePolicy {:?}", phase(policy), actions(policy), spec.failure_policy)?;
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
    let matched = reach::matched(&reach.matches).into_iter().flat_map(|(operations, resources)| {
        let mut lines = wrapped(resources.into_iter());
        if let Some(first) = lines.first_mut() {
            first.insert_str(0, &format!("{operations} of "));
        }
        lines
    });
    part("matches", matched.collect())?;
    part("reads", wrapped(reach::read(reach).into_iter()))?;
    part("looks up", wrapped(reach::looked_up(&reach.lookups).into_iter()))?;
    part("may write", reach::written(reach).into_iter().map(|(kind, pointer)| format!("{kind} {pointer}")).collect())?;
    let rules = description.rules.iter();
    part("rules", rules.map(|rule| format!("{} ({}): {}", rule.id, severity(rule.severity), rule.title)).collect())?;
    let properties = description.settings.get("properties").and_then(Value::as_object);
    let settings = properties.into_iter().flatten().map(|(name, _)| match spec.settings.get(name) {
        Some(value) => format!("{name}: {value}"),
        None => name.clone(),
    });
    part("settings", wrapped(settings))
}

/// Several names a line.
fn wrapped(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + name.len() + 2 <= LIST_WIDTH => {
                line.push_str(", ");
                line.push_str(&name);
            }
            _ => lines.push(name),
        }
    }
    lines
}
