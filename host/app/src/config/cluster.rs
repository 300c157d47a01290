//! How `serve` and `controller` reach a cluster, resolved.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use portcullis_core::cluster::Tenants;

use crate::args::ClusterSettings;
use crate::store::{ObjectSource, TenantRules};

/// Where Portcullis is installed.
pub const DEFAULT_NAMESPACE: &str = "portcullis-system";

/// How a cluster is reached, and who this is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// None: the service account of the pod, else as kubectl finds it.
    pub kubeconfig: Option<PathBuf>,
    /// None: the kubeconfig's current one.
    pub context: Option<String>,
    /// Portcullis's own.
    pub namespace: String,
    /// Of this pod; None outside one.
    pub pod_name: Option<String>,
    /// Of this pod.
    pub pod_uid: Option<String>,
    /// How policy objects are read.
    pub objects: ObjectSource,
    /// What namespaced policies may look up beside their namespace.
    pub tenants: Tenants,
}

impl ClusterConfig {
    /// Resolves what `serve` and `controller` have in common.
    ///
    /// # Errors
    /// Names the setting, what is wrong with it and what would be right.
    pub fn resolve(settings: &ClusterSettings) -> Result<ClusterConfig> {
        let mut tenants = TenantRules { mutation: settings.tenant_mutation, ..TenantRules::default() };
        if !settings.tenant_modules.is_empty() {
            tenants.modules.clone_from(&settings.tenant_modules);
        }
        let mut reads = Tenants::default();
        if !settings.tenant_reads.is_empty() {
            let kind = |text: &String| match text.split_once('.').unwrap_or((text, "")) {
                (kind, group) if kind.starts_with(|letter: char| letter.is_ascii_uppercase()) => {
                    Ok((group.to_owned(), kind.to_owned()))
                }
                _ => Err(anyhow!("--tenant-reads is {text:?}; write KIND.GROUP, such as StorageClass.storage.k8s.io")),
            };
            reads.reads = settings.tenant_reads.iter().map(kind).collect::<Result<_>>()?;
        }
        if let Some(folder) = settings.modules.as_ref().filter(|folder| !folder.is_dir()) {
            bail!("--modules: {} is no folder", folder.display());
        }
        Ok(ClusterConfig {
            kubeconfig: settings.kubeconfig.clone(),
            context: settings.context.clone(),
            namespace: settings.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
            pod_name: settings.pod_name.clone(),
            pod_uid: settings.pod_uid.clone(),
            objects: ObjectSource { modules: settings.modules.clone(), tenants },
            tenants: reads,
        })
    }
}
