//! From paths to documents: files, folders, patterns, standard input.
//!
//! A folder is walked whole, sorted by name; what is hidden is skipped, and so
//! is everything but `*.yaml`, `*.yml` and `*.json`. A path that isn't there and
//! holds `*`, `?` or `[` is a pattern that the shell left alone, because it was
//! quoted or matched nothing; `**` stands for any folders. What can't be read is
//! a problem that stands beside the documents that can.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use glob::MatchOptions;
use walkdir::{DirEntry, WalkDir};

use crate::yaml::{self, Document, MAX_FILE_BYTES};

/// The path that stands for standard input.
pub const STANDARD_INPUT: &str = "-";
/// Files that one run may read.
pub const MAX_FILES: usize = 200_000;

/// As a shell matches: `*` stays within a folder and off hidden files.
const AS_A_SHELL: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// What paths hold.
#[derive(Debug, Default)]
pub struct Input {
    /// In the order of the paths.
    pub documents: Vec<Given>,
    /// What can't be read: `file:line:column: what; hint`.
    pub problems: Vec<String>,
}

/// A document, and how it was found.
#[derive(Debug, Clone)]
pub struct Given {
    /// The document.
    pub document: Document,
    /// Whether its file was named, or found in a folder that was.
    pub named: bool,
}

/// Reads all documents of some paths.
pub fn read(paths: &[PathBuf]) -> Input {
    let mut input = Input::default();
    let mut standard_input_taken = false;
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            if !std::mem::replace(&mut standard_input_taken, true) {
                let bytes = read_bounded(io::stdin().lock());
                input.take(STANDARD_INPUT, bytes, true);
            }
        } else if path.is_dir() {
            read_folder(path, &mut input);
        } else if let Some(pattern) = pattern(path) {
            read_matches(pattern, &mut input);
        } else {
            let bytes = read_file(path);
            input.take(&path.display().to_string(), bytes, true);
        }
    }
    input
}

impl Input {
    fn take(&mut self, source: &str, bytes: io::Result<Vec<u8>>, named: bool) {
        match bytes {
            Ok(bytes) => {
                let contents = yaml::read(source, &bytes);
                // A document with a key that stands twice is judged as kubectl
                // would send it, and is a problem all the same.
                let repeated = contents.documents.iter().flat_map(|document| &document.repeated);
                self.problems.extend(contents.errors.iter().chain(repeated).map(ToString::to_string));
                self.documents.extend(contents.documents.into_iter().map(|document| Given { document, named }));
            }
            Err(error) => self.problems.push(format!("{source}: can't be read: {error}")),
        }
    }
}

/// A path that is none but a pattern.
fn pattern(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| text.contains(['*', '?', '[']) && !path.exists())
}

/// Files that a pattern finds are read like those of a folder: what is no object
/// is skipped.
fn read_matches(pattern: &str, input: &mut Input) {
    let paths = match glob::glob_with(pattern, AS_A_SHELL) {
        Ok(paths) => paths,
        Err(error) => {
            let at = error.pos + 1;
            input.problems.push(format!("{pattern}: no file and no pattern either: {} (character {at})", error.msg));
            return;
        }
    };
    let mut files = 0;
    for path in paths {
        match path {
            Ok(path) if path.is_dir() => read_folder(&path, input),
            Ok(path) if files < MAX_FILES => {
                let bytes = read_file(&path);
                input.take(&path.display().to_string(), bytes, false);
            }
            Ok(_) => {
                input.problems.push(format!("{pattern}: matches more than {MAX_FILES} files; the rest was not read"));
                return;
            }
            Err(error) => input.problems.push(format!("{}: can't be read: {}", error.path().display(), error.error())),
        }
        files += 1;
    }
    if files == 0 {
        input.problems.push(format!("{pattern}: no file matches this pattern; `**/` stands for folders of any depth"));
    }
}

fn read_folder(folder: &Path, input: &mut Input) {
    let visible = |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    // Links are followed: a mounted ConfigMap is a folder of links.
    let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter().filter_entry(visible);
    let mut files = 0;
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_manifest(entry.path()) => {
                files += 1;
                if files > MAX_FILES {
                    input.problems.push(format!(
                        "{}: holds more than {MAX_FILES} files; the rest was not read",
                        folder.display()
                    ));
                    return;
                }
                let bytes = read_file(entry.path());
                input.take(&entry.path().display().to_string(), bytes, false);
            }
            Ok(_) => {}
            Err(error) => input.problems.push(error.to_string()),
        }
    }
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    matches!(extension.as_str(), "yaml" | "yml" | "json")
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let size = fs::metadata(path)?.len();
    if size > MAX_FILE_BYTES as u64 {
        return Err(too_large(&format!("{} MiB", size >> 20)));
    }
    read_bounded(File::open(path)?)
}

fn read_bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE_BYTES { Err(too_large("more")) } else { Ok(bytes) }
}

fn too_large(size: &str) -> io::Error {
    let limit = MAX_FILE_BYTES >> 20;
    io::Error::new(io::ErrorKind::FileTooLarge, format!("a file may have {limit} MiB, and this has {size}; split it"))
}
