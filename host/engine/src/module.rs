//! A module that was taken in and described: from bytes to something that can
//! be configured.
//!
//! What `describe` said is kept in the cache, so that a known module is loaded
//! without compiling or running anything; it is compiled for loading only when
//! a configuration isn't in the cache either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use portcullis_core::contract::Description;
use portcullis_core::evaluate::Failure;
use serde::{Deserialize, Serialize};
use wasmtime_wizer::Wizer;

use crate::artifact::{Key, compile_to_load, sha256};
use crate::configure::Made;
use crate::describe;
use crate::engine::{MAX_MEMORY, Shared};
use crate::epoch::{Pace, RunClock};
use crate::imports::log::{Log, Sink};
use crate::instance::{Guest, Template};
use crate::intake::{self, Capabilities, LoadError};
use crate::state::{Bounds, State, World};
use crate::wait::block_on;

/// A module of policies. Cheap to clone; the policies configured from it don't
/// need it any more, so dropping it frees what only loading needs.
#[derive(Clone)]
pub struct Module {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    bytes: Vec<u8>,
    digest: String,
    pub(crate) described: Described,
    loadable: Mutex<Option<Arc<Loadable>>>,
    /// By what was configured, so that it is compiled once while the module is there.
    pub(crate) made: Mutex<HashMap<Key, Arc<Mutex<Option<Made>>>>>,
}

/// What the cache keeps of a module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Described {
    pub(crate) descriptions: Vec<Description>,
    pub(crate) capabilities: Capabilities,
    pub(crate) warnings: Vec<String>,
}

/// A module compiled to be described, configured and looked into.
pub(crate) struct Loadable {
    /// The component, as wizer and the run engine take it.
    pub(crate) component: Vec<u8>,
    /// The same, instrumented so that its state can be read, where that can be done.
    pub(crate) template: Template,
    /// Why no snapshot can be taken, where none can.
    pub(crate) unsupported: Option<String>,
}

impl Module {
    pub(crate) fn load(shared: Arc<Shared>, bytes: &[u8]) -> Result<Module, LoadError> {
        if bytes.len() > intake::MAX_MODULE_BYTES {
            return Err(LoadError::TooLarge { bytes: bytes.len() });
        }
        let digest = sha256(&[bytes]);
        let key = shared.cache.key("describe", &[digest.as_bytes()]);
        let (described, loadable) = match shared.cache.record::<Described>(&key) {
            Some(described) => (described, None),
            None => {
                let component = intake::component(bytes)?;
                let capabilities = intake::capabilities(&component)?;
                let loadable = Loadable::compile(&shared, component)?;
                let texts = block_on(loadable.describe(&shared)).map_err(LoadError::Describe)?;
                let (descriptions, warnings) = describe::descriptions(&texts, &capabilities)?;
                let described = Described { descriptions, capabilities, warnings };
                shared.cache.keep_record(&key, &described);
                (described, Some(Arc::new(loadable)))
            }
        };
        let bytes = bytes.to_vec();
        let loadable = Mutex::new(loadable);
        Ok(Module { inner: Arc::new(Inner { shared, bytes, digest, described, loadable, made: Mutex::default() }) })
    }

    /// What its policies say of themselves: their widest reach.
    pub fn descriptions(&self) -> &[Description] {
        &self.inner.described.descriptions
    }

    /// The description of the policy `name`.
    pub fn description(&self, name: &str) -> Option<&Description> {
        self.descriptions().iter().find(|description| description.name == name)
    }

    /// SHA-256 of the bytes that it was loaded from, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// What its binary can do, whatever it says.
    pub fn capabilities(&self) -> &Capabilities {
        &self.inner.described.capabilities
    }

    /// What whoever runs it should know.
    pub fn warnings(&self) -> &[String] {
        &self.inner.described.warnings
    }
}

impl Inner {
    /// The module compiled for loading; the first who asks compiles, others wait.
    pub(crate) fn loadable(&self) -> Result<Arc<Loadable>, LoadError> {
        let mut loadable = self.loadable.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loadable) = &*loadable {
            return Ok(Arc::clone(loadable));
        }
        let compiled = Arc::new(Loadable::compile(&self.shared, intake::component(&self.bytes)?)?);
        *loadable = Some(Arc::clone(&compiled));
        Ok(compiled)
    }
}

impl Loadable {
    fn compile(shared: &Shared, component: Vec<u8>) -> Result<Loadable, LoadError> {
        let invalid = |error: wasmtime::Error| LoadError::Invalid { reason: format!("{error:#}") };
        let (instrumented, unsupported) = match Wizer::new().instrument_component(&component) {
            Ok((_, instrumented)) => (Some(instrumented), None),
            Err(error) => (None, Some(error.root_cause().to_string())),
        };
        let bytes = instrumented.as_deref().unwrap_or(&component);
        let compiled = compile_to_load(&shared.load, bytes).map_err(invalid)?;
        let template = Template::new(&shared.load_linker, &compiled)?;
        Ok(Loadable { component, template, unsupported })
    }

    /// A fresh instance that knows nothing of the world.
    pub(crate) async fn start(&self, shared: &Shared, during: &'static str, sink: Sink) -> Result<Guest, Failure> {
        let deadline = Instant::now() + shared.load_timeout;
        let clock = RunClock::new(shared.load_timeout, shared.tick, deadline, Pace::Continue, shared.epochs.ticks());
        let state = State {
            bounds: Bounds::new(MAX_MEMORY),
            clock,
            world: World::Sealed { during },
            log: Log::new(sink),
            stopped: None,
        };
        self.template.start(state).await
    }

    async fn describe(&self, shared: &Shared) -> Result<Vec<String>, Failure> {
        let mut guest = self.start(shared, "describe", Sink::Muted).await?;
        guest.describe(&self.template).await
    }
}
