//! `portcullis check`: manifests judged as the server would judge them (law 7).
//!
//! ```text
//! paths ─ input ─ manifest ─ kinds, removed ─┬ tasks ─ review ─ judge ─ core::admit ─ report
//!                                            └ objects ─ others ─ ClusterView
//! ```
//! What can't be read never hides the results of the rest, and results come in
//! the order of the input, however many are judged at a time.

pub mod input;
mod judge;
pub mod kinds;
pub mod manifest;
mod others;
pub mod removed;
mod review;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use portcullis_core::admit::Policy;
use portcullis_core::contract::Operation;
use portcullis_core::objects::{Objects, group};
use portcullis_core::report::ObjectIdentity;

pub use judge::{CALL_TIMEOUT, Judge, Judged};

use self::input::Input;
use self::judge::Task;
use self::kinds::Kinds;
use self::manifest::{Manifests, Subject};

/// Subjects that are judged at a time, for each core: some wait for their turn
/// in the engine.
const TASKS_PER_CORE: usize = 4;

/// What is judged, over what.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files and folders; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    /// What the cluster holds besides.
    pub cluster: Vec<PathBuf>,
    /// Whether that is all.
    pub complete: bool,
    /// What was there before: objects that are found here are updated.
    pub old: Vec<PathBuf>,
    /// What happens to the objects; None: UPDATE where there is an old one, else CREATE.
    pub operation: Option<Operation>,
    /// For namespaced objects that name no namespace.
    pub namespace: String,
}

/// All that is known before anything is judged.
#[derive(Debug, Default)]
pub struct Prepared {
    tasks: Vec<Task>,
    objects: Vec<String>,
    complete: bool,
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
        let mut prepared = Prepared { complete: options.complete, ..Prepared::default() };
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
        prepared.objects = objects(&around, &given, options.complete);
        let old: Old = before.objects().map(|manifest| (name(&manifest.identity), manifest.object.clone())).collect();
        prepared.tasks = given
            .subjects
            .into_iter()
            .enumerate()
            .map(|(number, subject)| task(subject, number, &old, options.operation))
            .collect();
        prepared
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
        let cluster = Arc::new(Objects::new(self.objects, self.complete));
        let judge = Arc::new(Judge::new(policies, cluster, now));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let started = self.tasks.into_iter().map(move |task| {
            let judge = judge.clone();
            let place = task.place();
            async move {
                let judged = tokio::spawn(async move { judge.judge(task).await }).await;
                match judged {
                    Ok(judged) => judged.map_err(|reason| format!("{place}: {reason}")),
                    Err(error) => Err(format!("{place}: the judge failed: {error}")),
                }
            }
        });
        stream::iter(started).buffered(cores * TASKS_PER_CORE)
    }
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

/// What the cluster holds: of one name, the input's object goes before the context's.
fn objects(around: &Manifests, given: &Manifests, complete: bool) -> Vec<String> {
    let manifests = around.objects().chain(given.objects());
    let implied = if complete { manifest::implied_namespaces(manifests.clone()) } else { Vec::new() };
    let implied = implied.iter().map(|namespace| namespace.to_string());
    implied.chain(manifests.map(|manifest| manifest.object.clone())).collect()
}

/// What was there before, by what names an object whatever its version.
type Old = HashMap<[String; 4], String>;

fn name(identity: &ObjectIdentity) -> [String; 4] {
    let group = group(&identity.api_version).to_owned();
    [group, identity.kind.clone(), identity.namespace.clone(), identity.name.clone()]
}

fn task(subject: Subject, number: usize, old: &Old, operation: Option<Operation>) -> Task {
    match subject {
        Subject::Review(document) => Task::Review(document),
        Subject::Object(manifest) => {
            let old = old.get(&name(&manifest.identity)).cloned();
            let by_old = if old.is_some() { Operation::Update } else { Operation::Create };
            Task::Write { operation: operation.unwrap_or(by_old), manifest: Box::new(manifest), old, number }
        }
    }
}
