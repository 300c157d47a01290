//! `portcullis check`: manifests judged as the server would judge them (law 7).
//!
//! ```text
//! paths ─ input ─ manifest ─┬ kinds, removed, convert   which object, in which version
//!                           ├ defaults                  what the API server makes of it
//!                           └ remarks, fields, schema   what it would refuse or drop
//! manifests ─ request ─ review ─ judge (two passes) ─ core::admit ─ report
//!      └ cluster: what look-ups go to
//! ```
//! What can't be read never hides the results of the rest, and results come in
//! the order of the input, however many are judged at a time.

mod cluster;
mod convert;
pub mod defaults;
pub mod fields;
pub mod input;
mod judge;
pub mod labels;
pub mod manifest;
mod remarks;
pub mod removed;
pub mod request;
mod review;
pub mod schema;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, Stream, StreamExt};
use portcullis_core::admit::Policy;
use portcullis_core::cluster::{Answer, Budget, ClusterView};
use portcullis_core::contract::Phase;
use portcullis_core::kinds::Kinds;
use portcullis_core::objects::group;
use portcullis_core::report::ObjectIdentity;

pub use judge::{CALL_TIMEOUT, Judge, Judged};

use self::cluster::{Cluster, View};
use self::input::Input;
use self::judge::{Task, Underway, namespace_of};
use self::labels::NamespaceLabel;
use self::manifest::{Manifest, Manifests, Subject};
use self::request::{Manner, Parent, is_scaled};

/// Subjects that are judged at a time, for each core: some wait for their turn
/// in the engine.
const TASKS_PER_CORE: usize = 4;

/// What is judged, over what.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Files, folders and patterns; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    /// What the cluster holds besides.
    pub cluster: Vec<PathBuf>,
    /// Whether that is all.
    pub complete: bool,
    /// What was there before: objects that are found here are updated.
    pub old: Vec<PathBuf>,
    /// How the objects are written.
    pub manner: Manner,
    /// For namespaced objects that name no namespace.
    pub namespace: String,
    /// Labels that namespaces have besides their own.
    pub namespace_labels: Vec<NamespaceLabel>,
}

/// All that is known before anything is judged.
#[derive(Debug, Default)]
pub struct Prepared {
    tasks: Vec<Task>,
    cluster: Cluster,
    user: request::User,
    /// Input that can't be read or judged: the run ends with exit code 2.
    pub problems: Vec<String>,
    /// Objects that are not judged, and why.
    pub warnings: Vec<String>,
    /// Documents of folders that are no Kubernetes objects.
    pub skipped: Vec<String>,
}

impl Prepared {
    /// Reads the input.
    pub fn read(options: &Options) -> Prepared {
        let given = input::read(&options.inputs);
        let around = input::read(&options.cluster);
        let before = input::read(&options.old);
        let mut kinds = Kinds::default();
        for documents in [&around.documents, &before.documents, &given.documents] {
            manifest::learn(&mut kinds, documents);
        }
        let mut prepared = Prepared { user: options.manner.user.clone(), ..Prepared::default() };
        let namespace = options.namespace.as_str();
        let around = prepared.take(around, &kinds, namespace);
        let before = prepared.take(before, &kinds, namespace);
        prepared.warnings.clear();
        prepared.skipped.clear();
        let given = prepared.take(given, &kinds, namespace);
        if given.subjects.is_empty() && prepared.problems.is_empty() && prepared.warnings.is_empty() {
            let inputs: Vec<String> = options.inputs.iter().map(|path| path.display().to_string()).collect();
            let skipped = match prepared.skipped.len() {
                0 => String::new(),
                count => format!(" ({count} documents are none)"),
            };
            prepared.problems.push(format!("{}: there is no Kubernetes object to check{skipped}", inputs.join(", ")));
        }
        prepared.cluster = Cluster {
            around: around.objects().map(|manifest| manifest.object.clone()).collect(),
            complete: options.complete,
            namespaces: namespaces(&around, &given),
            labels: options.namespace_labels.clone(),
            live: None,
        };
        let before = Before::of(&before, &around, &given);
        prepared.aim(given, &before, &kinds, &options.manner);
        prepared
    }

    /// Look-ups that the given objects don't answer go to this view of a cluster,
    /// and what is asked about as a change is one of what it holds.
    pub async fn over(mut self, live: Arc<dyn ClusterView>) -> Prepared {
        for task in &mut self.tasks {
            let Some(name) = task.lacks_old() else { continue };
            if let Answer::Found(old) = live.get(&name, &Budget::until(Instant::now() + CALL_TIMEOUT)).await {
                task.set_old(old.to_string());
            }
        }
        self.cluster.live = Some(live);
        self
    }

    fn aim(&mut self, given: Manifests, before: &Before, kinds: &Kinds, manner: &Manner) {
        for (number, subject) in given.subjects.into_iter().enumerate() {
            match subject {
                Subject::Review(document) => self.tasks.push(Task::Review(document)),
                Subject::Object(mut manifest) => {
                    let old = before.of_object(&manifest.identity, manner);
                    match manner.aim(&manifest, old, before.parents(&manifest.identity)) {
                        Ok(aim) => {
                            manifest.remark(kinds);
                            self.tasks.push(Task::Write { manifest, aim: Box::new(aim), number });
                        }
                        Err(reason) => {
                            let document = &manifest.document;
                            self.cluster.around.extend(manifest.is_stored().then(|| manifest.object.clone()));
                            self.warnings.push(format!("{}:{}: {reason}", document.source, document.start.line));
                        }
                    }
                }
            }
        }
        if self.tasks.is_empty() && !self.warnings.is_empty() && manner.subresource.is_some() {
            self.problems.push("nothing of the input has this subresource; see the warnings".to_owned());
        }
    }

    fn take(&mut self, input: Input, kinds: &Kinds, namespace: &str) -> Manifests {
        let mut manifests = Manifests::of(input.documents, kinds, namespace);
        self.problems.extend(input.problems);
        self.problems.append(&mut manifests.problems);
        self.warnings.append(&mut manifests.warnings);
        self.skipped.append(&mut manifests.skipped);
        manifests
    }

    /// How many subjects there are to judge.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is nothing to judge.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Judges everything, several at a time; what comes out is in the order of
    /// the input. An error is a review that can't be read.
    pub fn judge(self, policies: Vec<Arc<Policy>>, now: Duration) -> impl Stream<Item = Result<Judged, String>> {
        let judge = Arc::new(Judge::new(policies, self.user, now));
        let cluster = self.cluster;
        let begun: Vec<_> = self.tasks.into_iter().map(|task| Ok(task.begin())).collect();
        let passes = async move {
            let written = view(&cluster, &begun);
            let mutated: Vec<_> = pass(Phase::Mutating, &judge, written, begun).collect().await;
            let admitted = view(&cluster, &mutated);
            pass(Phase::Validating, &judge, admitted, mutated)
        };
        stream::once(passes).flatten().map(|judged| judged.and_then(Underway::finish))
    }
}

/// A task between passes, or why there is none.
type Passed = Result<Underway, String>;

fn pass(phase: Phase, judge: &Arc<Judge>, view: Arc<View>, tasks: Vec<Passed>) -> impl Stream<Item = Passed> + use<> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let judge = judge.clone();
    let started = tasks.into_iter().map(move |task| {
        let (judge, view) = (judge.clone(), view.clone());
        async move {
            let task = task?;
            let judged = tokio::spawn(async move { judge.pass(phase, task, view).await }).await;
            judged.unwrap_or_else(|error| Err(format!("the judge failed: {error}")))
        }
    });
    stream::iter(started).buffered(cores * TASKS_PER_CORE)
}

/// The cluster with the objects of the input as they are now.
fn view(cluster: &Cluster, tasks: &[Passed]) -> Arc<View> {
    let stored = tasks.iter().flatten().filter_map(Underway::stored);
    Arc::new(cluster.view(stored.map(str::to_owned)))
}

/// Reads manifests as what a cluster holds: their objects as JSON, and what
/// can't be read.
pub fn read_cluster(paths: &[PathBuf], namespace: &str) -> (Vec<String>, Vec<String>) {
    let input = input::read(paths);
    let mut kinds = Kinds::default();
    manifest::learn(&mut kinds, &input.documents);
    let mut prepared = Prepared::default();
    let manifests = prepared.take(input, &kinds, namespace);
    (manifests.objects().map(|manifest| manifest.object.clone()).collect(), prepared.problems)
}

/// The namespaces that objects of the input and of the cluster lie in.
fn namespaces(around: &Manifests, given: &Manifests) -> BTreeSet<String> {
    let objects = around.objects().chain(given.objects()).map(|manifest| manifest.identity.namespace.clone());
    let reviews = given.subjects.iter().filter_map(|subject| match subject {
        Subject::Review(document) => namespace_of(document),
        Subject::Object(_) => None,
    });
    objects.chain(reviews).filter(|namespace| !namespace.is_empty()).collect()
}

/// What was there before, by what names an object whatever its version.
struct Before {
    old: HashMap<[String; 4], String>,
    around: HashMap<[String; 4], String>,
    /// By namespace and name.
    workloads: HashMap<[String; 2], Vec<Parent>>,
}

impl Before {
    fn of(before: &Manifests, around: &Manifests, given: &Manifests) -> Before {
        let by_name = |manifests: &Manifests| {
            manifests.objects().map(|manifest| (name(&manifest.identity), manifest.object.clone())).collect()
        };
        let mut workloads: HashMap<[String; 2], Vec<Parent>> = HashMap::new();
        let scaled = |manifest: &&Manifest| is_scaled(&manifest.identity.kind);
        for manifest in [before, around, given].into_iter().flat_map(Manifests::objects).filter(scaled) {
            let ObjectIdentity { api_version, namespace, name, .. } = manifest.identity.clone();
            let plural = manifest.resource.plural.clone();
            let parent = Parent { api_version, plural, object: manifest.object.clone() };
            workloads.entry([namespace, name]).or_default().push(parent);
        }
        Before { old: by_name(before), around: by_name(around), workloads }
    }

    /// What was there: as `--old` says, or, where it was asked for a change, as
    /// the cluster does.
    fn of_object(&self, identity: &ObjectIdentity, manner: &Manner) -> Option<String> {
        let name = name(identity);
        let is_change = manner.operation.is_some() || manner.subresource.is_some();
        let around = || self.around.get(&name).filter(|_| is_change);
        self.old.get(&name).or_else(around).cloned()
    }

    fn parents(&self, identity: &ObjectIdentity) -> &[Parent] {
        let name = [identity.namespace.clone(), identity.name.clone()];
        self.workloads.get(&name).map_or(&[], Vec::as_slice)
    }
}

fn name(identity: &ObjectIdentity) -> [String; 4] {
    let group = group(&identity.api_version).to_owned();
    [group, identity.kind.clone(), identity.namespace.clone(), identity.name.clone()]
}
