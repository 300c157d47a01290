//! Policy objects that are about to be written: whether they would run, said
//! while their author is still there to read it.
//!
//! What is judged is the object alone. Whether a module that isn't built in is
//! mounted everywhere can't be told from one replica, so that only warns.

use std::sync::{Arc, Mutex, PoisonError};

use portcullis_core::contract::Description;
use portcullis_core::policy::{PolicyDocument, PolicyId};
use portcullis_engine::Engine;
use portcullis_kube::{PolicyObject, PolicyVersion};
use serde_json::Value;

use super::{ObjectSource, Sources, Store};

/// The module of a policy that every replica has.
const BUILTIN: &str = "builtin/";

/// What is known of a policy object that isn't there yet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Opinion {
    /// Why it must not be written: the field, what is wrong, what would be right.
    pub refusal: Option<String>,
    /// What its author should know.
    pub warnings: Vec<String>,
    /// The document, where it can be read.
    pub document: Option<PolicyDocument>,
    /// What it says of itself under its settings, where that can be told.
    pub description: Option<Description>,
}

/// Judges proposals. One at a time: they are rare, and what their modules were
/// compiled to is kept.
pub struct Proposals(Mutex<Store>);

impl Proposals {
    /// For objects that are read as `source` says.
    pub fn new(source: ObjectSource, engine: Engine) -> Proposals {
        Proposals(Mutex::new(Store::to_describe(Sources::of_cluster(source), engine)))
    }

    /// Judges a ClusterPolicy or Policy as the API server sends it. Blocks while
    /// its module compiles, the first time.
    pub fn judge(&self, document: Value) -> Opinion {
        let read = match PolicyDocument::from_json(&document) {
            Ok(read) => read,
            Err(error) => return Opinion { refusal: Some(error.to_string()), ..Opinion::default() },
        };
        let PolicyId { namespace, name } = read.id.clone();
        let object = PolicyObject {
            id: PolicyId { namespace, name },
            version: PolicyVersion::default(),
            created: String::new(),
            document,
        };
        let id = object.id.clone();
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.take_objects(vec![Arc::new(object)]);
        let loaded = store.load();
        // Nothing of it may count as what ran before.
        store.take_objects(Vec::new());
        store.load();
        drop(store);
        let problem = loaded.objects.get(&id).and_then(|outcome| outcome.problem.clone());
        let policy = loaded.policies.iter().find(|policy| policy.document.id == id);
        let description = policy.and_then(|policy| policy.description.as_ref()).map(|described| (**described).clone());
        let mut opinion = Opinion { document: Some(read), description, ..Opinion::default() };
        match problem {
            Some(problem) if is_builtin(&opinion) => opinion.refusal = Some(problem),
            Some(problem) => opinion.warnings.push(format!("{problem}; until that is mended the policy does nothing")),
            None => {}
        }
        opinion
    }
}

fn is_builtin(opinion: &Opinion) -> bool {
    opinion.document.as_ref().is_some_and(|document| document.spec.module.starts_with(BUILTIN))
}
