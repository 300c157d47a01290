//! `portcullis serve`: resolves the configuration, starts the parts, waits for
//! a signal, drains.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis_engine::{CacheState, Engine, EngineConfig};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::ServeArguments;
use crate::certs::Certificates;
use crate::config::Config;
use crate::server;
use crate::store::{self, Snapshots, Sources, Store};
use crate::telemetry::{self, Metrics};

/// Exit code after a second signal: 128 and SIGTERM's number, as a shell has it.
const INTERRUPTED: u8 = 143;

/// Runs until a signal ends it.
///
/// # Errors
/// A configuration that can't be right, an address that can't be had.
pub fn run(arguments: &ServeArguments) -> Result<ExitCode> {
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
    let sources = Sources::of_flags(config.policies.as_deref().unwrap_or_default());
    sources.exist().map_err(|problem| anyhow!("{problem}"))?;
    let cluster = store::cluster(&config.cluster).context("--cluster")?;
    let certificates = Arc::new(Certificates::load(&config.certificates, config.client_ca.clone())?);
    let engine = Engine::new(EngineConfig { cache_dir: config.cache.clone(), ..EngineConfig::default() })?;
    if let CacheState::Refused { folder, reason } = engine.cache() {
        tracing::warn!(folder = %folder.display(), reason, "compiled policies are not kept");
    }
    let (metrics, snapshots) = (Arc::new(Metrics::new()), Arc::new(Snapshots::default()));
    let mut running = server::start(&config.server, certificates.clone(), snapshots.clone(), metrics.clone()).await?;
    if let Some(pem) = &running.ca_pem {
        print_ca(pem);
    }
    // Ending is fatal for neither, but said: see `follow`.
    let policies = tokio::spawn(store::follow(Store::new(sources, engine), cluster, snapshots, metrics.clone()));
    let renewal = tokio::spawn(certificates.follow(metrics));

    tokio::select! {
        () = signals.next() => {}
        () = running.failed() => bail!("the server's socket was lost"),
    }
    let code = tokio::select! {
        _ = running.shutdown() => ExitCode::SUCCESS,
        () = signals.next() => {
            tracing::warn!("second signal, ending at once");
            ExitCode::from(INTERRUPTED)
        }
    };
    policies.abort();
    renewal.abort();
    Ok(code)
}

/// On standard output, apart from the log, so that it can go into a file: readers
/// of PEM skip the last line.
fn print_ca(pem: &str) {
    // A closed standard output is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "{}\ncaBundle: {}", pem.trim_end(), BASE64_STANDARD.encode(pem));
    tracing::info!("self-signed certificate made; its CA bundle is on standard output");
}

/// SIGTERM from Kubernetes, SIGINT from a terminal.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        let listen = |kind| signal(kind).context("can't listen for signals");
        Ok(Signals { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
