//! What is to be done next with CA and certificate: pure, without a clock.
//!
//! ```text
//! nothing ─ Create ─ Issue                                   a first installation
//! CA1, S1 ─ Create CA2 ─ (settled) Issue S2 ─ Disarm ─ (moved) Retire CA1     a rotation
//! CA1, S1 ─ Issue S1'                                        a renewal
//! ```
//! The bundle is always all CAs of the Secret. So a certificate of a new CA is
//! published only when every webhook's bundle has held that CA long enough for
//! every API server to know ([`Around::settled`]), and a CA leaves only when
//! every replica has served a certificate of the newest as long
//! ([`Around::moved`]). What a webhook trusts beyond that (somebody lost the
//! Secret, or brought a CA of their own) is taken up first ([`Step::Trust`]).
//!
//! Whatever the Secrets say is a state from which there is a next step; nothing
//! else is remembered that can't be seen again.

use std::collections::BTreeSet;

use super::CA_SECRET;
use super::parsed::Fingerprint;

/// CAs in a bundle: one that signs and what lags behind. A certificate of ours
/// has about 700 bytes in PEM, so a bundle stays small beside the rules.
pub(super) const MAX_TRUSTED: usize = 8;
/// How long after its end a CA is dropped although a replica may serve a
/// certificate of it: no API server's clock is so far behind.
const OVER: i64 = 3600;

/// A CA of the Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) id: Fingerprint,
    /// When it was made, in seconds since the epoch.
    pub(super) issued: i64,
    /// Its end, likewise.
    pub(super) not_after: i64,
    /// Whether its key is there too.
    pub(super) signs: bool,
}

/// The serving certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Serving {
    /// There is none.
    Missing,
    /// What there is can't be served, and why.
    Damaged(String),
    /// It can be served.
    Present(Leaf),
}

/// A certificate that can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) id: Fingerprint,
    /// Which of the Secret's CAs signed it; None where none did.
    pub(super) issuer: Option<Fingerprint>,
    pub(super) issued: i64,
    pub(super) not_after: i64,
    /// Whether it is for all names that it should be for, and no others.
    pub(super) named: bool,
}

/// What the Secrets say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// Newest first.
    pub(super) authorities: Vec<Authority>,
    /// Why the Secret's own CA can't be used, where it can't; `authorities` then
    /// are what could be saved of it.
    pub(super) damage: Option<String>,
    pub(super) serving: Serving,
    /// The rotation that somebody asks for and that isn't begun.
    pub(super) asked: Option<String>,
}

/// What there is around them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Around {
    /// Seconds since the epoch, by the API server's clock.
    pub(super) now: i64,
    /// What every webhook trusts.
    pub(super) covered: BTreeSet<Fingerprint>,
    /// What every webhook has trusted long enough.
    pub(super) settled: BTreeSet<Fingerprint>,
    /// What some webhook trusts, with its end.
    pub(super) trusted: Vec<(Fingerprint, i64)>,
    /// Whether every replica serves the serving certificate, and has long enough.
    pub(super) moved: bool,
    /// Whether no replica serves anything that an API server would accept, nor
    /// would one that began now.
    pub(super) nothing_to_lose: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is due.
    Rest,
    /// Every API server must know the newest CA first.
    AwaitSettled,
    /// Every replica must serve the newest certificate first.
    AwaitReplicas,
    /// A new CA in front of these.
    Create { keep: Vec<Fingerprint>, why: Why },
    /// Webhooks trust more than the Secret holds: take it up behind the others.
    Trust { keep: Vec<Fingerprint> },
    /// A new serving certificate of this CA.
    Issue { signer: Fingerprint, why: Why },
    /// Forget the keys of all CAs but the newest.
    Disarm,
    /// Drop all CAs but these.
    Retire { keep: Vec<Fingerprint> },
}

/// Why something is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    #[error("there is none")]
    Missing,
    #[error("the one there can't be used: {0}")]
    Damaged(String),
    #[error("the one before has run out")]
    Expired,
    #[error("a third of the life of the one before is left")]
    Due,
    #[error("somebody asked for it")]
    Asked,
    #[error("the one there isn't signed by a CA of the Secret {CA_SECRET}")]
    Foreign,
    #[error("its CA is new")]
    Replaced,
    #[error("it is for other names than it should be")]
    Renamed,
}

impl View {
    /// What a webhook's bundle must hold; None while that isn't known.
    pub(super) fn bundle(&self, around: &Around) -> Option<Vec<Fingerprint>> {
        let known = self.damage.is_none() && !self.authorities.is_empty() && self.untold(around).is_empty();
        known.then(|| self.authorities.iter().map(|authority| authority.id).collect())
    }

    /// What to do next, where a serving certificate lasts `lifetime` seconds.
    pub(super) fn step(&self, around: &Around, lifetime: i64) -> Step {
        let newest = match self.authorities.first() {
            _ if self.damage.is_some() => Err(Why::Damaged(self.damage.clone().unwrap_or_default())),
            None => Err(Why::Missing),
            Some(newest) if newest.not_after <= around.now => Err(Why::Expired),
            Some(newest) => Ok(newest),
        };
        let newest = match newest {
            Ok(newest) => newest,
            Err(why) => return Step::Create { keep: self.kept(around), why },
        };
        if !self.untold(around).is_empty() {
            return Step::Trust { keep: self.kept_behind(newest, around) };
        }
        match self.issue(newest, around, lifetime) {
            Some(step) => step,
            None if self.authorities.iter().skip(1).any(|older| older.signs) => Step::Disarm,
            None => self.rotation(newest, around),
        }
    }

    /// Whether the serving certificate is to be made anew.
    fn issue(&self, newest: &Authority, around: &Around, lifetime: i64) -> Option<Step> {
        let usable = |one: &&Authority| one.signs && one.not_after > around.now && around.settled.contains(&one.id);
        // Where nobody serves, an API server that knows late fails no more calls
        // than a replica that waits.
        let at_once = around.nothing_to_lose && around.covered.contains(&newest.id);
        let signer = self.authorities.iter().find(usable).or(at_once.then_some(newest));
        let end = |signer: &Authority| signer.not_after.min(around.now.saturating_add(lifetime));
        let why = match &self.serving {
            Serving::Missing => Why::Missing,
            Serving::Damaged(reason) => Why::Damaged(reason.clone()),
            Serving::Present(leaf) if leaf.not_after <= around.now => Why::Expired,
            Serving::Present(leaf) if leaf.issuer.is_none() => Why::Foreign,
            Serving::Present(leaf) if !leaf.named => Why::Renamed,
            // By an older CA it would have to be made once more.
            Serving::Present(leaf) if leaf.issuer != Some(newest.id) => match signer {
                Some(signer) if signer.id == newest.id => Why::Replaced,
                Some(signer) if is_due(leaf.issued, leaf.not_after, around.now) && end(signer) > leaf.not_after => {
                    Why::Due
                }
                _ => return Some(Step::AwaitSettled),
            },
            Serving::Present(leaf) if is_due(leaf.issued, leaf.not_after, around.now) => match signer {
                // Its CA ends no later: the next one brings a longer one.
                Some(signer) if end(signer) <= leaf.not_after => return None,
                _ => Why::Due,
            },
            Serving::Present(_) => return None,
        };
        Some(signer.map_or(Step::AwaitSettled, |signer| Step::Issue { signer: signer.id, why }))
    }

    /// The serving certificate is of the newest CA: what is left to do.
    fn rotation(&self, newest: &Authority, around: &Around) -> Step {
        let older = self.authorities.get(1..).unwrap_or_default();
        let all_moved = around.moved && around.settled.contains(&newest.id);
        let drops = |one: &&Authority| all_moved || is_over(one.not_after, around.now);
        if older.iter().any(|one| drops(&one)) {
            let keep = older.iter().filter(|one| !drops(one)).map(|one| one.id);
            return Step::Retire { keep: std::iter::once(newest.id).chain(keep).collect() };
        }
        let why = match self.asked {
            _ if is_due(newest.issued, newest.not_after, around.now) => Some(Why::Due),
            Some(_) => Some(Why::Asked),
            None => None,
        };
        match why {
            Some(why) if self.authorities.len() < MAX_TRUSTED => Step::Create { keep: self.kept(around), why },
            _ if older.is_empty() => Step::Rest,
            _ => Step::AwaitReplicas,
        }
    }

    /// What webhooks trust and the Secret doesn't hold, so long as a replica may
    /// serve a certificate of it.
    fn untold(&self, around: &Around) -> Vec<Fingerprint> {
        let is_of_newest = match (&self.serving, self.authorities.first()) {
            (Serving::Present(leaf), Some(newest)) => leaf.issuer == Some(newest.id),
            _ => false,
        };
        if around.nothing_to_lose || (around.moved && is_of_newest) {
            return Vec::new();
        }
        let known = |id: &Fingerprint| self.authorities.iter().any(|one| one.id == *id);
        let untold = around.trusted.iter().filter(|(id, end)| !known(id) && !is_over(*end, around.now));
        untold.map(|(id, _)| *id).take(MAX_TRUSTED.saturating_sub(self.authorities.len())).collect()
    }

    /// What stands behind a new CA: all that may still be served.
    fn kept(&self, around: &Around) -> Vec<Fingerprint> {
        let known = self.authorities.iter().filter(|one| !is_over(one.not_after, around.now)).map(|one| one.id);
        known.chain(self.untold(around)).take(MAX_TRUSTED - 1).collect()
    }

    fn kept_behind(&self, newest: &Authority, around: &Around) -> Vec<Fingerprint> {
        let others = self.kept(around).into_iter().filter(|id| *id != newest.id);
        std::iter::once(newest.id).chain(others).take(MAX_TRUSTED).collect()
    }
}

/// Whether a third of a life is left.
fn is_due(issued: i64, not_after: i64, now: i64) -> bool {
    now >= not_after.saturating_sub(not_after.saturating_sub(issued).max(0) / 3)
}

/// Whether no API server can take it for good any more.
fn is_over(not_after: i64, now: i64) -> bool {
    not_after.saturating_add(OVER) < now
}
