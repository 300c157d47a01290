//! What libyaml, and so kubectl, takes and a YAML 1.2 parser refuses: a tab
//! between a colon and its value, and lines of a flow collection or of a quoted
//! text that are not indented deeper than the block around it.
//!
//! ```text
//! metadata:
//!   labels: {
//!     "app": "pacman"
//!   }              <- not deeper than `labels`
//! ```
//! The parser stays strict; where it stops inside such a region, the region's
//! further lines are indented and it is asked once more. White space there has
//! no meaning: between tokens, and folded inside a text.

use std::ops::RangeInclusive;

/// Regions of one document that may be indented before it counts as broken.
pub(super) const MAX_REGIONS: usize = 256;
/// Lines that one region may have.
const MAX_REGION_LINES: usize = 10_000;

/// Lines that are indented by some columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Indented {
    /// From 1.
    pub(super) lines: RangeInclusive<usize>,
    pub(super) width: usize,
}

/// The text with the region indented that a line lies in or begins; none where
/// there is no region of several lines.
pub(super) fn indent(text: &str, line: usize) -> Option<(String, Indented)> {
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let first = line.saturating_sub(MAX_REGION_LINES).max(1);
    let region = (first..line).rev().chain([line]).find_map(|number| {
        let start = *starts.get(number - 1)?;
        let begin = start + opening(text[start..].lines().next().unwrap_or_default())?;
        let end = closing(&text[begin..]).map_or(text.len(), |end| begin + end);
        let last = starts.partition_point(|start| *start <= end);
        (last >= line && last > number).then_some((number, last))
    });
    let (number, last) = region?;
    let opening_line = &text[starts[number - 1]..];
    // Deeper than any block that the opening line may begin, such as `- - key: {`.
    let width = opening_line.lines().next().unwrap_or_default().find(['{', '[', '"', '\'']).unwrap_or_default() + 1;
    let pad = " ".repeat(width);
    let mut indented = String::with_capacity(text.len() + (last - number) * width);
    for (index, content) in text.split_inclusive('\n').enumerate() {
        if (number + 1..=last).contains(&(index + 1)) {
            indented.push_str(&pad);
        }
        indented.push_str(content);
    }
    Some((indented, Indented { lines: number + 1..=last, width }))
}

/// The text with the tab made a space that follows a colon at this place; none
/// where there is no such tab. Columns stay.
pub(super) fn spaced(text: &str, line: usize, column: usize) -> Option<String> {
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let content = text[start..].lines().next()?;
    // The parser names the colon, or what follows it.
    let candidates = content.char_indices().skip(column.saturating_sub(2)).take(3);
    let tab =
        candidates.map(|(at, _)| at).find(|at| content[*at..].starts_with('\t') && content[..*at].ends_with(':'))?;
    let mut spaced = text.to_owned();
    spaced.replace_range(start + tab..=start + tab, " ");
    Some(spaced)
}

/// Where in a line a value begins that may go on in the next line.
fn opening(line: &str) -> Option<usize> {
    let value = line.trim_start();
    if value.starts_with('#') {
        return None;
    }
    let at_start = line.len() - value.len();
    let after = |separator: &str| line.match_indices(separator).map(|(at, _)| at + separator.len()).collect::<Vec<_>>();
    let mut candidates = [vec![at_start], after(": "), after("- ")].concat();
    candidates.sort_unstable();
    candidates.into_iter().map(|at| at + (line[at..].len() - line[at..].trim_start().len())).find(|at| {
        let open = line[*at..].starts_with(['{', '[', '"', '\'']);
        open && closing(&line[*at..]).is_none()
    })
}

/// Where the value ends that a text begins with: a flow collection or a quoted text.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match *bytes.get(at)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' if at == 0 || begins_text(bytes[at - 1]) => at = quoted(bytes, at, b'"')?,
            b'\'' if at == 0 || begins_text(bytes[at - 1]) => at = quoted(bytes, at, b'\'')?,
            b'#' if at > 0 && bytes[at - 1].is_ascii_whitespace() => at += text[at..].find('\n')?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        at += 1;
    }
}

/// Whether a quote after this byte begins a text; inside of a plain one it doesn't.
fn begins_text(before: u8) -> bool {
    before.is_ascii_whitespace() || matches!(before, b'{' | b'[' | b',' | b':')
}

/// Where a quoted text ends.
fn quoted(bytes: &[u8], begin: usize, quote: u8) -> Option<usize> {
    let mut at = begin + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' if quote == b'"' => at += 1,
            byte if byte == quote => {
                if quote == b'\'' && bytes.get(at + 1) == Some(&quote) {
                    at += 1;
                } else {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
}
