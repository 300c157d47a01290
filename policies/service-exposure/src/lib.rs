//! `service-exposure`: data stores are reached from inside the cluster only;
//! what else is reached from outside is reached by a way that was meant.
//!
//! ```text
//! Service ─► exposure ─► pods that it selects (cluster), or its ports ─► data store? ─► findings
//! workload ─► data store? ─► Services that select its pods already (cluster) ─────────► findings
//! Ingress ─► ports of its backends ───────────────────────────────────────────────────► findings
//! ```
//!
//! Invariant: what only looks on a data store (an admin page, an exporter, a
//! proxy's statistics) isn't one. Where the cluster isn't known, ports speak.

mod cluster;
mod exposure;
mod report;
mod rules;
mod settings;
mod stores;
mod views;

use portcullis_sdk::serde_json::json;
use portcullis_sdk::{Host, Operation, Policy, Reach, Request, Review, Sample, Unread, Validating};

use report::Reporter;
pub use rules::Rule;
pub use settings::{Allowed, DataStoreSetting, PortRange, ServiceType, Settings, Weight};
use views::Subject;

/// The policy.
#[derive(Debug)]
pub struct ServiceExposure;

portcullis_sdk::cases!(ServiceExposure);

impl Policy for ServiceExposure {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Validating;
    type Object = Subject;
    type OldObject = Unread;

    const NAME: &'static str = "service-exposure";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "data stores are reached from inside the cluster only";

    fn reach(_: &Settings) -> Reach {
        let reach = Reach::of::<Self>(&[Operation::Create, Operation::Update]);
        cluster::lookups().into_iter().fold(reach, Reach::lookup)
    }

    fn samples() -> Vec<Sample> {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "mongo", "namespace": "shop"},
            "spec": {"type": "NodePort", "selector": {"app": "mongo"}, "ports": [{"port": 27017, "nodePort": 30017}]}
        });
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "mongo", "namespace": "shop"},
            "spec": {"template": {"metadata": {"labels": {"app": "mongo"}}, "spec": {"containers": [
                {"name": "mongo", "image": "mongo:8", "ports": [{"containerPort": 27017}]}
            ]}}}
        });
        vec![Sample::create(service.clone()).with_cluster([set.clone()]), Sample::create(set).with_cluster([service])]
    }

    fn review(settings: &Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        let Some(object) = &request.object else { return };
        let attributes = &request.attributes;
        let (namespace, namespace_labels) = (attributes.namespace.as_deref(), attributes.namespace_labels.as_ref());
        let mut reporter =
            Reporter { settings, operation: request.operation, host, namespace, namespace_labels, review };
        match object {
            Subject::Service(service) => reporter.service(service),
            Subject::Ingress(ingress) => reporter.ingress(ingress),
            Subject::Workload(workload) => reporter.workload(workload),
        }
    }
}
