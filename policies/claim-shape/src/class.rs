//! The class of a claim, and what it and the settings say about the claim's
//! sizes and access modes.

use portcullis_sdk::{Answer, Level, Query};
use portcullis_workloads::ProvisionerFacts;

use crate::asked::Asked;
use crate::rules::Rule;
use crate::settings::{Sizes, entry};
use crate::views::StorageClass;
use crate::{Context, Findings};

/// Modes that ask for a volume on several nodes.
const SHARED_MODES: [&str; 2] = ["ReadOnlyMany", "ReadWriteMany"];

/// What gives a claim its volume.
#[derive(Debug)]
pub(crate) enum Class {
    /// Nothing: it is bound to a volume that somebody made.
    None,
    /// A class of the cluster.
    Found {
        class: StorageClass,
        /// Whether it is the default, because the claim names none.
        is_default: bool,
    },
    /// One that is named and that the cluster doesn't have.
    Absent(String),
    /// It isn't known; its name is, where the claim has one.
    Unknown(Option<String>),
}

impl Class {
    pub(crate) fn of(context: &Context<'_>, asked: &Asked<'_>) -> Self {
        match asked.class_name() {
            Some("") => Self::None,
            Some(name) => match context.host.get::<StorageClass>(name) {
                Answer::Found(class) => Self::Found { class, is_default: false },
                Answer::Absent => Self::Absent(name.to_owned()),
                Answer::Unknown(_) => Self::Unknown(Some(name.to_owned())),
            },
            None => {
                let classes = context.host.list::<StorageClass>(Query::all());
                let is_complete = classes.complete;
                match StorageClass::default_of(classes.items) {
                    Some(class) => Self::Found { class, is_default: true },
                    None if is_complete => Self::None,
                    None => Self::Unknown(None),
                }
            }
        }
    }

    /// Its name, `""` for none, nothing where it can't be told.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::None => Some(""),
            Self::Found { class, .. } => Some(&class.metadata.name),
            Self::Absent(name) => Some(name),
            Self::Unknown(name) => name.as_deref(),
        }
    }
}

/// Judges a claim by its class.
pub(crate) fn judge(context: &Context<'_>, asked: &Asked<'_>, class: &Class, review: &mut Findings) {
    sizes(context, asked, class, review);
    if context.is_new {
        allowed_modes(context, asked, class, review);
        offered_modes(asked, class, review);
    }
}

/// A size that the settings don't allow: too small or too large.
struct Outside<'a> {
    rule: Rule,
    bound: &'a str,
}

fn outside<'a>(sizes: &'a Sizes, asked: &Asked<'_>) -> Option<Outside<'a>> {
    let size = asked.spec.request()?;
    if sizes.min().is_some_and(|min| size < min) {
        return Some(Outside { rule: Rule::TooSmall, bound: sizes.min.as_deref().unwrap_or_default() });
    }
    if sizes.max().is_some_and(|max| size > max) {
        return Some(Outside { rule: Rule::TooLarge, bound: sizes.max.as_deref().unwrap_or_default() });
    }
    None
}

fn sizes(context: &Context<'_>, asked: &Asked<'_>, class: &Class, review: &mut Findings) {
    let entries = &context.settings.sizes;
    let path = asked.size_path();
    let text = asked.spec.request_text();
    let Some(name) = class.name() else {
        // Only where it matters which class it is.
        if entries.iter().any(|sizes| outside(sizes, asked).is_some()) {
            review
                .undecided(
                    Rule::ClassUnknown,
                    format!("{} asks for {text} and names no class, and which one is the default isn't known, so neither is the limit", asked.what),
                )
                .at(&path)
                .subject(&asked.subject)
                .value("default-class")
                .fix("name a class in storageClassName");
        }
        return;
    };
    let Some(outside) = entry(entries, name).and_then(|sizes| outside(sizes, asked)) else { return };
    let class = if name.is_empty() { "without a class".to_owned() } else { format!("of class `{name}`") };
    let (bound, word) = match outside.rule {
        Rule::TooSmall => ("least", "at least"),
        _ => ("most", "at most"),
    };
    review
        .deny(
            outside.rule,
            format!(
                "{} asks for {text}; the {bound} that a claim {class} may ask for is {}",
                asked.what, outside.bound
            ),
        )
        .at(&path)
        .subject(&asked.subject)
        .value(text)
        .fix(format!("ask for {word} {}", outside.bound));
}

fn allowed_modes(context: &Context<'_>, asked: &Asked<'_>, class: &Class, review: &mut Findings) {
    let Some(name) = class.name() else { return };
    let Some(modes) = entry(&context.settings.access_modes, name) else { return };
    for mode in asked.spec.access_modes.iter().filter(|mode| !modes.allowed.contains(mode)) {
        let allowed = modes.allowed.join(", ");
        review
            .deny(
                Rule::AccessModeNotAllowed,
                format!("{} asks for {mode}; class `{name}` may be claimed with {allowed}", asked.what),
            )
            .at(&asked.access_modes_path())
            .subject(format!("{},mode={mode}", asked.subject))
            .value(mode)
            .fix(format!("ask for {allowed}, or name another class"));
    }
}

/// What the class's provisioner can't do. Block devices are another matter:
/// whoever shares one knows what it means.
fn offered_modes(asked: &Asked<'_>, class: &Class, review: &mut Findings) {
    let Class::Found { class, is_default } = class else { return };
    let Some(facts) = ProvisionerFacts::of(&class.provisioner) else { return };
    // A claim for a volume that exists is bound to that, whatever the class would make.
    if asked.spec.mode() == "Block" || asked.volume_name().is_some() {
        return;
    }
    for mode in asked.spec.access_modes.iter().filter(|mode| SHARED_MODES.contains(&mode.as_str())) {
        let level = if facts.refuses.contains(&mode.as_str()) {
            Level::Deny
        } else if !facts.offers.is_empty() && !facts.offers.contains(&mode.as_str()) {
            Level::Warn
        } else {
            continue;
        };
        let offers = facts.offers.join(", ");
        let which = if *is_default { "the default class" } else { "class" };
        let message = format!(
            "{} asks for {mode}, and {which} `{}` ({}) offers {offers} for volumes with a file system",
            asked.what, class.metadata.name, class.provisioner
        );
        review
            .find(Rule::AccessModeNotOffered, level, message)
            .at(&asked.access_modes_path())
            .subject(format!("{},mode={mode}", asked.subject))
            .value(mode)
            .fix("ask for ReadWriteOnce, or name a class of a shared file system");
    }
}
