//! What `portcullis lint` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Find set-ups that could lock a cluster out.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 fine, 1 a set-up that is refused (--fail-on warn: or warned of), 2 bad usage or input that can't be read."
)]
pub struct LintArguments {
    /// Manifests: policies, workloads, namespaces, Portcullis's own Deployments; files, folders, patterns, - for standard input
    #[arg(value_name = "PATH", required_unless_present = "context")]
    pub inputs: Vec<PathBuf>,

    /// Policies beside those of the input [default: the built-in ones, where the input has none]
    #[arg(long, value_name = "SET", value_delimiter = ',')]
    pub policy: Vec<PathBuf>,

    /// A namespace that no webhook calls for, as the controller's flag; may be repeated [default: those of the input's controller]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub exempt_namespace: Vec<String>,

    /// Replicas that answer [default: those of the input's or the cluster's Deployment]
    #[arg(long, value_name = "N")]
    pub replicas: Option<u32>,

    /// Look at a cluster instead: its policies, workloads and namespaces, which are only read
    #[arg(long, value_name = "CONTEXT", conflicts_with = "inputs")]
    pub context: Option<String>,

    /// The kubeconfig that has the context [default: as kubectl finds it]
    #[arg(long, value_name = "FILE", requires = "context")]
    pub kubeconfig: Option<PathBuf>,

    /// The namespace of Portcullis
    #[arg(long, value_name = "NAME", default_value = "portcullis-system")]
    pub namespace: String,

    /// How risks are written
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: LintFormat,

    /// From which level on the exit code is 1
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub fail_on: LintLevel,

    /// Folder for compiled policies, private to this user [default: portcullis in the user's cache folder]
    #[arg(long, value_name = "FOLDER", env = "PORTCULLIS_CACHE", hide_env_values = true)]
    pub cache: Option<PathBuf>,
}

/// The formats of the list of risks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LintFormat {
    /// For people.
    #[default]
    Text,
    /// For programs, version 1.
    Json,
}

/// How bad a risk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LintLevel {
    /// A warning is enough.
    Warn,
    /// Only what is refused.
    #[default]
    Refuse,
}
