//! What the controller remembers of the webhook configurations that it wrote,
//! and break-glass: opening the cluster by deleting one of them.
//!
//! ```text
//! kubectl delete validatingwebhookconfiguration portcullis      (nobody of ours alive)
//!    └ the controller, later: recorded, and gone ─ break-glass until …
//!         ended by: portcullis break-glass --end │ an annotation │ expiry │ re-creation by hand
//! ```
//! All of it lies in one ConfigMap, so that any step is one write and a crash
//! between two leaves a state that `decide` goes on from.
//!
//! Invariants: a configuration stands in the record only once it has been
//! written as it should be, with its owner; it is out of the record before the
//! controller deletes it; and the record of a break-glass is written before
//! anything is deleted for it.

pub(crate) mod decide;
mod glass;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};

use crate::webhooks::{FIELD_MANAGER, MANAGED_BY};

pub use self::glass::{BreakGlassError, begin, end, status};

/// The ConfigMap of the record, in the namespace of the controller.
pub const RECORD: &str = "portcullis-registrations";
/// The annotation of that ConfigMap by which kubectl ends a break-glass…
pub const ANNOTATION: &str = "portcullis.dev/break-glass";
/// …with this value.
pub const END: &str = "end";
/// How long a break-glass lasts for which nobody has said how long.
pub const EXPIRY: Duration = Duration::from_secs(4 * 60 * 60);
/// The longest: what is to be open for longer is no emergency but an uninstallation.
pub const MAX_EXPIRY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Why, where a person deleted a configuration and said nothing.
pub(crate) const DELETED: &str = "the webhook configuration was deleted, and not by the controller";
/// Bytes of a reason that are kept.
const MAX_REASON: usize = 1_024;

/// Keys of the ConfigMap.
const RECORDED: &str = "recorded";
const BREAK_GLASS: &str = "breakGlass";
const INITIAL_POLICIES: &str = "initialPolicies";

/// A moment, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

/// A configuration that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    /// Which object of its name.
    pub uid: String,
    /// The uid of the ClusterRole that owned it; of another installation it says nothing.
    #[serde(default)]
    pub owner: Option<String>,
}

/// The cluster is open: configurations are gone and aren't written again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlass {
    /// Since when.
    pub since: Moment,
    /// When the controller closes it by itself.
    pub until: Moment,
    /// Why.
    pub reason: String,
    /// Who, where that was said.
    #[serde(default)]
    pub by: Option<String>,
    /// The configurations, as `validating/portcullis`.
    pub gone: BTreeSet<String>,
}

/// All that the ConfigMap holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The configurations that were written, by `validating/portcullis`.
    pub recorded: BTreeMap<String, Recorded>,
    /// Whether the cluster is open.
    pub break_glass: Option<BreakGlass>,
    /// Somebody has asked by annotation to end that.
    pub end_asked: bool,
    /// The initial policies that were created once.
    pub initial_policies: BTreeSet<String>,
}

/// A record with the object that it was read from, to be written back where
/// nobody else has written meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) record: Record,
    /// What of it can't be read.
    pub(crate) problems: Vec<String>,
    map: ConfigMap,
    exists: bool,
}

impl Moment {
    /// This one.
    pub fn now() -> Moment {
        Moment(Timestamp::now().as_second())
    }

    /// Of a clock's time; what lies out of all range is now.
    pub fn of(time: SystemTime) -> Moment {
        Timestamp::try_from(time).map_or_else(|_| Moment::now(), |time| Moment(time.as_second()))
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// So much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Moment {
        Moment(self.0.saturating_add(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Out of a calendar's range there is nothing to write but the number.
        match Timestamp::from_second(self.0) {
            Ok(time) => write!(formatter, "{time}"),
            Err(_) => write!(formatter, "{}", self.0),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: Timestamp = text.parse().map_err(|_| {
            serde::de::Error::custom(format!("{text:?} is no moment; write one as 2026-01-31T12:00:00Z"))
        })?;
        Ok(Moment(time.as_second()))
    }
}

impl Record {
    /// Reads what the ConfigMap holds. What can't be read is named: a record of
    /// configurations is begun anew, and a break-glass that nobody can read is one
    /// that begins now, because somebody has opened the cluster on purpose.
    pub(crate) fn read(map: &ConfigMap, now: Moment) -> (Record, Vec<String>) {
        let mut problems = Vec::new();
        let data = map.data.clone().unwrap_or_default();
        let recorded = read_key(&data, RECORDED, &mut problems).unwrap_or_default();
        let initial_policies = read_key(&data, INITIAL_POLICIES, &mut problems).unwrap_or_default();
        let before = problems.len();
        let mut break_glass: Option<BreakGlass> = read_key(&data, BREAK_GLASS, &mut problems);
        if problems.len() > before {
            let recorded: &BTreeMap<String, Recorded> = &recorded;
            let gone = recorded.keys().cloned().collect();
            let reason = format!("data.{BREAK_GLASS} of the ConfigMap {RECORD} can't be read");
            break_glass = Some(BreakGlass { since: now, until: now.after(EXPIRY), reason, by: None, gone });
        }
        let end_asked = map.annotations().get(ANNOTATION).is_some_and(|value| value == END);
        (Record { recorded, break_glass, end_asked, initial_policies }, problems)
    }

    /// Writes it into the ConfigMap, and leaves there what isn't ours.
    fn write(&self, map: &mut ConfigMap) {
        // Strings, numbers and string keys: they serialise.
        let text = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
        let data = map.data.get_or_insert_default();
        data.insert(RECORDED.to_owned(), text(serde_json::to_string(&self.recorded)));
        match &self.break_glass {
            Some(open) => data.insert(BREAK_GLASS.to_owned(), text(serde_json::to_string(open))),
            None => data.remove(BREAK_GLASS),
        };
        if !self.initial_policies.is_empty() || data.contains_key(INITIAL_POLICIES) {
            data.insert(INITIAL_POLICIES.to_owned(), text(serde_json::to_string(&self.initial_policies)));
        }
        if !self.end_asked && map.annotations().get(ANNOTATION).is_some_and(|value| value == END) {
            map.annotations_mut().remove(ANNOTATION);
        }
    }

    /// Whether this configuration is gone in a break-glass.
    #[must_use]
    pub fn is_open(&self, name: &str) -> bool {
        self.break_glass.as_ref().is_some_and(|open| open.gone.contains(name))
    }
}

fn read_key<T: serde::de::DeserializeOwned>(
    data: &BTreeMap<String, String>,
    key: &str,
    problems: &mut Vec<String>,
) -> Option<T> {
    let text = data.get(key)?;
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            problems.push(format!("data.{key} of the ConfigMap {RECORD} can't be read: {error}; delete the key"));
            None
        }
    }
}

impl Held {
    /// Reads the record; where there is none, an empty one.
    pub(crate) async fn read(client: &Client, namespace: &str) -> kube::Result<Held> {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let found = api.get_opt(RECORD).await?;
        let exists = found.is_some();
        let map = found.unwrap_or_else(|| {
            let (key, value) = MANAGED_BY;
            let labels = [(key, value), ("app.kubernetes.io/name", "portcullis")];
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let metadata = ObjectMeta {
                name: Some(RECORD.to_owned()),
                namespace: Some(namespace.to_owned()),
                labels: Some(labels.into()),
                ..ObjectMeta::default()
            };
            ConfigMap { metadata, ..ConfigMap::default() }
        });
        let (record, problems) = Record::read(&map, Moment::now());
        Ok(Held { record, problems, map, exists })
    }

    /// Writes another record in its place, if it is another; fails where
    /// somebody else has written since it was read.
    pub(crate) async fn replace(&mut self, client: &Client, namespace: &str, record: Record) -> kube::Result<()> {
        if record == self.record && self.problems.is_empty() {
            return Ok(());
        }
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let mut map = self.map.clone();
        record.write(&mut map);
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.map = match self.exists {
            true => api.replace(RECORD, &parameters, &map).await?,
            false => api.create(&parameters, &map).await?,
        };
        self.exists = true;
        self.problems.clear();
        self.record = record;
        Ok(())
    }
}

/// A text that isn't longer than a person reads.
fn shortened(reason: &str) -> String {
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", reason.get(..end).unwrap_or_default()),
        None => reason.to_owned(),
    }
}
