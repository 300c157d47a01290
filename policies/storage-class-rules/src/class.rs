//! What can be wrong with a storage class.

use portcullis_sdk::{Answer, Edit, FieldPath, Host, Listing, Operation, Query};
use portcullis_workloads::{Locality, ProvisionerFacts};

use crate::Findings;
use crate::rules::Rule;
use crate::settings::{Settings, is_named};
use crate::views::{CsiDriver, DEFAULT_ANNOTATIONS, Deployment, OtherClass, StorageClass, VARIABLE_KEY, is_default};

/// Classes for volumes that are made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
/// The variable by which external provisioners are told their name.
const PROVISIONER_NAME: &str = "PROVISIONER_NAME";
/// What a class without these fields gets (`SetDefaults_StorageClass` in k8s.io/kubernetes/pkg/apis/storage/v1).
const DEFAULT_RECLAIM_POLICY: &str = "Delete";
const DEFAULT_BINDING_MODE: &str = "Immediate";
/// How many provisioners' Deployments are looked at; a cluster has a handful.
const MAX_DEPLOYMENTS: u32 = 100;

/// Judges a class.
pub(crate) fn judge(
    settings: &Settings,
    class: &StorageClass,
    operation: Operation,
    host: &Host,
    review: &mut Findings,
) {
    audit(settings, class, review);
    default_mark(class, review);
    if is_default(&class.metadata.annotations) {
        second_default(settings, class, host, review);
    }
    if settings.databases.include(class) {
        for_databases(settings, class, operation, review);
    }
    // The rest can't change once the class exists.
    if operation == Operation::Create {
        words(class, review);
        provisioner(settings, class, host, review);
        archive(class, review);
        binding(settings, class, review);
    }
}

fn audit(settings: &Settings, class: &StorageClass, review: &mut Findings) {
    let storage = match settings.provisioners().locality(&class.provisioner, &class.parameters) {
        Locality::Unknown => format!("unknown({})", class.provisioner),
        known => known.as_str().to_owned(),
    };
    review.audit("storage", storage);
    review.audit("default-class", is_default(&class.metadata.annotations).to_string());
}

/// The marks as such: text that isn't read, marks that contradict each other.
fn default_mark(class: &StorageClass, review: &mut Findings) {
    let marks = DEFAULT_ANNOTATIONS.map(|annotation| (annotation, class.metadata.annotations.get(annotation)));
    let is_sound = |value: &str| matches!(value, "true" | "false");
    for (annotation, value) in marks {
        let Some(value) = value.filter(|value| !is_sound(value)) else { continue };
        let message = format!(
            "`{value}` is neither \"true\" nor \"false\", so class `{}` isn't marked as the default by it",
            class.metadata.name
        );
        review
            .warn(Rule::DefaultMark, message)
            .at(&portcullis_sdk::Metadata::annotation_path(annotation))
            .subject(format!("annotation={annotation}"))
            .value(value)
            .fix("write \"true\" or \"false\"");
    }
    if let [(_, Some(present)), (beta, Some(older))] = marks
        && present != older
        && is_sound(present)
        && is_sound(older)
    {
        let message = format!(
            "`{beta}` says \"{older}\" and the annotation without `beta` \"{present}\"; the API server obeys both, so class `{}` is the default",
            class.metadata.name
        );
        review
            .warn(Rule::DefaultMark, message)
            .at(&portcullis_sdk::Metadata::annotation_path(beta))
            .subject(format!("annotation={beta}"))
            .value(older)
            .fix("remove the beta annotation");
    }
}

fn second_default(settings: &Settings, class: &StorageClass, host: &Host, review: &mut Findings) {
    let Some(level) = settings.second_default.level() else { return };
    let others = host.list::<OtherClass>(Query::all()).items;
    let others = others
        .iter()
        .filter(|other| other.metadata.name != class.metadata.name && is_default(&other.metadata.annotations));
    let mut names: Vec<&str> = others.map(|other| other.metadata.name.as_str()).collect();
    names.sort_unstable();
    if names.is_empty() {
        return;
    }
    let named = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let message = format!(
        "class `{}` is marked as the default and so is {named}; claims without a class get whichever was made last",
        class.metadata.name
    );
    let marked = DEFAULT_ANNOTATIONS
        .into_iter()
        .find(|annotation| class.metadata.annotations.get(*annotation).is_some_and(|value| value == "true"));
    review
        .find(Rule::SecondDefault, level, message)
        .at(&portcullis_sdk::Metadata::annotation_path(marked.unwrap_or(DEFAULT_ANNOTATIONS[0])))
        .subject("default-class")
        .value(names.join(","))
        .fix(format!("set `{}` to \"false\" on {named} first, or leave this class unmarked", DEFAULT_ANNOTATIONS[0]));
}

/// Words that are read exactly.
fn words(class: &StorageClass, review: &mut Findings) {
    let fields = [
        ("reclaimPolicy", &class.reclaim_policy, ["Delete", "Retain"]),
        ("volumeBindingMode", &class.volume_binding_mode, ["Immediate", "WaitForFirstConsumer"]),
    ];
    for (field, value, known) in fields {
        let Some(value) = value.as_deref().filter(|value| !known.contains(value)) else { continue };
        let path = FieldPath::root().field(field);
        let finding =
            review.deny(Rule::UnknownValue, format!("`{value}` is no {field}; {} or {} are", known[0], known[1]));
        finding.at(&path).subject(format!("field={field}")).value(value);
        match known.iter().find(|known| known.eq_ignore_ascii_case(value)) {
            Some(meant) => finding.fix_with(format!("write {meant}"), [Edit::Replace(path.clone(), (*meant).into())]),
            None => finding.fix(format!("write {} or {}", known[0], known[1])),
        };
    }
}

fn provisioner(settings: &Settings, class: &StorageClass, host: &Host, review: &mut Findings) {
    let path = FieldPath::root().field("provisioner");
    let name = class.provisioner.as_str();
    if name.is_empty() {
        review
            .deny(Rule::ProvisionerMissing, format!("class `{}` names no provisioner", class.metadata.name))
            .at(&path)
            .subject("provisioner")
            .fix("name the CSI driver that makes its volumes, or kubernetes.io/no-provisioner");
        return;
    }
    if !settings.allowed_provisioners.is_empty() && !is_named(&settings.allowed_provisioners, name) {
        let allowed = settings.allowed_provisioners.join(", ");
        review
            .deny(Rule::ProvisionerNotAllowed, format!("`{name}` isn't an allowed provisioner; {allowed} are"))
            .at(&path)
            .subject("provisioner")
            .value(name)
            .fix("name an allowed provisioner");
        return;
    }
    let facts = ProvisionerFacts::of(name);
    if let Some(facts) = facts {
        in_tree(name, facts, review);
    }
    let is_allowed = !settings.allowed_provisioners.is_empty();
    let is_known = settings.provisioners().knows(name);
    if let Some(variable) = facts.and_then(|facts| facts.announced) {
        not_running(name, variable, host, review);
    } else if !is_known && !is_allowed {
        unknown(name, host, review);
    }
}

/// What Kubernetes had itself.
fn in_tree(name: &str, facts: ProvisionerFacts, review: &mut Findings) {
    let message = match (facts.removed, facts.successor) {
        (None, None) => return,
        (None, Some(successor)) => format!(
            "`{name}` is no longer part of Kubernetes, which passes its claims on to the CSI driver {successor}; they are served only where that is installed"
        ),
        (Some(version), Some(successor)) => format!(
            "`{name}` was removed in Kubernetes {version}, so claims of the class are never served; the CSI driver {successor} took its place"
        ),
        (Some(version), None) => format!(
            "`{name}` was removed in Kubernetes {version} without a successor, so claims of the class are never served"
        ),
    };
    let fix = facts.successor.map_or_else(
        || "move the data to storage with a CSI driver".to_owned(),
        |successor| format!("make a class with the provisioner {successor}, whose parameters may have other names"),
    );
    review
        .warn(Rule::InTreeProvisioner, message)
        .at(&FieldPath::root().field("provisioner"))
        .subject("provisioner")
        .value(name)
        .fix(fix);
}

/// External provisioners only take the claims of classes that name them exactly.
fn not_running(name: &str, variable: &str, host: &Host, review: &mut Findings) {
    let deployments = announcing(host, variable);
    if !deployments.complete || deployments.items.iter().any(|deployment| announces(deployment, variable, name)) {
        return;
    }
    let others: Vec<String> = deployments
        .items
        .iter()
        .flat_map(|deployment| {
            let place = format!("{}/{}", namespace(deployment), deployment.metadata.name);
            deployment.values(variable).map(move |value| format!("`{value}` (Deployment {place})")).collect::<Vec<_>>()
        })
        .collect();
    let known =
        if others.is_empty() { "none runs at all".to_owned() } else { format!("there is {}", others.join(", ")) };
    review
        .warn(
            Rule::ProvisionerNotRunning,
            format!(
                "no Deployment has `{variable}` set to `{name}`, so nobody serves the claims of this class; {known}"
            ),
        )
        .at(&FieldPath::root().field("provisioner"))
        .subject("provisioner")
        .value(name)
        .fix(format!("make `provisioner` and the Deployment's {variable} equal"));
}

/// Neither the catalogue nor the cluster knows it.
fn unknown(name: &str, host: &Host, review: &mut Findings) {
    if !matches!(host.get::<CsiDriver>(name), Answer::Absent) {
        return;
    }
    let deployments = announcing(host, PROVISIONER_NAME);
    if !deployments.complete || deployments.items.iter().any(|deployment| announces(deployment, PROVISIONER_NAME, name))
    {
        return;
    }
    let message = format!(
        "the cluster has no CSI driver `{name}`, no Deployment announces a provisioner of that name, and the catalogue doesn't know it"
    );
    review
        .warn(Rule::ProvisionerUnknown, message)
        .at(&FieldPath::root().field("provisioner"))
        .subject("provisioner")
        .value(name)
        .fix("check the spelling, or install the driver first");
}

fn announcing(host: &Host, variable: &str) -> Listing<Deployment> {
    host.list::<Deployment>(Query::all().key(VARIABLE_KEY, variable).limit(MAX_DEPLOYMENTS))
}

fn announces(deployment: &Deployment, variable: &str, name: &str) -> bool {
    deployment.values(variable).any(|value| value == name)
}

fn namespace(deployment: &Deployment) -> &str {
    if deployment.metadata.namespace.is_empty() { "default" } else { &deployment.metadata.namespace }
}

/// A class that is marked for databases keeps their data, and lets it grow where the settings ask for that.
fn for_databases(settings: &Settings, class: &StorageClass, operation: Operation, review: &mut Findings) {
    let policy = class.reclaim_policy.as_deref().unwrap_or(DEFAULT_RECLAIM_POLICY);
    // Classes for volumes made by hand leave it to the volumes.
    if policy == DEFAULT_RECLAIM_POLICY && class.provisioner != NO_PROVISIONER && !archives(class) {
        let message = format!(
            "class `{}` is for databases and has the reclaim policy Delete{}: the data goes with its claim",
            class.metadata.name,
            if class.reclaim_policy.is_none() { " (the default)" } else { "" }
        );
        let path = FieldPath::root().field("reclaimPolicy");
        let finding = review.deny(Rule::ReclaimPolicy, message);
        finding.at(&path).subject("reclaimPolicy").value(policy);
        if operation == Operation::Create {
            finding.fix_with("set it to Retain", [Edit::Add(path.clone(), "Retain".into())]);
        } else {
            finding.fix("leave the mark off: an existing class can't change its reclaim policy");
        }
    }
    if settings.databases.require_expansion && class.allow_volume_expansion != Some(true) {
        let path = FieldPath::root().field("allowVolumeExpansion");
        review
            .deny(
                Rule::VolumeExpansion,
                format!("class `{}` is for databases and doesn't allow its volumes to grow", class.metadata.name),
            )
            .at(&path)
            .subject("allowVolumeExpansion")
            .fix_with("allow it", [Edit::Add(path.clone(), true.into())]);
    }
}

/// Whether the provisioner is told to keep the data of a deleted claim.
fn archives(class: &StorageClass) -> bool {
    let parameter = |name: &str| class.parameters.get(name).map(String::as_str);
    match parameter("onDelete") {
        Some("retain" | "archive") => true,
        Some("delete") => false,
        _ => parameter("archiveOnDelete").is_some_and(is_true),
    }
}

/// The provisioner would archive, and is told not to (seed 003).
fn archive(class: &StorageClass, review: &mut Findings) {
    let parameter = |name: &str| class.parameters.get(name).map(String::as_str);
    let Some(value) = parameter("archiveOnDelete").filter(|value| is_false(value)) else { return };
    let is_kept = class.reclaim_policy.as_deref() == Some("Retain")
        || matches!(parameter("onDelete"), Some("retain" | "archive"));
    if is_kept {
        return;
    }
    let path = FieldPath::root().field("parameters").field("archiveOnDelete");
    let message = format!(
        "with archiveOnDelete \"{value}\" the provisioner of class `{}` deletes a claim's directory with the claim, and no copy remains",
        class.metadata.name
    );
    review
        .warn(Rule::ArchiveOnDelete, message)
        .at(&path)
        .subject("parameter=archiveOnDelete")
        .value(value)
        .fix_with("set it to \"true\"", [Edit::Add(path.clone(), "true".into())]);
}

/// Go's strconv.ParseBool, which the provisioners read parameters with.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

fn is_false(text: &str) -> bool {
    matches!(text, "0" | "f" | "F" | "false" | "FALSE" | "False")
}

fn binding(settings: &Settings, class: &StorageClass, review: &mut Findings) {
    if class.volume_binding_mode.as_deref().unwrap_or(DEFAULT_BINDING_MODE) != DEFAULT_BINDING_MODE {
        return;
    }
    let facts = ProvisionerFacts::of(&class.provisioner);
    // A regional disk is in two zones, and a class that names its zones was given thought.
    let is_bound_to_a_zone = facts.is_some_and(|facts| facts.is_zonal)
        && !class.allowed_topologies.0
        && class.parameters.get("replication-type").is_none_or(|kind| kind != "regional-pd");
    let where_to = if settings.provisioners().locality(&class.provisioner, &class.parameters) == Locality::Local {
        "on one node"
    } else if is_bound_to_a_zone {
        "in one zone"
    } else {
        return;
    };
    let how = if class.volume_binding_mode.is_none() { " (the default)" } else { "" };
    let message = format!(
        "`{}` makes volumes {where_to}, and with the binding mode Immediate{how} that place is chosen before the pod is scheduled",
        class.provisioner
    );
    let path = FieldPath::root().field("volumeBindingMode");
    review
        .warn(Rule::BindingMode, message)
        .at(&path)
        .subject("volumeBindingMode")
        .value(DEFAULT_BINDING_MODE)
        .fix_with("set it to WaitForFirstConsumer", [Edit::Add(path.clone(), "WaitForFirstConsumer".into())]);
}
