//! The guest's side of the contract: what a module exports and imports.
//!
//! `module!` calls it. The configured policies live in a thread-local, which in
//! a guest is a static: `configure` fills it, and every review of every fresh
//! instance reads what the snapshot holds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::erased::{Configured, ErasedPolicy, RawRequest};
use crate::host::Host;
use crate::read::from_json;
use crate::request::{Attributes, Operation};
use crate::review::{Contents, Edit};

/// What wit-bindgen makes of the contract.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "policy-with-warm-up",
        pub_export_macro: true,
        default_bindings_module: "portcullis_sdk::guest::bindings",
    });
}

use bindings::portcullis::policy::{turn, types};

thread_local! {
    static CONFIGURED: RefCell<BTreeMap<u32, Box<dyn Configured>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The `describe` of a module with these policies.
#[must_use]
pub fn describe(policies: &[&dyn ErasedPolicy]) -> Vec<String> {
    report_panics();
    policies.iter().map(|policy| policy.description().to_string()).collect()
}

/// The `configure` of a module with these policies.
///
/// # Errors
/// What is wrong with the settings.
pub fn configure(
    policies: &[&dyn ErasedPolicy],
    configurations: Vec<types::Configuration>,
) -> Result<Vec<types::Configured>, Vec<types::SettingsFinding>> {
    report_panics();
    let mut configured = BTreeMap::new();
    let mut findings = Vec::new();
    for types::Configuration { id, policy, settings } in configurations {
        let result = policies.iter().find(|known| known.name() == policy).map(|known| known.configure(&settings));
        match result {
            Some(Ok(policy)) => {
                configured.insert(id, policy);
            }
            Some(Err(wrong)) => findings.extend(
                wrong.0.into_iter().map(|finding| settings_finding(id, finding.path.as_str(), &finding.message)),
            ),
            None => {
                let known: Vec<_> = policies.iter().map(|known| known.name()).collect();
                findings.push(settings_finding(
                    id,
                    "",
                    &format!("this module has no policy `{policy}`; it has {}", known.join(", ")),
                ));
            }
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let descriptions = configured
        .iter()
        .map(|(&id, policy)| types::Configured { id, description: policy.description().to_string() })
        .collect();
    CONFIGURED.set(configured);
    Ok(descriptions)
}

/// The `review` of a module. The attributes are parsed once for all ids.
///
/// # Panics
/// The host asks for an id that it never configured, or its attributes aren't
/// what the contract says: its fault, and nothing to judge.
#[must_use]
pub fn review(ids: &[u32], request: &types::Request) -> Vec<types::Review> {
    let attributes: Rc<Attributes> = match from_json(&request.attributes) {
        Ok(attributes) => Rc::new(attributes),
        Err(malformed) => {
            panic!("the request's attributes aren't the contract's at `{}`: {}", malformed.path, malformed.message)
        }
    };
    let operation = match request.operation {
        types::Operation::Create => Operation::Create,
        types::Operation::Update => Operation::Update,
        types::Operation::Delete => Operation::Delete,
        types::Operation::Connect => Operation::Connect,
    };
    let raw = RawRequest {
        operation,
        object: request.object.as_deref(),
        old_object: request.old_object.as_deref(),
        attributes: &attributes,
    };
    CONFIGURED.with_borrow(|configured| {
        let review = |id: &u32| {
            if ids.len() > 1 {
                turn::begin(*id);
            }
            match configured.get(id) {
                Some(policy) => review_to_wit(policy.review(&raw, &Host::imported())),
                None => panic!("no policy was configured with the id {id}"),
            }
        };
        ids.iter().map(review).collect()
    })
}

/// The `warm-up` of a module.
pub fn warm_up() {
    CONFIGURED.with_borrow(|configured| configured.values().for_each(|policy| policy.warm_up()));
}

/// A panic in a guest is a bare `unreachable` to the host; its message and place go to the log first.
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        bindings::portcullis::policy::log::log(bindings::portcullis::policy::log::Level::Error, &info.to_string());
    }));
}

fn settings_finding(id: u32, path: &str, message: &str) -> types::SettingsFinding {
    types::SettingsFinding { id, finding: serde_json::json!({"path": path, "message": message}).to_string() }
}

fn review_to_wit(contents: Contents) -> types::Review {
    let findings = contents.findings_json().iter().map(ToString::to_string).collect();
    types::Review {
        findings,
        edits: contents.edits.into_iter().map(edit_to_wit).collect(),
        audit_annotations: contents.audit_annotations,
        extra: None,
    }
}

fn edit_to_wit(edit: Edit) -> types::Edit {
    let located = |path: crate::FieldPath, value: serde_json::Value| types::Located {
        pointer: path.pointer().to_owned(),
        value: value.to_string(),
    };
    match edit {
        Edit::Add(path, value) => types::Edit::Add(located(path, value)),
        Edit::Remove(path) => types::Edit::Remove(path.pointer().to_owned()),
        Edit::Replace(path, value) => types::Edit::Replace(located(path, value)),
        Edit::Test(path, value) => types::Edit::Test(located(path, value)),
    }
}

/// The imports, each called from one function that only the `Host` method of its name calls.
pub(crate) mod imports {
    use super::bindings::portcullis::policy::{clock, cluster, log};
    use crate::host::{Answer, Host, Instant, Listing, LogLevel, Tally, raw};

    pub(crate) fn get(_: &Host, name: raw::ObjectName) -> Answer<String> {
        answer(cluster::get(&object_name(name)))
    }

    pub(crate) fn list(_: &Host, wanted: raw::Query) -> Listing<String> {
        listing(cluster::list(&query(wanted)))
    }

    pub(crate) fn count(_: &Host, wanted: raw::Query) -> Tally {
        tally(cluster::count(&query(wanted)))
    }

    pub(crate) fn lookup_all(_: &Host, lookups: Vec<raw::Lookup>) -> Vec<raw::LookupAnswer> {
        let lookups: Vec<_> = lookups
            .into_iter()
            .map(|lookup| match lookup {
                raw::Lookup::Get(name) => cluster::Lookup::Get(object_name(name)),
                raw::Lookup::List(wanted) => cluster::Lookup::List(query(wanted)),
                raw::Lookup::Count(wanted) => cluster::Lookup::Count(query(wanted)),
            })
            .collect();
        cluster::lookup_all(&lookups)
            .into_iter()
            .map(|found| match found {
                cluster::LookupAnswer::Get(found) => raw::LookupAnswer::Get(answer(found)),
                cluster::LookupAnswer::List(found) => raw::LookupAnswer::List(listing(found)),
                cluster::LookupAnswer::Count(found) => raw::LookupAnswer::Count(tally(found)),
            })
            .collect()
    }

    pub(crate) fn now(_: &Host) -> Instant {
        let clock::Instant { seconds, nanoseconds } = clock::now();
        Instant { seconds, nanoseconds }
    }

    pub(crate) fn log(_: &Host, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Debug => log::Level::Debug,
            LogLevel::Info => log::Level::Info,
            LogLevel::Warn => log::Level::Warn,
            LogLevel::Error => log::Level::Error,
        };
        log::log(level, message);
    }

    fn object_name(name: raw::ObjectName) -> cluster::ObjectName {
        let raw::ObjectName { api_version, kind, namespace, name } = name;
        cluster::ObjectName { api_version, kind, namespace, name }
    }

    fn query(query: raw::Query) -> cluster::Query {
        let raw::Query { api_version, kind, namespace, label_selector, key, limit } = query;
        let key = key.map(|(key, value)| cluster::KeyValue { key, value });
        cluster::Query { api_version, kind, namespace, label_selector, key, limit }
    }

    fn answer(answer: cluster::Answer) -> Answer<String> {
        match answer {
            cluster::Answer::Found(json) => Answer::Found(json),
            cluster::Answer::Absent => Answer::Absent,
            cluster::Answer::Unknown(reason) => Answer::Unknown(reason),
        }
    }

    fn listing(listing: cluster::Listing) -> Listing<String> {
        let cluster::Listing { items, complete, reason } = listing;
        Listing { items, complete, reason }
    }

    fn tally(tally: cluster::Tally) -> Tally {
        let cluster::Tally { count, complete, reason } = tally;
        Tally { count, complete, reason }
    }
}
