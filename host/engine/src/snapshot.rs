//! A snapshot: the memory of an instance after `configure`, baked into a new
//! component, so that settings are parsed once and not once a request (397 µs
//! a review become 70, and 29 with a warm-up).
//!
//! Wizer reads the state of the instrumented instance and writes the component.
//! What it can't do (a guest that changes tables, nested components) it says,
//! and then there is no snapshot.

use std::collections::HashMap;

use portcullis_core::evaluate::Failure;
use serde::{Deserialize, Serialize};
use wasmtime::component::{Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::configure::Setup;
use crate::engine::Shared;
use crate::imports::log::Sink;
use crate::instance::{Configured, Guest};
use crate::module::Loadable;

/// What reading a memory takes: the instrumented guest grows it by one page to
/// answer, each of the few that it may have.
const READING_BYTES: usize = 8 * 64 * 1024;

/// Whether a policy runs from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum SnapshotState {
    /// It does.
    #[serde(rename_all = "camelCase")]
    Taken {
        /// Whether it was warmed up before.
        warmed_up: bool,
        /// Samples on which it gave the same review as a fresh configure.
        proofs: usize,
    },
    /// Each fresh instance is configured.
    Absent {
        /// Why.
        reason: String,
    },
}

/// What came of configuring, and of taking a snapshot after it.
pub(crate) struct Taken {
    /// What `configure` answered.
    pub(crate) configured: Configured,
    /// The snapshot, or why there is none.
    pub(crate) snapshot: Result<Snapshot, String>,
    /// What went wrong without being fatal.
    pub(crate) warnings: Vec<String>,
}

/// A component that begins where another had got to.
pub(crate) struct Snapshot {
    pub(crate) component: Vec<u8>,
    pub(crate) warmed_up: bool,
}

/// Configures `setups` and takes a snapshot of the result.
pub(crate) async fn take(shared: &Shared, loadable: &Loadable, setups: &[Setup]) -> Result<Taken, Failure> {
    let template = &loadable.template;
    let mut warnings = Vec::new();
    let (mut guest, configured) = configure(shared, loadable, setups, Sink::Buffered(Vec::new())).await?;
    if configured.is_err() {
        return Ok(Taken { configured, snapshot: Err("its settings are wrong".to_owned()), warnings });
    }
    if let Some(reason) = &loadable.unsupported {
        return Ok(Taken { configured, snapshot: Err(reason.clone()), warnings });
    }
    let mut warmed_up = template.has_warm_up();
    if warmed_up {
        let state = guest.store.data_mut();
        state.world = crate::state::World::Sealed { during: "warm-up" };
        state.clock.restart();
        if let Err(failure) = guest.warm_up(template).await {
            warnings.push(format!("its warm-up failed, so reviews start cold: {failure}"));
            warmed_up = false;
            (guest, _) = configure(shared, loadable, setups, Sink::Muted).await?;
        }
    }
    let snapshot = read(guest, &loadable.component).await.map(|component| Snapshot { component, warmed_up });
    Ok(Taken { configured, snapshot, warnings })
}

/// Configures `setups` and leaves it at that.
pub(crate) async fn configured(shared: &Shared, loadable: &Loadable, setups: &[Setup]) -> Result<Configured, Failure> {
    configure(shared, loadable, setups, Sink::Buffered(Vec::new())).await.map(|(_, configured)| configured)
}

async fn configure(
    shared: &Shared,
    loadable: &Loadable,
    setups: &[Setup],
    sink: Sink,
) -> Result<(Guest, Configured), Failure> {
    let mut guest = loadable.start(shared, "configure", sink).await?;
    let configured = guest.configure(&loadable.template, setups).await;
    let speaker = setups.first().map_or("", |setup| setup.policy.as_str());
    guest.store.data_mut().log.replay(speaker);
    Ok((guest, configured?))
}

async fn read(mut guest: Guest, component: &[u8]) -> Result<Vec<u8>, String> {
    let state = guest.store.data_mut();
    state.bounds.extend(READING_BYTES);
    state.clock.restart();
    // A memory is handed over whole; its bounds limit it, whatever an answer may weigh.
    guest.store.set_hostcall_fuel(usize::MAX);
    let mut wizer = Wizer::new();
    wizer.keep_init_func(true);
    // Parsed again rather than kept from the instrumentation: it borrows.
    let (context, _) = wizer.instrument_component(component).map_err(|error| error.root_cause().to_string())?;
    let mut reader = Reader { guest, memories: HashMap::new(), error: None };
    let snapshot = wizer.snapshot_component(&context, &mut reader).await;
    match reader.error {
        Some(error) => Err(format!("its state can't be read: {}", error.root_cause())),
        None => snapshot.map_err(|error| error.root_cause().to_string()),
    }
}

/// Reads the state of an instrumented guest through what wizer let it export.
/// Its answers can't carry errors, so the first one is kept and zeros go on.
struct Reader {
    guest: Guest,
    /// Wizer reads a memory twice, and reading it changes it.
    memories: HashMap<String, Vec<u8>>,
    error: Option<wasmtime::Error>,
}

impl Reader {
    async fn call<R, A>(&mut self, instance: &str, function: &str, read: impl FnOnce(&Guest, R) -> A) -> Option<A>
    where
        R: Lift + Send + Sync + 'static,
    {
        let Guest { store, instance: guest } = &mut self.guest;
        let index = guest.get_export_index(&mut *store, None, instance);
        let index = index.and_then(|index| guest.get_export_index(&mut *store, Some(&index), function));
        let index = index.ok_or_else(|| wasmtime::Error::msg(format!("no accessor {function}")));
        let function = index.and_then(|index| guest.get_typed_func::<(), (R,)>(&mut *store, index));
        let answer = match function {
            Ok(function) => function.call_async(&mut *store, ()).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok((answer,)) => Some(read(&self.guest, answer)),
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }

    async fn value<R: Lift + Send + Sync + Default + 'static>(&mut self, instance: &str, function: &str) -> R {
        self.call(instance, function, |_, value: R| value).await.unwrap_or_default()
    }
}

impl ComponentInstanceState for Reader {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        if !self.memories.contains_key(func) {
            let read = |guest: &Guest, list: WasmList<u8>| list.as_le_slice(&guest.store).to_vec();
            let memory = self.call(instance, func, read).await.unwrap_or_default();
            self.memories.insert(func.to_owned(), memory);
        }
        contents(self.memories.get(func).map_or(&[], Vec::as_slice));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.value(instance, func).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.value(instance, func).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.value::<f32>(instance, func).await.to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.value::<f64>(instance, func).await.to_bits()
    }
}
