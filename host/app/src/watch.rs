//! Says when files may have changed: by inotify (or what the system has), and by
//! a slow tick for what it misses.
//!
//! Folders are watched, not files: kubelet swaps the `..data` symlink in the
//! folder of a mounted Secret or ConfigMap, an editor replaces a file by a
//! rename. A report means "look again", never "this changed": whoever listens
//! compares what it reads with what it has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// A change is reported once nothing has followed it for this long: kubelet,
/// `kubectl cp` and editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// Never later than this, however long the writing goes on.
const LATEST: Duration = Duration::from_secs(1);
/// For changes that the system doesn't report (network file systems).
const TICK: Duration = Duration::from_secs(60);
/// Instead of that where nothing can be watched.
const TICK_ALONE: Duration = Duration::from_secs(10);

/// Watches paths until it is dropped.
pub struct Watch {
    events: mpsc::Receiver<()>,
    tick: Duration,
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches these files, and these folders with what is below them.
    pub fn new(paths: Vec<PathBuf>) -> Watch {
        let (sender, events) = mpsc::channel(1);
        match watcher(&paths, sender) {
            Ok(watcher) => Watch { events, tick: TICK, _watcher: Some(watcher) },
            Err(error) => {
                tracing::warn!(%error, every_seconds = TICK_ALONE.as_secs(), "changes of files are not reported here, they are looked for");
                Watch { events, tick: TICK_ALONE, _watcher: None }
            }
        }
    }

    /// Returns when something may have changed.
    pub async fn changed(&mut self) {
        match timeout(self.tick, self.events.recv()).await {
            Ok(Some(())) => {}
            Ok(None) => {
                sleep(self.tick).await;
                return;
            }
            Err(_) => return,
        }
        let latest = Instant::now() + LATEST;
        while let Ok(Some(())) = timeout(QUIET, self.events.recv()).await {
            if Instant::now() >= latest {
                return;
            }
        }
    }
}

fn watcher(paths: &[PathBuf], sender: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let read_only = matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(_)));
        if !read_only {
            // A full channel already says it.
            let _ = sender.try_send(());
        }
    })?;
    let mut flat = BTreeSet::new();
    for path in paths {
        flat.insert(parent(path));
        // Where a link leads, or a folder's own content, can change as well.
        if let Ok(target) = path.canonicalize() {
            if target.is_dir() {
                watcher.watch(&target, RecursiveMode::Recursive)?;
            } else {
                flat.insert(parent(&target));
            }
        }
    }
    for folder in flat {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
