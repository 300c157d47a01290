//! The controller's decisions, one situation each.

#![allow(clippy::unwrap_used, reason = "a test may end in a panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::admit::Policy;
use portcullis_core::matching::Matcher;
use portcullis_core::policy::{PolicyDocument, PolicyId, PolicySpec};
use serde_json::json;

use super::plan::{LoadedPolicy, Outlook, PATIENCE, Plan, Planner, RunningPolicy};
use crate::documents::{PolicyObject, PolicyVersion};
use crate::replica::{PolicyState, Replica, ReplicaState};

const NAME: &str = "storage";

fn object(uid: &str, generation: i64, status: serde_json::Value) -> Arc<PolicyObject> {
    let spec = json!({"module": "builtin/storage", "order": generation});
    Arc::new(PolicyObject {
        id: PolicyId::cluster(NAME),
        version: PolicyVersion { uid: uid.to_owned(), generation },
        created: String::new(),
        document: json!({"metadata": {"name": NAME}, "spec": spec, "status": status}),
    })
}

fn running(generation: i64) -> Option<RunningPolicy> {
    let document = PolicyDocument { id: PolicyId::cluster(NAME), spec: PolicySpec::of_module("builtin/storage") };
    let policy = Policy {
        matcher: Matcher::new(&document, None).unwrap(),
        document,
        description: None,
        digest: format!("digest-{generation}"),
        evaluator: Err("a test has none".to_owned()),
    };
    Some(RunningPolicy { generation, policy: Arc::new(policy) })
}

/// One whose newest generation runs.
fn fine(generation: i64) -> LoadedPolicy {
    LoadedPolicy { object: object("u", generation, json!({})), running: running(generation), problem: None }
}

/// One whose newest generation is broken, beside one that runs.
fn broken(generation: i64, runs: Option<i64>) -> LoadedPolicy {
    LoadedPolicy {
        object: object("u", generation, json!({})),
        running: runs.and_then(running),
        problem: Some("spec.settings.a: is wrong".to_owned()),
    }
}

fn replica(name: &str, uid: &str, generation: i64, error: Option<&str>) -> Replica {
    let state = PolicyState { uid: uid.to_owned(), generation, error: error.map(str::to_owned), missing: None };
    let policies = BTreeMap::from([(NAME.to_owned(), state)]);
    Replica {
        name: name.to_owned(),
        state: ReplicaState { ready: true, snapshot: String::new(), policies, certificate: None },
    }
}

fn on(generation: i64) -> Vec<Replica> {
    ["a", "b"].map(|name| replica(name, "u", generation, None)).to_vec()
}

/// The generation whose rules stand in a webhook, by its digest.
fn registered(plan: &Plan) -> Option<&str> {
    plan.registered.first().map(|policy| policy.digest.as_str())
}

fn outlook(plan: &Plan) -> &Outlook {
    &plan.statuses.first().unwrap().1
}

#[test]
fn rules_are_added_when_every_ready_replica_runs_the_policy() {
    let (mut planner, now) = (Planner::default(), Instant::now());
    let one_of_two = [replica("a", "u", 1, None), replica("b", "u", 1, Some("it isn't loaded yet"))];
    let plan = planner.plan(&[fine(1)], &one_of_two, now);
    assert_eq!(registered(&plan), None);
    assert_eq!((outlook(&plan).ready.reason, outlook(&plan).replicas.as_str()), ("WaitingForReplicas", "1/2"));
    assert!(outlook(&plan).behind.is_empty() && !outlook(&plan).degraded.holds);

    let plan = planner.plan(&[fine(1)], &on(1), now);
    assert_eq!(registered(&plan), Some("digest-1"));
    assert!(outlook(&plan).ready.holds, "{:?}", outlook(&plan).ready);
    assert_eq!(outlook(&plan).loaded.as_ref().unwrap().spec["order"], 1);
}

#[test]
fn a_replica_that_is_not_ready_is_not_waited_for() {
    let mut starting = replica("c", "u", 0, None);
    starting.state.ready = false;
    let plan = Planner::default().plan(&[fine(1)], &[on(1), vec![starting]].concat(), Instant::now());
    assert_eq!((registered(&plan), outlook(&plan).replicas.as_str()), (Some("digest-1"), "2/2"));
}

#[test]
fn the_rules_before_stay_until_all_run_the_new_version() {
    let (mut planner, now) = (Planner::default(), Instant::now());
    planner.plan(&[fine(1)], &on(1), now);
    let plan = planner.plan(&[fine(2)], &[replica("a", "u", 2, None), replica("b", "u", 1, None)], now);
    assert_eq!(registered(&plan), Some("digest-1"));
    assert!(outlook(&plan).ready.message.contains("until all do, generation 1 is enforced"));
    assert_eq!(registered(&planner.plan(&[fine(2)], &on(2), now)), Some("digest-2"));
}

#[test]
fn a_replica_that_cannot_follow_is_named_and_holds_nobody_back_for_ever() {
    let (mut planner, now) = (Planner::default(), Instant::now());
    let replicas = [replica("a", "u", 1, None), replica("b", "u", 1, Some("no memory"))];
    let early = planner.plan(&[fine(1)], &replicas, now);
    assert!(registered(&early).is_none() && outlook(&early).behind.is_empty());
    let late = planner.plan(&[fine(1)], &replicas, now + PATIENCE);
    assert_eq!(registered(&late), Some("digest-1"));
    assert_eq!(outlook(&late).behind, ["b"]);
    let degraded = &outlook(&late).degraded;
    assert!(degraded.holds && degraded.reason == "ReplicasBehind" && degraded.message.contains("b (no memory)"));
    let ready = &late.statuses[0].1.ready;
    assert!(!ready.holds && ready.message.contains("1 of 2"), "some answer without it: {ready:?}");
    // Where none can, nothing is enforced.
    let none = [replica("a", "u", 1, Some("no memory"))];
    let mut planner = Planner::default();
    planner.plan(&[fine(1)], &none, now);
    assert_eq!(registered(&planner.plan(&[fine(1)], &none, now + PATIENCE)), None);
}

#[test]
fn a_broken_version_leaves_the_one_before_in_use() {
    let (mut planner, now) = (Planner::default(), Instant::now());
    planner.plan(&[fine(1)], &on(1), now);
    let plan = planner.plan(&[broken(2, Some(1))], &on(2), now);
    assert_eq!(registered(&plan), Some("digest-1"));
    assert!(!outlook(&plan).ready.holds && outlook(&plan).loaded.is_none());
    let message = &outlook(&plan).degraded.message;
    assert_eq!(message, "spec.settings.a: is wrong; generation 1 stays in use");
    // One that never ran is not enforced at all.
    let plan = Planner::default().plan(&[broken(1, None)], &on(1), now);
    assert_eq!(registered(&plan), None);
    assert!(outlook(&plan).degraded.message.ends_with("nothing is enforced"));
}

#[test]
fn a_controller_that_begins_goes_on_from_the_status() {
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let known = LoadedPolicy { object: object("u", 1, ready), ..fine(1) };
    // No replica is there for a moment: the rules must not go.
    let plan = Planner::default().plan(&[known], &[], Instant::now());
    assert_eq!((registered(&plan), outlook(&plan).ready.reason), (Some("digest-1"), "NoReplicas"));
    // A policy that was never registered isn't now either.
    assert_eq!(registered(&Planner::default().plan(&[fine(1)], &[], Instant::now())), None);
}

#[test]
fn rules_go_with_their_object_and_a_namesake_begins_anew() {
    let (mut planner, now) = (Planner::default(), Instant::now());
    planner.plan(&[fine(1)], &on(1), now);
    let namesake = LoadedPolicy { object: object("other", 1, json!({})), ..fine(1) };
    assert_eq!(registered(&planner.plan(&[namesake], &on(1), now)), None);
    planner.plan(&[fine(1)], &on(1), now);
    assert_eq!(registered(&planner.plan(&[], &on(1), now + Duration::from_secs(1))), None);
}

#[test]
fn what_a_replica_may_not_read_is_said() {
    let mut replicas = on(1);
    replicas[1].state.policies.get_mut(NAME).unwrap().missing = Some("Secret may not be read: grant it".to_owned());
    let plan = Planner::default().plan(&[fine(1)], &replicas, Instant::now());
    let degraded = &outlook(&plan).degraded;
    assert_eq!(
        (degraded.reason, degraded.message.as_str()),
        ("ClusterDataMissing", "Secret may not be read: grant it")
    );
    assert!(outlook(&plan).ready.holds);
}
