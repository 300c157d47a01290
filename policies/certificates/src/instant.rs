//! Points in time as Kubernetes writes them (RFC 3339), in seconds since 1970.

use der::DateTime;

/// `2020-09-13T04:39:10`.
const DATE_AND_TIME: usize = 19;

/// The seconds since 1970 of an RFC 3339 text: `2020-09-13T04:39:10Z`, `2020-09-13T06:39:10.5+02:00`.
/// `None` where it is none, or lies before 1970.
#[must_use]
pub fn seconds(text: &str) -> Option<u64> {
    let (date_and_time, rest) = text.split_at_checked(DATE_AND_TIME)?;
    let local: DateTime = format!("{date_and_time}Z").parse().ok()?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            fraction.get(digits..).filter(|_| digits > 0)?
        }
        None => rest,
    };
    let local = i64::try_from(local.unix_duration().as_secs()).ok()?;
    u64::try_from(local - offset(zone)?).ok()
}

/// How many seconds a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':').filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2)?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    let ahead = i64::from(hours) * 3600 + i64::from(minutes) * 60;
    match sign {
        "+" => Some(ahead),
        "-" => Some(-ahead),
        _ => None,
    }
}
