//! The proof of a snapshot: on the samples of the descriptions it must answer
//! byte for byte what a freshly configured instance answers.
//!
//! The two sides share nothing but the component: the fresh one is the
//! instrumented module on the loading engine, without a warm-up, the other is
//! what will run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::cluster::{Budget, Scoped};
use portcullis_core::contract::{Description, RawReview, Read, Sample};
use portcullis_core::evaluate::Failure;
use portcullis_core::json::Document;
use portcullis_core::objects::Objects;
use portcullis_core::view::{Tree, project};
use serde_json::Value;

use crate::configure::{Limits, Setup};
use crate::engine::{MAX_MEMORY, Shared};
use crate::evaluator::Evaluator;
use crate::imports::log::Sink;
use crate::instance::{Question, Starter, Template};
use crate::module::Loadable;
use crate::state::{Member, Turns, World};
use crate::wait::block_on;

/// Samples of one policy that are tried; each costs a `configure`.
const MAX_SAMPLES: usize = 16;
/// The instant of every sample: 2025-01-01T00:00:00Z.
const NOW: Duration = Duration::from_secs(1_735_689_600);

/// What was proven.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    /// Samples on which both sides gave the same review.
    pub(crate) samples: usize,
    /// What whoever runs it should know.
    pub(crate) warnings: Vec<String>,
}

/// Proves that `snapshot` answers as a fresh configure, or says where it doesn't.
pub(crate) fn prove(
    shared: &Arc<Shared>,
    loadable: &Loadable,
    snapshot: &Template,
    setups: &[Setup],
    descriptions: &[Description],
) -> Result<Proof, String> {
    let mut proof = Proof::default();
    for (setup, description) in setups.iter().zip(descriptions) {
        let evaluator = Evaluator {
            starter: Starter { shared: Arc::clone(shared), template: snapshot.clone(), configure: None },
            id: setup.id,
            policy: setup.policy.as_str().into(),
            limits: Limits { timeout: shared.load_timeout, memory: MAX_MEMORY },
            company: None,
        };
        for (index, sample) in description.samples.iter().take(MAX_SAMPLES).enumerate() {
            let prepared = Prepared::new(sample, description);
            let fresh = block_on(fresh_review(shared, loadable, setup, &prepared));
            let deadline = Instant::now() + shared.load_timeout;
            let slot = shared.slot_for_loading();
            let world = prepared.world(setup, deadline);
            let taken = block_on(evaluator.ask(prepared.question(), world, Sink::Muted, deadline));
            drop(slot);
            match (fresh, taken) {
                (Ok(fresh), Ok(taken)) if fresh == taken => proof.samples += 1,
                (Err(fresh), Err(taken)) if fresh == taken => {
                    proof.warnings.push(format!("{} fails on its own sample {index}: {fresh}", setup.policy));
                }
                _ => {
                    return Err(format!(
                        "it doesn't answer as a fresh configure on sample {index} of {}",
                        setup.policy
                    ));
                }
            }
        }
    }
    if proof.samples == 0 {
        proof
            .warnings
            .push("its snapshot is not proven: its descriptions carry no sample that it can review".to_owned());
    }
    Ok(proof)
}

/// What the policy answers where it was configured by itself: so the proof also
/// shows that those beside it in the snapshot change nothing.
async fn fresh_review(
    shared: &Shared,
    loadable: &Loadable,
    setup: &Setup,
    prepared: &Prepared,
) -> Result<RawReview, Failure> {
    let mut guest = loadable.start(shared, "configure", Sink::Muted).await?;
    let configured = guest.configure(&loadable.template, std::slice::from_ref(setup)).await?;
    if configured.is_err() {
        return Err(Failure::Malformed { reason: "`configure` refused settings that it took before".to_owned() });
    }
    let deadline = Instant::now() + shared.load_timeout;
    let state = guest.store.data_mut();
    state.clock.restart();
    state.world = prepared.world(setup, deadline);
    let mut reviews = guest.review(&loadable.template, &[setup.id], prepared.question()).await?;
    reviews.pop().ok_or_else(|| Failure::Malformed { reason: "no review".to_owned() })
}

/// A sample, as the policy sees it.
struct Prepared {
    sample: Sample,
    object: Option<String>,
    old_object: Option<String>,
    attributes: String,
    lookups: Arc<[portcullis_core::contract::Lookup]>,
}

impl Prepared {
    fn new(sample: &Sample, description: &Description) -> Prepared {
        let read = |object: &Value| {
            let text = |field| object.get(field).and_then(Value::as_str);
            description.reach.reads.iter().find(|read| {
                Some(read.api_version.as_str()) == text("apiVersion") && Some(read.kind.as_str()) == text("kind")
            })
        };
        let view = |object: &Option<Value>, tree: fn(&Read) -> Option<&Tree>| {
            let object = object.as_ref()?;
            projected(object, read(object).and_then(tree)?)
        };
        let mut attributes = sample.attributes.clone();
        attributes.entry("origin").or_insert_with(|| "check".into());
        Prepared {
            object: view(&sample.object, |read| read.object.as_ref()),
            old_object: view(&sample.old_object, |read| read.old_object.as_ref()),
            attributes: Value::Object(attributes).to_string(),
            lookups: description.reach.lookups.clone().into(),
            sample: sample.clone(),
        }
    }

    fn question(&self) -> Question<'_> {
        Question {
            operation: self.sample.operation,
            object: self.object.as_deref(),
            old_object: self.old_object.as_deref(),
            attributes: &self.attributes,
        }
    }

    fn world(&self, setup: &Setup, deadline: Instant) -> World {
        let objects = Objects::new(self.sample.cluster.iter().map(Value::to_string), true);
        let cluster =
            Arc::new(Scoped::new(Arc::new(objects), Arc::clone(&self.lookups), Arc::new(Budget::until(deadline))));
        let member = Member { id: setup.id, policy: setup.policy.as_str().into(), cluster, began: None };
        World::Open { turns: Turns::new(vec![member]), now: NOW }
    }
}

fn projected(object: &Value, tree: &Tree) -> Option<String> {
    let text = object.to_string();
    let document = Document::parse(text.as_bytes()).ok()?;
    Some(project(document.root(), tree))
}
