//! Writing the configurations: server-side, under one field manager, and only
//! what differs from what is there.
//!
//! Invariants: a configuration that isn't ours by its label is never touched,
//! and a `caBundle` that we don't set is never owned, so that cert-manager's
//! injector keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::configuration::{CONFIGURATIONS, INJECT_CA_FROM, MANAGED_BY};
use super::{MutatingWebhookConfiguration, Registrations, ValidatingWebhookConfiguration};
use crate::rbac;
use crate::registrations::decide::{Present, Step};

/// Whose fields the API server takes ours for.
pub const FIELD_MANAGER: &str = "portcullis-controller";
/// HTTP status of what isn't there.
const NOT_FOUND: u16 = 404;
/// Of a uid that isn't that of the object, or of no object.
const CONFLICT: u16 = 409;

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

/// What was done, and what is there now.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub(crate) applied: Applied,
    /// The uids of the configurations that are there and were written as they should be.
    pub(crate) uids: BTreeMap<String, String>,
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

/// The configurations of our names that are there.
#[derive(Debug, Clone, Default)]
pub(crate) struct There {
    validating: BTreeMap<String, ValidatingWebhookConfiguration>,
    mutating: BTreeMap<String, MutatingWebhookConfiguration>,
}

impl There {
    /// By `validating/portcullis`: which object, and whether it is ours.
    pub(crate) fn present(&self) -> BTreeMap<String, Present> {
        self.metadata().map(|(name, meta)| (name, present(meta))).collect()
    }

    /// The uid of the ClusterRole that owns one of them.
    pub(crate) fn owner_of(&self, name: &str) -> Option<String> {
        let (_, meta) = self.metadata().find(|(found, _)| found == name)?;
        let owners = meta.owner_references.iter().flatten();
        let mut ours = owners.filter(|owner| owner.kind == "ClusterRole" && owner.name == rbac::CONTROLLER);
        ours.next().map(|owner| owner.uid.clone())
    }

    /// The different `caBundle`s of the webhooks in those that are ours, in PEM;
    /// an empty one where a webhook has none.
    pub(crate) fn bundles(&self) -> BTreeSet<Vec<u8>> {
        let of = |config: &WebhookClientConfig| config.ca_bundle.as_ref().map(|pem| pem.0.clone()).unwrap_or_default();
        let validating = self.validating.values().filter(|one| present(&one.metadata).is_ours);
        let validating = validating.flat_map(|one| one.webhooks.iter().flatten()).map(|one| of(&one.client_config));
        let mutating = self.mutating.values().filter(|one| present(&one.metadata).is_ours);
        let mutating = mutating.flat_map(|one| one.webhooks.iter().flatten()).map(|one| of(&one.client_config));
        validating.chain(mutating).collect()
    }

    fn metadata(&self) -> impl Iterator<Item = (String, &ObjectMeta)> {
        let validating = self.validating.iter().map(|(name, one)| (shown(VALIDATING, name), &one.metadata));
        validating.chain(self.mutating.iter().map(|(name, one)| (shown(MUTATING, name), &one.metadata)))
    }
}

impl Registrations {
    /// The names of all configurations, as `validating/portcullis`.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let validating = self.validating.iter().map(|one| shown(VALIDATING, &one.name_any()));
        validating.chain(self.mutating.iter().map(|one| shown(MUTATING, &one.name_any()))).collect()
    }
}

/// Reads the configurations of our names.
pub(crate) async fn there(client: &Client) -> Result<There, ApplyError> {
    let mut there = There::default();
    let (validating, mutating) = phases(client);
    for name in CONFIGURATIONS {
        there.validating.extend(validating.read(name).await?.map(|one| (name.to_owned(), one)));
        there.mutating.extend(mutating.read(name).await?.map(|one| (name.to_owned(), one)));
    }
    Ok(there)
}

/// The uid of the ClusterRole that owns the configurations; None where it isn't there.
pub(crate) async fn owner(client: &Client) -> kube::Result<Option<String>> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    Ok(roles.get_opt(rbac::CONTROLLER).await?.and_then(|role| role.uid()))
}

/// Deletes the configurations that are ours; all are tried, the first error is returned.
pub(crate) async fn delete(client: &Client, there: &There) -> Result<Vec<String>, ApplyError> {
    let ours = there.present().into_iter().filter(|(_, one)| one.is_ours);
    let steps = ours.map(|(name, _)| (name, Step::Delete)).collect();
    Ok(carry_out(client, &Registrations::default(), there, &steps).await?.applied.deleted)
}

/// Brings the cluster's configurations to what they should be, whatever has
/// become of them since they were last written.
///
/// # Errors
/// Where the API server refuses, or an object of our name isn't ours.
pub async fn apply(client: &Client, registrations: &Registrations) -> Result<Applied, ApplyError> {
    let there = there(client).await?;
    let (present, wanted) = (there.present(), registrations.names());
    let step = |name: &String| match (present.contains_key(name), wanted.contains(name)) {
        (true, true) => Step::Update,
        (true, false) => Step::Delete,
        (false, _) => Step::Create,
    };
    let steps = present.keys().chain(&wanted).map(|name| (name.clone(), step(name))).collect();
    Ok(carry_out(client, registrations, &there, &steps).await?.applied)
}

/// Does these steps. The configurations of the mutating phase are written first
/// and all are tried; the first error is returned.
pub(crate) async fn carry_out(
    client: &Client,
    registrations: &Registrations,
    there: &There,
    steps: &BTreeMap<String, Step>,
) -> Result<Carried, ApplyError> {
    let mut carried = Carried::default();
    let (validating, mutating) = phases(client);
    let mut result = Ok(());
    for name in CONFIGURATIONS {
        if let Some(step) = steps.get(&shown(MUTATING, name)) {
            let wanted = registrations.mutating.iter().find(|one| one.name_any() == name);
            result = result.and(mutating.bring(name, *step, wanted, there.mutating.get(name), &mut carried).await);
        }
        if let Some(step) = steps.get(&shown(VALIDATING, name)) {
            let wanted = registrations.validating.iter().find(|one| one.name_any() == name);
            result = result.and(validating.bring(name, *step, wanted, there.validating.get(name), &mut carried).await);
        }
    }
    result.map(|()| carried)
}

const VALIDATING: &str = "validating";
const MUTATING: &str = "mutating";

fn phases(client: &Client) -> (Phase<ValidatingWebhookConfiguration>, Phase<MutatingWebhookConfiguration>) {
    let validating = Phase { api: Api::all(client.clone()), word: VALIDATING };
    (validating, Phase { api: Api::all(client.clone()), word: MUTATING })
}

fn shown(phase: &str, name: &str) -> String {
    format!("{phase}/{name}")
}

fn present(meta: &ObjectMeta) -> Present {
    let (key, value) = MANAGED_BY;
    let label = meta.labels.as_ref().and_then(|labels| labels.get(key));
    Present { uid: meta.uid.clone().unwrap_or_default(), is_ours: label.is_some_and(|found| found == value) }
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
    fn failed(&self, operation: &'static str, name: &str) -> impl FnOnce(kube::Error) -> ApplyError + use<K> {
        let what = format!("the {} webhook configuration {name}", self.word);
        move |cause| ApplyError::Request { operation, what, cause }
    }

    async fn read(&self, name: &str) -> Result<Option<K>, ApplyError> {
        self.api.get_opt(name).await.map_err(self.failed("read", name))
    }

    /// Does one step on one configuration.
    async fn bring(
        &self,
        name: &str,
        step: Step,
        wanted: Option<&K>,
        there: Option<&K>,
        carried: &mut Carried,
    ) -> Result<(), ApplyError> {
        if there.is_some_and(|there| !present(there.meta()).is_ours) {
            // Nothing to write and nothing of ours: leave it to who made it.
            let what = format!("the {} webhook configuration {name}", self.word);
            return if wanted.is_some() { Err(ApplyError::Foreign { what }) } else { Ok(()) };
        }
        match (step, wanted, there) {
            (Step::Create, Some(wanted), None) => self.write(name, wanted, None, carried).await,
            (Step::Update, Some(wanted), Some(there)) if is_as(there, wanted) => {
                carried.uids.insert(shown(self.word, name), there.uid().unwrap_or_default());
                Ok(())
            }
            (Step::Update, Some(wanted), Some(there)) => self.write(name, wanted, Some(there), carried).await,
            (Step::Delete, _, Some(there)) => self.delete(name, there, carried).await,
            _ => Ok(()),
        }
    }

    async fn write(&self, name: &str, wanted: &K, there: Option<&K>, carried: &mut Carried) -> Result<(), ApplyError> {
        let mut object = wanted.clone();
        // With a uid it is never made: who deletes it between our look and our
        // write has opened the cluster.
        object.meta_mut().uid = there.and_then(ResourceExt::uid);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let after = match self.api.patch(name, &parameters, &Patch::Apply(&object)).await {
            Ok(after) => after,
            Err(error) if there.is_some() && is_status(&error, CONFLICT) => return Ok(()),
            Err(error) => return Err(self.failed("write", name)(error)),
        };
        let shown = shown(self.word, name);
        if there.is_none_or(|there| there.resource_version() != after.resource_version()) {
            carried.applied.written.push(shown.clone());
        }
        carried.uids.insert(shown.clone(), after.uid().unwrap_or_default());
        if !is_as(&after, wanted) {
            carried.applied.disputed.push(shown);
        }
        Ok(())
    }

    async fn delete(&self, name: &str, there: &K, carried: &mut Carried) -> Result<(), ApplyError> {
        let unchanged = Preconditions { uid: there.uid(), resource_version: there.resource_version() };
        let parameters = DeleteParams { preconditions: Some(unchanged), ..DeleteParams::default() };
        match self.api.delete(name, &parameters).await {
            Ok(_) => carried.applied.deleted.push(shown(self.word, name)),
            Err(error) if is_status(&error, NOT_FOUND) => {}
            Err(error) => return Err(self.failed("delete", name)(error)),
        }
        Ok(())
    }
}

fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
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
        && owners(&there).is_superset(&owners(&wanted))
        && webhooks(&there, &wanted) == webhooks(&wanted, &wanted)
}

/// The uids of the owners of an object.
fn owners(object: &Map<String, Value>) -> BTreeSet<String> {
    let owners = object.get("metadata").and_then(|metadata| metadata.get("ownerReferences")).and_then(Value::as_array);
    owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str().map(str::to_owned)).collect()
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
