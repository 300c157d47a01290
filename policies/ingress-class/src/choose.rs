//! Which class an Ingress gets.

use portcullis_sdk::{Host, Query, Request};

use crate::IngressClassPolicy;
use crate::settings::Settings;
use crate::views::IngressClass;

/// What becomes of an Ingress.
pub(crate) enum Choice {
    /// It stays as it is.
    Keep,
    /// It gets this class.
    Class(String, Source),
    /// Nothing gives it a class.
    None,
    /// Why it can't be told.
    Unknown(String),
}

/// Who named the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Namespace,
    Settings,
    ClusterDefault,
    OldObject,
    Annotation,
}

/// What the settings say.
enum Named<'s> {
    Class(&'s str, Source),
    Nothing,
    Unknown(String),
}

impl Source {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Settings => "settings",
            Self::ClusterDefault => "cluster default",
            Self::OldObject => "old object",
            Self::Annotation => "annotation",
        }
    }
}

/// For an Ingress without a class.
pub(crate) fn for_absent(settings: &Settings, request: &Request<IngressClassPolicy>, host: &Host) -> Choice {
    match named(settings, request) {
        Named::Class(class, source) => Choice::Class(class.to_owned(), source),
        Named::Unknown(reason) => Choice::Unknown(reason),
        Named::Nothing => match cluster_default(host) {
            Ok(Some(_)) if !settings.cluster_default => Choice::Keep,
            Ok(Some(class)) => Choice::Class(class, Source::ClusterDefault),
            Ok(None) => Choice::None,
            // Whatever it is, it wouldn't be written.
            Err(_) if !settings.cluster_default => Choice::Keep,
            Err(reason) => Choice::Unknown(reason),
        },
    }
}

/// For an Ingress with a class that nobody set. It is replaced only where it is
/// the cluster's default: any other came from an earlier webhook, which had its reasons.
pub(crate) fn for_filled(
    settings: &Settings,
    request: &Request<IngressClassPolicy>,
    filled: &str,
    host: &Host,
) -> Choice {
    match named(settings, request) {
        Named::Nothing => Choice::Keep,
        Named::Unknown(reason) => Choice::Unknown(reason),
        Named::Class(class, _) if class == filled => Choice::Keep,
        Named::Class(class, source) => match cluster_default(host) {
            Ok(Some(default)) if default == filled => Choice::Class(class.to_owned(), source),
            Ok(_) => Choice::Keep,
            Err(reason) => Choice::Unknown(reason),
        },
    }
}

fn named<'s>(settings: &'s Settings, request: &Request<IngressClassPolicy>) -> Named<'s> {
    if !settings.by_namespace.is_empty() {
        let Some(labels) = &request.attributes.namespace_labels else {
            return Named::Unknown("the labels of its namespace aren't known".to_owned());
        };
        if let Some(rule) = settings.by_namespace.iter().find(|rule| rule.selector.matches(labels)) {
            return Named::Class(&rule.ingress_class, Source::Namespace);
        }
    }
    settings.ingress_class.as_deref().map_or(Named::Nothing, |class| Named::Class(class, Source::Settings))
}

/// The class that the API server would fill in. Of several default classes the
/// newest counts, and of those of one second the first by name, as in its
/// DefaultIngressClass since Kubernetes 1.25 (kubernetes#110974; before, it refused the Ingress).
/// A default class is an answer even where not all classes are known.
fn cluster_default(host: &Host) -> Result<Option<String>, String> {
    let classes = host.list::<IngressClass>(Query::all());
    let defaults = classes.items.into_iter().filter(IngressClass::is_default).map(|class| class.metadata);
    let newest = defaults
        .min_by(|one, two| two.creation_timestamp.cmp(&one.creation_timestamp).then_with(|| one.name.cmp(&two.name)));
    match newest {
        Some(class) => Ok(Some(class.name)),
        None if classes.complete => Ok(None),
        None => Err(classes.reason.unwrap_or_else(|| "the cluster's ingress classes aren't all known".to_owned())),
    }
}
