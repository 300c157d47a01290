//! A claim in its place: made by somebody, by a StatefulSet's template for each
//! replica, or with a pod for an ephemeral volume.

use portcullis_sdk::pod::WorkloadKind;
use portcullis_sdk::{FieldPath, Metadata};

use crate::views::{AnyWorkload, CLASS_ANNOTATION, Claim, ClaimReference, ClaimSpec};

/// How many claims a template is taken to make at most: more replicas than this have volumes provisioned.
const MAX_REPLICAS: i64 = 1000;

/// A claim, wherever it is written.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// How findings name it, whatever its index: `claim`, `volume=data`.
    pub(crate) subject: String,
    /// How messages name it.
    pub(crate) what: String,
    /// Where the claim begins in the object.
    pub(crate) path: FieldPath,
    pub(crate) metadata: &'a Metadata,
    pub(crate) spec: &'a ClaimSpec,
    /// What the claims that come of it are called.
    pub(crate) names: Names<'a>,
    /// Where an operator's resource says all this in fields of its own.
    pub(crate) places: Option<Places>,
}

/// Fields of an operator's resource that stand for those of a claim.
#[derive(Debug)]
pub(crate) struct Places {
    /// For `resources.requests.storage`.
    pub(crate) size: FieldPath,
    /// For `accessModes`.
    pub(crate) access_modes: FieldPath,
}

/// The names of the claims that come of it.
#[derive(Debug)]
pub(crate) enum Names<'a> {
    /// One claim.
    One(&'a str),
    /// `data-mongo-0` and so on.
    Replicas {
        /// `data-mongo-`.
        prefix: String,
        /// How many.
        count: usize,
    },
    /// A claim for each pod, under the pod's name.
    Pods,
}

impl<'a> Asked<'a> {
    pub(crate) fn claim(claim: &'a Claim) -> Self {
        Self {
            subject: "claim".to_owned(),
            what: format!("claim `{}`", claim.metadata.display_name()),
            path: FieldPath::root(),
            metadata: &claim.metadata,
            spec: &claim.spec,
            names: Names::One(&claim.metadata.name),
            places: None,
        }
    }

    /// A field of the claim's spec.
    pub(crate) fn field(&self, name: &str) -> FieldPath {
        self.path.field("spec").field(name)
    }

    /// Where it says how much it asks for.
    pub(crate) fn size_path(&self) -> FieldPath {
        let own = || self.field("resources").field("requests").field("storage");
        self.places.as_ref().map_or_else(own, |places| places.size.clone())
    }

    /// Where it says how its volume is mounted.
    pub(crate) fn access_modes_path(&self) -> FieldPath {
        self.places.as_ref().map_or_else(|| self.field("accessModes"), |places| places.access_modes.clone())
    }

    /// The class that it names; the legacy annotation wins where it is set.
    pub(crate) fn class_name(&self) -> Option<&'a str> {
        self.metadata.annotations.get(CLASS_ANNOTATION).or(self.spec.storage_class_name.as_ref()).map(String::as_str)
    }

    /// Where it names its class.
    pub(crate) fn class_path(&self) -> FieldPath {
        if self.metadata.annotations.contains_key(CLASS_ANNOTATION) {
            return self.path.field("metadata").field("annotations").key(CLASS_ANNOTATION);
        }
        self.field("storageClassName")
    }

    /// The volume that it names.
    pub(crate) fn volume_name(&self) -> Option<&'a str> {
        self.spec.volume_name.as_deref().filter(|name| !name.is_empty())
    }

    /// How many claims come of it, as far as it says.
    pub(crate) fn count(&self) -> usize {
        match self.names {
            Names::Replicas { count, .. } => count,
            Names::One(_) | Names::Pods => 1,
        }
    }

    /// Whether a volume is reserved for a claim that comes of it.
    pub(crate) fn is_meant(&self, namespace: &str, reference: &ClaimReference) -> bool {
        let is_named = match &self.names {
            Names::One(name) => reference.name == *name,
            Names::Replicas { prefix, .. } => reference.name.strip_prefix(prefix.as_str()).is_some_and(is_ordinal),
            Names::Pods => false,
        };
        is_named && reference.namespace == namespace
    }
}

/// The claims of a workload: its templates, and those of its ephemeral volumes.
pub(crate) fn of_workload(workload: &AnyWorkload) -> Vec<Asked<'_>> {
    let count = workload.replicas.unwrap_or(1).clamp(0, MAX_REPLICAS);
    let templates = workload.claim_templates().map(|(path, template)| Asked {
        subject: format!("volume={}", template.metadata.name),
        what: format!("the claim template `{}`", template.metadata.name),
        path,
        metadata: &template.metadata,
        spec: &template.spec,
        names: Names::Replicas {
            prefix: format!("{}-{}-", template.metadata.name, workload.metadata.name),
            count: usize::try_from(count).unwrap_or_default(),
        },
        places: None,
    });
    let volumes = workload.spec_path().field("volumes");
    let ephemeral = workload.pod.rest.volumes.iter().enumerate().filter_map(|(index, volume)| {
        let template = volume.template.as_ref()?;
        let name = &volume.volume.name;
        Some(Asked {
            subject: format!("volume={name}"),
            what: format!("the claim of the ephemeral volume `{name}`"),
            path: volumes.index(index).field("ephemeral").field("volumeClaimTemplate"),
            metadata: &template.metadata,
            spec: &template.spec,
            names: Names::Pods,
            places: None,
        })
    });
    let mut asked: Vec<Asked<'_>> = templates.collect();
    // A volume of a template's name is never used.
    let is_hidden =
        |claim: &Asked<'_>, asked: &[Asked<'_>]| asked.iter().any(|template| template.subject == claim.subject);
    let ephemeral: Vec<Asked<'_>> =
        ephemeral.filter(|claim| workload.kind != WorkloadKind::StatefulSet || !is_hidden(claim, &asked)).collect();
    asked.extend(ephemeral);
    asked
}

fn is_ordinal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())
}
