//! A kind of object, mirrored from the API server: for the few and small objects
//! that steer Portcullis itself (policies, leases). What policies look up lies
//! in the watch cache.
//!
//! What is held is replaced as a whole when a list has been read to its end, so
//! a broken connection never makes an object look deleted.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use kube::Api;
use kube::core::{Resource, ResourceExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// After a failure, the first wait.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest: an administrator who has just applied the missing CRD or role
/// shouldn't wait for the half minute that kube's own has.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Every try begins with an event, so only what holds longer is a success.
const CALM: Duration = Duration::from_secs(10);

/// Namespace (empty for none) and name.
pub(crate) type Key = (String, String);

/// What is known of a kind.
#[derive(Debug)]
pub(crate) struct Held<K> {
    /// By namespace and name.
    pub(crate) objects: BTreeMap<Key, Arc<K>>,
    /// Whether they have been read to the end once.
    pub(crate) synced: bool,
    /// Why the watch fails, where it does.
    pub(crate) failing: Option<String>,
}

impl<K> Default for Held<K> {
    fn default() -> Held<K> {
        Held { objects: BTreeMap::new(), synced: false, failing: None }
    }
}

impl<K> Clone for Held<K> {
    fn clone(&self) -> Held<K> {
        Held { objects: self.objects.clone(), synced: self.synced, failing: self.failing.clone() }
    }
}

/// A mirror; its watch ends with it.
#[derive(Debug)]
pub(crate) struct Mirror<K> {
    held: watch::Receiver<Held<K>>,
    task: JoinHandle<()>,
}

impl<K> Drop for Mirror<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<K> Mirror<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    /// Begins to watch. `what` names the kind in log lines.
    pub(crate) fn start(api: Api<K>, config: watcher::Config, what: String) -> Mirror<K> {
        let (sender, held) = watch::channel(Held::default());
        let task = tokio::spawn(follow(api, config, sender, what));
        Mirror { held, task }
    }

    /// What is held now.
    pub(crate) fn now(&mut self) -> Held<K> {
        self.held.borrow_and_update().clone()
    }

    /// Returns when something may have changed since [`Mirror::now`].
    pub(crate) async fn changed(&mut self) {
        if self.held.changed().await.is_err() {
            // The task ends only with the mirror.
            std::future::pending::<()>().await;
        }
    }
}

async fn follow<K>(api: Api<K>, config: watcher::Config, sender: watch::Sender<Held<K>>, what: String)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let mut events = watcher(api, config).backoff(ResetTimerBackoff::new(Pauses::default(), CALM)).boxed();
    let mut listed = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.insert(key(&object), Arc::new(object));
            }
            Ok(Event::InitDone) => {
                let objects = std::mem::take(&mut listed);
                sender.send_replace(Held { objects, synced: true, failing: None });
            }
            Ok(Event::Apply(object)) => sender.send_modify(|held| {
                held.failing = None;
                held.objects.insert(key(&object), Arc::new(object));
            }),
            Ok(Event::Delete(object)) => sender.send_modify(|held| {
                held.failing = None;
                held.objects.remove(&key(&object));
            }),
            Err(error) => {
                let reason = crate::told_of_watch(&error);
                sender.send_if_modified(|held| {
                    let news = held.failing.as_deref() != Some(reason.as_str());
                    if news {
                        tracing::warn!(what, reason, "the watch fails and is tried again");
                    }
                    held.failing = Some(reason);
                    news
                });
            }
        }
    }
}

/// From one failure to the next twice as long, until something succeeds.
pub(crate) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Pauses {
        Pauses(FIRST_PAUSE)
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        *self = Pauses::default();
    }
}

fn key<K: Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}
