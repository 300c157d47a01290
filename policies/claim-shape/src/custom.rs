//! Operators' custom resources: the claims that they describe in fields of their
//! own, judged for size and access modes as claims are.
//!
//! What the operator fills in by itself isn't there to be judged, and a class
//! that doesn't exist is `database-remote-storage`'s to say.

use std::collections::BTreeMap;

use portcullis_sdk::Quantity;
use portcullis_sdk::pod::AccessMode;
use portcullis_workloads::custom::{CustomResource, Source, StorageClaim};
use serde_json::Value;

use crate::asked::{Asked, Names, Places};
use crate::class::{self, Class};
use crate::rules::Rule;
use crate::shape;
use crate::views::{ClaimSpec, Resources};
use crate::{Context, Findings};

/// How many claims of one resource are judged; each has one look-up of the 256 that a review has.
const MAX_STORAGES: usize = 128;
/// In billionths.
const BYTE: i128 = 1_000_000_000;
/// Suffixes and what they multiply with, the largest first.
const SUFFIXES: [(&str, i128); 4] = [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

/// Judges a custom resource. What it describes can change at any time, so it is
/// always judged like new.
pub(crate) fn judge(context: &Context<'_>, custom: &CustomResource, review: &mut Findings) {
    let context = Context { is_new: true, ..*context };
    for storage in custom.storage.iter().take(MAX_STORAGES) {
        let Source::Claim(claim) = &storage.source else { continue };
        let spec = spec(claim);
        let name = storage.subject.strip_prefix("storage=").unwrap_or(&storage.subject);
        let asked = Asked {
            subject: storage.subject.clone(),
            what: format!("`{name}` of {} `{}`", custom.kind, custom.metadata.display_name()),
            path: claim.path.clone(),
            metadata: &Default::default(),
            spec: &spec,
            names: Names::Pods,
            places: Some(Places {
                size: claim.size_path.clone(),
                access_modes: claim.access_modes_path.clone().unwrap_or_else(|| claim.path.clone()),
            }),
        };
        // A small number may be in units of the operator's own.
        if let (Some(size), Some(written)) = (claim.size, spec.resources.requests.get("storage"))
            && (size <= Quantity::ZERO || size.billionths() % BYTE != 0)
        {
            shape::sound(&asked, written, &claim.size_path, review);
        }
        class::judge(&context, &asked, &Class::of(&context, &asked), review);
        many_writers(&asked, custom, review);
    }
}

fn many_writers(asked: &Asked<'_>, custom: &CustomResource, review: &mut Findings) {
    const SEVERAL_NODES: &str = "ReadWriteMany";
    if !asked.spec.access_modes.iter().any(|mode| mode == SEVERAL_NODES) {
        return;
    }
    review
        .warn(
            Rule::ManyWriters,
            format!(
                "{} holds the data of {}, and lets several nodes write it at once ({SEVERAL_NODES})",
                asked.what, custom.system
            ),
        )
        .at(&asked.access_modes_path())
        .subject(&asked.subject)
        .value(SEVERAL_NODES)
        .fix("ask for ReadWriteOncePod or ReadWriteOnce");
}

/// What a claim of its own would ask for.
fn spec(claim: &StorageClaim) -> ClaimSpec {
    let requests: BTreeMap<String, Value> =
        claim.size.iter().map(|size| ("storage".to_owned(), Value::from(text(*size)))).collect();
    ClaimSpec {
        storage_class_name: claim.class.clone(),
        access_modes: claim.access_modes.iter().map(mode).collect(),
        volume_name: claim.volume_name.clone(),
        resources: Resources { requests, limits: BTreeMap::new() },
        ..ClaimSpec::default()
    }
}

fn mode(mode: &AccessMode) -> String {
    match mode {
        AccessMode::ReadWriteOnce => "ReadWriteOnce",
        AccessMode::ReadWriteOncePod => "ReadWriteOncePod",
        AccessMode::ReadOnlyMany => "ReadOnlyMany",
        AccessMode::ReadWriteMany => "ReadWriteMany",
        AccessMode::Other(name) => name,
    }
    .to_owned()
}

/// A quantity with the largest suffix in which it is a whole number, and as
/// billionths where it is no whole number of bytes.
fn text(size: Quantity) -> String {
    let billionths = size.billionths();
    if billionths % BYTE != 0 {
        return format!("{billionths}n");
    }
    let bytes = billionths / BYTE;
    let suffix = SUFFIXES.into_iter().find(|(_, factor)| bytes != 0 && bytes % factor == 0);
    suffix.map_or_else(|| bytes.to_string(), |(suffix, factor)| format!("{}{suffix}", bytes / factor))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
    use super::*;

    #[test]
    fn a_size_is_written_as_the_same_size() {
        for (size, written) in [
            ("10Gi", "10Gi"),
            ("1024Mi", "1Gi"),
            ("1.5Ti", "1536Gi"),
            ("1G", "1000000000"),
            ("0", "0"),
            ("500m", "500000000n"),
            ("-1Gi", "-1Gi"),
        ] {
            let size: Quantity = size.parse().unwrap();
            assert_eq!(text(size), written);
            assert_eq!(written.parse::<Quantity>().unwrap(), size);
        }
    }
}
