//! Every path through the record: what happens, and what happens when the
//! controller dies between any two steps.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;

use super::decide::{Decision, News, Present, Situation, Step, decide, recorded};
use super::*;

const VALIDATING: &str = "validating/portcullis";
const MUTATING: &str = "mutating/portcullis";
const OWN: &str = "validating/portcullis-policies";
const NOW: Moment = Moment(1_800_000_000);

/// A cluster and a controller's record of it.
#[derive(Clone, Debug, PartialEq)]
struct World {
    record: Record,
    present: BTreeMap<String, Present>,
    owner: Option<&'static str>,
    now: Moment,
    made: u32,
}

impl World {
    fn new() -> World {
        World { record: Record::default(), present: BTreeMap::new(), owner: Some("role"), now: NOW, made: 0 }
    }

    /// One that has registered these.
    fn registered(names: &[&str]) -> World {
        let mut world = World::new();
        world.reconcile(names);
        world
    }

    fn decide(&self, wanted: &[&str]) -> Decision {
        let wanted = wanted.iter().map(|name| (*name).to_owned()).collect();
        decide(&Situation {
            record: &self.record,
            present: &self.present,
            wanted: &wanted,
            owner: self.owner,
            now: self.now,
            expiry: EXPIRY,
        })
    }

    /// One look of the controller, from its begin to its end.
    fn reconcile(&mut self, wanted: &[&str]) -> Vec<News> {
        let decision = self.decide(wanted);
        self.record = decision.record.clone();
        let written = self.carry_out(&decision);
        if !decision.news.contains(&News::Uninstalling) {
            self.record = recorded(&self.record, &written, self.owner);
        }
        decision.news
    }

    fn carry_out(&mut self, decision: &Decision) -> BTreeMap<String, String> {
        let mut written = BTreeMap::new();
        for (name, step) in &decision.steps {
            match step {
                Step::Create => written.insert(name.clone(), self.make(name)),
                Step::Update => written.insert(name.clone(), self.present[name].uid.clone()),
                Step::Delete => self.present.remove(name).and(None),
                Step::Leave => None,
            };
        }
        written
    }

    /// Somebody makes one, or the controller does.
    fn make(&mut self, name: &str) -> String {
        self.made += 1;
        let uid = format!("uid-{}", self.made);
        self.present.insert(name.to_owned(), Present { uid: uid.clone(), is_ours: true });
        uid
    }

    fn delete(&mut self, name: &str) {
        self.present.remove(name).unwrap();
    }

    fn names(&self) -> Vec<&str> {
        self.present.keys().map(String::as_str).collect()
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_was_written_is_recorded_with_its_owner() {
    let world = World::registered(&[VALIDATING, OWN]);
    let one = Recorded { uid: "uid-1".to_owned(), owner: Some("role".to_owned()) };
    assert_eq!(world.record.recorded[VALIDATING], one);
    let mut again = world.clone();
    assert_eq!(again.reconcile(&[VALIDATING, OWN]), []);
    assert_eq!(again, world, "nothing is left to do");
}

#[test]
fn one_that_a_person_deletes_opens_the_cluster_and_is_not_repaired() {
    let mut world = World::registered(&[VALIDATING, MUTATING, OWN]);
    world.delete(VALIDATING);
    assert_eq!(world.reconcile(&[VALIDATING, MUTATING, OWN]), [News::Opened(set(&[VALIDATING]))]);
    let open = world.record.break_glass.clone().unwrap();
    assert_eq!((open.since, open.until), (NOW, NOW.after(EXPIRY)));
    assert_eq!((open.reason.as_str(), &open.gone), (DELETED, &set(&[VALIDATING])));
    for _ in 0..3 {
        assert_eq!(world.reconcile(&[VALIDATING, MUTATING, OWN]), []);
        assert_eq!(world.names(), [MUTATING, OWN]);
    }
    // What is there is kept current, and what isn't is not made.
    let steps = world.decide(&[VALIDATING, MUTATING, OWN, "validating/portcullis-namespaces"]).steps;
    assert_eq!(steps[MUTATING], Step::Update);
    assert_eq!(steps["validating/portcullis-namespaces"], Step::Leave);
    // A second one widens it and doesn't prolong it.
    world.now = NOW.after(Duration::from_secs(60));
    world.delete(MUTATING);
    assert_eq!(world.reconcile(&[VALIDATING, MUTATING, OWN]), [News::Opened(set(&[MUTATING]))]);
    assert_eq!(world.record.break_glass.as_ref().unwrap().until, NOW.after(EXPIRY));
}

#[test]
fn it_ends_by_annotation_by_time_and_by_hand() {
    let wanted = [VALIDATING, OWN];
    let mut open = World::registered(&wanted);
    open.delete(VALIDATING);
    open.reconcile(&wanted);

    let mut asked = open.clone();
    asked.record.end_asked = true;
    assert_eq!(asked.reconcile(&wanted), [News::Closed("somebody has ended it")]);
    assert_eq!(asked.names(), wanted);
    assert!(asked.record.break_glass.is_none() && !asked.record.end_asked);
    assert_eq!(asked.reconcile(&wanted), []);

    let mut late = open.clone();
    late.now = NOW.after(EXPIRY);
    assert_eq!(late.reconcile(&wanted), [News::Closed("its time is up")]);
    assert_eq!(late.names(), wanted);

    let mut by_hand = open.clone();
    let uid = by_hand.make(VALIDATING);
    assert_eq!(by_hand.reconcile(&wanted), [News::Closed("the configurations are there again")]);
    assert_eq!(by_hand.record.recorded[VALIDATING].uid, uid);
    assert_eq!(by_hand.reconcile(&wanted), []);

    // Somebody else's object of that name isn't ours, and ends nothing.
    let mut foreign = open;
    foreign.present.insert(VALIDATING.to_owned(), Present { uid: "x".to_owned(), is_ours: false });
    let decision = foreign.decide(&wanted);
    assert!(decision.news.is_empty() && decision.record.break_glass.is_some());
}

#[test]
fn an_end_that_was_asked_for_without_need_doesn_t_end_the_next() {
    let mut world = World::registered(&[VALIDATING]);
    world.record.end_asked = true;
    assert_eq!(world.reconcile(&[VALIDATING]), []);
    assert!(!world.record.end_asked);
}

#[test]
fn one_that_the_controller_deletes_opens_nothing_wherever_it_dies() {
    let before = World::registered(&[VALIDATING, OWN]);
    let decision = before.decide(&[OWN]);
    assert_eq!(decision.steps[VALIDATING], Step::Delete);
    // It dies before the record is written, after that, after the deletion.
    let unrecorded = World { record: decision.record.clone(), ..before.clone() };
    let mut deleted = unrecorded.clone();
    deleted.carry_out(&decision);
    for mut world in [before, unrecorded, deleted] {
        assert_eq!(world.reconcile(&[OWN]), []);
        assert_eq!(world.names(), [OWN]);
        assert_eq!(world.reconcile(&[OWN, VALIDATING]), [], "and it can be made again");
        assert_eq!(world.names(), [VALIDATING, OWN]);
    }
}

#[test]
fn one_that_is_made_is_made_once_wherever_the_controller_dies() {
    let before = World::new();
    let decision = before.decide(&[VALIDATING]);
    assert_eq!(decision.steps[VALIDATING], Step::Create);
    let mut made = before.clone();
    made.carry_out(&decision);
    for mut world in [before, made] {
        world.reconcile(&[VALIDATING]);
        assert_eq!(world.record.recorded[VALIDATING].uid, "uid-1", "made, or adopted");
    }
}

#[test]
fn a_break_glass_by_command_holds_wherever_it_dies() {
    // `begin` records first, then deletes.
    let mut recorded = World::registered(&[VALIDATING, MUTATING]);
    let gone = set(&[VALIDATING, MUTATING]);
    recorded.record.break_glass = Some(BreakGlass {
        since: NOW,
        until: NOW.after(Duration::from_secs(600)),
        reason: "a drill".to_owned(),
        by: Some("mary".to_owned()),
        gone,
    });
    let mut half = recorded.clone();
    half.delete(VALIDATING);
    let mut whole = half.clone();
    whole.delete(MUTATING);
    for mut world in [recorded, half, whole] {
        let names: Vec<String> = world.present.keys().cloned().collect();
        assert_eq!(world.reconcile(&[VALIDATING, MUTATING]), []);
        assert_eq!(world.present.keys().cloned().collect::<Vec<_>>(), names, "nothing is made again");
        assert_eq!(world.record.break_glass.as_ref().unwrap().reason, "a drill");
        world.now = NOW.after(Duration::from_secs(600));
        assert_eq!(world.reconcile(&[VALIDATING, MUTATING]), [News::Closed("its time is up")]);
        assert_eq!(world.names(), [MUTATING, VALIDATING]);
        assert_eq!(world.reconcile(&[VALIDATING, MUTATING]), []);
    }
}

#[test]
fn removing_the_installation_is_no_break_glass() {
    let mut world = World::registered(&[VALIDATING, OWN]);
    world.owner = None;
    // The collector takes them one after the other.
    for name in [VALIDATING, OWN] {
        assert_eq!(world.reconcile(&[VALIDATING, OWN]), [News::Uninstalling]);
        world.delete(name);
    }
    assert_eq!(world.reconcile(&[VALIDATING, OWN]), [News::Uninstalling]);
    assert!(world.names().is_empty());
    // It is installed again: another role of that name.
    world.owner = Some("another role");
    assert_eq!(world.reconcile(&[VALIDATING, OWN]), []);
    assert_eq!(world.names(), [VALIDATING, OWN]);
    assert_eq!(world.record.recorded[OWN].owner.as_deref(), Some("another role"));
}

#[test]
fn a_reinstallation_ends_the_break_glass_of_the_one_before() {
    let mut world = World::registered(&[VALIDATING, OWN]);
    world.delete(VALIDATING);
    world.reconcile(&[VALIDATING, OWN]);
    world.owner = Some("another role");
    assert_eq!(world.reconcile(&[VALIDATING, OWN]), [News::Closed("the configurations are there again")]);
    assert_eq!(world.names(), [VALIDATING, OWN]);
}

#[test]
fn what_the_collector_takes_after_a_reinstallation_is_no_break_glass() {
    // The controller dies after it has looked, before it has written the new owner.
    let mut world = World::registered(&[VALIDATING]);
    world.owner = Some("another role");
    let decision = world.decide(&[VALIDATING]);
    world.record = decision.record;
    world.delete(VALIDATING);
    assert_eq!(world.reconcile(&[VALIDATING]), []);
    assert_eq!(world.names(), [VALIDATING]);
}

#[test]
fn one_that_was_there_without_a_record_is_adopted() {
    let mut world = World::new();
    let uid = world.make(VALIDATING);
    assert_eq!(world.decide(&[VALIDATING]).steps[VALIDATING], Step::Update);
    world.reconcile(&[VALIDATING]);
    assert_eq!(world.record.recorded[VALIDATING].uid, uid);
    world.delete(VALIDATING);
    assert_eq!(world.reconcile(&[VALIDATING]), [News::Opened(set(&[VALIDATING]))]);
}

#[test]
fn without_an_owner_the_record_works_all_the_same() {
    let mut world = World { owner: None, ..World::new() };
    world.reconcile(&[VALIDATING]);
    world.delete(VALIDATING);
    assert_eq!(world.reconcile(&[VALIDATING]), [News::Opened(set(&[VALIDATING]))]);
}

#[test]
fn no_break_glass_lasts_longer_than_the_longest() {
    let mut world = World::registered(&[VALIDATING]);
    world.delete(VALIDATING);
    world.reconcile(&[VALIDATING]);
    world.record.break_glass.as_mut().unwrap().until = NOW.after(MAX_EXPIRY * 50);
    world.now = NOW.after(MAX_EXPIRY);
    assert_eq!(world.reconcile(&[VALIDATING]), [News::Closed("its time is up")]);
}

fn map(data: &[(&str, &str)], annotation: Option<&str>) -> ConfigMap {
    let mut map = ConfigMap::default();
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    map.data = Some(data.collect());
    if let Some(value) = annotation {
        map.annotations_mut().insert(ANNOTATION.to_owned(), value.to_owned());
    }
    map
}

#[test]
fn the_record_is_read_as_it_was_written_and_leaves_what_isn_t_ours() {
    let mut world = World::registered(&[VALIDATING, OWN]);
    world.delete(VALIDATING);
    world.reconcile(&[VALIDATING, OWN]);
    world.record.initial_policies = set(&["baseline"]);
    let mut written = map(&[("others", "stays")], Some(END));
    world.record.write(&mut written);
    assert_eq!(Record::read(&written, NOW), (world.record, Vec::new()));
    assert!(written.annotations().is_empty(), "what was asked for is done");
    assert_eq!(written.data.unwrap()["others"], "stays");
    assert!(Record::read(&map(&[], Some(END)), NOW).0.end_asked);
    assert!(!Record::read(&map(&[], Some("later")), NOW).0.end_asked);
}

#[test]
fn a_damaged_record_is_named_and_never_closes_what_somebody_opened() {
    let one = r#"{"validating/portcullis": {"uid": "1", "owner": null}}"#;
    let (record, problems) = Record::read(&map(&[("recorded", one), ("breakGlass", "{")], None), NOW);
    assert_eq!(record.break_glass.unwrap().gone, set(&[VALIDATING]));
    assert!(problems[0].starts_with("data.breakGlass of the ConfigMap portcullis-registrations can't be read: "));
    let (record, problems) = Record::read(&map(&[("recorded", "[]")], None), NOW);
    assert!(record.recorded.is_empty() && problems.len() == 1);
}

#[test]
fn moments_are_written_as_kubernetes_writes_them() {
    assert_eq!(NOW.to_string(), "2027-01-15T08:00:00Z");
    assert_eq!(serde_json::from_str::<Moment>("\"2027-01-15T08:00:00Z\"").unwrap(), NOW);
    let error = serde_json::from_str::<Moment>("\"soon\"").unwrap_err().to_string();
    assert!(error.starts_with("\"soon\" is no moment; write one as 2026-01-31T12:00:00Z"), "{error}");
}
