//! What the cluster holds, in three answers: found, absent, unknown.
//!
//! [`ClusterView`] is what the host asks: a watch cache in a cluster, the files
//! of a run for `check`. [`Scoped`] stands between it and one review of one
//! policy: it lets through what the policy's reach declares, hands out only the
//! fields that its view names, and remembers which answers stayed unknown.
//! Absence is only ever said where it is known.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::BoxFuture;

use crate::contract::{Lookup, Verb};
use crate::json::Document;
use crate::view::project;

/// Look-ups that one review may make.
pub const MAX_LOOKUPS: usize = 256;
/// Items that one list may return.
pub const MAX_ITEMS: usize = 1_000;
/// Absences that may be confirmed by asking the API server, in one review.
pub const MAX_CONFIRMATIONS: usize = 8;
/// The part of a review's time that confirmations may take: a quarter.
const CONFIRMATION_SHARE: u32 = 4;

/// A source of objects. All answers come from memory, or inside the deadline.
pub trait ClusterView: Send + Sync {
    /// One object, with at least the fields that the policies in use look at.
    fn get<'a>(&'a self, name: &'a ObjectName, budget: &'a Budget) -> BoxFuture<'a, Answer>;

    /// Objects of a kind, with at least the fields that the policies in use look at.
    fn list<'a>(&'a self, query: &'a Query, budget: &'a Budget) -> BoxFuture<'a, Listing>;
}

/// What one review may spend on look-ups: shared by all its policies.
#[derive(Debug)]
pub struct Budget {
    arrived: Instant,
    deadline: Instant,
    confirmations: Arc<AtomicUsize>,
}

impl Budget {
    /// Of a review that arrived then and must be answered by then.
    pub fn new(arrived: Instant, deadline: Instant) -> Budget {
        Budget { arrived, deadline, confirmations: Arc::default() }
    }

    /// Of a review that arrives now.
    pub fn until(deadline: Instant) -> Budget {
        Budget::new(Instant::now(), deadline)
    }

    /// The same, for a part of the review that must end earlier.
    #[must_use]
    pub fn ending(&self, deadline: Instant) -> Budget {
        Budget { arrived: self.arrived, deadline, confirmations: self.confirmations.clone() }
    }

    /// When the review arrived. An absence that was true before isn't one for it.
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// When its answer must be there.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Takes one confirmation of an absence and says until when it may last;
    /// None where the review has had all of them, or its share of the time.
    pub fn confirm(&self) -> Option<Instant> {
        let last = self.arrived + self.deadline.saturating_duration_since(self.arrived) / CONFIRMATION_SHARE;
        let left = |used| (used < MAX_CONFIRMATIONS).then_some(used + 1);
        let taken = self.confirmations.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        (taken.is_ok() && Instant::now() < last).then_some(last)
    }
}

/// What namespaced policies may look up beside their own namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenants {
    /// Cluster-scoped kinds: group and kind.
    pub reads: Vec<(String, String)>,
}

impl Default for Tenants {
    fn default() -> Tenants {
        let kind = |group: &str, kind: &str| (group.to_owned(), kind.to_owned());
        Tenants { reads: vec![kind("storage.k8s.io", "StorageClass"), kind("networking.k8s.io", "IngressClass")] }
    }
}

/// Names one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectName {
    /// As in the object: `v1`, `storage.k8s.io/v1`.
    pub api_version: String,
    /// As in the object.
    pub kind: String,
    /// None for a cluster-scoped kind.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

/// Names several objects of a kind; conditions are and-ed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    /// As in the object.
    pub api_version: String,
    /// As in the object.
    pub kind: String,
    /// None: every namespace, or a cluster-scoped kind.
    pub namespace: Option<String>,
    /// In kubectl's syntax.
    pub label_selector: Option<String>,
    /// A declared key and its value.
    pub key: Option<(String, String)>,
    /// At most this many items.
    pub limit: usize,
}

/// The answer to a get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The object as JSON text.
    Found(Arc<str>),
    /// It is known not to be there.
    Absent,
    /// Why nothing can be said.
    Unknown(String),
}

/// The answer to a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The objects as JSON text.
    pub items: Vec<Arc<str>>,
    /// None where `items` is all there is, else why not.
    pub incomplete: Option<String>,
}

/// A look-up that got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What was asked, for a person: `StorageClass fast`, `list of Service in shop`.
    pub what: String,
    /// Why it got no answer.
    pub reason: String,
    /// Whether the review is decided all the same.
    pub optional: bool,
}

/// A look-up that the policy may not make: its error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The kind and verb are not in the reach.
    #[error("undeclared look-up: {verb} of {kind}.{api_version}; declare it in the policy's reach")]
    Undeclared {
        /// Which verb.
        verb: &'static str,
        /// Which kind.
        kind: String,
        /// In which version.
        api_version: String,
    },
    /// The key is not in the reach.
    #[error("undeclared look-up key {key:?} of {kind}; declare it in the policy's reach")]
    UndeclaredKey {
        /// Which key.
        key: String,
        /// Of which kind.
        kind: String,
    },
    /// Too many.
    #[error("more than {MAX_LOOKUPS} look-ups in one review")]
    TooMany,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "{} {}/{}", self.kind, namespace, self.name),
            None => write!(formatter, "{} {}", self.kind, self.name),
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "list of {}", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(formatter, " in {namespace}")?;
        }
        if let Some(selector) = &self.label_selector {
            write!(formatter, " with labels {selector}")?;
        }
        if let Some((key, value)) = &self.key {
            write!(formatter, " with {key}={value}")?;
        }
        Ok(())
    }
}

/// A view of the cluster for one review of one policy.
pub struct Scoped {
    view: Arc<dyn ClusterView>,
    lookups: Arc<[Lookup]>,
    budget: Arc<Budget>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    count: usize,
    needs: Vec<Need>,
    secrets: Vec<Arc<str>>,
}

impl Scoped {
    /// Lets `lookups` through to `view` within `budget`.
    pub fn new(view: Arc<dyn ClusterView>, lookups: Arc<[Lookup]>, budget: Arc<Budget>) -> Scoped {
        Scoped { view, lookups, budget, asked: Mutex::default() }
    }

    /// One object, projected.
    pub async fn get(&self, name: &ObjectName) -> Result<Answer, LookupError> {
        let declared = self.declared(&name.api_version, &name.kind, Verb::Get, None)?;
        Ok(match self.view.get(name, &self.budget).await {
            Answer::Found(object) => match projected(&object, declared) {
                Ok(object) => Answer::Found(self.handed(object, declared)),
                Err(reason) => self.unknown(name.to_string(), reason, declared.optional),
            },
            Answer::Absent => Answer::Absent,
            Answer::Unknown(reason) => self.unknown(name.to_string(), reason, declared.optional),
        })
    }

    /// Several objects, projected.
    pub async fn list(&self, query: &Query) -> Result<Listing, LookupError> {
        self.listing(query, Verb::List).await
    }

    /// How many objects there are, and why that is not all.
    pub async fn count(&self, query: &Query) -> Result<(u64, Option<String>), LookupError> {
        let listing = self.listing(query, Verb::Count).await?;
        Ok((listing.items.len() as u64, listing.incomplete))
    }

    /// The Secrets handed out so far, as they were projected.
    pub fn secrets(&self) -> Vec<Arc<str>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).secrets.clone()
    }

    /// The look-ups that got no answer so far, each once.
    pub fn needs(&self) -> Vec<Need> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).needs.clone()
    }

    async fn listing(&self, query: &Query, verb: Verb) -> Result<Listing, LookupError> {
        let key = query.key.as_ref().map(|(key, _)| key.as_str());
        let declared = self.declared(&query.api_version, &query.kind, verb, key)?;
        let mut bounded = query.clone();
        bounded.limit = match verb {
            Verb::Count => usize::MAX,
            Verb::Get | Verb::List => query.limit.min(MAX_ITEMS),
        };
        let mut listing = self.view.list(&bounded, &self.budget).await;
        if verb == Verb::List {
            let items: Result<Vec<_>, String> = listing.items.iter().map(|item| projected(item, declared)).collect();
            match items {
                Ok(items) => {
                    listing.items = items;
                    for item in &listing.items {
                        self.handed(item.clone(), declared);
                    }
                }
                Err(reason) => listing = Listing { items: Vec::new(), incomplete: Some(reason) },
            }
        }
        if let Some(reason) = &listing.incomplete {
            self.need(query.to_string(), reason.clone(), declared.optional);
        }
        Ok(listing)
    }

    fn declared(&self, api_version: &str, kind: &str, verb: Verb, key: Option<&str>) -> Result<&Lookup, LookupError> {
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.count += 1;
            if asked.count > MAX_LOOKUPS {
                return Err(LookupError::TooMany);
            }
        }
        let mut of_kind = self
            .lookups
            .iter()
            .filter(|lookup| lookup.kind == kind && lookup.api_version == api_version && lookup.verbs.contains(&verb))
            .peekable();
        if of_kind.peek().is_none() {
            return Err(LookupError::Undeclared {
                verb: match verb {
                    Verb::Get => "get",
                    Verb::List => "list",
                    Verb::Count => "count",
                },
                kind: kind.to_owned(),
                api_version: api_version.to_owned(),
            });
        }
        let Some(key) = key else {
            return of_kind.next().ok_or(LookupError::TooMany);
        };
        of_kind
            .find(|lookup| lookup.keys.iter().any(|declared| declared == key))
            .ok_or_else(|| LookupError::UndeclaredKey { key: key.to_owned(), kind: kind.to_owned() })
    }

    /// Remembers what values a policy was given from Secrets.
    fn handed(&self, object: Arc<str>, lookup: &Lookup) -> Arc<str> {
        if crate::secret::takes_secret_values(&lookup.api_version, &lookup.kind, &lookup.fields) {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).secrets.push(object.clone());
        }
        object
    }

    fn unknown(&self, what: String, reason: String, optional: bool) -> Answer {
        self.need(what, reason.clone(), optional);
        Answer::Unknown(reason)
    }

    fn need(&self, what: String, reason: String, optional: bool) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if !asked.needs.iter().any(|need| need.what == what) {
            asked.needs.push(Need { what, reason, optional });
        }
    }
}

fn projected(object: &str, lookup: &Lookup) -> Result<Arc<str>, String> {
    let document =
        Document::parse(object.as_bytes()).map_err(|error| format!("the stored object is not JSON: {error}"))?;
    Ok(project(document.root(), &lookup.fields).into())
}
