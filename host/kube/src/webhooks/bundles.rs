//! What the configurations trust now: read from the cluster, not from memory.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::{Api, Client};

use super::apply::is_ours;
use super::configuration::CONFIGURATIONS;

/// The different `caBundle`s of the webhooks in our configurations, in PEM; an
/// empty one where a webhook has none. No configuration, no bundle.
pub(crate) async fn bundles(client: &Client) -> kube::Result<Vec<Vec<u8>>> {
    let (mutating, validating) = (Api::all(client.clone()), Api::all(client.clone()));
    let mut found: Vec<Vec<u8>> = Vec::new();
    for name in CONFIGURATIONS {
        let there: Option<MutatingWebhookConfiguration> = mutating.get_opt(name).await?;
        for webhook in there.filter(is_ours).and_then(|there| there.webhooks).unwrap_or_default() {
            found.push(bundle(webhook.client_config));
        }
        let there: Option<ValidatingWebhookConfiguration> = validating.get_opt(name).await?;
        for webhook in there.filter(is_ours).and_then(|there| there.webhooks).unwrap_or_default() {
            found.push(bundle(webhook.client_config));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn bundle(config: WebhookClientConfig) -> Vec<u8> {
    config.ca_bundle.map(|ByteString(pem)| pem).unwrap_or_default()
}
