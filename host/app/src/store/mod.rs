//! Policy documents: from files and folders, the built-in ones, or a cluster's
//! objects, to policies that can be asked.
//!
//! ```text
//! files, objects ─ documents (parsed, with lines) ─ module bytes ─ build (threads) ─ Loaded
//!                                                                     │
//!                           what ran before ──────────────────────────┘ kept where the new one is broken
//! ```
//! [`load`] does it once, for `check` and `policies`; [`Store`] does it again and
//! again for `serve` and `controller`. What didn't change (module digest and
//! document) is not built again; a broken new version never replaces a working
//! old one, and a start that finds it broken falls back to the last that loaded.

mod build;
mod cluster;
mod connected;
mod documents;
mod follow;
mod proposals;
mod settings;
mod snapshots;
mod tenants;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_core::admit::Policy;
use portcullis_core::policy::{PolicyDocument, PolicyId};
use portcullis_engine::Engine;
use portcullis_kube::{PolicyObject, PolicyVersion};
use serde_json::Value;

use crate::yaml;
use documents::{Found, Place};
use portcullis_bundle::Set;

pub use cluster::{ClusterError, cluster};
pub use connected::Connected;
pub use follow::{Surroundings, follow};
pub use proposals::{Opinion, Proposals};
pub use snapshots::{Current, Snapshots};
pub use tenants::{MAX_TENANT_POLICIES, TenantRules};

/// What a built-in set's name begins with on the command line, as a built-in
/// module's does in a document.
const BUILTIN: &str = "builtin/";

/// Where policy documents come from, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

/// One place of policy documents.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// A set that is part of the binary.
    Set(Set),
    /// A set that the binary doesn't have.
    NoSet(String),
    /// A file or folder.
    Path(PathBuf),
    /// The policy objects of a cluster, as [`Store::take_objects`] was given them.
    Objects(ObjectSource),
}

/// How a cluster's policy objects are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectSource {
    /// Where modules that are no part of the binary are mounted; none are
    /// allowed where this is absent.
    pub modules: Option<PathBuf>,
    /// What the namespaced ones may do.
    pub tenants: TenantRules,
}

/// What a load came to.
pub struct Loaded {
    /// In the order in which they are asked: by `order`, then by name. A policy
    /// that can't run is among them where its document could be read.
    pub policies: Vec<Arc<Policy>>,
    /// What is wrong, in the order of the files.
    pub problems: Vec<Problem>,
    /// For each policy object, what became of it.
    pub objects: BTreeMap<PolicyId, ObjectOutcome>,
}

/// What became of a policy object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectOutcome {
    /// Its newest version.
    pub version: PolicyVersion,
    /// The generation that runs; None where none does.
    pub runs: Option<i64>,
    /// Why the newest doesn't.
    pub problem: Option<String>,
}

/// A document that can't be used as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or `builtin:<set>`.
    pub file: String,
    /// From 1; None where the whole file is meant.
    pub line: Option<usize>,
    /// Which policy, where that could be read.
    pub policy: Option<PolicyId>,
    /// What is wrong and what would be right.
    pub reason: String,
    /// Whether an earlier version stays in use.
    pub kept: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if let Some(policy) = &self.policy {
            write!(formatter, ": policy {policy}")?;
        }
        write!(formatter, ": {}", self.reason)
    }
}

impl Sources {
    /// What `--policy` says: files, folders, `builtin/<set>`; nothing means the
    /// baseline.
    pub fn of_flags(paths: &[PathBuf]) -> Sources {
        if paths.is_empty() {
            return Sources(vec![Source::Set(portcullis_bundle::BASELINE)]);
        }
        let source = |path: &PathBuf| match builtin(path) {
            Some(name) => portcullis_bundle::set(name).map_or_else(|| Source::NoSet(name.to_owned()), Source::Set),
            None => Source::Path(path.clone()),
        };
        Sources(paths.iter().map(source).collect())
    }

    /// The files and folders that they read.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter_map(|source| match source {
            Source::Path(path) => Some(path.as_path()),
            Source::Objects(objects) => objects.modules.as_deref(),
            Source::Set(_) | Source::NoSet(_) => None,
        })
    }

    /// The policy objects of a cluster, and nothing else.
    pub fn of_cluster(objects: ObjectSource) -> Sources {
        Sources(vec![Source::Objects(objects)])
    }

    /// Whether all that is named is there.
    ///
    /// # Errors
    /// Names the first that isn't.
    pub fn exist(&self) -> Result<(), Problem> {
        let missing = |file: String, reason: String| Problem { file, line: None, policy: None, reason, kept: false };
        for source in &self.0 {
            match source {
                Source::NoSet(name) => {
                    let sets: Vec<String> =
                        portcullis_bundle::sets().iter().map(|set| format!("{BUILTIN}{}", set.name)).collect();
                    let reason = format!("no such set is built in; there are {}", sets.join(" and "));
                    return Err(missing(format!("{BUILTIN}{name}"), reason));
                }
                Source::Path(path) if !path.exists() => {
                    let reason = "no such file or folder; --policy names a file or a folder of policy documents, or a built-in set such as builtin/strict";
                    return Err(missing(path.display().to_string(), reason.to_owned()));
                }
                Source::Set(_) | Source::Path(_) | Source::Objects(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether this names a built-in set rather than a file or folder.
pub fn is_builtin(path: &Path) -> bool {
    builtin(path).is_some()
}

/// The documents of a built-in set, as JSON that a cluster takes as objects.
///
/// # Errors
/// Names the sets that there are.
pub fn builtin_documents(set: &Path) -> Result<Vec<Value>, Problem> {
    let sources = Sources::of_flags(std::slice::from_ref(&set.to_owned()));
    sources.exist()?;
    let [Source::Set(found)] = &sources.0[..] else {
        let reason = "is no built-in set; name one such as builtin/baseline".to_owned();
        return Err(Problem { file: set.display().to_string(), line: None, policy: None, reason, kept: false });
    };
    let contents = yaml::read(found.name, found.documents.as_bytes());
    // The sets are part of this program, and a test loads each.
    Ok(contents.documents.iter().filter_map(|document| serde_json::from_str(&document.json).ok()).collect())
}

/// The built-in sets, as `--policy` names them.
pub fn builtin_sets() -> Vec<PathBuf> {
    portcullis_bundle::sets().iter().map(|set| PathBuf::from(format!("{BUILTIN}{}", set.name))).collect()
}

/// The name of the built-in set that is meant; `./builtin/x` is a path.
fn builtin(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix(BUILTIN)
}

/// Loads everything once. Blocks while policies compile.
pub fn load(sources: &Sources, engine: &Engine) -> Loaded {
    Store::new(sources.clone(), engine.clone()).load()
}

/// Loads again and again, and remembers what ran.
pub struct Store {
    sources: Sources,
    engine: Engine,
    objects: Vec<Arc<PolicyObject>>,
    purpose: build::Purpose,
    running: BTreeMap<PolicyId, Running>,
}

/// A policy that was loaded, and from what.
#[derive(Clone)]
struct Running {
    policy: Arc<Policy>,
    /// As it stood in the file; the policy's own may have been narrowed.
    document: PolicyDocument,
    file: String,
    /// Of which version of its object; None where it is of a file.
    version: Option<PolicyVersion>,
    /// What was wrong with it, where it was set aside.
    problem: Option<Problem>,
    /// A newer version that can't run, so that it isn't tried again and again.
    refused: Option<Arc<Running>>,
}

/// A document and what it is to become.
struct Candidate {
    document: PolicyDocument,
    place: Place,
    /// Of which version of its object; None where it is of a file.
    version: Option<PolicyVersion>,
}

impl Store {
    /// Nothing is loaded yet.
    pub fn new(sources: Sources, engine: Engine) -> Store {
        Store { sources, engine, objects: Vec::new(), purpose: build::Purpose::Run, running: BTreeMap::new() }
    }

    /// One whose policies say what they match and read, and can't be asked.
    pub fn to_describe(sources: Sources, engine: Engine) -> Store {
        Store { purpose: build::Purpose::Describe(build::Modules::default()), ..Store::new(sources, engine) }
    }

    /// The cluster's policy objects from now on.
    pub fn take_objects(&mut self, objects: Vec<Arc<PolicyObject>>) {
        self.objects = objects;
    }

    /// Where documents come from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Reads all documents and builds what changed. Blocks while policies compile.
    pub fn load(&mut self) -> Loaded {
        let Found { documents, fallbacks, mut problems, unreadable } = documents::find(&self.sources, &self.objects);
        let candidates = unique(documents, &mut problems);
        let named: BTreeSet<PolicyId> = candidates.iter().map(|candidate| candidate.document.id.clone()).collect();
        let built = build::all(&self.engine, candidates, &self.running, &self.purpose);
        self.fall_back(&built, &problems, fallbacks);

        let mut running = BTreeMap::new();
        for built in built {
            let id = built.document.id.clone();
            let before = self.running.remove(&id);
            running.insert(id, settle(built, before, &mut problems));
        }
        // What a file held before it became unreadable stays in use.
        for (id, before) in std::mem::take(&mut self.running) {
            let broken = problems.iter_mut().find(|problem| problem.policy.as_ref() == Some(&id));
            let file = Path::new(&before.file);
            if named.contains(&id) || (broken.is_none() && !unreadable.iter().any(|path| file.starts_with(path))) {
                continue;
            }
            let works = before.policy.evaluator.is_ok();
            match broken {
                Some(problem) => problem.kept = works,
                None => {
                    let of_file = problems
                        .iter_mut()
                        .filter(|problem| problem.policy.is_none() && file.starts_with(&problem.file));
                    of_file.for_each(|problem| problem.kept |= works);
                }
            }
            running.insert(id, before);
        }
        self.running = running;
        let mut policies: Vec<_> = self.running.values().map(|running| running.policy.clone()).collect();
        policies.sort_by(|a, b| order(a).cmp(&order(b)));
        problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let objects = self.outcomes(&problems);
        Loaded { policies, problems, objects }
    }

    /// Where the newest version of an object is broken and none ran before in
    /// this process, the last that loaded in any is built, and counts as what
    /// ran before.
    fn fall_back(&mut self, built: &[build::Built], problems: &[Problem], fallbacks: Vec<Candidate>) {
        let works = |id: &PolicyId| self.running.get(id).is_some_and(|running| running.problem.is_none());
        let broken = |id: &PolicyId| {
            let unread = problems.iter().any(|problem| problem.policy.as_ref() == Some(id));
            unread || built.iter().any(|built| built.document.id == *id && built.problem.is_some())
        };
        let needed = |candidate: &Candidate| broken(&candidate.document.id) && !works(&candidate.document.id);
        let needed: Vec<_> = fallbacks.into_iter().filter(needed).collect();
        if needed.is_empty() {
            return;
        }
        for built in build::all(&self.engine, needed, &BTreeMap::new(), &self.purpose) {
            if built.problem.is_none() {
                tracing::warn!(policy = %built.document.id, "the newest version is broken; the last that loaded is in use");
                self.running.insert(built.document.id.clone(), Running::of(built));
            }
        }
    }

    /// What became of each policy object.
    fn outcomes(&self, problems: &[Problem]) -> BTreeMap<PolicyId, ObjectOutcome> {
        let outcome = |object: &Arc<PolicyObject>| {
            let running = self.running.get(&object.id);
            let working = running.filter(|running| running.policy.evaluator.is_ok());
            let runs = working.and_then(|running| running.version.as_ref());
            let problem = problems.iter().find(|problem| problem.policy.as_ref() == Some(&object.id));
            let outcome = ObjectOutcome {
                version: object.version.clone(),
                runs: runs.filter(|runs| runs.uid == object.version.uid).map(|runs| runs.generation),
                problem: problem.map(|problem| problem.reason.clone()),
            };
            (object.id.clone(), outcome)
        };
        self.objects.iter().map(outcome).collect()
    }
}

impl Running {
    fn of(built: build::Built) -> Running {
        let build::Built { document, file, version, policy, problem } = built;
        Running { policy, document, file, version, problem, refused: None }
    }
}

fn order(policy: &Policy) -> (i32, &PolicyId) {
    (policy.document.spec.order, &policy.document.id)
}

/// The first document of each name; the others are problems that name both.
fn unique(documents: Vec<Candidate>, problems: &mut Vec<Problem>) -> Vec<Candidate> {
    let mut first: BTreeMap<PolicyId, String> = BTreeMap::new();
    let mut unique = Vec::new();
    for candidate in documents {
        let id = &candidate.document.id;
        match first.get(id) {
            None => {
                first.insert(id.clone(), candidate.place.to_string());
                unique.push(candidate);
            }
            Some(place) => problems.push(Problem {
                policy: Some(id.clone()),
                ..candidate.place.problem(
                    "metadata.name",
                    format!("is a second document of this name; the first stands at {place} and counts"),
                )
            }),
        }
    }
    unique
}

/// What runs from now on: the new version, or the old one where the new is broken.
fn settle(built: build::Built, before: Option<Running>, problems: &mut Vec<Problem>) -> Running {
    let mut new = Running::of(built);
    let works = before.filter(|before| new.problem.is_some() && before.problem.is_none());
    if let Some(problem) = &mut new.problem {
        problem.kept = works.is_some();
        problems.push(problem.clone());
    }
    match works {
        Some(before) => Running { refused: Some(Arc::new(new)), ..before },
        None => new,
    }
}
