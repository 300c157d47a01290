//! One subject, judged as the API server would have it judged: the mutating
//! calls one after the other, each on the object as edited so far, then the
//! validating calls on what came of it. A denial ends it, as it ends a write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_core::admit::{Admitted, Origin, Owner, Policy, Request, Selection, Snapshot, admit};
use portcullis_core::contract::{Operation, Phase};
use portcullis_core::edit::{self, Edit, Pointer};
use portcullis_core::json;
use portcullis_core::objects::Objects;
use portcullis_core::report::ObjectReport;

use super::manifest::{Manifest, text};
use super::others::Others;
use super::review::Write;
use crate::yaml::{Document, Position};

/// Time for one call: the longest that a webhook may have.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What all subjects of a run are judged by.
pub struct Judge {
    policies: Vec<Arc<Policy>>,
    /// Namespaces that have policies of their own.
    namespaces: BTreeSet<String>,
    cluster: Arc<Objects>,
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
}

/// An object before anything was asked about it.
struct Sent {
    document: Document,
    written: String,
}

/// One write, or a review that was given.
#[derive(Debug)]
pub(super) enum Task {
    /// An object, what happens to it, and what was there before.
    Write { manifest: Box<Manifest>, operation: Operation, old: Option<String>, number: usize },
    /// A review.
    Review(Document),
}

impl Task {
    /// Where it was read: `file:line`.
    pub(super) fn place(&self) -> String {
        let document = match self {
            Task::Write { manifest, .. } => &manifest.document,
            Task::Review(document) => document,
        };
        format!("{}:{}", document.source, document.start.line)
    }
}

impl Judge {
    /// Judges by these policies over what the cluster holds.
    pub fn new(policies: Vec<Arc<Policy>>, cluster: Arc<Objects>, now: Duration) -> Judge {
        let namespaces = policies.iter().filter_map(|policy| policy.document.id.namespace.clone()).collect();
        Judge { policies, namespaces, cluster, now }
    }

    /// Judges one task; an error is a review that can't be read.
    pub(super) async fn judge(&self, task: Task) -> Result<Judged, String> {
        match task {
            Task::Write { manifest, operation, old, number } => self.write(*manifest, operation, old, number).await,
            Task::Review(document) => self.review(document).await,
        }
    }

    async fn write(
        &self,
        manifest: Manifest,
        operation: Operation,
        old: Option<String>,
        number: usize,
    ) -> Result<Judged, String> {
        let (object, old_object) = match operation {
            Operation::Create => (Some(manifest.object.as_str()), None),
            Operation::Update => (Some(manifest.object.as_str()), Some(old.as_deref().unwrap_or(&manifest.object))),
            Operation::Delete | Operation::Connect => (None, Some(manifest.object.as_str())),
        };
        let body = Write { operation, manifest: &manifest, object, old_object, number }.body();
        // Before a CREATE the object itself is not in the cluster yet.
        let hidden = (operation == Operation::Create).then(|| manifest.object.as_str().into());
        let sent = Sent { written: manifest.object.clone(), document: manifest.document };
        let mut judged = self.calls(body, hidden, &manifest.identity.namespace, sent).await?;
        judged.report.object = manifest.identity;
        judged.report.warnings.splice(0..0, manifest.warnings.iter().cloned());
        judged.note_positions = vec![judged.document.start; manifest.warnings.len()];
        judged.notes = manifest.warnings;
        Ok(judged)
    }

    async fn review(&self, document: Document) -> Result<Judged, String> {
        let parsed = json::Document::parse(document.json.as_bytes()).map_err(|error| error.to_string())?;
        let namespace = text(parsed.root(), &["request", "namespace"]).unwrap_or_default();
        let body = document.json.clone();
        let object = ["/request/object", "/request/oldObject"].iter().find_map(|pointer| {
            let there = parsed.root().pointer(pointer).is_some_and(|value| !value.is_null());
            there.then(|| document.part(pointer)).flatten()
        });
        let object = object.unwrap_or_else(|| document.clone());
        let sent = Sent { written: object.json.clone(), document: object };
        let mut judged = self.calls(body, None, &namespace, sent).await?;
        judged.report.line = document.start.line;
        Ok(judged)
    }

    /// All calls for one write, in the API server's order.
    async fn calls(
        &self,
        mut body: String,
        hidden: Option<Arc<str>>,
        namespace: &str,
        sent: Sent,
    ) -> Result<Judged, String> {
        let Sent { document, written } = sent;
        let cluster = Arc::new(Others::new(self.cluster.clone(), hidden));
        let snapshot = Snapshot { policies: self.policies.clone(), cluster };
        let mut report: Option<ObjectReport> = None;
        let mut refusal = None;
        for (phase, owner) in self.selections(namespace) {
            let request = Request {
                selection: Selection { phase, group: None, owner },
                body: body.as_bytes(),
                deadline: Instant::now() + CALL_TIMEOUT,
                now: self.now,
                origin: Origin::Check,
            };
            let admitted = admit(&snapshot, request).await.map_err(|error| error.reason)?;
            if !admitted.allowed && admitted.policies.iter().all(|policy| !policy.enforced) {
                refusal = Some(admitted.message.clone());
            }
            let (allowed, patch) = (admitted.allowed, admitted.patch.clone());
            match &mut report {
                None => report = Some(first(admitted, &document)),
                Some(report) => join(report, admitted),
            }
            if !allowed {
                break;
            }
            if !patch.is_empty() {
                body = patched(&body, &patch)?;
            }
        }
        let report = report.ok_or("no phase was asked")?;
        let stays = report.allowed && report.operation != Operation::Delete.to_string();
        let admitted = stays.then(|| edit::apply(&written, &report.patch).unwrap_or_else(|_| written.clone()));
        Ok(Judged { report, document, notes: Vec::new(), note_positions: Vec::new(), refusal, written, admitted })
    }

    /// Whom the API server would ask: the cluster's policies, then the namespace's.
    fn selections(&self, namespace: &str) -> Vec<(Phase, Owner)> {
        let mut selections = Vec::with_capacity(4);
        for phase in [Phase::Mutating, Phase::Validating] {
            selections.push((phase, Owner::Cluster));
            if self.namespaces.contains(namespace) {
                selections.push((phase, Owner::Namespace(namespace.to_owned())));
            }
        }
        selections
    }
}

fn first(admitted: Admitted, document: &Document) -> ObjectReport {
    ObjectReport {
        source: document.source.to_string(),
        line: document.start.line,
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

/// The review with its object edited.
fn patched(body: &str, patch: &[Edit]) -> Result<String, String> {
    let parsed = json::Document::parse(body.as_bytes()).map_err(|error| error.to_string())?;
    let object = parsed.root().path(&["request", "object"]).ok_or("a patch for a review without an object")?;
    let value = edit::apply_document(object, patch).map_err(|error| error.to_string())?;
    let replaced = Edit::Replace { path: Pointer::new(["request", "object"]), value };
    edit::apply_document(parsed.root(), &[replaced]).map_err(|error| error.to_string())
}
