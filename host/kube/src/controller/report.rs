//! What the controller says of itself: one value that whoever exports metrics
//! reads, whenever it likes.
//!
//! Invariant: it holds what this process knows; only the one that leads knows
//! more than that it doesn't.

use std::collections::BTreeMap;

use crate::registrations::BreakGlass;

/// What a controller knows of itself, for its metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControllerReport {
    /// Whether this process holds the controllers' Lease.
    pub leader: bool,
    /// When the CA that signs ends, in seconds since the epoch; None where it
    /// isn't ours.
    pub ca_not_after: Option<i64>,
    /// When the serving certificate in the Secret ends, likewise.
    pub certificate_not_after: Option<i64>,
    /// Rotations of the CA that came to their end since this process began.
    pub rotations_completed: u64,
    /// Steps of rotations and renewals that failed and were tried again.
    pub rotations_failed: u64,
    /// Whether somebody has broken the glass.
    pub break_glass: Option<BreakGlassState>,
    /// Policies whose set-up could lock the cluster out, by rule.
    pub lockout_risks: BTreeMap<&'static str, u64>,
    /// Policy objects by state: `ready`, `waiting`, `degraded`.
    pub policy_objects: BTreeMap<&'static str, u64>,
    /// Replicas that are alive and ready.
    pub replicas: u64,
    /// Webhook configurations written since this process began.
    pub registrations_written: u64,
    /// Those deleted.
    pub registrations_deleted: u64,
    /// Times that they could not be brought to what they should be.
    pub registrations_failed: u64,
}

/// A time without webhooks, by somebody's wish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BreakGlassState {
    /// When it began, in seconds since the epoch.
    pub since: i64,
    /// When it ends by itself, likewise.
    pub until: i64,
    /// Why, as somebody gave it.
    pub reason: String,
    /// Who, where that is known.
    pub by: Option<String>,
    /// The configurations that are gone, such as `validating/portcullis`.
    pub gone: Vec<String>,
}

impl ControllerReport {
    /// Forgets what only the one that leads knows; what was counted stays.
    pub(super) fn leads_no_more(&mut self) {
        self.leader = false;
        self.break_glass = None;
        self.lockout_risks.clear();
        self.policy_objects.clear();
        self.replicas = 0;
    }
}

impl BreakGlassState {
    pub(super) fn of(open: &BreakGlass) -> BreakGlassState {
        BreakGlassState {
            since: open.since.seconds(),
            until: open.until.seconds(),
            reason: open.reason.clone(),
            by: open.by.clone(),
            gone: open.gone.iter().cloned().collect(),
        }
    }
}
