//! What the controller decides, without a cluster: which policies' rules stand
//! in a webhook, and what each policy's status says.
//!
//! Rules are added when every ready replica runs the policy, so that no call
//! comes to one that doesn't know it; a replica that can't follow is named after
//! [`PATIENCE`] and holds nobody back any longer. While a new version isn't run
//! by all, or can't be loaded, the rules of the one before stay.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::admit::Policy;
use portcullis_core::policy::{PolicyId, ValidationAction};
use portcullis_core::secret::looks_up_secrets;
use serde_json::Value;

use crate::documents::{PolicyObject, PolicyVersion};
use crate::lint::{self, Facts};
use crate::registrations::{ANNOTATION, BreakGlass, END, RECORD};
use crate::replica::Replica;
use crate::webhooks::{self, LeftOut};

/// How long replicas that lag behind are waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Resources that a status names.
const MAX_RESOURCES: usize = 8;
/// Replicas that a message names.
const MAX_NAMED: usize = 5;

/// A policy object and what its loader made of it.
#[derive(Clone)]
pub struct LoadedPolicy {
    /// The object.
    pub object: Arc<PolicyObject>,
    /// What runs: its newest version, or the last that loaded.
    pub running: Option<RunningPolicy>,
    /// Why the newest version can't run: the field, what is wrong and what would
    /// be right.
    pub problem: Option<String>,
}

/// A policy that can run.
#[derive(Clone)]
pub struct RunningPolicy {
    /// Of which generation of its object.
    pub generation: i64,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// Remembers what is registered from one decision to the next.
#[derive(Default)]
pub(super) struct Planner {
    registered: BTreeMap<PolicyId, Registration>,
    /// Since when replicas are waited for, by policy and version.
    waiting: HashMap<(PolicyId, PolicyVersion), Instant>,
    begun: bool,
}

#[derive(Clone)]
struct Registration {
    uid: String,
    running: RunningPolicy,
}

/// A decision.
#[derive(Default)]
pub(super) struct Plan {
    /// The policies whose rules stand in a webhook.
    pub(super) registered: Vec<Arc<Policy>>,
    /// For each policy object, in their order, what its status is to say.
    pub(super) statuses: Vec<(Arc<PolicyObject>, Outlook)>,
}

/// What a policy's status is to say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outlook {
    pub(super) ready: Verdict,
    pub(super) degraded: Verdict,
    /// The set-up could lock the cluster out, where it could.
    pub(super) lockout_risk: Option<Verdict>,
    /// The configuration that carries the policy is gone, where it is.
    pub(super) break_glass: Option<Verdict>,
    /// `3/3`: how many of the ready replicas run the newest version.
    pub(super) replicas: String,
    /// Replicas that don't run the newest version, after [`PATIENCE`].
    pub(super) behind: Vec<String>,
    /// Digest of the module that runs.
    pub(super) digest: Option<String>,
    /// The resources that it matches, for a person.
    pub(super) matches: Option<String>,
    /// The version that all replicas run, where that is the newest.
    pub(super) loaded: Option<LastLoaded>,
}

/// A condition: its status, its reason and its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) holds: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// A version that loaded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LastLoaded {
    pub(super) generation: i64,
    pub(super) digest: String,
    pub(super) spec: Value,
}

/// How far the replicas are with one version of a policy.
struct Progress {
    ready: usize,
    run: usize,
    /// Those that don't run it, with why not.
    behind: Vec<(String, Option<String>)>,
    /// What of the cluster a replica lacks.
    missing: Option<String>,
}

impl Verdict {
    pub(super) fn new(holds: bool, reason: &'static str, message: impl Into<String>) -> Verdict {
        Verdict { holds, reason, message: message.into() }
    }
}

impl Plan {
    /// Says of policies that something of them isn't registered, where nothing
    /// worse is said of them.
    pub(super) fn left_out(&mut self, left_out: Vec<LeftOut>) {
        for left_out in left_out {
            let of_policy = self.statuses.iter_mut().find(|(object, _)| object.id == left_out.policy);
            if let Some((_, outlook)) = of_policy.filter(|(_, outlook)| !outlook.degraded.holds) {
                outlook.degraded = Verdict::new(true, "NotRegistered", left_out.reason);
            }
        }
    }

    /// How many policy objects there are in each state; one that runs and lacks
    /// something counts as degraded.
    pub(super) fn states(&self) -> BTreeMap<&'static str, u64> {
        let mut states = BTreeMap::from([("ready", 0), ("waiting", 0), ("degraded", 0)]);
        for (_, outlook) in &self.statuses {
            let state = match (outlook.degraded.holds, outlook.ready.holds) {
                (true, _) => "degraded",
                (false, true) => "ready",
                (false, false) => "waiting",
            };
            *states.entry(state).or_default() += 1;
        }
        states
    }

    /// Says of policies that the set-up could lock the cluster out; how many risks
    /// there are, by rule.
    pub(super) fn lint(&mut self, running: &[LoadedPolicy], facts: &Facts) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for ((_, outlook), loaded) in self.statuses.iter_mut().zip(running) {
            let Some(running) = &loaded.running else { continue };
            let risks = lint::admit(&running.policy.document, running.policy.description.as_deref(), facts);
            for risk in &risks {
                *counts.entry(risk.rule).or_default() += 1;
            }
            // The worst comes first.
            let Some(worst) = risks.first() else { continue };
            let told = risks.iter().map(|risk| format!("{}: {}; {}", risk.rule, risk.message, risk.help));
            let message = told.collect::<Vec<_>>().join("\n");
            outlook.lockout_risk = Some(Verdict::new(true, worst.reason(), message));
        }
        counts
    }

    /// Says of policies that the configuration which carries them is gone.
    pub(super) fn open(&mut self, open: &BreakGlass, namespace: &str) {
        for (object, outlook) in &mut self.statuses {
            let Some(policy) = self.registered.iter().find(|policy| policy.document.id == object.id) else { continue };
            let carrier = webhooks::carrier(&policy.document, policy.description.as_deref());
            if !open.gone.contains(&carrier) {
                continue;
            }
            let by = open.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let BreakGlass { since, until, reason, .. } = open;
            let message = format!(
                "the webhook configuration {carrier} is gone since {since}{by} ({reason}), so nothing asks this \
                 policy; it is written again at {until}, or after `portcullis break-glass --end`, or \
                 `kubectl annotate configmap {RECORD} -n {namespace} {ANNOTATION}={END}`"
            );
            outlook.ready = Verdict::new(false, "BreakGlass", "nothing asks it; see the condition BreakGlass");
            outlook.break_glass = Some(Verdict::new(true, "ConfigurationGone", message));
        }
    }
}

impl Planner {
    /// Decides anew. `replicas` are those that are alive.
    pub(super) fn plan(&mut self, policies: &[LoadedPolicy], replicas: &[Replica], now: Instant) -> Plan {
        let present: BTreeSet<&PolicyId> = policies.iter().map(|policy| &policy.object.id).collect();
        self.registered.retain(|id, _| present.contains(id));
        let mut waiting = HashMap::new();
        let mut plan = Plan::default();
        for policy in policies {
            let progress = progress(&policy.object, replicas);
            let key = (policy.object.id.clone(), policy.object.version.clone());
            let since = *self.waiting.get(&key).unwrap_or(&now);
            let overdue = now.saturating_duration_since(since) >= PATIENCE;
            if progress.run < progress.ready || progress.ready == 0 {
                waiting.insert(key, since);
            }
            let registered = self.registration(policy, &progress, overdue);
            let outlook = outlook(policy, registered.as_ref(), &progress, overdue);
            if let Some(registered) = registered {
                plan.registered.push(registered.running.policy.clone());
                self.registered.insert(policy.object.id.clone(), registered);
            }
            plan.statuses.push((policy.object.clone(), outlook));
        }
        self.waiting = waiting;
        self.begun = true;
        plan
    }

    /// Which version's rules stand in a webhook from now on.
    fn registration(&mut self, policy: &LoadedPolicy, progress: &Progress, overdue: bool) -> Option<Registration> {
        let PolicyVersion { uid, generation } = &policy.object.version;
        let before = self.registered.remove(&policy.object.id).filter(|before| before.uid == *uid);
        let running = policy.running.clone();
        let newest = running.clone().filter(|running| running.generation == *generation && policy.problem.is_none());
        let by_all = progress.ready > 0 && progress.run == progress.ready;
        let by_enough = overdue && progress.run > 0;
        let new = |running| Registration { uid: uid.clone(), running };
        match (newest, before) {
            (Some(newest), _) if by_all || by_enough => Some(new(newest)),
            (_, Some(before)) => Some(before),
            // The memory of a controller that led before this one is the status.
            (_, None) => running.filter(|_| !self.begun && was_ready(&policy.object)).map(new),
        }
    }
}

/// Whether the status says that the policy's rules stood in a webhook.
fn was_ready(object: &PolicyObject) -> bool {
    let conditions = object.document.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        || object.loaded_before().is_some()
}

fn progress(object: &PolicyObject, replicas: &[Replica]) -> Progress {
    let id = object.id.to_string();
    let mut progress = Progress { ready: 0, run: 0, behind: Vec::new(), missing: None };
    for replica in replicas.iter().filter(|replica| replica.state.ready) {
        progress.ready += 1;
        let said = replica.state.policies.get(&id).filter(|said| said.uid == object.version.uid);
        match said {
            Some(said) if said.generation == object.version.generation && said.error.is_none() => progress.run += 1,
            Some(said) => progress.behind.push((replica.name.clone(), said.error.clone())),
            None => progress.behind.push((replica.name.clone(), None)),
        }
        if let (None, Some(missing)) = (&progress.missing, said.and_then(|said| said.missing.as_ref())) {
            progress.missing = Some(missing.clone());
        }
    }
    progress
}

fn outlook(policy: &LoadedPolicy, registered: Option<&Registration>, progress: &Progress, overdue: bool) -> Outlook {
    let generation = policy.object.version.generation;
    let newest = registered.is_some_and(|registered| registered.running.generation == generation);
    let by_all = progress.ready > 0 && progress.run == progress.ready;
    let running = policy.running.as_ref();
    let loaded = running.filter(|running| by_all && policy.problem.is_none() && running.generation == generation);
    Outlook {
        ready: ready(policy, registered, progress, newest),
        degraded: degraded(policy, registered, progress, overdue),
        lockout_risk: None,
        break_glass: None,
        replicas: format!("{}/{}", progress.run, progress.ready),
        behind: match overdue {
            true => progress.behind.iter().map(|(name, _)| name.clone()).collect(),
            false => Vec::new(),
        },
        digest: running.map(|running| running.policy.digest.clone()).filter(|digest| !digest.is_empty()),
        matches: running.and_then(|running| matches(&running.policy)),
        loaded: loaded.map(|running| LastLoaded {
            generation,
            digest: running.policy.digest.clone(),
            spec: policy.object.document["spec"].clone(),
        }),
    }
}

fn ready(policy: &LoadedPolicy, registered: Option<&Registration>, progress: &Progress, newest: bool) -> Verdict {
    let generation = policy.object.version.generation;
    let Progress { ready, run, .. } = progress;
    if policy.problem.is_some() {
        return Verdict::new(false, "NotLoaded", "its newest version can't run; see the condition Degraded");
    }
    match (newest, ready) {
        (true, 0) => Verdict::new(
            false,
            "NoReplicas",
            "no replica is ready; its rules stand in the webhook, so its failurePolicy answers for it",
        ),
        // Its rules stand there all the same: two of three that judge are better than none.
        (true, _) if run < ready => {
            let message = format!(
                "{run} of {ready} replicas run generation {generation}; its rules stand in the webhook, \
                 and what the API server asks the others is answered without it"
            );
            Verdict::new(false, "ReplicasBehind", message)
        }
        (true, _) => {
            let actions = &registered.map(|registered| actions(&registered.running.policy)).unwrap_or_default();
            let reads = policy.running.as_ref().and_then(|running| running.policy.description.as_ref());
            let secrets = match reads.is_some_and(|description| looks_up_secrets(description)) {
                true => "; it looks Secrets up, so the account of the replicas may read Secrets",
                false => "",
            };
            let message = format!("{run} of {ready} replicas run generation {generation}: {actions}{secrets}");
            Verdict::new(true, "Enforced", message)
        }
        (false, 0) => Verdict::new(false, "NoReplicas", "no replica is ready, so nothing is enforced yet"),
        (false, _) => {
            let so_far = match registered {
                Some(before) => format!("; until all do, generation {} is enforced", before.running.generation),
                None => "; its rules are added to the webhook when all do".to_owned(),
            };
            let message = format!("{run} of {ready} replicas run generation {generation}{so_far}");
            Verdict::new(false, "WaitingForReplicas", message)
        }
    }
}

/// The resources that a policy matches, each once; of many the first and how many more.
fn matches(policy: &Policy) -> Option<String> {
    let rules = &policy.description.as_ref()?.reach.matches;
    let narrowed = &policy.document.spec.matching.resource_rules;
    let rules = if narrowed.is_empty() { rules } else { narrowed };
    let resources: BTreeSet<&str> = rules.iter().flat_map(|rule| &rule.resources).map(String::as_str).collect();
    let named = resources.iter().take(MAX_RESOURCES).copied().collect::<Vec<_>>().join(", ");
    match resources.len().saturating_sub(MAX_RESOURCES) {
        0 => Some(named),
        more => Some(format!("{named} and {more} more")),
    }
}

fn actions(policy: &Policy) -> String {
    let actions = policy.document.spec.validation_actions.iter().map(|action| match action {
        ValidationAction::Deny => "Deny",
        ValidationAction::Warn => "Warn",
        ValidationAction::Audit => "Audit",
    });
    actions.collect::<Vec<_>>().join(", ")
}

fn degraded(policy: &LoadedPolicy, registered: Option<&Registration>, progress: &Progress, overdue: bool) -> Verdict {
    if let Some(problem) = &policy.problem {
        let kept = match registered {
            Some(before) => format!("generation {} stays in use", before.running.generation),
            None => "nothing is enforced".to_owned(),
        };
        return Verdict::new(true, "NotLoaded", format!("{problem}; {kept}"));
    }
    if overdue && !progress.behind.is_empty() {
        let named = progress.behind.iter().take(MAX_NAMED).map(|(name, error)| match error {
            Some(error) => format!("{name} ({error})"),
            None => name.clone(),
        });
        let named = named.collect::<Vec<_>>().join(", ");
        let more = progress.behind.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return Verdict::new(true, "ReplicasBehind", format!("don't run the newest version: {named}{more}"));
    }
    match &progress.missing {
        Some(missing) => Verdict::new(true, "ClusterDataMissing", missing.clone()),
        None => Verdict::new(false, "AsExpected", ""),
    }
}
