//! The engine: what all policies of a process share.
//!
//! Two wasmtime engines: one runs reviews (pooled slots, full optimisation),
//! one loads (on demand, quick to compile), because a snapshot wants an
//! instance of its own size and loading must not take slots from requests. One
//! thread ticks both.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::component::Linker;

use crate::artifact::{Cache, CacheState};
use crate::compile;
use crate::epoch::EpochThread;
use crate::imports;
use crate::intake::LoadError;
use crate::module::Module;
use crate::state::State;
use crate::wait::{before, block_on};

/// Memory that any policy may have at most, in bytes: epochs don't interrupt a
/// bulk copy, so its length must be bounded.
pub const MAX_MEMORY: usize = 64 * 1024 * 1024;
/// Instances that may exist at the same time, unless the configuration says
/// otherwise. Each takes 4 GiB of address space, and only what it touched of memory.
const INSTANCES: u32 = 128;
/// The pace of epochs, unless the configuration says otherwise.
const TICK: Duration = Duration::from_millis(10);
/// Time that `describe`, `configure` and a warm-up may each run.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What policies that run are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cpu {
    /// This machine's, with all that it can do.
    #[default]
    Here,
    /// Any of this architecture that isn't ten years old, so that the code can be
    /// taken to other machines.
    Baseline,
}

/// How an [`Engine`] is set up.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where compiled policies are kept; None keeps them in memory only.
    pub cache_dir: Option<PathBuf>,
    /// A cache that came along with the program, made by another process; only read.
    pub precompiled_dir: Option<PathBuf>,
    /// What policies are compiled for.
    pub cpu: Cpu,
    /// Instances that may exist at the same time.
    pub instances: u32,
    /// How often a running policy's time is looked at.
    pub tick: Duration,
    /// Time that `describe`, `configure` and a warm-up may each run.
    pub load_timeout: Duration,
}

/// Loads policies and runs them. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What every part of the engine refers to.
pub(crate) struct Shared {
    /// Runs reviews.
    pub(crate) run: wasmtime::Engine,
    /// Describes, configures, takes snapshots.
    pub(crate) load: wasmtime::Engine,
    pub(crate) run_linker: Linker<State>,
    pub(crate) load_linker: Linker<State>,
    pub(crate) cache: Cache,
    pub(crate) epochs: EpochThread,
    pub(crate) tick: Duration,
    pub(crate) load_timeout: Duration,
    slots: Semaphore,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Wasmtime doesn't take the set-up, or the machine not the pool.
    #[error("can't set up wasmtime with {instances} instances")]
    Set {
        /// Slots of the pool.
        instances: u32,
        /// What wasmtime says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no thread for epochs.
    #[error("can't start the thread that counts time")]
    Thread(#[source] std::io::Error),
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            cache_dir: None,
            precompiled_dir: None,
            cpu: Cpu::Here,
            instances: INSTANCES,
            tick: TICK,
            load_timeout: LOAD_TIMEOUT,
        }
    }
}

impl Engine {
    /// An engine and its thread. A cache folder that can't be trusted is not an
    /// error: see [`Engine::cache`].
    pub fn new(config: EngineConfig) -> Result<Engine, EngineError> {
        let EngineConfig { cache_dir, precompiled_dir, cpu, instances, tick, load_timeout } = config;
        let set = |source: wasmtime::Error| EngineError::Set { instances, source: source.into_boxed_dyn_error() };
        let run = compile::run_engine(instances, cpu).map_err(set)?;
        let load = compile::load_engine().map_err(set)?;
        let run_linker = imports::linker(&run).map_err(set)?;
        let load_linker = imports::linker(&load).map_err(set)?;
        let epochs = EpochThread::start(vec![run.clone(), load.clone()], tick).map_err(EngineError::Thread)?;
        let cache = Cache::open(cache_dir, precompiled_dir, cpu, &run);
        let slots = Semaphore::new(instances as usize);
        Ok(Engine {
            shared: Arc::new(Shared { run, load, run_linker, load_linker, cache, epochs, tick, load_timeout, slots }),
        })
    }

    /// Loads a module: a component, or a core module that is made one. Blocks
    /// while it compiles; several threads may load side by side.
    pub fn load(&self, bytes: &[u8]) -> Result<Module, LoadError> {
        Module::load(Arc::clone(&self.shared), bytes)
    }

    /// What became of the cache folder.
    pub fn cache(&self) -> &CacheState {
        self.shared.cache.state()
    }
}

impl Shared {
    /// Waits for a slot of the pool until `deadline`.
    pub(crate) async fn slot(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        match self.slots.try_acquire() {
            Ok(permit) => Some(permit),
            Err(_) => before(deadline, self.slots.acquire()).await.and_then(Result::ok),
        }
    }

    /// Waits for a slot on the calling thread: every call that holds one has a
    /// deadline, so this ends.
    pub(crate) fn slot_for_loading(&self) -> Option<SemaphorePermit<'_>> {
        block_on(self.slots.acquire()).ok()
    }
}
