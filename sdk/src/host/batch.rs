//! Several look-ups in one call, each with its own type of answer.

use std::marker::PhantomData;

use super::{Answer, Listing, Query, object_name, raw, raw_query, read_answer, read_listing};
use crate::kind::Kind;

/// Several look-ups, to be made in one call.
///
/// Each method gives a ticket, with which its answer is taken from the answers.
#[derive(Debug, Default)]
pub struct Batch(Vec<raw::Lookup>);

/// The answers to a batch.
#[derive(Debug)]
pub struct BatchAnswers(Vec<Option<raw::LookupAnswer>>);

/// The right to one answer of a batch.
#[derive(Debug)]
pub struct Ticket<A> {
    index: usize,
    name: String,
    answer: PhantomData<fn() -> A>,
}

impl Batch {
    /// No look-ups yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One cluster-scoped object.
    pub fn get<K: Kind>(&mut self, name: &str) -> Ticket<Answer<K>> {
        self.push(raw::Lookup::Get(object_name::<K>(None, name)), name)
    }

    /// One namespaced object.
    pub fn get_in<K: Kind>(&mut self, namespace: &str, name: &str) -> Ticket<Answer<K>> {
        self.push(raw::Lookup::Get(object_name::<K>(Some(namespace), name)), name)
    }

    /// Several objects.
    pub fn list<K: Kind>(&mut self, query: Query) -> Ticket<Listing<K>> {
        self.push(raw::Lookup::List(raw_query::<K>(query)), "")
    }

    pub(super) fn into_lookups(self) -> Vec<raw::Lookup> {
        self.0
    }

    fn push<A>(&mut self, lookup: raw::Lookup, name: &str) -> Ticket<A> {
        self.0.push(lookup);
        Ticket { index: self.0.len() - 1, name: name.to_owned(), answer: PhantomData }
    }
}

impl BatchAnswers {
    pub(super) fn new(answers: Vec<raw::LookupAnswer>) -> Self {
        Self(answers.into_iter().map(Some).collect())
    }

    /// The answer to a get; unknown where the host gave none.
    pub fn take<K: Kind>(&mut self, ticket: Ticket<Answer<K>>) -> Answer<K> {
        match self.0.get_mut(ticket.index).and_then(Option::take) {
            Some(raw::LookupAnswer::Get(answer)) => read_answer(answer, &ticket.name),
            _ => Answer::Unknown("the host gave no answer".to_owned()),
        }
    }

    /// The answer to a list; incomplete where the host gave none.
    pub fn take_list<K: Kind>(&mut self, ticket: Ticket<Listing<K>>) -> Listing<K> {
        match self.0.get_mut(ticket.index).and_then(Option::take) {
            Some(raw::LookupAnswer::List(listing)) => read_listing(listing),
            _ => Listing { items: Vec::new(), complete: false, reason: Some("the host gave no answer".to_owned()) },
        }
    }
}
