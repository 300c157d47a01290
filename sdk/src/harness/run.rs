//! One case, run.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::erased::{Configured, ErasedPolicy, RawRequest, attributes_of};
use crate::harness::case::{Case, HarnessError, Verdict};
use crate::harness::fake_cluster::FakeCluster;
use crate::harness::patch::apply;
use crate::harness::project::project;
use crate::host::{Host, Instant};
use crate::kind::{GroupVersionKind, ObjectKind};
use crate::reach::{Reach, Read};
use crate::read::from_value;
use crate::request::{Attributes, Operation};
use crate::review::{Contents, Edit, Level};
use crate::view::Tree;

/// What a case came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the findings and the unanswered look-ups come to.
    pub verdict: Verdict,
    /// The findings as the contract has them.
    pub findings: Vec<Value>,
    /// The audit annotations.
    pub audit_annotations: BTreeMap<String, String>,
    /// The edits, as RFC 6902 operations.
    pub edits: Vec<Value>,
    /// The object after the edits.
    pub patched: Option<Value>,
    /// The operation that was asked about.
    pub operation: Operation,
}

/// Runs a case: once, and where it edits again on what the edits gave.
///
/// # Errors
/// The case can't be asked, or the policy breaks the contract.
pub fn run(policy: &dyn ErasedPolicy, case: &Case) -> Result<Outcome, HarnessError> {
    let configured = policy.configure(&case.settings.to_string()).map_err(|findings| {
        let texts: Vec<_> = findings.0.iter().map(|finding| format!("{}: {}", finding.path, finding.message)).collect();
        HarnessError::Settings(texts.join("; "))
    })?;
    let reach = configured.reach();
    let attributes = Rc::new(attributes(case, &reach)?);
    let operation = Operation::from(case.operation);
    if !is_matched(&reach, operation, &attributes) {
        return Ok(Outcome {
            verdict: Verdict::Unmatched,
            findings: Vec::new(),
            audit_annotations: BTreeMap::new(),
            edits: Vec::new(),
            patched: case.object.clone(),
            operation,
        });
    }
    let asked = Asked { configured: &*configured, reach: &reach, case, attributes: &attributes, operation };
    let (contents, verdict) = asked.review(case.object.as_ref());
    let mut patched = case.object.clone();
    if !contents.edits.is_empty() {
        let object = patched
            .as_mut()
            .ok_or_else(|| HarnessError::Edit("the policy edits an object that isn't there".to_owned()))?;
        asked.check_edits(&contents.edits, object)?;
        apply(object, &contents.edits).map_err(HarnessError::Edit)?;
        let (again, _) = asked.review(Some(object));
        if !again.edits.is_empty() {
            let edits: Vec<_> = again.edits.iter().map(Edit::to_json).collect();
            return Err(HarnessError::Edit(format!(
                "the mutation isn't idempotent: asked again about what it made, the policy edits {}",
                Value::from(edits)
            )));
        }
    }
    Ok(Outcome {
        verdict,
        findings: contents.findings_json(),
        audit_annotations: contents.audit_annotations.iter().cloned().collect(),
        edits: contents.edits.iter().map(Edit::to_json).collect(),
        patched,
        operation,
    })
}

struct Asked<'a> {
    configured: &'a dyn Configured,
    reach: &'a Reach,
    case: &'a Case,
    attributes: &'a Rc<Attributes>,
    operation: Operation,
}

impl Asked<'_> {
    fn review(&self, object: Option<&Value>) -> (Contents, Verdict) {
        let read = self.read();
        let text = |object: Option<&Value>, tree: fn(&Read) -> &Tree| Some(project(object?, tree(read?))?.to_string());
        let object = text(object, |read| &read.object);
        let old_object = text(self.case.old_object.as_ref(), |read| &read.old_object);
        let request = RawRequest {
            operation: self.operation,
            object: object.as_deref(),
            old_object: old_object.as_deref(),
            attributes: self.attributes,
        };
        let now = Instant { seconds: self.case.now, nanoseconds: 0 };
        let cluster =
            Rc::new(FakeCluster::new(self.case.cluster.clone(), self.case.complete, self.reach.lookups.clone(), now));
        let contents = self.configured.review(&request, &Host::stand_in(cluster.clone()));
        let verdict = verdict(&contents, cluster.needs().iter().any(|need| !need.optional));
        (contents, verdict)
    }

    fn read(&self) -> Option<&Read> {
        let kind = self.attributes.kind.as_ref()?;
        self.reach.reads.iter().find(|read| read.kind == kind.kind && read.api_version == kind.api_version())
    }

    /// Whether every edit is inside the declared reach, and on what the view gave whole.
    fn check_edits(&self, edits: &[Edit], object: &Value) -> Result<(), HarnessError> {
        let unknown = GroupVersionKind::default();
        let kind = self.attributes.kind.as_ref().unwrap_or(&unknown);
        for edit in edits {
            let (path, sets) = match edit {
                Edit::Test(..) => continue,
                Edit::Add(path, _) => (path, false),
                Edit::Remove(path) | Edit::Replace(path, _) => (path, true),
            };
            let pointer = path.pointer();
            let mut writes = self
                .reach
                .writes
                .iter()
                .filter(|write| write.kind == kind.kind && write.api_version == kind.api_version());
            if !writes.any(|write| write.pointers.iter().any(|declared| covers(declared, pointer))) {
                return Err(HarnessError::Edit(format!(
                    "the edit at {pointer} is outside the declared reach; add it with `Reach::writes`"
                )));
            }
            let whole = self.read().is_some_and(|read| is_whole(&read.object, pointer));
            if (sets || object.pointer(pointer).is_some_and(|value| !value.is_null())) && !whole {
                return Err(HarnessError::Edit(format!(
                    "the edit at {pointer} changes a value that the view didn't give whole"
                )));
            }
        }
        Ok(())
    }
}

/// A denial outweighs an answer that is missing; a missing answer outweighs a warning.
fn verdict(contents: &Contents, lacks_answer: bool) -> Verdict {
    let worst = contents.findings.iter().map(crate::review::Finding::level).max();
    match worst {
        Some(Level::Deny) => Verdict::Deny,
        Some(Level::Undecided) => Verdict::Undecided,
        _ if lacks_answer => Verdict::Undecided,
        Some(Level::Warn) => Verdict::Warn,
        None => Verdict::Allow,
    }
}

/// Whether a pointer lies at or below a declared one, whose `*` stands for any token.
fn covers(declared: &str, pointer: &str) -> bool {
    let mut tokens = pointer.split('/');
    declared.split('/').all(|wanted| tokens.next().is_some_and(|token| wanted == "*" || wanted == token))
}

/// Whether the tree gives the value at a pointer whole.
fn is_whole(tree: &Tree, pointer: &str) -> bool {
    let mut tree = tree;
    for token in pointer.split('/').skip(1) {
        tree = match tree {
            Tree::Value => return true,
            Tree::Each(each) => each,
            Tree::Fields(fields) => match fields.get(&token.replace("~1", "/").replace("~0", "~")) {
                Some(tree) => tree,
                None => return false,
            },
            Tree::Nothing | Tree::Keys | Tree::Present => return false,
        };
    }
    matches!(tree, Tree::Value)
}

fn attributes(case: &Case, reach: &Reach) -> Result<Attributes, HarnessError> {
    let kinds: Vec<_> = reach.matches.iter().map(kind_of).collect();
    let object = case.object.as_ref().or(case.old_object.as_ref()).unwrap_or(&Value::Null);
    let mut attributes = attributes_of(object, &kinds);
    attributes["origin"] = json!("admission");
    if let Some(subresource) = &case.subresource {
        attributes["subResource"] = json!(subresource);
    }
    if let Some(attributes) = attributes.as_object_mut() {
        attributes.extend(case.attributes.clone());
    }
    from_value(&attributes)
        .map_err(|malformed| HarnessError::Attributes(format!("{}: {}", malformed.path, malformed.message)))
}

fn kind_of(rule: &crate::reach::Match) -> ObjectKind {
    let resource = rule.resources.first().map_or("", |resource| resource.split('/').next().unwrap_or_default());
    ObjectKind {
        api_version: rule.api_version.clone(),
        kind: rule.kind.clone(),
        resource: resource.to_owned(),
        subresources: Vec::new(),
        scope: rule.scope,
        tree: Tree::Nothing,
    }
}

/// Whether the policy is asked about such a request at all.
fn is_matched(reach: &Reach, operation: Operation, attributes: &Attributes) -> bool {
    let Some(resource) = &attributes.resource else { return false };
    let name = match &attributes.sub_resource {
        Some(subresource) => format!("{}/{subresource}", resource.resource),
        None => resource.resource.clone(),
    };
    let api_version =
        GroupVersionKind { group: resource.group.clone(), version: resource.version.clone(), kind: String::new() }
            .api_version();
    reach.matches.iter().any(|rule| {
        rule.api_version == api_version && rule.operations.contains(&operation) && rule.resources.contains(&name)
    })
}
