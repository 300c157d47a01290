//! From what runs a data store to findings and the audit annotation.

use portcullis_sdk::pod::WorkloadKind;
use portcullis_sdk::serde_json::{Value, json};
use portcullis_sdk::{Edit, FieldPath};

use crate::mounts;
use crate::operators::{Provenance, provenance};
use crate::replicas::{self, Counted};
use crate::rules::Rule;
use crate::shared::{self, Around};
use crate::sharing::Resolver;
use crate::stores::{Held, Store, stores};
use crate::views::Judged;
use crate::{Findings, label_of};

/// Judges a workload.
pub(crate) fn workload(around: Around<'_>, judged: &Judged, review: &mut Findings) {
    let found = stores(around.settings, around.own, &judged.workload);
    let counted = Counted { judged, replicas: judged.replicas(), elsewhere: None };
    if found.is_empty() {
        mounts::judge(counted, &found, around.namespace, around.host, review);
        shared::judge(around, judged, &found, review);
        return;
    }
    if around.settings.allows_namespace(around.namespace) {
        review.audit("exempted", format!("namespace {}", around.namespace));
        return;
    }
    let provenance = provenance(&around.settings.operators, judged);
    review.audit("controller", word(judged, &provenance));
    match &provenance {
        Provenance::Operator(owner) => {
            review.audit("operated-by", owner.as_str());
            return;
        }
        Provenance::Something(owner) => review.audit("operated-by", owner.as_str()),
        Provenance::Nobody => found.iter().for_each(|store| controller(judged, store, review)),
    }
    let resolver = Resolver { settings: around.settings, host: around.host, namespace: around.namespace };
    replicas::judge(counted, &found, &resolver, review);
    mounts::judge(counted, &found, around.namespace, around.host, review);
    shared::judge(around, judged, &found, review);
}

/// What runs the data store, in one word.
fn word(judged: &Judged, provenance: &Provenance) -> String {
    if matches!(provenance, Provenance::Operator(_)) {
        return "operator".to_owned();
    }
    let replicas = judged.replicas().unwrap_or(1);
    let counted = |kind: &str, few: &str| {
        if replicas > 1 { format!("{kind}-replicas-{replicas}") } else { format!("{kind}-{replicas}{few}") }
    };
    match judged.workload.kind {
        WorkloadKind::Deployment => {
            counted("deployment", if starts_before_it_stops(judged).is_some() { "-rolling" } else { "-recreate" })
        }
        WorkloadKind::ReplicaSet => counted("rs", ""),
        WorkloadKind::ReplicationController => counted("rc", ""),
        WorkloadKind::StatefulSet => "statefulset".to_owned(),
        WorkloadKind::DaemonSet => "daemonset".to_owned(),
        WorkloadKind::Job => "job".to_owned(),
        WorkloadKind::CronJob => "cronjob".to_owned(),
        WorkloadKind::Pod if judged.controller().is_some() => "owned-pod".to_owned(),
        WorkloadKind::Pod => "bare-pod".to_owned(),
    }
}

/// Warns of a controller that isn't made for data stores, where one pod is all there is.
fn controller(judged: &Judged, store: &Store<'_>, review: &mut Findings) {
    let what = format!("container `{}` of {} is {}", store.container, judged.display(), store.system);
    let lasts =
        matches!(&store.held, Held::Volumes(volumes) if volumes.iter().any(|data| data.source.is_one_for_all()));
    let nothing = store.held == Held::NothingByChoice;
    let several = judged.replicas().unwrap_or(1) > 1;
    let (rule, message) = match judged.workload.kind {
        WorkloadKind::Deployment if !several && !nothing => {
            deployment(judged, store, &what, lasts, review);
            return;
        }
        WorkloadKind::ReplicaSet | WorkloadKind::ReplicationController if !several && !nothing => {
            (Rule::SingleReplica, format!("{what}; its pod has neither a name nor a volume of its own"))
        }
        WorkloadKind::Pod if !nothing => {
            (Rule::BarePod, format!("{what}; nothing makes the Pod again when its node goes or it is evicted"))
        }
        WorkloadKind::DaemonSet if !nothing => (
            Rule::DaemonSet,
            format!("{what}; it has a member on every node, and data that stays behind when a node goes"),
        ),
        WorkloadKind::Job | WorkloadKind::CronJob if lasts => {
            (Rule::Job, format!("{what}, and keeps its data on a volume that outlives the Job, which stops it again"))
        }
        _ => return,
    };
    let finding = review.warn(rule, message);
    finding.at(&FieldPath::root().field("kind")).subject(label_of(store)).value(&store.system);
    finding.fix("run it in a StatefulSet, or under its operator");
}

/// One pod of a Deployment.
fn deployment(judged: &Judged, store: &Store<'_>, what: &str, lasts: bool, review: &mut Findings) {
    let rolling = starts_before_it_stops(judged);
    let strategy = match rolling {
        Some(_) => "with the strategy RollingUpdate two of them run at once during an update",
        None => "with its strategy the old one stops before the new one starts, as it should",
    };
    let message = format!("{what}; its pod has neither a name nor a volume of its own, and {strategy}");
    let finding = review.warn(Rule::SingleReplica, message);
    finding.at(&FieldPath::root().field("kind")).subject(label_of(store)).value(&store.system);
    finding.fix("run it in a StatefulSet with one replica, or under its operator");
    let (Some(strategy), true) = (rolling, lasts) else { return };
    let message = format!("{what}; an update starts the new pod while the old one still writes to the same volume");
    let path = FieldPath::fields(["spec", "strategy"]);
    let edit = match strategy {
        Written::Whole => Edit::Replace(path.clone(), recreate()),
        Written::Nothing => Edit::Add(path.clone(), recreate()),
    };
    let finding = review.warn(Rule::RollingUpdate, message);
    finding.at(&path).subject(label_of(store)).value("RollingUpdate");
    finding.fix_with("set `strategy: {type: Recreate}`", [edit]);
}

fn recreate() -> Value {
    json!({"type": "Recreate"})
}

/// Whether a Deployment has a field for its strategy.
#[derive(Clone, Copy)]
enum Written {
    Whole,
    Nothing,
}

/// Whether an update starts the new pod before the old one has stopped:
/// RollingUpdate is the default, and so is a surge, which rounds up to one pod.
fn starts_before_it_stops(judged: &Judged) -> Option<Written> {
    let Some(strategy) = &judged.rest.spec.strategy else { return Some(Written::Nothing) };
    if strategy.kind.as_deref() == Some("Recreate") {
        return None;
    }
    let surge = strategy.rolling_update.as_ref().and_then(|update| update.max_surge.as_ref());
    let none = match surge {
        Some(Value::Number(number)) => number.as_i64() == Some(0),
        Some(Value::String(text)) => text.trim_end_matches('%') == "0",
        _ => false,
    };
    (!none).then_some(Written::Whole)
}
