//! From files to policy documents with places: which files count, what is a
//! document of ours, where in it something is wrong.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_core::policy::{PolicyDocument, PolicyId};
use walkdir::WalkDir;

use super::{Candidate, Problem, Source, Sources};
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
    pub(super) problems: Vec<Problem>,
    /// Files, or folders, of which not everything could be read.
    pub(super) unreadable: Vec<String>,
}

/// Where a document stands.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) file: String,
    /// What `./x.wasm` is relative to; None for built-in documents.
    pub(super) folder: Option<PathBuf>,
    document: Arc<yaml::Document>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.document.start.line)
    }
}

impl Place {
    /// A problem with the field at `path`.
    pub(super) fn problem(&self, path: &str, reason: String) -> Problem {
        let line = self.document.position_of(path).line;
        Problem {
            file: self.file.clone(),
            line: Some(line),
            policy: None,
            reason: format!("{path}: {reason}"),
            kept: false,
        }
    }
}

/// Reads all documents of the sources.
pub(super) fn find(sources: &Sources) -> Found {
    let mut found = Found::default();
    for source in &sources.0 {
        match source {
            Source::Set(set) => found.read(&format!("builtin:{}", set.name), None, set.documents.as_bytes()),
            // `Sources::exist` has said so.
            Source::NoSet(_) => {}
            Source::Path(path) => found.walk(path),
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
            let place =
                Place { file: file.to_owned(), folder: folder.map(Path::to_owned), document: Arc::new(document) };
            self.document(place);
        }
    }

    fn document(&mut self, place: Place) {
        let value: serde_json::Value = match serde_json::from_str(&place.document.json) {
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
            Ok(document) => self.documents.push(Candidate { document, place }),
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
