//! Policies that do what a policy must not. One policy is one kind of evil, so
//! that a test can name it; `good` is the neighbour that must not notice.
//!
//! | setting | meaning |
//! |---|---|
//! | `when` | `review` (the default), `configure` or `warm-up`: when it strikes |
//!
//! What a module does before it can be configured can't be chosen by a setting:
//! a test writes another letter over [`BEFORE`] in the binary.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hint::black_box;

use serde_json::{Value, json};

mod behaviour;

mod bindings {
    //! What wit-bindgen makes of the contract.
    wit_bindgen::generate!({
        path: "../../../sdk/wit",
        world: "policy-with-warm-up",
    });
}

use bindings::portcullis::policy::log::{self, Level};
use bindings::portcullis::policy::turn;
use bindings::portcullis::policy::types::{Configuration, Configured, Request, Review, SettingsFinding};

/// The last letter says what happens before `configure`: `n` nothing, `i` a
/// start-up that never ends, `d` a `describe` that never ends, `j` one that is
/// no JSON, `h` one that is huge, `p` one that panics.
#[used]
static BEFORE: [u8; 24] = *b"hostile-before-describe:";
#[used]
static MODE: [u8; 14] = *b"hostile-mode=n";

/// Group, version, kind and resource of what it wants to judge: a kind of its
/// own, and one that the built-in policies judge too.
const KINDS: [(&str, &str, &str, &str); 2] =
    [("", "v1", "ConfigMap", "configmaps"), ("apps", "v1", "StatefulSet", "statefulsets")];

thread_local! {
    static CONFIGURED: RefCell<BTreeMap<u32, (String, String)>> = const { RefCell::new(BTreeMap::new()) };
    static WARM: Cell<bool> = const { Cell::new(false) };
}

struct Hostile;

bindings::export!(Hostile with_types_in bindings);

/// wit-component calls it when an instance starts.
#[unsafe(export_name = "_initialize")]
extern "C" fn initialize() {
    if mode() == b'i' {
        behaviour::endless_loop();
    }
}

fn mode() -> u8 {
    black_box(&BEFORE);
    black_box(&MODE)[MODE.len() - 1]
}

impl bindings::Guest for Hostile {
    fn describe() -> Vec<String> {
        report_panics();
        match mode() {
            b'd' => behaviour::endless_loop(),
            b'j' => return vec!["{".to_owned()],
            b'h' => return vec![" ".repeat(8 * 1024 * 1024)],
            b'p' => panic!("no description for you"),
            _ => {}
        }
        behaviour::ALL.iter().map(|behaviour| description(behaviour.name).to_string()).collect()
    }

    fn configure(configurations: Vec<Configuration>) -> Result<Vec<Configured>, Vec<SettingsFinding>> {
        report_panics();
        let mut configured = Vec::new();
        for Configuration { id, policy, settings } in configurations {
            let settings: Value = serde_json::from_str(&settings).unwrap_or_default();
            let when = settings["when"].as_str().unwrap_or("review").to_owned();
            if when == "configure" {
                strike(&policy, &[id]);
            }
            configured.push(Configured { id, description: description(&policy).to_string() });
            CONFIGURED.with_borrow_mut(|all| all.insert(id, (policy, when)));
        }
        Ok(configured)
    }

    fn review(ids: Vec<u32>, _request: Request) -> Vec<Review> {
        let one = |id: u32| {
            if ids.len() > 1 {
                turn::begin(id);
            }
            let (policy, when) = CONFIGURED.with_borrow(|all| all.get(&id).cloned()).unwrap_or_default();
            if when == "review" { strike(&policy, &[id]) } else { behaviour::nothing(&[id]) }
        };
        ids.iter().flat_map(|id| one(*id)).collect()
    }

    fn warm_up() {
        WARM.set(true);
        let all = CONFIGURED.with_borrow(Clone::clone);
        for (id, (policy, when)) in all {
            if when == "warm-up" {
                strike(&policy, &[id]);
            }
        }
    }
}

fn is_warm() -> bool {
    WARM.get()
}

fn strike(policy: &str, ids: &[u32]) -> Vec<Review> {
    let behaviour = behaviour::ALL.iter().find(|behaviour| behaviour.name == policy);
    behaviour.map_or_else(Vec::new, |behaviour| (behaviour.strike)(ids))
}

fn description(name: &str) -> Value {
    let phase = if name.starts_with("edit-") { "mutating" } else { "validating" };
    let samples = if name == "changed-by-warm-up" { json!([{"operation": "CREATE"}]) } else { json!([]) };
    json!({
        "name": name,
        "samples": samples,
        "version": "0.1.0",
        "title": "does what a policy must not",
        "phase": phase,
        "rules": [{"id": "evil", "title": "evil"}],
        "settings": {"type": "object", "properties": {"when": {"enum": ["review", "configure", "warm-up"]}}},
        "reach": {
            "matches": KINDS.map(|(group, version, _, resource)| json!({
                "apiGroups": [group], "apiVersions": [version], "resources": [resource],
                "operations": ["CREATE", "UPDATE"], "scope": "Namespaced",
            })),
            "reads": KINDS.map(|(group, version, kind, _)| json!({
                "apiVersion": api_version(group, version), "kind": kind,
                "object": {"fields": {"metadata": {"fields": {"name": "value", "labels": "value"}}}},
            })),
            "lookups": [{"apiVersion": "v1", "kind": "ConfigMap", "fields": "value", "verbs": ["get", "list"],
                         "keys": ["spec.declared"]}],
            "writes": KINDS.map(|(group, version, kind, _)| json!({
                "apiVersion": api_version(group, version), "kind": kind, "pointers": ["/metadata/labels/hostile"],
            })),
        },
    })
}

fn report_panics() {
    std::panic::set_hook(Box::new(|info| log::log(Level::Error, &info.to_string())));
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}
