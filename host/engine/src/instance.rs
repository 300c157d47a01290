//! A fresh instance for every call: how a guest is started, called, and how
//! whatever goes wrong in it becomes a value.
//!
//! ```text
//! Template ── start ──> Guest ── describe | configure | warm_up | review
//!                         └ store: limits, clock, imports; dropped with it
//! Starter ── slot of the pool ── Guest ── review ──> RawReview
//! ```

use std::sync::Arc;
use std::time::Instant;

use portcullis_core::contract::{Operation, RawEdit, RawReview};
use portcullis_core::evaluate::Failure;
use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre, Linker};
use wasmtime::{Store, Trap};

use crate::bindings::v0_1_0::portcullis::policy::types;
use crate::bindings::v0_1_0::{Policy, PolicyIndices};
use crate::configure::{Limits, Setup};
use crate::engine::Shared;
use crate::epoch::{Pace, RunClock};
use crate::imports::log::{Log, Sink};
use crate::intake::LoadError;
use crate::state::{Bounds, State, World};

/// Bytes that a guest may hand the host in one call, or for each policy that it
/// configures. A review may have 100 findings of 4 KB; the rest is for edits and
/// audit annotations. Descriptions carry samples and examples.
const MAX_HANDED_OVER: usize = 4 * 1024 * 1024;

/// A component, checked against the contract and ready to be instantiated.
#[derive(Clone)]
pub(crate) struct Template {
    pre: InstancePre<State>,
    indices: PolicyIndices,
    review: ComponentExportIndex,
    warm_up: Option<ComponentExportIndex>,
}

/// An instance and its store.
pub(crate) struct Guest {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
}

/// One request, as a guest is asked to review it.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) operation: Operation,
    pub(crate) object: Option<&'a str>,
    pub(crate) old_object: Option<&'a str>,
    pub(crate) attributes: &'a str,
}

/// What `configure` answered: descriptions by id, or findings by id, both as JSON.
pub(crate) type Configured = Result<Vec<(u32, String)>, Vec<(u32, String)>>;

/// What starts instances that know their settings.
#[derive(Clone)]
pub(crate) struct Starter {
    pub(crate) shared: Arc<Shared>,
    pub(crate) template: Template,
    /// Where there is no snapshot: what each fresh instance is configured with.
    pub(crate) configure: Option<Arc<[Setup]>>,
}

impl Template {
    /// Checks `component`'s types against the contract's.
    pub(crate) fn new(linker: &Linker<State>, component: &Component) -> Result<Template, LoadError> {
        let types = |error: wasmtime::Error| LoadError::Types { reason: format!("{error:#}") };
        let pre = linker.instantiate_pre(component).map_err(types)?;
        let indices = PolicyIndices::new(&pre).map_err(types)?;
        let review = component.get_export_index(None, "review").ok_or(LoadError::MissingExport { export: "review" })?;
        let warm_up = component.get_export_index(None, "warm-up");
        Ok(Template { pre, indices, review, warm_up })
    }

    /// Whether the guest can be warmed up.
    pub(crate) fn has_warm_up(&self) -> bool {
        self.warm_up.is_some()
    }

    /// Instantiates, and runs the guest's start function where it has one.
    pub(crate) async fn start(&self, state: State) -> Result<Guest, Failure> {
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.bounds);
        store.set_hostcall_fuel(MAX_HANDED_OVER);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| context.data_mut().on_tick());
        match self.pre.instantiate_async(&mut store).await {
            Ok(instance) => Ok(Guest { store, instance }),
            Err(error) => Err(failure(&error, store.data_mut(), Doing::Starting)),
        }
    }
}

impl Guest {
    /// The module's descriptions, as JSON.
    pub(crate) async fn describe(&mut self, template: &Template) -> Result<Vec<String>, Failure> {
        let answer = match self.exports(template) {
            Ok(exports) => exports.call_describe(&mut self.store).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| self.failure(&error))
    }

    /// Configures every policy of `setups`.
    pub(crate) async fn configure(&mut self, template: &Template, setups: &[Setup]) -> Result<Configured, Failure> {
        let configurations: Vec<_> = setups
            .iter()
            .map(|Setup { id, policy, settings }| types::Configuration { id: *id, policy, settings })
            .collect();
        // A description each.
        self.store.set_hostcall_fuel(MAX_HANDED_OVER.saturating_mul(setups.len().max(1)));
        let answer = match self.exports(template) {
            Ok(exports) => exports.call_configure(&mut self.store, &configurations).await,
            Err(error) => Err(error),
        };
        match answer.map_err(|error| self.failure(&error))? {
            Ok(configured) => Ok(Ok(configured.into_iter().map(|one| (one.id, one.description)).collect())),
            Err(findings) => Ok(Err(findings.into_iter().map(|one| (one.id, one.finding)).collect())),
        }
    }

    /// Lets the guest parse what reviews parse.
    pub(crate) async fn warm_up(&mut self, template: &Template) -> Result<(), Failure> {
        let Some(index) = &template.warm_up else { return Ok(()) };
        let answer = match self.instance.get_typed_func::<(), ()>(&mut self.store, index) {
            Ok(warm_up) => warm_up.call_async(&mut self.store, ()).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| self.failure(&error))
    }

    /// One review of each of the policies `ids`, in order.
    pub(crate) async fn review(
        &mut self,
        template: &Template,
        ids: &[u32],
        question: Question<'_>,
    ) -> Result<Vec<RawReview>, Failure> {
        let request = types::Request {
            operation: question.operation.into(),
            object: question.object,
            old_object: question.old_object,
            attributes: question.attributes,
        };
        // By hand rather than by `exports`, which type-checks all three functions.
        let review = self
            .instance
            .get_typed_func::<(&[u32], types::Request<'_>), (Vec<types::Review>,)>(&mut self.store, &template.review);
        let answer = match review {
            Ok(review) => review.call_async(&mut self.store, (ids, request)).await,
            Err(error) => Err(error),
        };
        let (reviews,) = answer.map_err(|error| self.failure(&error))?;
        if reviews.len() != ids.len() {
            let policies = if ids.len() == 1 { "policy" } else { "policies" };
            return Err(Failure::Malformed {
                reason: format!("{} reviews for {} {policies}", reviews.len(), ids.len()),
            });
        }
        Ok(reviews.into_iter().map(RawReview::from).collect())
    }

    fn exports(&mut self, template: &Template) -> wasmtime::Result<Policy> {
        template.indices.load(&mut self.store, &self.instance)
    }

    fn failure(&mut self, error: &wasmtime::Error) -> Failure {
        failure(error, self.store.data_mut(), Doing::Answering)
    }
}

impl Starter {
    /// One call in a fresh instance of the pool, of which the guest is given
    /// back; the caller holds a slot.
    pub(crate) async fn ask(
        &self,
        ids: &[u32],
        question: Question<'_>,
        world: World,
        sink: Sink,
        limits: Limits,
        deadline: Instant,
    ) -> Result<(Vec<RawReview>, Guest), Failure> {
        let mut state = self.state(limits, deadline, Pace::Yield, Log::new(sink));
        let mut guest;
        match &self.configure {
            None => {
                state.world = world;
                guest = self.template.start(state).await?;
            }
            Some(setups) => {
                guest = self.template.start(state).await?;
                // It answered at load; that it doesn't now is its own doing.
                if guest.configure(&self.template, setups).await?.is_err() {
                    let reason = "`configure` refused settings that it took at load".to_owned();
                    return Err(Failure::Malformed { reason });
                }
                guest.store.data_mut().world = world;
            }
        }
        let reviews = guest.review(&self.template, ids, question).await?;
        Ok((reviews, guest))
    }

    /// Starts an instance within `limits` and asks it nothing.
    pub(crate) async fn start(&self, limits: Limits) -> Result<(), Failure> {
        let deadline = Instant::now() + self.shared.load_timeout;
        self.template.start(self.state(limits, deadline, Pace::Continue, Log::new(Sink::Muted))).await.map(drop)
    }

    fn state(&self, limits: Limits, deadline: Instant, pace: Pace, log: Log) -> State {
        let Limits { timeout, memory } = limits;
        State {
            bounds: Bounds::new(memory),
            clock: RunClock::new(timeout, self.shared.tick, deadline, pace, self.shared.epochs.ticks()),
            world: World::Sealed { during: "configure" },
            log,
            stopped: None,
        }
    }
}

/// What the guest was at when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Starting,
    Answering,
}

/// What an error of wasmtime means. The order matters: what the host itself
/// ended comes first, then what the guest was refused, then what it said.
fn failure(error: &wasmtime::Error, state: &mut State, doing: Doing) -> Failure {
    tracing::debug!(error = format!("{error:?}"), "a guest failed");
    if let Some(stopped) = state.stopped.take() {
        return stopped;
    }
    let trap = error.downcast_ref::<Trap>();
    if state.bounds.memory_denied() && (trap.is_some() || doing == Doing::Starting) {
        return Failure::Memory { limit: state.bounds.memory_limit() };
    }
    let panic = state.log.take_panic();
    match (trap, doing) {
        (Some(Trap::UnreachableCodeReached), _) if panic.is_some() => {
            Failure::Panic { message: panic.unwrap_or_default() }
        }
        (Some(trap), _) => {
            let reason = trap.to_string();
            Failure::Trap { reason: reason.strip_prefix("wasm trap: ").map(str::to_owned).unwrap_or(reason) }
        }
        (None, Doing::Starting) => Failure::Trap { reason: format!("can't be started: {}", error.root_cause()) },
        // A call that neither trapped nor was ended by the host handed over
        // something that can't be read: too much, not UTF-8, outside its memory.
        (None, Doing::Answering) => Failure::Malformed { reason: error.root_cause().to_string() },
    }
}

impl From<Operation> for types::Operation {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Create => types::Operation::Create,
            Operation::Update => types::Operation::Update,
            Operation::Delete => types::Operation::Delete,
            Operation::Connect => types::Operation::Connect,
        }
    }
}

impl From<types::Review> for RawReview {
    fn from(review: types::Review) -> Self {
        let types::Review { findings, edits, audit_annotations, extra } = review;
        let edits = edits.into_iter().map(RawEdit::from).collect();
        RawReview { findings, edits, audit_annotations, extra }
    }
}

impl From<types::Edit> for RawEdit {
    fn from(edit: types::Edit) -> Self {
        match edit {
            types::Edit::Add(types::Located { pointer, value }) => RawEdit::Add(pointer, value),
            types::Edit::Remove(pointer) => RawEdit::Remove(pointer),
            types::Edit::Replace(types::Located { pointer, value }) => RawEdit::Replace(pointer, value),
            types::Edit::Test(types::Located { pointer, value }) => RawEdit::Test(pointer, value),
        }
    }
}
