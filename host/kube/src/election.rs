//! One controller at a time: whoever holds the Lease. It also carries what the
//! controller has registered, so that replicas know when they may drop a policy.
//!
//! Written here, because the crate that does this (kube-leader-election 0.44)
//! needs an older kube, and because the Lease has a second purpose. The rules are
//! client-go's: a holder counts while its renewals keep coming, by the observer's
//! own clock, and a holder that can't renew gives up before others take over.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::mirror::Mirror;

/// The Lease's name.
const NAME: &str = "portcullis-controller";
/// The policies whose rules stand in a webhook, as JSON.
const REGISTERED: &str = "portcullis.dev/registered";
/// Between two looks at another's Lease, or two renewals of one's own.
const PAUSE: Duration = Duration::from_secs(2);

/// A candidate for the one place.
#[derive(Debug, Clone)]
pub(crate) struct Election {
    leases: Api<Lease>,
    identity: String,
    /// How long a Lease counts after its last renewal.
    lifetime: Duration,
}

impl Election {
    /// Of the controllers of a namespace.
    pub(crate) fn new(client: &Client, namespace: &str, identity: String, lifetime: Duration) -> Election {
        Election { leases: Api::namespaced(client.clone(), namespace), identity, lifetime }
    }

    /// Returns when the Lease is held.
    pub(crate) async fn acquire(&self) {
        let mut observed: Option<(Option<MicroTime>, Instant)> = None;
        let mut told = None;
        loop {
            match self.try_acquire(&mut observed).await {
                Ok(None) => return,
                Ok(Some(holder)) if told.as_ref() != Some(&holder) => {
                    tracing::info!(holder, "another controller leads; waiting");
                    told = Some(holder);
                }
                Ok(Some(_)) => {}
                Err(error) => tracing::warn!(reason = crate::told(&error), "the controller's Lease can't be taken"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Who holds it; None where it is held from now on.
    async fn try_acquire(&self, observed: &mut Option<(Option<MicroTime>, Instant)>) -> kube::Result<Option<String>> {
        let Some(lease) = self.leases.get_opt(NAME).await? else {
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            let lease = self.held(Lease { metadata, spec: None }, None);
            return match self.leases.create(&PostParams::default(), &lease).await {
                Ok(_) => Ok(None),
                Err(error) if is_conflict(&error) => Ok(Some(String::new())),
                Err(error) => Err(error),
            };
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        let since = match observed {
            Some((renewed, since)) if *renewed == spec.renew_time => *since,
            _ => {
                *observed = Some((spec.renew_time.clone(), Instant::now()));
                Instant::now()
            }
        };
        let lifetime = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lifetime = lifetime.map_or(self.lifetime, Duration::from_secs);
        if !holder.is_empty() && holder != self.identity && since.elapsed() < lifetime {
            return Ok(Some(holder));
        }
        match self.leases.replace(NAME, &PostParams::default(), &self.held(lease, None)).await {
            Ok(_) => Ok(None),
            Err(error) if is_conflict(&error) => Ok(Some(holder)),
            Err(error) => Err(error),
        }
    }

    /// Renews the Lease, with what is registered, until that can't be done any
    /// more: then another may lead.
    pub(crate) async fn keep(&self, mut registered: watch::Receiver<Option<String>>) {
        let mut renewed = Instant::now();
        loop {
            let text = registered.borrow_and_update().clone();
            let left = (self.lifetime * 2 / 3).saturating_sub(renewed.elapsed());
            match timeout(left, self.renew(text.as_deref())).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return tracing::error!("another controller has taken the Lease"),
                Ok(Err(error)) => {
                    tracing::warn!(reason = crate::told(&error), "the controller's Lease can't be renewed")
                }
                Err(_) => return tracing::error!("the controller's Lease was not renewed in time"),
            }
            tokio::select! {
                changed = registered.changed() => if changed.is_err() { return },
                () = sleep(PAUSE) => {}
            }
        }
    }

    /// Whether it is still held.
    async fn renew(&self, registered: Option<&str>) -> kube::Result<bool> {
        let lease = self.leases.get(NAME).await?;
        if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(self.identity.as_str()) {
            return Ok(false);
        }
        self.leases.replace(NAME, &PostParams::default(), &self.held(lease, registered)).await.map(|_| true)
    }

    fn held(&self, mut lease: Lease, registered: Option<&str>) -> Lease {
        let before = lease.spec.take().unwrap_or_default();
        let mine = before.holder_identity.as_deref() == Some(self.identity.as_str());
        let now = Some(MicroTime(Timestamp::now()));
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.lifetime.as_secs()).ok(),
            acquire_time: if mine { before.acquire_time } else { now.clone() },
            renew_time: now,
            lease_transitions: Some(before.lease_transitions.unwrap_or_default() + i32::from(!mine)),
            ..LeaseSpec::default()
        });
        if let Some(registered) = registered {
            lease.annotations_mut().insert(REGISTERED.to_owned(), registered.to_owned());
        }
        lease
    }

    /// Gives the Lease up, so that the next needn't wait.
    pub(crate) async fn release(&self) {
        let Ok(mut lease) = self.leases.get(NAME).await else { return };
        let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity))
        else {
            return;
        };
        spec.holder_identity = None;
        // Where this fails it runs out by itself.
        let _ = self.leases.replace(NAME, &PostParams::default(), &lease).await;
    }
}

/// What the controller says it has registered.
#[derive(Debug)]
pub struct Registered {
    lease: Mirror<Lease>,
}

impl Registered {
    /// Begins to watch the controller's Lease.
    pub fn follow(client: &Client, namespace: &str) -> Registered {
        let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let api = Api::namespaced(client.clone(), namespace);
        Registered { lease: Mirror::start(api, config, "the controller's lease".to_owned()) }
    }

    /// The policies whose rules stand in a webhook, by `name` or
    /// `namespace/name`; None where no controller has said so.
    pub fn now(&mut self) -> Option<BTreeSet<String>> {
        let held = self.lease.now();
        let lease = held.objects.values().next()?;
        lease.annotations().get(REGISTERED).and_then(|text| serde_json::from_str(text).ok())
    }

    /// Returns when the Lease has changed, which includes each renewal.
    pub async fn changed(&mut self) {
        self.lease.changed().await;
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
