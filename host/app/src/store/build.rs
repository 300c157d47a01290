//! From a document to a policy that can be asked: module bytes, compiled module,
//! settings checked, configured, matched. In parallel, because Cranelift takes
//! seconds; each module is loaded once, whoever asks first, and the documents of
//! a built-in one are configured and compiled together.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::num::NonZero;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use portcullis_core::admit::Policy;
use portcullis_core::contract::{Configuration, Description};
use portcullis_core::evaluate::Evaluate;
use portcullis_core::matching::Matcher;
use portcullis_core::policy::{DocumentError, PolicyDocument, PolicyId};
use portcullis_engine::{ConfigureError, Configured, Engine, Limits, MAX_MODULE_BYTES, Module};
use portcullis_kube::PolicyVersion;
use sha2::{Digest, Sha256};

use super::documents::Place;
use super::{Candidate, Problem, Running, settings};

/// Before the name of a module that is part of the binary.
const BUILTIN: &str = "builtin/";
/// Compiling more policies than this at a time takes memory, not less time.
const MAX_THREADS: usize = 16;

/// What a document became.
pub(super) struct Built {
    pub(super) document: PolicyDocument,
    pub(super) file: String,
    /// Of which version of its object; None where it is of a file.
    pub(super) version: Option<PolicyVersion>,
    pub(super) policy: Arc<Policy>,
    /// Why it can't run, where it can't.
    pub(super) problem: Option<Problem>,
}

/// The bytes of a module and their digest.
struct Binary {
    bytes: Bytes,
    digest: String,
}

enum Bytes {
    Embedded(&'static [u8]),
    Read(Vec<u8>),
}

/// What policies are built for.
#[derive(Default)]
pub(super) enum Purpose {
    /// To be asked.
    #[default]
    Run,
    /// To say what they match and read, which is far less work. Modules are kept
    /// from one pass to the next.
    Describe(Modules),
}

impl Purpose {
    fn is_to_run(&self) -> bool {
        matches!(self, Purpose::Run)
    }
}

/// What was loaded: module by digest.
pub(super) type Modules = Mutex<HashMap<String, Arc<OnceLock<Result<Module, String>>>>>;

/// Why a policy can't run: the document's field and what is wrong.
struct Broken {
    error: DocumentError,
    /// What is known of it all the same.
    description: Option<Box<Description>>,
}

impl From<&DocumentError> for Broken {
    fn from(error: &DocumentError) -> Broken {
        Broken { error: error.clone(), description: None }
    }
}

/// Builds all candidates, in their order. What runs unchanged is taken as it is.
pub(super) fn all(
    engine: &Engine,
    candidates: Vec<Candidate>,
    running: &BTreeMap<PolicyId, Running>,
    purpose: &Purpose,
) -> Vec<Built> {
    let own = Modules::default();
    let modules = match purpose {
        Purpose::Run => &own,
        Purpose::Describe(kept) => kept,
    };
    let groups = groups(&candidates);
    let next = AtomicUsize::new(0);
    let built: Vec<OnceLock<Vec<Built>>> = groups.iter().map(|_| OnceLock::new()).collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS).min(groups.len());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(group), Some(slot)) = (groups.get(index), built.get(index)) else { return };
            let group: Vec<&Candidate> = group.iter().filter_map(|place| candidates.get(*place)).collect();
            // No other thread has this index.
            let _ = slot.set(of_group(engine, modules, &group, running, purpose));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let built = groups.into_iter().zip(built);
    let mut built: Vec<(usize, Built)> =
        built.flat_map(|(places, built)| places.into_iter().zip(built.into_inner().into_iter().flatten())).collect();
    built.sort_by_key(|(place, _)| *place);
    built.into_iter().map(|(_, built)| built).collect()
}

/// The places of candidates that are built in one go: those of one built-in
/// module share a snapshot, and an instance in the validating phase. An
/// author's policy is alone, whatever stands beside it in its module.
fn groups(candidates: &[Candidate]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut builtin: HashMap<&str, usize> = HashMap::new();
    for (place, candidate) in candidates.iter().enumerate() {
        let module = candidate.document.spec.module.as_str();
        match builtin.get(module) {
            Some(group) => groups[*group].push(place),
            None => {
                if module.starts_with(BUILTIN) {
                    builtin.insert(module, groups.len());
                }
                groups.push(vec![place]);
            }
        }
    }
    // By name, so that whoever gives the same policies in another order gets the
    // same code: what was compiled beforehand from a set serves a cluster's objects.
    for group in &mut groups {
        group.sort_by(|one, other| candidates[*one].document.id.cmp(&candidates[*other].document.id));
    }
    groups
}

/// Builds candidates of one module.
fn of_group(
    engine: &Engine,
    modules: &Modules,
    candidates: &[&Candidate],
    running: &BTreeMap<PolicyId, Running>,
    purpose: &Purpose,
) -> Vec<Built> {
    let Some(first) = candidates.first() else { return Vec::new() };
    let started = Instant::now();
    let binary = match read(&first.document.spec.module, &first.place) {
        Ok(binary) => binary,
        Err(error) => {
            let aside = |one: &&Candidate| set_aside(one, "", Broken { error: error.clone(), description: None });
            return candidates.iter().map(aside).collect();
        }
    };
    let mut built: Vec<Option<Built>> =
        candidates.iter().map(|one| unchanged(one, running.get(&one.document.id), &binary)).collect();
    let new: Vec<usize> = (0..built.len()).filter(|place| built[*place].is_none()).collect();
    let mut wanted = Vec::new();
    if !new.is_empty() {
        let module = load(engine, modules, &first.document.spec.module, &binary);
        for place in &new {
            let one = candidates[*place];
            match module.as_ref().map_err(Broken::from).and_then(|module| prepare(module, &one.document)) {
                Ok(prepared) => wanted.push((*place, prepared)),
                Err(broken) => built[*place] = Some(set_aside(one, &binary.digest, broken)),
            }
        }
        if let (Ok(module), false) = (module, wanted.is_empty()) {
            // Those that run beside a new one are configured again with it, so
            // that they can still be asked in one call.
            let runs = |place: &usize| {
                purpose.is_to_run() && built[*place].as_ref().is_some_and(|one| one.policy.evaluator.is_ok())
            };
            let beside = (0..built.len()).filter(runs);
            let beside = beside.filter_map(|place| Some((place, prepare(&module, &candidates[place].document).ok()?)));
            wanted.extend(beside.collect::<Vec<_>>());
            configure(&module, candidates, wanted, &mut built, &Origin { digest: &binary.digest, started, purpose });
        }
    }
    built.into_iter().flatten().collect()
}

/// From what, and since when, a policy is built.
struct Origin<'a> {
    digest: &'a str,
    started: Instant,
    purpose: &'a Purpose,
}

/// Configures documents of one module, by their places; those that are built
/// already only where a new one joins them.
fn configure(
    module: &Module,
    candidates: &[&Candidate],
    mut wanted: Vec<(usize, Prepared)>,
    built: &mut [Option<Built>],
    origin: &Origin<'_>,
) {
    wanted.sort_by_key(|(place, _)| *place);
    let configurations: Vec<_> = wanted.iter().map(|(_, prepared)| prepared.wanted.clone()).collect();
    let configured = match origin.purpose {
        Purpose::Run => module.configure_each(&configurations),
        Purpose::Describe(_) => module.describe_each(&configurations),
    };
    let configured = wanted.into_iter().zip(configured);
    let results: Vec<_> = configured
        .map(|((place, Prepared { description, .. }), configured)| {
            let broken = |error, description| Broken { error, description: Some(Box::new(description)) };
            let matched = match configured {
                Ok(configured) => match matched(candidates[place], &configured.description) {
                    Ok(matcher) => Ok((configured, matcher)),
                    Err(error) => Err(broken(error, configured.description)),
                },
                Err(error) => Err(broken(refused(error), description)),
            };
            (place, matched)
        })
        .collect();
    let joins = results.iter().any(|(place, result)| built[*place].is_none() && result.is_ok());
    for (place, result) in results {
        match result {
            Ok((configured, matcher)) if joins => {
                built[place] = Some(loaded(candidates[place], configured, matcher, origin));
            }
            Err(broken) if built[place].is_none() => {
                built[place] = Some(set_aside(candidates[place], origin.digest, broken));
            }
            Ok(_) | Err(_) => {}
        }
    }
}

/// What a configured policy matches, where it may match that.
fn matched(candidate: &Candidate, description: &Description) -> Result<Matcher, DocumentError> {
    if let Some(tenants) = &candidate.place.tenants {
        tenants.allow(&candidate.document, description)?;
    }
    Matcher::new(&candidate.document, Some(description))
}

/// What runs, or was refused, of this very document and module.
fn unchanged(candidate: &Candidate, running: Option<&Running>, binary: &Binary) -> Option<Built> {
    let Candidate { document, place, version } = candidate;
    let mut known = running.into_iter().flat_map(|running| [Some(running), running.refused.as_deref()]).flatten();
    let known = known.find(|known| known.document == *document && known.policy.digest == binary.digest)?;
    let Running { document, policy, problem, .. } = known.clone();
    Some(Built { document, file: place.file.clone(), version: version.clone(), policy, problem })
}

fn loaded(candidate: &Candidate, configured: Configured, matcher: Matcher, origin: &Origin<'_>) -> Built {
    let Origin { digest, started, .. } = *origin;
    let Candidate { document, place, version } = candidate;
    for warning in &configured.warnings {
        tracing::warn!(policy = %document.id, warning, "policy loaded with a warning");
    }
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::info!(policy = %document.id, module = document.spec.module, digest, micros, "policy loaded");
    let evaluator: Arc<dyn Evaluate> = configured.evaluator;
    let policy = Policy {
        document: document.clone(),
        description: Some(configured.description.into()),
        digest: digest.to_owned(),
        matcher,
        evaluator: Ok(evaluator),
    };
    let (file, version) = (place.file.clone(), version.clone());
    Built { document: document.clone(), file, version, policy: Arc::new(policy), problem: None }
}

/// A document whose settings fit their schema, ready to be configured.
struct Prepared {
    description: Description,
    wanted: (Configuration, Limits),
}

/// The module, loaded by whoever asks first.
fn load(engine: &Engine, modules: &Modules, name: &str, binary: &Binary) -> Result<Module, DocumentError> {
    let slot = {
        let mut modules = modules.lock().unwrap_or_else(PoisonError::into_inner);
        modules.entry(binary.digest.clone()).or_default().clone()
    };
    let module = slot.get_or_init(|| {
        tracing::info!(module = name, digest = binary.digest, "loading module");
        engine.load(binary.bytes.as_slice()).map_err(|error| error.to_string())
    });
    module.clone().map_err(|reason| DocumentError::new("spec.module", format!("{name} can't be loaded: {reason}")))
}

fn prepare(module: &Module, document: &PolicyDocument) -> Result<Prepared, Broken> {
    let description = described(module, document).map_err(|error| Broken { error, description: None })?;
    settings::check(&description.settings, &document.spec.settings)
        .map_err(|error| Broken { error, description: Some(Box::new(description.clone())) })?;
    let configuration = Configuration { policy: description.name.clone(), settings: document.spec.settings.clone() };
    let limits = Limits { timeout: document.spec.timeout, memory: document.spec.memory };
    Ok(Prepared { description: description.clone(), wanted: (configuration, limits) })
}

/// Which of the module's policies the document means.
fn described<'m>(module: &'m Module, document: &PolicyDocument) -> Result<&'m Description, DocumentError> {
    let names =
        || module.descriptions().iter().map(|description| description.name.as_str()).collect::<Vec<_>>().join(", ");
    match (&document.spec.policy, module.descriptions()) {
        (Some(name), _) => module.description(name).ok_or_else(|| {
            DocumentError::new("spec.policy", format!("is {name:?}; {} has {}", document.spec.module, names()))
        }),
        (None, [only]) => Ok(only),
        (None, _) => Err(DocumentError::new(
            "spec.policy",
            format!("is missing; {} has several: {}", document.spec.module, names()),
        )),
    }
}

fn refused(error: ConfigureError) -> DocumentError {
    match error {
        ConfigureError::Settings(misfits) => match misfits.into_iter().next() {
            Some(misfit) if !misfit.finding.path.is_empty() => {
                DocumentError::new(format!("spec.settings.{}", misfit.finding.path), misfit.finding.message)
            }
            Some(misfit) => DocumentError::new("spec.settings", misfit.finding.message),
            None => DocumentError::new("spec.settings", "are refused by the policy, without a reason"),
        },
        error => DocumentError::new("spec", error.to_string()),
    }
}

/// A policy that can't run: its failurePolicy answers for what it matches.
fn set_aside(candidate: &Candidate, digest: &str, broken: Broken) -> Built {
    let Candidate { document, place, version } = candidate;
    let Broken { error, description } = broken;
    let description = description.map(|description| *description);
    let matcher = Matcher::new(document, description.as_ref()).or_else(|_| {
        // A broken condition counts as a match (the API server's rule for `where`).
        let mut widened = document.clone();
        widened.spec.matching.conditions.clear();
        widened.spec.matching.namespace_selector = Default::default();
        widened.spec.matching.object_selector = Default::default();
        Matcher::new(&widened, description.as_ref()).or_else(|_| Matcher::new(&widened, None))
    });
    let problem = Problem { policy: Some(document.id.clone()), ..place.problem(&error.path, error.message.clone()) };
    let policy = Policy {
        document: document.clone(),
        description: description.map(Into::into),
        digest: digest.to_owned(),
        matcher: matcher
            .unwrap_or_else(|error| unreachable!("a matcher without conditions and selectors can't fail: {error}")),
        evaluator: Err(error.to_string()),
    };
    let (file, version) = (place.file.clone(), version.clone());
    Built { document: document.clone(), file, version, policy: Arc::new(policy), problem: Some(problem) }
}

fn read(module: &str, place: &Place) -> Result<Binary, DocumentError> {
    let refuse = |message: String| DocumentError::new("spec.module", message);
    if let Some(name) = module.strip_prefix(BUILTIN) {
        let Some(module) = portcullis_bundle::module(name) else {
            let known: Vec<String> =
                portcullis_bundle::modules().iter().map(|module| format!("{BUILTIN}{}", module.name)).collect();
            return Err(refuse(format!("is {module:?}; built in are {}", known.join(", "))));
        };
        let digest = module.digest.strip_prefix("sha256:").unwrap_or(module.digest).to_owned();
        return Ok(Binary { bytes: Bytes::Embedded(module.bytes), digest });
    }
    if module.contains("://") {
        return Err(refuse(format!("is {module:?}; this version loads builtin/NAME and files, such as ./policy.wasm")));
    }
    let Some(folder) = &place.folder else {
        return Err(refuse(format!("is {module:?}; {}", place.without_folder)));
    };
    if place.is_confined() && !stays_below(module) {
        return Err(refuse(format!(
            "is {module:?}; a policy object names builtin/NAME, or ./FILE.wasm in the folder of modules"
        )));
    }
    let path = folder.join(module);
    let bytes = bytes(&path).map_err(|reason| {
        refuse(format!("{} can't be read: {reason}; a path is relative to {}", path.display(), place.relative_to()))
    })?;
    let digest = format!("{:x}", Hex(Sha256::digest(&bytes).into()));
    Ok(Binary { bytes: Bytes::Read(bytes), digest })
}

/// Whether a path can't leave the folder that it is joined to.
fn stays_below(module: &str) -> bool {
    Path::new(module).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    if metadata.len() > MAX_MODULE_BYTES as u64 {
        return Err(format!("it has {} bytes, a module has at most {MAX_MODULE_BYTES}", metadata.len()));
    }
    fs::read(path).map_err(|error| error.to_string())
}

/// Where the module of a document lies, so that it can be watched.
pub(super) fn module_path(module: &str, folder: &Path) -> Option<PathBuf> {
    (!module.starts_with(BUILTIN) && !module.contains("://")).then(|| folder.join(module))
}

struct Hex([u8; 32]);

impl std::fmt::LowerHex for Hex {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Embedded(bytes) => bytes,
            Bytes::Read(bytes) => bytes,
        }
    }
}
