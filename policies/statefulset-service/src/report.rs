//! A StatefulSet and the Service that it names, judged from either side.

use portcullis_sdk::serde_json::Value;
use portcullis_sdk::{Answer, Edit, FieldPath, Host, Level, Operation, Query};

use crate::Findings;
use crate::need::{Need, need};
use crate::rules::Rule;
use crate::service::{Address, Selection, address, publishes_unready, selection};
use crate::settings::Settings;
use crate::views::{Service, StatefulSet};

/// The path by which sets are found by their Service.
pub(crate) const SERVICE_KEY: &str = "spec.serviceName";
/// How many sets that name one Service are looked at: more than one is rare already.
const MAX_SETS: u32 = 20;

/// Where a pair of set and Service is looked at from.
#[derive(Clone, Copy)]
enum Side {
    Set,
    Service,
}

impl Side {
    fn subject(self, set: &StatefulSet, service: &str) -> String {
        match self {
            Self::Set => format!("service={service}"),
            Self::Service => format!("statefulset={}", set.name()),
        }
    }

    fn path(self, in_service: &str) -> FieldPath {
        match self {
            Self::Set => FieldPath::fields(["spec", "serviceName"]),
            Self::Service => FieldPath::fields(["spec", in_service]),
        }
    }
}

/// How far a finding may go: data stores lose what others only miss, and what an
/// operator keeps as it is can't be put right by whoever is told.
fn level(set: &StatefulSet, need: &Need) -> Level {
    if need.system().is_some() && !set.is_controlled() { Level::Deny } else { Level::Warn }
}

/// Judges a set.
pub(crate) fn set(
    settings: &Settings,
    set: &StatefulSet,
    namespace: &str,
    operation: Operation,
    host: &Host,
    review: &mut Findings,
) {
    let need = need(settings, set);
    placement(settings, set, &need, review);
    let Some(name) = set.service_name() else {
        no_service_name(set, set.replicas(), &need, operation, (namespace, host), review);
        return;
    };
    match host.get_in::<Service>(namespace, name) {
        Answer::Found(service) => {
            review.audit("service", format!("{name}={}", word(&service)));
            pair(settings, set, &service, &need, Side::Set, review);
        }
        Answer::Absent => {
            review.audit("service", format!("{name}=absent"));
            let fitting = fitting_service(set, namespace, host);
            let hint = fitting
                .as_ref()
                .map_or_else(String::new, |fitting| format!("; `{fitting}` is headless and selects its pods"));
            let message = format!(
                "Service `{name}` gives the pods of StatefulSet/{}{} their names, and doesn't exist (yet){hint}",
                set.name(),
                need.describe()
            );
            let finding = review.warn(Rule::AbsentService, message);
            finding.at(&FieldPath::fields(["spec", "serviceName"])).subject(format!("service={name}")).value("absent");
            match fitting.filter(|_| operation == Operation::Create) {
                Some(fitting) => {
                    let path = FieldPath::fields(["spec", "serviceName"]);
                    let edit = Edit::Replace(path, Value::from(fitting.as_str()));
                    finding.fix_with(format!("name `{fitting}`"), [edit])
                }
                None => finding.fix(format!("make a Service `{name}` with `clusterIP: None` that selects the pods")),
            };
        }
        Answer::Unknown(why) => {
            review.audit("service", format!("{name}=unknown"));
            let message = format!("whether Service `{name}` is headless and selects the pods isn't known: {why}");
            let finding = review.undecided(Rule::AbsentService, message);
            finding.at(&FieldPath::fields(["spec", "serviceName"])).subject(format!("service={name}")).value("unknown");
            finding.fix("give the Service beside the StatefulSet, or look it up in the cluster");
        }
    }
}

/// Judges a Service for the sets that name it.
pub(crate) fn service(settings: &Settings, service: &Service, namespace: &str, host: &Host, review: &mut Findings) {
    let query = Query::all().within(namespace).key(SERVICE_KEY, &service.metadata.name).limit(MAX_SETS);
    for set in host.list::<StatefulSet>(query).items {
        let need = need(settings, &set);
        pair(settings, &set, service, &need, Side::Service, review);
    }
}

/// Judges how many pods a set without a Service is asked to have.
pub(crate) fn scale(
    settings: &Settings,
    name: &str,
    replicas: i64,
    namespace: &str,
    host: &Host,
    review: &mut Findings,
) {
    if replicas < 2 {
        return;
    }
    if let Answer::Found(set) = host.get_in::<StatefulSet>(namespace, name) {
        let need = need(settings, &set);
        if set.service_name().is_none() && need.system().is_some() {
            no_service_name(&set, replicas, &need, Operation::Update, (namespace, host), review);
        }
    }
}

/// What a Service is, in one word.
fn word(service: &Service) -> &'static str {
    match address(service) {
        Address::Pods => "headless",
        Address::Own(_) => "not-headless",
        Address::Outside => "external-name",
    }
}

/// Judges a set without a Service: one pod can do without a name, several data
/// stores can't. What nobody calls by name may go without.
fn no_service_name(
    set: &StatefulSet,
    replicas: i64,
    need: &Need,
    operation: Operation,
    (namespace, host): (&str, &Host),
    review: &mut Findings,
) {
    if *need == Need::None {
        return;
    }
    review.audit("service", "none");
    let level = if replicas > 1 { level(set, need) } else { Level::Warn };
    let message =
        format!("StatefulSet/{}{} names no Service, so its pods have no names in DNS", set.name(), need.describe());
    let path = FieldPath::fields(["spec", "serviceName"]);
    let finding = review.find(Rule::NoServiceName, level, message);
    finding.at(&path).subject("serviceName").value("none");
    match fitting_service(set, namespace, host).filter(|_| operation == Operation::Create) {
        Some(fitting) => finding.fix_with(
            format!("name `{fitting}`, which is headless and selects the pods"),
            [Edit::Add(path, Value::from(fitting.as_str()))],
        ),
        None => {
            finding.fix("make a Service with `clusterIP: None` that selects the pods, and name it when the set is made")
        }
    };
}

/// Judges a set and the Service that it names.
fn pair(settings: &Settings, set: &StatefulSet, service: &Service, need: &Need, side: Side, review: &mut Findings) {
    let name = &service.metadata.name;
    let what =
        format!("Service `{name}` gives the pods of StatefulSet/{}{} their names, and", set.name(), need.describe());
    let subject = side.subject(set, name);
    let (value, why) = match address(service) {
        Address::Pods => {
            selects(set, service, need, (side, &what), review);
            unready(settings, set, service, need, (side, &what), review);
            return;
        }
        Address::Own(kind) => (kind, format!("is of type {kind} with an address of its own: no pod has a name")),
        Address::Outside => (
            "ExternalName",
            "is of type ExternalName: it stands for something outside, and no pod has a name".to_owned(),
        ),
    };
    let finding = review.find(Rule::NotHeadless, level(set, need), format!("{what} {why}"));
    finding.at(&side.path(if value == "ExternalName" { "type" } else { "clusterIP" })).subject(&subject).value(value);
    finding.fix(match side {
        Side::Set => {
            "name a Service with `clusterIP: None` that selects the pods; where the set exists already, make this one anew with it. Another Service with an address may stand beside it for clients"
        }
        Side::Service => {
            "set `clusterIP: None` (a Service that exists has to be made anew for that); another one with an address may stand beside it for clients"
        }
    });
}

/// A selector that contradicts the labels never takes a pod in. One that asks for
/// a label more may, where something labels the pods while they run (`role: primary`);
/// and endpoints for a Service without a selector are somebody's own.
fn selects(set: &StatefulSet, service: &Service, need: &Need, (side, what): (Side, &str), review: &mut Findings) {
    let (level, value, why) = match selection(service, &set.spec.template.metadata.labels) {
        Selection::Selected => return,
        Selection::Other { label, wanted, found } => (
            level(set, need),
            format!("{label}={wanted}"),
            format!("selects pods with `{label}: {wanted}`, and these have `{label}: {found}`"),
        ),
        Selection::Missing { label, wanted } => (
            Level::Warn,
            format!("{label}={wanted}"),
            format!("selects pods with `{label}: {wanted}`, and these don't have that label from their template"),
        ),
        Selection::Nothing => (
            Level::Warn,
            "no selector".to_owned(),
            "has no selector: the pods have names only if something else writes its endpoints".to_owned(),
        ),
    };
    let finding = review.find(Rule::SelectsOtherPods, level, format!("{what} {why}"));
    finding.at(&side.path("selector")).subject(side.subject(set, &service.metadata.name)).value(value);
    finding.fix("let its selector have the labels of the pod template");
}

fn unready(
    settings: &Settings,
    set: &StatefulSet,
    service: &Service,
    need: &Need,
    (side, what): (Side, &str),
    review: &mut Findings,
) {
    let Some(system) = need.quorum() else { return };
    if !settings.require_unready_addresses || set.replicas() < 2 || publishes_unready(service) {
        return;
    }
    let message = format!("{what} leaves out members of {system} that aren't ready, which must find each other first");
    let finding = review.warn(Rule::UnreadyPeers, message);
    finding
        .at(&side.path("publishNotReadyAddresses"))
        .subject(side.subject(set, &service.metadata.name))
        .value(system)
        .fix("set `publishNotReadyAddresses: true` on the Service");
}

/// What is a matter of taste: only where the settings ask for it.
fn placement(settings: &Settings, set: &StatefulSet, need: &Need, review: &mut Findings) {
    if set.replicas() < 2 {
        return;
    }
    let path = FieldPath::fields(["spec", "podManagementPolicy"]);
    let parallel = set.spec.pod_management_policy.as_deref() == Some("Parallel");
    if let (true, true, Some(system)) = (settings.require_ordered_start, parallel, need.single_writer()) {
        let message = format!(
            "StatefulSet/{}{} starts all its pods at once, and the replicas of {system} need the first to be there",
            set.name(),
            need.describe()
        );
        let finding = review.warn(Rule::ParallelStart, message);
        finding.at(&path).subject("podManagementPolicy").value(system).fix("leave it at `OrderedReady`");
    }
    let rest = &set.spec.template.spec.rest;
    let apart = rest.affinity.pod_anti_affinity.0 || rest.topology_spread_constraints.0;
    if let (true, false, Some(system)) = (settings.require_spread, apart, need.system()) {
        let message = format!(
            "nothing keeps the {} pods of StatefulSet/{}{} on different nodes",
            set.replicas(),
            set.name(),
            need.describe()
        );
        let finding = review.warn(Rule::OneFailureDomain, message);
        finding
            .at(&FieldPath::fields(["spec", "template", "spec"]))
            .subject("spread")
            .value(system)
            .fix("give the pods `topologySpreadConstraints` over `kubernetes.io/hostname`");
    }
}

/// A Service of the namespace that would do: headless, and it selects the pods. None where several would.
fn fitting_service(set: &StatefulSet, namespace: &str, host: &Host) -> Option<String> {
    let listing = host.list::<Service>(Query::all().within(namespace));
    let labels = &set.spec.template.metadata.labels;
    let mut fitting = listing
        .items
        .into_iter()
        .filter(|service| address(service) == Address::Pods && selection(service, labels) == Selection::Selected);
    match (fitting.next(), fitting.next()) {
        (Some(service), None) => Some(service.metadata.name),
        _ => None,
    }
}
