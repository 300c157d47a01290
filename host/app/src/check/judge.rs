//! One subject, judged as the API server would have it judged: the mutating
//! calls one after the other, each on the object as edited so far, then the
//! validating calls on what came of it. A denial ends it, as it ends a write.
//!
//! A run has two passes, so that every object is judged among the others as they
//! would be admitted:
//!
//! ```text
//! mutating pass    each object among the others as they were written
//! validating pass  each object among the others as the first pass left them
//! ```
//! One mutating pass, not several: an object's mutations then never depend on
//! those of another, so the order of the input doesn't matter, and mutations
//! look up what none changes (classes, namespaces). What was denied stays
//! in the second pass as it was written: without it, one denial would bring
//! others that are gone once it is mended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::admit::{Admitted, Origin, Owner, Policy, Request, Selection, Snapshot, admit};
use portcullis_core::cluster::{ClusterView, ObjectName, Tenants};
use portcullis_core::contract::{Operation, Phase};
use portcullis_core::edit::{self, Edit, Pointer};
use portcullis_core::json;
use portcullis_core::report::ObjectReport;

use super::cluster::{Others, View};
use super::manifest::{Manifest, text};
use super::request::{Aim, User};
use super::review::Write;
use crate::yaml::{Document, Position};

/// Time for one call: the longest that a webhook may have.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What all subjects of a run are judged by.
pub struct Judge {
    policies: Vec<Arc<Policy>>,
    /// Namespaces that have policies of their own.
    namespaces: BTreeSet<String>,
    user: User,
    now: Duration,
}

/// What was said of one subject.
#[derive(Debug)]
pub struct Judged {
    /// For the report.
    pub report: ObjectReport,
    /// The object as it was written, for the places of findings.
    pub document: Document,
    /// What the command line itself has to say of it; also in the report's warnings.
    pub notes: Vec<String>,
    /// Where in the document's file each of the notes points to, in their order.
    pub note_positions: Vec<Position>,
    /// Why it was denied, where no policy's finding says so.
    pub refusal: Option<String>,
    /// The object as it was sent, in JSON: before mutations, without what the
    /// API server fills in. What was there on DELETE.
    pub written: String,
    /// The object as it would be admitted, in JSON: `written` with all
    /// mutations, without what the API server fills in. None where it was
    /// denied, and on DELETE.
    pub admitted: Option<String>,
    /// The fields that nobody set and the API server would fill in.
    pub defaulted: Vec<Pointer>,
}

/// One write, or a review that was given.
#[derive(Debug)]
pub(super) enum Task {
    /// An object, and what happens to it.
    Write { manifest: Box<Manifest>, aim: Box<Aim>, number: usize },
    /// A review.
    Review(Document),
}

/// A task between the two passes.
#[derive(Debug)]
pub(super) struct Underway {
    task: Task,
    namespace: String,
    /// The object (of a review: the body) after the mutations that there were.
    mutated: Option<String>,
    report: Option<ObjectReport>,
    refusal: Option<String>,
}

impl Task {
    /// Where it was read: `file:line`.
    fn place(&self) -> String {
        let document = match self {
            Task::Write { manifest, .. } => &manifest.document,
            Task::Review(document) => document,
        };
        format!("{}:{}", document.source, document.start.line)
    }

    /// The name of the object that is changed or deleted, where nobody said what
    /// it was before.
    pub(super) fn lacks_old(&self) -> Option<ObjectName> {
        let Task::Write { manifest, aim, .. } = self else { return None };
        let changes = matches!(aim.operation, Operation::Update | Operation::Delete);
        let identity = &manifest.identity;
        (changes && aim.old.is_none() && aim.subresource.is_empty()).then(|| ObjectName {
            api_version: identity.api_version.clone(),
            kind: identity.kind.clone(),
            namespace: Some(identity.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            name: identity.name.clone(),
        })
    }

    /// This is what it was before.
    pub(super) fn set_old(&mut self, old: String) {
        if let Task::Write { aim, .. } = self {
            aim.old = Some(old);
        }
    }

    /// Before the first pass.
    pub(super) fn begin(self) -> Underway {
        let namespace = match &self {
            Task::Write { manifest, .. } => manifest.identity.namespace.clone(),
            Task::Review(document) => namespace_of(document).unwrap_or_default(),
        };
        Underway { task: self, namespace, mutated: None, report: None, refusal: None }
    }
}

/// The namespace that a review names.
pub(super) fn namespace_of(review: &Document) -> Option<String> {
    let parsed = json::Document::parse(review.json.as_bytes()).ok()?;
    text(parsed.root(), &["request", "namespace"])
}

impl Judge {
    /// Judges by these policies what this user writes.
    pub fn new(policies: Vec<Arc<Policy>>, user: User, now: Duration) -> Judge {
        let namespaces = policies.iter().filter_map(|policy| policy.document.id.namespace.clone()).collect();
        Judge { policies, namespaces, user, now }
    }

    /// One pass over one task; an error is a review that can't be read.
    pub(super) async fn pass(&self, phase: Phase, mut underway: Underway, view: Arc<View>) -> Result<Underway, String> {
        if underway.report.as_ref().is_some_and(|report| !report.allowed) {
            return Ok(underway);
        }
        let place = underway.task.place();
        let cluster: Arc<dyn ClusterView> = Arc::new(Others::new(view, underway.hidden()));
        let snapshot = Snapshot { policies: self.policies.clone(), cluster, tenants: Tenants::default() };
        let mut body = underway.body(&self.user);
        for owner in self.owners(&underway.namespace) {
            let request = Request {
                selection: Selection { phase, group: None, owner },
                body: body.as_bytes(),
                arrived: Instant::now(),
                deadline: Instant::now() + CALL_TIMEOUT,
                now: self.now,
                origin: Origin::Check,
            };
            let admitted = admit(&snapshot, request).await.map_err(|error| format!("{place}: {}", error.reason))?;
            let patch = admitted.patch.clone();
            underway.take(admitted);
            if underway.report.as_ref().is_some_and(|report| !report.allowed) {
                break;
            }
            if !patch.is_empty() {
                let (edited, object) = patched(&body, &patch).map_err(|reason| format!("{place}: {reason}"))?;
                underway.mutated = Some(if matches!(underway.task, Task::Review(_)) { edited.clone() } else { object });
                body = edited;
            }
        }
        Ok(underway)
    }

    /// Whom the API server would ask: the cluster's policies, then the namespace's.
    fn owners(&self, namespace: &str) -> Vec<Owner> {
        let mut owners = vec![Owner::Cluster];
        if self.namespaces.contains(namespace) {
            owners.push(Owner::Namespace(namespace.to_owned()));
        }
        owners
    }
}

impl Underway {
    /// The object of the input as it stands in the cluster; none for a review
    /// and for what is never stored.
    pub(super) fn stored(&self) -> Option<&str> {
        let Task::Write { manifest, aim, .. } = &self.task else { return None };
        // What a mutation made of a Scale is no workload.
        let mutated = self.mutated.as_deref().filter(|_| aim.instead.is_none());
        manifest.is_stored().then(|| mutated.unwrap_or(&manifest.object))
    }

    /// Before a CREATE the object itself is not in the cluster yet.
    fn hidden(&self) -> Option<String> {
        match &self.task {
            Task::Write { aim, .. } if aim.operation == Operation::Create && aim.subresource.is_empty() => {
                self.stored().map(str::to_owned)
            }
            _ => None,
        }
    }

    fn body(&self, user: &User) -> String {
        match &self.task {
            Task::Write { manifest, aim, number } => {
                let sent = aim.instead.as_ref().unwrap_or(&manifest.object);
                let object = self.mutated.as_ref().unwrap_or(sent);
                Write { manifest, aim, user, object, number: *number }.body()
            }
            Task::Review(document) => self.mutated.clone().unwrap_or_else(|| document.json.clone()),
        }
    }

    fn take(&mut self, admitted: Admitted) {
        if !admitted.allowed && admitted.policies.iter().all(|policy| !policy.enforced) {
            self.refusal = Some(admitted.message.clone());
        }
        match &mut self.report {
            Some(report) => join(report, admitted),
            none => *none = Some(first(admitted)),
        }
    }

    /// After the second pass.
    pub(super) fn finish(self) -> Result<Judged, String> {
        let place = self.task.place();
        let mut report = self.report.ok_or_else(|| format!("{place}: no phase was asked"))?;
        let stays = report.allowed && report.operation != Operation::Delete.as_str();
        let (document, written, defaulted, notes) = match self.task {
            Task::Write { manifest, aim, .. } => {
                let Manifest { document, written, identity, notes, defaulted, .. } = *manifest;
                if aim.instead.is_none() {
                    report.object = identity;
                }
                (document, aim.instead.unwrap_or(written), defaulted, notes)
            }
            Task::Review(review) => {
                report.line = review.start.line;
                report.source = review.source.to_string();
                let document = object_of(&review).unwrap_or(review);
                let written = document.json.clone();
                (document, written, Vec::new(), Vec::new())
            }
        };
        if report.source.is_empty() {
            report.source = document.source.to_string();
            report.line = document.start.line;
        }
        let admitted = stays.then(|| onto_written(&written, &report.patch)).flatten();
        let admitted = admitted.or_else(|| stays.then(|| self.mutated.unwrap_or_else(|| written.clone())));
        let position = |path: &str| if path.is_empty() { document.start } else { document.position_of(path) };
        let note_positions = notes.iter().map(|note| position(&note.path)).collect();
        let notes: Vec<String> = notes.into_iter().map(|note| note.message).collect();
        report.warnings.splice(0..0, notes.iter().cloned());
        Ok(Judged { report, document, notes, note_positions, refusal: self.refusal, written, admitted, defaulted })
    }
}

/// The object of a review, or the old one where there is none.
fn object_of(review: &Document) -> Option<Document> {
    let parsed = json::Document::parse(review.json.as_bytes()).ok()?;
    ["/request/object", "/request/oldObject"].iter().find_map(|pointer| {
        let there = parsed.root().pointer(pointer).is_some_and(|value| !value.is_null());
        there.then(|| review.part(pointer)).flatten()
    })
}

fn first(admitted: Admitted) -> ObjectReport {
    ObjectReport {
        source: String::new(),
        line: 0,
        object: admitted.object,
        operation: admitted.operation,
        subresource: admitted.subresource,
        allowed: admitted.allowed,
        policies: admitted.policies,
        warnings: admitted.warnings,
        patch: admitted.patch,
    }
}

fn join(report: &mut ObjectReport, admitted: Admitted) {
    report.allowed &= admitted.allowed;
    report.policies.extend(admitted.policies);
    report.patch.extend(admitted.patch);
    for warning in admitted.warnings {
        if !report.warnings.contains(&warning) {
            report.warnings.push(warning);
        }
    }
}

/// The review with its object edited, and the edited object.
fn patched(body: &str, patch: &[Edit]) -> Result<(String, String), String> {
    let parsed = json::Document::parse(body.as_bytes()).map_err(|error| error.to_string())?;
    let object = parsed.root().path(&["request", "object"]).ok_or("a patch for a review without an object")?;
    let value = edit::apply_document(object, patch).map_err(|error| error.to_string())?;
    let replaced = Edit::Replace { path: Pointer::new(["request", "object"]), value: value.clone() };
    let edited = edit::apply_document(parsed.root(), &[replaced]).map_err(|error| error.to_string())?;
    Ok((edited, value))
}

/// A patch of the object with defaults, on the object without them: what it
/// replaces there is added here, what it takes away may be absent.
fn onto_written(written: &str, patch: &[Edit]) -> Option<String> {
    let parsed = json::Document::parse(written.as_bytes()).ok()?;
    let absent = |path: &Pointer| parsed.root().pointer(&path.to_string()).is_none();
    let edits = patch.iter().filter_map(|edit| match edit {
        Edit::Remove { path } if absent(path) => None,
        Edit::Replace { path, value } if absent(path) => Some(Edit::Add { path: path.clone(), value: value.clone() }),
        edit => Some(edit.clone()),
    });
    edit::apply_document(parsed.root(), &edits.collect::<Vec<_>>()).ok()
}
