//! Kubernetes resource quantities, compared as numbers.
//!
//! `1Gi`, `1024Mi` and `1073741824` are one amount. Never a float: a quantity is
//! a whole number of billionths, as exact as the API server's own, which rounds
//! finer ones up and caps at 2^63-1 (`k8s.io/apimachinery/pkg/api/resource`).

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value;

/// A resource quantity: `500m`, `10Gi`, `1e3`.
///
/// ```
/// use portcullis_sdk::Quantity;
///
/// let asked: Quantity = "1.5Gi".parse()?;
/// assert_eq!(asked, "1536Mi".parse()?);
/// assert!(asked < "2G".parse()?);
/// # Ok::<(), portcullis_sdk::QuantityError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    billionths: i128,
}

/// A text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityError {
    text: String,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no quantity; a number with an optional suffix (n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei) or exponent is one, such as `500m` or `10Gi`",
            self.text
        )
    }
}

impl std::error::Error for QuantityError {}

/// Billionths are the finest that the API server keeps.
const FINEST: i64 = 9;
/// The most that the API server keeps, in billionths.
const MAX: i128 = (i64::MAX as i128) * 1_000_000_000;
/// A longer text is no quantity that anybody wrote by hand; it bounds the arithmetic.
const MAX_TEXT: usize = 256;

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { billionths: 0 };

    /// So many whole units.
    #[must_use]
    pub fn whole(units: i64) -> Self {
        Self { billionths: i128::from(units) * 1_000_000_000 }
    }

    /// In billionths of a unit.
    #[must_use]
    pub fn billionths(self) -> i128 {
        self.billionths
    }

    /// The sum, capped as the API server caps.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self { billionths: self.billionths.saturating_add(other.billionths).clamp(-MAX, MAX) }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse(text)
            .map(|billionths| Self { billionths })
            .ok_or_else(|| QuantityError { text: text.chars().take(MAX_TEXT).collect() })
    }
}

/// Manifests write quantities as strings and as numbers.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            other => return Err(D::Error::custom(QuantityError { text: other.to_string() })),
        };
        text.parse().map_err(D::Error::custom)
    }
}

/// What a suffix multiplies with: a power of ten and a power of two.
struct Scale {
    ten: i64,
    two: u32,
}

fn parse(text: &str) -> Option<i128> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end =
        unsigned.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let Scale { ten, two } = parse_suffix(suffix)?;
    let digits = format!("{whole}{fraction}");
    let power = ten.saturating_sub(i64::try_from(fraction.len()).ok()?).saturating_add(FINEST);
    let magnitude = magnitude(digits.trim_start_matches('0'), power, two);
    Some(if negative { -magnitude } else { magnitude })
}

fn parse_suffix(suffix: &str) -> Option<Scale> {
    let ten = |ten| Some(Scale { ten, two: 0 });
    let two = |two| Some(Scale { ten: 0, two });
    match suffix {
        "n" => ten(-9),
        "u" => ten(-6),
        "m" => ten(-3),
        "" => ten(0),
        "k" => ten(3),
        "M" => ten(6),
        "G" => ten(9),
        "T" => ten(12),
        "P" => ten(15),
        "E" => ten(18),
        "Ki" => two(10),
        "Mi" => two(20),
        "Gi" => two(30),
        "Ti" => two(40),
        "Pi" => two(50),
        "Ei" => two(60),
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E'])?;
            let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(digits);
            if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            // An exponent past i64 is past every cap: its sign says which.
            let far = if digits.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
            ten(digits.parse().unwrap_or(far))
        }
    }
}

/// `digits` × 10^`power` × 2^`two`, rounded up to a whole number and capped.
fn magnitude(digits: &str, power: i64, two: u32) -> i128 {
    /// No more digits than this before the point can stay below the cap of 28 digits.
    const MOST_DIGITS: i64 = 30;
    if digits.is_empty() {
        return 0;
    }
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    if length.saturating_add(power) > MOST_DIGITS {
        return MAX;
    }
    // 2^60 has 19 digits: with fewer than this left nothing but the rounding up remains.
    if length.saturating_add(power) < -20 {
        return 1;
    }
    let mut number = Limbs::from_digits(digits);
    for _ in 0..two {
        number.multiply(2);
    }
    for _ in 0..power.max(0) {
        number.multiply(10);
    }
    let mut inexact = false;
    for _ in 0..(-power).max(0) {
        inexact |= number.divide(10) != 0;
    }
    number.to_i128().map_or(MAX, |exact| exact.saturating_add(i128::from(inexact)).min(MAX))
}

/// A natural number of any size, least significant limb first.
struct Limbs(Vec<u32>);

impl Limbs {
    fn from_digits(digits: &str) -> Self {
        let mut number = Self(Vec::new());
        for digit in digits.bytes() {
            number.multiply_and_add(10, u32::from(digit - b'0'));
        }
        number
    }

    fn multiply(&mut self, factor: u32) {
        self.multiply_and_add(factor, 0);
    }

    fn multiply_and_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.0 {
            let product = u64::from(*limb) * u64::from(factor) + carry;
            *limb = product as u32;
            carry = product >> 32;
        }
        if carry != 0 {
            self.0.push(carry as u32);
        }
    }

    /// Divides, and gives the remainder.
    fn divide(&mut self, divisor: u32) -> u32 {
        let mut remainder = 0u64;
        for limb in self.0.iter_mut().rev() {
            let dividend = (remainder << 32) | u64::from(*limb);
            *limb = (dividend / u64::from(divisor)) as u32;
            remainder = dividend % u64::from(divisor);
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        remainder as u32
    }

    /// The number, if it fits.
    fn to_i128(&self) -> Option<i128> {
        if self.0.len() > 4 {
            return None;
        }
        let number = self.0.iter().rev().fold(0u128, |number, &limb| (number << 32) | u128::from(limb));
        i128::try_from(number).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, billionths: Option<i128>) {
        assert_eq!(text.parse::<Quantity>().ok().map(Quantity::billionths), billionths, "{text}");
    }

    #[test]
    fn every_suffix_and_exponent_is_a_number() {
        const UNIT: i128 = 1_000_000_000;
        for (text, billionths) in [
            ("0", 0),
            ("1", UNIT),
            ("-1", -UNIT),
            ("+1.5", UNIT * 3 / 2),
            (".5", UNIT / 2),
            ("5.", UNIT * 5),
            ("1n", 1),
            ("1u", 1_000),
            ("100m", UNIT / 10),
            ("1k", UNIT * 1_000),
            ("1M", UNIT * 1_000_000),
            ("1G", UNIT * 1_000_000_000),
            ("1T", UNIT * 1_000_000_000_000),
            ("1P", UNIT * 1_000_000_000_000_000),
            ("1E", UNIT * 1_000_000_000_000_000_000),
            ("1Ki", UNIT << 10),
            ("1Mi", UNIT << 20),
            ("1Gi", UNIT << 30),
            ("1Ti", UNIT << 40),
            ("1Pi", UNIT << 50),
            ("1Ei", UNIT << 60),
            ("0.5Gi", UNIT << 29),
            ("1e3", UNIT * 1_000),
            ("1E3", UNIT * 1_000),
            ("12e-1", UNIT * 12 / 10),
            ("1e+2", UNIT * 100),
            ("0001", UNIT),
        ] {
            check(text, Some(billionths));
        }
    }

    #[test]
    fn finer_than_a_billionth_is_rounded_up_and_more_than_the_cap_is_capped() {
        for (text, billionths) in [
            ("0.1n", 1),
            ("1e-1000000", 1),
            ("1e-99999999999999999999", 1),
            ("-0.1n", -1),
            ("0.00000000000000000001Ki", 1),
            ("9223372036854775808", MAX),
            ("8Ei", MAX),
            ("-1e99999999999999999999", -MAX),
            ("0e99999999999999999999", 0),
            ("9223372036854775807", MAX),
        ] {
            check(text, Some(billionths));
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in
            ["", "-", ".", "1.2.3", "1 Gi", "Gi", "1gi", "1K", "1mi", "1e", "1e+", "0x10", "1Gi ", "--1", "1e1.5", "٣"]
        {
            check(text, None);
        }
    }

    #[test]
    fn json_may_hold_it_as_a_string_or_a_number() {
        let read = |json: &str| serde_json::from_str::<Quantity>(json).unwrap();
        assert_eq!(read("\"500m\""), read("0.5"));
        assert_eq!(read("1024"), read("\"1Ki\""));
        assert!(serde_json::from_str::<Quantity>("[]").is_err());
    }

    proptest! {
        #[test]
        fn whole_numbers_keep_their_order(one in any::<i64>(), two in any::<i64>()) {
            let quantity = |number: i64| number.to_string().parse::<Quantity>().unwrap();
            prop_assert_eq!(quantity(one).cmp(&quantity(two)), one.clamp(-i64::MAX, i64::MAX).cmp(&two.clamp(-i64::MAX, i64::MAX)));
            prop_assert_eq!(quantity(one.max(-i64::MAX)), Quantity::whole(one.max(-i64::MAX)));
        }

        #[test]
        fn a_suffix_is_its_factor(number in 0u32..1_000_000, step in 0u32..6) {
            let suffixes = [("Ki", "k"), ("Mi", "M"), ("Gi", "G"), ("Ti", "T"), ("Pi", "P"), ("Ei", "E")];
            let (binary, decimal) = suffixes[step as usize];
            let exact = |factor: u128| i128::try_from((u128::from(number) * 1_000_000_000).saturating_mul(factor)).unwrap_or(MAX).min(MAX);
            prop_assert_eq!(format!("{number}{binary}").parse::<Quantity>().unwrap().billionths(), exact(1024u128.pow(step + 1)));
            prop_assert_eq!(format!("{number}{decimal}").parse::<Quantity>().unwrap().billionths(), exact(1000u128.pow(step + 1)));
        }

        #[test]
        fn a_point_is_an_exponent(whole in 0u64..1_000_000_000, fraction in "[0-9]{0,9}") {
            let pointed = format!("{whole}.{fraction}");
            let shifted = format!("{whole}{fraction}e-{}", fraction.len());
            prop_assert_eq!(pointed.parse::<Quantity>(), shifted.parse::<Quantity>());
        }

        #[test]
        fn no_text_panics(text in "[-+]?[0-9.]{0,40}[a-zA-Z]{0,2}[-+]?[0-9]{0,30}") {
            let _ = text.parse::<Quantity>();
        }
    }
}
