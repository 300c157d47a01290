//! From where storage is to findings and audit annotations.

use portcullis_sdk::serde_json::Value;
use portcullis_sdk::{Edit, FieldPath, Host, Level, Metadata, Operation, Review};
use portcullis_workloads::VolumeSource;

use crate::DatabaseRemoteStorage;
use crate::exemption::{Asking, Leave, audit_leave, claims_exemption, is_left, leave, unheard};
use crate::judge::{Named, Origin, Place, Store, class_path, stores};
use crate::referrers;
use crate::rules::Rule;
use crate::settings::Settings;
use crate::storage::{Resolver, Storage};
use crate::views::{AnyWorkload, Claim, PersistentVolume, StorageClass};

/// The namespace of an object that names none, as kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

pub(crate) type Findings = Review<DatabaseRemoteStorage>;

/// What is to be said of a volume, before it is known to whom.
pub(crate) struct Verdict {
    pub(crate) rule: Rule,
    pub(crate) level: Level,
    pub(crate) value: String,
    /// What is wrong, after `volume … `.
    pub(crate) message: String,
    fix: &'static str,
}

/// Judges a workload.
pub(crate) fn workload(
    settings: &Settings,
    workload: &AnyWorkload,
    namespace: Option<&str>,
    operation: Operation,
    host: &Host,
    review: &mut Findings,
) {
    let namespace = namespace_of(namespace, &workload.metadata);
    let found = stores(settings, workload);
    if found.is_empty() {
        return;
    }
    review.audit(
        "datastore",
        found.iter().map(|store| format!("{}={}", store.container, store.system)).collect::<Vec<_>>().join(","),
    );
    let resolver = Resolver { settings, host, namespace: &namespace };
    let leave = leave(settings, &Asking::of(workload), &namespace);
    let mut volumes: Vec<(&str, Storage)> = Vec::new();
    for store in &found {
        match &store.holding {
            Place::Nothing => {}
            Place::Layer { directories, path } => {
                if !matches!(leave, Leave::Namespace) {
                    no_volume(store, directories, path, review);
                }
            }
            Place::Volumes(named) => {
                for volume in named {
                    if volumes.iter().any(|(name, _)| *name == volume.name) {
                        continue;
                    }
                    let Some(storage) = resolver.storage(&volume.origin) else { continue };
                    if !is_left(&leave, &storage) {
                        volume_finding(settings, workload, store, volume, &storage, operation, review);
                    }
                    volumes.push((volume.name, storage));
                }
            }
        }
    }
    if !volumes.is_empty() {
        review.audit(
            "data-volumes",
            volumes.iter().map(|(name, storage)| format!("{name}={}", storage.audit())).collect::<Vec<_>>().join(","),
        );
    }
    audit_leave(leave, &namespace, volumes.iter().any(|(_, storage)| storage.is_node_local()), review);
}

/// Judges a claim for the data stores that already refer to it.
pub(crate) fn claim(
    settings: &Settings,
    claim: &Claim,
    namespace: Option<&str>,
    operation: Operation,
    host: &Host,
    review: &mut Findings,
) {
    let namespace = namespace_of(namespace, &claim.metadata);
    let users = data_users(settings, host, &namespace, &claim.metadata.name);
    if users.is_empty() {
        return;
    }
    let resolver = Resolver { settings, host, namespace: &namespace };
    let storage = resolver.claim(&claim.metadata, &claim.spec);
    review.audit("data-volumes", format!("{}={}", claim.metadata.name, storage.audit()));
    let Some(verdict) = judge(&storage) else { return };
    let template = portcullis_sdk::pod::ClaimTemplate { metadata: claim.metadata.clone(), spec: claim.spec.clone() };
    let bound = claim.spec.volume_name.as_deref().is_some_and(|volume| !volume.is_empty());
    let path =
        if bound { FieldPath::fields(["spec", "volumeName"]) } else { class_path(&FieldPath::root(), &template) };
    for user in users.iter().filter(|user| !is_left(&user.leave, &storage)) {
        let message = format!(
            "claim `{}` holds the data of {} (container `{}` of {}): {}",
            claim.metadata.name, user.system, user.container, user.workload, verdict.message
        );
        let finding = review.find(verdict.rule, verdict.level, message);
        finding
            .at(&path)
            .subject(format!("workload={},container={}", user.workload, user.container))
            .value(&verdict.value);
        fix(settings, finding, &verdict, (operation == Operation::Create && !bound).then_some(&path));
    }
}

/// Warns of a volume on one node that data stores use already: whoever makes
/// cluster-scoped objects isn't stopped by what a tenant runs.
pub(crate) fn volume(settings: &Settings, volume: &PersistentVolume, host: &Host, review: &mut Findings) {
    let resolver = Resolver { settings, host, namespace: "" };
    let storage = resolver.volume(volume);
    let (Some(verdict), true) = (judge(&storage), storage.is_node_local()) else { return };
    let mut claims: Vec<(String, String)> = referrers::of_volume(host, &volume.metadata.name)
        .into_iter()
        .map(|claim| (claim.metadata.namespace, claim.metadata.name))
        .collect();
    claims.extend(volume.spec.offer.claim_ref.iter().map(|claim| (claim.namespace.clone(), claim.name.clone())));
    claims.sort();
    claims.dedup();
    for (namespace, name) in claims {
        for user in data_users(settings, host, &namespace, &name).iter().filter(|user| !is_left(&user.leave, &storage))
        {
            let message = format!(
                "this volume holds the data of {} (container `{}` of {} in namespace `{namespace}`): {}",
                user.system, user.container, user.workload, verdict.message
            );
            let finding = review.warn(verdict.rule, message);
            finding
                .at(&FieldPath::root().field("spec"))
                .subject(format!("claim={namespace}/{name},container={}", user.container))
                .value(&verdict.value)
                .fix(verdict.fix);
        }
    }
}

/// Warns of a class on one node that the templates of data stores name already.
pub(crate) fn class(settings: &Settings, class: &StorageClass, host: &Host, review: &mut Findings) {
    let resolver = Resolver { settings, host, namespace: "" };
    let storage = resolver.of_class(class, false);
    let (Some(verdict), true) = (judge(&storage), storage.is_node_local()) else { return };
    for set in referrers::of_class(host, &class.metadata.name) {
        let namespace = namespace_of(None, &set.metadata);
        if is_left(&leave(settings, &Asking::of(&set), &namespace), &storage) {
            continue;
        }
        let uses = |volume: &Named<'_>| matches!(volume.origin, Origin::Template(template) if template.spec.storage_class_name.as_deref() == Some(&class.metadata.name));
        for store in stores(settings, &set) {
            if !matches!(&store.holding, Place::Volumes(volumes) if volumes.iter().any(uses)) {
                continue;
            }
            let message = format!(
                "this class provisions the data of {} (container `{}` of {} in namespace `{namespace}`): {}",
                store.system,
                store.container,
                display(&set),
                verdict.message
            );
            let finding = review.warn(verdict.rule, message);
            finding
                .at(&FieldPath::root().field("provisioner"))
                .subject(format!("workload={namespace}/{},container={}", display(&set), store.container))
                .value(&verdict.value)
                .fix(verdict.fix);
        }
    }
}

fn volume_finding(
    settings: &Settings,
    workload: &AnyWorkload,
    store: &Store<'_>,
    volume: &Named<'_>,
    storage: &Storage,
    operation: Operation,
    review: &mut Findings,
) {
    let Some(verdict) = judge(storage) else { return };
    let mut message = format!(
        "volume `{}` holds the data of {} (container `{}`): {}",
        volume.name, store.system, store.container, verdict.message
    );
    if storage.is_node_local() && claims_exemption(settings, &Asking::of(workload)) {
        message.push_str(&unheard(settings));
    }
    let finding = review.find(verdict.rule, verdict.level, message);
    finding.at(&volume.path).subject(format!("volume={}", volume.name)).value(&verdict.value);
    // A set's templates can't be changed once it exists.
    let settable = matches!(volume.origin, Origin::Template(_)) && operation == Operation::Create;
    fix(settings, finding, &verdict, settable.then_some(&volume.path));
}

fn no_volume(store: &Store<'_>, directories: &[String], path: &FieldPath, review: &mut Findings) {
    let place = match directories {
        [] => "its data directory".to_owned(),
        [one] => format!("`{one}`"),
        [first, rest @ ..] => format!(
            "`{first}` or {}",
            rest.iter().take(2).map(|directory| format!("`{directory}`")).collect::<Vec<_>>().join(" or ")
        ),
    };
    let message = format!(
        "container `{}` is {} and has no volume at {place}, so its data lies in the container's own layer and is deleted with it",
        store.container, store.system
    );
    let finding = review.deny(Rule::NoVolume, message);
    finding.at(&path.field("volumeMounts")).subject(format!("container={}", store.container)).value(&store.system);
    finding.fix("mount a volume at the data directory, from `volumeClaimTemplates` of a StatefulSet with a class whose volumes are reachable from every node");
}

/// What a volume's place comes to; nothing where it is remote.
pub(crate) fn judge(storage: &Storage) -> Option<Verdict> {
    const CLASS_FIX: &str = "name a class whose volumes are reachable from every node";
    let (rule, level, value, message, fix) = match storage {
        Storage::Remote => return None,
        Storage::Passing(field) => (
            Rule::EphemeralVolume,
            Level::Deny,
            (*field).to_owned(),
            format!("it is a volume of type `{field}`, which is deleted with the pod"),
            "claim it from `volumeClaimTemplates`, or name a PersistentVolumeClaim",
        ),
        Storage::HostPath(path) => (
            Rule::HostPath,
            Level::Deny,
            path.clone(),
            format!("it is the directory `{path}` of whatever node the pod runs on"),
            "claim it from `volumeClaimTemplates`, or name a PersistentVolumeClaim",
        ),
        Storage::LocalClass { class, provisioner, is_default } => {
            let how = if *is_default {
                "no class is named, so it gets the default class"
            } else {
                "it is claimed from class"
            };
            (
                Rule::NodeLocalClass,
                Level::Deny,
                class.clone(),
                format!(
                    "{how} `{class}`, whose provisioner {provisioner} keeps a volume on one node; when that node goes, so does the data"
                ),
                CLASS_FIX,
            )
        }
        Storage::LocalVolume { volume, source } => {
            let what = if *source == "driver" {
                format!("driver `{volume}` keeps it on one node")
            } else {
                format!("PersistentVolume `{volume}` ({source}) is on one node")
            };
            (
                Rule::NodeLocalVolume,
                Level::Deny,
                volume.clone(),
                format!("{what}; when that node goes, so does the data"),
                CLASS_FIX,
            )
        }
        Storage::Unknown { what, why } => (
            Rule::Undecided,
            Level::Undecided,
            what.clone(),
            format!("whether that is remote depends on {what}: {why}"),
            "look it up, or name a class that is known to be remote",
        ),
        Storage::Absent(what) if what == "default-class" => (
            Rule::AbsentReference,
            Level::Warn,
            what.clone(),
            "no class is named and the cluster has no default class, so the claim waits for one".to_owned(),
            CLASS_FIX,
        ),
        Storage::Absent(what) => (
            Rule::AbsentReference,
            Level::Warn,
            what.clone(),
            format!("{what} doesn't exist (yet), so where the data will lie can't be told"),
            "make it first, with storage that is reachable from every node",
        ),
    };
    Some(Verdict { rule, level, value, message, fix })
}

pub(crate) fn fix(
    settings: &Settings,
    finding: &mut portcullis_sdk::Finding,
    verdict: &Verdict,
    settable: Option<&FieldPath>,
) {
    match (&settings.suggested_class, settable) {
        (Some(class), Some(path)) if verdict.rule == Rule::NodeLocalClass => {
            finding.fix_with(
                format!("name a class whose volumes are reachable from every node, such as `{class}`"),
                [Edit::Add(path.clone(), Value::from(class.as_str()))],
            );
        }
        _ => {
            finding.fix(verdict.fix);
        }
    }
}

/// A container that keeps its data on a claim.
struct DataUser {
    workload: String,
    container: String,
    system: String,
    leave: Leave,
}

/// The data stores of a namespace that keep their data on a claim: that name
/// it, or that will take it for one of their templates.
fn data_users(settings: &Settings, host: &Host, namespace: &str, claim: &str) -> Vec<DataUser> {
    let mut users = Vec::new();
    let mut add = |workload: &AnyWorkload, is_it: &dyn Fn(&Named<'_>) -> bool| {
        for store in stores(settings, workload) {
            if matches!(&store.holding, Place::Volumes(volumes) if volumes.iter().any(is_it)) {
                users.push(DataUser {
                    workload: display(workload),
                    container: store.container.to_owned(),
                    system: store.system,
                    leave: leave(settings, &Asking::of(workload), namespace),
                });
            }
        }
    };
    for workload in referrers::of_claim(host, namespace, claim) {
        add(
            &workload,
            &|volume| matches!(&volume.origin, Origin::Volume(VolumeSource::Claim { name }) if name == claim),
        );
    }
    for (set, template) in referrers::of_template_claim(host, namespace, claim) {
        add(&set, &|volume| matches!(volume.origin, Origin::Template(_)) && volume.name == template);
    }
    users
}

fn display(workload: &AnyWorkload) -> String {
    format!("{}/{}", workload.kind.as_str(), workload.metadata.display_name())
}

pub(crate) fn namespace_of(namespace: Option<&str>, metadata: &Metadata) -> String {
    let namespace = namespace.filter(|namespace| !namespace.is_empty()).unwrap_or(&metadata.namespace);
    if namespace.is_empty() { DEFAULT_NAMESPACE.to_owned() } else { namespace.to_owned() }
}
