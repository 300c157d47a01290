//! What is read of a container to tell what it is and where it keeps its data.

use portcullis_sdk::View;
use serde::Deserialize;

/// A container, as far as recognition needs it; the view for `portcullis_sdk::pod`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerView {
    /// The image reference.
    pub image: String,
    /// Replaces the image's entry point.
    pub command: Vec<String>,
    /// Replaces the image's arguments.
    pub args: Vec<String>,
    /// Variables.
    pub env: Vec<EnvVar>,
    /// Ports that it says it listens on.
    pub ports: Vec<ContainerPort>,
    /// Volumes as directories.
    pub volume_mounts: Vec<VolumeMount>,
    /// Volumes as block devices.
    pub volume_devices: Vec<VolumeDevice>,
}

/// A variable; the value is only there where the manifest has it in plain text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(default)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
}

/// A port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// Its name.
    pub name: Option<String>,
    /// Its number, read widely so that a wrong one isn't this policy's business.
    pub container_port: i64,
}

/// A volume mounted as a directory or file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    /// The volume's name.
    pub name: String,
    /// Where it is mounted.
    pub mount_path: String,
    /// Whether the container can't write there.
    pub read_only: bool,
    /// The directory of the volume that is mounted, where it isn't the whole.
    pub sub_path: String,
    /// The same with variables in it: `$(POD_NAME)` gives each pod its own.
    pub sub_path_expr: String,
}

/// A volume given as a block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeDevice {
    /// The volume's name.
    pub name: String,
}

impl ContainerView {
    /// The value of a variable that is given in plain text.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|variable| variable.name == name).and_then(|variable| variable.value.as_deref())
    }
}
