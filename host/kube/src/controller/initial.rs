//! Policies that an installation begins with: created once each, and from then on
//! the administrator's. What he deletes stays deleted, what he edits stays edited.

use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::Value;

use super::register::RegisterError;
use crate::documents::resource;
use crate::registrations::{Held, RECORD};
use crate::webhooks::FIELD_MANAGER;

/// HTTP status of what is there already.
const CONFLICT: u16 = 409;

/// Creates those that were never created; the names of those that are new. The
/// record is written after each, so that one that fails keeps none waiting.
pub(super) async fn create(client: &Client, namespace: &str, policies: &[Value]) -> Result<Vec<String>, RegisterError> {
    if policies.is_empty() {
        return Ok(Vec::new());
    }
    let read = Held::read(client, namespace).await;
    let mut held = read.map_err(RegisterError::request(format!("read the ConfigMap {RECORD}")))?;
    let (mut created, mut result) = (Vec::new(), Ok(()));
    for policy in policies {
        let name = name(policy);
        if held.record.initial_policies.contains(&name) {
            continue;
        }
        let outcome = post(client, policy).await;
        if let Err(error) = outcome {
            result = result.and(Err(RegisterError::request(format!("create the policy {name}"))(error)));
            continue;
        }
        let mut record = held.record.clone();
        record.initial_policies.insert(name.clone());
        let written = held.replace(client, namespace, record).await;
        written.map_err(RegisterError::request(format!("write the ConfigMap {RECORD}")))?;
        created.push(name);
    }
    result.map(|()| created)
}

/// `name`, or `namespace/name`.
fn name(policy: &Value) -> String {
    let text = |field: &str| policy["metadata"][field].as_str();
    match (text("namespace"), text("name").unwrap_or_default()) {
        (Some(namespace), name) => format!("{namespace}/{name}"),
        (None, name) => name.to_owned(),
    }
}

async fn post(client: &Client, policy: &Value) -> kube::Result<()> {
    let namespace = policy["metadata"]["namespace"].as_str();
    let resource = resource(namespace.is_some());
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let object: DynamicObject = serde_json::from_value(policy.clone()).map_err(kube::Error::SerdeError)?;
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match api.create(&parameters, &object).await {
        // Somebody has made one of its name: it is his.
        Err(kube::Error::Api(refused)) if refused.code == CONFLICT => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}
