//! Writes what [`plan`](super::plan) decided into the status of a policy object,
//! where it isn't there already.

use std::sync::Arc;

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::json;

use super::plan::{LastLoaded, Outlook};
use crate::crd::{BREAK_GLASS, LOCKOUT_RISK, Loaded, MAX_LAGGING, PolicyStatus};
use crate::documents::{PolicyObject, resource};
use crate::webhooks::FIELD_MANAGER;

/// Writes the status where it says something else.
pub(super) async fn write(client: &Client, object: &Arc<PolicyObject>, outlook: &Outlook) -> kube::Result<()> {
    let held = object.document.get("status").cloned().unwrap_or_else(|| json!({}));
    // A status that can't be read was written by somebody else; it is replaced.
    let before: PolicyStatus = serde_json::from_value(held).unwrap_or_default();
    let after = status(&before, object.version.generation, outlook);
    if after == before {
        return Ok(());
    }
    let resource = resource(object.id.namespace.is_some());
    let api: Api<DynamicObject> = match &object.id.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let document = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        // The uid, so that a namesake that has just been made isn't meant.
        "metadata": {"name": object.id.name, "uid": object.version.uid},
        "status": after,
    });
    match api.patch_status(&object.id.name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&document)).await
    {
        // It is gone, or another object has its name: nothing is left to say.
        Err(kube::Error::Api(refused)) if refused.code == 404 || refused.code == 409 => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}

fn status(before: &PolicyStatus, generation: i64, outlook: &Outlook) -> PolicyStatus {
    let newly = |loaded: &LastLoaded| Loaded {
        generation: loaded.generation,
        digest: loaded.digest.clone(),
        spec: loaded.spec.clone(),
    };
    let mut status = PolicyStatus {
        observed_generation: Some(generation),
        conditions: before.conditions.clone(),
        replicas: Some(outlook.replicas.clone()),
        lagging: outlook.behind.iter().take(MAX_LAGGING).cloned().collect(),
        module_digest: outlook.digest.clone(),
        matches: outlook.matches.clone(),
        loaded: outlook.loaded.as_ref().map(newly).or_else(|| before.loaded.clone()),
    };
    status.set_ready(Some(outlook.ready.holds), outlook.ready.reason, &outlook.ready.message);
    status.set_degraded(outlook.degraded.holds, outlook.degraded.reason, &outlook.degraded.message);
    // Said where it is so, and where it was so: nobody has to read of what never was.
    for (kind, verdict, over) in
        [(LOCKOUT_RISK, &outlook.lockout_risk, "NoRisk"), (BREAK_GLASS, &outlook.break_glass, "Registered")]
    {
        match verdict {
            Some(verdict) => status.set_fact(kind, verdict.holds, verdict.reason, &verdict.message),
            None if status.says(kind) => status.set_fact(kind, false, over, ""),
            None => {}
        }
    }
    status
}
