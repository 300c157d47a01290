//! From documents to what would be sent to the API server, and to what it makes
//! of it: Lists are opened, old versions become their successors, namespace and
//! defaults are filled in, and what is no Kubernetes object is told apart.

use portcullis_core::edit::{self, Edit, Pointer};
use portcullis_core::json::{self, Kind, Value, quote};
use portcullis_core::kinds::{Kinds, Resource};
use portcullis_core::report::ObjectIdentity;

use super::convert;
use super::defaults::{self, Defaulted};
use super::fields::Fault;
use super::input::Given;
use super::remarks::{Seen, remarks};
use super::removed::{self, Successor};
use super::request::is_never_stored;
use crate::yaml::Document;

/// Lists inside lists, at most.
const MAX_LIST_DEPTH: usize = 8;
/// Groups of files that tools read and no API server: kustomize, kind, kubeadm
/// and the components' own configuration.
const TOOL_GROUPS: &[&str] = &[
    "kustomize.config.k8s.io",
    "kind.x-k8s.io",
    "kubeadm.k8s.io",
    "kubelet.config.k8s.io",
    "kubeproxy.config.k8s.io",
    "kubescheduler.config.k8s.io",
    "apiserver.config.k8s.io",
    "audit.k8s.io",
    "client.authentication.k8s.io",
];

/// What a run judges.
#[derive(Debug, Clone)]
pub enum Subject {
    /// An object that would be created.
    Object(Box<Manifest>),
    /// An AdmissionReview, judged as it is.
    Review(Document),
}

/// An object.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// As it was written.
    pub document: Document,
    /// As it would be sent, in JSON: in a version that is served, with its namespace.
    pub written: String,
    /// As the API server would have it: with what it fills in.
    pub object: String,
    /// The fields that it fills in.
    pub defaulted: Vec<Pointer>,
    /// Which object.
    pub identity: ObjectIdentity,
    /// What the API server calls it.
    pub resource: Resource,
    /// What to say of it besides what policies say, and of which of its fields.
    pub notes: Vec<Fault>,
}

/// What documents hold.
#[derive(Debug, Default)]
pub struct Manifests {
    /// In order.
    pub subjects: Vec<Subject>,
    /// Objects that are not judged, and why: `file:line: …`.
    pub warnings: Vec<String>,
    /// What was given by name and can't be judged: `file:line: …`.
    pub problems: Vec<String>,
    /// Documents of folders that are no Kubernetes objects: `file:line`.
    pub skipped: Vec<String>,
}

/// Why a document is no object.
enum NoObject {
    /// It is for something else.
    Foreign(&'static str),
    /// Its version is gone, and its successor has another shape.
    NotServed(String),
}

impl Manifests {
    /// Tells apart what documents hold. `namespace` is for namespaced objects
    /// that name none.
    pub fn of(given: Vec<Given>, kinds: &Kinds, namespace: &str) -> Manifests {
        let mut manifests = Manifests::default();
        for Given { document, named } in given {
            for Opened { document, implied } in opened(document) {
                let place = format!("{}:{}", document.source, document.start.line);
                if is_review(&document) {
                    manifests.subjects.push(Subject::Review(document));
                    continue;
                }
                match Manifest::of(document, implied, kinds, namespace) {
                    Ok(manifest) => manifests.subjects.push(Subject::Object(Box::new(manifest))),
                    Err(NoObject::NotServed(reason)) => manifests.warnings.push(format!("{place}: {reason}")),
                    Err(NoObject::Foreign(_)) if !named => manifests.skipped.push(place),
                    Err(NoObject::Foreign(reason)) => manifests.problems.push(format!("{place}: {reason}")),
                }
            }
        }
        manifests
    }

    /// The objects, as they would be stored.
    pub fn objects(&self) -> impl Iterator<Item = &Manifest> + Clone {
        self.subjects.iter().filter_map(|subject| match subject {
            Subject::Object(manifest) => Some(manifest.as_ref()),
            Subject::Review(_) => None,
        })
    }
}

/// Learns the kinds that documents define.
pub fn learn(kinds: &mut Kinds, given: &[Given]) {
    for Opened { document, .. } in given.iter().flat_map(|given| opened(given.document.clone())) {
        if let Ok(parsed) = json::Document::parse(document.json.as_bytes()) {
            kinds.learn(parsed.root());
        }
    }
}

impl Manifest {
    /// Adds what the API server would refuse, drop or ignore of it.
    pub fn remark(&mut self, kinds: &Kinds) {
        let Ok(parsed) = json::Document::parse(self.written.as_bytes()) else { return };
        let ObjectIdentity { api_version, kind, .. } = &self.identity;
        let seen = Seen { object: parsed.root(), api_version, kind, resource: &self.resource };
        self.notes.extend(remarks(seen, kinds));
    }

    /// Whether the API server would store it: a Scale says something of another object.
    pub fn is_stored(&self) -> bool {
        !is_never_stored(&self.identity.api_version, &self.identity.kind)
    }

    fn of(
        mut document: Document,
        implied: Option<(String, String)>,
        kinds: &Kinds,
        namespace: &str,
    ) -> Result<Manifest, NoObject> {
        let unreadable = NoObject::Foreign("not JSON");
        let parsed = json::Document::parse(document.json.as_bytes()).map_err(|_| unreadable)?;
        let root = parsed.root();
        if root.kind() != Kind::Object {
            return Err(NoObject::Foreign("no Kubernetes object; an object is a mapping with apiVersion and kind"));
        }
        let mut edits = Vec::new();
        let (mut api_version, kind) = match (text(root, &["apiVersion"]), text(root, &["kind"]), implied) {
            (Some(api_version), Some(kind), _) => (api_version, kind),
            (None, None, Some((api_version, kind))) => {
                let filled = [("kind", &kind), ("apiVersion", &api_version)];
                edits.extend(
                    filled.map(|(field, value)| Edit::Add { path: Pointer::new([field]), value: quote(value) }),
                );
                (api_version, kind)
            }
            _ => return Err(NoObject::Foreign("no Kubernetes object: apiVersion or kind is missing")),
        };
        if TOOL_GROUPS.contains(&group(&api_version)) {
            return Err(NoObject::Foreign(
                "no Kubernetes object but a tool's own file; render it first, such as with `kubectl kustomize`",
            ));
        }
        let mut notes = Vec::new();
        if let Some((successor, note)) = successor(&api_version, &kind)? {
            notes.push(note);
            if let Some((edit, note)) = implied_selector(root, successor, &kind) {
                edits.push(edit);
                notes.push(note);
            }
            edits.push(Edit::Replace { path: Pointer::new(["apiVersion"]), value: quote(successor) });
            if kind == "Ingress" {
                edits.extend(convert::ingress(root));
            }
            successor.clone_into(&mut api_version);
        }
        let resource = kinds.resource(group(&api_version), &kind);
        let name = text(root, &["metadata", "name"]).unwrap_or_default();
        let mut identity = ObjectIdentity { api_version, kind, namespace: String::new(), name };
        let own = text(root, &["metadata", "namespace"]).filter(|namespace| !namespace.is_empty());
        let has_metadata = root.get("metadata").is_none_or(|metadata| metadata.kind() == Kind::Object);
        if resource.namespaced {
            // What is no text stays, and is pointed out: `namespace: n` is false in YAML 1.1.
            let written = root.path(&["metadata", "namespace"]).filter(|value| !value.is_null());
            if own.is_none() && has_metadata && written.is_none_or(|value| value.kind() == Kind::String) {
                edits.push(Edit::Add { path: Pointer::new(["metadata", "namespace"]), value: quote(namespace) });
            }
            identity.namespace = own.clone().unwrap_or_else(|| namespace.to_owned());
        }
        // An edit fails only where a parent is no object: the API server refuses that, so it is sent as it is.
        let written = edit::apply(&document.json, &edits).unwrap_or_else(|_| document.json.clone());
        let Defaulted { mut object, fields: defaulted } =
            defaults::fill(&written, &identity.api_version, &identity.kind);
        if !resource.namespaced && own.is_some() {
            // The API server ignores it.
            let ignored = Edit::Remove { path: Pointer::new(["metadata", "namespace"]) };
            object = edit::apply(&object, &[ignored]).unwrap_or(object);
        }
        if identity.kind == "Secret" && root.get("stringData").is_some() {
            document.written_as = Some(("data", "stringData"));
        }
        Ok(Manifest { written, object, defaulted, identity, resource, notes, document })
    }
}

/// The version that an object is judged in where its own is no longer served.
fn successor(api_version: &str, kind: &str) -> Result<Option<(&'static str, Fault)>, NoObject> {
    let Some(removed) = removed::removed(api_version, kind) else { return Ok(None) };
    let gone = format!("{api_version} {kind} is not served since Kubernetes {}", removed.since);
    let note = |message| Fault { path: "apiVersion".to_owned(), message };
    match removed.successor {
        Successor::Same(successor) => Ok(Some((successor, note(format!("{gone}; judged as {successor}, use that"))))),
        Successor::Converted(successor) => Ok(Some((
            successor,
            note(format!("{gone}; judged as {successor} would have it, whose fields differ: write it so")),
        ))),
        Successor::Reshaped(successor) => {
            Err(NoObject::NotServed(format!("{gone} and is not judged; write it as {successor}, whose fields differ")))
        }
        Successor::Gone => Err(NoObject::NotServed(format!("{gone}, has no successor and is not judged"))),
    }
}

/// The versions before `apps/v1` took the template's labels for the selector
/// that now must be written (`SetDefaults_Deployment` of pkg/apis/apps/v1beta1
/// and extensions/v1beta1 in kubernetes 1.15, and their like).
fn implied_selector(root: Value<'_>, successor: &str, kind: &str) -> Option<(Edit, Fault)> {
    let selected = matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") && successor == "apps/v1";
    let absent = root.path(&["spec", "selector"]).is_none_or(Value::is_null);
    let labels = root.path(&["spec", "template", "metadata", "labels"])?;
    if !selected || !absent || labels.kind() != Kind::Object {
        return None;
    }
    let path = Pointer::new(["spec", "selector", "matchLabels"]);
    let message =
        format!("{successor} doesn't take the template's labels for spec.selector, as the old version did; write it");
    Some((Edit::Add { path, value: labels.raw().to_owned() }, Fault { path: "spec".to_owned(), message }))
}

/// A document that is no List.
struct Opened {
    document: Document,
    /// What it is where it doesn't say so itself: apiVersion and kind.
    implied: Option<(String, String)>,
}

/// The items of a List, or the document itself.
fn opened(document: Document) -> Vec<Opened> {
    let mut all = Vec::new();
    let mut pending = vec![(Opened { document, implied: None }, 0)];
    while let Some((opened, depth)) = pending.pop() {
        match items(&opened.document).filter(|_| depth < MAX_LIST_DEPTH) {
            Some(items) => pending.extend(items.into_iter().rev().map(|item| (item, depth + 1))),
            None => all.push(opened),
        }
    }
    all
}

/// The items of a `List` or of a typed list such as `PodList`, whose items may
/// leave out their kind.
fn items(document: &Document) -> Option<Vec<Opened>> {
    let parsed = json::Document::parse(document.json.as_bytes()).ok()?;
    let root = parsed.root();
    let api_version = text(root, &["apiVersion"])?;
    let list_kind = text(root, &["kind"])?;
    let kind = list_kind.strip_suffix("List")?;
    root.get("items").filter(|items| items.kind() == Kind::Array)?;
    let implied = (!kind.is_empty()).then(|| (api_version, kind.to_owned()));
    let items = document.elements("/items").into_iter();
    Some(items.map(|document| Opened { document, implied: implied.clone() }).collect())
}

fn is_review(document: &Document) -> bool {
    json::Document::parse(document.json.as_bytes()).is_ok_and(|parsed| {
        let api_version = text(parsed.root(), &["apiVersion"]).unwrap_or_default();
        let kind = text(parsed.root(), &["kind"]).unwrap_or_default();
        kind == "AdmissionReview" && group(&api_version) == "admission.k8s.io"
    })
}

pub(super) fn text(value: Value<'_>, path: &[&str]) -> Option<String> {
    value.path(path).and_then(Value::as_str).map(|text| text.into_owned())
}

fn group(api_version: &str) -> &str {
    portcullis_core::objects::group(api_version)
}
