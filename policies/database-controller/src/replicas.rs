//! Several pods of one workload: whether they write the same files, or keep
//! data of their own that nobody can find again.

use portcullis_sdk::pod::WorkloadKind;
use portcullis_sdk::{FieldPath, Level};

use crate::rules::Rule;
use crate::sharing::{Resolver, Sharing};
use crate::stores::{Data, Held, Part, Source, Store};
use crate::views::Judged;
use crate::{Findings, label_of};

/// What would put it right; an administrator's choice of storage isn't guessed.
const FIX: &str = "run it in a StatefulSet with `volumeClaimTemplates`, or with one replica";

/// A workload, with as many pods as it is asked to have.
#[derive(Clone, Copy)]
pub(crate) struct Counted<'a> {
    /// The workload.
    pub(crate) judged: &'a Judged,
    /// How many pods; `None` where its kind doesn't say.
    pub(crate) replicas: Option<i64>,
    /// The field that says so where the request's object isn't the workload: of a Scale, of an autoscaler.
    pub(crate) elsewhere: Option<&'a FieldPath>,
}

impl Counted<'_> {
    /// Whether there may be more than one pod.
    pub(crate) fn is_several(self) -> bool {
        match self.judged.workload.kind {
            WorkloadKind::DaemonSet => true,
            _ => self.replicas.unwrap_or(1) > 1,
        }
    }

    fn path(self) -> FieldPath {
        self.elsewhere.cloned().unwrap_or_else(|| self.judged.replicas_path())
    }

    /// The pods, for a message.
    pub(crate) fn pods(self) -> String {
        let display = self.judged.display();
        match self.replicas {
            Some(replicas) => format!("{replicas} pods of {display}"),
            None => format!("the pods of {display}"),
        }
    }
}

/// Judges the data stores of a workload by how many pods it has.
pub(crate) fn judge(counted: Counted<'_>, stores: &[Store<'_>], resolver: &Resolver<'_>, review: &mut Findings) {
    if !counted.is_several() {
        return;
    }
    for store in stores {
        match counted.judged.workload.kind {
            WorkloadKind::Deployment | WorkloadKind::ReplicaSet | WorkloadKind::ReplicationController => {
                interchangeable(counted, store, resolver, review);
            }
            WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::Job => {
                one_claim(counted, store, review);
            }
            WorkloadKind::Pod | WorkloadKind::CronJob => {}
        }
    }
}

/// The pods of a Deployment, of which none has anything of its own.
fn interchangeable(counted: Counted<'_>, store: &Store<'_>, resolver: &Resolver<'_>, review: &mut Findings) {
    let (level, why) = match &store.held {
        Held::NothingByChoice | Held::Memory => {
            (Level::Warn, "each holds what was written to it and nothing of the others".to_owned())
        }
        Held::Layer => (
            Level::Deny,
            "each keeps data of its own in its container's layer, so what is written to one is missing from the next"
                .to_owned(),
        ),
        Held::Volumes(volumes) => {
            let worst = volumes
                .iter()
                .map(|data| (data, resolver.sharing(data)))
                .max_by_key(|(_, sharing)| weight(sharing))
                .map(|(data, sharing)| of_sharing(store, data, &sharing));
            let Some(worst) = worst else { return };
            worst
        }
    };
    let message = format!("{} run {} (container `{}`): {why}", counted.pods(), store.system, store.container);
    let finding = review.find(Rule::SeveralReplicas, level, message);
    finding.at(&counted.path()).subject(label_of(store)).value(&store.system).fix(FIX);
}

/// Of several volumes the one that decides: the worst that is known.
fn weight(sharing: &Sharing) -> u8 {
    match sharing {
        Sharing::Single(_) => 4,
        Sharing::Own(_) => 3,
        Sharing::Unknown { .. } => 2,
        Sharing::Absent(_) => 1,
        Sharing::Shared => 0,
    }
}

fn of_sharing(store: &Store<'_>, data: &Data<'_>, sharing: &Sharing) -> (Level, String) {
    let name = data.name;
    match sharing {
        Sharing::Single(why) => {
            (Level::Deny, format!("they would write to one volume that only one may write to: volume `{name}` {why}"))
        }
        Sharing::Own(field) => (
            if store.in_memory { Level::Warn } else { Level::Deny },
            format!(
                "each keeps data of its own, since volume `{name}` is of type `{field}`, so what is written to one is missing from the next"
            ),
        ),
        Sharing::Unknown { what, why } => {
            (Level::Undecided, format!("whether they may all write to volume `{name}` depends on {what}: {why}"))
        }
        Sharing::Absent(what) => (
            Level::Warn,
            format!("whether they may all write to volume `{name}` is decided by {what}, which doesn't exist (yet)"),
        ),
        Sharing::Shared => (
            Level::Warn,
            format!(
                "they write to the same files of volume `{name}`, which they can reach from every node; make sure that {} takes turns",
                store.system
            ),
        ),
    }
}

/// Pods that have a name or a place of their own, and share a volume all the same.
fn one_claim(counted: Counted<'_>, store: &Store<'_>, review: &mut Findings) {
    let Held::Volumes(volumes) = &store.held else { return };
    for data in volumes.iter().filter(|data| data.source.is_one_for_all() && data.part != Part::OfThePod) {
        let what = match data.source {
            Source::Claim(claim) => format!("claim `{claim}`"),
            Source::SharedNetwork(field) | Source::SingleNetwork(field) => format!("of type `{field}`"),
            Source::Driver(driver) => format!("of driver `{driver}`"),
            Source::Template | Source::Passing(_) => continue,
        };
        let message = format!(
            "{} all keep the data of {} (container `{}`) on one volume: `{}` is {what}",
            counted.pods(),
            store.system,
            store.container,
            data.name
        );
        let finding = review.deny(Rule::OneClaimForReplicas, message);
        finding
            .at(counted.elsewhere.unwrap_or(&data.path))
            .subject(format!("volume={}", data.name))
            .value(&store.system);
        finding.fix(
            "name the volume in `volumeClaimTemplates`, or give each pod a directory of its own with `subPathExpr`",
        );
    }
}
