//! A run for people: what was found, where it stands, what would be right.
//!
//! ```text
//! denied[policy/rule]: message
//!   --> file:line:column (Kind namespace/name: path)
//!   help: what would be right
//! ```
//! Nothing is said of an object that passes without a finding. Text that comes
//! from a manifest can't move the cursor: control characters are shown escaped.

use std::fmt::Write as _;
use std::io::{self, Write};

use portcullis_core::contract::Level;
use portcullis_core::report::{FindingReport, ObjectIdentity, PolicyReport, Summary, Verdict};

use super::palette::Palette;
use crate::check::Judged;

/// Writes what is to say of one subject.
///
/// # Errors
/// Of the writer.
pub fn write_judged(out: &mut impl Write, judged: &Judged, palette: Palette) -> io::Result<()> {
    let object = named(&judged.report.object);
    let start = judged.document.start;
    let beginning = format!("{}:{start} ({object})", judged.document.source);
    for note in &judged.notes {
        entry(out, palette, Label::Warning, "", note, &beginning)?;
    }
    for policy in &judged.report.policies {
        write_policy(out, judged, policy, palette)?;
    }
    for warning in unattributed(judged) {
        entry(out, palette, Label::Warning, "", warning, &beginning)?;
    }
    if let Some(refusal) = &judged.refusal {
        entry(out, palette, Label::Denied, "", refusal, &beginning)?;
    }
    Ok(())
}

/// Writes the last line, and what helps with it.
///
/// # Errors
/// Of the writer.
pub fn write_summary(out: &mut impl Write, summary: &Summary, palette: Palette) -> io::Result<()> {
    let Summary { objects, allowed, denied, warned, undecided, errors } = *summary;
    let plural = if objects == 1 { "object" } else { "objects" };
    let mut line = format!("{objects} {plural} checked: {allowed} allowed, {denied} denied");
    for (count, word) in [(warned, "warned"), (undecided, "undecided"), (errors, "with a policy that failed")] {
        if count > 0 {
            let _ = write!(line, ", {count} {word}");
        }
    }
    writeln!(out, "{}{line}{}", palette.bold, palette.end)?;
    if undecided > 0 {
        let (start, end) = (palette.help, palette.end);
        writeln!(
            out,
            "{start}help:{end} `--cluster FILE|FOLDER` says what the cluster holds, `--complete` that this is all of it"
        )?;
    }
    Ok(())
}

/// What a line begins with.
#[derive(Debug, Clone, Copy)]
enum Label {
    Denied,
    DeniedUndecided,
    NotEnforced,
    Undecided,
    Warning,
    Error,
    IgnoredError,
}

impl Label {
    fn of(level: Level, enforced: bool) -> Label {
        match (level, enforced) {
            (Level::Deny, true) => Label::Denied,
            (Level::Deny, false) => Label::NotEnforced,
            (Level::Undecided, true) => Label::DeniedUndecided,
            (Level::Undecided, false) => Label::Undecided,
            (Level::Warn, _) => Label::Warning,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Label::Denied => "denied",
            Label::DeniedUndecided => "denied as undecided",
            Label::NotEnforced => "not enforced",
            Label::Undecided => "undecided",
            Label::Warning => "warning",
            Label::Error => "error",
            Label::IgnoredError => "error, ignored",
        }
    }

    fn colour(self, palette: Palette) -> &'static str {
        match self {
            Label::Denied | Label::DeniedUndecided | Label::Error => palette.denied,
            Label::NotEnforced | Label::Undecided | Label::Warning | Label::IgnoredError => palette.warned,
        }
    }
}

fn write_policy(out: &mut impl Write, judged: &Judged, policy: &PolicyReport, palette: Palette) -> io::Result<()> {
    let object = named(&judged.report.object);
    let beginning = format!("{}:{} ({object})", judged.document.source, judged.document.start);
    for finding in &policy.findings {
        // A policy may deny with some findings and only warn with others.
        let label = Label::of(finding.level, policy.enforced);
        let name = format!("{}/{}", policy.policy, finding.rule);
        let path = if finding.path.is_empty() { String::new() } else { format!(": {}", finding.path) };
        let position = judged.document.position_of(&finding.path);
        let place = format!("{}:{position} ({object}{path})", judged.document.source);
        entry(out, palette, label, &name, &finding.message, &place)?;
        write_fix(out, finding, palette)?;
    }
    if policy.verdict == Verdict::Error {
        let label = if policy.enforced { Label::Error } else { Label::IgnoredError };
        entry(out, palette, label, &policy.policy, policy.error.as_deref().unwrap_or("the policy failed"), &beginning)?;
    }
    if policy.verdict == Verdict::Undecided {
        if !policy.findings.iter().any(|finding| finding.level == Level::Undecided) {
            let label = Label::of(Level::Undecided, policy.enforced);
            entry(
                out,
                palette,
                label,
                &policy.policy,
                "something that it needs to know of the cluster is unknown",
                &beginning,
            )?;
        }
        for need in &policy.needs {
            line(out, palette.help, "needs", need, palette.end)?;
        }
    }
    Ok(())
}

fn write_fix(out: &mut impl Write, finding: &FindingReport, palette: Palette) -> io::Result<()> {
    if let Some(fix) = finding.fix.as_ref().filter(|fix| !fix.text.is_empty()) {
        line(out, palette.help, "help", &fix.text, palette.end)?;
    }
    if let Some(softened) = &finding.softened {
        line(out, palette.help, "note", &format!("a warning only: {softened}"), palette.end)?;
    }
    if !finding.url.is_empty() {
        line(out, palette.help, "see", &finding.url, palette.end)?;
    }
    Ok(())
}

fn entry(
    out: &mut impl Write,
    palette: Palette,
    label: Label,
    name: &str,
    message: &str,
    place: &str,
) -> io::Result<()> {
    let name = if name.is_empty() { String::new() } else { format!("[{}]", shown(name)) };
    writeln!(out, "{}{}{name}{}: {}", label.colour(palette), label.text(), palette.end, shown(message))?;
    writeln!(out, "  {}-->{} {}", palette.place, palette.end, shown(place))
}

fn line(out: &mut impl Write, colour: &str, word: &str, text: &str, end: &str) -> io::Result<()> {
    writeln!(out, "  {colour}{word}:{end} {}", shown(text))
}

/// Warnings that no policy's finding stands behind.
fn unattributed(judged: &Judged) -> impl Iterator<Item = &String> {
    let of_policy = |warning: &str| {
        judged
            .report
            .policies
            .iter()
            .any(|policy| warning.strip_prefix(&policy.policy).is_some_and(|rest| rest.starts_with(['/', ':'])))
    };
    judged.report.warnings.iter().filter(move |warning| !of_policy(warning) && !judged.notes.contains(warning))
}

fn named(object: &ObjectIdentity) -> String {
    let kind = if object.kind.is_empty() { "object" } else { &object.kind };
    let name = if object.name.is_empty() { "without a name" } else { &object.name };
    if object.namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {}/{name}", object.namespace) }
}

/// Line breaks keep to the text's indentation; other control characters are escaped.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            '\n' => shown.push_str("\n    "),
            character if character.is_control() => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}
