//! Numbers by value, without leaving the decimal system: no token is too long
//! or too precise to be compared.

/// Whether two JSON number tokens stand for one value. Exponents past 64 bits
/// are equal only where the tokens are.
pub(super) fn equal(left: &str, right: &str) -> bool {
    if left == right {
        return true;
    }
    match (Decimal::new(left), Decimal::new(right)) {
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

/// `0.d1d2d3… * 10^exponent` with neither leading nor trailing zeros.
struct Decimal<'t> {
    negative: bool,
    integer: &'t [u8],
    fraction: &'t [u8],
    exponent: i64,
}

impl<'t> Decimal<'t> {
    fn new(token: &'t str) -> Option<Self> {
        let (negative, token) = match token.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, token),
        };
        let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let integer = integer.trim_start_matches('0');
        let mut decimal = Self {
            negative,
            integer: integer.as_bytes(),
            fraction: fraction.trim_end_matches('0').as_bytes(),
            exponent: 0,
        };
        if decimal.integer.is_empty() {
            let significant = decimal.fraction.iter().position(|digit| *digit != b'0');
            let Some(zeros) = significant else {
                // Zero has neither sign nor exponent.
                decimal.negative = false;
                decimal.fraction = &[];
                return Some(decimal);
            };
            decimal.fraction = &decimal.fraction[zeros..];
            decimal.exponent = -i64::try_from(zeros).ok()?;
        } else {
            decimal.exponent = i64::try_from(decimal.integer.len()).ok()?;
            if decimal.fraction.is_empty() {
                decimal.integer = integer.trim_end_matches('0').as_bytes();
            }
        }
        // An exponent that doesn't fit makes the number incomparable.
        decimal.exponent = decimal.exponent.checked_add(exponent.parse().ok()?)?;
        Some(decimal)
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.negative == other.negative
            && self.exponent == other.exponent
            && self.integer.len() + self.fraction.len() == other.integer.len() + other.fraction.len()
            && self.integer.iter().chain(self.fraction).eq(other.integer.iter().chain(other.fraction))
    }
}

#[cfg(test)]
mod tests {
    use super::equal;

    #[test]
    fn numbers_are_equal_by_value() {
        let cases = [
            ("1", "1.0", true),
            ("1", "10e-1", true),
            ("100", "1E+2", true),
            ("0.05", "5e-2", true),
            ("0.5", "0.05e1", true),
            ("-0", "0", true),
            ("0e999999999999999999999", "0", true),
            ("-0.00", "0", true),
            ("1", "-1", false),
            ("1", "10", false),
            ("12", "1.2", false),
            ("101", "11", false),
            ("9007199254740993", "9007199254740992", false),
            ("9007199254740993", "9007199254740993.0", true),
            ("1e99999999999999999999", "1e99999999999999999999", true),
            ("1e99999999999999999999", "10e99999999999999999998", false),
        ];
        for (left, right, expected) in cases {
            assert_eq!(equal(left, right), expected, "{left} and {right}");
            assert_eq!(equal(right, left), expected, "{right} and {left}");
        }
    }
}
