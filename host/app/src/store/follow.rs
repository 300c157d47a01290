//! Live reload: looks again whenever files may have changed, publishes what
//! came of it, and says each problem once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_core::admit::Snapshot;
use portcullis_core::cluster::ClusterView;

use super::build::module_path;
use super::{Loaded, Problem, Snapshots, Store};
use crate::telemetry::{Metrics, Reload};
use crate::watch::Watch;

/// Loads, publishes and follows the sources until the task is dropped. Compiling
/// runs on threads of its own, never on those that answer requests.
pub async fn follow(mut store: Store, cluster: Arc<dyn ClusterView>, snapshots: Arc<Snapshots>, metrics: Arc<Metrics>) {
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
        let running: Vec<_> = loaded.policies.iter().map(|policy| Arc::as_ptr(policy) as usize).collect();
        let applied = ids.as_ref() != Some(&running);
        if applied {
            publish(&loaded, &cluster, &snapshots, &metrics);
        }
        if ids.is_some() && (applied || loaded.problems != problems) {
            metrics.reloaded(Reload::Policies, loaded.problems.is_empty());
        }
        ids = Some(running);
        problems = loaded.problems;
        match &mut watch {
            Some(watch) => watch.changed().await,
            None => return,
        }
    }
}

/// What to watch: the sources, and modules that lie elsewhere.
fn paths(store: &Store) -> Vec<PathBuf> {
    let modules = store.running.values().filter_map(|running| {
        let folder = Path::new(&running.file).parent()?;
        module_path(&running.document.spec.module, folder)
    });
    let mut paths: Vec<_> = store.sources().paths().map(Path::to_owned).chain(modules).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn publish(loaded: &Loaded, cluster: &Arc<dyn ClusterView>, snapshots: &Snapshots, metrics: &Metrics) {
    let broken = loaded.policies.iter().filter(|policy| policy.evaluator.is_err()).count();
    let working = loaded.policies.len() - broken;
    let generation = snapshots.publish(Snapshot { policies: loaded.policies.clone(), cluster: cluster.clone() });
    metrics.snapshot(generation, working, broken);
    if loaded.policies.is_empty() {
        tracing::warn!(generation, "no policy documents, so nothing is judged and everything passes");
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
