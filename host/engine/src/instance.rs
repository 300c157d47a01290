//! A fresh instance for every call: how a guest is started, called, and how
//! whatever goes wrong in it becomes a value.
//!
//! ```text
//! Template ── start ──> Guest ── describe | configure | warm_up | review
//!                         └ store: limits, clock, imports; dropped with it
//! Evaluator ── slot of the pool ── Guest ── review ──> Evaluation
//! ```

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use portcullis_core::contract::{Operation, RawEdit, RawReview};
use portcullis_core::evaluate::{Call, Evaluate, Evaluation, Failure};
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

/// Bytes that a guest may hand the host in one call. A review may have 100
/// findings of 4 KB; the rest is for edits and audit annotations. Descriptions
/// carry samples.
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

/// A configured policy: what the host asks.
pub(crate) struct Evaluator {
    pub(crate) shared: Arc<Shared>,
    pub(crate) template: Template,
    /// Where there is no snapshot: what each fresh instance is configured with.
    pub(crate) configure: Option<Arc<[Setup]>>,
    pub(crate) id: u32,
    pub(crate) policy: Arc<str>,
    pub(crate) limits: Limits,
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

    /// One review of the policy `id`.
    pub(crate) async fn review(
        &mut self,
        template: &Template,
        id: u32,
        question: Question<'_>,
    ) -> Result<RawReview, Failure> {
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
            Ok(review) => review.call_async(&mut self.store, (&[id], request)).await,
            Err(error) => Err(error),
        };
        let (reviews,) = answer.map_err(|error| self.failure(&error))?;
        let count = reviews.len();
        match <[types::Review; 1]>::try_from(reviews) {
            Ok([review]) => Ok(review.into()),
            Err(_) => Err(Failure::Malformed { reason: format!("{count} reviews for 1 policy") }),
        }
    }

    fn exports(&mut self, template: &Template) -> wasmtime::Result<Policy> {
        template.indices.load(&mut self.store, &self.instance)
    }

    fn failure(&mut self, error: &wasmtime::Error) -> Failure {
        failure(error, self.store.data_mut(), Doing::Answering)
    }
}

impl Evaluate for Evaluator {
    fn evaluate<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Evaluation> {
        async move {
            let Some(_slot) = self.shared.slot(call.deadline).await else {
                return Evaluation { outcome: Err(Failure::Busy), ran: Duration::ZERO };
            };
            if Instant::now() >= call.deadline {
                return Evaluation { outcome: Err(Failure::Deadline), ran: Duration::ZERO };
            }
            let (outcome, ran) = timed(self.review(call)).await;
            Evaluation { outcome, ran }
        }
        .boxed()
    }
}

impl Evaluator {
    async fn review(&self, call: Call<'_>) -> Result<RawReview, Failure> {
        let Call { operation, object, old_object, attributes, now, deadline, cluster, may_log } = call;
        let sink = if may_log { Sink::Through { policy: Arc::clone(&self.policy) } } else { Sink::Withheld };
        let world = World::Open { cluster, now };
        self.ask(Question { operation, object, old_object, attributes }, world, sink, deadline).await
    }

    /// One question in a fresh instance of the pool; the caller holds a slot.
    pub(crate) async fn ask(
        &self,
        question: Question<'_>,
        world: World,
        sink: Sink,
        deadline: Instant,
    ) -> Result<RawReview, Failure> {
        let mut state = self.state(deadline, Pace::Yield, Log::new(sink));
        let Some(setups) = &self.configure else {
            state.world = world;
            return self.template.start(state).await?.review(&self.template, self.id, question).await;
        };
        let mut guest = self.template.start(state).await?;
        // It answered at load; that it doesn't now is its own doing.
        if guest.configure(&self.template, setups).await?.is_err() {
            return Err(Failure::Malformed { reason: "`configure` refused settings that it took at load".to_owned() });
        }
        guest.store.data_mut().world = world;
        guest.review(&self.template, self.id, question).await
    }

    /// Starts an instance within the policy's limits and asks it nothing.
    pub(crate) async fn start(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + self.shared.load_timeout;
        self.template.start(self.state(deadline, Pace::Continue, Log::new(Sink::Muted))).await.map(drop)
    }

    fn state(&self, deadline: Instant, pace: Pace, log: Log) -> State {
        let Limits { timeout, memory } = self.limits;
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

/// `future`'s output, and how long it was being polled: what it waited isn't in it.
async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let mut future = pin!(future);
    let mut ran = Duration::ZERO;
    let output = std::future::poll_fn(|context| {
        let start = Instant::now();
        let poll = future.as_mut().poll(context);
        ran += start.elapsed();
        poll
    })
    .await;
    (output, ran)
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
