//! The built-in policies with their cases: from the folders of `policies/` to
//! policies configured in the real engine and requests as the host makes them.
//!
//! What a request is (its attributes) is told by the policy's native half, so
//! that a case means here what it means in the SDK's harness; all that is done
//! with it (matching, projection, look-ups, edits) is the host's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use claim_shape::ClaimShape;
use credentials_in_plain_text::CredentialsInPlainText;
use database_controller::DatabaseController;
use database_remote_storage::DatabaseRemoteStorage;
use default_storage_class::DefaultStorageClass;
use ingress_class::IngressClassPolicy;
use ingress_tls::IngressTls;
use portcullis_core::cluster::{Budget, Scoped};
use portcullis_core::contract::{Configuration, Operation, Read, Scope};
use portcullis_core::evaluate::{Call, Failure};
use portcullis_core::json::Document;
use portcullis_core::matching::{Matcher, RuleMatch, Target};
use portcullis_core::objects::Objects;
use portcullis_core::policy::{PolicyDocument, PolicyId, PolicySpec};
use portcullis_core::verdict::{Said, within_reach};
use portcullis_core::{edit, view};
use portcullis_engine::{Configured, Limits};
use portcullis_sdk::harness::{self, Case, CaseOperation};
use portcullis_sdk::{Erased, ErasedPolicy, ObjectKind, Tree, attributes_of};
use portcullis_tests::workspace_root;
use secret_content::SecretContent;
use serde_json::{Value, json};
use service_exposure::ServiceExposure;
use statefulset_service::StatefulSetService;
use storage_class_rules::StorageClassRules;

use crate::server::engine;

/// The native halves of the policies that are built in.
const POLICIES: [&dyn ErasedPolicy; 11] = [
    &Erased::<ClaimShape>::NEW,
    &Erased::<CredentialsInPlainText>::NEW,
    &Erased::<DatabaseController>::NEW,
    &Erased::<DatabaseRemoteStorage>::NEW,
    &Erased::<DefaultStorageClass>::NEW,
    &Erased::<IngressClassPolicy>::NEW,
    &Erased::<IngressTls>::NEW,
    &Erased::<SecretContent>::NEW,
    &Erased::<ServiceExposure>::NEW,
    &Erased::<StatefulSetService>::NEW,
    &Erased::<StorageClassRules>::NEW,
];

/// Settings that share a snapshot: their descriptions lie in one memory.
const TOGETHER: usize = 16;

/// Time enough for a review on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every case of every policy.
pub(crate) struct Suite {
    pub(crate) cases: Vec<Prepared>,
}

/// A case with the policy that it is for, configured.
pub(crate) struct Prepared {
    /// File and name.
    pub(crate) label: String,
    pub(crate) case: Case,
    pub(crate) native: &'static dyn ErasedPolicy,
    pub(crate) configured: Arc<Configured>,
    /// As the contract has them.
    pub(crate) attributes: Value,
}

/// What a request holds; a case's own, or what a test made of it.
pub(crate) struct Asked<'a> {
    pub(crate) object: Option<&'a Value>,
    pub(crate) old_object: Option<&'a Value>,
    pub(crate) cluster: &'a [Value],
}

/// What a policy said, checked as the host checks it.
pub(crate) struct Answered {
    pub(crate) said: Said,
    /// Whether a look-up that it needs got no answer.
    pub(crate) lacks_answer: bool,
    /// The object after the edits.
    pub(crate) edited: Option<Value>,
}

impl Suite {
    /// All cases, with each distinct setting configured once; the second time
    /// from the engine's cache.
    pub(crate) fn get() -> &'static Suite {
        static SUITE: OnceLock<Suite> = OnceLock::new();
        SUITE.get_or_init(Suite::prepare)
    }

    fn prepare() -> Suite {
        let mut found: Vec<(String, Case, &'static dyn ErasedPolicy)> = Vec::new();
        for (folder, native) in folders() {
            for (file, contents) in harness::load(&folder).unwrap() {
                let shown = file.strip_prefix(workspace_root()).unwrap().display().to_string();
                found.extend(contents.cases.into_iter().map(|case| (format!("{shown}: {}", case.name), case, native)));
            }
        }
        let mut wanted: Vec<(&'static str, Value)> = Vec::new();
        for (_, case, native) in &found {
            let configuration = (native.name(), case.settings.clone());
            if !wanted.contains(&configuration) {
                wanted.push(configuration);
            }
        }
        let configured = configure(&wanted);
        let of_case = |(label, case, native): (String, Case, &'static dyn ErasedPolicy)| {
            let configured = configured.get(&(native.name(), case.settings.to_string()));
            let configured = configured.unwrap_or_else(|| panic!("{} is not built in", native.name())).clone();
            let attributes = attributes(native, &case);
            Prepared { label, case, native, configured, attributes }
        };
        Suite { cases: found.into_iter().map(of_case).collect() }
    }
}

/// The folders of cases, each with its policy: one without is a mistake here.
pub(crate) fn folders() -> Vec<(PathBuf, &'static dyn ErasedPolicy)> {
    let entries = fs::read_dir(workspace_root().join("policies")).unwrap();
    let mut found = Vec::new();
    for folder in entries.map(|entry| entry.unwrap().path()).filter(|folder| folder.join("cases").is_dir()) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let native = POLICIES.into_iter().find(|policy| policy.name() == name);
        let native = native.unwrap_or_else(|| panic!("{name} has cases; name it in POLICIES"));
        found.push((folder.join("cases"), native));
    }
    assert_eq!(found.len(), POLICIES.len(), "every policy of POLICIES has a folder of its name");
    found.sort_by_key(|(folder, _)| folder.clone());
    found
}

/// Configures what is wanted of a module together: it shares snapshots, so
/// Cranelift, which takes its time, runs a few times a module.
fn configure(wanted: &[(&'static str, Value)]) -> BTreeMap<(&'static str, String), Arc<Configured>> {
    let limits = Limits { timeout: PATIENCE, memory: PolicySpec::of_module("").memory };
    let mut configured = BTreeMap::new();
    for module in portcullis_bundle::modules() {
        let module = engine().load(module.bytes).unwrap();
        let of_module = wanted.iter().filter(|(policy, _)| module.description(policy).is_some());
        let (keys, configurations): (Vec<_>, Vec<_>) = of_module
            .map(|(policy, settings)| {
                let configuration = Configuration { policy: (*policy).to_owned(), settings: settings.clone() };
                ((*policy, settings.to_string()), (configuration, limits))
            })
            .unzip();
        if configurations.is_empty() {
            continue;
        }
        let chunks = configurations.chunks(TOGETHER).map(|chunk| module.configure_all(chunk).unwrap());
        configured.extend(keys.into_iter().zip(chunks.flatten().map(Arc::new)));
    }
    configured
}

/// What the API server would say of a case's request.
fn attributes(native: &dyn ErasedPolicy, case: &Case) -> Value {
    let reach = native.configure(&case.settings.to_string()).unwrap().reach();
    let kinds = reach.matches.iter().map(|rule| ObjectKind {
        api_version: rule.api_version.clone(),
        kind: rule.kind.clone(),
        resource: rule.resources.first().map_or("", |resource| resource.split('/').next().unwrap()).to_owned(),
        subresources: Vec::new(),
        scope: rule.scope,
        tree: Tree::Nothing,
    });
    let object = case.object.as_ref().or(case.old_object.as_ref()).unwrap_or(&Value::Null);
    let mut attributes = attributes_of(object, &kinds.collect::<Vec<_>>());
    attributes["origin"] = json!("admission");
    if let Some(subresource) = &case.subresource {
        attributes["subResource"] = json!(subresource);
    }
    attributes.as_object_mut().unwrap().extend(case.attributes.clone());
    attributes
}

impl Prepared {
    pub(crate) fn operation(&self) -> Operation {
        match self.case.operation {
            CaseOperation::Create => Operation::Create,
            CaseOperation::Update => Operation::Update,
            CaseOperation::Delete => Operation::Delete,
            CaseOperation::Connect => Operation::Connect,
        }
    }

    /// The case as it stands.
    pub(crate) fn asked(&self) -> Asked<'_> {
        let Case { object, old_object, cluster, .. } = &self.case;
        Asked { object: object.as_ref(), old_object: old_object.as_ref(), cluster }
    }

    /// Whether the host would ask the policy at all.
    pub(crate) fn matches(&self) -> bool {
        let document = PolicyDocument { id: PolicyId::cluster("case"), spec: PolicySpec::of_module("builtin/storage") };
        let matcher = Matcher::new(&document, Some(&self.configured.description)).unwrap();
        let text = |value: &'static str| self.attributes.pointer(value).and_then(Value::as_str);
        let resource = text("/resource/resource").unwrap_or_default();
        let mut rules = self.configured.description.reach.matches.iter();
        let is_cluster_scoped =
            rules.any(|rule| rule.scope == Scope::Cluster && rule.resources.iter().any(|it| it == resource));
        let target = Target {
            group: text("/resource/group").unwrap_or_default(),
            version: text("/resource/version").unwrap_or_default(),
            resource,
            subresource: text("/subResource"),
            operation: self.operation(),
            // A case may leave out the namespace that every such request has.
            namespace: if is_cluster_scoped { "" } else { text("/namespace").unwrap_or("default") },
            is_namespace: false,
        };
        match matcher.rules(target) {
            RuleMatch::Yes => true,
            RuleMatch::No => false,
            RuleMatch::OtherVersion(versions) => panic!("{}: matched only in {versions}", self.label),
        }
    }

    /// Asks the policy in its sandbox, and checks what it says as the host does.
    pub(crate) async fn ask(&self, asked: &Asked<'_>) -> Result<Answered, Failure> {
        let description = &self.configured.description;
        let read = self.read();
        let project = |object: Option<&Value>, tree: &Option<view::Tree>| {
            object.map(|object| match tree {
                Some(tree) => view::project(Document::parse(object.to_string().as_bytes()).unwrap().root(), tree),
                None => "{}".to_owned(),
            })
        };
        let object = project(asked.object, &read.object);
        let old_object = project(asked.old_object, &read.old_object);
        let deadline = Instant::now() + PATIENCE;
        let cluster = Objects::new(asked.cluster.iter().map(Value::to_string), self.case.complete);
        let cluster = Arc::new(Scoped::new(
            Arc::new(cluster),
            description.reach.lookups.clone().into(),
            Arc::new(Budget::until(deadline)),
        ));
        let call = Call {
            operation: self.operation(),
            object: object.as_deref(),
            old_object: old_object.as_deref(),
            attributes: &self.attributes.to_string(),
            now: Duration::from_secs(self.case.now),
            deadline,
            cluster: cluster.clone(),
            may_log: true,
        };
        let raw = self.configured.evaluator.evaluate(call).await.outcome?;
        let said = Said::read(raw, description)?;
        let edited = match asked.object {
            Some(object) => Some(self.edited(&said, &read, object)?),
            None if said.edits.is_empty() => None,
            None => return Err(Failure::Edit { reason: "there is no object to edit".to_owned() }),
        };
        let lacks_answer = cluster.needs().iter().any(|need| !need.optional);
        Ok(Answered { said, lacks_answer, edited })
    }

    fn edited(&self, said: &Said, read: &Read, object: &Value) -> Result<Value, Failure> {
        let text = object.to_string();
        within_reach(
            &said.edits,
            &self.configured.description,
            read,
            Document::parse(text.as_bytes()).unwrap().root(),
        )?;
        let edited = edit::apply(&text, &said.edits).map_err(|error| Failure::Edit { reason: error.to_string() })?;
        Ok(serde_json::from_str(&edited).unwrap())
    }

    /// What the policy is given of the kind of the request, not of the object:
    /// the API server tells the one, anybody the other.
    fn read(&self) -> Read {
        let text = |field: &str| self.attributes["kind"][field].as_str().unwrap_or_default();
        let (group, version, kind) = (text("group"), text("version"), text("kind"));
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let mut reads = self.configured.description.reach.reads.iter();
        let read = reads.find(|read| read.kind == kind && read.api_version == api_version).cloned();
        read.unwrap_or(Read { api_version, kind: kind.to_owned(), object: None, old_object: None })
    }
}
