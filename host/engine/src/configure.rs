//! `configure`: settings in, a policy that can be asked out.
//!
//! ```text
//! configure ─> warm-up ─> snapshot ─> compile ─> proof ─┐
//!     │                      └ can't be taken ──────────┴─> each fresh instance is configured
//!     └ findings: the settings are wrong
//! ```
//! All of it is kept in the cache, so that known settings of a known module
//! need no guest call at all.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use portcullis_core::contract::{Configuration, Description, SettingsFinding};
use portcullis_core::evaluate::{Call, Company, Evaluate, EvaluateTogether, Evaluation, Failure};
use portcullis_core::view::UnitedViews;
use serde::{Deserialize, Serialize};
use wasmtime::component::Component;

use crate::artifact::Key;
use crate::describe::description;
use crate::engine::{MAX_MEMORY, Shared};
use crate::evaluator::{Evaluator, Together};
use crate::instance::{self, Starter, Template};
use crate::intake::LoadError;
use crate::module::Module;
use crate::proof;
use crate::snapshot::{self, SnapshotState};
use crate::wait::block_on;

/// Policies that share one snapshot, at most: what each was configured to is in
/// every instance's memory.
const MAX_TOGETHER: usize = 32;

/// What was made of some configurations: what the cache keeps, and the code.
pub(crate) type Made = (Record, Component);

/// What one policy may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time that it may run in one call.
    pub timeout: Duration,
    /// Bytes of memory; at most [`MAX_MEMORY`].
    pub memory: usize,
}

impl Limits {
    /// What any policy may use at most.
    const MOST: Limits = Limits { timeout: Duration::MAX, memory: MAX_MEMORY };

    /// The lesser of both, in each.
    pub(crate) fn least(&self, other: &Limits) -> Limits {
        Limits { timeout: self.timeout.min(other.timeout), memory: self.memory.min(other.memory) }
    }
}

/// A policy under its settings, ready to be asked.
pub struct Configured {
    /// The reach under these settings.
    pub description: Description,
    /// What answers.
    pub evaluator: Arc<dyn Evaluate>,
    /// Whether its settings are parsed already.
    pub snapshot: SnapshotState,
    /// What whoever runs it should know.
    pub warnings: Vec<String>,
}

/// Why a policy can't be configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigureError {
    /// The module doesn't have it.
    #[error("the module has no policy {policy:?}; it has {}", .known.join(", "))]
    UnknownPolicy {
        /// The name asked for.
        policy: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Its settings are wrong.
    #[error("{}", .0.iter().map(Misfit::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<Misfit>),
    /// `configure` went wrong.
    #[error("`configure` failed: {0}")]
    Failed(#[source] Failure),
    /// What `configure` answered isn't what was asked.
    #[error("`configure` gave a malformed answer: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// It doesn't start within its own limits.
    #[error("{policy} doesn't start within its limits: {failure}")]
    Start {
        /// The policy.
        policy: String,
        /// What happened.
        #[source]
        failure: Failure,
    },
    /// It could not be compiled after all.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// A policy that was described and not compiled.
struct OnlyDescribed;

impl OnlyDescribed {
    const REASON: &str = "this process describes policies and doesn't run them";
}

impl Evaluate for OnlyDescribed {
    fn evaluate<'a>(&'a self, _: Call<'a>) -> BoxFuture<'a, Evaluation> {
        let outcome = Err(Failure::Broken { reason: OnlyDescribed::REASON.to_owned() });
        ready(Evaluation { outcome, ran: Duration::ZERO }).boxed()
    }
}

/// One setting that is wrong, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Place among the configurations given.
    pub index: usize,
    /// The policy's name.
    pub policy: String,
    /// What is wrong.
    pub finding: SettingsFinding,
}

/// One policy as the guest is told of it.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) id: u32,
    pub(crate) policy: String,
    pub(crate) settings: String,
}

/// What the cache keeps beside the compiled code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    descriptions: Vec<Description>,
    snapshot: SnapshotState,
    warnings: Vec<String>,
    /// Which compiled code; empty where it isn't kept.
    artifact: String,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Misfit { policy, finding: SettingsFinding { path, message }, .. } = self;
        match path.as_str() {
            "" => write!(formatter, "settings of {policy}: {message}"),
            path => write!(formatter, "settings of {policy}: {path}: {message}"),
        }
    }
}

impl Module {
    /// Configures one policy. Blocks while it compiles.
    pub fn configure(&self, configuration: Configuration, limits: Limits) -> Result<Configured, ConfigureError> {
        let mut configured = self.configure_all(&[(configuration, limits)])?;
        configured.pop().ok_or_else(|| malformed("nothing was configured"))
    }

    /// Configures several policies, which then share one snapshot and its
    /// compiled code, and offer to be asked in one call ([`Evaluate::company`]):
    /// only for a module whose policies may see what each of them sees. Blocks
    /// while it compiles.
    pub fn configure_all(&self, wanted: &[(Configuration, Limits)]) -> Result<Vec<Configured>, ConfigureError> {
        let setups: Arc<[Setup]> = self.setups(wanted)?.into();
        let cache = &self.inner.shared.cache;
        let mut parts = vec![self.digest().as_bytes()];
        for setup in setups.iter() {
            parts.extend([setup.policy.as_bytes(), setup.settings.as_bytes()]);
        }
        let key = cache.key("configure", &parts);
        // Equal documents are compiled once: who comes second waits for the first.
        let slot =
            self.inner.made.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default().clone();
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match slot.take().or_else(|| self.kept(&key)) {
            Some(made) => made,
            None => self.make(&key, &setups)?,
        };
        let (record, component) = slot.insert(made);
        self.assemble(&setups, wanted, record, component)
    }

    /// As [`Module::configure_all`], but one that can't be configured doesn't
    /// take the others down: who is refused for its settings is left out, and
    /// where something else goes wrong each is configured by itself.
    pub fn configure_each(&self, wanted: &[(Configuration, Limits)]) -> Vec<Result<Configured, ConfigureError>> {
        wanted.chunks(MAX_TOGETHER).flat_map(|wanted| self.configure_chunk(wanted)).collect()
    }

    fn configure_chunk(&self, wanted: &[(Configuration, Limits)]) -> Vec<Result<Configured, ConfigureError>> {
        let mut results: Vec<Option<Result<Configured, ConfigureError>>> = wanted.iter().map(|_| None).collect();
        loop {
            let left: Vec<usize> = (0..wanted.len()).filter(|index| results[*index].is_none()).collect();
            let these: Vec<_> = left.iter().map(|index| wanted[*index].clone()).collect();
            match self.configure_all(&these) {
                Ok(all) => left.iter().zip(all).for_each(|(index, one)| results[*index] = Some(Ok(one))),
                Err(ConfigureError::Settings(misfits)) if left.len() > 1 => {
                    for misfit in misfits {
                        let index = left[misfit.index];
                        let misfit = Misfit { index: 0, ..misfit };
                        match &mut results[index] {
                            Some(Err(ConfigureError::Settings(of_policy))) => of_policy.push(misfit),
                            result => *result = Some(Err(ConfigureError::Settings(vec![misfit]))),
                        }
                    }
                }
                Err(_) => {
                    for (index, (configuration, limits)) in left.iter().zip(these) {
                        results[*index] = Some(self.configure(configuration, limits));
                    }
                }
            }
            if results.iter().all(Option::is_some) {
                return results.into_iter().flatten().collect();
            }
        }
    }

    /// What policies say of themselves under their settings, each by itself,
    /// without the snapshot and the code that it takes to ask them: for who
    /// registers policies and doesn't run them.
    pub fn describe_each(&self, wanted: &[(Configuration, Limits)]) -> Vec<Result<Configured, ConfigureError>> {
        wanted.iter().map(|wanted| self.describe_configured(wanted)).collect()
    }

    fn describe_configured(&self, wanted: &(Configuration, Limits)) -> Result<Configured, ConfigureError> {
        let setups = self.setups(std::slice::from_ref(wanted))?;
        let loadable = self.inner.loadable()?;
        let configured = block_on(snapshot::configured(&self.inner.shared, &loadable, &setups));
        let described = self.descriptions_of(&setups, configured.map_err(ConfigureError::Failed)?)?;
        let description = described.into_iter().next().ok_or_else(|| malformed("nothing was configured"))?;
        Ok(Configured {
            description,
            evaluator: Arc::new(OnlyDescribed),
            snapshot: SnapshotState::Absent { reason: OnlyDescribed::REASON.to_owned() },
            warnings: Vec::new(),
        })
    }

    fn setups(&self, wanted: &[(Configuration, Limits)]) -> Result<Vec<Setup>, ConfigureError> {
        let known = || self.descriptions().iter().map(|description| description.name.clone()).collect();
        let setups = wanted.iter().zip(0..).map(|((configuration, _), id)| {
            let Configuration { policy, settings } = configuration;
            match self.description(policy) {
                None => Err(ConfigureError::UnknownPolicy { policy: policy.clone(), known: known() }),
                Some(_) => Ok(Setup { id, policy: policy.clone(), settings: settings.to_string() }),
            }
        });
        setups.collect()
    }

    fn kept(&self, key: &Key) -> Option<Made> {
        let Shared { cache, run, .. } = &*self.inner.shared;
        let record: Record = cache.record(key)?;
        let component = cache.component(run, &record.artifact)?;
        Some((record, component))
    }

    /// Configures, takes a snapshot where that can be done, compiles and proves.
    fn make(&self, key: &Key, setups: &Arc<[Setup]>) -> Result<Made, ConfigureError> {
        let shared = &self.inner.shared;
        let loadable = self.inner.loadable()?;
        let taken = block_on(snapshot::take(shared, &loadable, setups));
        let taken = taken.map_err(ConfigureError::Failed)?;
        let descriptions = self.descriptions_of(setups, taken.configured)?;
        let proven = taken.snapshot.and_then(|snapshot| {
            let compiled = shared.cache.compile(&shared.run, &snapshot.component);
            let (component, artifact) = compiled.map_err(|error| format!("it doesn't compile: {error:#}"))?;
            let template = Template::new(&shared.run_linker, &component).map_err(|error| error.to_string())?;
            let proof = proof::prove(shared, &loadable, &template, setups, &descriptions)?;
            let mut warnings = taken.warnings.clone();
            warnings.extend(proof.warnings);
            Ok((
                SnapshotState::Taken { warmed_up: snapshot.warmed_up, proofs: proof.samples },
                component,
                artifact,
                warnings,
            ))
        });
        let (snapshot, component, artifact, warnings) = match proven {
            Ok(proven) => proven,
            Err(reason) => {
                let compiled = shared.cache.compile(&shared.run, &loadable.component);
                let (component, artifact) =
                    compiled.map_err(|error| LoadError::Invalid { reason: format!("{error:#}") })?;
                let mut warnings = taken.warnings;
                warnings.push(format!("no snapshot, so settings are parsed for every request: {reason}"));
                (SnapshotState::Absent { reason }, component, artifact, warnings)
            }
        };
        let record = Record { descriptions, snapshot, warnings, artifact: artifact.clone().unwrap_or_default() };
        if artifact.is_some() {
            shared.cache.keep_record(key, &record);
        }
        Ok((record, component))
    }

    /// Reads what `configure` answered: one description a policy, or findings.
    fn descriptions_of(
        &self,
        setups: &[Setup],
        configured: instance::Configured,
    ) -> Result<Vec<Description>, ConfigureError> {
        let answers = match configured {
            Ok(answers) => answers,
            Err(findings) => return Err(misfits(setups, &findings)),
        };
        if answers.len() != setups.len() {
            return Err(malformed(format!("{} descriptions for {} policies", answers.len(), setups.len())));
        }
        let descriptions = setups.iter().map(|setup| {
            let text = answers.iter().find(|(id, _)| *id == setup.id).map(|(_, text)| text);
            let text = text.ok_or_else(|| malformed(format!("no description for {}", setup.policy)))?;
            let description = description(text, self.capabilities())
                .map_err(|(_, reason)| malformed(format!("the description of {}: {reason}", setup.policy)))?;
            let widest = self.description(&setup.policy);
            if widest.is_none_or(|widest| widest.name != description.name || widest.phase != description.phase) {
                let reason = format!("the description of {} has another name or phase than at first", setup.policy);
                return Err(malformed(reason));
            }
            Ok(description)
        });
        descriptions.collect()
    }

    fn assemble(
        &self,
        setups: &Arc<[Setup]>,
        wanted: &[(Configuration, Limits)],
        record: &Record,
        component: &Component,
    ) -> Result<Vec<Configured>, ConfigureError> {
        let shared = &self.inner.shared;
        let template = Template::new(&shared.run_linker, component)?;
        let configure = match record.snapshot {
            SnapshotState::Taken { .. } => None,
            SnapshotState::Absent { .. } => Some(Arc::clone(setups)),
        };
        let starter = Starter { shared: Arc::clone(shared), template, configure };
        let members: Vec<(Arc<str>, Limits)> = setups
            .iter()
            .zip(wanted)
            .map(|(setup, (_, limits))| (setup.policy.as_str().into(), limits.least(&Limits::MOST)))
            .collect();
        let together = (members.len() > 1 && self.capabilities().turn).then(|| {
            let together: Arc<dyn EvaluateTogether> =
                Arc::new(Together { starter: starter.clone(), members: members.clone() });
            (together, Arc::<UnitedViews>::default())
        });
        let policies = setups.iter().zip(members).zip(&record.descriptions);
        let configured = policies.map(|((setup, (policy, limits)), description)| {
            let company = together.as_ref().map(|(module, views)| Company {
                module: Arc::clone(module),
                member: setup.id,
                views: Arc::clone(views),
            });
            let slot = shared.slot_for_loading();
            block_on(starter.start(limits))
                .map_err(|failure| ConfigureError::Start { policy: setup.policy.clone(), failure })?;
            drop(slot);
            Ok(Configured {
                description: description.clone(),
                evaluator: Arc::new(Evaluator { starter: starter.clone(), id: setup.id, policy, limits, company }),
                snapshot: record.snapshot.clone(),
                warnings: record.warnings.clone(),
            })
        });
        configured.collect()
    }
}

fn misfits(setups: &[Setup], findings: &[(u32, String)]) -> ConfigureError {
    let mut misfits = Vec::with_capacity(findings.len());
    for (id, text) in findings {
        let Some((index, setup)) = setups.iter().enumerate().find(|(_, setup)| setup.id == *id) else {
            return malformed(format!("a settings finding for the unknown id {id}"));
        };
        match serde_json::from_str(text) {
            Ok(finding) => misfits.push(Misfit { index, policy: setup.policy.clone(), finding }),
            Err(error) => return malformed(format!("a settings finding of {}: {error}", setup.policy)),
        }
    }
    match misfits.is_empty() {
        true => malformed("settings were refused without a finding"),
        false => ConfigureError::Settings(misfits),
    }
}

fn malformed(reason: impl Into<String>) -> ConfigureError {
    ConfigureError::Malformed { reason: reason.into() }
}
