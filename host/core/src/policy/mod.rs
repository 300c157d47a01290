//! Policy documents: one schema for a file, a custom resource and the command line.
//!
//! In files an unknown field is an error that names the field and the nearest
//! known one. Words are Kubernetes' own where it has them.

mod parse;
pub(crate) mod schema;
mod units;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::MatchRule;

pub use self::parse::{DocumentError, unknown_field};
pub use self::units::duration;

/// The API version of policy documents.
pub const API_VERSION: &str = "portcullis.dev/v1alpha1";
/// `timeout` where a document names none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(200);
/// `memory` where a document names none.
pub const DEFAULT_MEMORY: usize = 64 << 20;
/// The largest `memory`: epochs don't interrupt a bulk copy, so memory bounds it.
pub const MAX_MEMORY: usize = 64 << 20;
/// The least `memory`: a guest's stack alone takes a good part of it.
pub const MIN_MEMORY: usize = 1 << 20;
/// The largest `timeout`: the API server itself waits at most 30 s.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(30);

/// A policy document.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDocument {
    /// Name and namespace.
    pub id: PolicyId,
    /// What to run and how.
    pub spec: PolicySpec,
}

/// `name` of a ClusterPolicy, `namespace/name` of a Policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId {
    /// None for a ClusterPolicy.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

/// The `spec` of a policy document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySpec {
    /// `builtin/storage`, `./policy.wasm`, or `oci://registry/repository@sha256:…`.
    #[schemars(schema_with = "schema::module")]
    pub module: String,
    /// Which of the module's policies; may be absent where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::policy")]
    pub policy: Option<String>,
    /// As the policy's settings schema says.
    #[serde(default = "empty_object")]
    #[schemars(schema_with = "schema::settings")]
    pub settings: serde_json::Value,
    /// What a finding of level deny does.
    #[serde(default = "deny")]
    #[schemars(schema_with = "schema::validation_actions")]
    pub validation_actions: Vec<ValidationAction>,
    /// What a trap, a timeout, a malformed answer means.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// Under Fail: also where no replica answers, writes of cluster-scoped kinds that controllers write are refused.
    #[serde(default)]
    pub fail_closed_cluster_scoped: bool,
    /// What it means when the cluster didn't give an answer that the policy needs.
    #[serde(default)]
    pub on_undecided: OnUndecided,
    /// Mutating policies of a group run in this order, then by name.
    #[serde(default = "default_order")]
    pub order: i32,
    /// Time that the policy itself may run.
    #[serde(default = "default_timeout", with = "units::duration")]
    #[schemars(schema_with = "schema::timeout")]
    pub timeout: Duration,
    /// Bytes of memory that an instance may have.
    #[serde(default = "default_memory", with = "units::memory")]
    #[schemars(schema_with = "schema::memory")]
    pub memory: usize,
    /// Narrows what the policy declares.
    #[serde(default, skip_serializing_if = "Match::is_empty", rename = "match")]
    pub matching: Match,
}

/// Narrows what a policy declares.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// As in ValidatingAdmissionPolicy; required where the module declares no kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::resource_rules")]
    pub resource_rules: Vec<MatchRule>,
    /// By the namespace's labels.
    #[serde(default, skip_serializing_if = "LabelSelector::is_empty")]
    pub namespace_selector: LabelSelector,
    /// By the object's labels, new or old.
    #[serde(default, skip_serializing_if = "LabelSelector::is_empty")]
    pub object_selector: LabelSelector,
    /// Never judged.
    #[serde(default, skip_serializing_if = "Exclude::is_empty")]
    pub exclude: Exclude,
    /// JSONPath (RFC 9535); each must select something.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "where")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<String>,
}

/// What is never judged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exclude {
    /// By `request.namespace` (a Namespace by its own name).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::namespaces")]
    pub namespaces: Vec<String>,
    /// By `userInfo.username`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::subjects")]
    pub users: Vec<String>,
    /// By `userInfo.groups`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::subjects")]
    pub groups: Vec<String>,
    /// `namespace/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::service_accounts")]
    pub service_accounts: Vec<String>,
}

/// `metav1.LabelSelector`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Labels that must be there with these values.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::match_labels")]
    pub match_labels: std::collections::BTreeMap<String, String>,
    /// Conditions on labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::match_expressions")]
    pub match_expressions: Vec<LabelRequirement>,
}

/// `metav1.LabelSelectorRequirement`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelRequirement {
    /// The label.
    #[schemars(schema_with = "schema::label_key")]
    pub key: String,
    /// How it is compared.
    pub operator: LabelOperator,
    /// With what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::label_values")]
    pub values: Vec<String>,
}

/// `metav1.LabelSelectorOperator`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// The label is there with one of the values.
    In,
    /// It isn't there, or with none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It isn't there.
    DoesNotExist,
}

/// What a finding of level deny does, as in ValidatingAdmissionPolicy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ValidationAction {
    /// The request is denied.
    Deny,
    /// The user is warned.
    Warn,
    /// The audit event says so.
    Audit,
}

/// What a failure of the policy means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub enum FailurePolicy {
    /// The request is denied.
    #[default]
    Fail,
    /// The request passes, with a warning.
    Ignore,
}

/// What an undecided verdict means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OnUndecided {
    /// The request is denied.
    Deny,
    /// The request passes, with a warning.
    #[default]
    Warn,
    /// The request passes.
    Allow,
}

impl std::fmt::Display for PolicyId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "{namespace}/{}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

impl PolicyId {
    /// A ClusterPolicy's.
    pub fn cluster(name: impl Into<String>) -> PolicyId {
        PolicyId { namespace: None, name: name.into() }
    }
}

impl Match {
    /// Whether it narrows nothing.
    pub fn is_empty(&self) -> bool {
        *self == Match::default()
    }
}

impl Exclude {
    /// Whether it leaves nothing out.
    pub fn is_empty(&self) -> bool {
        *self == Exclude::default()
    }
}

impl PolicySpec {
    /// A spec that says nothing but which module.
    pub fn of_module(module: impl Into<String>) -> PolicySpec {
        PolicySpec {
            module: module.into(),
            policy: None,
            settings: empty_object(),
            validation_actions: deny(),
            failure_policy: FailurePolicy::default(),
            fail_closed_cluster_scoped: false,
            on_undecided: OnUndecided::default(),
            order: default_order(),
            timeout: default_timeout(),
            memory: default_memory(),
            matching: Match::default(),
        }
    }
}

fn empty_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

fn deny() -> Vec<ValidationAction> {
    vec![ValidationAction::Deny]
}

fn default_order() -> i32 {
    100
}

fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
}

fn default_memory() -> usize {
    DEFAULT_MEMORY
}
