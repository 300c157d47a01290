//! What a claim is filled from: a kind that can be, that is there, and that fits.

use portcullis_sdk::{Answer, Edit, FieldPath, Quantity};

use crate::asked::Asked;
use crate::rules::Rule;
use crate::views::{Claim, DataSource, VolumeSnapshot, quantity, text};
use crate::{Context, Findings};

const SNAPSHOT_GROUP: &str = "snapshot.storage.k8s.io";
const CLAIM: &str = "PersistentVolumeClaim";
const SNAPSHOT: &str = "VolumeSnapshot";

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Claim,
    Snapshot,
    /// What a populator serves; in `dataSourceRef` alone.
    Other,
    /// What can't be one.
    Wrong,
}

/// Judges what a claim is filled from.
pub(crate) fn judge(context: &Context<'_>, asked: &Asked<'_>, review: &mut Findings) {
    let (old, new) = (asked.spec.data_source.as_ref(), asked.spec.data_source_ref.as_ref());
    if let (Some(old), Some(new)) = (old, new)
        && (group(old), &old.kind, &old.name) != (group(new), &new.kind, &new.name)
    {
        review
            .deny(
                Rule::DataSourceConflict,
                format!(
                    "{} is to be filled from {} `{}` (dataSource) and from {} `{}` (dataSourceRef)",
                    asked.what, old.kind, old.name, new.kind, new.name
                ),
            )
            .at(&asked.field("dataSource"))
            .subject(&asked.subject)
            .value(&old.name)
            .fix("keep dataSourceRef");
        return;
    }
    let Some((field, source)) = new.map(|new| ("dataSourceRef", new)).or(old.map(|old| ("dataSource", old))) else {
        return;
    };
    let path = asked.field(field);
    match kind(source, field) {
        Kind::Wrong => wrong_kind(asked, source, field, &path, review),
        Kind::Other => {}
        Kind::Claim | Kind::Snapshot if is_elsewhere(context, source) => {}
        Kind::Claim => from_claim(context, asked, source, &path, review),
        Kind::Snapshot => from_snapshot(context, asked, source, &path, review),
    }
}

fn group(source: &DataSource) -> &str {
    source.api_group.as_deref().unwrap_or_default()
}

fn kind(source: &DataSource, field: &str) -> Kind {
    match (group(source), source.kind.as_str()) {
        _ if source.name.is_empty() => Kind::Wrong,
        ("", CLAIM) => Kind::Claim,
        (SNAPSHOT_GROUP, SNAPSHOT) => Kind::Snapshot,
        // The core group has no other source; and these two kinds have no other group.
        ("", _) | (_, CLAIM | SNAPSHOT) => Kind::Wrong,
        (group, _) if field == "dataSource" || group.contains('/') => Kind::Wrong,
        _ => Kind::Other,
    }
}

/// Where the cluster lets claims be filled from other namespaces, that is for grants to say.
fn is_elsewhere(context: &Context<'_>, source: &DataSource) -> bool {
    source.namespace.as_deref().is_some_and(|namespace| !namespace.is_empty() && namespace != context.namespace)
}

fn wrong_kind(asked: &Asked<'_>, source: &DataSource, field: &str, path: &FieldPath, review: &mut Findings) {
    let named = match group(source) {
        "" => format!("{} without apiGroup", source.kind),
        group => format!("{} of apiGroup `{group}`", source.kind),
    };
    let (message, fix) = if source.name.is_empty() {
        (format!("{}: {field} names no object", asked.what), "name the object".to_owned())
    } else if source.kind == SNAPSHOT {
        (
            format!("{} can't be filled from a {named}", asked.what),
            format!("set apiGroup: {SNAPSHOT_GROUP}, without a version"),
        )
    } else if source.kind == CLAIM {
        (format!("{} can't be filled from a {named}", asked.what), "leave apiGroup out".to_owned())
    } else {
        (
            format!("{} can't be filled from a {named} by {field}", asked.what),
            format!(
                "name a {CLAIM} or a {SNAPSHOT}; what a populator serves belongs into dataSourceRef, with its group"
            ),
        )
    };
    let group = path.field("apiGroup");
    let edits = match source.kind.as_str() {
        SNAPSHOT if !source.name.is_empty() => vec![Edit::Add(group, SNAPSHOT_GROUP.into())],
        CLAIM if !source.name.is_empty() => vec![Edit::Remove(group)],
        _ => Vec::new(),
    };
    review
        .deny(Rule::DataSourceKind, message)
        .at(path)
        .subject(&asked.subject)
        .value(&source.kind)
        .fix_with(fix, edits);
}

fn from_claim(context: &Context<'_>, asked: &Asked<'_>, source: &DataSource, path: &FieldPath, review: &mut Findings) {
    match context.host.get_in::<Claim>(context.namespace, &source.name) {
        Answer::Unknown(_) => {}
        Answer::Absent => absent(context, asked, source, path, review),
        Answer::Found(claim) => {
            if claim.spec.mode() != asked.spec.mode() {
                let message = format!(
                    "{} has the volume mode {} and claim `{}`, which it is filled from, {}",
                    asked.what,
                    asked.spec.mode(),
                    source.name,
                    claim.spec.mode()
                );
                review
                    .deny(Rule::DataSourceMismatch, message)
                    .at(&asked.field("volumeMode"))
                    .subject(format!("{},field=volumeMode", asked.subject))
                    .value(asked.spec.mode())
                    .fix(format!("set volumeMode: {}", claim.spec.mode()));
            }
            too_small(asked, source, claim.size(), &claim.size_text(), review);
        }
    }
}

fn from_snapshot(
    context: &Context<'_>,
    asked: &Asked<'_>,
    source: &DataSource,
    path: &FieldPath,
    review: &mut Findings,
) {
    match context.host.get_in::<VolumeSnapshot>(context.namespace, &source.name) {
        Answer::Unknown(_) => {}
        Answer::Absent => absent(context, asked, source, path, review),
        Answer::Found(snapshot) => {
            let size = snapshot.status.restore_size.as_ref();
            too_small(asked, source, size.and_then(quantity), &text(size), review);
        }
    }
}

fn absent(context: &Context<'_>, asked: &Asked<'_>, source: &DataSource, path: &FieldPath, review: &mut Findings) {
    let message = format!(
        "{} is to be filled from {} `{}`, which isn't in namespace `{}`",
        asked.what, source.kind, source.name, context.namespace
    );
    review
        .warn(Rule::DataSourceAbsent, message)
        .at(&path.field("name"))
        .subject(&asked.subject)
        .value(&source.name)
        .fix("make it first, in the claim's namespace, or correct its name");
}

fn too_small(asked: &Asked<'_>, source: &DataSource, size: Option<Quantity>, text: &str, review: &mut Findings) {
    let (Some(request), Some(size)) = (asked.spec.request(), size) else { return };
    if request >= size {
        return;
    }
    let asked_for = asked.spec.request_text();
    let message = format!(
        "{} asks for {asked_for}, and {} `{}`, which it is filled from, has {text}",
        asked.what, source.kind, source.name
    );
    review
        .deny(Rule::DataSourceMismatch, message)
        .at(&asked.field("resources").field("requests").field("storage"))
        .subject(format!("{},field=requests", asked.subject))
        .value(asked_for)
        .fix(format!("ask for at least {text}"));
}
