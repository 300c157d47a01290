//! Live reload: looks again whenever files or policy objects may have changed,
//! publishes what came of it, and says each problem once.
//!
//! In a cluster, a snapshot is published when all that its policies look up has
//! been read, so that neither a start nor a new policy lets anything through;
//! and a policy that is gone stays until its rules are out of the webhook.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::admit::{Policy, Snapshot};
use portcullis_core::cluster::ClusterView;
use portcullis_engine::give_back_memory;
use tokio::time::sleep;

use super::build::module_path;
use super::connected::Connected;
use super::{Loaded, Problem, Snapshots, Store};
use crate::telemetry::{Metrics, Reload};
use crate::watch::Watch;

/// What look-ups are answered from.
pub enum Surroundings {
    /// Given objects, read once.
    Given(Arc<dyn ClusterView>),
    /// A cluster.
    Connected(Box<Connected>),
}

/// How often a connected replica looks at what it may read, without a change.
const TICK: Duration = Duration::from_secs(5);

/// Loads, publishes and follows the sources until the task is dropped. Compiling
/// runs on threads of its own, never on those that answer requests.
pub async fn follow(
    mut store: Store,
    mut surroundings: Surroundings,
    snapshots: Arc<Snapshots>,
    metrics: Arc<Metrics>,
) {
    let mut problems = Vec::new();
    let mut ids = None;
    let mut watched = Vec::new();
    let mut watch = None;
    loop {
        // Watching begins before reading, so that no change falls between.
        let paths = paths(&store);
        if watch.is_none() || paths != watched {
            watch = store.sources().paths().next().is_some().then(|| Watch::new(paths.clone()));
            watched = paths;
        }
        if let Surroundings::Connected(connected) = &mut surroundings {
            connected.take_objects(&mut store).await;
        }
        let loaded = tokio::task::spawn_blocking(move || {
            let loaded = store.load();
            (store, loaded)
        });
        let loaded = match loaded.await {
            Ok((back, loaded)) => {
                store = back;
                loaded
            }
            Err(error) => {
                tracing::error!(%error, "loading policies failed, those in use stay; no further change will be seen");
                return;
            }
        };
        report(&loaded, &problems);
        let policies = match &surroundings {
            Surroundings::Given(_) => loaded.policies.clone(),
            Surroundings::Connected(connected) => connected.answered_for(&loaded),
        };
        let running: Vec<_> = policies.iter().map(|policy| Arc::as_ptr(policy) as usize).collect();
        let applied = ids.as_ref() != Some(&running);
        if applied {
            let cluster = match &mut surroundings {
                Surroundings::Given(cluster) => cluster.clone(),
                Surroundings::Connected(connected) => connected.view(&policies, &metrics).await,
            };
            publish(policies, cluster, &surroundings, &snapshots, &metrics);
        }
        // Not waited for: what was loaded is in use already.
        tokio::task::spawn_blocking(give_back_memory);
        if let Surroundings::Connected(connected) = &mut surroundings {
            connected.tell(&loaded);
        }
        if ids.is_some() && (applied || loaded.problems != problems) {
            metrics.reloaded(Reload::Policies, loaded.problems.is_empty());
        }
        ids = Some(running);
        problems = loaded.problems.clone();
        if !changed(&mut watch, &mut surroundings, &loaded, &metrics).await {
            return;
        }
    }
}

/// Returns true when something may have changed, false where nothing can.
async fn changed(
    watch: &mut Option<Watch>,
    surroundings: &mut Surroundings,
    loaded: &Loaded,
    metrics: &Metrics,
) -> bool {
    if watch.is_none() && matches!(surroundings, Surroundings::Given(_)) {
        return false;
    }
    let files = async {
        match watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    };
    match surroundings {
        Surroundings::Given(_) => {
            files.await;
            true
        }
        Surroundings::Connected(connected) => {
            tokio::pin!(files);
            let mut certificate = connected.certificate();
            loop {
                tokio::select! {
                    () = &mut files => return true,
                    () = connected.changed() => return true,
                    // The controller waits for this one's word in a rotation.
                    Ok(()) = certificate.changed() => connected.tell(loaded),
                    () = sleep(TICK) => {
                        connected.measure(metrics);
                        connected.tell(loaded);
                    }
                }
            }
        }
    }
}

/// What to watch: the sources, and modules that lie elsewhere.
fn paths(store: &Store) -> Vec<PathBuf> {
    let modules = store.running.values().filter(|running| running.version.is_none()).filter_map(|running| {
        let folder = Path::new(&running.file).parent()?;
        module_path(&running.document.spec.module, folder)
    });
    let mut paths: Vec<_> = store.sources().paths().map(Path::to_owned).chain(modules).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn publish(
    policies: Vec<Arc<Policy>>,
    cluster: Arc<dyn ClusterView>,
    surroundings: &Surroundings,
    snapshots: &Snapshots,
    metrics: &Metrics,
) {
    let broken = policies.iter().filter(|policy| policy.evaluator.is_err()).count();
    let working = policies.len() - broken;
    let is_empty = policies.is_empty();
    let tenants = match surroundings {
        Surroundings::Given(_) => Default::default(),
        Surroundings::Connected(connected) => connected.tenants(),
    };
    let generation = snapshots.publish(Snapshot { policies, cluster, tenants });
    metrics.snapshot(generation, working, broken);
    if is_empty {
        tracing::warn!(generation, "no policies, so nothing is judged and everything passes");
    } else {
        tracing::info!(generation, loaded = working, broken, "policies in use");
    }
}

fn report(loaded: &Loaded, before: &[Problem]) {
    for problem in loaded.problems.iter().filter(|problem| !before.contains(problem)) {
        let Problem { file, line, policy, reason, kept } = problem;
        let policy = policy.as_ref().map(ToString::to_string);
        let outcome = if *kept { "the version before stays in use" } else { "set aside" };
        tracing::error!(file, line, policy, reason, outcome, "policy document refused");
    }
    for problem in before.iter().filter(|problem| !loaded.problems.contains(problem)) {
        tracing::info!(file = problem.file, line = problem.line, "policy document is fine again");
    }
}
