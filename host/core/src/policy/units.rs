//! Durations and amounts of memory, as documents write them.

/// `200ms`, `1s`, `1.5s` (Go's durations, as `metav1.Duration`).
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes milliseconds.
    ///
    /// # Errors
    /// None of its own.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", duration.as_millis()))
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// Where the text is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no duration; write 200ms, 1s or 1.5s")))
    }

    /// Reads a sum of numbers with units, such as `1m30s`.
    pub fn parse(text: &str) -> Option<Duration> {
        let mut rest = text;
        let mut sum = 0.0;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
            let (number, tail) = rest.split_at(digits);
            let unit = tail.find(|character: char| character.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit);
            let scale = match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                _ => return None,
            };
            sum += number.parse::<f64>().ok()? * scale;
            rest = tail;
        }
        Duration::try_from_secs_f64(sum).ok()
    }
}

/// `64Mi`, `1M`, or a number of bytes.
pub(super) mod memory {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::policy) fn serialize<S: Serializer>(bytes: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            bytes if bytes % (1 << 20) == 0 => serializer.collect_str(&format_args!("{}Mi", bytes >> 20)),
            bytes => serializer.collect_str(bytes),
        }
    }

    pub(in crate::policy) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Bytes {
            Number(usize),
            Text(String),
        }
        match Bytes::deserialize(deserializer)? {
            Bytes::Number(bytes) => Ok(bytes),
            Bytes::Text(text) => {
                parse(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no amount of memory; write 64Mi")))
            }
        }
    }

    fn parse(text: &str) -> Option<usize> {
        let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let scale: usize = match unit {
            "" => 1,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            _ => return None,
        };
        number.parse::<usize>().ok()?.checked_mul(scale)
    }
}
