//! The controller: from policy objects and what replicas say of themselves to
//! webhook configurations and statuses. One at a time, by [`Election`].
//!
//! ```text
//! policies (watch) ─ loader ─┐
//! replicas (Leases) ─────────┴ plan ─ webhook configurations ─ the Lease ─ statuses
//! ```
//! The order of the writes is the order of what they promise: a rule that is no
//! longer wanted is out of the webhook before replicas read that they may drop
//! the policy, and a status says Ready after the rules are in.

mod initial;
mod plan;
mod register;
mod report;
mod served;
mod status;
mod surroundings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use portcullis_core::policy::PolicyId;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::certificates::{Bundle, CertificateSource, Keeper};
use crate::documents::{Policies, PolicyObject, PolicyVersion};
use crate::election::Election;
use crate::replica::Replicas;
use crate::webhooks::{self, Endpoint, Options};

use plan::{Plan, Planner};
use register::{RegisterError, register};
use served::ServedVersions;
use surroundings::Surroundings;

pub use plan::{LoadedPolicy, RunningPolicy};
pub use report::{BreakGlassState, ControllerReport};

/// Changes that come together are one: `kubectl apply -f` of a set.
const SETTLE: Duration = Duration::from_millis(100);
/// How often it looks without a change: replicas that have died, writes that failed.
const TICK: Duration = Duration::from_secs(5);
/// How often it asks which versions of resources the cluster serves.
const DISCOVERY: Duration = Duration::from_secs(30);
/// How long the controller's Lease counts.
const LEASE_LIFETIME: Duration = Duration::from_secs(15);

/// Makes policies of policy objects. Blocks while they compile.
pub trait Loader: Send + 'static {
    /// One for each object, in their order.
    fn load(&mut self, objects: &[Arc<PolicyObject>]) -> Vec<LoadedPolicy>;
}

/// What a controller is told.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    /// Where its Lease and those of the replicas are.
    pub namespace: String,
    /// Unique among the controllers: the Pod's name.
    pub identity: String,
    /// Where the webhooks find the replicas.
    pub endpoint: Endpoint,
    /// Where the certificates come from that theirs is checked by.
    pub certificates: CertificateSource,
    /// Namespaces that no webhook looks into.
    pub exempt_namespaces: Vec<String>,
    /// Policy objects that an installation begins with, as JSON: created once.
    pub initial_policies: Vec<Value>,
    /// How long a break-glass lasts for which nobody has said how long; None:
    /// [`crate::registrations::EXPIRY`].
    pub break_glass_expiry: Option<Duration>,
}

/// Leads whenever it can, until `stop` ends; says what it knows in `report`.
pub async fn run(
    client: Client,
    config: ControllerConfig,
    loader: Box<dyn Loader>,
    report: watch::Sender<ControllerReport>,
    stop: impl Future<Output = ()>,
) {
    let election = Election::new(&client, &config.namespace, config.identity.clone(), LEASE_LIFETIME);
    let mut loader = Some(loader);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = election.acquire() => {}
        }
        tracing::info!(identity = config.identity, "this controller leads");
        report.send_modify(|report| report.leader = true);
        let (registered, says) = watch::channel(None);
        tokio::select! {
            () = &mut stop => {
                election.release().await;
                return;
            }
            () = election.keep(says) => {}
            () = lead_with_certificates(&client, &config, &mut loader, &registered, &report) => {}
        }
        report.send_modify(ControllerReport::leads_no_more);
        if loader.is_none() {
            // It was in a thread of its own when the Lease was lost.
            tracing::error!("lost the Lease while policies were loaded; ending, so that a fresh start leads");
            return;
        }
    }
}

/// Leads, with the certificates that the configurations carry.
async fn lead_with_certificates(
    client: &Client,
    config: &ControllerConfig,
    loader: &mut Option<Box<dyn Loader>>,
    registered: &watch::Sender<Option<String>>,
    report: &watch::Sender<ControllerReport>,
) {
    let (bundle, written) = (watch::Sender::new(None), watch::Sender::new(0));
    let trust = Trust { bundle: bundle.subscribe(), written: &written };
    if let CertificateSource::Bundle(pem) = &config.certificates {
        bundle.send_replace(Some(Arc::new(pem.clone())));
    }
    let CertificateSource::Own(certificates) = &config.certificates else {
        return lead(Leading { client, config, registered, report }, loader, trust).await;
    };
    let keeper = Keeper {
        client,
        namespace: &config.namespace,
        config: certificates,
        bundle: &bundle,
        written: written.subscribe(),
        report,
    };
    tokio::select! {
        () = keeper.keep() => {}
        () = lead(Leading { client, config, registered, report }, loader, trust) => {}
    }
}

/// What the configurations are to carry, and where it is said that they do.
struct Trust<'a> {
    bundle: watch::Receiver<Bundle>,
    written: &'a watch::Sender<u64>,
}

/// What is known between two looks.
struct Known {
    versions: BTreeMap<PolicyId, PolicyVersion>,
    loaded: Vec<LoadedPolicy>,
}

/// What the controller that leads works with, and where it says what it has done.
#[derive(Clone, Copy)]
struct Leading<'a> {
    client: &'a Client,
    config: &'a ControllerConfig,
    /// The policies whose rules stand in a webhook, for the Lease.
    registered: &'a watch::Sender<Option<String>>,
    report: &'a watch::Sender<ControllerReport>,
}

async fn lead(lead: Leading<'_>, loader: &mut Option<Box<dyn Loader>>, mut trust: Trust<'_>) {
    let Leading { client, config, .. } = lead;
    let mut policies = Policies::follow(client);
    let mut replicas = Replicas::follow(client, &config.namespace);
    let mut planner = Planner::default();
    let mut known: Option<Known> = None;
    let mut served = ServedVersions::default();
    let mut asked: Option<Instant> = None;
    let mut surroundings = Surroundings::new(config);
    let mut begun = false;
    loop {
        let now = policies.now();
        if let (true, false) = (now.synced, begun) {
            begun = begin(client, config).await;
        }
        if let (true, Some(replicas)) = (now.synced, replicas.now(Instant::now())) {
            let versions = now.objects.iter().map(|object| (object.id.clone(), object.version.clone())).collect();
            let loaded = match known.take() {
                Some(known) if known.versions == versions => renewed(known.loaded, &now.objects),
                _ => match load(loader, now.objects.clone()).await {
                    Some(loaded) => loaded,
                    None => return,
                },
            };
            if asked.is_none_or(|asked| asked.elapsed() > DISCOVERY) {
                served.ask(client).await;
                asked = Some(Instant::now());
            }
            let mut plan = planner.plan(&loaded, &replicas, Instant::now());
            let risks = plan.lint(&loaded, surroundings.now(client, &config.namespace).await);
            lead.report.send_modify(|report| {
                report.lockout_risks = risks;
                report.replicas = replicas.iter().filter(|replica| replica.state.ready).count() as u64;
            });
            let bundle = trust.bundle.borrow_and_update().clone();
            // Without its bundle a webhook of ours would fail every call.
            if bundle.is_some() || !matches!(config.certificates, CertificateSource::Own(_)) {
                reconcile(&lead, plan, &served, bundle.as_deref().map(Vec::as_slice)).await;
                trust.written.send_modify(|times| *times += 1);
            }
            known = Some(Known { versions, loaded });
        }
        tokio::select! {
            () = policies.changed() => sleep(SETTLE).await,
            () = replicas.changed() => sleep(SETTLE).await,
            // Its sender lives as long as this.
            _ = trust.bundle.changed() => {}
            () = sleep(TICK) => {}
        }
    }
}

/// Creates the policies that an installation begins with; whether all are there.
/// The custom resources are: policies have been listed.
async fn begin(client: &Client, config: &ControllerConfig) -> bool {
    match initial::create(client, &config.namespace, &config.initial_policies).await {
        Ok(created) => {
            for policy in created {
                tracing::info!(policy, "initial policy created, once");
            }
            true
        }
        Err(error) => {
            tracing::warn!(reason = %error, "not all initial policies could be created; tried again");
            false
        }
    }
}

/// The same versions with what their objects say now: the status may be new.
fn renewed(mut loaded: Vec<LoadedPolicy>, objects: &[Arc<PolicyObject>]) -> Vec<LoadedPolicy> {
    for (loaded, object) in loaded.iter_mut().zip(objects) {
        loaded.object = object.clone();
    }
    loaded
}

/// None where the loader failed for good.
async fn load(loader: &mut Option<Box<dyn Loader>>, objects: Vec<Arc<PolicyObject>>) -> Option<Vec<LoadedPolicy>> {
    let mut own = loader.take()?;
    let task = tokio::task::spawn_blocking(move || {
        let loaded = own.load(&objects);
        (own, loaded)
    });
    match task.await {
        Ok((own, loaded)) => {
            *loader = Some(own);
            Some(loaded)
        }
        Err(error) => {
            tracing::error!(%error, "loading policies failed; this is a fault of Portcullis");
            None
        }
    }
}

async fn reconcile(lead: &Leading<'_>, mut plan: Plan, served: &ServedVersions, ca_bundle: Option<&[u8]>) {
    match bring(lead, &mut plan, served, ca_bundle).await {
        Ok(true) => say(&plan, lead.registered),
        Ok(false) => return,
        Err(error) => {
            tracing::error!(reason = %error, "the webhook configurations aren't what they should be; tried again");
            lead.report.send_modify(|report| report.registrations_failed += 1);
            return;
        }
    }
    for (object, outlook) in &plan.statuses {
        if let Err(error) = status::write(lead.client, object, outlook).await {
            let policy = object.id.to_string();
            tracing::warn!(policy, reason = crate::told(&error), "the status can't be written; tried again");
        }
    }
}

/// Brings the webhook configurations to what the plan wants, and tells the plan
/// what has become of it; false where nothing is to be said, because the
/// installation is being removed.
async fn bring(
    lead: &Leading<'_>,
    plan: &mut Plan,
    served: &ServedVersions,
    ca_bundle: Option<&[u8]>,
) -> Result<bool, RegisterError> {
    let Leading { client, config, .. } = *lead;
    let policies: Vec<webhooks::Registered<'_>> = plan
        .registered
        .iter()
        .map(|policy| webhooks::Registered { document: &policy.document, description: policy.description.as_deref() })
        .collect();
    let owner = register::owner(client).await?;
    let options = Options {
        endpoint: &config.endpoint,
        ca_bundle,
        inject_ca_from: match &config.certificates {
            CertificateSource::InjectFrom(certificate) => Some(certificate),
            _ => None,
        },
        exempt_namespaces: &config.exempt_namespaces,
        served: Some(&|group, resource| served.of(group, resource)),
        owner_uid: owner.as_deref(),
    };
    let mut wanted = webhooks::registrations(&policies, &options);
    // It is there before the first policy, which it guards too.
    wanted.validating.push(webhooks::own_policies(&options));
    let outcome = register(client, config, &wanted, owner.as_deref()).await?;
    for name in &outcome.applied.written {
        tracing::info!(name, policies = plan.registered.len(), "webhook configuration written");
    }
    for name in &outcome.applied.deleted {
        tracing::info!(name, "webhook configuration deleted: no policy needs it");
    }
    for name in &outcome.applied.disputed {
        tracing::warn!(name, "somebody else has changed the webhook configuration in a way that stays");
    }
    lead.report.send_modify(|report| {
        report.registrations_written += outcome.applied.written.len() as u64;
        report.registrations_deleted += outcome.applied.deleted.len() as u64;
        report.break_glass = outcome.break_glass.as_ref().map(BreakGlassState::of);
    });
    plan.left_out(wanted.left_out);
    if let Some(open) = &outcome.break_glass {
        plan.open(open, &config.namespace);
    }
    lead.report.send_modify(|report| report.policy_objects = plan.states());
    Ok(!outcome.uninstalling)
}

/// Says in the Lease whose rules stand in a webhook.
fn say(plan: &Plan, registered: &watch::Sender<Option<String>>) {
    let names: BTreeSet<String> = plan.registered.iter().map(|policy| policy.document.id.to_string()).collect();
    // Texts only, so it can't fail.
    let text = serde_json::to_string(&names).ok();
    registered.send_if_modified(|before| {
        let news = *before != text;
        *before = text;
        news
    });
}
