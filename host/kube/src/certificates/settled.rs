//! Since when things have been as a step needs them: the only memory of the
//! keeper, and none that a fresh start misses, for it begins to wait anew.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::parsed::Fingerprint;
use super::plan::{Around, Leaf, Serving, View};

/// What a replica says of its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reported {
    pub(super) name: String,
    pub(super) ready: bool,
    /// In hex; None where it serves none, or doesn't say.
    pub(super) certificate: Option<String>,
}

/// One look at the cluster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    /// Seconds since the epoch, by the API server's clock.
    pub(super) now: i64,
    /// When the look was over.
    pub(super) at: Instant,
    /// The CAs of each webhook's bundle, with their ends.
    pub(super) bundles: &'a [Vec<(Fingerprint, i64)>],
    /// All replicas that may still serve.
    pub(super) replicas: &'a [Reported],
}

/// Since when.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Each CA that every webhook trusts.
    trusted: BTreeMap<Fingerprint, Instant>,
    /// The certificate that every replica serves.
    served: Option<(Fingerprint, Instant)>,
}

impl Settled {
    /// What there is around a view, at this look.
    pub(super) fn look(&mut self, view: &View, look: &Look<'_>, settle: Duration) -> Around {
        let everywhere = |id: &Fingerprint| look.bundles.iter().all(|bundle| bundle.iter().any(|(one, _)| one == id));
        let before = std::mem::take(&mut self.trusted);
        for authority in view.authorities.iter().filter(|one| everywhere(&one.id)) {
            self.trusted.insert(authority.id, *before.get(&authority.id).unwrap_or(&look.at));
        }
        let leaf = match &view.serving {
            Serving::Present(leaf) => Some(leaf),
            Serving::Missing | Serving::Damaged(_) => None,
        };
        self.served = leaf.filter(|leaf| behind(leaf, look.replicas).is_empty()).map(|leaf| match self.served {
            Some((id, since)) if id == leaf.id => (id, since),
            _ => (leaf.id, look.at),
        });
        let long = |since: Instant| look.at.saturating_duration_since(since) >= settle;
        let ends: BTreeMap<Fingerprint, i64> = look.bundles.iter().flatten().copied().collect();
        Around {
            now: look.now,
            covered: self.trusted.keys().copied().collect(),
            settled: self.trusted.iter().filter(|(_, since)| long(**since)).map(|(id, _)| *id).collect(),
            trusted: ends.into_iter().collect(),
            moved: self.served.is_some_and(|(_, since)| long(since)),
            // What the Secret holds is what a replica takes that begins now.
            nothing_to_lose: leaf.is_none_or(|leaf| leaf.not_after <= look.now)
                && !look.replicas.iter().any(|replica| loses(replica, leaf, look.now)),
        }
    }

    /// How long until what is so now has been so long enough; None where that
    /// isn't what is waited for.
    pub(super) fn remaining(&self, settle: Duration, at: Instant) -> Option<Duration> {
        let since = self.trusted.values().copied().chain(self.served.map(|(_, since)| since));
        let left = since.map(|since| (since + settle).saturating_duration_since(at));
        left.filter(|left| !left.is_zero()).min()
    }
}

/// The replicas that don't serve this certificate, so far as they say.
pub(super) fn behind<'a>(leaf: &Leaf, replicas: &'a [Reported]) -> Vec<&'a str> {
    let id = leaf.id.to_string();
    let behind = replicas.iter().filter(|replica| replica.certificate.as_deref() != Some(id.as_str()));
    behind.map(|replica| replica.name.as_str()).collect()
}

/// Whether an API server may accept what a replica serves now.
fn loses(replica: &Reported, leaf: Option<&Leaf>, now: i64) -> bool {
    match (&replica.certificate, leaf) {
        (Some(id), Some(leaf)) if *id == leaf.id.to_string() => leaf.not_after > now,
        (Some(_), _) => true,
        // One that answers and doesn't say with what.
        (None, _) => replica.ready,
    }
}
