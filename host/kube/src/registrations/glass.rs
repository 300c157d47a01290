//! Break-glass by command, with the caller's own rights: it works while every
//! replica and the controller are dead.

use std::collections::BTreeSet;
use std::time::SystemTime;

use kube::Client;

use super::{BreakGlass, Held, MAX_EXPIRY, Moment, RECORD, Record, Recorded, shortened};
use crate::webhooks::{self, ApplyError};

/// HTTP status of a write that another came before.
const CONFLICT: u16 = 409;
/// How often a change is tried that others come before: the controller writes
/// once in a look.
const TRIES: u32 = 8;

/// Why a break-glass can't be begun, ended or shown.
#[derive(Debug, thiserror::Error)]
pub enum BreakGlassError {
    /// The record can't be read or written.
    #[error(
        "the ConfigMap {RECORD} of the namespace {namespace} can't be {operation}: {cause}; \
         `kubectl delete validatingwebhookconfigurations,mutatingwebhookconfigurations \
         -l app.kubernetes.io/managed-by=portcullis` opens the cluster without it"
    )]
    Record {
        /// `read` or `written`.
        operation: &'static str,
        /// Where it lies.
        namespace: String,
        /// Why.
        cause: kube::Error,
    },
    /// A configuration can't be read or deleted.
    #[error(transparent)]
    Configuration(#[from] ApplyError),
    /// It would last too long.
    #[error("it would last until {until}; the longest is {} days, and what is to be open for longer is uninstalled", MAX_EXPIRY.as_secs() / 86_400)]
    TooLong {
        /// The end that was asked for.
        until: Moment,
    },
    /// It would be over before it began.
    #[error("it would have ended at {until} already; name a moment to come")]
    Over {
        /// The end that was asked for.
        until: Moment,
    },
    /// There is nothing to delete.
    #[error("there is no webhook configuration of Portcullis in the cluster, so it stops nothing")]
    Nothing,
}

/// Opens the cluster: records why and until when, then deletes every webhook
/// configuration of Portcullis. Returns what was deleted, as
/// `validating/portcullis`. Of a cluster that is open already, the reason and the
/// end are replaced.
///
/// # Errors
/// The caller may not do it, or nothing is there.
pub async fn begin(
    client: &Client,
    namespace: &str,
    reason: &str,
    until: SystemTime,
    by: Option<String>,
) -> Result<Vec<String>, BreakGlassError> {
    let (now, until) = (Moment::now(), Moment::of(until));
    if until <= now {
        return Err(BreakGlassError::Over { until });
    }
    if until > now.after(MAX_EXPIRY) {
        return Err(BreakGlassError::TooLong { until });
    }
    let there = webhooks::there(client).await?;
    let present = there.present();
    // Without the right to read it, or where it isn't there, what the objects say.
    let owner = webhooks::owner(client).await.ok().flatten();
    let is_open = change(client, namespace, |record| {
        let mut gone: BTreeSet<String> = record.break_glass.iter().flat_map(|open| open.gone.clone()).collect();
        for (name, one) in present.iter().filter(|(_, one)| one.is_ours) {
            let owner = owner.clone().or_else(|| there.owner_of(name));
            record.recorded.insert(name.clone(), Recorded { uid: one.uid.clone(), owner });
            gone.insert(name.clone());
        }
        if gone.is_empty() {
            return false;
        }
        let since = record.break_glass.as_ref().map_or(now, |open| open.since);
        // The longest is counted from its begin, which this is for who begins it anew.
        let since = if until > since.after(MAX_EXPIRY) { now } else { since };
        record.break_glass = Some(BreakGlass { since, until, reason: shortened(reason), by: by.clone(), gone });
        record.end_asked = false;
        true
    });
    if !is_open.await? {
        return Err(BreakGlassError::Nothing);
    }
    Ok(webhooks::delete(client, &there).await?)
}

/// Lets the controller write the configurations again; what was ended, if
/// anything was.
///
/// # Errors
/// The caller may not write the record.
pub async fn end(client: &Client, namespace: &str) -> Result<Option<BreakGlass>, BreakGlassError> {
    let present = webhooks::there(client).await?.present();
    let ended = change(client, namespace, |record| {
        let open = record.break_glass.take();
        if open.is_some() {
            record.recorded.retain(|name, _| present.contains_key(name));
            record.end_asked = false;
        }
        open
    });
    ended.await
}

/// Whether the cluster is open, so far as the record says.
///
/// # Errors
/// The caller may not read the record.
pub async fn status(client: &Client, namespace: &str) -> Result<Option<BreakGlass>, BreakGlassError> {
    Ok(read(client, namespace).await?.record.break_glass)
}

async fn read(client: &Client, namespace: &str) -> Result<Held, BreakGlassError> {
    Held::read(client, namespace).await.map_err(failed("read", namespace))
}

/// Changes the record, on top of whatever another has written meanwhile: who
/// needs this has no patience for a conflict.
async fn change<T>(client: &Client, namespace: &str, change: impl Fn(&mut Record) -> T) -> Result<T, BreakGlassError> {
    let mut tries = TRIES;
    loop {
        let mut held = read(client, namespace).await?;
        let mut record = held.record.clone();
        let outcome = change(&mut record);
        tries -= 1;
        match held.replace(client, namespace, record).await {
            Ok(()) => return Ok(outcome),
            Err(kube::Error::Api(refused)) if refused.code == CONFLICT && tries > 0 => {}
            Err(cause) => return Err(failed("written", namespace)(cause)),
        }
    }
}

fn failed(operation: &'static str, namespace: &str) -> impl FnOnce(kube::Error) -> BreakGlassError {
    let namespace = namespace.to_owned();
    move |cause| BreakGlassError::Record { operation, namespace, cause }
}
