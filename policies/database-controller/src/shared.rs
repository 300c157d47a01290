//! Two workloads on one claim that holds a data store's data. Whichever comes
//! second is judged; the first is looked up by the claim that it names.

use portcullis_sdk::pod::WorkloadKind;
use portcullis_sdk::{FieldPath, Host, Level};
use portcullis_workloads::CustomStore;

use crate::rules::Rule;
use crate::settings::Settings;
use crate::stores::{Held, Part, Source, Store, stores, written_claims};
use crate::views::Judged;
use crate::{Findings, referrers};

/// A data store's hold on a claim.
struct Hold {
    claim: String,
    container: String,
    system: String,
    path: FieldPath,
}

/// Where a workload is looked at from.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) own: &'a [CustomStore],
    pub(crate) host: &'a Host,
    pub(crate) namespace: &'a str,
}

/// Judges what a workload shares with others. `found` are its own data stores.
pub(crate) fn judge(around: Around<'_>, judged: &Judged, found: &[Store<'_>], review: &mut Findings) {
    if judged.replicas() == Some(0) {
        return;
    }
    let mut seen: Vec<(String, String)> = Vec::new();
    for written in written_claims(&judged.workload) {
        if seen.iter().any(|(claim, container)| claim == written.claim && container == written.container) {
            continue;
        }
        seen.push((written.claim.to_owned(), written.container.to_owned()));
        let here = found.iter().find(|store| store.container == written.container && holds(store, written.claim));
        for other in referrers::of_claim(around.host, around.namespace, written.claim) {
            if is_same(judged, &other) || other.replicas() == Some(0) {
                continue;
            }
            let hold = Hold {
                claim: written.claim.to_owned(),
                container: written.container.to_owned(),
                system: here.map(|store| store.system.clone()).unwrap_or_default(),
                path: written.path.clone(),
            };
            with_other(around, judged, here.is_some().then_some(written.part), &hold, &other, written.part, review);
        }
    }
}

/// Judges one claim that this workload and another write to. `store` is there where a data store of this one does.
fn with_other(
    around: Around<'_>,
    judged: &Judged,
    store: Option<Part<'_>>,
    hold: &Hold,
    other: &Judged,
    part: Part<'_>,
    review: &mut Findings,
) {
    let others = stores(around.settings, around.own, &other.workload);
    let their = others.iter().find_map(|their| on_claim(their, &hold.claim).map(|theirs| (their, theirs)));
    let (level, message) = match (store, their) {
        (Some(_), Some((their, theirs))) if !part.is_apart_from(theirs) => (
            if their.system == hold.system { Level::Deny } else { Level::Warn },
            format!(
                "claim `{}` holds the data of {} (container `{}`) and of {} (container `{}` of {}), which write over each other's files",
                hold.claim,
                hold.system,
                hold.container,
                their.system,
                their.container,
                other.display()
            ),
        ),
        (Some(_), None) if runs_on(other) => {
            let Some(writer) = written_claims(&other.workload)
                .into_iter()
                .find(|written| written.claim == hold.claim && !part.is_apart_from(written.part))
            else {
                return;
            };
            (
                Level::Warn,
                format!(
                    "claim `{}` holds the data of {} (container `{}`), and container `{}` of {} may write there too",
                    hold.claim,
                    hold.system,
                    hold.container,
                    writer.container,
                    other.display()
                ),
            )
        }
        (None, Some((their, theirs))) if runs_on(judged) && !part.is_apart_from(theirs) => (
            Level::Warn,
            format!(
                "container `{}` may write to claim `{}`, which holds the data of {} (container `{}` of {})",
                hold.container,
                hold.claim,
                their.system,
                their.container,
                other.display()
            ),
        ),
        _ => return,
    };
    let finding = review.find(Rule::SharedClaim, level, message);
    finding.at(&hold.path).subject(format!("claim={},container={}", hold.claim, hold.container)).value(other.display());
    finding.fix("give it a claim of its own, or mount this one read-only");
}

/// Backups and restores come as Jobs and Pods, and go again.
fn runs_on(judged: &Judged) -> bool {
    !matches!(judged.workload.kind, WorkloadKind::Job | WorkloadKind::CronJob | WorkloadKind::Pod)
}

fn holds(store: &Store<'_>, claim: &str) -> bool {
    on_claim(store, claim).is_some()
}

/// How much of a claim holds a data store's data.
fn on_claim<'a>(store: &Store<'a>, claim: &str) -> Option<Part<'a>> {
    let Held::Volumes(volumes) = &store.held else { return None };
    volumes.iter().find(|data| data.source == Source::Claim(claim)).map(|data| data.part)
}

fn is_same(one: &Judged, two: &Judged) -> bool {
    one.workload.kind == two.workload.kind && one.workload.metadata.name == two.workload.metadata.name
}
