//! What the pods of a workload make of their claims: the claims that volumes
//! name, how containers mount them, and whether a database's data has several writers.

use portcullis_sdk::pod::ContainerRef;
use portcullis_sdk::{Answer, FieldPath, Query};
use portcullis_workloads::{ContainerView, VolumeSource};

use crate::rules::Rule;
use crate::views::{AnyWorkload, CLAIM_NAME_KEY, Claim, ClaimSpec};
use crate::{Context, Findings, writers};

/// How many namespaces with a claim of the same name are looked at.
const MAX_NAMESAKES: u32 = 10;

/// How many claims that volumes name are looked up: at most two look-ups each, beside those of `MAX_CLAIMS`.
const MAX_NAMED_CLAIMS: usize = 64;

/// A volume of the pods that is claimed.
struct Claimed<'a> {
    /// Its name in the pod.
    name: &'a str,
    /// What is asked for; nothing where the claim couldn't be looked up.
    spec: Option<Spec<'a>>,
    /// The claim's spec in this object, or where it is named.
    path: FieldPath,
}

enum Spec<'a> {
    Here(&'a ClaimSpec),
    There(Box<ClaimSpec>),
}

impl Claimed<'_> {
    fn spec(&self) -> Option<&ClaimSpec> {
        match &self.spec {
            None => None,
            Some(Spec::Here(spec)) => Some(spec),
            Some(Spec::There(spec)) => Some(spec),
        }
    }
}

/// Judges a workload's volumes.
pub(crate) fn judge(context: &Context<'_>, workload: &AnyWorkload, review: &mut Findings) {
    let claimed = claimed(context, workload, review);
    if claimed.is_empty() {
        return;
    }
    for container in workload.containers() {
        modes(&container, &claimed, review);
    }
    many_writers(context, workload, &claimed, review);
}

/// The volumes that are claimed, each with its claim.
fn claimed<'a>(context: &Context<'_>, workload: &'a AnyWorkload, review: &mut Findings) -> Vec<Claimed<'a>> {
    let mut claimed: Vec<Claimed<'a>> = workload
        .claim_templates()
        .map(|(path, template)| Claimed {
            name: &template.metadata.name,
            spec: Some(Spec::Here(&template.spec)),
            path: path.field("spec"),
        })
        .collect();
    let list = workload.spec_path().field("volumes");
    let mut named = 0;
    for (index, volume) in workload.pod.rest.volumes.iter().enumerate() {
        let name = volume.volume.name.as_str();
        // A template of this name stands before it.
        if claimed.iter().any(|known| known.name == name) {
            continue;
        }
        let path = list.index(index);
        if let Some(template) = &volume.template {
            let path = path.field("ephemeral").field("volumeClaimTemplate").field("spec");
            claimed.push(Claimed { name, spec: Some(Spec::Here(&template.spec)), path });
        } else if let VolumeSource::Claim { name: claim } = &volume.volume.source
            && named < MAX_NAMED_CLAIMS
        {
            named += 1;
            let spec = match context.host.get_in::<Claim>(context.namespace, claim) {
                Answer::Found(claim) => Some(Spec::There(Box::new(claim.spec))),
                Answer::Unknown(_) => None,
                Answer::Absent => {
                    if context.is_new {
                        absent(context, name, claim, &path, review);
                    }
                    None
                }
            };
            claimed.push(Claimed { name, spec, path: path.field("persistentVolumeClaim").field("claimName") });
        }
    }
    claimed
}

/// The claim that a volume names isn't in the pod's namespace (R17, R18).
fn absent(context: &Context<'_>, volume: &str, claim: &str, path: &FieldPath, review: &mut Findings) {
    let namesakes = context.host.list::<Claim>(Query::all().key(CLAIM_NAME_KEY, claim).limit(MAX_NAMESAKES)).items;
    let mut elsewhere: Vec<String> = namesakes
        .into_iter()
        .map(|claim| claim.metadata.namespace)
        .filter(|namespace| !namespace.is_empty() && namespace != context.namespace)
        .map(|namespace| format!("`{namespace}`"))
        .collect();
    elsewhere.sort();
    let hint = match elsewhere.is_empty() {
        true => String::new(),
        false => format!("; there is one in {}, which pods of this namespace can't use", elsewhere.join(", ")),
    };
    let message =
        format!("volume `{volume}` names claim `{claim}`, which isn't in namespace `{}`{hint}", context.namespace);
    review
        .warn(Rule::ClaimAbsent, message)
        .at(&path.field("persistentVolumeClaim").field("claimName"))
        .subject(format!("volume={volume}"))
        .value(claim)
        .fix("make the claim in the pod's namespace, under exactly that name");
}

/// A block device belongs into `volumeDevices`, a file system into `volumeMounts`.
fn modes(container: &ContainerRef<'_, ContainerView>, claimed: &[Claimed<'_>], review: &mut Findings) {
    let is_block = |name: &str| {
        claimed.iter().find(|volume| volume.name == name).and_then(Claimed::spec).map(|spec| spec.mode() == "Block")
    };
    let mounts = container.view.volume_mounts.iter().enumerate().map(|(index, mount)| (index, mount.name.as_str()));
    for (index, name) in mounts.filter(|(_, name)| is_block(name) == Some(true)) {
        let message = format!(
            "container `{}` mounts volume `{name}` as a directory, and it is claimed as a block device (volumeMode: Block)",
            container.name
        );
        review
            .deny(Rule::VolumeModeMismatch, message)
            .at(&container.path.field("volumeMounts").index(index))
            .subject(format!("container={},volume={name}", container.name))
            .value("Block")
            .fix("give it in volumeDevices, or claim it with volumeMode: Filesystem");
    }
    let devices = container.view.volume_devices.iter().enumerate().map(|(index, device)| (index, device.name.as_str()));
    for (index, name) in devices.filter(|(_, name)| is_block(name) == Some(false)) {
        let message = format!(
            "container `{}` takes volume `{name}` as a block device, and it is claimed with a file system",
            container.name
        );
        review
            .deny(Rule::VolumeModeMismatch, message)
            .at(&container.path.field("volumeDevices").index(index))
            .subject(format!("container={},volume={name}", container.name))
            .value("Filesystem")
            .fix("claim it with volumeMode: Block, or give it in volumeMounts");
    }
}

/// The data of a data store on volumes that several nodes may write.
fn many_writers(context: &Context<'_>, workload: &AnyWorkload, claimed: &[Claimed<'_>], review: &mut Findings) {
    let are_several = |volume: &&Claimed<'_>| volume.spec().is_some_and(writers::are_several);
    if !claimed.iter().any(|volume| are_several(&volume)) {
        return;
    }
    for held in writers::held(context, workload) {
        let Some(volume) = claimed.iter().filter(are_several).find(|volume| volume.name == held.volume) else {
            continue;
        };
        let path = match &volume.spec {
            Some(Spec::Here(_)) => volume.path.field("accessModes"),
            _ => volume.path.clone(),
        };
        writers::warn(&held, &path, review);
    }
}
