//! Two workloads on one claim that holds a data store's data. Whichever comes
//! second is judged; the first is looked up by the claim that it names.

use portcullis_sdk::pod::WorkloadKind;
use portcullis_sdk::{Host, Level};
use portcullis_workloads::CustomStore;

use crate::rules::Rule;
use crate::settings::Settings;
use crate::stores::{Held, Part, Source, Store, Written, stores, written_claims};
use crate::views::Judged;
use crate::{Findings, referrers};

/// How many of a workload's claims are looked at; each takes a look-up of every
/// kind, and the host answers 256 a review.
const MAX_CLAIMS: usize = 16;

/// Where a workload is looked at from.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) own: &'a [CustomStore],
    pub(crate) host: &'a Host,
    pub(crate) namespace: &'a str,
}

/// One container's hold on a claim, and the data store that it is, if it is one there.
struct Hold<'a> {
    written: Written<'a>,
    store: Option<&'a Store<'a>>,
}

/// Judges what a workload shares with others. `found` are its own data stores.
pub(crate) fn judge(around: Around<'_>, judged: &Judged, found: &[Store<'_>], review: &mut Findings) {
    if judged.replicas() == Some(0) {
        return;
    }
    let mut written = written_claims(&judged.workload);
    written.sort_by(|one, two| (one.claim, one.container).cmp(&(two.claim, two.container)));
    written.dedup_by(|one, two| (one.claim, one.container) == (two.claim, two.container));
    for of_claim in written.chunk_by(|one, two| one.claim == two.claim).take(MAX_CLAIMS) {
        let claim = of_claim[0].claim;
        let others = referrers::of_claim(around.host, around.namespace, claim);
        for other in others.iter().filter(|other| !is_same(judged, other) && other.replicas() != Some(0)) {
            for written in of_claim {
                let store =
                    found.iter().find(|store| store.container == written.container && on_claim(store, claim).is_some());
                with_other(around, judged, &Hold { written: written.clone(), store }, other, review);
            }
        }
    }
}

/// Judges one claim that a container of this workload and another workload write to.
fn with_other(around: Around<'_>, judged: &Judged, hold: &Hold<'_>, other: &Judged, review: &mut Findings) {
    let Written { claim, container, part, path } = &hold.written;
    let others = stores(around.settings, around.own, &other.workload);
    let theirs = others.iter().find(|store| on_claim(store, claim).is_some_and(|their| !part.is_apart_from(their)));
    let (level, message) = match (hold.store, theirs) {
        (Some(store), Some(their)) => (
            // A Job that is there may have ended long ago.
            if their.system == store.system && !ends(other) { Level::Deny } else { Level::Warn },
            format!(
                "claim `{claim}` holds the data of {} (container `{container}`) and of {} (container `{}` of {}), which write over each other's files",
                store.system,
                their.system,
                their.container,
                other.display()
            ),
        ),
        (Some(store), None) if runs_on(other) => {
            let others = written_claims(&other.workload);
            let writes = |their: &&Written<'_>| their.claim == *claim && !part.is_apart_from(their.part);
            let Some(writer) = others.iter().find(writes) else { return };
            (
                Level::Warn,
                format!(
                    "claim `{claim}` holds the data of {} (container `{container}`), and container `{}` of {} may write there too",
                    store.system,
                    writer.container,
                    other.display()
                ),
            )
        }
        (None, Some(their)) if runs_on(judged) => (
            Level::Warn,
            format!(
                "container `{container}` may write to claim `{claim}`, which holds the data of {} (container `{}` of {})",
                their.system,
                their.container,
                other.display()
            ),
        ),
        _ => return,
    };
    let finding = review.find(Rule::SharedClaim, level, message);
    finding.at(path).subject(format!("claim={claim},container={container}")).value(other.display());
    finding.fix("give it a claim of its own, or mount this one read-only");
}

/// Backups and restores come as Jobs and Pods, and go again.
fn runs_on(judged: &Judged) -> bool {
    !ends(judged) && judged.workload.kind != WorkloadKind::Pod
}

fn ends(judged: &Judged) -> bool {
    matches!(judged.workload.kind, WorkloadKind::Job | WorkloadKind::CronJob)
}

/// How much of a claim holds a data store's data.
fn on_claim<'a>(store: &Store<'a>, claim: &str) -> Option<Part<'a>> {
    let Held::Volumes(volumes) = &store.held else { return None };
    volumes.iter().find(|data| data.source == Source::Claim(claim)).map(|data| data.part)
}

fn is_same(one: &Judged, two: &Judged) -> bool {
    one.workload.kind == two.workload.kind && one.workload.metadata.name == two.workload.metadata.name
}
