//! What `portcullis break-glass` takes.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

/// Open the cluster: delete the webhook configurations, and say why and until when.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").args(["reason", "end", "status"]).required(true),
    after_help = "Without this program, or without rights to the record, kubectl does the same:\n  \
                  kubectl delete validatingwebhookconfigurations,mutatingwebhookconfigurations \
                  -l app.kubernetes.io/managed-by=portcullis\n\
                  and ends it:\n  \
                  kubectl annotate configmap portcullis-registrations -n portcullis-system \
                  portcullis.dev/break-glass=end"
)]
pub struct BreakGlassArguments {
    /// Why; it stands in the conditions of all policies until it ends
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// When it ends by itself [default: 4h]
    #[arg(long, value_name = "TIME", requires = "reason")]
    pub expires: Option<String>,

    /// Who does it
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    pub by: Option<String>,

    /// End it: the controller writes the configurations again
    #[arg(long)]
    pub end: bool,

    /// Say whether the cluster is open
    #[arg(long)]
    pub status: bool,

    /// The kubeconfig [default: as kubectl finds it]
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,

    /// A context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// The namespace of Portcullis
    #[arg(long, value_name = "NAME", default_value = "portcullis-system")]
    pub namespace: String,
}
