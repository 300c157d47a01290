//! From files to policy documents with places: which files count, what is a
//! document of ours, where in it something is wrong.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_core::policy::{PolicyDocument, PolicyId};
use portcullis_kube::{PolicyObject, PolicyVersion};
use walkdir::WalkDir;

use super::{Candidate, ObjectSource, Problem, Source, Sources, TenantRules, tenants};
use crate::yaml;

/// A file of policy documents that is larger holds something else.
const MAX_FILE: u64 = 4 << 20;
/// Folders below folders: more is a loop of links.
const MAX_DEPTH: usize = 16;
/// What files of documents are called.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// All that the sources hold.
#[derive(Default)]
pub(super) struct Found {
    pub(super) documents: Vec<Candidate>,
    /// The last versions that loaded, of objects that have a newer one.
    pub(super) fallbacks: Vec<Candidate>,
    pub(super) problems: Vec<Problem>,
    /// Files, or folders, of which not everything could be read.
    pub(super) unreadable: Vec<String>,
}

/// Where a document stands.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) file: String,
    /// What `./x.wasm` is relative to, where files can be named.
    pub(super) folder: Option<PathBuf>,
    /// What is said where they can't.
    pub(super) without_folder: &'static str,
    /// None for an object of a cluster.
    document: Option<Arc<yaml::Document>>,
    /// What a namespaced object may do; None for a file, which is the administrator's.
    pub(super) tenants: Option<TenantRules>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.document {
            Some(document) => write!(formatter, "{}:{}", self.file, document.start.line),
            None => formatter.write_str(&self.file),
        }
    }
}

impl Place {
    /// A problem with the field at `path`.
    pub(super) fn problem(&self, path: &str, reason: String) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.document.as_ref().map(|document| document.position_of(path).line),
            policy: None,
            reason: format!("{path}: {reason}"),
            kept: false,
        }
    }
}

impl Place {
    /// Whether a module must lie in the folder: who writes an object needn't be
    /// who may read this machine's files.
    pub(super) fn is_confined(&self) -> bool {
        self.document.is_none()
    }

    /// What a module's path is relative to, for a person.
    pub(super) fn relative_to(&self) -> &'static str {
        if self.is_confined() { "the folder of modules" } else { "the document" }
    }
}

/// Reads all documents of the sources.
pub(super) fn find(sources: &Sources, objects: &[Arc<PolicyObject>]) -> Found {
    let mut found = Found::default();
    for source in &sources.0 {
        match source {
            Source::Set(set) => found.read(&format!("builtin:{}", set.name), None, set.documents.as_bytes()),
            // `Sources::exist` has said so.
            Source::NoSet(_) => {}
            Source::Path(path) => found.walk(path),
            Source::Objects(source) => found.objects(source, objects),
        }
    }
    found
}

impl Found {
    fn walk(&mut self, source: &Path) {
        // Hidden entries are other tools' business, among them kubelet's `..data`
        // and what it points to: the same files once more.
        let walk = WalkDir::new(source).follow_links(true).max_depth(MAX_DEPTH).sort_by_file_name();
        let entries = walk
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.'));
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_type().is_file() && (entry.depth() == 0 || is_document(entry.path())) => {
                    self.file(entry.path())
                }
                Ok(_) => {}
                Err(error) => {
                    let path = error.path().unwrap_or(source).to_owned();
                    let gone = error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
                    // A file that is gone was deleted; a folder that is gone is a
                    // volume that isn't mounted, and what it held stays in use.
                    let deleted = gone && (path != source || is_document(source));
                    self.unreadable(&path, format!("can't be read: {error}"), deleted);
                }
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
        if size > MAX_FILE {
            return self.unreadable(
                path,
                format!("has {size} bytes; a file of policy documents has at most {MAX_FILE}"),
                false,
            );
        }
        match fs::read(path) {
            Ok(bytes) => self.read(&path.display().to_string(), path.parent(), &bytes),
            Err(error) => {
                self.unreadable(path, format!("can't be read: {error}"), error.kind() == io::ErrorKind::NotFound)
            }
        }
    }

    fn unreadable(&mut self, path: &Path, reason: String, deleted: bool) {
        let file = path.display().to_string();
        if !deleted {
            self.unreadable.push(file.clone());
        }
        self.problems.push(Problem { file, line: None, policy: None, reason, kept: false });
    }

    fn read(&mut self, file: &str, folder: Option<&Path>, bytes: &[u8]) {
        let contents = yaml::read(file, bytes).strict();
        for error in contents.errors {
            self.unreadable.push(file.to_owned());
            let line = (error.position.line > 0).then_some(error.position.line);
            let reason = match error.hint {
                Some(hint) => format!("{}; {hint}", error.what),
                None => error.what,
            };
            self.problems.push(Problem { file: file.to_owned(), line, policy: None, reason, kept: false });
        }
        for document in contents.documents {
            self.document(Place {
                file: file.to_owned(),
                folder: folder.map(Path::to_owned),
                without_folder: "a built-in document can only name builtin/NAME",
                document: Some(Arc::new(document)),
                tenants: None,
            });
        }
    }

    /// The objects of a cluster. Of a namespace's only the oldest count, so that
    /// what is there already isn't pushed out.
    fn objects(&mut self, source: &ObjectSource, objects: &[Arc<PolicyObject>]) {
        for object in objects {
            let kind = if object.id.namespace.is_some() { "Policy" } else { "ClusterPolicy" };
            let place = Place {
                file: format!("{kind} {}", object.id),
                folder: source.modules.clone(),
                without_folder: "this server has no folder of modules (--modules), so only builtin/NAME can be named",
                document: None,
                tenants: object.id.namespace.is_some().then(|| source.tenants.clone()),
            };
            if let Some(reason) = tenants::surplus(object, objects) {
                let problem = Problem { policy: Some(object.id.clone()), ..place.problem("metadata.name", reason) };
                self.problems.push(problem);
                continue;
            }
            if let Some((generation, spec)) = object.loaded_before()
                && let Ok(document) = PolicyDocument::from_json(&object.with_spec(spec))
            {
                let version = Some(PolicyVersion { generation, ..object.version.clone() });
                self.fallbacks.push(Candidate { document, place: place.clone(), version });
            }
            match PolicyDocument::from_json(&object.document) {
                Ok(document) => {
                    self.documents.push(Candidate { document, place, version: Some(object.version.clone()) })
                }
                Err(error) => {
                    let policy = Some(object.id.clone());
                    self.problems.push(Problem { policy, ..place.problem(&error.path, error.message) });
                }
            }
        }
    }

    fn document(&mut self, place: Place) {
        let json = place.document.as_ref().map(|document| document.json.as_str()).unwrap_or_default();
        let value: serde_json::Value = match serde_json::from_str(json) {
            Ok(value) => value,
            Err(error) => {
                self.unreadable.push(place.file.clone());
                return self.problems.push(place.problem("", error.to_string()));
            }
        };
        let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str).unwrap_or("none");
        if !PolicyDocument::is_policy(&value) {
            let reason = format!(
                "is {:?}, and kind is {:?}: no policy document; hint: those are portcullis.dev/v1alpha1, ClusterPolicy or Policy, \
                 and --policy names only files and folders of them",
                text("apiVersion"),
                text("kind")
            );
            return self.problems.push(place.problem("apiVersion", reason));
        }
        match PolicyDocument::from_json(&value) {
            Ok(document) => self.documents.push(Candidate { document, place, version: None }),
            Err(error) => {
                let policy = id(&value);
                if policy.is_none() {
                    self.unreadable.push(place.file.clone());
                }
                self.problems.push(Problem { policy, ..place.problem(&error.path, error.message) });
            }
        }
    }
}

/// The name of a document that is broken elsewhere.
fn id(document: &serde_json::Value) -> Option<PolicyId> {
    let text = |value: Option<&serde_json::Value>| value.and_then(serde_json::Value::as_str).map(str::to_owned);
    let metadata = document.get("metadata")?;
    Some(PolicyId { namespace: text(metadata.get("namespace")), name: text(metadata.get("name"))? })
}

fn is_document(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.contains(&ending.to_ascii_lowercase().as_str())
}
