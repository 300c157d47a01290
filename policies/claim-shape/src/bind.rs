//! Volumes that exist: the one that a claim names, and those that a claim
//! without a provisioner can be bound to.

use portcullis_sdk::{Answer, Level, Query};

use crate::asked::{Asked, Names};
use crate::class::Class;
use crate::rules::Rule;
use crate::views::{PersistentVolume, VOLUME_CLASS_KEY};
use crate::{Context, Findings};

/// The provisioner of classes for volumes that are made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
/// Phases in which a volume isn't bound anew (`PersistentVolumePhase` in k8s.io/api/core/v1).
const SPENT_PHASES: [&str; 2] = ["Released", "Failed"];

/// Judges what a claim can be bound to.
pub(crate) fn judge(context: &Context<'_>, asked: &Asked<'_>, class: &Class, review: &mut Findings) {
    if let Some(name) = asked.volume_name() {
        named(context, asked, name, class, review);
        return;
    }
    match class {
        // Without a default class it waits for one, which is for `default-storage-class` to say.
        Class::None if asked.class_name().is_none() => {}
        Class::None => by_hand(context, asked, "", class, review),
        Class::Found { class: found, .. } if found.provisioner == NO_PROVISIONER => {
            by_hand(context, asked, &found.metadata.name, class, review);
        }
        Class::Found { class: found, .. } if asked.spec.selector.is_some() => {
            selector(context, asked, &found.metadata.name, &found.provisioner, review);
        }
        Class::Absent(name) => by_hand(context, asked, name, class, review),
        Class::Found { .. } | Class::Unknown(_) => {}
    }
}

/// The volume that the claim names.
fn named(context: &Context<'_>, asked: &Asked<'_>, name: &str, class: &Class, review: &mut Findings) {
    let path = asked.field("volumeName");
    if let Names::Replicas { count, .. } = asked.names
        && count > 1
    {
        review
            .deny(
                Rule::VolumeForReplicas,
                format!("{} names volume `{name}` for all of {count} replicas; it can be bound to one", asked.what),
            )
            .at(&path)
            .subject(&asked.subject)
            .value(name)
            .fix("leave volumeName out, and let volumes be chosen by class or selector");
        return;
    }
    let volume = match context.host.get::<PersistentVolume>(name) {
        Answer::Unknown(_) => return,
        Answer::Found(volume) => volume,
        Answer::Absent => {
            review
                .warn(Rule::VolumeAbsent, format!("{} names volume `{name}`, which doesn't exist", asked.what))
                .at(&path)
                .subject(&asked.subject)
                .value(name)
                .fix("make the volume first, or leave volumeName out so that one is provisioned");
            return;
        }
    };
    if let Some(why) = taken(context, asked, &volume) {
        review
            .deny(Rule::VolumeTaken, format!("{} names volume `{name}`, which {why}", asked.what))
            .at(&path)
            .subject(&asked.subject)
            .value(name)
            .fix("name a free volume, or free this one by removing its claimRef once the data has been looked after");
    }
    let wrong = mismatches(asked, &volume, class.name());
    if wrong.is_empty() {
        return;
    }
    let differ = wrong.join("; ");
    // A volume that is reserved for this very claim is bound to it without being compared
    // (`syncUnboundClaim` in k8s.io/kubernetes/pkg/controller/volume/persistentvolume).
    let (level, message) =
        if volume.spec.claim_ref.as_ref().is_some_and(|claim| asked.is_meant(context.namespace, claim)) {
            (Level::Warn, format!("{} is bound to volume `{name}`, which isn't what it asks for: {differ}", asked.what))
        } else {
            (Level::Deny, format!("{} can't be bound to volume `{name}`: {differ}", asked.what))
        };
    review
        .find(Rule::VolumeMismatch, level, message)
        .at(&path)
        .subject(&asked.subject)
        .value(name)
        .fix("make the claim agree with the volume");
}

/// Why a volume isn't free for the claim.
fn taken(context: &Context<'_>, asked: &Asked<'_>, volume: &PersistentVolume) -> Option<String> {
    let reference = volume.spec.claim_ref.as_ref().filter(|reference| !reference.name.is_empty());
    match reference {
        Some(reference) if !asked.is_meant(context.namespace, reference) => {
            Some(format!("belongs to claim `{}/{}`", reference.namespace, reference.name))
        }
        Some(_) if SPENT_PHASES.contains(&volume.status.phase.as_str()) => {
            Some("was released and still remembers the claim that it had, which this one isn't".to_owned())
        }
        _ => None,
    }
}

/// In what a volume isn't what the claim asks for; of the class only where it is known.
fn mismatches(asked: &Asked<'_>, volume: &PersistentVolume, class: Option<&str>) -> Vec<String> {
    let named = |class: &str| if class.is_empty() { "no class".to_owned() } else { format!("class `{class}`") };
    let mut wrong = Vec::new();
    if let Some(class) = class.filter(|class| *class != volume.class()) {
        let how = if asked.class_name().is_none() && !class.is_empty() { "gets the default" } else { "has" };
        wrong.push(format!("the volume has {}, the claim {how} {}", named(volume.class()), named(class)));
    }
    if let (Some(request), Some(capacity)) = (asked.spec.request(), volume.capacity())
        && capacity < request
    {
        wrong.push(format!(
            "the volume has {}, the claim asks for {}",
            volume.capacity_text(),
            asked.spec.request_text()
        ));
    }
    let missing: Vec<&str> = asked
        .spec
        .access_modes
        .iter()
        .filter(|mode| !volume.spec.access_modes.contains(mode))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        wrong.push(format!("the volume can't be mounted as {}", missing.join(", ")));
    }
    if volume.mode() != asked.spec.mode() {
        wrong.push(format!("the volume has the mode {}, the claim {}", volume.mode(), asked.spec.mode()));
    }
    wrong
}

/// How many volumes of a class are free and fit, and whether that is all there are.
fn fitting(context: &Context<'_>, asked: &Asked<'_>, class: &str) -> (usize, bool) {
    let query = if class.is_empty() { Query::all() } else { Query::all().key(VOLUME_CLASS_KEY, class) };
    let listing = context.host.list::<PersistentVolume>(query);
    let selects = |volume: &PersistentVolume| {
        asked.spec.selector.as_ref().is_none_or(|selector| selector.matches(&volume.metadata.labels))
    };
    let fits = |volume: &&PersistentVolume| {
        mismatches(asked, volume, Some(class)).is_empty() && taken(context, asked, volume).is_none() && selects(volume)
    };
    (listing.items.iter().filter(fits).count(), listing.complete)
}

/// A claim that nobody provisions a volume for (R20).
fn by_hand(context: &Context<'_>, asked: &Asked<'_>, name: &str, class: &Class, review: &mut Findings) {
    let (count, complete) = fitting(context, asked, name);
    let wanted = asked.count();
    if count >= wanted || !complete {
        return;
    }
    let free = match count {
        0 => "no free volume fits it".to_owned(),
        count => format!("only {count} of the {wanted} volumes that its replicas need are there"),
    };
    let (rule, message) = match class {
        Class::Absent(name) => (
            Rule::ClassAbsent,
            format!("{} names class `{name}`, which the cluster doesn't have, and {free}", asked.what),
        ),
        Class::Found { .. } => (
            Rule::NoVolumeToBind,
            format!("{} names class `{name}`, whose volumes are made by hand, and {free}", asked.what),
        ),
        _ => (Rule::NoVolumeToBind, format!("{} asks for a volume that is made by hand, and {free}", asked.what)),
    };
    review
        .warn(rule, message)
        .at(&asked.class_path())
        .subject(&asked.subject)
        .value(name)
        .fix("make a volume that fits, or name a class that provisions volumes");
}

/// A provisioner makes no volume for a claim with a selector.
fn selector(context: &Context<'_>, asked: &Asked<'_>, class: &str, provisioner: &str, review: &mut Findings) {
    let (count, complete) = fitting(context, asked, class);
    if count >= asked.count() || !complete {
        return;
    }
    review
        .warn(
            Rule::SelectorNotServed,
            format!(
                "{} has a selector, so {provisioner} makes no volume for it, and no free volume of class `{class}` has such labels",
                asked.what
            ),
        )
        .at(&asked.field("selector"))
        .subject(&asked.subject)
        .value(class)
        .fix("remove the selector, or name a class for volumes made by hand");
}
