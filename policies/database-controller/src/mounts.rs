//! Several pods of one workload on claims that hold no data store's data: a web
//! server's pages, uploads. They may share a claim as long as it can be mounted
//! where they run. Which claims are shared, and how they may be mounted, is told
//! in an audit annotation too.
//!
//! The claim is looked up by a list, which is optional: a stateless workload may
//! be scaled where nothing is known of its claims.

use portcullis_sdk::{Host, Query};
use portcullis_workloads::VolumeSource;

use crate::Findings;
use crate::replicas::Counted;
use crate::rules::Rule;
use crate::stores::{Held, Source, Store};
use crate::views::Claim;

/// The path by which claims are found by their name.
pub(crate) const CLAIM_NAME_KEY: &str = "metadata.name";
/// How many of a workload's claims are looked up.
const MAX_CLAIMS: usize = 16;

/// Judges the claims of a workload with several pods.
pub(crate) fn judge(counted: Counted<'_>, stores: &[Store<'_>], namespace: &str, host: &Host, review: &mut Findings) {
    if !counted.is_several() {
        return;
    }
    let workload = &counted.judged.workload;
    let volumes = workload.pod.rest.volumes.iter().enumerate();
    let claims = volumes.filter_map(|(index, volume)| match &volume.source {
        VolumeSource::Claim { name } => Some((index, volume.name.as_str(), name.as_str())),
        _ => None,
    });
    let mut shared = Vec::new();
    for (index, volume, name) in claims.take(MAX_CLAIMS) {
        let listing = host.list::<Claim>(Query::all().within(namespace).key(CLAIM_NAME_KEY, name).limit(1));
        let Some(claim) = listing.items.first() else {
            shared.push(format!("{name}={}", if listing.complete { "absent" } else { "unknown" }));
            continue;
        };
        shared.push(format!("{name}={}", claim.modes()));
        if !claim.is_for_one_node() || is_data(stores, name) {
            continue;
        }
        let message = format!(
            "{} mount volume `{volume}`, which is claim `{name}` and {}: those on another node than the first wait for it forever",
            counted.pods(),
            claim.modes()
        );
        let path = workload.spec_path().field("volumes").index(index).field("persistentVolumeClaim").field("claimName");
        let finding = review.warn(Rule::SingleNodeClaim, message);
        finding.at(counted.elsewhere.unwrap_or(&path)).subject(format!("volume={volume}")).value(claim.modes());
        finding.fix("make the claim ReadWriteMany, or run one replica");
    }
    if !shared.is_empty() {
        review.audit("shared-claims", shared.join(","));
    }
}

/// Whether the claim holds a data store's data, which is judged as such.
fn is_data(stores: &[Store<'_>], claim: &str) -> bool {
    stores.iter().any(|store| {
        matches!(&store.held, Held::Volumes(volumes) if volumes.iter().any(|data| data.source == Source::Claim(claim)))
    })
}
