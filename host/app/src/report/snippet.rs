//! The line that a finding points to, with what is wrong underlined:
//!
//! ```text
//!    |
//! 24 |       storageClassName: local
//!    |                         ^^^^^ spec.volumeClaimTemplates[0].spec.storageClassName
//! ```
//! Why not `annotate-snippets`: the place of a finding names the object too,
//! texts are wrapped, and parts of the line may have to be hidden; what is left
//! for a library is this one line and its underline.

use std::io::{self, Write};

use unicode_width::UnicodeWidthChar;

use super::layout::{Layout, is_unsafe};
use super::spot::{Line, Spot};

/// Columns of a line that are shown where no terminal says how many there are.
const MAX_COLUMNS: usize = 160;
/// Spaces that a tab is shown as.
const TAB: &str = "    ";
/// What stands for what may be secret.
const HIDDEN: &str = "***";

/// A line as it is shown.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    text: String,
    /// Columns before the underline.
    before: usize,
    /// Columns of the underline.
    marked: usize,
}

/// Width of the gutter for a line number.
pub fn gutter(spot: &Spot) -> usize {
    spot.line.as_ref().map_or(1, |_| spot.start.line.to_string().len())
}

/// Writes the line of a spot; `texts` are those of the finding, which may name
/// what would be hidden otherwise.
///
/// # Errors
/// Of the writer.
pub fn write(out: &mut impl Write, spot: &Spot, path: &str, texts: &[&str], layout: Layout) -> io::Result<()> {
    let Some(line) = &spot.line else { return Ok(()) };
    let gutter = gutter(spot);
    let columns = layout.width.map_or(MAX_COLUMNS, |width| width.saturating_sub(gutter + 4));
    let Shown { text, before, marked } = shown(line, texts, columns);
    let (place, warned, end) = (layout.palette.place, layout.palette.warned, layout.palette.end);
    let blank = " ".repeat(gutter);
    writeln!(out, "{blank} {place}|{end}")?;
    writeln!(out, "{place}{} |{end} {text}", spot.start.line)?;
    let underline = "^".repeat(marked.max(1));
    // Where the path doesn't fit beside the underline it goes below.
    let used = gutter + 3 + before + underline.len() + 1;
    let fits = layout.width.is_none_or(|width| used + path.len() <= width);
    let beside = if path.is_empty() || !fits { String::new() } else { format!(" {path}") };
    writeln!(out, "{blank} {place}|{end} {}{warned}{underline}{beside}{end}", " ".repeat(before))?;
    if !fits && !path.is_empty() {
        writeln!(out, "{blank} {place}= field:{end} {path}")?;
    }
    Ok(())
}

/// One shown character: what is printed, its columns, whether it is marked.
struct Cell {
    text: String,
    width: usize,
    marked: bool,
}

fn shown(line: &Line, texts: &[&str], columns: usize) -> Shown {
    let mut cells = cells(line, texts);
    // Of a long line the part around the mark is shown.
    let total: usize = cells.iter().map(|cell| cell.width).sum();
    if total > columns {
        let marked = cells.iter().position(|cell| cell.marked).unwrap_or(0);
        let mut room = columns / 3;
        let first = (0..marked).rev().take_while(|index| {
            room = room.saturating_sub(cells[*index].width);
            room > 0
        });
        let first = first.last().unwrap_or(marked);
        let mut room = columns.saturating_sub(2);
        let kept = cells[first..].iter().take_while(|cell| {
            let fits = room >= cell.width;
            room = room.saturating_sub(cell.width);
            fits
        });
        let last = first + kept.count();
        let ellipsis = || Cell { text: "…".to_owned(), width: 1, marked: false };
        let tail = cells.len() > last;
        cells.truncate(last);
        if tail {
            cells.push(ellipsis());
        }
        if first > 0 {
            cells.splice(..first, [ellipsis()]);
        }
    }
    let before = cells.iter().take_while(|cell| !cell.marked).map(|cell| cell.width).sum();
    let marked = cells.iter().filter(|cell| cell.marked).map(|cell| cell.width).sum();
    let text: String = cells.into_iter().map(|cell| cell.text).collect();
    Shown { text: text.trim_end().to_owned(), before, marked }
}

fn cells(line: &Line, texts: &[&str]) -> Vec<Cell> {
    let named = |whole: &str| {
        texts
            .iter()
            .any(|text| *text == whole || text.contains(&format!("`{whole}`")) || text.contains(&format!("{whole:?}")))
    };
    let hidden: Vec<_> =
        line.hidden.iter().filter(|(_, whole)| !named(whole)).map(|(range, _)| range.clone()).collect();
    let mut cells = Vec::with_capacity(line.text.len());
    for (offset, character) in line.text.char_indices() {
        let marked = line.mark.contains(&offset);
        if let Some(range) = hidden.iter().find(|range| range.contains(&offset)) {
            if offset == range.start {
                let marked = marked || (line.mark.start < range.end && range.start < line.mark.end);
                cells.push(Cell { text: HIDDEN.to_owned(), width: HIDDEN.len(), marked });
            }
            continue;
        }
        let text = match character {
            '\t' => TAB.to_owned(),
            character if is_unsafe(character) => character.escape_default().to_string(),
            character => character.to_string(),
        };
        let width = if text.len() == character.len_utf8() { character.width().unwrap_or(0) } else { text.len() };
        cells.push(Cell { text, width, marked });
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, marked: &str, hidden: &[&str], texts: &[&str], columns: usize) -> String {
        let range = |part: &str| text.find(part).map(|at| at..at + part.len()).unwrap_or_default();
        let hidden = hidden.iter().map(|part| (range(part), (*part).to_owned())).collect();
        let line = Line { text: text.to_owned(), mark: range(marked), hidden };
        let Shown { text, before, marked } = shown(&line, texts, columns);
        format!("{text}\n{}{}", " ".repeat(before), "^".repeat(marked))
    }

    #[test]
    fn the_underline_stands_below_what_is_wrong() {
        assert_eq!(check("a: b", "b", &[], &[], 80), "a: b\n   ^");
        assert_eq!(check("\ta: b", "b", &[], &[], 80), "    a: b\n       ^");
        assert_eq!(check("日本: b", "b", &[], &[], 80), "日本: b\n      ^");
        assert_eq!(check("日本: 本日", "本日", &[], &[], 80), "日本: 本日\n      ^^^^");
    }

    #[test]
    fn control_characters_are_shown_escaped() {
        assert_eq!(check("a: \x1b[31mb", "b", &[], &[], 80), "a: \\u{1b}[31mb\n             ^");
        assert_eq!(check("a: \u{202e}b", "b", &[], &[], 80), "a: \\u{202e}b\n           ^");
    }

    #[test]
    fn what_may_be_secret_is_hidden_unless_the_finding_names_it() {
        assert_eq!(check("value: hunter2", "hunter2", &["hunter2"], &["a password"], 80), "value: ***\n       ^^^");
        assert_eq!(
            check("value: hunter2", "hunter2", &["hunter2"], &["`hunter2` is"], 80),
            "value: hunter2\n       ^^^^^^^"
        );
        assert_eq!(
            check("{name: PW, value: x1}", "name: PW, value: x1", &["x1"], &["PW"], 80),
            "{name: PW, value: ***}\n ^^^^^^^^^^^^^^^^^^^^"
        );
    }

    #[test]
    fn of_a_long_line_the_part_around_the_mark_is_shown() {
        let text = format!("{}: wrong, {}", "x".repeat(300), "y".repeat(300));
        let shown = check(&text, "wrong", &[], &[], 30);
        assert_eq!(shown, format!("…{}: wrong, {}…\n{}^^^^^", "x".repeat(7), "y".repeat(12), " ".repeat(10)));
    }
}
