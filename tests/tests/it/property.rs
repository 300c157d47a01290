//! Whatever an object looks like, no built-in policy traps, runs out of
//! anything or breaks the contract: it judges, or it says that the object is
//! malformed. Objects are those of the cases with values put in the place of
//! others, because of random JSON a view would only ever see the outside.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::suite::{Asked, Prepared, Suite};

/// Generated objects; a review in the sandbox takes a quarter of a millisecond.
const CASES: u32 = 4_000;

/// What is put where: a value in the place of another, in the object, the old
/// one or one of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    target: Index,
    place: Index,
    value: Option<Value>,
}

/// What a request holds, to be changed.
pub(crate) struct Changed {
    pub(crate) object: Option<Value>,
    pub(crate) old_object: Option<Value>,
    pub(crate) cluster: Vec<Value>,
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let value = prop_oneof![3 => json_value().prop_map(Some), 1 => Just(None)];
    (any::<Index>(), any::<Index>(), value).prop_map(|(target, place, value)| Change { target, place, value })
}

/// Small JSON; keys are those that views name, so that it fits somewhere.
fn json_value() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "name",
        "spec",
        "metadata",
        "labels",
        "image",
        "command",
        "args",
        "env",
        "value",
        "volumes",
        "storage",
        "requests",
        "claimName",
        "path",
        "template",
        "a/b~c",
        "",
    ]);
    let text = prop_oneof![
        Just(String::new()),
        Just("mongo:7.0".to_owned()),
        Just("/data/db".to_owned()),
        Just("../../..".to_owned()),
        Just("1e99999Gi".to_owned()),
        "\\PC{0,12}",
        "[a-z0-9./:@-]{0,40}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

impl Changed {
    pub(crate) fn of(prepared: &Prepared) -> Changed {
        let Asked { object, old_object, cluster } = prepared.asked();
        Changed { object: object.cloned(), old_object: old_object.cloned(), cluster: cluster.to_vec() }
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        let Changed { object, old_object, cluster } = self;
        // Twice as often the object itself, which is what is judged.
        let mut targets: Vec<&mut Value> = old_object.iter_mut().chain(cluster).collect();
        let at = change.target.index(targets.len() * 2 + 2);
        let target = match object {
            Some(object) if at >= targets.len() => object,
            _ if targets.is_empty() => return,
            _ => {
                let index = at % targets.len();
                targets.swap_remove(index)
            }
        };
        put(target, &change.place, change.value.clone());
    }

    fn asked(&self) -> Asked<'_> {
        Asked { object: self.object.as_ref(), old_object: self.old_object.as_ref(), cluster: &self.cluster }
    }
}

/// Puts a value in some place below the top of an object, or takes away what is there.
fn put(object: &mut Value, place: &Index, value: Option<Value>) {
    let mut places = Vec::new();
    pointers(object, String::new(), &mut places);
    let Some(pointer) = (!places.is_empty()).then(|| place.get(&places)) else { return };
    match value {
        Some(value) => *object.pointer_mut(pointer).unwrap() = value,
        None => {
            let (parent, last) = pointer.rsplit_once('/').unwrap();
            match object.pointer_mut(parent).unwrap() {
                Value::Object(members) => drop(members.remove(&last.replace("~1", "/").replace("~0", "~"))),
                Value::Array(elements) => drop(elements.remove(last.parse().unwrap())),
                _ => unreachable!("only objects and arrays have places"),
            }
        }
    }
}

fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    let mut below = |step: String, value: &Value| {
        let pointer = format!("{at}/{step}");
        found.push(pointer.clone());
        pointers(value, pointer, found);
    };
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| below(key.replace('~', "~0").replace('/', "~1"), value));
        }
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(index, value)| below(index.to_string(), value));
        }
        _ => {}
    }
}

#[test]
fn no_object_makes_a_built_in_policy_fail() {
    let matched: Vec<&Prepared> = Suite::get().cases.iter().filter(|prepared| prepared.matches()).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let changes = (any::<Index>(), prop::collection::vec(change(), 1..4));
    let checked = TestRunner::new(config).run(&changes, |(case, changes)| {
        let prepared = *case.get(&matched);
        let mut changed = Changed::of(prepared);
        changes.iter().for_each(|change| changed.apply(change));
        let asked = changed.asked();
        let shown = || {
            format!(
                "{}\nobject: {}\nold: {}\ncluster: {}",
                prepared.label,
                json!(asked.object),
                json!(asked.old_object),
                json!(asked.cluster)
            )
        };
        let answered = runtime.block_on(prepared.ask(&asked));
        let answered = answered.map_err(|failure| TestCaseError::fail(format!("{failure}\n{}", shown())))?;
        if !answered.said.edits.is_empty() {
            let again = Asked { object: answered.edited.as_ref(), ..changed.asked() };
            let again = runtime.block_on(prepared.ask(&again));
            let again = again.map_err(|failure| TestCaseError::fail(format!("{failure}\n{}", shown())))?;
            prop_assert!(again.said.edits.is_empty(), "done twice it edits {:?}\n{}", again.said.edits, shown());
        }
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}
