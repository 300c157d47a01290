//! `database-controller`: a data store runs in a StatefulSet or under its
//! operator, and its data has one writer.
//!
//! ```text
//! workload ─► data stores ─► who runs them ─► how many pods ─► whose volumes ─► findings
//! Scale, autoscaler ─► the workload by name ──────┘
//! claim ─► workloads that refer to it ────────────┘
//! ```
//!
//! Invariant: a denial rests on the object and on what the cluster said; what it
//! didn't tell is `undecided` and says what to look up. What isn't recognised as
//! a data store may run in anything and be scaled freely.

mod mounts;
mod operators;
mod referrers;
mod replicas;
mod report;
mod rules;
mod settings;
mod shared;
mod sharing;
mod stores;
mod views;

use portcullis_sdk::pod::WorkloadKind;
use portcullis_sdk::serde_json::json;
use portcullis_sdk::{
    Answer, Attributes, FieldPath, Host, Level, Lookup, Match, Metadata, Operation, Policy, Reach, Request, Review,
    Sample, Scope, Unread, Validating,
};

use operators::{Provenance, provenance};
use replicas::Counted;
pub use rules::Rule;
pub use settings::{DataStoreSetting, Operators, Settings};
use shared::Around;
use sharing::{Resolver, Sharing, VOLUME_CLASS_KEY};
use stores::{Held, Source, Store, stores};
use views::{Autoscaler, Claim, Judged, PersistentVolume, Scale, StorageClass, Subject};

/// The namespace of an object that names none, as kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

type Findings = Review<DatabaseController>;

/// The policy.
#[derive(Debug)]
pub struct DatabaseController;

portcullis_sdk::cases!(DatabaseController);

impl Policy for DatabaseController {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Validating;
    type Object = Subject;
    type OldObject = Unread;

    const NAME: &'static str = "database-controller";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "a database runs in a StatefulSet or under its operator, and its data has one writer";

    fn reach(_: &Settings) -> Reach {
        let mut reach = Reach::of::<Self>(&[Operation::Create, Operation::Update])
            .lookup(Lookup::of::<Claim>().get())
            .lookup(Lookup::of::<Claim>().list().key(mounts::CLAIM_NAME_KEY).optional())
            .lookup(Lookup::of::<PersistentVolume>().get())
            .lookup(Lookup::of::<PersistentVolume>().list().key(VOLUME_CLASS_KEY).optional())
            .lookup(Lookup::of::<StorageClass>().get())
            .lookup(Lookup::of::<StorageClass>().list().optional());
        reach = referrers::lookups().into_iter().fold(reach, Reach::lookup);
        // A Scale has no resource of its own: it comes by the subresource of what is scaled.
        reach.matches.retain(|rule| rule.kind != "Scale");
        reach.matches.extend(referrers::SCALED.map(|kind| Match {
            api_version: kind.api_version().to_owned(),
            kind: String::new(),
            resources: vec![format!("{}/scale", kind.resource())],
            operations: vec![Operation::Update],
            scope: Scope::Namespaced,
        }));
        reach
    }

    fn samples() -> Vec<Sample> {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "mysql", "namespace": "shop"},
            "spec": {"replicas": 2, "strategy": {"type": "Recreate"}, "template": {"metadata": {"labels": {"app": "mysql"}}, "spec": {
                "containers": [{"name": "mysql", "image": "mysql:8.0", "volumeMounts": [{"name": "data", "mountPath": "/var/lib/mysql"}]}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "mysql"}}]}}}
        });
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "mysql", "namespace": "shop"},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3"}
        });
        vec![Sample::create(deployment).with_cluster([claim.clone()]), Sample::create(claim)]
    }

    fn review(settings: &Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        let Some(object) = &request.object else { return };
        let own = settings.custom_stores();
        let namespace = namespace_of(object, &request.attributes);
        let around = Around { settings, own: &own, host, namespace: &namespace };
        match object {
            Subject::Workload(judged) => report::workload(around, judged, review),
            Subject::Scale(scale) => self::scale(around, scale, &request.attributes, review),
            Subject::Autoscaler(autoscaler) => self::autoscaler(around, autoscaler, review),
            Subject::Claim(claim) => self::claim(around, claim, review),
        }
    }
}

/// Judges how many pods a workload is asked to have by its subresource `scale`.
fn scale(around: Around<'_>, scale: &Scale, attributes: &Attributes, review: &mut Findings) {
    let resource = attributes.resource.as_ref().map(|resource| resource.resource.as_str());
    let Some(kind) = referrers::SCALED.into_iter().find(|kind| Some(kind.resource()) == resource) else { return };
    let name = attributes.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&scale.metadata.name);
    let path = FieldPath::fields(["spec", "replicas"]);
    counted(around, kind, name, scale.spec.replicas, &path, review);
}

/// Judges how many pods an autoscaler may make.
fn autoscaler(around: Around<'_>, autoscaler: &Autoscaler, review: &mut Findings) {
    let target = &autoscaler.spec.scale_target_ref;
    let is_target = |kind: &WorkloadKind| kind.as_str() == target.kind && kind.api_version() == target.api_version;
    let Some(kind) = referrers::SCALED.into_iter().find(is_target) else { return };
    let path = FieldPath::fields(["spec", "maxReplicas"]);
    counted(around, kind, &target.name, autoscaler.spec.max_replicas, &path, review);
}

/// Judges a workload that is looked up as if it had this many pods. One that
/// isn't there has none, and is judged when it is made.
fn counted(around: Around<'_>, kind: WorkloadKind, name: &str, replicas: i64, path: &FieldPath, review: &mut Findings) {
    if replicas < 2 || around.settings.allows_namespace(around.namespace) {
        return;
    }
    let judged = match referrers::scaled(around.host, kind, around.namespace, name) {
        Answer::Found(judged) => judged,
        Answer::Absent => return,
        Answer::Unknown(why) => {
            let message = format!(
                "whether {}/{name} runs a data store, which can't have {replicas} pods, isn't known: {why}",
                kind.as_str()
            );
            let finding = review.find(Rule::SeveralReplicas, Level::Undecided, message);
            finding.at(path).subject(format!("workload={}/{name}", kind.as_str())).fix("look it up");
            return;
        }
    };
    if matches!(provenance(&around.settings.operators, &judged), Provenance::Operator(_)) {
        return;
    }
    let found = stores(around.settings, around.own, &judged.workload);
    let resolver = Resolver { settings: around.settings, host: around.host, namespace: around.namespace };
    let counted = Counted { judged: &judged, replicas: Some(replicas), elsewhere: Some(path) };
    replicas::judge(counted, &found, &resolver, review);
    mounts::judge(counted, &found, around.namespace, around.host, review);
}

/// Judges a claim for the Deployments that already have several pods with a
/// data store's data on it: it completes what was only warned about there.
fn claim(around: Around<'_>, claim: &Claim, review: &mut Findings) {
    if around.settings.allows_namespace(around.namespace) {
        return;
    }
    let name = &claim.metadata.name;
    for judged in referrers::of_claim(around.host, around.namespace, name) {
        let several = judged.replicas().is_some_and(|replicas| replicas > 1);
        let interchangeable = matches!(
            judged.workload.kind,
            WorkloadKind::Deployment | WorkloadKind::ReplicaSet | WorkloadKind::ReplicationController
        );
        if !several
            || !interchangeable
            || matches!(provenance(&around.settings.operators, &judged), Provenance::Operator(_))
        {
            continue;
        }
        let resolver = Resolver { settings: around.settings, host: around.host, namespace: around.namespace };
        for store in stores(around.settings, around.own, &judged.workload) {
            let on_it = matches!(&store.held, Held::Volumes(volumes) if volumes.iter().any(|data| data.source == Source::Claim(name)));
            if on_it {
                shared_by_pods(claim, &resolver.claim(claim), &judged, &store, review);
            }
        }
    }
}

fn shared_by_pods(claim: &Claim, sharing: &Sharing, judged: &Judged, store: &Store<'_>, review: &mut Findings) {
    let (level, why) = match sharing {
        Sharing::Shared | Sharing::Own(_) => return,
        Sharing::Single(why) => (Level::Deny, format!("only one may write to the volume, which {why}")),
        Sharing::Unknown { what, why } => {
            (Level::Undecided, format!("whether they may all write to it depends on {what}: {why}"))
        }
        Sharing::Absent(what) => {
            (Level::Warn, format!("whether they may all write to it is decided by {what}, which doesn't exist (yet)"))
        }
    };
    let message = format!(
        "claim `{}` holds the data of {} for all pods of {} (container `{}`): {why}",
        claim.metadata.name,
        store.system,
        judged.display(),
        store.container
    );
    let finding = review.find(Rule::SeveralReplicas, level, message);
    finding
        .at(&FieldPath::fields(["spec", "accessModes"]))
        .subject(format!("workload={},{}", judged.display(), label_of(store)))
        .value(&store.system)
        .fix("run the data store with one replica, or make the claim ReadWriteMany of a class that every node reaches");
}

fn label_of(store: &Store<'_>) -> String {
    format!("container={}", store.container)
}

fn namespace_of(object: &Subject, attributes: &Attributes) -> String {
    let metadata: &Metadata = match object {
        Subject::Workload(judged) => &judged.workload.metadata,
        Subject::Scale(scale) => &scale.metadata,
        Subject::Autoscaler(autoscaler) => &autoscaler.metadata,
        Subject::Claim(claim) => &claim.metadata,
    };
    let named = attributes.namespace.as_deref().filter(|namespace| !namespace.is_empty());
    let namespace = named.unwrap_or(&metadata.namespace);
    if namespace.is_empty() { DEFAULT_NAMESPACE.to_owned() } else { namespace.to_owned() }
}
