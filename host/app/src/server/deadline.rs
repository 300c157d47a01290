//! How long an answer may take: `?timeout=` less a margin.

use std::time::Duration;

use portcullis_core::policy::duration;

/// `timeoutSeconds` of a webhook that names none
/// (admissionregistration.k8s.io/v1).
pub(super) const DEFAULT: Duration = Duration::from_secs(10);
/// The largest `timeoutSeconds`.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// The API server rounds what is left up to whole seconds, so up to one of them
/// may not be there.
const MARGIN: Duration = Duration::from_secs(1);
/// Of a short time, no more than this part is margin: an answer needs some too.
const MARGIN_PART: u32 = 4;

/// The time for an answer to a request with this query. What can't be read
/// counts as absent: Go's API server always sends whole seconds.
pub(super) fn budget(query: Option<&str>) -> Duration {
    let mut parameters = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let asked = parameters.find(|(name, _)| *name == "timeout").and_then(|(_, value)| duration::parse(value));
    let total = asked.filter(|asked| !asked.is_zero()).unwrap_or(DEFAULT).min(LONGEST);
    total - MARGIN.min(total / MARGIN_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_the_timeout_less_a_margin() {
        for (query, expected) in [
            (None, 9_000),
            (Some("timeout=10s"), 9_000),
            (Some("timeout=5s"), 4_000),
            (Some("timeout=1s"), 750),
            (Some("timeout=500ms"), 375),
            (Some("timeout=30s"), 29_000),
            (Some("timeout=1h"), 29_000),
            (Some("timeout=1m30s"), 29_000),
            (Some("timeout=0s"), 9_000),
            (Some("timeout=soon"), 9_000),
            (Some("timeout="), 9_000),
            (Some("dryRun&timeout=2s"), 1_500),
        ] {
            assert_eq!(budget(query), Duration::from_millis(expected), "{query:?}");
        }
    }
}
