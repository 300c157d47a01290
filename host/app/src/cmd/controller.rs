//! `portcullis controller`: leads while it holds the Lease, until a signal.

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use portcullis_core::policy::{PolicyId, duration};
use portcullis_engine::{Engine, EngineConfig};
use portcullis_kube::webhooks::{Endpoint, exempt_namespaces};
use portcullis_kube::{ControllerConfig, LoadedPolicy, Loader, PolicyObject, RunningPolicy};

use super::Signals;
use crate::args::ControllerArguments;
use crate::config::{ClusterConfig, LogConfig, default_cache};
use crate::store::{Sources, Store};
use crate::telemetry;

/// The Service that the deployment has.
const SERVICE: &str = "portcullis";
/// Its port.
const HTTPS: u16 = 443;

/// Runs until a signal ends it.
///
/// # Errors
/// A configuration that can't be right, no way to reach the cluster.
pub fn run(arguments: &ControllerArguments) -> Result<ExitCode> {
    let log = LogConfig { format: arguments.log_format.unwrap_or_default(), filter: arguments.log.clone() };
    let _logs = telemetry::start(&log)?;
    let cluster = ClusterConfig::resolve(&arguments.cluster)?;
    let config = config(arguments, &cluster)?;
    let engine = Engine::new(EngineConfig {
        cache_dir: arguments.cache.clone().or_else(default_cache),
        precompiled_dir: arguments.precompiled.clone(),
        ..EngineConfig::default()
    })?;
    let loader = StoreLoader(Store::to_describe(Sources::of_cluster(cluster.objects.clone()), engine));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start the runtime")?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let client = portcullis_kube::client(cluster.kubeconfig.as_deref(), cluster.context.as_deref()).await?;
        portcullis_kube::run_controller(client, config, Box::new(loader), signals.next()).await;
        Ok(ExitCode::SUCCESS)
    });
    // Policies that are still being compiled are not waited for.
    runtime.shutdown_background();
    outcome
}

fn config(arguments: &ControllerArguments, cluster: &ClusterConfig) -> Result<ControllerConfig> {
    let endpoint = match &arguments.url {
        Some(url) if url.starts_with("https://") => Endpoint::Url(url.trim_end_matches('/').to_owned()),
        Some(url) => bail!("--url is {url:?}; the API server calls only https://HOST:PORT"),
        None => Endpoint::Service {
            namespace: cluster.namespace.clone(),
            name: arguments.service.clone().unwrap_or_else(|| SERVICE.to_owned()),
            port: i32::from(arguments.service_port.unwrap_or(HTTPS)),
        },
    };
    let ca_bundle = match &arguments.ca_bundle {
        Some(path) => {
            let pem = fs::read(path).with_context(|| format!("--ca-bundle: can't read {}", path.display()))?;
            if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
                bail!("--ca-bundle: {} holds no certificate in PEM", path.display());
            }
            Some(pem)
        }
        None => None,
    };
    let given = &arguments.exempt_namespace;
    let mut exempt_namespaces = if given.is_empty() { exempt_namespaces() } else { given.clone() };
    if !exempt_namespaces.contains(&cluster.namespace) {
        exempt_namespaces.push(cluster.namespace.clone());
    }
    Ok(ControllerConfig {
        namespace: cluster.namespace.clone(),
        identity: cluster.pod_name.clone().unwrap_or_else(identity),
        endpoint,
        ca_bundle,
        inject_ca_from: arguments.inject_ca_from.clone(),
        exempt_namespaces,
        initial_policies: Vec::new(),
        break_glass_expiry: None,
    })
}

/// Unique enough outside a pod, where one controller runs by hand.
fn identity() -> String {
    format!("portcullis-controller-{}", std::process::id())
}

/// The store as the controller sees it.
struct StoreLoader(Store);

impl Loader for StoreLoader {
    fn load(&mut self, objects: &[Arc<PolicyObject>]) -> Vec<LoadedPolicy> {
        self.0.take_objects(objects.to_vec());
        let loaded = self.0.load();
        let policy = |id: &PolicyId| loaded.policies.iter().find(|policy| policy.document.id == *id).cloned();
        let of_object = |object: &Arc<PolicyObject>| {
            let outcome = loaded.objects.get(&object.id);
            let generation = outcome.and_then(|outcome| outcome.runs);
            LoadedPolicy {
                object: object.clone(),
                running: generation
                    .and_then(|generation| Some(RunningPolicy { generation, policy: policy(&object.id)? })),
                problem: outcome.and_then(|outcome| outcome.problem.clone()),
            }
        };
        objects.iter().map(of_object).collect()
    }
}
