//! `portcullis serve`: resolves the configuration, starts the parts, waits for
//! a signal, drains.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis_engine::{CacheState, Engine, EngineConfig, keep_little_memory};
use portcullis_kube::cache::{Cache, CacheConfig};
use portcullis_kube::{Client, Identity, Policies, Registered, ReplicaState, ServingSecret};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Signals;
use crate::args::ServeArguments;
use crate::certs::Certificates;
use crate::config::{CertificateSource, Config};
use crate::server;
use crate::store::{self, Connected, Proposals, Snapshots, Sources, Store, Surroundings};
use crate::telemetry::{self, Metrics};

/// For the last write to this replica's Lease.
const LEASE_END: Duration = Duration::from_secs(1);
/// Exit code after a second signal: 128 and SIGTERM's number, as a shell has it.
const INTERRUPTED: u8 = 143;

/// Runs until a signal ends it.
///
/// # Errors
/// A configuration that can't be right, an address that can't be had.
pub fn run(arguments: &ServeArguments) -> Result<ExitCode> {
    keep_little_memory();
    let (config, log) = Config::resolve(arguments)?;
    let _logs = telemetry::start(&log)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start the runtime")?;
    let outcome = runtime.block_on(serve(config));
    // Policies that are still being compiled are not waited for.
    runtime.shutdown_background();
    outcome
}

async fn serve(config: Config) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    let sources = match (&config.policies, &config.kubernetes) {
        (None, Some(kubernetes)) => Sources::of_cluster(kubernetes.objects.clone()),
        (policies, _) => Sources::of_flags(policies.as_deref().unwrap_or_default()),
    };
    sources.exist().map_err(|problem| anyhow!("{problem}"))?;
    let client = match &config.kubernetes {
        Some(cluster) => {
            Some(portcullis_kube::client(cluster.kubeconfig.as_deref(), cluster.context.as_deref()).await?)
        }
        None => None,
    };
    let certificates = Arc::new(certificates(&config, client.as_ref())?);
    let (cache_dir, precompiled_dir) = (config.cache.clone(), config.precompiled.clone());
    let engine = Engine::new(EngineConfig { cache_dir, precompiled_dir, ..EngineConfig::default() })?;
    if let CacheState::Refused { folder, reason } = engine.cache() {
        tracing::warn!(folder = %folder.display(), reason, "compiled policies are not kept");
    }
    let (surroundings, lease) = surroundings(&config, client, &certificates)?;
    let (metrics, snapshots) = (Arc::new(Metrics::new()), Arc::new(Snapshots::default()));
    let objects = config.kubernetes.as_ref().map(|kubernetes| kubernetes.objects.clone()).unwrap_or_default();
    let proposals = Arc::new(Proposals::new(objects, engine.clone()));
    let server = server::start(&config.server, certificates.clone(), snapshots.clone(), proposals, metrics.clone());
    let mut running = server.await?;
    if let Some(pem) = &running.ca_pem {
        print_ca(pem);
    }
    // Ending is fatal for neither, but said: see `follow`.
    let policies = tokio::spawn(store::follow(Store::new(sources, engine), surroundings, snapshots, metrics.clone()));
    let renewal = tokio::spawn(certificates.follow(metrics));

    tokio::select! {
        () = signals.next() => {}
        () = running.failed() => bail!("the server's socket was lost"),
    }
    // With it ends what this replica says of itself: the controller doesn't wait
    // for one that is going.
    policies.abort();
    let code = tokio::select! {
        _ = running.shutdown() => ExitCode::SUCCESS,
        () = signals.next() => {
            tracing::warn!("second signal, ending at once");
            ExitCode::from(INTERRUPTED)
        }
    };
    renewal.abort();
    if let Some(lease) = lease {
        // It is deleted, which may need a moment; it would run out by itself.
        let _ = tokio::time::timeout(LEASE_END, lease).await;
    }
    Ok(code)
}

fn certificates(config: &Config, client: Option<&Client>) -> Result<Certificates> {
    let certificates = match (&config.certificates, &config.kubernetes, client) {
        (CertificateSource::Secret { name }, Some(cluster), Some(client)) => {
            let secret = ServingSecret::follow(client, &cluster.namespace, name);
            Certificates::of_secret(name.clone(), secret, config.client_ca.clone())?
        }
        (source, _, _) => Certificates::load(source, config.client_ca.clone())?,
    };
    Ok(certificates)
}

/// What look-ups are answered from; in a pod, also the task that keeps its Lease.
fn surroundings(
    config: &Config,
    client: Option<Client>,
    certificates: &Certificates,
) -> Result<(Surroundings, Option<JoinHandle<()>>)> {
    let (Some(kubernetes), Some(client)) = (&config.kubernetes, client) else {
        return Ok((Surroundings::Given(store::cluster(&config.cluster).context("--cluster")?), None));
    };
    let (state, says) = watch::channel(ReplicaState::default());
    let lease = kubernetes.pod_name.clone().map(|pod| {
        let (namespace, uid) = (kubernetes.namespace.clone(), kubernetes.pod_uid.clone());
        tokio::spawn(portcullis_kube::keep_lease(client.clone(), Identity { namespace, pod, uid }, says))
    });
    let from_objects = config.policies.is_none();
    let connected = Connected::new(
        from_objects.then(|| Policies::follow(&client)),
        (from_objects && lease.is_some()).then(|| Registered::follow(&client, &kubernetes.namespace)),
        Cache::new(client, CacheConfig { max_staleness: config.max_staleness, ..CacheConfig::default() }),
        state,
        certificates.served(),
        kubernetes.tenants.clone(),
    );
    Ok((Surroundings::Connected(Box::new(connected)), lease))
}

/// On standard output, apart from the log, so that it can go into a file: readers
/// of PEM skip the last line.
fn print_ca(pem: &str) {
    // A closed standard output is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "{}\ncaBundle: {}", pem.trim_end(), BASE64_STANDARD.encode(pem));
    tracing::info!("self-signed certificate made; its CA bundle is on standard output");
}
