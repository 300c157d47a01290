//! What becomes of objects: as they would be admitted, and how that differs
//! from what was written; and what fixing changes in files.
//!
//! In differences the values of Secrets are hidden, as `kubectl diff` hides
//! them; whole objects are printed as they are, for another program to take.

use std::io::{self, Write};

use serde_json::Value;
use similar::TextDiff;

use super::entry::named;
use super::layout::{Layout, is_unsafe};
use crate::check::Judged;
use crate::fix::{FileChange, Plan};
use crate::source::{Tree, emit};

/// Lines around a change.
const CONTEXT_LINES: usize = 3;
/// What stands for a Secret's value.
const HIDDEN: &str = "***";

/// Writes the admitted objects as YAML documents.
///
/// # Errors
/// Of the writer.
pub fn write_patched_yaml(out: &mut impl Write, judged: &[Judged]) -> io::Result<()> {
    for (index, object) in judged.iter().filter_map(|judged| judged.admitted.as_deref()).enumerate() {
        if index > 0 {
            writeln!(out, "---")?;
        }
        write!(out, "{}", emit::document(object))?;
    }
    Ok(())
}

/// Writes the admitted objects as one List in JSON.
///
/// # Errors
/// Of the writer.
pub fn write_patched_json(out: &mut impl Write, judged: &[Judged]) -> io::Result<()> {
    let objects = judged.iter().filter_map(|judged| judged.admitted.as_deref());
    write!(out, "{{\n\"apiVersion\": \"v1\",\n\"kind\": \"List\",\n\"items\": [")?;
    for (index, object) in objects.enumerate() {
        write!(out, "{}\n{object}", if index > 0 { "," } else { "" })?;
    }
    writeln!(out, "\n]\n}}")
}

/// Writes how the admitted objects differ from what was written.
///
/// # Errors
/// Of the writer.
pub fn write_diff(out: &mut impl Write, judged: &[Judged], layout: Layout) -> io::Result<()> {
    for judged in judged {
        let Some(admitted) = &judged.admitted else { continue };
        let (before, after) =
            (emit::document(&without_secrets(&judged.written)), emit::document(&without_secrets(admitted)));
        let place = format!("{}:{}", judged.document.source, judged.document.start.line);
        let object = named(&judged.report.object);
        write_unified(
            out,
            &before,
            &after,
            &format!("{place} ({object})"),
            &format!("{place} ({object}, as admitted)"),
            layout,
        )?;
    }
    Ok(())
}

/// Writes what fixing would change in files.
///
/// # Errors
/// Of the writer.
pub fn write_file_diff(out: &mut impl Write, changes: &[FileChange], layout: Layout) -> io::Result<()> {
    for FileChange { source, before, after } in changes {
        let (before, after) = (hide_in_text(before), hide_in_text(after));
        let name = if source == "-" { "stdin" } else { source };
        write_unified(out, &before, &after, &format!("a/{name}"), &format!("b/{name}"), layout)?;
    }
    Ok(())
}

/// Writes what was put right and what was not.
///
/// # Errors
/// Of the writer.
pub fn write_plan(
    out: &mut impl Write,
    plan: &Plan,
    written: &[String],
    dry: Option<&str>,
    layout: Layout,
) -> io::Result<()> {
    let palette = layout.palette;
    for (label, colour, outcomes) in [("fixed", palette.help, &plan.done), ("not fixed", palette.warned, &plan.skipped)]
    {
        for outcome in outcomes {
            let label = dry.filter(|_| label == "fixed").unwrap_or(label);
            let head = format!("{label}[{}]:", outcome.name);
            let text = super::layout::shown(&outcome.text);
            writeln!(
                out,
                "{}",
                layout.lines(&format!("{head} {text}"), "    ").join("\n").replacen(
                    label,
                    &format!("{colour}{label}{}", palette.end),
                    1
                )
            )?;
            writeln!(
                out,
                "  {}-->{} {}:{} ({})",
                palette.place, palette.end, outcome.source, outcome.position, outcome.object
            )?;
        }
    }
    let (done, skipped) = (plan.done.len(), plan.skipped.len());
    if done + skipped > 0 {
        let files = if written.len() == 1 { "file" } else { "files" };
        let verb = if dry.is_some() { "to be fixed" } else { "fixed" };
        let files = format!("{} {files}", written.len());
        writeln!(out, "{}{done} {verb} in {files}, {skipped} not fixed{}\n", palette.bold, palette.end)?;
    }
    Ok(())
}

fn write_unified(
    out: &mut impl Write,
    before: &str,
    after: &str,
    old: &str,
    new: &str,
    layout: Layout,
) -> io::Result<()> {
    if before == after {
        return Ok(());
    }
    let diff = TextDiff::from_lines(before, after);
    let unified = diff.unified_diff().context_radius(CONTEXT_LINES).header(&visible(old), &visible(new)).to_string();
    let palette = layout.palette;
    for line in unified.lines() {
        let colour = match line.as_bytes().first() {
            _ if line.starts_with("--- ") || line.starts_with("+++ ") => palette.bold,
            Some(b'+') => palette.help,
            Some(b'-') => palette.denied,
            Some(b'@') => palette.place,
            _ => "",
        };
        let end = if colour.is_empty() { "" } else { palette.end };
        writeln!(out, "{colour}{}{end}", visible(line))?;
    }
    Ok(())
}

/// A carriage return at the end of a line is the line's own.
fn visible(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let mut shown = String::with_capacity(line.len());
    for character in line.chars() {
        if is_unsafe(character) && character != '\t' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A Secret's JSON without its values, and without the annotation in which
/// `kubectl apply` keeps them.
fn without_secrets(object: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(object) else { return object.to_owned() };
    if value["kind"] != "Secret" {
        return object.to_owned();
    }
    for part in ["data", "stringData"] {
        if let Some(fields) = value.get_mut(part).and_then(Value::as_object_mut) {
            fields.values_mut().for_each(|field| *field = HIDDEN.into());
        }
    }
    if let Some(annotation) =
        value.pointer_mut("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration")
    {
        *annotation = HIDDEN.into();
    }
    value.to_string()
}

/// A file's text with what may be secret hidden; it is not read as YAML again.
fn hide_in_text(text: &str) -> String {
    if !text.contains("Secret") {
        return text.to_owned();
    }
    let contents = crate::yaml::read("", text.as_bytes());
    let mut hidden = Vec::new();
    let mut last = None;
    for document in &contents.documents {
        let chunk = document.origin.chunk.clone();
        if last.as_ref() == Some(&chunk) {
            continue;
        }
        let part = &text[chunk.clone()];
        for tree in Tree::read_all(part).unwrap_or_default().iter().filter(|tree| holds_secret(tree, part)) {
            let ranges = super::spot::hidden(tree, part).into_iter();
            hidden.extend(ranges.map(|range| chunk.start + range.start..chunk.start + range.end));
        }
        last = Some(chunk);
    }
    hidden.sort_unstable_by_key(|range| std::cmp::Reverse(range.start));
    let mut text = text.to_owned();
    for range in hidden {
        let breaks = text[range.clone()].matches('\n').count();
        text.replace_range(range, &format!("{HIDDEN}{}", "\n".repeat(breaks)));
    }
    text
}

/// Whether a document is a Secret, or a List with one.
fn holds_secret(tree: &Tree, text: &str) -> bool {
    let is_kind = |pointer: &portcullis_core::edit::Pointer| pointer.segments().next_back() == Some("kind");
    let mut scalars = tree.scalars().into_iter();
    scalars.any(|(pointer, node)| is_kind(&pointer) && text[node.range.clone()].trim_matches(['"', '\'']) == "Secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_hide_the_values_of_secrets() {
        let secret =
            r#"{"kind":"Secret","metadata":{"name":"a"},"data":{"p":"aHVudGVyMg=="},"stringData":{"q":"hunter2"}}"#;
        let shown = without_secrets(secret);
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg") && shown.contains("\"name\""), "{shown}");
        let file =
            "kind: Secret\ndata:\n  p: aHVudGVyMg==\n  q: |\n    hunter2\n---\nkind: ConfigMap\ndata:\n  r: kept\n";
        let shown = hide_in_text(file);
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg") && shown.contains("r: kept"), "{shown}");
        assert_eq!(shown.lines().count(), file.lines().count());
    }
}
