//! `credentials-in-plain-text`: passwords, tokens and keys are referred to,
//! never written into a workload, a ConfigMap or an annotation; and no data
//! store is told to let everybody in.
//!
//! ```text
//! workload  ─► env, command lines, annotations ─┐             names    (is it secret by its name?)
//! ConfigMap ─► keys, lines of files ────────────┼─► findings  values   (or a reference, a path, a switch?)
//! custom    ─► all of their specs ──────────────┘             content  (does it show by itself?)
//! data stores ─► switches of the catalogue ──────► findings
//! ```
//!
//! Invariants: no secret is ever part of what the policy says: findings name
//! variables, flags and keys (`tests/secrecy.rs` runs every case for that); and
//! what only refers to a secret is never reported.

mod clients;
mod command;
mod config;
mod content;
mod custom;
mod names;
mod pairs;
mod report;
mod rules;
mod settings;
mod stores;
mod text;
mod values;
mod views;

use portcullis_sdk::serde_json::json;
use portcullis_sdk::{Host, Objects, Operation, Policy, Reach, Request, Review, Sample, Unread, Validating};

use custom::Custom;
use report::Reporter;
pub use rules::Rule;
pub use settings::{Places, Settings, Weight};
use views::Subject;

/// The policy.
#[derive(Debug)]
pub struct CredentialsInPlainText;

portcullis_sdk::cases!(CredentialsInPlainText);

impl Policy for CredentialsInPlainText {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Validating;
    type Object = Subject;
    type OldObject = Unread;

    const NAME: &'static str = "credentials-in-plain-text";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "passwords, tokens and keys are referred to, never written into an object";

    fn reach(settings: &Settings) -> Reach {
        let reach = Reach::of::<Self>(&[Operation::Create, Operation::Update]);
        let Places { config_maps, custom_resources, annotations, .. } = settings.places;
        let reach = if config_maps || annotations { reach } else { reach.without("v1", "ConfigMap") };
        if custom_resources {
            return reach;
        }
        Custom::kinds().iter().fold(reach, |reach, kind| reach.without(&kind.api_version, &kind.kind))
    }

    fn samples() -> Vec<Sample> {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "mysql", "namespace": "shop"},
            "spec": {"template": {"metadata": {"labels": {"app": "mysql"}}, "spec": {"containers": [{
                "name": "mysql", "image": "mysql:8.4", "args": ["--skip-grant-tables"],
                "env": [{"name": "MYSQL_ROOT_PASSWORD", "value": "sample"}, {"name": "URL", "value": "amqp://a:sample@queue"}]
            }]}}}
        });
        let config_map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop", "namespace": "shop"},
            "data": {"db_password": "sample", "application.properties": "spring.datasource.password=sample\n"}
        });
        vec![Sample::create(deployment), Sample::create(config_map)]
    }

    fn review(settings: &Settings, request: &Request<Self>, _: &Host, review: &mut Review<Self>) {
        let Some(object) = &request.object else { return };
        if request.attributes.namespace.as_deref().is_some_and(|namespace| settings.allows_namespace(namespace)) {
            return;
        }
        let mut reporter = Reporter { settings, review };
        match object {
            Subject::Workload(workload) => reporter.workload(workload),
            Subject::ConfigMap(config_map) => reporter.config_map(config_map),
            Subject::Custom(custom) => reporter.custom(custom),
        }
    }
}
