//! `statefulset-service`: a StatefulSet names a Service that gives its pods
//! their names: it is there, it is headless, it selects the pods.
//!
//! ```text
//! StatefulSet ─ serviceName ─► Service ─► headless? selects the pods? ─► findings
//! Service ─► the sets that name it ───────────────┘
//! Scale ─► the set by name ─► does it name one at all?
//! ```
//!
//! Judged from both sides, so that the order in which the two are made is no way
//! round. Invariant: a denial rests on both objects; a Service that isn't there
//! is a warning, one that isn't known `undecided`.

mod need;
mod report;
mod rules;
mod service;
mod settings;
mod views;

use portcullis_sdk::serde_json::json;
use portcullis_sdk::{
    Attributes, Host, Lookup, Match, Operation, Policy, Reach, Request, Review, Sample, Scope, Unread, Validating,
};

pub use rules::Rule;
pub use settings::{DataStoreSetting, Settings};
use views::{Service, StatefulSet, Subject};

/// The namespace of an object that names none, as kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

type Findings = Review<StatefulSetService>;

/// The policy.
#[derive(Debug)]
pub struct StatefulSetService;

portcullis_sdk::cases!(StatefulSetService);

impl Policy for StatefulSetService {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Validating;
    type Object = Subject;
    type OldObject = Unread;

    const NAME: &'static str = "statefulset-service";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "a StatefulSet names a headless Service that selects its pods";

    fn reach(_: &Settings) -> Reach {
        let mut reach = Reach::of::<Self>(&[Operation::Create, Operation::Update])
            .lookup(Lookup::of::<Service>().get())
            .lookup(Lookup::of::<Service>().list().optional())
            .lookup(Lookup::of::<StatefulSet>().get())
            .lookup(Lookup::of::<StatefulSet>().list().key(report::SERVICE_KEY).optional());
        // A Scale has no resource of its own: it comes by the subresource of what is scaled.
        reach.matches.retain(|rule| rule.kind != "Scale");
        reach.matches.push(Match {
            api_version: "apps/v1".to_owned(),
            kind: String::new(),
            resources: vec!["statefulsets/scale".to_owned()],
            operations: vec![Operation::Update],
            scope: Scope::Namespaced,
        });
        reach
    }

    fn samples() -> Vec<Sample> {
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "mongo", "namespace": "shop"},
            "spec": {"replicas": 3, "serviceName": "mongo", "template": {"metadata": {"labels": {"app": "mongo"}}, "spec": {
                "containers": [{"name": "mongo", "image": "mongo:8.0", "ports": [{"containerPort": 27017}]}]}}}
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "mongo", "namespace": "shop"},
            "spec": {"selector": {"app": "mongo"}, "ports": [{"port": 27017}]}
        });
        vec![Sample::create(set.clone()).with_cluster([service.clone()]), Sample::create(service).with_cluster([set])]
    }

    fn review(settings: &Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        let Some(object) = &request.object else { return };
        let namespace = namespace_of(object, &request.attributes);
        if settings.allows_namespace(&namespace) {
            review.audit("exempted", format!("namespace {namespace}"));
            return;
        }
        match object {
            Subject::Set(set) => report::set(settings, set, &namespace, request.operation, host, review),
            Subject::Service(service) => report::service(settings, service, &namespace, host, review),
            Subject::Scale(scale) => {
                let named = request.attributes.name.as_deref().filter(|name| !name.is_empty());
                let name = named.unwrap_or(&scale.metadata.name);
                report::scale(settings, name, scale.spec.replicas, &namespace, host, review);
            }
        }
    }
}

fn namespace_of(object: &Subject, attributes: &Attributes) -> String {
    let own = match object {
        Subject::Set(set) => &set.metadata.namespace,
        Subject::Service(service) => &service.metadata.namespace,
        Subject::Scale(scale) => &scale.metadata.namespace,
    };
    let named = attributes.namespace.as_deref().filter(|namespace| !namespace.is_empty());
    let namespace = named.unwrap_or(own);
    if namespace.is_empty() { DEFAULT_NAMESPACE.to_owned() } else { namespace.to_owned() }
}
