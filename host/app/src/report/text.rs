//! A run for people: what was found, the line where it stands, why that matters,
//! what would be right.
//!
//! ```text
//! denied[policy/rule]: message
//!   --> file:line:column (Kind namespace/name)
//!    |
//! 24 |       storageClassName: local
//!    |                         ^^^^^ spec.volumeClaimTemplates[0].spec.storageClassName
//!    = why: one sentence, once a run
//!    = help: what would be right
//!    = see: https://…
//! ```
//! Nothing is said of an object that passes without a finding. What is the same
//! of several objects is said once, with the places. Text that comes from a
//! manifest can't move the cursor.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Write};

use portcullis_core::edit::Pointer;
use portcullis_core::report::Summary;

use super::Run;
use super::entry::{Entry, Label, entries, named};
use super::layout::{Layout, shown};
use super::rules::Rules;
use super::snippet;
use super::spot::Spotter;

/// Places of one finding that are named before the rest is counted.
const MAX_PLACES: usize = 8;

/// Writes all that there is to say of a run, and its summary.
///
/// # Errors
/// Of the writer.
pub fn write(out: &mut impl Write, run: &Run<'_>, layout: Layout) -> io::Result<()> {
    let mut spotter = Spotter::default();
    let entries: Vec<Entry<'_>> = run.judged.iter().flat_map(|judged| entries(judged, &mut spotter)).collect();
    let groups = groups(&entries);
    let mut explained = HashSet::new();
    for group in &groups {
        write_group(out, &entries, group, &run.rules, &mut explained, layout)?;
        writeln!(out)?;
    }
    // Where nothing could be judged, standard error has said why.
    if run.judged.is_empty() {
        return Ok(());
    }
    let fixable = entries.iter().filter(|entry| entry.fix.is_some_and(|fix| !fix.edits.is_empty())).count();
    write_summary(out, &run.summary(), fixable, layout)
}

/// Writes the last line, and what helps with it.
fn write_summary(out: &mut impl Write, summary: &Summary, fixable: usize, layout: Layout) -> io::Result<()> {
    let Summary { objects, allowed, denied, warned, undecided, errors } = *summary;
    let plural = if objects == 1 { "object" } else { "objects" };
    let mut line = format!("{objects} {plural} checked: {allowed} allowed, {denied} denied");
    for (count, word) in [(warned, "warned"), (undecided, "undecided"), (errors, "with a policy that failed")] {
        if count > 0 {
            let _ = write!(line, ", {count} {word}");
        }
    }
    writeln!(out, "{}{line}{}", layout.palette.bold, layout.palette.end)?;
    let mut help = |text: &str| {
        let lines = layout.lines(&format!("help: {text}"), "      ");
        let lines =
            lines.join("\n").replacen("help:", &format!("{}help:{}", layout.palette.help, layout.palette.end), 1);
        writeln!(out, "{lines}")
    };
    if fixable > 0 {
        let findings = if fixable == 1 { "finding" } else { "findings" };
        help(&format!("{fixable} {findings} can be put right with `--fix` (`--fix --diff` shows how)"))?;
    }
    if undecided > 0 {
        help("`--cluster FILE|FOLDER` says what the cluster holds, `--complete` that this is all of it")?;
    }
    Ok(())
}

/// Entries that say the same, in the order of their first.
fn groups(entries: &[Entry<'_>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let help = entry.fix.map(|fix| fix.text.as_str());
        let said = (entry.label, entry.policy, entry.rule, entry.message, help, entry.softened, entry.needs);
        let group = *known.entry(said).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(index);
    }
    groups
}

fn write_group<'e>(
    out: &mut impl Write,
    entries: &'e [Entry<'_>],
    group: &[usize],
    rules: &Rules<'_>,
    explained: &mut HashSet<(&'e str, &'e str)>,
    layout: Layout,
) -> io::Result<()> {
    let [first, others @ ..] = group else { return Ok(()) };
    let entry = &entries[*first];
    write_header(out, entry, layout)?;
    let gutter = " ".repeat(snippet::gutter(&entry.spot));
    let (place, end) = (layout.palette.place, layout.palette.end);
    let has_line = entry.spot.line.is_some() && entry.has_place;
    writeln!(out, "{gutter}{place}-->{end} {}", placed(entry, !has_line))?;
    if has_line {
        let fix = entry.fix.map(|fix| fix.text.as_str()).unwrap_or_default();
        let texts = [entry.message, entry.value, entry.subject, fix];
        snippet::write(out, &entry.spot, &shown(entry.path), &texts, layout)?;
    }
    for other in others.iter().take(MAX_PLACES) {
        let other = &entries[*other];
        writeln!(out, "{gutter}{place}-->{end} {}", placed(other, !has_line || other.path != entry.path))?;
    }
    if others.len() > MAX_PLACES {
        writeln!(out, "{gutter}{place}-->{end} and {} more places", others.len() - MAX_PLACES)?;
    }
    let mut note = |word: &str, text: &str| -> io::Result<()> {
        let lines = layout.lines(&format!("{gutter} = {word}: {}", shown(text)), &format!("{gutter}     "));
        let coloured = format!("{gutter} {place}={end} {}{word}:{end}", layout.palette.help);
        writeln!(out, "{}", lines.join("\n").replacen(&format!("{gutter} = {word}:"), &coloured, 1))
    };
    let rule = rules.find(entry.policy, entry.rule);
    let says_why = matches!(entry.label, Label::Denied | Label::NotEnforced | Label::Warning);
    if let Some(rule) = rule.filter(|rule| says_why && !rule.reason.is_empty()) {
        if explained.insert((entry.policy, entry.rule)) {
            note("why", &rule.reason)?;
        }
    }
    if let Some(fix) = entry.fix.filter(|fix| !fix.text.is_empty()) {
        note("help", &fix.text)?;
    }
    if !entry.path.is_empty() && entry.judged.defaulted.iter().any(|field| path_of(field) == entry.path) {
        note("note", "nobody has set this field; it is what the API server fills in")?;
    }
    if let Some(softened) = entry.softened {
        note("note", &format!("a warning only: {softened}"))?;
    }
    for need in entry.needs {
        note("needs", need)?;
    }
    if !entry.url.is_empty() {
        note("see", entry.url)?;
    }
    Ok(())
}

fn write_header(out: &mut impl Write, entry: &Entry<'_>, layout: Layout) -> io::Result<()> {
    let name = shown(&entry.name());
    let name = if name.is_empty() { name } else { format!("[{name}]") };
    let head = format!("{}{name}:", entry.label.text());
    let palette = layout.palette;
    let colour = if entry.label.stops() { palette.denied } else { palette.warned };
    let coloured = format!("{colour}{}{name}{}:", entry.label.text(), palette.end);
    let lines = layout.lines(&format!("{head} {}", shown(entry.message)), "    ");
    writeln!(out, "{}", lines.join("\n").replacen(&head, &coloured, 1))
}

/// `file:line:column (Kind namespace/name)`, with the field where no line shows it.
fn placed(entry: &Entry<'_>, with_path: bool) -> String {
    let path = if entry.path.is_empty() || !with_path { String::new() } else { format!(": {}", entry.path) };
    let object = named(&entry.judged.report.object);
    // One line, whatever names hold.
    shown(&format!("{}:{} ({object}{path})", entry.judged.document.source, entry.spot.start)).replace('\n', "\\n")
}

/// A pointer in Kubernetes' style: `spec.ports[0].protocol`.
fn path_of(pointer: &Pointer) -> String {
    let mut path = String::new();
    for segment in pointer.segments() {
        if segment.bytes().all(|byte| byte.is_ascii_digit()) {
            let _ = write!(path, "[{segment}]");
        } else {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(segment);
        }
    }
    path
}
