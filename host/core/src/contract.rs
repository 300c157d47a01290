//! The JSON half of the contract with a policy: what `describe` and `review`
//! say, as the host understands it.
//!
//! `sdk/wit/policy.wit` is the contract's text; these are the host's own types
//! for it, so that another version of the contract can be read into the same
//! ones. Fields that the host doesn't know are ignored, a level that it doesn't
//! know is an error.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::edit::Edit;
use crate::view::Tree;

/// Findings a review may hold.
pub const MAX_FINDINGS: usize = 100;
/// Bytes that one finding may have as JSON.
pub const MAX_FINDING_BYTES: usize = 4 * 1024;

/// One policy of a module, as its binary describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Unique in its module, a DNS-1123 label.
    pub name: String,
    /// The policy's own version.
    #[serde(default)]
    pub version: String,
    /// One line on what it is for.
    #[serde(default)]
    pub title: String,
    /// Whether it may return edits.
    pub phase: Phase,
    /// What it can report.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// JSON schema of its settings.
    #[serde(default)]
    pub settings: serde_json::Value,
    /// The widest reach, or the reach under given settings.
    pub reach: Reach,
    /// Requests to prove a snapshot with and to warm up on.
    #[serde(default)]
    pub samples: Vec<Sample>,
}

/// The phase of admission in which a policy runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Judges.
    Validating,
    /// May also edit.
    Mutating,
}

/// A rule that a policy can report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Unique in its policy.
    pub id: String,
    /// How bad a violation is.
    #[serde(default)]
    pub severity: Severity,
    /// One line.
    #[serde(default)]
    pub title: String,
    /// Why the rule exists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How to put it right.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// Where more is said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// What breaks it and what keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<Examples>,
}

/// Manifests that show a rule, as YAML: in `bad` and `good` the first document
/// is judged, the others are what the cluster holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examples {
    /// What the rule reports.
    pub bad: String,
    /// What it doesn't.
    pub good: String,
    /// The settings under which both are judged; absent: the policy's defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// The object before an UPDATE; absent: both are created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
}

/// How bad a violation is; it never decides, it only informs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A matter of taste or a hint.
    Low,
    /// Worth a look.
    #[default]
    Medium,
    /// Will hurt.
    High,
    /// Loses data or gives it away.
    Critical,
}

/// What a policy matches, reads, looks up and may write.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reach {
    /// The requests that it wants to judge.
    #[serde(default)]
    pub matches: Vec<MatchRule>,
    /// What it is given of their objects.
    #[serde(default)]
    pub reads: Vec<Read>,
    /// What it looks up in the cluster.
    #[serde(default)]
    pub lookups: Vec<Lookup>,
    /// What it may edit.
    #[serde(default)]
    pub writes: Vec<Write>,
}

/// Requests by resource, in the words of `RuleWithOperations`
/// (admissionregistration.k8s.io/v1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchRule {
    /// `""` is the core group, `*` every group.
    #[schemars(schema_with = "crate::policy::schema::rule_names")]
    pub api_groups: Vec<String>,
    /// `*` is every version.
    #[schemars(schema_with = "crate::policy::schema::rule_names")]
    pub api_versions: Vec<String>,
    /// `pods`, `pods/ephemeralcontainers`, `*`, `*/scale`, `pods/*`, `*/*`.
    #[schemars(schema_with = "crate::policy::schema::rule_names")]
    pub resources: Vec<String>,
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT` or `*`; absent is `*`.
    #[serde(default = "every_operation")]
    #[schemars(schema_with = "crate::policy::schema::operations")]
    pub operations: Vec<String>,
    /// Which resources by where they live.
    #[serde(default)]
    pub scope: Scope,
}

fn every_operation() -> Vec<String> {
    vec!["*".to_owned()]
}

/// Where a resource lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// In the cluster.
    Cluster,
    /// In a namespace.
    Namespaced,
    /// Either.
    #[default]
    #[serde(rename = "*")]
    Any,
}

/// The view of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Read {
    /// As in the object: `apps/v1`.
    pub api_version: String,
    /// As in the object: `StatefulSet`.
    pub kind: String,
    /// What is read of the object; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Tree>,
    /// What is read of the old object; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_object: Option<Tree>,
}

/// A kind that is looked up in the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lookup {
    /// As in the object.
    pub api_version: String,
    /// As in the object.
    pub kind: String,
    /// What is read of a found object.
    pub fields: Tree,
    /// How it is looked up.
    pub verbs: Vec<Verb>,
    /// Paths that it is listed by, such as `spec.volumeName`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// The objects among which one is looked for at first, in the words of the
    /// API server's `fieldSelector`: of Secrets only `type=kubernetes.io/tls`
    /// need be watched. Another one is found all the same, at the price of a read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_selector: Option<String>,
    /// Whether an unknown answer leaves the review decided.
    #[serde(default)]
    pub optional: bool,
}

/// How a kind is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// One object by its name.
    Get,
    /// Objects of a kind.
    List,
    /// How many there are.
    Count,
}

/// Where a mutating policy may edit a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    /// As in the object.
    pub api_version: String,
    /// As in the object.
    pub kind: String,
    /// JSON Pointers in which `*` stands for one index or key; what lies below
    /// is included.
    pub pointers: Vec<String>,
}

/// A request, with all that the cluster holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The operation.
    pub operation: Operation,
    /// The object after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<serde_json::Value>,
    /// The object before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_object: Option<serde_json::Value>,
    /// As `request.attributes` of the contract.
    #[serde(default)]
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// All that the cluster holds.
    #[serde(default)]
    pub cluster: Vec<serde_json::Value>,
}

/// `AdmissionRequest.operation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed object.
    Update,
    /// An object that goes.
    Delete,
    /// A connection to a subresource such as `pods/exec`.
    Connect,
}

impl Operation {
    /// The word that the API server uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a guest returned, before anything in it has been believed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RawReview {
    /// JSON, one a finding.
    pub findings: Vec<String>,
    /// Edits as they came: pointers and values unparsed.
    pub edits: Vec<RawEdit>,
    /// Keys and values.
    pub audit_annotations: Vec<(String, String)>,
    /// A JSON object, for what comes later.
    pub extra: Option<String>,
}

/// An edit as it came out of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawEdit {
    /// Pointer and JSON value.
    Add(String, String),
    /// Pointer.
    Remove(String),
    /// Pointer and JSON value.
    Replace(String, String),
    /// Pointer and JSON value.
    Test(String, String),
}

/// One thing that a policy has to say of an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// A rule of the policy, or `malformed`.
    pub rule: String,
    /// What it means for the request.
    pub level: Level,
    /// For a person; teaches.
    #[serde(default)]
    pub message: String,
    /// Kubernetes style: `spec.volumeClaimTemplates[0].spec.storageClassName`.
    #[serde(default)]
    pub path: String,
    /// What it is about, whatever the order of lists: `volume=data`.
    #[serde(default)]
    pub subject: String,
    /// What is wrong, never a secret.
    #[serde(default)]
    pub value: String,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

/// What would be right, for a person and as edits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    /// For a person.
    #[serde(default)]
    pub text: String,
    /// Against the object of the request.
    #[serde(default)]
    pub edits: Vec<Edit>,
}

/// What a finding means for the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth saying.
    Warn,
    /// The policy can't tell: something that it needs is unknown.
    Undecided,
    /// The request must not pass.
    Deny,
}

/// One policy to run and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The `name` of a description of the module.
    pub policy: String,
    /// A JSON object.
    pub settings: serde_json::Value,
}

/// A setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsFinding {
    /// Which setting: `classes[0].name`.
    #[serde(default)]
    pub path: String,
    /// What is wrong and what would be right.
    #[serde(default)]
    pub message: String,
}
