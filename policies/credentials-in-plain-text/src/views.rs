//! What the policy reads of each kind.
//!
//! Secrets aren't among them: what belongs in a Secret is looked for elsewhere.

use std::collections::BTreeMap;

use portcullis_sdk::pod::Workload;
use portcullis_sdk::{Metadata, Objects, Present, View};
use portcullis_workloads::{ContainerPort, ContainerView, EnvVar, VolumeMount};
use serde::Deserialize;

use crate::custom::Custom;

/// Every kind that carries a pod template.
pub(crate) type AnyWorkload = Workload<Container>;

/// What the policy judges.
#[derive(Debug, Objects)]
pub enum Subject {
    /// What runs containers.
    Workload(AnyWorkload),
    /// What anybody may read.
    ConfigMap(ConfigMap),
    /// What an operator makes data stores of.
    Custom(Custom),
}

/// A container: what it runs, and everything by which it could be given a secret.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// The image reference.
    pub image: String,
    /// Replaces the image's entry point.
    pub command: Vec<String>,
    /// Replaces the image's arguments.
    pub args: Vec<String>,
    /// Variables; without a value where they come by reference.
    pub env: Vec<EnvVar>,
    /// Whether variables come from a Secret or a ConfigMap as a whole.
    pub env_from: Present,
    /// Ports, by which a data store is recognised.
    pub ports: Vec<ContainerPort>,
    /// Mounts, likewise.
    pub volume_mounts: Vec<VolumeMount>,
    /// Checks that it works.
    pub liveness_probe: Probe,
    /// Checks that it answers.
    pub readiness_probe: Probe,
    /// Checks that it has started.
    pub startup_probe: Probe,
    /// What runs when it begins and before it ends.
    pub lifecycle: Lifecycle,
}

/// A probe or a hook.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// A command in the container.
    pub exec: Exec,
    /// A request to it.
    pub http_get: HttpGet,
}

/// A command.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct Exec {
    /// Its words.
    pub command: Vec<String>,
}

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpGet {
    /// Its headers: `Authorization` among them.
    pub http_headers: Vec<EnvVar>,
}

/// Hooks.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct Lifecycle {
    /// When the container begins.
    pub post_start: Probe,
    /// Before it ends.
    pub pre_stop: Probe,
}

/// A ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "v1", kind = "ConfigMap", resource = "configmaps")]
pub struct ConfigMap {
    /// Its name and annotations.
    pub metadata: Metadata,
    /// Settings and files.
    pub data: BTreeMap<String, String>,
}

impl Container {
    /// As recognition reads it.
    pub(crate) fn recognisable(&self) -> ContainerView {
        ContainerView {
            image: self.image.clone(),
            command: self.command.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            ports: self.ports.clone(),
            volume_mounts: self.volume_mounts.clone(),
            volume_devices: Vec::new(),
        }
    }
}
