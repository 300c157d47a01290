//! What `serve` and `controller` take to reach a cluster.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

// No doc comment: clap would make it the text of the command.
#[allow(missing_docs, reason = "see above; each may be absent")]
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterSettings {
    /// The kubeconfig [default: in a pod its service account, else as kubectl finds it]
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_KUBECONFIG", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,

    /// A context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", env = "PORTCULLIS_CONTEXT", help_heading = "Cluster")]
    pub context: Option<String>,

    /// The namespace of Portcullis, where its Leases are [default: portcullis-system]
    #[arg(long, alias = "pod-namespace", value_name = "NAME", env = "POD_NAMESPACE", help_heading = "Cluster")]
    pub namespace: Option<String>,

    /// The name of this pod, from the downward API; it names its Lease
    #[arg(long, value_name = "NAME", env = "POD_NAME", help_heading = "Cluster")]
    pub pod_name: Option<String>,

    /// The uid of this pod, from the downward API; with it the pod owns its Lease
    #[arg(long, value_name = "UID", env = "POD_UID", help_heading = "Cluster")]
    pub pod_uid: Option<String>,

    /// Folder of modules that policy objects may name as ./FILE.wasm [default: none]
    #[arg(long, value_name = "FOLDER", env = "PORTCULLIS_MODULES", help_heading = "Cluster")]
    pub modules: Option<PathBuf>,

    /// What the name of a namespaced Policy's module may begin with; may be repeated [default: builtin/]
    #[arg(
        long,
        value_name = "PREFIX",
        env = "PORTCULLIS_TENANT_MODULES",
        value_delimiter = ',',
        help_heading = "Namespaced policies"
    )]
    pub tenant_modules: Vec<String>,

    /// A cluster-scoped kind that a namespaced Policy may look up, KIND or KIND.GROUP; may be repeated [default: StorageClass.storage.k8s.io, IngressClass.networking.k8s.io]
    #[arg(
        long,
        value_name = "KIND.GROUP",
        env = "PORTCULLIS_TENANT_READS",
        value_delimiter = ',',
        help_heading = "Namespaced policies"
    )]
    pub tenant_reads: Vec<String>,

    /// Let namespaced Policies mutate
    #[arg(long, env = "PORTCULLIS_TENANT_MUTATION", help_heading = "Namespaced policies")]
    pub tenant_mutation: bool,
}
