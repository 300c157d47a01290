//! `ingress-tls`: every host of an Ingress is covered by TLS.
//!
//! ```text
//! Ingress ─► hosts of the rules ─► covered by tls? ─► explained by an annotation? ─► findings
//!        ├─► backends (Services, look-ups that may stay unanswered)
//!        └─► tls.secretName ─► certificates ◄─ Secret that an Ingress names       (setting `secrets`)
//! ```
//! Invariants: without the setting `secrets` no Secret is matched, read or
//! looked up; with it, of a Secret only its type and `tls.crt` are, never the key.

mod backends;
mod certificates;
mod coverage;
mod explained;
mod rules;
mod settings;
mod views;

use portcullis_sdk::{Host, Lookup, Operation, Policy, Reach, Request, Review, Sample, Unread, Validating};
use serde_json::json;

pub use rules::Rule;
pub use settings::Settings;
use views::{Ingress, Object, SECRET_NAME_KEY, Secret, Service};

/// The policy.
#[derive(Debug)]
pub struct IngressTls;

portcullis_sdk::cases!(IngressTls);

/// Only these are kept at hand by the server; another one is looked for when it is named.
const TLS_SECRETS: &str = "type=kubernetes.io/tls";

impl Policy for IngressTls {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Validating;
    type Object = Object;
    type OldObject = Unread;

    const NAME: &'static str = "ingress-tls";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "every host of an Ingress is covered by TLS";

    fn reach(settings: &Settings) -> Reach {
        let mut reach = Reach::of::<Self>(&[Operation::Create, Operation::Update]);
        if settings.backends {
            reach = reach.lookup(Lookup::of::<Service>().get().optional());
        }
        if settings.secrets {
            reach
                .lookup(Lookup::of::<Secret>().get().mostly(TLS_SECRETS))
                // Optional: what isn't known to refer to a Secret can't make it wrong.
                .lookup(Lookup::of::<Ingress>().list().key(SECRET_NAME_KEY).optional())
        } else {
            reach.without("v1", "Secret")
        }
    }

    fn widest() -> Settings {
        Settings { secrets: true, ..Settings::default() }
    }

    fn samples() -> Vec<Sample> {
        let ingress = |tls: serde_json::Value| {
            json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "shop", "namespace": "shop"},
                "spec": {"ingressClassName": "nginx", "tls": tls, "rules": [{"host": "shop.example", "http": {"paths": [
                    {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}},
                ]}}]},
            })
        };
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-tls", "namespace": "shop"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}});
        vec![
            Sample::create(ingress(json!([]))).with_cluster([service.clone()]),
            Sample::create(ingress(json!([{"hosts": ["shop.example"], "secretName": "shop-tls"}])))
                .with_cluster([service, secret]),
        ]
    }

    fn review(settings: &Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        let namespace = request.attributes.namespace.as_deref();
        match (&request.object, namespace) {
            (Some(Object::Ingress(ingress)), _) => {
                coverage::judge(settings, ingress, review);
                let Some(namespace) = namespace else { return };
                if settings.secrets {
                    certificates::of_ingress(settings, ingress, namespace, host, review);
                }
                if settings.backends {
                    backends::judge(settings, ingress, namespace, host, review);
                }
            }
            (Some(Object::Secret(secret)), Some(namespace)) => {
                certificates::of_secret(settings, secret, namespace, host, review);
            }
            _ => {}
        }
    }
}
