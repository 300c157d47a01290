//! What the cluster holds, as far as files say it: `serve --cluster`. The files
//! are read as `check --cluster` reads them.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_core::cluster::ClusterView;
use portcullis_core::objects::{NoCluster, Objects};

use crate::check::read_cluster;

/// Where objects that name no namespace belong, as kubectl has it.
const NAMESPACE: &str = "default";

/// Objects that can't be read, each with file, place and reason.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ClusterError(Vec<String>);

/// What look-ups see: the objects of these files and folders. They are some of
/// what the cluster holds, so what isn't there is unknown, never absent.
///
/// # Errors
/// Names everything that can't be read and why.
pub fn cluster(paths: &[PathBuf]) -> Result<Arc<dyn ClusterView>, ClusterError> {
    if paths.is_empty() {
        let reason = "no cluster connection, and no --cluster files were given".to_owned();
        return Ok(Arc::new(NoCluster { reason }));
    }
    match read_cluster(paths, NAMESPACE) {
        (objects, problems) if problems.is_empty() => Ok(Arc::new(Objects::new(objects, false))),
        (_, problems) => Err(ClusterError(problems)),
    }
}
