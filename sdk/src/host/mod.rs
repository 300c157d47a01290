//! What a policy may ask of its host: the cluster, the clock, the log.
//!
//! In a guest each call is the import itself, called from nowhere else, so that
//! a module imports only what its policies call. Natively the calls go to
//! whatever stands in for the host: the test harness's fake cluster.
//! Nothing here guesses: an answer that can't be read is *unknown*.

mod batch;
pub mod raw;

use std::marker::PhantomData;

pub use batch::{Batch, BatchAnswers, Ticket};

use crate::kind::Kind;
use crate::read::from_json;

#[cfg(target_arch = "wasm32")]
use crate::guest::imports as calls;

/// The host, for the time of one review.
#[derive(Clone)]
pub struct Host {
    #[cfg(not(target_arch = "wasm32"))]
    calls: std::rc::Rc<dyn HostCalls>,
    /// One thread, one review.
    not_send: PhantomData<*const ()>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Host")
    }
}

/// The answer to a get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// The object is there.
    Found(T),
    /// The object isn't there.
    Absent,
    /// Why nothing can be said. A policy that needs the answer reports *undecided*.
    Unknown(String),
}

/// The answer to a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The objects.
    pub items: Vec<T>,
    /// Whether they are all there is.
    pub complete: bool,
    /// Why not, where they aren't.
    pub reason: Option<String>,
}

/// The answer to a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How many are known of.
    pub count: u64,
    /// Whether they are all there is.
    pub complete: bool,
    /// Why not, where they aren't.
    pub reason: Option<String>,
}

/// Which objects of a kind a list or a count is about; conditions are and-ed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    namespace: Option<String>,
    label_selector: Option<String>,
    key: Option<(String, String)>,
    limit: u32,
}

impl Default for Query {
    fn default() -> Self {
        Self { namespace: None, label_selector: None, key: None, limit: Self::DEFAULT_LIMIT }
    }
}

impl Query {
    /// What a list returns at most unless told: enough for classes, few enough for a review's time.
    pub const DEFAULT_LIMIT: u32 = 500;

    /// Every object of the kind.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Those in this namespace.
    #[must_use]
    pub fn within(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Those with such labels, in kubectl's syntax: `app=mongo,tier in (db,cache)`.
    #[must_use]
    pub fn labelled(mut self, selector: impl Into<String>) -> Self {
        self.label_selector = Some(selector.into());
        self
    }

    /// Those that hold this value at a declared key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.key = Some((key.into(), value.into()));
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For whoever writes the policy.
    Debug,
    /// For whoever runs it.
    Info,
    /// Something is odd.
    Warn,
    /// Something is broken.
    Error,
}

/// A point in time: the same for every call and policy of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    /// Since 1970-01-01T00:00:00Z.
    pub seconds: u64,
    /// Within the second.
    pub nanoseconds: u32,
}

/// What stands in for the host on a native target.
#[cfg(not(target_arch = "wasm32"))]
pub trait HostCalls {
    /// Answers one look-up; the answer is of the look-up's own sort.
    fn lookup(&self, lookup: &raw::Lookup) -> raw::LookupAnswer;
    /// When the request arrived.
    fn now(&self) -> Instant;
    /// Takes a line.
    fn log(&self, level: LogLevel, message: &str);
}

/// The same calls, to the stand-in.
#[cfg(not(target_arch = "wasm32"))]
mod calls {
    use super::{Answer, Host, Instant, Listing, LogLevel, Tally, raw};

    const WRONG_SORT: &str = "a stand-in for the host answers a look-up with its own sort of answer";

    pub(super) fn get(host: &Host, name: raw::ObjectName) -> Answer<String> {
        match host.calls.lookup(&raw::Lookup::Get(name)) {
            raw::LookupAnswer::Get(answer) => answer,
            _ => unreachable!("{WRONG_SORT}"),
        }
    }

    pub(super) fn list(host: &Host, query: raw::Query) -> Listing<String> {
        match host.calls.lookup(&raw::Lookup::List(query)) {
            raw::LookupAnswer::List(listing) => listing,
            _ => unreachable!("{WRONG_SORT}"),
        }
    }

    pub(super) fn count(host: &Host, query: raw::Query) -> Tally {
        match host.calls.lookup(&raw::Lookup::Count(query)) {
            raw::LookupAnswer::Count(tally) => tally,
            _ => unreachable!("{WRONG_SORT}"),
        }
    }

    pub(super) fn lookup_all(host: &Host, lookups: Vec<raw::Lookup>) -> Vec<raw::LookupAnswer> {
        lookups.iter().map(|lookup| host.calls.lookup(lookup)).collect()
    }

    pub(super) fn now(host: &Host) -> Instant {
        host.calls.now()
    }

    pub(super) fn log(host: &Host, level: LogLevel, message: &str) {
        host.calls.log(level, message);
    }
}

impl Host {
    /// The host that runs this guest.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn imported() -> Self {
        Self { not_send: PhantomData }
    }

    /// A stand-in for the host.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn stand_in(calls: std::rc::Rc<dyn HostCalls>) -> Self {
        Self { calls, not_send: PhantomData }
    }

    /// One cluster-scoped object.
    #[must_use]
    pub fn get<K: Kind>(&self, name: &str) -> Answer<K> {
        read_answer(calls::get(self, object_name::<K>(None, name)), name)
    }

    /// One namespaced object.
    #[must_use]
    pub fn get_in<K: Kind>(&self, namespace: &str, name: &str) -> Answer<K> {
        read_answer(calls::get(self, object_name::<K>(Some(namespace), name)), name)
    }

    /// Several objects.
    #[must_use]
    pub fn list<K: Kind>(&self, query: Query) -> Listing<K> {
        read_listing(calls::list(self, raw_query::<K>(query)))
    }

    /// How many there are.
    #[must_use]
    pub fn count<K: Kind>(&self, query: Query) -> Tally {
        calls::count(self, raw_query::<K>(query))
    }

    /// Several look-ups in one call; the host may make them side by side.
    #[must_use]
    pub fn lookup_all(&self, batch: Batch) -> BatchAnswers {
        BatchAnswers::new(calls::lookup_all(self, batch.into_lookups()))
    }

    /// When the request arrived: the same for every call and policy.
    #[must_use]
    pub fn now(&self) -> Instant {
        calls::now(self)
    }

    /// A line for whoever runs the host; dropped for a policy that reads Secret values.
    pub fn log(&self, level: LogLevel, message: &str) {
        calls::log(self, level, message);
    }
}

pub(super) fn object_name<K: Kind>(namespace: Option<&str>, name: &str) -> raw::ObjectName {
    raw::ObjectName {
        api_version: K::API_VERSION.to_owned(),
        kind: K::KIND.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

pub(super) fn raw_query<K: Kind>(query: Query) -> raw::Query {
    let Query { namespace, label_selector, key, limit } = query;
    raw::Query {
        api_version: K::API_VERSION.to_owned(),
        kind: K::KIND.to_owned(),
        namespace,
        label_selector,
        key,
        limit,
    }
}

/// An object that the view can't read is as good as unknown: the policy must not guess.
pub(super) fn read_answer<K: Kind>(answer: Answer<String>, name: &str) -> Answer<K> {
    match answer {
        Answer::Found(json) => from_json(&json).map_or_else(
            |malformed| {
                Answer::Unknown(format!(
                    "{} `{name}` doesn't have the shape of its kind at {}: {}",
                    K::KIND,
                    malformed.path,
                    malformed.message
                ))
            },
            Answer::Found,
        ),
        Answer::Absent => Answer::Absent,
        Answer::Unknown(reason) => Answer::Unknown(reason),
    }
}

/// Items that the view can't read are left out, and the listing isn't complete.
pub(super) fn read_listing<K: Kind>(listing: Listing<String>) -> Listing<K> {
    let Listing { items, mut complete, mut reason } = listing;
    let items = items
        .iter()
        .filter_map(|json| match from_json(json) {
            Ok(item) => Some(item),
            Err(malformed) => {
                complete = false;
                reason.get_or_insert_with(|| {
                    format!(
                        "a {} doesn't have the shape of its kind at {}: {}",
                        K::KIND,
                        malformed.path,
                        malformed.message
                    )
                });
                None
            }
        })
        .collect();
    Listing { items, complete, reason }
}
