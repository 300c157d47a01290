//! Which class a claim gets.

use portcullis_sdk::pod::AccessMode;
use portcullis_sdk::{Host, Query, Request};

use crate::DefaultStorageClass;
use crate::settings::{ACCESS_MODES, Settings};
use crate::views::{ClaimSpec, StorageClass};

/// What becomes of a claim.
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
    AccessMode,
    ClusterDefault,
    OldObject,
}

/// What the settings say.
enum Named {
    Class(String, Source),
    Nothing,
    Unknown(String),
}

/// The cluster's default class, asked for at most once a review.
pub(crate) struct Cluster<'a> {
    host: &'a Host,
    default: Option<Result<Option<String>, String>>,
}

impl Source {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::AccessMode => "access mode",
            Self::ClusterDefault => "cluster default",
            Self::OldObject => "old object",
        }
    }
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(host: &'a Host) -> Self {
        Self { host, default: None }
    }

    /// The class that the API server itself would fill in, if there is one.
    fn default_class(&mut self) -> Result<Option<String>, String> {
        let host = self.host;
        self.default.get_or_insert_with(|| find_default(host)).clone()
    }
}

/// Of several default classes the newest counts, and of those of one second the
/// first by name, as in the API server's DefaultStorageClass. A default class is
/// an answer even where not all classes are known: clusters have one, and `check`
/// is given the class that the manifests are meant for.
fn find_default(host: &Host) -> Result<Option<String>, String> {
    let classes = host.list::<StorageClass>(Query::all());
    let defaults = classes.items.into_iter().filter(StorageClass::is_default).map(|class| class.metadata);
    let newest = defaults
        .min_by(|one, two| two.creation_timestamp.cmp(&one.creation_timestamp).then_with(|| one.name.cmp(&two.name)));
    match newest {
        Some(class) => Ok(Some(class.name)),
        None if classes.complete => Ok(None),
        None => Err(classes.reason.unwrap_or_else(|| "the cluster's storage classes aren't all known".to_owned())),
    }
}

/// For a claim without a class.
pub(crate) fn for_absent(
    settings: &Settings,
    request: &Request<DefaultStorageClass>,
    spec: &ClaimSpec,
    cluster: &mut Cluster<'_>,
) -> Choice {
    match named(settings, request, spec) {
        Named::Class(class, source) => Choice::Class(class, source),
        Named::Unknown(reason) => Choice::Unknown(reason),
        Named::Nothing if !settings.cluster_default => Choice::Keep,
        Named::Nothing => match cluster.default_class() {
            Ok(Some(class)) => Choice::Class(class, Source::ClusterDefault),
            Ok(None) => Choice::None,
            Err(reason) => Choice::Unknown(reason),
        },
    }
}

/// For a claim with a class that nobody set. It is replaced only where it is the
/// cluster's default: any other came from an earlier webhook, which had its reasons.
pub(crate) fn for_filled(
    settings: &Settings,
    request: &Request<DefaultStorageClass>,
    spec: &ClaimSpec,
    filled: &str,
    cluster: &mut Cluster<'_>,
) -> Choice {
    match named(settings, request, spec) {
        Named::Nothing => Choice::Keep,
        Named::Unknown(reason) => Choice::Unknown(reason),
        Named::Class(class, _) if class == filled => Choice::Keep,
        Named::Class(class, source) => match cluster.default_class() {
            Ok(Some(default)) if default == filled => Choice::Class(class, source),
            Ok(_) => Choice::Keep,
            Err(reason) => Choice::Unknown(reason),
        },
    }
}

fn named(settings: &Settings, request: &Request<DefaultStorageClass>, spec: &ClaimSpec) -> Named {
    if !settings.by_namespace.is_empty() {
        let Some(labels) = &request.attributes.namespace_labels else {
            return Named::Unknown("the labels of its namespace aren't known".to_owned());
        };
        if let Some(rule) = settings.by_namespace.iter().find(|rule| rule.selector.matches(labels)) {
            return Named::Class(rule.storage_class.clone(), Source::Namespace);
        }
    }
    let asks = |mode: &&str| spec.access_modes.iter().any(|asked| mode_name(asked) == *mode);
    let class = ACCESS_MODES.iter().filter(|mode| asks(mode)).find_map(|&mode| settings.by_access_mode.get(mode));
    class.map_or(Named::Nothing, |class| Named::Class(class.clone(), Source::AccessMode))
}

fn mode_name(mode: &AccessMode) -> &str {
    match mode {
        AccessMode::ReadWriteOnce => "ReadWriteOnce",
        AccessMode::ReadWriteOncePod => "ReadWriteOncePod",
        AccessMode::ReadOnlyMany => "ReadOnlyMany",
        AccessMode::ReadWriteMany => "ReadWriteMany",
        AccessMode::Other(name) => name,
    }
}
