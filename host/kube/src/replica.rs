//! What each replica says of itself: a Lease of its own, which its Pod owns, so
//! that it goes when the Pod goes.
//!
//! The controller reads there which policies a replica runs before it adds their
//! rules to a webhook; replicas write nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::mirror::Mirror;

/// Says that a Lease is a replica's.
const LABEL: &str = "portcullis.dev/replica";
/// The state, as JSON.
const STATE: &str = "portcullis.dev/state";
/// The digest of the snapshot in use, for a person with kubectl.
const SNAPSHOT: &str = "portcullis.dev/snapshot";
const MANAGER: &str = "portcullis-replica";
/// How often a replica says that it is there.
const RENEWAL: Duration = Duration::from_secs(5);
/// How long it counts without a word.
pub(crate) const LIFETIME: Duration = Duration::from_secs(15);
/// How long one that says nothing may still answer: a Pod whose node has lost the
/// cluster is given up after 5 minutes, and its Lease goes with it.
const LINGERS: Duration = Duration::from_secs(600);
/// Characters of a reason: annotations have 256 KiB for all policies.
const MAX_REASON: usize = 300;

/// Which replica this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Of the Pod and its Lease.
    pub namespace: String,
    /// Of the Pod.
    pub pod: String,
    /// Of the Pod; where it is absent the Lease has no owner.
    pub uid: Option<String>,
}

/// What a replica runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReplicaState {
    /// Whether it answers.
    pub ready: bool,
    /// Digest of all policies that it runs.
    pub snapshot: String,
    /// By `name` or `namespace/name`.
    pub policies: BTreeMap<String, PolicyState>,
    /// SHA-256 of the certificate (DER) that its TLS serves, in hex; absent where
    /// it serves none yet, and of replicas that don't say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// What a replica says of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyState {
    /// `metadata.uid` of the object.
    pub uid: String,
    /// The newest generation that the replica has seen.
    pub generation: i64,
    /// Why that one doesn't run, where it doesn't: an earlier one may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What of the cluster it may not read or hasn't read yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl PolicyState {
    /// With reasons cut to what a Lease can carry.
    #[must_use]
    pub fn bounded(mut self) -> PolicyState {
        for reason in [&mut self.error, &mut self.missing].into_iter().flatten() {
            if let Some((end, _)) = reason.char_indices().nth(MAX_REASON) {
                reason.truncate(end);
                reason.push('…');
            }
        }
        self
    }
}

/// Keeps the Lease of this replica until the sender of its state is gone, then
/// deletes it.
pub async fn keep_lease(client: Client, identity: Identity, mut state: watch::Receiver<ReplicaState>) {
    let leases: Api<Lease> = Api::namespaced(client, &identity.namespace);
    let name = lease_name(&identity.pod);
    let mut failed = false;
    loop {
        let lease = lease(&identity, &state.borrow_and_update());
        let written = leases.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&lease)).await;
        match written {
            Ok(_) => failed = false,
            Err(error) => {
                if !failed {
                    let reason = crate::told(&error);
                    tracing::warn!(
                        lease = name,
                        reason,
                        "this replica's Lease can't be written; the controller doesn't count it"
                    );
                }
                failed = true;
            }
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(RENEWAL) => {}
        }
    }
    // Where this fails it runs out by itself.
    let _ = leases.delete(&name, &DeleteParams::default()).await;
}

fn lease_name(pod: &str) -> String {
    format!("portcullis-replica-{pod}")
}

fn lease(identity: &Identity, state: &ReplicaState) -> Lease {
    let owner = identity.uid.as_ref().map(|uid| OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: identity.pod.clone(),
        uid: uid.clone(),
        ..OwnerReference::default()
    });
    // Its maps have text keys only, so it can't fail.
    let text = serde_json::to_string(state).unwrap_or_default();
    Lease {
        metadata: ObjectMeta {
            name: Some(lease_name(&identity.pod)),
            namespace: Some(identity.namespace.clone()),
            labels: Some([(LABEL.to_owned(), "true".to_owned())].into()),
            annotations: Some([(STATE.to_owned(), text), (SNAPSHOT.to_owned(), state.snapshot.clone())].into()),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(identity.pod.clone()),
            lease_duration_seconds: i32::try_from(LIFETIME.as_secs()).ok(),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }),
    }
}

/// A replica, as the controller sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Replica {
    /// Its Pod's name.
    pub(crate) name: String,
    /// What it last said.
    pub(crate) state: ReplicaState,
}

/// All replicas that are alive. Whose clock is right doesn't matter: a replica
/// lives while its renewals keep coming.
#[derive(Debug)]
pub(crate) struct Replicas {
    leases: Mirror<Lease>,
    seen: BTreeMap<String, (Option<MicroTime>, Instant)>,
}

impl Replicas {
    /// Begins to watch the Leases of a namespace.
    pub(crate) fn follow(client: &Client, namespace: &str) -> Replicas {
        let config = watcher::Config::default().labels(&format!("{LABEL}=true"));
        let api = Api::namespaced(client.clone(), namespace);
        Replicas { leases: Mirror::start(api, config, "leases".to_owned()), seen: BTreeMap::new() }
    }

    /// Those that are alive now; None before they have been read once.
    pub(crate) fn now(&mut self, now: Instant) -> Option<Vec<Replica>> {
        self.heard_within(LIFETIME, now)
    }

    /// Those that may still serve, although nothing was heard of them for a while.
    pub(crate) fn lingering(&mut self, now: Instant) -> Option<Vec<Replica>> {
        self.heard_within(LINGERS, now)
    }

    fn heard_within(&mut self, silence: Duration, now: Instant) -> Option<Vec<Replica>> {
        let held = self.leases.now();
        let mut seen = BTreeMap::new();
        let mut heard = Vec::new();
        for lease in held.objects.values() {
            let name = lease.name_any();
            let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.clone());
            let since = match self.seen.get(&name) {
                Some((last, since)) if *last == renewed => *since,
                _ => now,
            };
            seen.insert(name, (renewed, since));
            let state = lease.annotations().get(STATE).and_then(|text| serde_json::from_str(text).ok());
            if let (Some(state), true) = (state, now.saturating_duration_since(since) < silence) {
                let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
                heard.push(Replica { name: holder.unwrap_or_else(|| lease.name_any()), state });
            }
        }
        self.seen = seen;
        held.synced.then_some(heard)
    }

    /// Returns when a Lease has changed, which includes each renewal.
    pub(crate) async fn changed(&mut self) {
        self.leases.changed().await;
    }
}
