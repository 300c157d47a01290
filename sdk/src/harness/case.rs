//! The format of a case, and the folder that holds them.
//!
//! A file is about one topic and has several cases. Unknown fields are errors:
//! a misspelt expectation would pass without having been asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::request::Operation;

/// One file of cases.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseFile {
    /// What the cases are about, for whoever reads them.
    #[serde(default)]
    pub about: String,
    /// Values for YAML anchors, so that cases can share objects; not read.
    #[serde(default)]
    pub shared: Value,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One request, the cluster, and what the policy shall say.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// A sentence that says what holds.
    pub name: String,
    /// The policy's settings.
    #[serde(default = "no_settings")]
    pub settings: Value,
    /// What is being done.
    #[serde(default)]
    pub operation: CaseOperation,
    /// The object after the operation.
    #[serde(default)]
    pub object: Option<Value>,
    /// The object before it.
    #[serde(default)]
    pub old_object: Option<Value>,
    /// `ephemeralcontainers`, `status`, …
    #[serde(default)]
    pub subresource: Option<String>,
    /// Attributes of the request, beside those that the object tells (kind, resource, name, namespace).
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// What the cluster holds.
    #[serde(default)]
    pub cluster: Vec<Value>,
    /// Whether that is all it holds; if not, what isn't there is unknown.
    #[serde(default = "yes")]
    pub complete: bool,
    /// When the request arrives, in seconds since 1970.
    #[serde(default)]
    pub now: u64,
    /// What the policy shall say.
    pub expect: Expect,
}

/// The operation as Kubernetes writes it; CREATE where a case doesn't say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CaseOperation {
    /// The object is new.
    #[default]
    Create,
    /// The object changes.
    Update,
    /// The object goes.
    Delete,
    /// A connection to it is opened.
    Connect,
}

/// What a policy shall say. Findings that aren't listed are wrong, as are edits and annotations where any are expected.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// What it comes to.
    pub verdict: Verdict,
    /// All findings, in any order.
    #[serde(default)]
    pub findings: Vec<ExpectedFinding>,
    /// These annotations and no others; not compared where absent.
    #[serde(default)]
    pub audit_annotations: Option<BTreeMap<String, String>>,
    /// These edits, as RFC 6902 operations, in this order; not compared where absent.
    #[serde(default)]
    pub edits: Option<Vec<Value>>,
    /// The object after the edits; not compared where absent.
    #[serde(default)]
    pub patched: Option<Value>,
}

/// One finding that shall be there; what is absent here isn't compared.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedFinding {
    /// The rule's id.
    pub rule: String,
    /// `deny`, `warn` or `undecided`.
    pub level: String,
    /// `volume=data`.
    #[serde(default)]
    pub subject: Option<String>,
    /// What is wrong.
    #[serde(default)]
    pub value: Option<String>,
    /// `spec.volumeClaimTemplates[0].spec.storageClassName`.
    #[serde(default)]
    pub path: Option<String>,
    /// Text that the message contains.
    #[serde(default)]
    pub message: Option<String>,
}

/// What a request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing is wrong.
    Allow,
    /// Something should be known.
    Warn,
    /// The cluster didn't give an answer that is needed.
    Undecided,
    /// It may not go in.
    Deny,
    /// The policy doesn't match the request, so it is never asked.
    Unmatched,
}

/// What is wrong with a case or a policy before anything can be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// The folder can't be read.
    #[error("the folder of cases {} can't be read; put YAML files with cases there", .folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The folder holds no case.
    #[error("the folder {} holds no case; put YAML files with cases there", .0.display())]
    Empty(PathBuf),
    /// A file isn't what a file of cases is.
    #[error("{}: {message}", .file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// The settings of a case are refused.
    #[error("the policy refuses the settings: {0}")]
    Settings(String),
    /// The request's attributes aren't the contract's.
    #[error("the attributes aren't those of a request: {0}")]
    Attributes(String),
    /// An edit is the policy's error.
    #[error("{0}")]
    Edit(String),
}

impl From<CaseOperation> for Operation {
    fn from(operation: CaseOperation) -> Self {
        match operation {
            CaseOperation::Create => Self::Create,
            CaseOperation::Update => Self::Update,
            CaseOperation::Delete => Self::Delete,
            CaseOperation::Connect => Self::Connect,
        }
    }
}

/// Reads all files of a folder, in the order of their names.
///
/// # Errors
/// The folder is missing or empty, a file isn't a file of cases, or two cases have one name.
pub fn load(folder: &Path) -> Result<Vec<(PathBuf, CaseFile)>, HarnessError> {
    let unreadable = |source| HarnessError::Folder { folder: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut files = Vec::new();
    let mut names = BTreeSet::new();
    for path in paths {
        let wrong = |message: String| HarnessError::File { file: path.clone(), message };
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let file: CaseFile = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if let Some(twice) = file.cases.iter().find(|case| !names.insert(case.name.clone())) {
            return Err(wrong(format!("two cases are named `{}`", twice.name)));
        }
        files.push((path, file));
    }
    if names.is_empty() { Err(HarnessError::Empty(folder.to_owned())) } else { Ok(files) }
}

fn no_settings() -> Value {
    Value::Object(Map::new())
}

fn yes() -> bool {
    true
}
