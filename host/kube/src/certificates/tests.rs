//! The plan against a world that does its worst: API servers that know late,
//! replicas that swap and report late, a controller that dies between any two
//! steps, Secrets that somebody deletes or damages.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::parsed::Fingerprint;
use super::plan::{Authority, Leaf, Serving, Step, View};
use super::settled::{Look, Reported, Settled};

/// Seconds that an API server may be behind with what it knows.
const SETTLE: i64 = 10;
const YEAR: i64 = 365 * 24 * 3600;
const LIFETIME: i64 = YEAR / 4;
/// Configurations, and API servers.
const COUNT: usize = 2;

/// What may happen.
#[derive(Debug, Clone)]
enum Happens {
    /// Seconds pass.
    Time(i64),
    /// Months do; the controller looks now and then.
    Months(u8),
    /// The controller looks, and takes its step.
    Look,
    /// The controller dies: before its next step is written, and what it remembers is lost.
    Dies,
    /// The controller writes its bundle into one configuration.
    Writes(usize),
    /// An API server hears of the configurations.
    Hears(usize),
    /// A replica takes what the Secret holds.
    Swaps(usize),
    /// It says what it serves.
    Reports(usize),
    /// It begins anew.
    Restarts(usize),
    /// One more comes.
    Joins,
    /// One goes.
    Leaves(usize),
    /// Somebody asks for a rotation.
    Asks,
    /// Somebody damages or deletes something; a few times a case at most.
    Disaster(Disaster),
}

#[derive(Debug, Clone, Copy)]
enum Disaster {
    LosesAuthorities,
    DamagesAuthority,
    LosesPrevious,
    BringsAuthority,
    LosesServing,
    DamagesServing,
}

#[derive(Debug, Default)]
struct Replica {
    serves: Option<Fingerprint>,
    says: Option<Fingerprint>,
}

/// A configuration's bundle, where there is one; an API server never goes back
/// to an earlier version.
#[derive(Debug, Clone, Default)]
struct Configuration {
    version: usize,
    bundle: Option<Vec<Fingerprint>>,
}

#[derive(Debug)]
struct World {
    began: Instant,
    now: i64,
    made: u8,
    authorities: Vec<Authority>,
    damaged: bool,
    serving: Option<Leaf>,
    serving_damaged: bool,
    asked: bool,
    /// Of each certificate ever issued: its CA and its end.
    issued: BTreeMap<Fingerprint, (Fingerprint, i64)>,
    /// When one was issued because nobody served anything: until every API
    /// server knows, calls fail as they would without it.
    at_once: BTreeMap<Fingerprint, i64>,
    ends: BTreeMap<Fingerprint, i64>,
    bundle: Option<Vec<Fingerprint>>,
    configurations: [Configuration; COUNT],
    /// Each API server's configurations, and what it will hear of.
    known: [[Configuration; COUNT]; COUNT],
    news: VecDeque<(i64, usize, Configuration)>,
    replicas: Vec<Replica>,
    settled: Settled,
    hurries: bool,
    disasters: usize,
    steps: Vec<Step>,
}

impl World {
    fn new(replicas: usize) -> World {
        World {
            began: Instant::now(),
            now: 1_800_000_000,
            made: 0,
            authorities: Vec::new(),
            damaged: false,
            serving: None,
            serving_damaged: false,
            asked: false,
            issued: BTreeMap::new(),
            at_once: BTreeMap::new(),
            ends: BTreeMap::new(),
            bundle: None,
            configurations: Default::default(),
            known: Default::default(),
            news: VecDeque::new(),
            replicas: (0..replicas).map(|_| Replica::default()).collect(),
            settled: Settled::default(),
            hurries: false,
            disasters: 0,
            steps: Vec::new(),
        }
    }

    fn fresh(&mut self) -> Fingerprint {
        self.made = self.made.wrapping_add(1);
        let mut id = [0; 32];
        id[0] = self.made;
        // More are made than a byte counts.
        id[1..9].copy_from_slice(&(self.issued.len() + self.ends.len()).to_le_bytes());
        Fingerprint(id)
    }

    fn view(&self) -> View {
        let serving = match (&self.serving, self.serving_damaged) {
            (_, true) => Serving::Damaged("damaged".to_owned()),
            (None, _) => Serving::Missing,
            (Some(leaf), _) => {
                let issuer = leaf.issuer.filter(|id| self.authorities.iter().any(|one| one.id == *id));
                Serving::Present(Leaf { issuer, ..*leaf })
            }
        };
        View {
            authorities: self.authorities.clone(),
            damage: self.damaged.then(|| "damaged".to_owned()),
            serving,
            asked: self.asked.then(|| "now".to_owned()),
        }
    }

    fn passes(&mut self, seconds: i64) {
        self.now += seconds;
        while self.news.front().is_some_and(|(at, _, _)| *at + SETTLE <= self.now) {
            let (_, number, news) = self.news.pop_front().unwrap();
            for known in self.known.iter_mut().filter(|known| known[number].version < news.version) {
                known[number] = news.clone();
            }
        }
    }

    fn look(&mut self) -> Step {
        let bundles: Vec<Vec<(Fingerprint, i64)>> = self
            .configurations
            .iter()
            .filter_map(|configuration| configuration.bundle.as_ref())
            .map(|bundle| bundle.iter().map(|id| (*id, self.ends[id])).collect())
            .collect();
        let replicas: Vec<Reported> = self
            .replicas
            .iter()
            .map(|replica| Reported {
                name: String::new(),
                ready: replica.says.is_some(),
                certificate: replica.says.map(|id| id.to_string()),
            })
            .collect();
        let at = self.began + Duration::from_secs(u64::try_from(self.now - 1_700_000_000).unwrap());
        let view = self.view();
        let look = Look { now: self.now, at, bundles: &bundles, replicas: &replicas };
        let around = self.settled.look(&view, &look, Duration::from_secs(SETTLE.unsigned_abs() + 1));
        if let Some(bundle) = view.bundle(&around) {
            self.bundle = Some(bundle);
        }
        let step = view.step(&around, LIFETIME);
        if let Step::Issue { signer, .. } = &step {
            self.hurries = !around.settled.contains(signer);
            assert!(!self.hurries || self.replicas.iter().all(|replica| self.is_served(replica.says).is_none()));
        }
        step
    }

    /// What it serves that an API server could accept.
    fn is_served(&self, serves: Option<Fingerprint>) -> Option<Fingerprint> {
        serves.filter(|id| self.issued[id].1 > self.now)
    }

    fn take(&mut self, step: Step) {
        let behind = |world: &World, keep: &[Fingerprint]| -> Vec<Authority> {
            let known = |id: &Fingerprint| world.authorities.iter().find(|one| one.id == *id).copied();
            let foreign = |id: &Fingerprint| Authority { id: *id, issued: 0, not_after: world.ends[id], signs: false };
            keep.iter().map(|id| known(id).unwrap_or_else(|| foreign(id))).collect()
        };
        match &step {
            Step::Rest | Step::AwaitSettled | Step::AwaitReplicas => return,
            Step::Create { keep, .. } => {
                let newest = self.authority();
                let older = behind(self, keep);
                self.authorities = std::iter::once(newest).chain(older).collect();
                self.damaged = false;
                self.asked = false;
            }
            Step::Trust { keep } | Step::Retire { keep } => {
                assert_eq!(keep.first(), self.authorities.first().map(|one| &one.id), "the newest stays");
                self.authorities = behind(self, keep);
            }
            Step::Issue { signer, .. } => {
                let signer = *self.authorities.iter().find(|one| one.id == *signer).unwrap();
                assert!(signer.signs, "it has its key");
                let id = self.fresh();
                let not_after = signer.not_after.min(self.now + LIFETIME);
                self.issued.insert(id, (signer.id, not_after));
                if self.hurries {
                    self.at_once.insert(id, self.now);
                }
                self.serving = Some(Leaf { id, issuer: Some(signer.id), issued: self.now, not_after, named: true });
                self.serving_damaged = false;
            }
            Step::Disarm => self.authorities.iter_mut().skip(1).for_each(|one| one.signs = false),
        }
        self.steps.push(step);
    }

    fn authority(&mut self) -> Authority {
        let id = self.fresh();
        self.ends.insert(id, self.now + YEAR);
        Authority { id, issued: self.now, not_after: self.now + YEAR, signs: true }
    }

    fn write(&mut self, number: usize) {
        let configuration = &mut self.configurations[number];
        if self.bundle.is_some() && configuration.bundle != self.bundle {
            configuration.bundle.clone_from(&self.bundle);
            configuration.version += 1;
            self.news.push_back((self.now, number, configuration.clone()));
        }
    }

    fn swap(&mut self, number: usize) {
        if let (Some(replica), Some(leaf), false) = (self.replicas.get_mut(number), &self.serving, self.serving_damaged)
        {
            replica.serves = Some(leaf.id);
        }
    }

    fn happens(&mut self, what: &Happens) {
        match what {
            Happens::Time(seconds) => self.passes(*seconds),
            Happens::Months(months) => {
                for _ in 0..*months {
                    self.passes(YEAR / 12);
                    self.calm(8);
                }
            }
            Happens::Look => {
                let step = self.look();
                self.take(step);
            }
            Happens::Dies => {
                let _ = self.look();
                self.settled = Settled::default();
            }
            Happens::Writes(number) => self.write(number % COUNT),
            Happens::Hears(server) => self.known[server % COUNT] = self.configurations.clone(),
            Happens::Swaps(number) => self.swap(*number),
            Happens::Reports(number) => {
                if let Some(replica) = self.replicas.get_mut(*number) {
                    replica.says = replica.serves;
                }
            }
            Happens::Restarts(number) => {
                if let Some(replica) = self.replicas.get_mut(*number) {
                    *replica = Replica::default();
                    self.swap(*number);
                }
            }
            Happens::Joins if self.replicas.len() < 5 => self.replicas.push(Replica::default()),
            Happens::Joins => {}
            Happens::Leaves(number) if *number < self.replicas.len() => drop(self.replicas.remove(*number)),
            Happens::Leaves(_) => {}
            Happens::Asks => self.asked = true,
            Happens::Disaster(disaster) => self.strike(*disaster),
        }
    }

    fn strike(&mut self, disaster: Disaster) {
        // A CA that is lost before any webhook carried it is lost for good.
        let carried = |one: &Authority| {
            self.configurations.iter().any(|carries| carries.bundle.iter().flatten().any(|id| *id == one.id))
        };
        if self.disasters == 3 || !self.authorities.iter().all(carried) {
            return;
        }
        self.disasters += 1;
        match disaster {
            Disaster::LosesAuthorities => {
                self.authorities.clear();
                self.damaged = false;
            }
            Disaster::DamagesAuthority => {
                self.damaged = !self.authorities.is_empty();
                self.authorities.iter_mut().take(1).for_each(|one| one.signs = false);
            }
            Disaster::LosesPrevious => self.authorities.truncate(1),
            Disaster::BringsAuthority => {
                self.authorities = vec![self.authority()];
                self.damaged = false;
            }
            Disaster::LosesServing => self.serving = None,
            Disaster::DamagesServing => self.serving_damaged = self.serving.is_some(),
        }
    }

    /// Everybody does what they should for so many rounds.
    fn calm(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.happens(&Happens::Look);
            self.covered();
            for number in 0..COUNT {
                self.write(number);
                self.covered();
            }
            for number in 0..self.replicas.len() {
                self.swap(number);
                self.covered();
                self.happens(&Happens::Reports(number));
            }
            self.passes(SETTLE + 2);
            self.covered();
        }
    }

    /// The invariant: what any API server trusts covers what any replica serves.
    #[track_caller]
    fn covered(&self) {
        for serves in self.replicas.iter().filter_map(|replica| replica.serves) {
            let (issuer, not_after) = self.issued[&serves];
            let hurried = self.at_once.get(&serves).is_some_and(|at| self.now < at + SETTLE);
            if not_after <= self.now || hurried {
                continue;
            }
            for bundle in self.known.iter().flatten().filter_map(|known| known.bundle.as_ref()) {
                assert!(
                    bundle.contains(&issuer),
                    "{serves:?} of {issuer:?} isn't covered by {bundle:?}: {:?}",
                    self.steps
                );
            }
        }
    }

    #[track_caller]
    fn at_rest(&mut self) {
        self.calm(20);
        assert_eq!(self.look(), Step::Rest, "{:?}", self.steps);
        assert_eq!(self.authorities.len(), 1);
        let newest = self.authorities[0].id;
        let leaf = self.serving.unwrap();
        assert_eq!(leaf.issuer, Some(newest));
        assert!(self.replicas.iter().all(|replica| replica.serves == Some(leaf.id)));
        assert!(self.configurations.iter().all(|one| one.bundle.as_deref() == Some(&[newest])));
    }
}

fn happening() -> impl Strategy<Value = Happens> {
    let disaster = prop_oneof![
        Just(Disaster::LosesAuthorities),
        Just(Disaster::DamagesAuthority),
        Just(Disaster::LosesPrevious),
        Just(Disaster::BringsAuthority),
        Just(Disaster::LosesServing),
        Just(Disaster::DamagesServing),
    ];
    prop_oneof![
        6 => (0i64..15).prop_map(Happens::Time),
        1 => (1u8..14).prop_map(Happens::Months),
        8 => Just(Happens::Look),
        1 => Just(Happens::Dies),
        6 => (0..COUNT).prop_map(Happens::Writes),
        4 => (0..COUNT).prop_map(Happens::Hears),
        5 => (0usize..5).prop_map(Happens::Swaps),
        5 => (0usize..5).prop_map(Happens::Reports),
        1 => (0usize..5).prop_map(Happens::Restarts),
        1 => Just(Happens::Joins),
        1 => (0usize..5).prop_map(Happens::Leaves),
        2 => Just(Happens::Asks),
        1 => disaster.prop_map(Happens::Disaster),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_served_is_covered_whatever_happens(
        replicas in 0usize..4,
        begins_calm in any::<bool>(),
        happenings in prop::collection::vec(happening(), 1..150),
    ) {
        let mut world = World::new(replicas);
        if begins_calm {
            world.at_rest();
        }
        for what in &happenings {
            world.happens(what);
            world.covered();
        }
        world.at_rest();
    }
}

/// What the steps came to, as words.
fn words(world: &World) -> Vec<&'static str> {
    let word = |step: &Step| match step {
        Step::Rest | Step::AwaitSettled | Step::AwaitReplicas => "nothing",
        Step::Create { .. } => "create",
        Step::Trust { .. } => "trust",
        Step::Issue { .. } => "issue",
        Step::Disarm => "disarm",
        Step::Retire { .. } => "retire",
    };
    world.steps.iter().map(word).collect()
}

#[test]
fn a_first_installation_waits_for_nobody() {
    let mut world = World::new(3);
    for _ in 0..2 {
        let step = world.look();
        world.take(step);
    }
    assert_eq!(words(&world), ["create", "issue"]);
    world.at_rest();
    assert_eq!(words(&world), ["create", "issue"]);
}

#[test]
fn a_rotation_goes_step_by_step_and_once_a_wish() {
    let mut world = World::new(3);
    world.at_rest();
    world.steps.clear();
    world.happens(&Happens::Asks);
    world.at_rest();
    assert_eq!(words(&world), ["create", "issue", "disarm", "retire"]);
}

#[test]
fn nothing_is_issued_before_every_api_server_knows() {
    let mut world = World::new(1);
    world.at_rest();
    world.happens(&Happens::Asks);
    world.happens(&Happens::Look);
    for _ in 0..5 {
        world.passes(SETTLE);
        assert_eq!(world.look(), Step::AwaitSettled, "no configuration has it");
    }
    world.write(0);
    world.passes(2 * SETTLE);
    assert_eq!(world.look(), Step::AwaitSettled, "one has it");
    world.write(1);
    assert_eq!(world.look(), Step::AwaitSettled, "all have it, not long enough");
    world.passes(SETTLE + 1);
    assert!(matches!(world.look(), Step::Issue { .. }));
}

#[test]
fn a_replica_that_lags_keeps_its_ca_until_it_goes() {
    let mut world = World::new(2);
    world.at_rest();
    world.happens(&Happens::Asks);
    let lags = world.replicas.pop().unwrap();
    world.calm(2);
    world.replicas.push(lags);
    let before = world.authorities[1].id;
    for _ in 0..200 {
        world.happens(&Happens::Look);
        (0..COUNT).for_each(|number| world.write(number));
        world.swap(0);
        world.happens(&Happens::Reports(0));
        world.passes(SETTLE);
        world.covered();
    }
    assert!(world.configurations.iter().all(|one| one.bundle.as_ref().unwrap().contains(&before)));
    world.replicas.pop();
    world.at_rest();
}

#[test]
fn certificates_are_renewed_when_a_third_is_left_and_cas_too() {
    let mut world = World::new(3);
    world.at_rest();
    world.steps.clear();
    let mut months = Vec::new();
    for month in 1..=12 {
        world.passes(YEAR / 12);
        world.calm(12);
        months.push((month, words(&world).join(" ")));
        world.steps.clear();
    }
    let told: Vec<String> = months
        .into_iter()
        .filter(|(_, steps)| !steps.is_empty())
        .map(|(month, steps)| format!("{month}: {steps}"))
        .collect();
    assert_eq!(
        told,
        ["2: issue", "4: issue", "6: issue", "8: issue create issue disarm retire", "10: issue", "12: issue"]
    );
}

#[test]
fn all_that_has_run_out_is_made_anew_at_once() {
    let mut world = World::new(3);
    world.at_rest();
    world.steps.clear();
    world.passes(3 * YEAR);
    for _ in 0..2 {
        let step = world.look();
        world.take(step);
        (0..COUNT).for_each(|number| world.write(number));
    }
    world.happens(&Happens::Look);
    assert_eq!(words(&world), ["create", "issue"]);
    world.at_rest();
}
