//! PEM blocks of a text, and what a text is instead that holds none.
//!
//! Whoever fills a Secret by hand gets it wrong in a few ways: the path of a
//! file in place of its content, base64 of base64, line breaks lost on the way
//! through a shell. Each has a name here, so that a message can say what to do.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What every PEM block begins with.
const BEGIN: &str = "-----BEGIN ";
/// What every PEM block ends with.
const END: &str = "-----END ";
/// A path is a short line; longer text is content of some kind.
const MAX_PATH_BYTES: usize = 512;
/// What the files of certificates and keys are called.
const FILE_ENDINGS: [&str; 8] = [".crt", ".pem", ".key", ".cer", ".cert", ".der", ".p12", ".pub"];
/// What a Java keystore begins with.
const JAVA_KEYSTORE: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
/// A DER sequence, as binary certificates, keys and PKCS #12 files are.
const DER_SEQUENCE: u8 = 0x30;

/// Base64 as Kubernetes reads it, padded or not: whoever judges what was meant can be kinder than who stores it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One PEM block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands behind BEGIN: `CERTIFICATE`.
    pub label: String,
    /// What it holds, decoded.
    pub contents: Vec<u8>,
    /// Whether a header says that it is encrypted (`Proc-Type: 4,ENCRYPTED`).
    pub is_encrypted: bool,
}

/// Why a text isn't PEM. `Display` says it as what follows "it …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFault {
    /// There is nothing, or only white space.
    Empty,
    /// It names a file.
    Path,
    /// It is base64 of PEM.
    EncodedTwice,
    /// Its line breaks are the two characters `\n`.
    EscapedLineBreaks,
    /// It is PEM whose lines were joined.
    OneLine,
    /// It is DER, PKCS #12 or a Java keystore.
    Binary,
    /// A block has no end.
    CutOff,
    /// What stands between BEGIN and END isn't base64.
    Garbled,
    /// It has no BEGIN line.
    NoPem,
}

impl fmt::Display for TextFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "is empty",
            Self::Path => "is the path of a file, not what the file holds",
            Self::EncodedTwice => "is base64 of PEM: it was encoded twice",
            Self::EscapedLineBreaks => "is PEM whose line breaks are written as a backslash and an n",
            Self::OneLine => "is PEM whose lines were joined into one",
            Self::Binary => "is binary (DER, PKCS #12 or a Java keystore), not PEM",
            Self::CutOff => "is PEM that is cut off: a BEGIN line has no END line",
            Self::Garbled => "has PEM lines around something that isn't base64",
            Self::NoPem => "isn't PEM: it has no BEGIN line",
        })
    }
}

impl TextFault {
    /// What to do about it.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Path => {
                "put in the content of the file: base64 of the file itself, as `kubectl create secret tls --cert=… --key=…` does"
            }
            Self::EncodedTwice => "put the PEM text into `stringData`, or encode it once for `data`",
            Self::EscapedLineBreaks | Self::OneLine => "keep the line breaks: a block scalar (`|`) in YAML does",
            Self::Binary => "convert it to PEM first, with `openssl x509` or `openssl pkcs12`",
            Self::Empty | Self::CutOff | Self::Garbled | Self::NoPem => "put in the whole PEM file, from BEGIN to END",
        }
    }
}

/// The PEM blocks of a text, in order; text around them is passed over.
///
/// # Errors
/// Why it has none that can be read.
pub fn blocks(bytes: &[u8]) -> Result<Vec<Block>, TextFault> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Err(TextFault::Binary) };
    if !text.contains(BEGIN) {
        return Err(without_begin(bytes, text));
    }
    if !text.contains('\n') || text.lines().any(is_joined) {
        return Err(if text.contains("\\n") { TextFault::EscapedLineBreaks } else { TextFault::OneLine });
    }
    if text.matches(BEGIN).count() != text.matches(END).count() {
        return Err(TextFault::CutOff);
    }
    let found = pem::parse_many(text).map_err(|_| TextFault::Garbled)?;
    if found.is_empty() {
        return Err(TextFault::Garbled);
    }
    Ok(found.into_iter().map(block).collect())
}

fn block(pem: pem::Pem) -> Block {
    let is_encrypted = pem.headers().get("Proc-Type").is_some_and(|kind| kind.contains("ENCRYPTED"));
    Block { label: pem.tag().to_owned(), is_encrypted, contents: pem.into_contents() }
}

/// Whether a line opens a block and goes on behind the dashes: PEM wants a line of its own.
fn is_joined(line: &str) -> bool {
    line.trim_start()
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.split_once("-----"))
        .is_some_and(|(_, behind)| !behind.trim().is_empty())
}

fn without_begin(bytes: &[u8], text: &str) -> TextFault {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        TextFault::Empty
    } else if is_path(trimmed) {
        TextFault::Path
    } else if decode_base64(trimmed).is_some_and(|decoded| contains(&decoded, BEGIN.as_bytes())) {
        TextFault::EncodedTwice
    } else if bytes.starts_with(&JAVA_KEYSTORE) || (bytes[0] == DER_SEQUENCE && bytes.contains(&0)) {
        TextFault::Binary
    } else {
        TextFault::NoPem
    }
}

/// Base64 with or without padding, line breaks passed over; `None` where it is none.
#[must_use]
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let dense: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    LENIENT.decode(dense).ok()
}

/// Whether a text is what one writes to name a file.
fn is_path(text: &str) -> bool {
    let is_one_line = text.len() <= MAX_PATH_BYTES && !text.contains(['\n', '\0']);
    let lower = text.to_ascii_lowercase();
    let has_ending = FILE_ENDINGS.iter().any(|ending| lower.ends_with(ending));
    let is_rooted = ["./", "../", "~/", "file://"].iter().any(|start| lower.starts_with(start))
        || lower.get(1..3).is_some_and(|drive| drive == ":\\")
        // Base64 may begin with a slash too; a path goes on with short names.
        || (lower.starts_with('/') && lower.split('/').filter(|name| !name.is_empty()).count() > 1 && !lower.contains(['+', '=']));
    is_one_line && (is_rooted || (has_ending && !text.contains(' ')))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
