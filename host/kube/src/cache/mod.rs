//! What the cluster holds, kept in memory by watches: what the server's policies
//! look up.
//!
//! ```text
//! policies ─► wanted ─► Cache::view ─► a watch a kind and version, shared by all views
//! a look-up: in memory? found. Not there? one GET that began after the review
//!            arrived, shared by all who wait for it. Else unknown, and why.
//! ```
//! - [`wanted()`] says what a set of policies needs to be watched;
//! - `watch` keeps one kind, `store` holds it, `contact` knows how old it is;
//! - `confirm` makes sure of an absence, `api` talks to the API server.
//!
//! Invariants: a view is immutable and goes on with its watches while the next
//! view's start; a watch ends with the last view that holds it. Absence is said
//! only after the API server said so; a kind that it doesn't serve is absent.

mod api;
mod confirm;
mod contact;
mod known;
mod store;
mod wanted;
mod watch;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLockReadGuard, Weak};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, join_all, ready};
use kube::Client;
use portcullis_core::cluster::{Answer, Budget, ClusterView, Listing, ObjectName, Query};
use portcullis_core::objects::group;

use self::api::{Fault, discover};
use self::confirm::Counts;
use self::contact::{Pulse, SILENCE};
use self::known::{Content, Known, Phase};
use self::store::Held;
use self::watch::Watch;
use crate::names::refuse;

pub use self::wanted::{Wanted, wanted};

/// How old what a watch knows may be where nothing else is said.
pub const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(2 * 60 * 60);

/// Between two looks for a kind where nothing else is said.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What a confirmation may wait for an API server that seems to be gone: a review
/// has better uses for its time, and who is back answers in milliseconds.
const HOPE: Duration = Duration::from_millis(250);

/// What an administrator says of the cache.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Past this age what a watch knows is no answer any more.
    pub max_staleness: Duration,
    /// Between two looks for a kind that isn't served, or that may not be read.
    pub look_again: Duration,
}

impl Default for CacheConfig {
    fn default() -> CacheConfig {
        CacheConfig { max_staleness: DEFAULT_MAX_STALENESS, look_again: LOOK_AGAIN }
    }
}

/// Watches of one cluster, shared by the views of it.
pub struct Cache {
    client: Client,
    config: CacheConfig,
    pulse: Arc<Pulse>,
    watches: Mutex<Vec<Weak<Watch>>>,
    counts: Counts,
}

/// What one set of policies sees of the cluster.
pub struct CacheView {
    cache: Arc<Cache>,
    /// Each with who wants it here.
    kinds: Vec<(Wanted, Arc<Watch>)>,
}

/// Why look-ups of a kind get no answer, or an old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheProblem {
    /// Which version.
    pub api_version: String,
    /// Which kind.
    pub kind: String,
    /// What is wrong, for a person.
    pub reason: String,
    /// The RBAC rule that would help, as YAML in one line, where one would.
    pub grant: Option<String>,
    /// The policies that look it up.
    pub policies: Vec<String>,
}

/// Figures of one kind that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindStats {
    /// Which version.
    pub api_version: String,
    /// Which kind.
    pub kind: String,
    /// Objects in memory.
    pub objects: usize,
    /// Bytes of what is kept of them.
    pub bytes: usize,
    /// Whether look-ups are answered: all objects are known, or that the kind isn't served.
    pub synced: bool,
    /// Time since the watch's last sign of life; None before the first.
    pub staleness: Option<Duration>,
}

impl fmt::Display for CacheProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)?;
        match &self.grant {
            Some(grant) => write!(formatter, "; this rule in a role of its account would grant it: {grant}"),
            None => Ok(()),
        }
    }
}

impl Cache {
    /// A cache of what this API server serves. Must be called inside a tokio runtime.
    ///
    /// The client should have no read timeout: an idle watch would be cut by it,
    /// again and again. Whatever is asked has a time limit of its own.
    pub fn new(client: Client, config: CacheConfig) -> Arc<Cache> {
        let pulse = Arc::new(Pulse::of(client.clone()));
        Arc::new(Cache { client, config, pulse, watches: Mutex::default(), counts: Counts::default() })
    }

    /// A view of what is wanted. Watches that serve it already go on, others
    /// start; those that only older views hold end with them.
    pub fn view(self: &Arc<Cache>, wanted: &[Wanted]) -> Arc<CacheView> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watch| watch.strong_count() > 0);
        let of = |wanted: &Wanted| {
            let running = watches.iter().filter_map(Weak::upgrade);
            let serves = |watch: &Arc<Watch>| watch.known.wanted.is_served_like(wanted);
            let watch = running.into_iter().find(serves).unwrap_or_else(|| {
                let watch = Arc::new(Watch::start(
                    self.client.clone(),
                    wanted.clone(),
                    self.pulse.clone(),
                    self.config.look_again,
                ));
                watches.push(Arc::downgrade(&watch));
                watch
            });
            (wanted.clone(), watch)
        };
        Arc::new(CacheView { cache: self.clone(), kinds: wanted.iter().map(of).collect() })
    }

    /// A view of these objects, which nothing keeps up to date: to measure with.
    #[doc(hidden)]
    pub fn given<Texts: AsRef<[String]>>(
        self: &Arc<Cache>,
        given: impl IntoIterator<Item = (Wanted, Texts)>,
    ) -> Arc<CacheView> {
        let of = |(wanted, objects): (Wanted, Texts)| {
            let watch = Watch::given(wanted.clone(), self.pulse.clone(), objects.as_ref());
            (wanted, Arc::new(watch))
        };
        Arc::new(CacheView { cache: self.clone(), kinds: given.into_iter().map(of).collect() })
    }

    /// What confirmations of an absence came to since the start: absent, found, failed.
    pub fn confirmations(&self) -> (u64, u64, u64) {
        self.counts.all()
    }
}

impl CacheView {
    /// What is watched, and for whom.
    pub fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.kinds.iter().map(|(wanted, _)| wanted)
    }

    /// Waits until of every kind all objects are known, or that it isn't served,
    /// may not or can't be read; false where that wasn't so in time. A kind can't
    /// be read where the API server is well and fails again and again with that
    /// one: it must not hold up what concerns others.
    pub async fn settled(&self, deadline: Instant) -> bool {
        let all = join_all(self.kinds.iter().map(|(_, watch)| watch.known.settled()));
        tokio::time::timeout_at(deadline.into(), all).await.is_ok()
    }

    /// Whether it has settled.
    pub fn is_settled(&self) -> bool {
        self.kinds.iter().all(|(_, watch)| watch.known.phase() != Phase::Starting)
    }

    /// What is wrong with the kinds that are watched.
    pub fn problems(&self) -> Vec<CacheProblem> {
        self.kinds.iter().filter_map(|(wanted, watch)| problem(wanted, watch)).collect()
    }

    /// Figures of the kinds that are watched.
    pub fn kinds(&self) -> Vec<KindStats> {
        let stats = |(wanted, watch): &(Wanted, Arc<Watch>)| {
            let (objects, bytes, phase) = {
                let content = watch.known.content();
                (content.store.len(), content.store.bytes(), content.phase)
            };
            KindStats {
                api_version: wanted.api_version.clone(),
                kind: wanted.kind.clone(),
                objects,
                bytes,
                synced: matches!(phase, Phase::Synced | Phase::NotServed),
                staleness: watch.known.staleness(),
            }
        };
        self.kinds.iter().map(stats).collect()
    }

    /// The watch of a kind with what it knows, if that can be an answer.
    fn usable(&self, api_version: &str, kind: &str) -> Result<(&Watch, RwLockReadGuard<'_, Content>), String> {
        let watched = self.kinds.iter().find(|(wanted, _)| wanted.kind == kind && wanted.api_version == api_version);
        let Some((wanted, watch)) = watched else {
            return Err(format!("{kind} of {api_version} isn't watched: no policy in use declares to look it up"));
        };
        let is_fresh = watch.known.staleness().is_some_and(|age| age <= self.cache.config.max_staleness);
        if is_fresh {
            let content = watch.known.content();
            if matches!(content.phase, Phase::Synced | Phase::NotServed) {
                return Ok((watch, content));
            }
        }
        Err(unusable(wanted, watch))
    }

    async fn confirm(&self, watch: &Watch, name: &ObjectName, budget: &Budget) -> Answer {
        let (known, client) = (&watch.known, &self.cache.client);
        let namespace = name.namespace.as_deref().unwrap_or_default();
        let ask = || {
            async move {
                let answer = ask(client, known, name).await;
                self.cache.counts.add(&answer);
                answer
            }
            .boxed()
        };
        // An API server that hasn't answered for some time is not waited for.
        let patience = if self.cache.pulse.is_well() { None } else { Some(HOPE) };
        known.confirmations.confirm(namespace, &name.name, budget, patience, ask).await
    }
}

/// One GET, as its watch would keep what it finds.
async fn ask(client: &Client, known: &Known, name: &ObjectName) -> Answer {
    let served = known.content().served.clone();
    let served = match served {
        Some(served) => Ok(Some(served)),
        // It may have come since it was last looked for.
        None => discover(client, &name.api_version, &name.kind).await.inspect(|served| {
            if served.is_some() {
                known.look();
            }
        }),
    };
    let unknown = |fault: Fault| Answer::Unknown(format!("it isn't in memory, and the API server said: {fault}"));
    let served = match served {
        Ok(Some(served)) => served,
        Ok(None) => return Answer::Absent,
        Err(fault) => return unknown(fault),
    };
    if served.namespaced && name.namespace.is_none() {
        return Answer::Unknown(format!("a {} lies in a namespace, and the look-up names none", name.kind));
    }
    if !served.namespaced && name.namespace.is_some() {
        return Answer::Absent;
    }
    match served.read(client, name.namespace.as_deref(), &name.name).await {
        Ok(Some(object)) => match known.shape.keep(&object) {
            Ok(text) => Answer::Found(text.into()),
            Err(reason) => Answer::Unknown(reason),
        },
        Ok(None) => Answer::Absent,
        Err(fault) => unknown(fault),
    }
}

impl ClusterView for CacheView {
    fn get<'a>(&'a self, name: &'a ObjectName, budget: &'a Budget) -> BoxFuture<'a, Answer> {
        let (watch, held) = match self.usable(&name.api_version, &name.kind) {
            Ok((watch, content)) => {
                (watch, content.store.find(name.namespace.as_deref().unwrap_or_default(), &name.name))
            }
            Err(reason) => return ready(Answer::Unknown(reason)).boxed(),
        };
        match held {
            Held::Found(text) => ready(Answer::Found(text)).boxed(),
            Held::Unreadable(reason) => ready(Answer::Unknown(reason)).boxed(),
            Held::Missing => match refuse(name) {
                Some(answer) => ready(answer).boxed(),
                None => self.confirm(watch, name, budget).boxed(),
            },
        }
    }

    fn list<'a>(&'a self, query: &'a Query, _: &'a Budget) -> BoxFuture<'a, Listing> {
        let listing = match self.usable(&query.api_version, &query.kind) {
            Ok((_, content)) => content.store.select(query),
            Err(reason) => Listing { items: Vec::new(), incomplete: Some(reason) },
        };
        ready(listing).boxed()
    }
}

/// Why what a watch knows is no answer.
fn unusable(wanted: &Wanted, watch: &Watch) -> String {
    problem(wanted, watch).map_or_else(
        || format!("{} of {} isn't known yet: its objects are still being read", wanted.kind, wanted.api_version),
        |problem| problem.reason,
    )
}

fn problem(wanted: &Wanted, watch: &Watch) -> Option<CacheProblem> {
    let known = &watch.known;
    let silent = known.staleness().filter(|age| *age > SILENCE);
    let content = known.content();
    let failure = content.failure.as_deref();
    let kind = &wanted.kind;
    let (reason, forbidden) = match (content.phase, failure) {
        (Phase::Forbidden, reason) => {
            (format!("{kind} of {} may not be read: {}", wanted.api_version, reason.unwrap_or("forbidden")), true)
        }
        (Phase::Starting | Phase::Failing, Some(reason)) => {
            (format!("{kind} of {} can't be read: {reason}", wanted.api_version), false)
        }
        (Phase::Synced | Phase::NotServed, reason) => {
            let silent = span(silent?);
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            (format!("the watch of {kind} has had no contact with the API server for {silent}{reason}"), false)
        }
        (Phase::Starting | Phase::Failing, None) => return None,
    };
    let plural = content.served.as_ref().map(|served| served.plural().to_owned());
    let grant = plural.filter(|_| forbidden).map(|plural| {
        let group = group(&wanted.api_version);
        format!(r#"{{apiGroups: ["{group}"], resources: ["{plural}"], verbs: ["get", "list", "watch"]}}"#)
    });
    Some(CacheProblem {
        api_version: wanted.api_version.clone(),
        kind: wanted.kind.clone(),
        reason,
        grant,
        policies: wanted.why.iter().cloned().collect(),
    })
}

/// A time as a person says it.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}
