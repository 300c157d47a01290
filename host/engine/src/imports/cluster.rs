//! `cluster`: what the cluster holds, asked through the policy's own
//! [`Scoped`] view, which knows what it declared.
//!
//! A look-up that it may not make ends the review: a guest can't swallow it and
//! answer all the same. While an answer is pending the policy's own time stands
//! still, but the request's deadline doesn't.

use std::sync::Arc;

use portcullis_core::cluster::{self, LookupError, Scoped};
use portcullis_core::evaluate::Failure;

use crate::bindings::v0_1_0::portcullis::policy::{cluster as wit, types};
use crate::state::{State, World};
use crate::wait::before;

impl types::Host for State {}

impl wit::Host for State {
    async fn get(&mut self, object: wit::ObjectName) -> wasmtime::Result<wit::Answer> {
        let name = object.into();
        self.look_up(async |cluster| cluster.get(&name).await).await.map(wit::Answer::from)
    }

    async fn list(&mut self, query: wit::Query) -> wasmtime::Result<wit::Listing> {
        let query = query.into();
        self.look_up(async |cluster| cluster.list(&query).await).await.map(wit::Listing::from)
    }

    async fn count(&mut self, query: wit::Query) -> wasmtime::Result<wit::Tally> {
        let query = query.into();
        self.look_up(async |cluster| cluster.count(&query).await).await.map(wit::Tally::from)
    }

    async fn lookup_all(&mut self, lookups: Vec<wit::Lookup>) -> wasmtime::Result<Vec<wit::LookupAnswer>> {
        // One after the other: all of them are answered from memory but the
        // few that the view confirms, and those it makes together itself.
        let mut answers = Vec::with_capacity(lookups.len());
        for lookup in lookups {
            answers.push(match lookup {
                wit::Lookup::Get(object) => wit::LookupAnswer::Get(self.get(object).await?),
                wit::Lookup::List(query) => wit::LookupAnswer::List(self.list(query).await?),
                wit::Lookup::Count(query) => wit::LookupAnswer::Count(self.count(query).await?),
            });
        }
        Ok(answers)
    }
}

impl State {
    async fn look_up<A>(&mut self, ask: impl AsyncFnOnce(&Scoped) -> Result<A, LookupError>) -> wasmtime::Result<A> {
        let cluster = match &self.world {
            World::Open { turns, .. } => match turns.current() {
                Some(member) => Arc::clone(&member.cluster),
                None => {
                    let reason = "a look-up in a call for several policies, before `turn` said whose it is".to_owned();
                    return Err(self.stop(Failure::Malformed { reason }));
                }
            },
            World::Sealed { during } => {
                let during = *during;
                return Err(self.sealed("cluster", during));
            }
        };
        let count = self.clock.count();
        let answer = before(self.clock.deadline(), ask(&cluster)).await;
        self.clock.waited_since(count);
        match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(self.stop(Failure::Lookup(error))),
            None => Err(self.stop(Failure::Deadline)),
        }
    }
}

impl From<wit::ObjectName> for cluster::ObjectName {
    fn from(object: wit::ObjectName) -> Self {
        let wit::ObjectName { api_version, kind, namespace, name } = object;
        cluster::ObjectName { api_version, kind, namespace, name }
    }
}

impl From<wit::Query> for cluster::Query {
    fn from(query: wit::Query) -> Self {
        let wit::Query { api_version, kind, namespace, label_selector, key, limit } = query;
        cluster::Query {
            api_version,
            kind,
            namespace,
            label_selector,
            key: key.map(|wit::KeyValue { key, value }| (key, value)),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }
}

impl From<cluster::Answer> for wit::Answer {
    fn from(answer: cluster::Answer) -> Self {
        match answer {
            cluster::Answer::Found(object) => wit::Answer::Found(object.as_ref().to_owned()),
            cluster::Answer::Absent => wit::Answer::Absent,
            cluster::Answer::Unknown(reason) => wit::Answer::Unknown(reason),
        }
    }
}

impl From<cluster::Listing> for wit::Listing {
    fn from(listing: cluster::Listing) -> Self {
        wit::Listing {
            items: listing.items.iter().map(|item| item.as_ref().to_owned()).collect(),
            complete: listing.incomplete.is_none(),
            reason: listing.incomplete,
        }
    }
}

impl From<(u64, Option<String>)> for wit::Tally {
    fn from((count, incomplete): (u64, Option<String>)) -> Self {
        wit::Tally { count, complete: incomplete.is_none(), reason: incomplete }
    }
}
