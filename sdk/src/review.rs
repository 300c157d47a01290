//! What a policy says of a request: findings, edits, audit annotations.
//!
//! The policy's phase is in the type: only a `Mutating` policy's review has the
//! methods that edit. The contract's bounds are kept here, so that a policy
//! that finds too much is still heard.

use std::marker::PhantomData;

use serde_json::{Map, Value};

use crate::path::FieldPath;
use crate::policy::{MALFORMED, Mutating, Policy, Rule, Rules};
use crate::read::Malformed;

/// The contract's limit on the findings of one review.
pub const MAX_FINDINGS: usize = 100;
/// The contract's limit on one finding's JSON text.
pub const MAX_FINDING_BYTES: usize = 4096;
/// What a message may take of it, so that paths and fixes have room: half.
const MAX_MESSAGE_BYTES: usize = 2048;

/// What the policy `P` says of one request.
#[derive(Debug)]
pub struct Review<P: Policy> {
    contents: Contents,
    policy: PhantomData<fn() -> P>,
}

/// A review without its policy's type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What to change, each against the result of those before.
    pub edits: Vec<Edit>,
    /// Keys without the policy's name, and values.
    pub audit_annotations: Vec<(String, String)>,
}

/// How far a finding goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The object may go in, and whoever sends it should know.
    Warn,
    /// The cluster didn't give an answer that the judgement needs.
    Undecided,
    /// The object may not go in.
    Deny,
}

impl Level {
    /// As in the finding's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Undecided => "undecided",
            Self::Deny => "deny",
        }
    }
}

/// One thing that is wrong. `Review::deny`, `warn` and `undecided` make it; the methods here say more.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    rule: &'static Rule,
    level: Level,
    message: String,
    path: FieldPath,
    subject: Option<String>,
    value: Option<String>,
    fix: Option<Fix>,
}

/// What would put it right.
#[derive(Debug, Clone, PartialEq)]
struct Fix {
    text: String,
    edits: Vec<Edit>,
}

/// One change to the object, by JSON Pointer. The host adds absent parent objects.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Sets a field, or puts an element before the one at this index.
    Add(FieldPath, Value),
    /// Takes away what is there.
    Remove(FieldPath),
    /// Changes what is there.
    Replace(FieldPath, Value),
    /// The edits hold only if this is there.
    Test(FieldPath, Value),
}

impl<P: Policy> Review<P> {
    pub(crate) fn new() -> Self {
        Self { contents: Contents::default(), policy: PhantomData }
    }

    pub(crate) fn into_contents(self) -> Contents {
        self.contents
    }

    /// The object may not go in.
    pub fn deny(&mut self, rule: P::Rule, message: impl Into<String>) -> &mut Finding {
        self.find(rule, Level::Deny, message.into())
    }

    /// The object may go in, and whoever sends it should know.
    pub fn warn(&mut self, rule: P::Rule, message: impl Into<String>) -> &mut Finding {
        self.find(rule, Level::Warn, message.into())
    }

    /// The cluster didn't give an answer that the judgement needs.
    pub fn undecided(&mut self, rule: P::Rule, message: impl Into<String>) -> &mut Finding {
        self.find(rule, Level::Undecided, message.into())
    }

    /// A finding whose level was worked out.
    pub fn find(&mut self, rule: P::Rule, level: Level, message: String) -> &mut Finding {
        let findings = &mut self.contents.findings;
        findings.push(Finding {
            rule: rule.declaration(),
            level,
            message,
            path: FieldPath::root(),
            subject: None,
            value: None,
            fix: None,
        });
        let last = findings.len() - 1;
        &mut findings[last]
    }

    /// What the API server's audit log shall say; the key without a slash and without the policy's name.
    pub fn audit(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.contents.audit_annotations.push((key.into(), value.into()));
    }

    /// Whether a finding denies.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.contents.findings.iter().any(|finding| finding.level == Level::Deny)
    }
}

impl<P: Policy<Phase = Mutating>> Review<P> {
    /// Sets a field, or puts an element before the one at this index (`-` is the end).
    pub fn add(&mut self, path: &FieldPath, value: impl Into<Value>) {
        self.edit(Edit::Add(path.clone(), value.into()));
    }

    /// Changes what is there; the view must read the whole of it.
    pub fn replace(&mut self, path: &FieldPath, value: impl Into<Value>) {
        self.edit(Edit::Replace(path.clone(), value.into()));
    }

    /// Takes away what is there; the view must read the whole of it.
    pub fn remove(&mut self, path: &FieldPath) {
        self.edit(Edit::Remove(path.clone()));
    }

    /// Lets all edits hold only if this is there.
    pub fn test(&mut self, path: &FieldPath, value: impl Into<Value>) {
        self.edit(Edit::Test(path.clone(), value.into()));
    }

    /// Any edit.
    pub fn edit(&mut self, edit: Edit) {
        self.contents.edits.push(edit);
    }
}

impl Contents {
    /// The review of an object that the policy's view can't read.
    #[must_use]
    pub fn malformed(level: Level, which: &str, malformed: Malformed) -> Self {
        let message = format!("{which} doesn't have the shape of its kind: {}", malformed.message);
        let finding =
            Finding { rule: &MALFORMED, level, message, path: malformed.path, subject: None, value: None, fix: None };
        Self { findings: vec![finding], ..Self::default() }
    }

    /// The findings as the contract has them, at most `MAX_FINDINGS`: the worst stay, in their order.
    #[must_use]
    pub fn findings_json(&self) -> Vec<Value> {
        let mut kept: Vec<usize> = (0..self.findings.len()).collect();
        if kept.len() > MAX_FINDINGS {
            kept.sort_by_key(|&index| std::cmp::Reverse(self.findings[index].level));
            kept.truncate(MAX_FINDINGS);
            kept.sort_unstable();
        }
        kept.into_iter().map(|index| self.findings[index].to_json()).collect()
    }
}

impl Finding {
    /// Where it is.
    pub fn at(&mut self, path: &FieldPath) -> &mut Self {
        self.path = path.clone();
        self
    }

    /// What it is about, in words that stay the same when lists are reordered: `volume=data`.
    /// A denial without one is never ratcheted.
    pub fn subject(&mut self, subject: impl Into<String>) -> &mut Self {
        self.subject = Some(subject.into());
        self
    }

    /// What is wrong, such as the class or the variable's name; never a secret.
    pub fn value(&mut self, value: impl Into<String>) -> &mut Self {
        self.value = Some(value.into());
        self
    }

    /// What would put it right, in words.
    pub fn fix(&mut self, text: impl Into<String>) -> &mut Self {
        self.fix_with(text, [])
    }

    /// What would put it right, in words and as edits.
    pub fn fix_with(&mut self, text: impl Into<String>, edits: impl IntoIterator<Item = Edit>) -> &mut Self {
        self.fix = Some(Fix { text: text.into(), edits: edits.into_iter().collect() });
        self
    }

    /// The level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The rule's id.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        self.rule.id
    }

    /// The finding as the contract has it. Past `MAX_FINDING_BYTES` the message is cut, then the fix goes.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("rule".to_owned(), self.rule.id.into());
        json.insert("level".to_owned(), self.level.as_str().into());
        json.insert("message".to_owned(), cut(&self.message, MAX_MESSAGE_BYTES).into());
        if !self.path.as_str().is_empty() {
            json.insert("path".to_owned(), self.path.as_str().into());
        }
        for (name, text) in [("subject", &self.subject), ("value", &self.value)] {
            if let Some(text) = text {
                json.insert(name.to_owned(), text.as_str().into());
            }
        }
        if let Some(fix) = &self.fix {
            let edits: Vec<_> = fix.edits.iter().map(Edit::to_json).collect();
            json.insert("fix".to_owned(), serde_json::json!({"text": fix.text, "edits": edits}));
        }
        for expendable in ["fix", "value", "path"] {
            if Value::from(json.clone()).to_string().len() <= MAX_FINDING_BYTES {
                break;
            }
            json.remove(expendable);
        }
        Value::from(json)
    }
}

impl Edit {
    /// The edit as an RFC 6902 operation.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (operation, path, value) = match self {
            Self::Add(path, value) => ("add", path, Some(value)),
            Self::Remove(path) => ("remove", path, None),
            Self::Replace(path, value) => ("replace", path, Some(value)),
            Self::Test(path, value) => ("test", path, Some(value)),
        };
        let mut json = serde_json::json!({"op": operation, "path": path.pointer()});
        if let Some(value) = value {
            json["value"] = value.clone();
        }
        json
    }
}

/// At most so many bytes of a text, at a character's boundary, with a sign where something is missing.
fn cut(text: &str, limit: usize) -> String {
    const SIGN: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - SIGN.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{SIGN}", &text[..end])
}
