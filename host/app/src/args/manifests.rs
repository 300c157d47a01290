//! What `portcullis manifests` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::LoadArguments;

/// The image as the project's own build names it.
const DEFAULT_IMAGE: &str = concat!("portcullis:", env!("CARGO_PKG_VERSION"));

/// Print what has to be in a cluster, as YAML.
#[derive(Debug, Args)]
pub struct ManifestsArguments {
    /// What is printed
    #[arg(value_enum, value_name = "WHAT")]
    pub what: Manifests,

    /// Namespace in which Portcullis runs
    #[arg(long, default_value = "portcullis-system", value_name = "NAMESPACE")]
    pub namespace: String,

    /// All: the image of both Deployments
    #[arg(long, default_value = DEFAULT_IMAGE, value_name = "IMAGE")]
    pub image: String,

    /// Webhooks: the Service that the API server calls
    #[arg(long, default_value = "portcullis", value_name = "NAME", conflicts_with = "url")]
    pub service: String,

    /// Webhooks: the server's address instead of a Service, such as https://127.0.0.1:8443
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// Webhooks: certificates (PEM) by which the API server knows the server
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,

    /// Webhooks: the certificate of cert-manager whose authority its injector writes
    #[arg(long, value_name = "NAMESPACE/NAME", conflicts_with = "ca_bundle")]
    pub inject_ca_from: Option<String>,

    /// Which policies are loaded.
    #[command(flatten)]
    pub load: LoadArguments,
}

/// What can be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Manifests {
    /// All that an installation consists of: namespace, definitions, roles, Deployments, Service and what guards them
    All,
    /// The definitions of ClusterPolicy and Policy
    Crds,
    /// Service accounts, and the roles that these policies need
    Rbac,
    /// The webhook configurations that ask for these policies
    Webhooks,
}
