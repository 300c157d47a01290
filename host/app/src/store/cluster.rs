//! What the cluster holds, as far as files say it: `serve --cluster`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_core::cluster::ClusterView;
use portcullis_core::objects::{NoCluster, Objects};
use walkdir::WalkDir;

use crate::yaml;

/// A file of objects that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It can't be opened.
    #[error("can't read {file}: {reason}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// It holds no YAML or JSON.
    #[error(transparent)]
    Syntax(#[from] yaml::SyntaxError),
}

/// What look-ups see: the objects of these files and folders. They are some of
/// what the cluster holds, so what isn't there is unknown, never absent.
///
/// # Errors
/// Names the file that can't be read and why.
pub fn cluster(paths: &[PathBuf]) -> Result<Arc<dyn ClusterView>, ClusterError> {
    if paths.is_empty() {
        let reason = "no cluster connection, and no --cluster files were given".to_owned();
        return Ok(Arc::new(NoCluster { reason }));
    }
    let mut objects = Vec::new();
    for path in paths {
        for entry in WalkDir::new(path).follow_links(true).sort_by_file_name() {
            let entry = entry
                .map_err(|error| ClusterError::Read { file: path.display().to_string(), reason: error.to_string() })?;
            if entry.file_type().is_file() {
                read(entry.path(), &mut objects)?;
            }
        }
    }
    Ok(Arc::new(Objects::new(objects, false)))
}

fn read(path: &Path, objects: &mut Vec<String>) -> Result<(), ClusterError> {
    let file = path.display().to_string();
    let bytes =
        std::fs::read(path).map_err(|error| ClusterError::Read { file: file.clone(), reason: error.to_string() })?;
    let contents = yaml::read(&file, &bytes).strict();
    if let Some(error) = contents.errors.into_iter().next() {
        return Err(error.into());
    }
    for document in contents.documents {
        // `kubectl get -o yaml` writes a List.
        let items = document.elements("/items");
        if items.is_empty() {
            objects.push(document.json);
        } else {
            objects.extend(items.into_iter().map(|item| item.json));
        }
    }
    Ok(())
}
