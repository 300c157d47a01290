//! A replica's side of a cluster: policies from its objects, look-ups from the
//! watch cache, and the Lease in which the replica says what it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::admit::Policy;
use portcullis_core::cluster::{ClusterView, Tenants};
use portcullis_core::policy::PolicyId;
use portcullis_kube::cache::{Cache, CacheProblem, CacheView, wanted};
use portcullis_kube::{Policies, PolicyObject, PolicyState, PolicyVersion, Registered, ReplicaState};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Loaded, Store};
use crate::telemetry::Metrics;

/// Changes that follow each other this closely are one: every set of policies of
/// a module is compiled for itself, and `kubectl apply -f` sends one by one.
const QUIET: Duration = Duration::from_millis(300);
/// Never later than this, however long changes go on.
const LATEST: Duration = Duration::from_secs(5);
/// How long a policy that is gone stays where no controller says that its rules
/// are out of the webhook.
const LINGER: Duration = Duration::from_secs(30);
/// How often it is said what is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What connects a replica to its cluster.
pub struct Connected {
    /// None where policies come from files.
    policies: Option<Policies>,
    /// None without a controller beside it.
    registered: Option<Registered>,
    registered_now: Option<BTreeSet<String>>,
    /// Objects that are gone, and since when.
    lingering: BTreeMap<PolicyId, (Arc<PolicyObject>, Instant)>,
    objects: Vec<Arc<PolicyObject>>,
    cache: Arc<Cache>,
    view: Option<Arc<CacheView>>,
    state: watch::Sender<ReplicaState>,
    /// The one that this replica's TLS serves.
    certificate: watch::Receiver<Option<String>>,
    tenants: Tenants,
}

impl Connected {
    /// Nothing is read yet.
    pub fn new(
        policies: Option<Policies>,
        registered: Option<Registered>,
        cache: Arc<Cache>,
        state: watch::Sender<ReplicaState>,
        certificate: watch::Receiver<Option<String>>,
        tenants: Tenants,
    ) -> Connected {
        Connected {
            policies,
            registered,
            registered_now: None,
            lingering: BTreeMap::new(),
            objects: Vec::new(),
            cache,
            view: None,
            state,
            certificate,
            tenants,
        }
    }

    /// What namespaced policies may read beside their namespace.
    pub(super) fn tenants(&self) -> Tenants {
        self.tenants.clone()
    }

    /// Hands the policy objects to the store; waits until they have been read once.
    pub(super) async fn take_objects(&mut self, store: &mut Store) {
        if let Some(registered) = &mut self.registered {
            self.registered_now = registered.now();
        }
        let Some(policies) = &mut self.policies else { return };
        let mut now = policies.now();
        let mut told = None;
        while !now.synced {
            if told.as_ref() != Some(&now.failing) {
                let reason = now.failing.as_deref().unwrap_or("they are being read");
                tracing::info!(reason, "waiting for the policy objects");
                told = Some(now.failing.clone());
            }
            policies.changed().await;
            now = policies.now();
        }
        self.linger(&now.objects);
        let gone = self.lingering.values().map(|(object, _)| object.clone());
        store.take_objects(now.objects.iter().cloned().chain(gone).collect());
        self.objects = now.objects;
    }

    /// Remembers what is gone and may still be asked for.
    fn linger(&mut self, now: &[Arc<PolicyObject>]) {
        let present: BTreeSet<&PolicyId> = now.iter().map(|object| &object.id).collect();
        for object in self.objects.iter().filter(|object| !present.contains(&object.id)) {
            self.lingering.entry(object.id.clone()).or_insert_with(|| (object.clone(), Instant::now()));
        }
        let registered = self.registered_now.as_ref();
        self.lingering.retain(|id, (_, since)| {
            let asked = registered.is_some_and(|registered| registered.contains(&id.to_string()));
            !present.contains(id) && asked && since.elapsed() < LINGER
        });
    }

    /// The policies that are answered for. One that can't run at all is among
    /// them only where its rules stand in a webhook: then its failure policy
    /// answers; else nobody has begun to rely on it.
    pub(super) fn answered_for(&self, loaded: &Loaded) -> Vec<Arc<Policy>> {
        let counts = |policy: &&Arc<Policy>| {
            let id = &policy.document.id;
            let is_object = loaded.objects.contains_key(id);
            let registered = self.registered_now.as_ref();
            policy.evaluator.is_ok()
                || !is_object
                || registered.is_some_and(|registered| registered.contains(&id.to_string()))
        };
        loaded.policies.iter().filter(counts).cloned().collect()
    }

    /// A view of what these policies look up, once it has all been read.
    pub(super) async fn view(&mut self, policies: &[Arc<Policy>], metrics: &Metrics) -> Arc<dyn ClusterView> {
        let view = self.cache.view(&wanted(policies));
        while !view.settled(Instant::now() + PATIENCE).await {
            let waiting: Vec<String> = view.problems().iter().map(ToString::to_string).collect();
            tracing::warn!(
                waiting = waiting.join("; "),
                "the cluster hasn't been read to the end; the policies before stay in use"
            );
        }
        for problem in view.problems() {
            tracing::warn!(%problem, "look-ups of this kind stay unknown");
        }
        self.view = Some(view.clone());
        self.measure(metrics);
        view
    }

    /// Puts the figures of the cache into the metrics.
    pub(super) fn measure(&self, metrics: &Metrics) {
        if let Some(view) = &self.view {
            metrics.watched(&view.kinds(), self.cache.confirmations());
        }
    }

    /// Says in the Lease what runs.
    pub(super) fn tell(&self, loaded: &Loaded) {
        let problems = self.view.as_ref().map(|view| view.problems()).unwrap_or_default();
        let policies: BTreeMap<String, PolicyState> = loaded
            .objects
            .iter()
            .map(|(id, outcome)| {
                let policy = loaded.policies.iter().find(|policy| policy.document.id == *id);
                let PolicyVersion { uid, generation } = outcome.version.clone();
                let runs = outcome.runs == Some(generation);
                let error = outcome.problem.clone().or_else(|| (!runs).then(|| "it isn't loaded yet".to_owned()));
                let missing = policy.and_then(|policy| missing(policy, &problems));
                (id.to_string(), PolicyState { uid, generation, error, missing }.bounded())
            })
            .collect();
        let snapshot = digest(loaded);
        self.state.send_if_modified(|state| {
            let certificate = self.certificate.borrow().clone();
            // Without a certificate no call reaches it, whatever it runs.
            let now = ReplicaState { ready: certificate.is_some(), snapshot, policies, certificate };
            let news = *state != now;
            *state = now;
            news
        });
    }

    /// Which certificate this replica serves, followed.
    pub(super) fn certificate(&self) -> watch::Receiver<Option<String>> {
        self.certificate.clone()
    }

    /// Returns when policy objects, or what is registered, have changed.
    pub(super) async fn changed(&mut self) {
        let registered = async {
            match &mut self.registered {
                Some(registered) => loop {
                    registered.changed().await;
                    if registered.now() != self.registered_now {
                        return;
                    }
                },
                None => std::future::pending().await,
            }
        };
        let policies = async {
            match &mut self.policies {
                Some(policies) => loop {
                    policies.changed().await;
                    let latest = Instant::now() + LATEST;
                    while Instant::now() < latest && timeout(QUIET, policies.changed()).await.is_ok() {
                        policies.now();
                    }
                    // A status that was written is no news.
                    let versions = |objects: &[Arc<PolicyObject>]| {
                        objects.iter().map(|object| (object.id.clone(), object.version.clone())).collect::<Vec<_>>()
                    };
                    if versions(&policies.now().objects) != versions(&self.objects) {
                        return;
                    }
                },
                None => std::future::pending().await,
            }
        };
        let lingering = async {
            match self.lingering.is_empty() {
                true => std::future::pending().await,
                false => sleep(LINGER).await,
            }
        };
        tokio::select! {
            () = registered => {}
            () = policies => {}
            () = lingering => {}
        }
    }
}

/// What of the cluster a policy lacks.
fn missing(policy: &Policy, problems: &[CacheProblem]) -> Option<String> {
    let lookups = &policy.description.as_ref()?.reach.lookups;
    let named = problems.iter().filter(|problem| {
        lookups.iter().any(|lookup| lookup.kind == problem.kind && lookup.api_version == problem.api_version)
    });
    let named: Vec<String> = named.map(ToString::to_string).collect();
    (!named.is_empty()).then(|| named.join("; "))
}

/// Of all policies that run, in their order.
fn digest(loaded: &Loaded) -> String {
    let mut hash = Sha256::new();
    for policy in &loaded.policies {
        // A spec is plain data, so it can't fail.
        let spec = serde_json::to_string(&policy.document.spec).unwrap_or_default();
        hash.update(format!("{}\n{}\n{spec}\n{}\n", policy.document.id, policy.digest, policy.evaluator.is_ok()));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
