//! Strings: where they end, what their escapes mean, how they are written; and
//! the lenient search in a text that isn't JSON to its end.

use std::borrow::Cow;

/// What stands behind a backslash.
pub(super) enum Escape {
    /// The character, and how many bytes the escape is long.
    Character(char, usize),
    /// Not one of JSON's escapes.
    Invalid,
    /// Half a surrogate pair.
    LoneSurrogate,
    /// The text ends within it.
    Cut,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The first quote, backslash or control character at or after an offset, or
/// the end of the text. Eight bytes at a time.
#[inline]
pub(super) fn special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        // A byte borrows from its high bit where it is zero (or below 0x20). Borrows
        // run upwards only, so the lowest hit is a true one.
        let hits = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGH;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            return at;
        }
        at += 1;
    }
    at
}

/// Reads the escape that a text starts with.
pub(super) fn escape(bytes: &[u8]) -> Escape {
    let character = match bytes.get(1) {
        None => return Escape::Cut,
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(bytes),
        Some(_) => return Escape::Invalid,
    };
    Escape::Character(character, 2)
}

fn unicode_escape(bytes: &[u8]) -> Escape {
    let high = match hexadecimal(&bytes[2..]) {
        Ok(unit) => unit,
        Err(fault) => return fault,
    };
    match high {
        0xD800..=0xDBFF => {}
        0xDC00..=0xDFFF => return Escape::LoneSurrogate,
        _ => return char::from_u32(high).map_or(Escape::Invalid, |c| Escape::Character(c, 6)),
    }
    match (bytes.get(6), bytes.get(7)) {
        (None, _) | (Some(b'\\'), None) => return Escape::Cut,
        (Some(b'\\'), Some(b'u')) => {}
        _ => return Escape::LoneSurrogate,
    }
    let low = match hexadecimal(&bytes[8..]) {
        Ok(unit) => unit,
        Err(fault) => return fault,
    };
    if !(0xDC00..=0xDFFF).contains(&low) {
        return Escape::LoneSurrogate;
    }
    let scalar = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    char::from_u32(scalar).map_or(Escape::LoneSurrogate, |c| Escape::Character(c, 12))
}

fn hexadecimal(bytes: &[u8]) -> Result<u32, Escape> {
    let mut unit = 0;
    for index in 0..4 {
        let byte = bytes.get(index).ok_or(Escape::Cut)?;
        let digit = (*byte as char).to_digit(16).ok_or(Escape::Invalid)?;
        unit = unit << 4 | digit;
    }
    Ok(unit)
}

/// The text of a string whose escapes are known to be right.
pub(super) fn unescape(inner: &str) -> String {
    try_unescape(inner).unwrap_or_else(|| inner.to_owned())
}

fn try_unescape(inner: &str) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(backslash) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..backslash]);
        let Escape::Character(character, length) = escape(&rest.as_bytes()[backslash..]) else {
            return None;
        };
        text.push(character);
        rest = &rest[backslash + length..];
    }
    text.push_str(rest);
    Some(text)
}

/// One segment of a JSON Pointer (RFC 6901, section 4); none for a bare `~`.
pub(crate) fn unescape_segment(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('~') {
        return Some(Cow::Borrowed(segment));
    }
    let mut text = String::with_capacity(segment.len());
    let mut pieces = segment.split('~');
    text.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        text.push(match piece.as_bytes().first() {
            Some(b'0') => '~',
            Some(b'1') => '/',
            _ => return None,
        });
        text.push_str(&piece[1..]);
    }
    Some(Cow::Owned(text))
}

/// An array's index as RFC 6901 writes it: digits without a leading zero.
pub(crate) fn array_index(segment: &str) -> Option<usize> {
    let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = segment.len() > 1 && segment.starts_with('0');
    (digits && !leading_zero).then(|| segment.parse().ok()).flatten()
}

/// A text as a JSON string, with its quotes.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    write_quoted(&mut quoted, text);
    quoted
}

/// Appends a text as a JSON string, with its quotes.
pub fn write_quoted(output: &mut String, text: &str) {
    output.push('"');
    let mut rest = text;
    loop {
        let at = special(rest.as_bytes(), 0);
        output.push_str(&rest[..at]);
        let Some(byte) = rest.as_bytes().get(at) else {
            break;
        };
        match byte {
            b'"' => output.push_str("\\\""),
            b'\\' => output.push_str("\\\\"),
            b'\n' => output.push_str("\\n"),
            b'\r' => output.push_str("\\r"),
            b'\t' => output.push_str("\\t"),
            control => {
                output.push_str("\\u00");
                output.push(if *control < 0x10 { '0' } else { '1' });
                output.push(char::from_digit(u32::from(control & 0xF), 16).unwrap_or('0'));
            }
        }
        rest = &rest[at + 1..];
    }
    output.push('"');
}

/// Line and column of an offset, both counted from 1, the column in characters.
pub fn line_column(text: impl AsRef<[u8]>, offset: usize) -> (usize, usize) {
    let text = text.as_ref();
    let before = &text[..offset.min(text.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let characters = before[line_start..].iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count();
    (line, characters + 1)
}

/// The string at a path of object keys, in a text that may be cut off, broken
/// further on, nested too deep or not UTF-8 elsewhere: how a broken review is
/// still answered by its uid. The first occurrence; none where it isn't reached
/// or is no string. One pass, no stack.
///
/// ```
/// use portcullis_core::json::find_string;
///
/// let cut_off = br#"{"request":{"uid":"705ab4f5","object":{"spec":{"#;
/// assert_eq!(find_string(cut_off, &["request", "uid"]).as_deref(), Some("705ab4f5"));
/// ```
pub fn find_string(text: &[u8], path: &[&str]) -> Option<String> {
    let mut scanner = Lenient { text, at: 0 };
    // Containers that are open, and how many of them lie on the path: the
    // outermost object and one for every key that was followed.
    let mut depth = 0_usize;
    let mut on_path = 0_usize;
    if scanner.peek()? != b'{' {
        return None;
    }
    loop {
        match scanner.peek()? {
            b'{' => {
                on_path = on_path.max(usize::from(depth == 0));
                depth += 1;
                scanner.at += 1;
            }
            b'[' => {
                depth += 1;
                scanner.at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                on_path = on_path.min(depth);
                if depth == 0 {
                    return None;
                }
                scanner.at += 1;
            }
            b'"' => {
                let string = scanner.string()?;
                if depth != on_path || scanner.peek()? != b':' {
                    continue;
                }
                scanner.at += 1;
                let wanted = path.get(on_path - 1)?;
                if decode(string).as_deref() != Some(*wanted) {
                    continue;
                }
                let last = on_path == path.len();
                match scanner.peek()? {
                    b'"' if last => return decode(scanner.string()?),
                    _ if last => return None,
                    b'{' => {
                        on_path += 1;
                        depth += 1;
                        scanner.at += 1;
                    }
                    _ => {}
                }
            }
            _ => scanner.at += 1,
        }
    }
}

/// Reads tokens without asking whether they may stand where they stand.
struct Lenient<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Lenient<'t> {
    /// The next byte that isn't white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// What is between the quotes of the string that starts here.
    fn string(&mut self) -> Option<&'t [u8]> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            at += memchr::memchr2(b'"', b'\\', self.text.get(at..)?)?;
            if self.text[at] == b'"' {
                self.at = at + 1;
                return Some(&self.text[start..at]);
            }
            at += 2;
        }
    }
}

fn decode(inner: &[u8]) -> Option<String> {
    try_unescape(str::from_utf8(inner).ok()?)
}
