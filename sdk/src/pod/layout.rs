//! Where each kind keeps its pod, and the way from its JSON to the uniform value.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{PodMetadata, PodSpec, Workload, WorkloadKind};
use crate::kind::Metadata;
use crate::read::{Malformed, from_json};

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned, P: DeserializeOwned"))]
struct Pod<C, P> {
    #[serde(default)]
    metadata: Metadata,
    spec: PodSpec<C, P>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned, P: DeserializeOwned"))]
struct Template<C, P> {
    #[serde(default)]
    metadata: PodMetadata,
    spec: PodSpec<C, P>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned, P: DeserializeOwned, T: DeserializeOwned"))]
struct Templated<C, P, T> {
    #[serde(default)]
    metadata: Metadata,
    spec: TemplatedSpec<C, P, T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "C: DeserializeOwned, P: DeserializeOwned, T: DeserializeOwned"))]
struct TemplatedSpec<C, P, T> {
    replicas: Option<i64>,
    parallelism: Option<i64>,
    template: Template<C, P>,
    #[serde(default = "Vec::new")]
    volume_claim_templates: Vec<T>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned, P: DeserializeOwned"))]
struct CronJob<C, P> {
    #[serde(default)]
    metadata: Metadata,
    spec: CronJobSpec<C, P>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "C: DeserializeOwned, P: DeserializeOwned"))]
struct CronJobSpec<C, P> {
    job_template: JobTemplate<C, P>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned, P: DeserializeOwned"))]
struct JobTemplate<C, P> {
    spec: JobSpec<C, P>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned, P: DeserializeOwned"))]
struct JobSpec<C, P> {
    template: Template<C, P>,
}

/// Reads an object of this kind.
pub(super) fn read<C: DeserializeOwned, P: DeserializeOwned, T: DeserializeOwned>(
    kind: WorkloadKind,
    json: &str,
) -> Result<Workload<C, P, T>, Malformed> {
    match kind {
        WorkloadKind::Pod => {
            let Pod { metadata, spec } = from_json::<Pod<C, P>>(json)?;
            let pod_metadata =
                PodMetadata { labels: metadata.labels.clone(), annotations: metadata.annotations.clone() };
            Ok(Workload { kind, metadata, replicas: None, pod_metadata, pod: spec, claim_templates: Vec::new() })
        }
        WorkloadKind::CronJob => {
            let CronJob { metadata, spec } = from_json::<CronJob<C, P>>(json)?;
            let template = spec.job_template.spec.template;
            Ok(Workload {
                kind,
                metadata,
                replicas: None,
                pod_metadata: template.metadata,
                pod: template.spec,
                claim_templates: Vec::new(),
            })
        }
        WorkloadKind::Deployment
        | WorkloadKind::StatefulSet
        | WorkloadKind::DaemonSet
        | WorkloadKind::ReplicaSet
        | WorkloadKind::ReplicationController
        | WorkloadKind::Job => {
            let Templated { metadata, spec } = from_json::<Templated<C, P, T>>(json)?;
            Ok(Workload {
                kind,
                metadata,
                replicas: spec.replicas.or(spec.parallelism),
                pod_metadata: spec.template.metadata,
                pod: spec.template.spec,
                claim_templates: spec.volume_claim_templates,
            })
        }
    }
}
