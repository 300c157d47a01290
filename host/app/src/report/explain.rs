//! What a policy or a rule is for, for people at a terminal.

use std::io::{self, Write};

use portcullis_core::admit::Policy;
use portcullis_core::contract::{Description, Examples, Rule};

use super::layout::Layout;
use super::policies::{actions, phase, severity};
use super::{reach, settings};

/// Before what belongs to a heading.
const INDENT: &str = "  ";
/// Before an example's lines.
const EXAMPLE_INDENT: &str = "    ";

/// Writes what a policy is for.
///
/// # Errors
/// Of the writer.
pub fn write_policy(
    out: &mut impl Write,
    policy: &Policy,
    description: &Description,
    layout: Layout,
) -> io::Result<()> {
    let (bold, end) = (layout.palette.bold, layout.palette.end);
    let id = &policy.document.id;
    writeln!(
        out,
        "{bold}{id}{end} ({}, {}, {} {})",
        phase(policy),
        actions(policy),
        policy.document.spec.module,
        description.version
    )?;
    writeln!(out, "{}", layout.lines(&description.title, "").join("\n"))?;
    heading(out, "Rules", layout)?;
    for rule in &description.rules {
        let (help, warned) = (layout.palette.help, layout.palette.warned);
        writeln!(out, "{INDENT}{help}{}{end} ({warned}{}{end})", rule.id, severity(rule.severity))?;
        let reason = if rule.reason.is_empty() { String::new() } else { format!(". {}", rule.reason) };
        paragraph(out, &format!("{}{reason}", rule.title), EXAMPLE_INDENT, layout)?;
    }
    heading(out, "What it sees and does", layout)?;
    let reach = &description.reach;
    for (operations, resources) in reach::matched(&reach.matches) {
        paragraph(out, &format!("matches {operations} of {}", resources.join(", ")), INDENT, layout)?;
    }
    for (verb, names) in [("reads", reach::read(reach)), ("looks up", reach::looked_up(&reach.lookups))] {
        if !names.is_empty() {
            paragraph(out, &format!("{verb} {}", names.join(", ")), INDENT, layout)?;
        }
    }
    for (kind, pointer) in reach::written(reach) {
        paragraph(out, &format!("may write {kind} {pointer}"), INDENT, layout)?;
    }
    let rows = settings::rows(&description.settings);
    if !rows.is_empty() {
        heading(out, "Settings", layout)?;
    }
    for row in rows {
        let default = row.default.map(|default| format!(", default {default}")).unwrap_or_default();
        let set =
            policy.document.spec.settings.get(&row.name).map(|value| format!(", here {value}")).unwrap_or_default();
        writeln!(out, "{INDENT}{bold}{}{end} ({}{default}{set})", row.name, row.kind)?;
        if !row.description.is_empty() {
            paragraph(out, &row.description, EXAMPLE_INDENT, layout)?;
        }
    }
    let shown = description.rules.iter().find(|rule| rule.examples.is_some()).or(description.rules.first());
    match shown {
        Some(rule) => {
            let text =
                format!("\n`portcullis explain {id}/{}` shows what breaks a rule and how to satisfy it", rule.id);
            writeln!(out, "{}", layout.lines(&text, "").join("\n"))
        }
        None => Ok(()),
    }
}

/// Writes what a rule is for.
///
/// # Errors
/// Of the writer.
pub fn write_rule(out: &mut impl Write, policy: &Policy, rule: &Rule, layout: Layout) -> io::Result<()> {
    let (bold, end, warned) = (layout.palette.bold, layout.palette.end, layout.palette.warned);
    writeln!(out, "{bold}{}/{}{end} ({warned}{}{end})", policy.document.id, rule.id, severity(rule.severity))?;
    writeln!(out, "{}", layout.lines(&rule.title, "").join("\n"))?;
    for (title, text) in [("Why", &rule.reason), ("How to satisfy it", &rule.remedy)] {
        if !text.is_empty() {
            heading(out, title, layout)?;
            paragraph(out, text, INDENT, layout)?;
        }
    }
    if let Some(Examples { bad, good, settings, old }) = &rule.examples {
        for (title, text) in [
            ("With these settings", settings.as_deref().unwrap_or_default()),
            ("Updated from", old.as_deref().unwrap_or_default()),
            ("Bad", bad),
            ("Good", good),
        ] {
            if !text.is_empty() {
                heading(out, title, layout)?;
                for line in text.trim_end().lines() {
                    writeln!(out, "{}", format!("{EXAMPLE_INDENT}{line}").trim_end())?;
                }
            }
        }
    }
    if !rule.url.is_empty() {
        heading(out, "See", layout)?;
        writeln!(out, "{INDENT}{}", rule.url)?;
    }
    Ok(())
}

fn heading(out: &mut impl Write, title: &str, layout: Layout) -> io::Result<()> {
    writeln!(out, "\n{}{title}{}", layout.palette.bold, layout.palette.end)
}

fn paragraph(out: &mut impl Write, text: &str, indent: &str, layout: Layout) -> io::Result<()> {
    let lines = layout.lines(&format!("{indent}{text}"), indent);
    writeln!(out, "{}", lines.join("\n"))
}
