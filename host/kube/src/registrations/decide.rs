//! What is done with each webhook configuration, from what is recorded and what
//! is there: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{BreakGlass, DELETED, MAX_EXPIRY, Moment, Record, Recorded};

/// An object of one of our names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) uid: String,
    /// Whether it says so by its label.
    pub(crate) is_ours: bool,
}

/// All that a decision depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    pub(crate) record: &'a Record,
    /// What is there, by `validating/portcullis`.
    pub(crate) present: &'a BTreeMap<String, Present>,
    /// What there should be.
    pub(crate) wanted: &'a BTreeSet<String>,
    /// The uid of the ClusterRole that owns configurations; None: there is none.
    pub(crate) owner: Option<&'a str>,
    pub(crate) now: Moment,
    /// How long a break-glass lasts for which nobody has said how long.
    pub(crate) expiry: Duration,
}

/// What is done with one configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is made.
    Create,
    /// It is kept current; where it has gone meanwhile, it isn't made.
    Update,
    /// It is deleted.
    Delete,
    /// Nothing: break-glass, or the installation is being removed.
    Leave,
}

/// What a log tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Configurations are gone that were recorded.
    Opened(BTreeSet<String>),
    /// They may be written again, and why.
    Closed(&'static str),
    /// The owner is gone: the installation is being removed.
    Uninstalling,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// What the record says before any step is done.
    pub(crate) record: Record,
    /// By `validating/portcullis`, all that are there or wanted.
    pub(crate) steps: BTreeMap<String, Step>,
    pub(crate) news: Vec<News>,
}

/// Decides. Every path ends in a state from which the same call goes on.
pub(crate) fn decide(situation: &Situation<'_>) -> Decision {
    let Situation { present, wanted, owner, .. } = *situation;
    let mut record = situation.record.clone();
    let mut news = Vec::new();
    let names: BTreeSet<&String> = present.keys().chain(wanted).collect();
    if owner.is_none() && record.recorded.values().any(|one| one.owner.is_some()) {
        // Whoever removes it wants no configuration back, and the collector takes those that are left.
        let steps = names.into_iter().map(|name| (name.clone(), Step::Leave)).collect();
        return Decision { record, steps, news: vec![News::Uninstalling] };
    }
    forget_others(&mut record, situation);
    close(&mut record, situation, &mut news);
    open(&mut record, situation, &mut news);
    let mut steps = BTreeMap::new();
    for name in names {
        let step = match (present.get(name), wanted.contains(name)) {
            (Some(_), true) => Step::Update,
            (Some(there), false) => {
                if there.is_ours {
                    record.recorded.remove(name);
                }
                Step::Delete
            }
            (None, _) if record.break_glass.is_some() => Step::Leave,
            (None, _) => Step::Create,
        };
        steps.insert(name.clone(), step);
    }
    Decision { record, steps, news }
}

/// What is recorded once the steps are done: `written` are the uids of the
/// configurations that are there and as they should be.
pub(crate) fn recorded(before: &Record, written: &BTreeMap<String, String>, owner: Option<&str>) -> Record {
    let mut record = before.clone();
    for (name, uid) in written {
        let one = Recorded { uid: uid.clone(), owner: owner.map(str::to_owned) };
        record.recorded.insert(name.clone(), one);
    }
    record
}

/// An entry of another installation says nothing of this one, whose
/// configurations the garbage collector may have taken.
fn forget_others(record: &mut Record, situation: &Situation<'_>) {
    record.recorded.retain(|name, one| {
        one.owner.as_deref() == situation.owner || situation.present.get(name).is_some_and(|there| there.uid == one.uid)
    });
}

/// Ends a break-glass that is over, in whole or for what was made again by hand.
fn close(record: &mut Record, situation: &Situation<'_>, news: &mut Vec<News>) {
    let end_asked = std::mem::take(&mut record.end_asked);
    let Some(mut open) = record.break_glass.take() else { return };
    open.until = open.until.min(open.since.after(MAX_EXPIRY));
    if end_asked || open.until <= situation.now {
        // Forgotten, so that they are made again; what is still there stays recorded.
        // Who asks means all of it; time that is up only what it was given for.
        let is_meant = |name: &String| end_asked || open.gone.contains(name);
        record.recorded.retain(|name, _| situation.present.contains_key(name) || !is_meant(name));
        news.push(News::Closed(if end_asked { "somebody has ended it" } else { "its time is up" }));
        return;
    }
    open.gone.retain(|name| match (situation.present.get(name), record.recorded.get(name)) {
        // Another object of its name: somebody has made it again.
        (Some(there), Some(recorded)) => there.uid == recorded.uid || !there.is_ours,
        (Some(there), None) => !there.is_ours,
        (None, Some(_)) => true,
        // Of another installation.
        (None, None) => false,
    });
    if open.gone.is_empty() {
        news.push(News::Closed("the configurations are there again"));
        return;
    }
    record.break_glass = Some(open);
}

/// Begins a break-glass, or widens it, where a recorded configuration is gone.
fn open(record: &mut Record, situation: &Situation<'_>, news: &mut Vec<News>) {
    let missing: BTreeSet<String> =
        record.recorded.keys().filter(|name| !situation.present.contains_key(*name)).cloned().collect();
    let new: BTreeSet<String> = missing.iter().filter(|name| !record.is_open(name)).cloned().collect();
    if new.is_empty() {
        return;
    }
    let open = record.break_glass.get_or_insert_with(|| BreakGlass {
        since: situation.now,
        until: situation.now.after(situation.expiry.min(MAX_EXPIRY)),
        reason: DELETED.to_owned(),
        by: None,
        gone: BTreeSet::new(),
    });
    open.gone.extend(new.iter().cloned());
    news.push(News::Opened(new));
}
