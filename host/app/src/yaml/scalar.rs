//! What a YAML scalar means to kubectl: YAML 1.1 with goyaml.v2's ideas of
//! booleans, numbers and tags (`goyaml.v2/resolve.go` of sigs.k8s.io/yaml).
//!
//! A number that is written as JSON writes numbers keeps its text; others get
//! the shortest JSON number of the same value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::json;
use saphyr_parser::{ScalarStyle, Tag};

/// A scalar as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar {
    /// `null`, a bool, a number: a JSON token.
    Token(String),
    /// A number that is no JSON number: `.inf`.
    NotFinite,
    /// A text, not yet quoted.
    Text(String),
}

/// What a plain scalar is taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Plain {
    Null,
    Bool(bool),
    Integer(String),
    /// None where it is not finite.
    Float(Option<String>),
    Text,
}

/// A tag that its value contradicts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScalarError {
    /// `!!int abc`.
    #[error("{value:?} is not what its tag {tag} says")]
    Tag {
        /// As written.
        value: String,
        /// As written.
        tag: String,
    },
    /// `!!binary` of what is no base64, or of bytes that are no text.
    #[error("{0}; JSON holds texts: without the tag !!binary the base64 itself is one")]
    Binary(&'static str),
}

/// Resolves a scalar by its tag, style and text.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Scalar, ScalarError> {
    let tag = match tag {
        Some(tag) if tag.is_yaml_core_schema() => Some(tag.suffix.as_str()),
        // `! text` and `!anything text` are texts.
        Some(_) => Some("str"),
        None if style != ScalarStyle::Plain => Some("str"),
        None => None,
    };
    if matches!(tag, Some("str")) {
        return Ok(Scalar::Text(text.to_owned()));
    }
    if tag == Some("binary") {
        return binary(text);
    }
    let plain = plain(text);
    let fits = match (tag, &plain) {
        (None, _) => true,
        (Some("null"), Plain::Null) | (Some("bool"), Plain::Bool(_)) | (Some("int"), Plain::Integer(_)) => true,
        (Some("float"), Plain::Integer(_) | Plain::Float(_)) => true,
        (Some("null" | "bool" | "int" | "float"), _) => false,
        // A timestamp stays a text, and so does what no tag here describes.
        (Some(_), _) => return Ok(Scalar::Text(text.to_owned())),
    };
    if !fits {
        let tag = format!("!!{}", tag.unwrap_or_default());
        return Err(ScalarError::Tag { value: text.to_owned(), tag });
    }
    Ok(match plain {
        Plain::Null => Scalar::Token("null".to_owned()),
        Plain::Bool(truth) => Scalar::Token(truth.to_string()),
        Plain::Integer(number) => Scalar::Token(number),
        Plain::Float(Some(number)) => Scalar::Token(number),
        Plain::Float(None) => Scalar::NotFinite,
        Plain::Text => Scalar::Text(text.to_owned()),
    })
}

/// goyaml decodes it, and JSON can hold what comes of it only as a text.
fn binary(text: &str) -> Result<Scalar, ScalarError> {
    let base64: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    let bytes = STANDARD.decode(base64).map_err(|_| ScalarError::Binary("this is not base64"))?;
    String::from_utf8(bytes).map(Scalar::Text).map_err(|_| ScalarError::Binary("these bytes are not UTF-8"))
}

impl Scalar {
    /// As the key of a JSON object; none where kubectl refuses it.
    pub(super) fn key(self) -> Option<String> {
        match self {
            Scalar::Text(text) => Some(text),
            Scalar::Token(token) if token == "null" => None,
            Scalar::Token(token) if matches!(token.as_str(), "true" | "false") => Some(token),
            Scalar::Token(token) if token.contains(['.', 'e', 'E']) => token.parse().ok().map(float_key),
            Scalar::Token(token) => Some(token),
            Scalar::NotFinite => None,
        }
    }
}

fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Plain::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Plain::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Plain::Float(None),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'0'..=b'9' | b'+' | b'-' => number(text),
        b'.' => float(text, text),
        _ => Plain::Text,
    }
}

fn number(text: &str) -> Plain {
    let digits = text.replace('_', "");
    if let Some(value) = integer(&digits) {
        let kept = json::Document::parse(text.as_bytes()).is_ok();
        return Plain::Integer(if kept { text.to_owned() } else { value });
    }
    float(text, &digits)
}

/// As Go's `strconv.ParseInt` and `ParseUint` read base 0.
fn integer(text: &str) -> Option<String> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let prefix = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (radix, digits) = match prefix.as_str() {
        "0x" => (16, &digits[2..]),
        "0o" => (8, &digits[2..]),
        "0b" => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    // Past 64 bits it is none: decimal digits are then read as a float, others as a text.
    let value = u64::from_str_radix(digits, radix).ok()?;
    if sign == "-" && value > i64::MIN.unsigned_abs() {
        return None;
    }
    Some(if value == 0 { "0".to_owned() } else { format!("{sign}{value}") })
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, finite.
fn float(text: &str, digits: &str) -> Plain {
    let plausible =
        digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    match digits.parse::<f64>() {
        Ok(value) if plausible && value.is_finite() => {
            let kept = json::Document::parse(text.as_bytes()).is_ok();
            Plain::Float(Some(if kept { text.to_owned() } else { shortest(value) }))
        }
        _ => Plain::Text,
    }
}

/// Sizes that are written without an exponent, as Go's JSON encoder does.
const WRITTEN_OUT: std::ops::Range<f64> = 1e-6..1e21;

fn shortest(value: f64) -> String {
    if value == 0.0 || WRITTEN_OUT.contains(&value.abs()) { value.to_string() } else { format!("{value:e}") }
}

/// As sigs.k8s.io/yaml writes a float that is a key: Go's format 'g' at 32 bits,
/// which turns to an exponent below 1e-4 and from 1e6 on.
#[allow(clippy::cast_possible_truncation, reason = "32 bits are what the original has")]
fn float_key(value: f64) -> String {
    let short = value as f32;
    let size = short.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        let text = format!("{short:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    short.to_string()
}
