//! `portcullis controller`: leads while it holds the Lease, until a signal.

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use portcullis_core::policy::{PolicyId, duration};
use portcullis_engine::{Engine, EngineConfig, keep_little_memory};
use portcullis_kube::webhooks::{Endpoint, exempt_namespaces};
use portcullis_kube::{
    CertificateConfig, CertificateSource, ControllerConfig, ControllerReport, LoadedPolicy, Loader, PolicyObject,
    RunningPolicy,
};
use tokio::sync::watch;

use super::Signals;
use crate::args::ControllerArguments;
use crate::config::{ClusterConfig, DEFAULT_METRICS_PORT, Listen, LogConfig, default_cache};
use crate::server;
use crate::store::{self, Sources, Store};
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
    keep_little_memory();
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
        let report = watch::Sender::new(ControllerReport::default());
        let says = report.subscribe();
        let listen =
            Listen { address: arguments.metrics_address, port: arguments.metrics_port.unwrap_or(DEFAULT_METRICS_PORT) };
        let _side = server::side(&listen, move || telemetry::controller_exposition(&says.borrow())).await?;
        portcullis_kube::run_controller(client, config, Box::new(loader), report, signals.next()).await;
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
    let certificates = match (&arguments.ca_bundle, &arguments.inject_ca_from) {
        _ if arguments.manage_certificates => {
            CertificateSource::Own(own_certificates(arguments, &endpoint, &cluster.namespace)?)
        }
        (Some(path), _) => {
            let pem = fs::read(path).with_context(|| format!("--ca-bundle: can't read {}", path.display()))?;
            if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
                bail!("--ca-bundle: {} holds no certificate in PEM", path.display());
            }
            CertificateSource::Bundle(pem)
        }
        (None, Some(certificate)) => CertificateSource::InjectFrom(certificate.clone()),
        (None, None) => CertificateSource::Elsewhere,
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
        certificates,
        exempt_namespaces,
        initial_policies: match &arguments.initial_policies {
            Some(set) => store::builtin_documents(set).map_err(|problem| anyhow!("--initial-policies: {problem}"))?,
            None => Vec::new(),
        },
        break_glass_expiry: time("--break-glass-expiry", arguments.break_glass_expiry.as_deref())?,
    })
}

fn own_certificates(
    arguments: &ControllerArguments,
    endpoint: &Endpoint,
    namespace: &str,
) -> Result<CertificateConfig> {
    let mut config = CertificateConfig::new(portcullis_kube::certificates::names(endpoint, namespace));
    for (flag, given, field) in [
        ("--ca-lifetime", &arguments.ca_lifetime, &mut config.ca_lifetime),
        ("--certificate-lifetime", &arguments.certificate_lifetime, &mut config.certificate_lifetime),
        ("--bundle-settle", &arguments.bundle_settle, &mut config.bundle_settle),
    ] {
        if let Some(time) = time(flag, given.as_deref())? {
            *field = time;
        }
    }
    if config.certificate_lifetime > config.ca_lifetime {
        bail!("--certificate-lifetime is longer than --ca-lifetime; a certificate ends with its CA at the latest");
    }
    Ok(config)
}

fn time(flag: &str, text: Option<&str>) -> Result<Option<Duration>> {
    let Some(text) = text else { return Ok(None) };
    let time = duration::parse(text).filter(|time| !time.is_zero());
    time.map(Some).ok_or_else(|| anyhow!("{flag} is {text:?}; write 30m, 4h or 2160h"))
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
