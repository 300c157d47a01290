//! Webhook configurations, derived from what policies match: pure.
//!
//! ```text
//! documents + descriptions ─ reach ─ versions ─ narrowed ─ configurations ─ apply
//!                            atoms   who shares  selectors,  at most four     server-side,
//!                                    a webhook   conditions  objects          only what changed
//! ```
//!
//! One webhook asks for all policies of a phase and failure policy, of the
//! cluster or of one namespace. It is as narrow as its policies together: rules
//! exactly theirs, selectors and exclusions where all of them have them. What a
//! webhook leaves in too much, the host leaves out; it must never leave out what
//! a policy judges.
//!
//! Never in one's own way: no rule names what the cluster or the engine needs to
//! go on ([`LeftOut`] says so), no webhook looks into exempt namespaces, and what
//! controllers write of cluster-scoped kinds passes where nobody answers (`apart`).

mod apart;
mod apply;
mod configuration;
mod narrowed;
mod reach;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use portcullis_core::contract::{Description, Phase};
use portcullis_core::matching::VITAL_NAMESPACES;
use portcullis_core::policy::{FailurePolicy, PolicyDocument, PolicyId};

pub use self::apply::{Applied, ApplyError, FIELD_MANAGER, apply};
pub(crate) use self::apply::{carry_out, delete, owner, there};
pub use self::configuration::{
    CLUSTER_POLICIES, CONFIGURATIONS, MANAGED_BY, NAMESPACED_POLICIES, OWN_POLICIES, OWN_POLICIES_PATH, own_policies,
};
pub use self::versions::Served;

use self::apart::apart;
use self::configuration::{Asked, Unanswered, Webhook};
use self::reach::{Atom, Reach, everything, is_never};

/// Namespaces that are exempt even where others are named: nodes are alive by
/// what lies there, and the control plane's own parts are recovered there.
const ALWAYS_EXEMPT: [&str; 2] = ["kube-system", "kube-node-lease"];

/// A policy that replicas run.
#[derive(Debug, Clone, Copy)]
pub struct Registered<'a> {
    /// Its document.
    pub document: &'a PolicyDocument,
    /// What it says of itself under its settings; None where its module can't be
    /// described: then its document says what it matches.
    pub description: Option<&'a Description>,
}

/// Where the API server finds the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Service, by its port for HTTPS.
    Service {
        /// Its name.
        name: String,
        /// Where it lies.
        namespace: String,
        /// The Service's own port.
        port: i32,
    },
    /// A base without a path, such as `https://127.0.0.1:8443`.
    Url(String),
}

/// How webhooks are written.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Where they are called.
    pub endpoint: &'a Endpoint,
    /// Certificates in PEM that the server's is checked by. None: not written,
    /// and left alone where another (cert-manager's injector) writes it.
    pub ca_bundle: Option<&'a [u8]>,
    /// `cert-manager.io/inject-ca-from`: `namespace/certificate`.
    pub inject_ca_from: Option<&'a str>,
    /// Namespaces that no webhook looks into.
    pub exempt_namespaces: &'a [String],
    /// Versions that the cluster serves; a version that it doesn't serve parts no policies.
    pub served: Option<&'a Served<'a>>,
    /// The uid of the ClusterRole of the controller, which owns the configurations:
    /// when the installation goes, the garbage collector takes them.
    pub owner_uid: Option<&'a str>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Options").field("endpoint", self.endpoint).finish_non_exhaustive()
    }
}

/// The configurations that there should be; one that isn't here is deleted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registrations {
    /// Of the validating phase.
    pub validating: Vec<ValidatingWebhookConfiguration>,
    /// Of the mutating phase.
    pub mutating: Vec<MutatingWebhookConfiguration>,
    /// What policies match and are not asked about, and why.
    pub left_out: Vec<LeftOut>,
}

/// A part of a policy's reach that isn't registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Whose.
    pub policy: PolicyId,
    /// What and why.
    pub reason: String,
}

/// What makes policies share a webhook, as long as their versions agree. The
/// order is that of the webhooks in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    namespace: Option<String>,
    ignore: bool,
}

/// A policy with what of its reach is registered.
struct Member<'a> {
    document: &'a PolicyDocument,
    reach: Reach,
}

/// The namespaces that are exempt where nothing else is said: the cluster's own
/// and the engine's.
#[must_use]
pub fn exempt_namespaces() -> Vec<String> {
    VITAL_NAMESPACES.iter().map(|namespace| (*namespace).to_owned()).collect()
}

/// The webhook configurations that ask for these policies: the same for the
/// same policies, in whatever order they come.
#[must_use]
pub fn registrations(policies: &[Registered<'_>], options: &Options<'_>) -> Registrations {
    let mut exempt = options.exempt_namespaces.to_vec();
    exempt.extend(ALWAYS_EXEMPT.iter().map(|namespace| (*namespace).to_owned()));
    let options = &Options { exempt_namespaces: &exempt, ..*options };
    let mut left_out = Vec::new();
    let mut groups: BTreeMap<Group, [Vec<Member<'_>>; 2]> = BTreeMap::new();
    let mut sorted = policies.to_vec();
    sorted.sort_by(|one, other| one.document.id.cmp(&other.document.id));
    for policy in sorted {
        let id = &policy.document.id;
        if let Some(namespace) = id.namespace.as_ref().filter(|namespace| options.exempt_namespaces.contains(namespace))
        {
            let reason = format!(
                "the namespace {namespace} is exempt, so that the engine can't keep the cluster from recovering"
            );
            left_out.push(LeftOut { policy: id.clone(), reason });
            continue;
        }
        let reach = match registered(policy, options) {
            Ok((reach, never)) => {
                left_out.extend(never.map(|reason| LeftOut { policy: id.clone(), reason }));
                reach
            }
            Err(reason) => {
                left_out.push(LeftOut { policy: id.clone(), reason });
                continue;
            }
        };
        let ignore = policy.document.spec.failure_policy == FailurePolicy::Ignore;
        let group = groups.entry(Group { namespace: id.namespace.clone(), ignore }).or_default();
        let [validating, mutating] = group;
        let members = if phase(policy.description) == Phase::Mutating { mutating } else { validating };
        members.push(Member { document: policy.document, reach });
    }
    let webhooks = |phase: Phase| -> Vec<Webhook> {
        let of_phase = groups.iter().map(|(group, [validating, mutating])| {
            (group, if phase == Phase::Mutating { mutating } else { validating })
        });
        of_phase.flat_map(|(group, members)| of_group(group, phase, members, options)).collect()
    };
    Registrations {
        validating: configuration::validating(&webhooks(Phase::Validating), options),
        mutating: configuration::mutating(&webhooks(Phase::Mutating), options),
        left_out,
    }
}

/// What a policy names, for whoever judges set-ups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Kinds that are in no rule.
    pub(crate) never: Vec<String>,
    /// Whether there are no others.
    pub(crate) is_all_never: bool,
    /// Whether it names every kind there is, or every one of the core group.
    pub(crate) is_everything: bool,
    /// Cluster-scoped kinds that controllers write.
    pub(crate) written: Vec<String>,
}

/// What a policy names; None where nothing says that.
pub(crate) fn named(document: &PolicyDocument, description: Option<&Description>) -> Option<Named> {
    let Reach::Atoms(atoms) = Reach::of(document, description) else { return None };
    let names = |atoms: &BTreeSet<Atom>| -> Vec<String> {
        let named: BTreeSet<String> = reach::rules(atoms).iter().flat_map(configuration::resources_of).collect();
        named.into_iter().collect()
    };
    let (never, asked): (BTreeSet<Atom>, BTreeSet<Atom>) = atoms.into_iter().partition(is_never);
    let written = asked.iter().filter(|atom| apart::is_written(atom)).cloned().collect();
    Some(Named {
        never: names(&never),
        is_all_never: asked.is_empty() && !never.is_empty(),
        is_everything: asked.iter().any(Atom::is_everything),
        written: names(&written),
    })
}

/// The longest that a call may take.
pub(crate) const LONGEST_CALL: Duration = Duration::from_secs(configuration::MAX_TIMEOUT);

/// How long a call may take that asks this policy alone.
pub(crate) fn call_timeout(document: &PolicyDocument) -> Duration {
    let seconds = configuration::timeout(Phase::Validating, &[document]);
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// The phase in which a policy is asked: one that can't be described while
/// judging, where every request comes by.
fn phase(description: Option<&Description>) -> Phase {
    description.map_or(Phase::Validating, |description| description.phase)
}

/// The configuration in which a policy's rules stand, as `validating/portcullis`.
#[must_use]
pub fn carrier(document: &PolicyDocument, description: Option<&Description>) -> String {
    let word = if phase(description) == Phase::Mutating { "mutating" } else { "validating" };
    let name = if document.id.namespace.is_some() { NAMESPACED_POLICIES } else { CLUSTER_POLICIES };
    format!("{word}/{name}")
}

/// What of a policy's reach is registered, and what isn't; or why nothing is.
fn registered(policy: Registered<'_>, options: &Options<'_>) -> Result<(Reach, Option<String>), String> {
    let Reach::Atoms(atoms) = Reach::of(policy.document, policy.description) else { return Ok((Reach::Unknown, None)) };
    if atoms.is_empty() {
        return Err(
            "spec.match.resourceRules leaves nothing of what the policy declares, so it is never asked".to_owned()
        );
    }
    let (never, mut atoms): (BTreeSet<Atom>, BTreeSet<Atom>) = atoms.into_iter().partition(is_never);
    let never = (!never.is_empty()).then(|| {
        let named: BTreeSet<String> = reach::rules(&never).iter().flat_map(configuration::resources_of).collect();
        let named: Vec<String> = named.into_iter().collect();
        format!("{} are never reviewed: the cluster or the engine can't go on without them", named.join(", "))
    });
    if atoms.is_empty() {
        return Err(never.unwrap_or_default());
    }
    if policy.document.id.namespace.is_some() {
        atoms = atoms.iter().filter_map(Atom::in_namespaces).collect();
        if atoms.is_empty() {
            return Err("it matches only cluster-scoped objects, and a Policy judges its own namespace".to_owned());
        }
    }
    let atoms = match options.served {
        Some(served) => versions::served(atoms, served),
        None => atoms,
    };
    Ok((Reach::Atoms(atoms), never))
}

/// Policies that share a webhook, and what it asks for.
struct Sharing<'a> {
    documents: Vec<&'a PolicyDocument>,
    atoms: BTreeSet<Atom>,
    /// What stays in the webhook that fails closed, though it is cluster-scoped.
    kept: BTreeSet<Atom>,
    /// Nothing says what they match.
    is_unknown: bool,
}

/// The webhooks of a group: one, and as many more as versions ask for.
fn of_group(group: &Group, phase: Phase, members: &[Member<'_>], options: &Options<'_>) -> Vec<Webhook> {
    let (mut known, mut reaches, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for member in members {
        match &member.reach {
            Reach::Atoms(atoms) => {
                known.push(member.document);
                reaches.push(atoms.clone());
            }
            Reach::Unknown => unknown.push(member.document),
        }
    }
    let mut found: Vec<Sharing<'_>> = versions::share(&reaches)
        .into_iter()
        .map(|shared| {
            let documents: Vec<&PolicyDocument> =
                shared.policies.iter().filter_map(|place| known.get(*place).copied()).collect();
            let both = shared.policies.iter().filter_map(|place| Some((known.get(*place)?, reaches.get(*place)?)));
            let kept = both.filter(|(document, _)| document.spec.fail_closed_cluster_scoped);
            let kept = kept.flat_map(|(_, reach)| reach.iter().cloned()).collect();
            Sharing { documents, atoms: shared.atoms(), kept, is_unknown: false }
        })
        .collect();
    if !unknown.is_empty() {
        // By itself: it must not ask for what the others may well have judged.
        let mut atoms = everything();
        if group.namespace.is_some() {
            atoms = atoms.iter().filter_map(Atom::in_namespaces).collect();
        }
        let is_kept = unknown.iter().any(|document| document.spec.fail_closed_cluster_scoped);
        let kept = if is_kept { atoms.clone() } else { BTreeSet::new() };
        found.push(Sharing { documents: unknown, atoms, kept, is_unknown: true });
    }
    let mut webhooks = Vec::new();
    for (place, Sharing { documents, atoms, kept, is_unknown }) in found.iter().enumerate() {
        let asked = Asked {
            documents,
            namespace: group.namespace.as_deref(),
            phase,
            unanswered: Unanswered::Ignore,
            place,
            atoms,
            is_unknown: *is_unknown,
            apart: None,
        };
        if group.ignore {
            webhooks.push(Webhook::new(&asked, options));
            continue;
        }
        let apart = apart(atoms, kept);
        for (unanswered, atoms) in [(Unanswered::Fail, &apart.closed), (Unanswered::FailCluster, &apart.open)] {
            if !atoms.is_empty() {
                let asked = Asked { unanswered, atoms, apart: Some(&apart), ..asked };
                webhooks.push(Webhook::new(&asked, options));
            }
        }
    }
    webhooks
}
