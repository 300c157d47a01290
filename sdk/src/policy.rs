//! What a policy is: settings, rules, views, a reach and one function.
//!
//! The types hold what the contract asks for: a validating policy has no way to
//! edit, a finding can't name a rule that isn't declared, and a policy without
//! cases doesn't compile.

use serde_json::Value;

use crate::host::Host;
use crate::kind::Objects;
use crate::reach::Reach;
use crate::request::{Operation, Request};
use crate::review::Review;
use crate::settings::Settings;

/// A policy. Implement it for a unit struct; `cases!` gives it its tests.
pub trait Policy: Cases + Sized + 'static {
    /// What an administrator may set.
    type Settings: Settings;
    /// The rules that it can report; derive `Rules` for an enum.
    type Rule: Rules;
    /// `Validating` or `Mutating`.
    type Phase: Phase;
    /// What it reads of the object.
    type Object: Objects;
    /// What it reads of the object before the operation; `Unread` for nothing.
    type OldObject: Objects;

    /// In kebab-case, unique in its module: `database-remote-storage`.
    const NAME: &'static str;
    /// Its version; `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// What it is for, in one line.
    const TITLE: &'static str;

    /// What it matches, reads, looks up and writes under these settings.
    /// Begin with `Reach::of::<Self>(&[Operation::Create, …])`.
    fn reach(settings: &Self::Settings) -> Reach;

    /// The settings under which the reach is widest, for the description that
    /// is read before there are settings.
    #[must_use]
    fn widest() -> Self::Settings {
        Self::Settings::default()
    }

    /// Requests with the cluster answers that they need: what the host warms the
    /// policy up with, and proves its snapshot on. At least one.
    fn samples() -> Vec<Sample>;

    /// Judges one request.
    fn review(settings: &Self::Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>);
}

/// The proof that a policy has cases. `cases!` implements it, and nothing else should.
#[diagnostic::on_unimplemented(
    message = "the policy `{Self}` has no cases",
    label = "no cases",
    note = "write `portcullis_sdk::cases!({Self});` beside it, and the cases as YAML files to the folder `cases` of its crate"
)]
pub trait Cases {}

/// When a policy is asked. Sealed: `Validating` or `Mutating`.
pub trait Phase: sealed::Sealed + 'static {
    /// As in the description.
    const NAME: &'static str;
}

/// A policy that judges and can't edit.
#[derive(Debug, Clone, Copy)]
pub struct Validating;

/// A policy that edits, and may also judge.
#[derive(Debug, Clone, Copy)]
pub struct Mutating;

impl Phase for Validating {
    const NAME: &'static str = "validating";
}

impl Phase for Mutating {
    const NAME: &'static str = "mutating";
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Validating {}
    impl Sealed for super::Mutating {}
}

/// The rules of a policy. Derive it for an enum:
///
/// ```
/// #[derive(Debug, Clone, Copy, portcullis_sdk::Rules)]
/// enum Rule {
///     /// the storage class provisions volumes on one node
///     ///
///     /// When the node goes, so does the data.
///     ///
///     /// Name a class whose volumes are reachable from every node.
///     #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/volumes/#local")]
///     NodeLocalClass,
/// }
/// # use portcullis_sdk::Rules;
/// assert_eq!(Rule::NodeLocalClass.declaration().id, "node-local-class");
/// assert_eq!(Rule::ALL[0].reason, "When the node goes, so does the data.");
/// assert_eq!(Rule::ALL[0].remedy, "Name a class whose volumes are reachable from every node.");
/// ```
///
/// With `#[rules(examples)]` on the enum each rule also has its `Examples`.
pub trait Rules: Copy + 'static {
    /// All of them.
    const ALL: &'static [Rule];

    /// What was declared of this one.
    fn declaration(self) -> &'static Rule;
}

/// The rules of a policy that reports none, as some mutating ones.
#[derive(Debug, Clone, Copy)]
pub enum NoRules {}

impl Rules for NoRules {
    const ALL: &'static [Rule] = &[];

    fn declaration(self) -> &'static Rule {
        match self {}
    }
}

/// What is said about a rule once, for all its findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// In kebab-case; exceptions and reports name it.
    pub id: &'static str,
    /// How bad it is where it isn't kept.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// Why it matters.
    pub reason: &'static str,
    /// How to put it right; may be empty.
    pub remedy: &'static str,
    /// Where one can read more; may be empty.
    pub url: &'static str,
    /// What breaks it and what keeps it.
    pub examples: Option<Examples>,
}

/// Manifests that show a rule, as YAML text. In `bad` and `good` the first
/// document is judged and the others are what the cluster holds. The cases'
/// test holds them to that: `bad` is reported, `good` isn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examples {
    /// What the rule reports.
    pub bad: &'static str,
    /// What it doesn't.
    pub good: &'static str,
    /// The settings under which both are judged; the default ones where absent.
    pub settings: Option<&'static str>,
    /// The object before an UPDATE; both are created where absent.
    pub old: Option<&'static str>,
}

/// The rule that every policy has: the object doesn't have the shape that the policy reads.
pub const MALFORMED: Rule = Rule {
    id: "malformed",
    severity: Severity::Medium,
    title: "the object doesn't have the shape of its kind",
    reason: "A field holds something else than its kind says, so the policy can't judge the object; the API server would refuse it too.",
    remedy: "Write the field as the reference of its kind has it.",
    url: "https://kubernetes.io/docs/reference/kubernetes-api/",
    examples: None,
};

/// How bad it is where a rule isn't kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A matter of taste or tidiness.
    Low,
    /// Something will be harder than it need be.
    Medium,
    /// Data, availability or a secret is at risk.
    High,
    /// It will be lost or leaked.
    Critical,
}

impl Severity {
    /// As in the description.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A request with the cluster answers that it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What is being done.
    pub operation: Operation,
    /// The object after it.
    pub object: Option<Value>,
    /// The object before it.
    pub old_object: Option<Value>,
    /// The request's attributes, shaped as the contract has them; kind and name are taken from the object.
    pub attributes: Value,
    /// All that the cluster holds.
    pub cluster: Vec<Value>,
}

impl Sample {
    /// The creation of an object in a cluster that holds nothing.
    #[must_use]
    pub fn create(object: Value) -> Self {
        Self {
            operation: Operation::Create,
            object: Some(object),
            old_object: None,
            attributes: Value::Object(serde_json::Map::new()),
            cluster: Vec::new(),
        }
    }

    /// The change of an object in a cluster that holds nothing else.
    #[must_use]
    pub fn update(old_object: Value, object: Value) -> Self {
        Self { operation: Operation::Update, old_object: Some(old_object), ..Self::create(object) }
    }

    /// With these objects in the cluster.
    #[must_use]
    pub fn with_cluster(mut self, objects: impl IntoIterator<Item = Value>) -> Self {
        self.cluster.extend(objects);
        self
    }
}
