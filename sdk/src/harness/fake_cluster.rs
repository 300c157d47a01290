//! A cluster made of the objects of a case.
//!
//! It answers as the host does: only what the reach declares, projected to what
//! it declares, and *unknown* for what isn't there unless it holds all there is.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::project::project;
use crate::host::{Answer, HostCalls, Instant, Listing, LogLevel, Tally, raw};
use crate::reach::Lookup;
use crate::selector::LabelSelector;

/// A cluster for tests.
#[derive(Debug)]
pub struct FakeCluster {
    objects: Vec<Value>,
    complete: bool,
    lookups: Vec<Lookup>,
    now: Instant,
    unknown: RefCell<Vec<Need>>,
}

/// A look-up that got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What was looked up.
    pub lookup: String,
    /// Whether the reach says that the review may go on without it.
    pub optional: bool,
}

impl FakeCluster {
    /// A cluster that holds these objects (and, if `complete`, no others), as far as the look-ups declare.
    #[must_use]
    pub fn new(objects: Vec<Value>, complete: bool, lookups: Vec<Lookup>, now: Instant) -> Self {
        Self { objects, complete, lookups, now, unknown: RefCell::default() }
    }

    /// The look-ups that got no answer.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        self.unknown.borrow().clone()
    }

    fn declared(&self, api_version: &str, kind: &str, verb: &str) -> &Lookup {
        let declared = self
            .lookups
            .iter()
            .find(|lookup| lookup.api_version == api_version && lookup.kind == kind && lookup.verbs.contains(&verb));
        declared.unwrap_or_else(|| {
            panic!("the policy's reach doesn't declare to {verb} {api_version} {kind}; add it with `Reach::lookup`")
        })
    }

    fn of_kind<'a>(
        &'a self,
        api_version: &'a str,
        kind: &'a str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| {
            let own = object["metadata"]["namespace"].as_str();
            object["apiVersion"] == api_version
                && object["kind"] == kind
                && namespace.is_none_or(|wanted| own.unwrap_or("default") == wanted)
        })
    }

    fn need(&self, lookup: &Lookup, what: String) -> String {
        let reason = format!("{what} isn't among the objects given, and they aren't all there is");
        self.unknown.borrow_mut().push(Need { lookup: what, optional: lookup.optional });
        reason
    }

    fn get(&self, name: &raw::ObjectName) -> Answer<String> {
        let lookup = self.declared(&name.api_version, &name.kind, "get");
        let found = self
            .of_kind(&name.api_version, &name.kind, name.namespace.as_deref())
            .find(|object| object["metadata"]["name"] == name.name.as_str());
        match found {
            Some(object) => Answer::Found(projected(object, lookup)),
            None if self.complete => Answer::Absent,
            None => Answer::Unknown(self.need(lookup, format!("{} {}", name.kind, name.name))),
        }
    }

    fn matching<'a>(&'a self, query: &'a raw::Query, lookup: &Lookup) -> Vec<&'a Value> {
        if let Some((key, _)) = &query.key {
            assert!(
                lookup.keys.contains(key),
                "the policy's reach doesn't declare the key `{key}` of {}; add it with `Lookup::key`",
                query.kind
            );
        }
        let selector: LabelSelector = match query.label_selector.as_deref().unwrap_or_default().parse() {
            Ok(selector) => selector,
            Err(error) => panic!("the policy lists {} by a selector that is none: {error}", query.kind),
        };
        self.of_kind(&query.api_version, &query.kind, query.namespace.as_deref())
            .filter(|object| selector.matches(&labels(object)))
            .filter(|object| {
                query.key.as_ref().is_none_or(|(key, value)| holds(object, &key.split('.').collect::<Vec<_>>(), value))
            })
            .collect()
    }

    fn incomplete(&self, lookup: &Lookup, query: &raw::Query) -> Option<String> {
        (!self.complete).then(|| self.need(lookup, format!("every {}", query.kind)))
    }

    fn list(&self, query: &raw::Query) -> Listing<String> {
        let lookup = self.declared(&query.api_version, &query.kind, "list");
        let found = self.matching(query, lookup);
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut reason = self.incomplete(lookup, query);
        if found.len() > limit {
            reason.get_or_insert_with(|| format!("there are more than {limit}"));
        }
        Listing {
            items: found.into_iter().take(limit).map(|object| projected(object, lookup)).collect(),
            complete: reason.is_none(),
            reason,
        }
    }

    fn count(&self, query: &raw::Query) -> Tally {
        let lookup = self.declared(&query.api_version, &query.kind, "count");
        let count = self.matching(query, lookup).len() as u64;
        let reason = self.incomplete(lookup, query);
        Tally { count, complete: reason.is_none(), reason }
    }
}

impl HostCalls for FakeCluster {
    fn lookup(&self, lookup: &raw::Lookup) -> raw::LookupAnswer {
        match lookup {
            raw::Lookup::Get(name) => raw::LookupAnswer::Get(self.get(name)),
            raw::Lookup::List(query) => raw::LookupAnswer::List(self.list(query)),
            raw::Lookup::Count(query) => raw::LookupAnswer::Count(self.count(query)),
        }
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn log(&self, level: LogLevel, message: &str) {
        eprintln!("{level:?}: {message}");
    }
}

fn projected(object: &Value, lookup: &Lookup) -> String {
    project(object, &lookup.fields).unwrap_or(Value::Object(serde_json::Map::new())).to_string()
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object["metadata"]["labels"].as_object();
    labels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Whether a value is found at a key such as `spec.volumes[*].name`.
fn holds(value: &Value, steps: &[&str], wanted: &str) -> bool {
    let Some((step, rest)) = steps.split_first() else { return value == wanted };
    match step.strip_suffix("[*]") {
        Some(name) => match &value[name] {
            Value::Array(elements) => elements.iter().any(|element| holds(element, rest, wanted)),
            Value::Object(members) => members.values().any(|member| holds(member, rest, wanted)),
            _ => false,
        },
        None => holds(&value[*step], rest, wanted),
    }
}
