//! The list of the policies: a table for people, all there is to know for
//! programs. `wide` is the long form for people.

use std::io::{self, Write};

use portcullis_core::admit::Policy;
use portcullis_core::contract::{Phase, Severity};
use portcullis_core::policy::ValidationAction;
use portcullis_core::secret::looks_up_secrets;
use serde_json::{Value, json};

use super::layout::Layout;
use super::reach;
use crate::source::emit;

/// Resources that a row names before it counts the rest.
const NAMED_RESOURCES: usize = 3;
/// Spaces between columns.
const GAP: usize = 2;
/// The table's columns.
const COLUMNS: [&str; 5] = ["NAME", "PHASE", "ACTIONS", "JUDGES", "MODULE"];

/// Writes the list for programs: an array of objects.
///
/// # Errors
/// Of the writer.
pub fn write_json<'p>(out: &mut impl Write, policies: impl Iterator<Item = &'p Policy>) -> io::Result<()> {
    let list: Vec<Value> = policies.map(as_json).collect();
    serde_json::to_writer_pretty(&mut *out, &list)?;
    writeln!(out)
}

/// Writes the same list as YAML.
///
/// # Errors
/// Of the writer.
pub fn write_yaml<'p>(out: &mut impl Write, policies: impl Iterator<Item = &'p Policy>) -> io::Result<()> {
    let list: Vec<Value> = policies.map(as_json).collect();
    write!(out, "{}", emit::document(&Value::Array(list).to_string()))
}

/// Writes the list for people.
///
/// # Errors
/// Of the writer.
pub fn write_table<'p>(
    out: &mut impl Write,
    policies: impl Iterator<Item = &'p Policy>,
    layout: Layout,
) -> io::Result<()> {
    let policies: Vec<&Policy> = policies.collect();
    if policies.is_empty() {
        return writeln!(out, "no policy is loaded");
    }
    let rows: Vec<[String; COLUMNS.len()]> = policies.iter().map(|policy| row(policy)).collect();
    let mut widths = COLUMNS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let (bold, end, denied) = (layout.palette.bold, layout.palette.end, layout.palette.denied);
    writeln!(out, "{bold}{}{end}", line(&COLUMNS.map(str::to_owned), &widths))?;
    for (policy, row) in policies.iter().zip(&rows) {
        let line = line(row, &widths);
        let (name, rest) = line.split_at(row[0].len());
        writeln!(out, "{bold}{name}{end}{rest}")?;
        if let Some(description) = policy.description.as_ref().filter(|description| !description.title.is_empty()) {
            writeln!(out, "{}", layout.lines(&format!("  {}", description.title), "  ").join("\n"))?;
        }
        if let Err(reason) = &policy.evaluator {
            writeln!(out, "  {denied}can't run:{end} {reason}")?;
        }
    }
    if let Some(note) = secrets_note(&policies) {
        writeln!(out, "\n{}", layout.lines(&note, "").join("\n"))?;
    }
    let plural = if policies.len() == 1 { "policy" } else { "policies" };
    let hint = format!("\n{} {plural}; `portcullis explain NAME` says more of one, `--wide` of all", policies.len());
    writeln!(out, "{}", layout.lines(&hint, "").join("\n"))
}

/// Says whose look-ups let the server's account read Secrets, where any do.
pub(super) fn secrets_note(policies: &[&Policy]) -> Option<String> {
    let looks = |policy: &&&Policy| policy.description.as_ref().is_some_and(|described| looks_up_secrets(described));
    let names: Vec<String> = policies.iter().filter(looks).map(|policy| policy.document.id.to_string()).collect();
    let verb = if names.len() == 1 { "looks" } else { "look" };
    (!names.is_empty()).then(|| {
        format!(
            "note: {} {verb} Secrets up; in a cluster the server's service account then has to be allowed to read \
             Secrets, and whoever may list them may read their values",
            names.join(", ")
        )
    })
}

fn row(policy: &Policy) -> [String; COLUMNS.len()] {
    let judges = policy.description.as_ref().map(|description| {
        let names = reach::judged(&description.reach.matches);
        let first = names.iter().take(NAMED_RESOURCES).cloned().collect::<Vec<_>>().join(", ");
        match names.len().saturating_sub(NAMED_RESOURCES) {
            0 => first,
            more => format!("{first} +{more}"),
        }
    });
    [
        policy.document.id.to_string(),
        phase(policy).to_owned(),
        actions(policy),
        judges.unwrap_or_default(),
        policy.document.spec.module.clone(),
    ]
}

fn line(cells: &[String; COLUMNS.len()], widths: &[usize; COLUMNS.len()]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width + GAP - cell.chars().count()));
    }
    line.trim_end().to_owned()
}

/// All that is known of a policy.
pub fn as_json(policy: &Policy) -> Value {
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

/// `validating` or `mutating`.
pub fn phase(policy: &Policy) -> &'static str {
    policy.description.as_ref().map_or("unknown", |description| match description.phase {
        Phase::Validating => "validating",
        Phase::Mutating => "mutating",
    })
}

/// `Deny+Audit`.
pub fn actions(policy: &Policy) -> String {
    let actions = policy.document.spec.validation_actions.iter().map(|action| match action {
        ValidationAction::Deny => "Deny",
        ValidationAction::Warn => "Warn",
        ValidationAction::Audit => "Audit",
    });
    actions.collect::<Vec<_>>().join("+")
}

/// In lower case.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}
