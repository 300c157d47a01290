//! Writing the configurations: server-side, under one field manager, and only
//! what differs from what is there.
//!
//! Invariants: a configuration that isn't ours by its label is never touched,
//! and a `caBundle` that we don't set is never owned, so that cert-manager's
//! injector keeps it.

use std::fmt::Debug;

use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::configuration::{CLUSTER_POLICIES, INJECT_CA_FROM, MANAGED_BY, NAMESPACED_POLICIES};
use super::{MutatingWebhookConfiguration, Registrations, ValidatingWebhookConfiguration};

/// Whose fields the API server takes ours for.
pub const FIELD_MANAGER: &str = "portcullis-controller";
/// HTTP status of what isn't there.
const NOT_FOUND: u16 = 404;

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Configurations that were written, as `validating/portcullis`.
    pub written: Vec<String>,
    /// Those that were deleted, because no policy needs them.
    pub deleted: Vec<String>,
    /// Those that another has changed in a way that applying doesn't undo.
    pub disputed: Vec<String>,
}

/// What can't be done.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server says no, or nothing. Kube's errors carry their causes in
    /// their texts.
    #[error("can't {operation} {what}: {cause}")]
    Request {
        /// `read`, `write`, `delete`.
        operation: &'static str,
        /// `the validating webhook configuration portcullis`.
        what: String,
        /// Why.
        cause: kube::Error,
    },
    /// There is an object of our name that we didn't make.
    #[error(
        "{what} is there and isn't ours: it has no label {}={}; delete it, or give it the label to have it replaced",
        MANAGED_BY.0,
        MANAGED_BY.1
    )]
    Foreign {
        /// Which.
        what: String,
    },
}

/// Brings the cluster's configurations to what they should be. Those of the
/// mutating phase are written first and all are tried; the first error is returned.
///
/// # Errors
/// Where the API server refuses, or an object of our name isn't ours.
pub async fn apply(client: &Client, registrations: &Registrations) -> Result<Applied, ApplyError> {
    let mut applied = Applied::default();
    let mutating = Phase { api: Api::all(client.clone()), word: "mutating" };
    let validating = Phase { api: Api::all(client.clone()), word: "validating" };
    let mut result = Ok(());
    for name in [CLUSTER_POLICIES, NAMESPACED_POLICIES] {
        let wanted = registrations.mutating.iter().find(|one: &&MutatingWebhookConfiguration| one.name_any() == name);
        result = result.and(mutating.bring(name, wanted, &mut applied).await);
        let wanted =
            registrations.validating.iter().find(|one: &&ValidatingWebhookConfiguration| one.name_any() == name);
        result = result.and(validating.bring(name, wanted, &mut applied).await);
    }
    result.map(|()| applied)
}

/// The configurations of one phase.
struct Phase<K> {
    api: Api<K>,
    word: &'static str,
}

impl<K> Phase<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    /// Brings one configuration to what it should be.
    async fn bring(&self, name: &str, wanted: Option<&K>, applied: &mut Applied) -> Result<(), ApplyError> {
        let what = format!("the {} webhook configuration {name}", self.word);
        let failed = |operation| {
            let what = what.clone();
            move |cause| ApplyError::Request { operation, what, cause }
        };
        let there = self.api.get_opt(name).await.map_err(failed("read"))?;
        if there.as_ref().is_some_and(|there| !is_ours(there)) {
            // Nothing to write and nothing of ours: leave it to who made it.
            return if wanted.is_some() { Err(ApplyError::Foreign { what }) } else { Ok(()) };
        }
        let shown = format!("{}/{name}", self.word);
        match (wanted, there) {
            (None, None) => {}
            (None, Some(there)) => {
                let unchanged = Preconditions { uid: there.uid(), resource_version: there.resource_version() };
                let parameters = DeleteParams { preconditions: Some(unchanged), ..DeleteParams::default() };
                match self.api.delete(name, &parameters).await {
                    Ok(_) => applied.deleted.push(shown),
                    Err(error) if is_not_found(&error) => {}
                    Err(error) => return Err(failed("delete")(error)),
                }
            }
            (Some(wanted), there) => {
                if there.as_ref().is_some_and(|there| is_as(there, wanted)) {
                    return Ok(());
                }
                let before = there.and_then(|there| there.resource_version());
                let parameters = PatchParams::apply(FIELD_MANAGER).force();
                let after = self.api.patch(name, &parameters, &Patch::Apply(wanted)).await.map_err(failed("write"))?;
                if before.is_none() || before != after.resource_version() {
                    applied.written.push(shown.clone());
                }
                if !is_as(&after, wanted) {
                    applied.disputed.push(shown);
                }
            }
        }
        Ok(())
    }
}

pub(super) fn is_ours<K: Resource>(there: &K) -> bool {
    let (key, value) = MANAGED_BY;
    there.meta().labels.as_ref().and_then(|labels| labels.get(key)).is_some_and(|found| found == value)
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == NOT_FOUND)
}

/// Whether what is there is what should be: the same webhooks in every field
/// that we set, our labels, and our annotation or none.
fn is_as<K: Serialize>(there: &K, wanted: &K) -> bool {
    let (there, wanted) = (value(there), value(wanted));
    let within = |object: &Map<String, Value>, field: &str, key: &str| {
        object.get("metadata").and_then(|metadata| metadata.get(field)?.get(key)).cloned()
    };
    let labels = wanted.get("metadata").and_then(|metadata| metadata.get("labels")).and_then(Value::as_object);
    labels.into_iter().flatten().all(|(key, label)| within(&there, "labels", key).as_ref() == Some(label))
        && within(&there, "annotations", INJECT_CA_FROM) == within(&wanted, "annotations", INJECT_CA_FROM)
        && webhooks(&there, &wanted) == webhooks(&wanted, &wanted)
}

/// An object's webhooks by name, but for a `caBundle` that `wanted` doesn't set.
fn webhooks(object: &Map<String, Value>, wanted: &Map<String, Value>) -> Map<String, Value> {
    const CA_BUNDLE: &str = "/clientConfig/caBundle";
    let of =
        |object: &Map<String, Value>| object.get("webhooks").and_then(Value::as_array).cloned().unwrap_or_default();
    let sets_ca = of(wanted).iter().any(|webhook| webhook.pointer(CA_BUNDLE).is_some());
    let named = of(object).into_iter().map(|mut webhook| {
        if let (false, Some(config)) = (sets_ca, webhook.pointer_mut("/clientConfig").and_then(Value::as_object_mut)) {
            config.remove("caBundle");
        }
        let name = webhook.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        (name, webhook)
    });
    named.collect()
}

fn value<K: Serialize>(object: &K) -> Map<String, Value> {
    match serde_json::to_value(object) {
        Ok(Value::Object(object)) => object,
        // Objects of the API have string keys and finite numbers: they serialise.
        _ => Map::new(),
    }
}
