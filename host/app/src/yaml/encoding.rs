//! From bytes to text: UTF-8, and UTF-16 where a byte order mark says so, as
//! YAML 1.2 section 5.2 has it. Binary files are refused by name.

use std::borrow::Cow;
use std::sync::Arc;

use super::{MAX_FILE_BYTES, Position, SyntaxError, positions::Lines};

/// The text, without its byte order mark.
pub(super) fn decode<'b>(source: &Arc<str>, bytes: &'b [u8]) -> Result<Cow<'b, str>, SyntaxError> {
    let nowhere = Position::default();
    if bytes.len() > MAX_FILE_BYTES {
        let what = format!("the file has {} MiB; at most {} MiB are read", bytes.len() >> 20, MAX_FILE_BYTES >> 20);
        return Err(SyntaxError::new(source, nowhere, what));
    }
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => Cow::Owned(utf16(source, rest, u16::from_le_bytes)?),
        [0xFE, 0xFF, rest @ ..] => Cow::Owned(utf16(source, rest, u16::from_be_bytes)?),
        _ => {
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            match std::str::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(error) => return Err(not_text(source, bytes, error.valid_up_to())),
            }
        }
    };
    match text.find('\0') {
        Some(offset) => Err(not_text(source, text.as_bytes(), offset)),
        None => Ok(text),
    }
}

fn utf16(source: &Arc<str>, bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, SyntaxError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err(SyntaxError::new(
            source,
            Position::default(),
            "the byte order mark says UTF-16, but the bytes are not; save the file as UTF-8",
        )),
    }
}

fn not_text(source: &Arc<str>, bytes: &[u8], offset: usize) -> SyntaxError {
    let before = String::from_utf8_lossy(&bytes[..offset]);
    let position = Lines::new(&before, 0).position(before.len());
    let found = bytes.get(offset).copied().unwrap_or_default();
    if found == 0 || bytes[..offset].contains(&0) {
        return SyntaxError::new(source, position, "this is a binary file, not YAML or JSON");
    }
    SyntaxError::new(source, position, format!("byte 0x{found:02x} is not UTF-8"))
        .with_hint("a manifest is UTF-8 text; is this file binary or in another encoding?")
}
