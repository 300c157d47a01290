//! What `portcullis check` takes.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use super::OutputArguments;
use crate::check::request::SUBRESOURCES;

/// Judge manifests, as the server would.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Files and folders of manifests, and quoted patterns such as '**/*.yaml'; `-` is standard input
    #[arg(value_name = "FILE|FOLDER", required = true)]
    pub inputs: Vec<PathBuf>,

    /// Policy documents, or a built-in set such as builtin/strict; may be repeated [default: builtin/baseline]
    #[arg(
        long,
        value_name = "FILE|FOLDER|SET",
        env = "PORTCULLIS_POLICY",
        value_delimiter = ',',
        help_heading = "Policies"
    )]
    pub policy: Vec<PathBuf>,

    /// Folder for compiled policies, private to this user [default: portcullis in the user's cache folder]
    #[arg(long, value_name = "FOLDER", env = "PORTCULLIS_CACHE", hide_env_values = true, help_heading = "Policies")]
    pub cache: Option<PathBuf>,

    /// What the cluster holds, besides the other objects of the input; may be repeated
    #[arg(long, value_name = "FILE|FOLDER", help_heading = "Cluster")]
    pub cluster: Vec<PathBuf>,

    /// Context of the kubeconfig whose cluster answers what the given objects don't; it is only read
    #[arg(long, value_name = "CONTEXT", conflicts_with = "complete", help_heading = "Cluster")]
    pub context: Option<String>,

    /// The kubeconfig of --context [default: the files of KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE", requires = "context", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,

    /// The objects given are all that the cluster holds: what isn't there is absent
    #[arg(long, help_heading = "Cluster")]
    pub complete: bool,

    /// What was there before: objects that are found here are updated; may be repeated
    #[arg(long, value_name = "FILE|FOLDER", help_heading = "Request")]
    pub old: Vec<PathBuf>,

    /// What happens to the objects [default: update where --old has one, else create; what --subresource implies]
    #[arg(long, value_enum, value_name = "OPERATION", help_heading = "Request")]
    pub operation: Option<WriteOperation>,

    /// Namespace of namespaced objects that name none
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE", help_heading = "Request")]
    pub namespace: String,

    /// The subresource that is written, such as scale, status or ephemeralcontainers
    #[arg(long, value_parser = PossibleValuesParser::new(SUBRESOURCES), hide_possible_values = true, value_name = "NAME", help_heading = "Request")]
    pub subresource: Option<String>,

    /// User who writes, such as jane or system:serviceaccount:ci:deployer [default: kubernetes-admin]
    #[arg(long = "as", value_name = "USER", help_heading = "Request")]
    pub as_user: Option<String>,

    /// Group that the user of --as is in; may be repeated
    #[arg(long, value_name = "GROUP", requires = "as_user", help_heading = "Request")]
    pub as_group: Vec<String>,

    /// Labels of every namespace of the input, or of one: team=a,env=test or shop:team=a; may be repeated
    #[arg(long, value_name = "[NAMESPACE:]KEY=VALUE,…", help_heading = "Request")]
    pub namespace_labels: Vec<String>,

    /// The instant that policies see, RFC 3339 [default: the present]
    #[arg(long, value_name = "TIME", help_heading = "Request")]
    pub now: Option<String>,

    /// How results are written.
    #[command(flatten)]
    pub output: OutputArguments,
}

/// What happens to the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WriteOperation {
    /// They are new.
    Create,
    /// They were there.
    Update,
    /// They go.
    Delete,
    /// Somebody connects to them, below --subresource exec, attach, portforward or proxy.
    Connect,
}
