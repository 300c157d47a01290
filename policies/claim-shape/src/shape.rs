//! What a claim's own fields say, without the cluster: sizes as numbers, access
//! modes and volume mode as words.

use portcullis_sdk::{Edit, FieldPath, Quantity};
use serde_json::Value;

use crate::asked::Asked;
use crate::meant;
use crate::rules::Rule;
use crate::settings::ACCESS_MODES;
use crate::views::{quantity, storage, text, written};
use crate::{Context, Findings};

/// No disk is smaller: a size below it has the wrong suffix, or none.
const LEAST_PLAUSIBLE: i64 = 1 << 20;
const VOLUME_MODES: [&str; 2] = ["Filesystem", "Block"];
const ONE_POD: &str = "ReadWriteOncePod";

/// Judges a claim's fields.
pub(crate) fn judge(context: &Context<'_>, asked: &Asked<'_>, review: &mut Findings) {
    sizes(asked, review);
    access_modes(asked, review);
    // A volume mode can't change.
    let mode = asked.spec.mode();
    if context.is_new && !VOLUME_MODES.contains(&mode) {
        unknown(asked, "volumeMode", &asked.field("volumeMode"), mode, &VOLUME_MODES, review);
    }
}

fn sizes(asked: &Asked<'_>, review: &mut Findings) {
    let resources = &asked.spec.resources;
    let base = asked.field("resources");
    let request = match storage(&resources.requests) {
        None => {
            review
                .deny(Rule::SizeMissing, format!("{} doesn't say how much storage it asks for", asked.what))
                .at(&base.field("requests").field("storage"))
                .subject(&asked.subject)
                .fix("set resources.requests.storage, such as 10Gi");
            None
        }
        Some(value) => sound(asked, value, &base.field("requests").field("storage"), review),
    };
    let limit = storage(&resources.limits)
        .and_then(|value| sound(asked, value, &base.field("limits").field("storage"), review));
    if let (Some(request), Some(limit)) = (request, limit)
        && limit < request
    {
        let message = format!(
            "{} asks for {} and may have no more than {}",
            asked.what,
            asked.spec.request_text(),
            text(storage(&resources.limits))
        );
        review
            .deny(Rule::LimitBelowRequest, message)
            .at(&base.field("limits").field("storage"))
            .subject(&asked.subject)
            .value(text(storage(&resources.limits)))
            .fix("remove the limit, or raise it to the request");
    }
}

/// A size as a number, if it is a sound one.
pub(crate) fn sound(asked: &Asked<'_>, value: &Value, path: &FieldPath, review: &mut Findings) -> Option<Quantity> {
    let written = written(value);
    let size = quantity(value);
    let wrong = match size {
        None => Some(format!("{}: `{written}` is no quantity", asked.what)),
        Some(size) if size <= Quantity::ZERO => {
            Some(format!("{}: a size of `{written}` is not more than nothing", asked.what))
        }
        Some(_) => None,
    };
    if let Some(message) = wrong {
        let meant = meant::size(&written);
        let finding = review.deny(Rule::InvalidQuantity, message);
        finding.at(path).subject(format!("{},field={}", asked.subject, field_of(path))).value(written);
        match meant {
            Some(meant) => finding.fix_with(format!("write {meant}"), [Edit::Replace(path.clone(), meant.into())]),
            None => finding.fix("write a number with a suffix such as Mi, Gi or Ti: 10Gi"),
        };
        return None;
    }
    if size.is_some_and(|size| size < Quantity::whole(LEAST_PLAUSIBLE)) {
        review
            .warn(
                Rule::ImplausibleSize,
                format!("{} asks for `{written}`, which is less than 1Mi: a number alone is bytes, and the suffix m thousandths", asked.what),
            )
            .at(path)
            .subject(format!("{},field={}", asked.subject, field_of(path)))
            .value(written)
            .fix("use Mi, Gi or Ti");
    }
    size
}

/// `requests` or `limits`.
fn field_of(path: &FieldPath) -> &'static str {
    if path.as_str().contains("resources.limits") { "limits" } else { "requests" }
}

fn access_modes(asked: &Asked<'_>, review: &mut Findings) {
    let modes = &asked.spec.access_modes;
    let path = asked.field("accessModes");
    if modes.is_empty() {
        review
            .deny(Rule::AccessModeMissing, format!("{} names no access mode", asked.what))
            .at(&path)
            .subject(&asked.subject)
            .fix("set accessModes: [ReadWriteOnce], or another mode that the class offers");
        return;
    }
    for (index, mode) in modes.iter().enumerate().filter(|(_, mode)| !ACCESS_MODES.contains(&mode.as_str())) {
        unknown(asked, "accessModes", &path.index(index), mode, &ACCESS_MODES, review);
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode == ONE_POD) {
        review
            .deny(
                Rule::ExclusiveAccessMode,
                format!("{} asks for {ONE_POD} together with another access mode", asked.what),
            )
            .at(&path)
            .subject(&asked.subject)
            .value(modes.join(","))
            .fix("keep ReadWriteOncePod alone, or leave it out");
    }
}

fn unknown(asked: &Asked<'_>, field: &str, path: &FieldPath, word: &str, known: &[&str], review: &mut Findings) {
    let meant = meant::word(word, known);
    let known = known.join(", ");
    let finding =
        review.deny(Rule::UnknownValue, format!("{}: `{word}` is no value of {field}; {known} are", asked.what));
    finding.at(path).subject(format!("{},{field}={word}", asked.subject)).value(word);
    match meant {
        Some(meant) => finding.fix_with(format!("write {meant}"), [Edit::Replace(path.clone(), meant.into())]),
        None => finding.fix(format!("write one of {known}")),
    };
}
