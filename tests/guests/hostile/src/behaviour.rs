//! What each policy does when it strikes.

use std::hint::black_box;

use serde_json::{Value, json};

use crate::bindings::portcullis::policy::cluster::{self, KeyValue, Lookup, ObjectName, Query};
use crate::bindings::portcullis::policy::types::{Edit, Located, Review};
use crate::bindings::portcullis::policy::{clock, log};

/// One kind of evil.
pub struct Behaviour {
    /// The policy's name.
    pub name: &'static str,
    /// What it does.
    pub strike: fn(&[u32]) -> Vec<Review>,
}

/// All of them.
pub const ALL: &[Behaviour] = &[
    Behaviour { name: "good", strike: nothing },
    Behaviour { name: "changed-by-warm-up", strike: warmth },
    Behaviour { name: "endless-loop", strike: |_| endless_loop() },
    Behaviour { name: "endless-log", strike: |_| endless_log() },
    Behaviour { name: "endless-look-up", strike: |_| endless_look_up() },
    Behaviour { name: "allocation-bomb", strike: |_| allocation_bomb() },
    Behaviour { name: "memory-fill", strike: |_| memory_fill() },
    Behaviour { name: "deep-recursion", strike: |_| panic!("{}", deep_recursion(black_box(0))) },
    Behaviour { name: "trap", strike: |_| core::arch::wasm32::unreachable() },
    Behaviour { name: "out-of-bounds", strike: out_of_bounds },
    Behaviour { name: "panic", strike: |_| panic!("all is lost") },
    Behaviour {
        name: "clock",
        strike: |ids| {
            clock::now();
            nothing(ids)
        },
    },
    Behaviour {
        name: "look-up",
        strike: |ids| {
            get("v1", "ConfigMap", "a");
            nothing(ids)
        },
    },
    Behaviour {
        name: "undeclared-look-up",
        strike: |ids| {
            get("v1", "Secret", "a");
            nothing(ids)
        },
    },
    Behaviour {
        name: "undeclared-key",
        strike: |ids| {
            list("spec.undeclared");
            nothing(ids)
        },
    },
    Behaviour { name: "undeclared-among-many", strike: undeclared_among_many },
    Behaviour { name: "no-reviews", strike: |_| Vec::new() },
    Behaviour { name: "two-reviews", strike: |_| vec![review(), review()] },
    Behaviour { name: "many-reviews", strike: |_| vec![review(); 100_000] },
    Behaviour { name: "huge-finding", strike: |_| text_finding(" ".repeat(8 * 1024 * 1024)) },
    Behaviour {
        name: "huge-log",
        strike: |ids| {
            log::log(log::Level::Info, &" ".repeat(8 * 1024 * 1024));
            nothing(ids)
        },
    },
    Behaviour { name: "not-utf8", strike: not_utf8 },
    Behaviour { name: "finding-not-json", strike: |_| text_finding("{\"rule\":".to_owned()) },
    Behaviour {
        name: "finding-unknown-level",
        strike: |_| finding(json!({"rule": "evil", "level": "panic", "message": "m"})),
    },
    Behaviour {
        name: "finding-unknown-rule",
        strike: |_| finding(json!({"rule": "saintly", "level": "deny", "message": "m"})),
    },
    Behaviour {
        name: "finding-oversized",
        strike: |_| finding(json!({"rule": "evil", "level": "deny", "message": "m".repeat(5000)})),
    },
    Behaviour { name: "findings-too-many", strike: findings_too_many },
    Behaviour { name: "edits-of-a-validating-policy", strike: |_| edit(add("/metadata/labels/hostile", "\"x\"")) },
    Behaviour { name: "edit-outside-its-reach", strike: |_| edit(add("/metadata/labels/other", "\"x\"")) },
    Behaviour { name: "edit-not-json", strike: |_| edit(add("/metadata/labels/hostile", "\"x")) },
    Behaviour {
        name: "edit-that-does-not-apply",
        strike: |_| edit(Edit::Remove("/metadata/labels/hostile".to_owned())),
    },
];

/// A review that says nothing, one an id.
pub fn nothing(ids: &[u32]) -> Vec<Review> {
    vec![review(); ids.len()]
}

/// Tells whether the module was warmed up, which a review must not depend on.
fn warmth(_: &[u32]) -> Vec<Review> {
    let annotation = ("warm".to_owned(), crate::is_warm().to_string());
    vec![Review { audit_annotations: vec![annotation], ..review() }]
}

/// Never returns.
pub fn endless_loop() -> ! {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

fn endless_log() -> ! {
    loop {
        log::log(log::Level::Info, "I am still here");
    }
}

fn endless_look_up() -> ! {
    loop {
        get("v1", "ConfigMap", "a");
    }
}

fn allocation_bomb() -> ! {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1024 * 1024]));
    }
}

/// Writes over all of its memory again and again, in bulk.
fn memory_fill() -> ! {
    let mut all = vec![0_u8; 8 * 1024 * 1024];
    loop {
        all.fill(black_box(1));
        black_box(&mut all);
    }
}

/// Ends the call stack long before the numbers.
#[inline(never)]
fn deep_recursion(level: u64) -> u64 {
    if level == u64::MAX { 0 } else { deep_recursion(level + 1).rotate_left(3) ^ level }
}

fn out_of_bounds(ids: &[u32]) -> Vec<Review> {
    let far = black_box(0xFFFF_FFF0_usize) as *const u8;
    // Outside of the instance's memory on purpose: the trap is the test.
    black_box(unsafe { far.read_volatile() });
    nothing(ids)
}

fn undeclared_among_many(ids: &[u32]) -> Vec<Review> {
    let object = |kind: &str| Lookup::Get(object_name("v1", kind, "a"));
    cluster::lookup_all(&[object("ConfigMap"), object("Secret")]);
    nothing(ids)
}

fn get(api_version: &str, kind: &str, name: &str) {
    black_box(cluster::get(&object_name(api_version, kind, name)));
}

fn object_name(api_version: &str, kind: &str, name: &str) -> ObjectName {
    ObjectName { api_version: api_version.into(), kind: kind.into(), namespace: Some("a".into()), name: name.into() }
}

fn list(key: &str) {
    black_box(cluster::list(&Query {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: None,
        label_selector: None,
        key: Some(KeyValue { key: key.into(), value: "a".into() }),
        limit: u32::MAX,
    }));
}

fn review() -> Review {
    Review { findings: Vec::new(), edits: Vec::new(), audit_annotations: Vec::new(), extra: None }
}

fn text_finding(text: String) -> Vec<Review> {
    vec![Review { findings: vec![text], ..review() }]
}

fn finding(finding: Value) -> Vec<Review> {
    text_finding(finding.to_string())
}

fn findings_too_many(_: &[u32]) -> Vec<Review> {
    let finding = json!({"rule": "evil", "level": "warn", "message": "m"}).to_string();
    vec![Review { findings: vec![finding; 101], ..review() }]
}

fn not_utf8(_: &[u32]) -> Vec<Review> {
    // What a guest in another language could hand over.
    text_finding(unsafe { String::from_utf8_unchecked(vec![b'"', 0xC3, 0x28, b'"']) })
}

fn add(pointer: &str, value: &str) -> Edit {
    Edit::Add(Located { pointer: pointer.to_owned(), value: value.to_owned() })
}

fn edit(edit: Edit) -> Vec<Review> {
    vec![Review { edits: vec![edit], ..review() }]
}
