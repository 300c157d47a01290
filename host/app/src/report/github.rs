//! A run as workflow commands of GitHub Actions: each finding becomes an
//! annotation at its line (docs.github.com, "Workflow commands for GitHub
//! Actions"; escaping as `actions/toolkit` has it in `packages/core/src/command.ts`).

use std::io::{self, Write};

use super::Run;
use super::entry::{Entry, Label, entries, named};
use super::layout::shown;
use super::spot::Spotter;
use crate::check::input::STANDARD_INPUT;

/// Writes a whole run.
///
/// # Errors
/// Of the writer.
pub fn write(out: &mut impl Write, run: &Run<'_>) -> io::Result<()> {
    for problem in &run.problems {
        writeln!(out, "::error title=portcullis::{}", data(problem))?;
    }
    let mut spotter = Spotter::default();
    for judged in run.judged {
        for entry in entries(judged, &mut spotter) {
            write_entry(out, &entry)?;
        }
    }
    let summary = run.summary();
    let plural = if summary.objects == 1 { "object" } else { "objects" };
    writeln!(out, "{} {plural} checked: {} allowed, {} denied", summary.objects, summary.allowed, summary.denied)
}

fn write_entry(out: &mut impl Write, entry: &Entry<'_>) -> io::Result<()> {
    let command = match entry.label {
        label if label.stops() => "error",
        Label::Undecided => "notice",
        _ => "warning",
    };
    let mut properties = Vec::new();
    let source = entry.judged.document.source.as_ref();
    if source != STANDARD_INPUT {
        let (start, end) = (entry.spot.start, entry.spot.end);
        properties.push(format!("file={}", property(source.trim_start_matches("./"))));
        properties.push(format!("line={},endLine={}", start.line, end.line));
        // Columns are shown only within one line, the last one included.
        properties.push(format!("col={},endColumn={}", start.column, end.column.saturating_sub(1).max(start.column)));
    }
    let name = entry.name();
    let name = if name.is_empty() { "portcullis".to_owned() } else { name };
    properties.push(format!("title={}", property(&format!("{}: {name}", entry.label.text()))));
    let mut message = format!("{}: {}", named(&entry.judged.report.object), shown(entry.message));
    if let Some(fix) = entry.fix.filter(|fix| !fix.text.is_empty()) {
        message.push_str(&format!("\nhelp: {}", shown(&fix.text)));
    }
    if !entry.url.is_empty() {
        message.push_str(&format!("\nsee: {}", entry.url));
    }
    writeln!(out, "::{command} {}::{}", properties.join(","), data(&message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_a_command_or_begins_another() {
        assert_eq!(data("100%\n::error::x\r"), "100%25%0A::error::x%0D");
        assert_eq!(property("a:b,c%0A"), "a%3Ab%2Cc%250A");
    }
}
