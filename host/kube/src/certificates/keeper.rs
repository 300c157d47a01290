//! The keeper: looks at Secrets, webhooks and replicas, says what the bundle is
//! to be, and takes one step at a time. It runs in the controller that leads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::clock::Clock;
use super::issue::{CertificateAuthority, Validity};
use super::parsed::{Parsed, normalised, salvage};
use super::plan::{Serving, Step, View, Why};
use super::secrets::{Keys, SecretError, Secrets};
use super::settled::{Look, Reported, Settled, behind};
use super::{CA_SECRET, CertificateConfig, SERVING_SECRET};
use crate::controller::ControllerReport;
use crate::mirror::Mirror;
use crate::replica::Replicas;
use crate::webhooks::{self, ApplyError};

/// What a CA of ours is called, before what makes it one of its own.
const NAME: &str = "Portcullis CA";
/// How often it looks without a change.
const TICK: Duration = Duration::from_secs(10);
/// How often while it waits for something that no watch tells.
const WAITING: Duration = Duration::from_secs(1);
/// After something failed.
const PAUSE: Duration = Duration::from_secs(2);
/// Time for one look or one step: a few small requests.
const PATIENCE: Duration = Duration::from_secs(30);
/// Replicas that a log line names.
const MAX_NAMED: usize = 5;

/// A bundle in PEM; None while it isn't known.
pub(crate) type Bundle = Option<Arc<Vec<u8>>>;

/// The keeper of a controller that leads.
pub(crate) struct Keeper<'a> {
    pub(crate) client: &'a Client,
    pub(crate) namespace: &'a str,
    pub(crate) config: &'a CertificateConfig,
    /// Where the bundle is said that the configurations are to carry.
    pub(crate) bundle: &'a watch::Sender<Bundle>,
    /// Changes when the configurations have been written.
    pub(crate) written: watch::Receiver<u64>,
    pub(crate) report: &'a watch::Sender<ControllerReport>,
}

/// Why a look or a step failed.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Bundles(#[from] ApplyError),
    #[error("the API server doesn't say what time it is: {0}")]
    Time(String),
    #[error("the API server doesn't answer in time")]
    TooLate,
}

/// What one look came to.
enum Looked {
    /// A step was taken; look again.
    Stepped,
    /// Nothing to do before a Secret changes.
    Rest,
    /// Nothing to do before anything changes, or so long.
    Wait(Duration),
}

/// What a keeper remembers between two looks.
#[derive(Default)]
struct Memory {
    clock: Clock,
    settled: Settled,
    /// What was last said of what is waited for.
    told: Option<String>,
}

impl Keeper<'_> {
    /// Keeps CA and certificate until it is dropped.
    pub(crate) async fn keep(mut self) {
        let secrets = |name: &str| {
            let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
            let api: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace);
            Mirror::start(api, config, format!("the Secret {}/{name}", self.namespace))
        };
        // They only tell when to look: what they hold may be older than what is read.
        let (mut authority, mut serving) = (secrets(CA_SECRET), secrets(SERVING_SECRET));
        let mut replicas = Replicas::follow(self.client, self.namespace);
        let mut memory = Memory::default();
        let mut failing = None;
        loop {
            let _ = (authority.now(), serving.now(), self.written.borrow_and_update());
            let outcome = match replicas.lingering(Instant::now()) {
                None => Ok(Looked::Wait(WAITING)),
                Some(replicas) => {
                    let replicas: Vec<Reported> = replicas
                        .into_iter()
                        .map(|replica| Reported {
                            name: replica.name,
                            ready: replica.state.ready,
                            certificate: replica.state.certificate,
                        })
                        .collect();
                    let look = timeout(PATIENCE, self.look(&mut memory, &replicas)).await;
                    look.unwrap_or(Err(KeepError::TooLate))
                }
            };
            let looked = match outcome {
                Ok(looked) => {
                    failing = None;
                    looked
                }
                Err(KeepError::Secret(error)) if error.is_race() => Looked::Wait(WAITING),
                Err(error) => {
                    let reason = error.to_string();
                    self.report.send_modify(|report| report.rotations_failed += 1);
                    if failing.as_ref() != Some(&reason) {
                        tracing::error!(reason, "the webhook's certificates can't be kept; tried again");
                    }
                    failing = Some(reason);
                    sleep(PAUSE).await;
                    continue;
                }
            };
            // Replicas say every few seconds that they are there, and the
            // configurations are looked at as often: at rest neither matters.
            match looked {
                Looked::Stepped => {}
                Looked::Rest => tokio::select! {
                    () = authority.changed() => {}
                    () = serving.changed() => {}
                    () = sleep(TICK) => {}
                },
                Looked::Wait(pause) => tokio::select! {
                    () = authority.changed() => {}
                    () = serving.changed() => {}
                    () = replicas.changed() => {}
                    _ = self.written.changed() => {}
                    () = sleep(pause) => {}
                },
            }
        }
    }

    /// One look and at most one step.
    async fn look(&self, memory: &mut Memory, replicas: &[Reported]) -> Result<Looked, KeepError> {
        let now = memory.clock.now(self.client).await.map_err(|error| KeepError::Time(crate::told(&error)))?;
        let secrets = Secrets::read(self.client, self.namespace).await?;
        let bundles = webhooks::there(self.client).await?.bundles();
        let bundles: Vec<Vec<Parsed>> = bundles.iter().map(|bundle| salvage(bundle)).collect();
        let names: BTreeSet<String> = self.config.names.iter().map(|name| normalised(name)).collect();
        let view = secrets.view(&names);
        let at = Instant::now();
        let trusted: Vec<Vec<_>> =
            bundles.iter().map(|bundle| bundle.iter().map(|one| (one.fingerprint, one.not_after)).collect()).collect();
        let look = Look { now, at, bundles: &trusted, replicas };
        let around = memory.settled.look(&view, &look, self.config.bundle_settle);
        self.say(&view);
        if let Some(bundle) = view.bundle(&around) {
            self.publish(secrets.pem(&bundle));
        }
        let lifetime = i64::try_from(self.config.certificate_lifetime.as_secs()).unwrap_or(i64::MAX);
        let step = view.step(&around, lifetime);
        memory.tell(&step, &view, replicas);
        let wait = memory.settled.remaining(self.config.bundle_settle, at);
        match self.take(&step, &secrets, &bundles.concat(), now).await? {
            true => Ok(Looked::Stepped),
            false if step == Step::Rest => Ok(Looked::Rest),
            false => Ok(Looked::Wait(wait.unwrap_or(WAITING))),
        }
    }

    /// Takes a step; whether there was one to take.
    async fn take(&self, step: &Step, secrets: &Secrets, trusted: &[Parsed], now: i64) -> Result<bool, KeepError> {
        match step {
            Step::Rest | Step::AwaitSettled | Step::AwaitReplicas => return Ok(false),
            Step::Create { keep, why } => {
                let validity = Validity::of(now, self.config.ca_lifetime);
                let authority = CertificateAuthority::make(NAME, validity).map_err(SecretError::from)?;
                secrets.create(&authority, keep, trusted).await?;
                why.log("CA");
            }
            Step::Trust { keep } => {
                secrets.keep(keep, trusted, Keys::Kept).await?;
                let cas = keep.len();
                tracing::warn!(
                    cas,
                    "the webhooks trust CAs that the Secret {CA_SECRET} doesn't hold; they are kept until no replica needs them"
                );
            }
            Step::Issue { signer, why } => {
                let mut validity = Validity::of(now, self.config.certificate_lifetime);
                let signer = secrets.signer(*signer)?;
                validity.not_after = validity.not_after.min(signer.not_after());
                let issued = signer.issue(&self.config.names, validity).map_err(SecretError::from)?;
                secrets.serve(&issued).await?;
                why.log("serving certificate");
            }
            Step::Disarm => secrets.keep(&secrets.all(), &[], Keys::Forgotten).await?,
            Step::Retire { keep } => {
                secrets.keep(keep, &[], Keys::Forgotten).await?;
                if keep.len() == 1 {
                    self.report.send_modify(|report| report.rotations_completed += 1);
                }
                tracing::info!(
                    kept = keep.len(),
                    "every replica serves a certificate of the newest CA; the ones before are dropped"
                );
            }
        }
        Ok(true)
    }

    fn publish(&self, pem: Vec<u8>) {
        self.bundle.send_if_modified(|before| {
            let news = before.as_deref() != Some(&pem);
            if news {
                *before = Some(Arc::new(pem));
            }
            news
        });
    }

    fn say(&self, view: &View) {
        let authority = view.authorities.first().map(|newest| newest.not_after);
        let certificate = match &view.serving {
            Serving::Present(leaf) => Some(leaf.not_after),
            Serving::Missing | Serving::Damaged(_) => None,
        };
        self.report.send_if_modified(|report| {
            let news = (report.ca_not_after, report.certificate_not_after) != (authority, certificate);
            (report.ca_not_after, report.certificate_not_after) = (authority, certificate);
            news
        });
    }
}

impl Memory {
    /// Says once what is waited for.
    fn tell(&mut self, step: &Step, view: &View, replicas: &[Reported]) {
        let waits = match (step, &view.serving) {
            (Step::AwaitSettled, _) => Some("every API server to know the new CA".to_owned()),
            (Step::AwaitReplicas, Serving::Present(leaf)) => {
                let names = behind(leaf, replicas);
                let more = names.len().saturating_sub(MAX_NAMED);
                let named = names.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                Some(match names.is_empty() {
                    true => "replicas to have served it long enough".to_owned(),
                    false => format!("replicas that don't serve the new certificate: {named}{more}"),
                })
            }
            _ => None,
        };
        if let Some(reason) = waits.as_ref().filter(|_| waits != self.told) {
            tracing::debug!(reason, "the rotation waits");
        }
        self.told = waits;
    }
}

impl Why {
    fn log(&self, what: &str) {
        match self {
            Why::Missing | Why::Due | Why::Asked | Why::Replaced | Why::Renamed => {
                tracing::info!(what, why = %self, "a new one is made");
            }
            Why::Damaged(_) | Why::Expired | Why::Foreign => tracing::warn!(what, why = %self, "a new one is made"),
        }
    }
}
