//! Brings the webhook configurations to what they should be, and keeps the
//! record of them; see [`crate::registrations`] for what that is for.

use std::collections::BTreeSet;

use kube::Client;

use super::ControllerConfig;
use crate::registrations::decide::{Decision, News, Situation, decide, recorded};
use crate::registrations::{ANNOTATION, BreakGlass, END, EXPIRY, Held, Moment, RECORD};
use crate::webhooks::{self, Applied, ApplyError, Registrations};
use crate::{rbac, told};

/// What has been brought about.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) applied: Applied,
    /// Whether the cluster is open.
    pub(super) break_glass: Option<BreakGlass>,
    /// The installation is being removed, so nothing was done.
    pub(super) uninstalling: bool,
}

/// What can't be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegisterError {
    /// The record, or the owner.
    #[error("can't {operation}: {reason}")]
    Request {
        /// With what: `read the ConfigMap …`.
        operation: String,
        /// What the API server said.
        reason: String,
    },
    /// A configuration.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl RegisterError {
    pub(super) fn request(operation: impl Into<String>) -> impl FnOnce(kube::Error) -> RegisterError {
        let operation = operation.into();
        move |error| RegisterError::Request { operation, reason: told(&error) }
    }
}

/// The uid of the ClusterRole that owns the configurations.
pub(super) async fn owner(client: &Client) -> Result<Option<String>, RegisterError> {
    let operation = format!("read the ClusterRole {}, which owns the webhook configurations", rbac::CONTROLLER);
    webhooks::owner(client).await.map_err(RegisterError::request(operation))
}

/// Brings the cluster's configurations to what they should be, as far as the
/// record lets.
pub(super) async fn register(
    client: &Client,
    config: &ControllerConfig,
    wanted: &Registrations,
    owner: Option<&str>,
) -> Result<Outcome, RegisterError> {
    let namespace = config.namespace.as_str();
    let there = webhooks::there(client).await?;
    let read = Held::read(client, namespace).await;
    let mut held = read.map_err(RegisterError::request(format!("read the ConfigMap {RECORD}")))?;
    for problem in &held.problems {
        tracing::error!(problem, "the record of the webhook configurations is damaged");
    }
    let (present, names) = (there.present(), wanted.names());
    let Decision { record, steps, news } = decide(&Situation {
        record: &held.record,
        present: &present,
        wanted: &names,
        owner,
        now: Moment::now(),
        expiry: config.break_glass_expiry.unwrap_or(EXPIRY),
    });
    tell(&news, record.break_glass.as_ref());
    if news.contains(&News::Uninstalling) {
        return Ok(Outcome { uninstalling: true, ..Outcome::default() });
    }
    let write = || format!("write the ConfigMap {RECORD}");
    held.replace(client, namespace, record).await.map_err(RegisterError::request(write()))?;
    let carried = webhooks::carry_out(client, wanted, &there, &steps).await?;
    let after = recorded(&held.record, &carried.uids, owner);
    held.replace(client, namespace, after).await.map_err(RegisterError::request(write()))?;
    Ok(Outcome { applied: carried.applied, break_glass: held.record.break_glass, uninstalling: false })
}

fn tell(news: &[News], open: Option<&BreakGlass>) {
    for one in news {
        match one {
            News::Opened(gone) => {
                let gone = joined(gone);
                let until = open.map(|open| open.until.to_string());
                tracing::error!(
                    gone,
                    until,
                    hint = format!("kubectl annotate configmap {RECORD} {ANNOTATION}={END} closes it again"),
                    "break-glass: webhook configurations are gone that nobody of Portcullis deleted; not written again"
                );
            }
            News::Closed(why) => tracing::warn!(why, "break-glass is over: webhook configurations are written again"),
            News::Uninstalling => tracing::warn!(
                role = rbac::CONTROLLER,
                "the ClusterRole that owned the webhook configurations is gone; nothing is written, as in an uninstallation"
            ),
        }
    }
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
