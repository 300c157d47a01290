//! `portcullis precompile`: what an image brings along, so that a fresh pod needn't
//! compile. The code is for any CPU of this architecture that isn't
//! ten years old.
//!
//! Everything is made in a private folder beside the one that is named and takes
//! its place at the end, so that a half-made one is never used.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use portcullis_engine::{CacheState, Cpu, Engine, EngineConfig};

use crate::args::PrecompileArguments;
use crate::store::{self, Sources};

/// Of the folder: everybody may read it, only its owner writes.
const FOLDER_MODE: u32 = 0o755;
/// While it is made, as the engine wants its cache.
const MAKING_MODE: u32 = 0o700;
/// Of its files.
const FILE_MODE: u32 = 0o644;

/// Compiles and writes the folder.
///
/// # Errors
/// Policies that can't be used, a folder that can't be written.
pub fn run(arguments: &PrecompileArguments) -> Result<ExitCode> {
    let folder = &arguments.folder;
    if fs::symlink_metadata(folder).is_ok() && !is_ours(folder) {
        bail!("{} is there and holds something else than compiled policies; name another folder", folder.display());
    }
    let beside = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(beside).with_context(|| format!("can't make the folder {}", beside.display()))?;
    let making = tempfile::Builder::new()
        .prefix(".precompile-")
        .permissions(Permissions::from_mode(MAKING_MODE))
        .tempdir_in(beside)
        .with_context(|| format!("can't write to the folder {}", beside.display()))?;
    let cache_dir = Some(making.path().to_owned());
    let engine = Engine::new(EngineConfig { cache_dir, cpu: Cpu::Baseline, ..EngineConfig::default() })?;
    if let CacheState::Refused { folder, reason } = engine.cache() {
        bail!("can't keep compiled policies in {}: {reason}", folder.display());
    }
    for paths in sets(&arguments.policy) {
        let sources = Sources::of_flags(&paths);
        if let Err(problem) = sources.exist() {
            bail!("{problem}");
        }
        let loaded = store::load(&sources, &engine);
        if let Some(problem) = loaded.problems.first() {
            bail!("{problem}");
        }
    }
    let (files, bytes) = publish(making.path())?;
    if files == 0 {
        bail!("nothing was compiled: no policy is in what --policy names");
    }
    let _ = fs::remove_dir_all(folder);
    fs::rename(making.path(), folder).with_context(|| format!("can't write {}", folder.display()))?;
    println!("{}: {files} files, {:.1} MB", folder.display(), bytes as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}

/// What is compiled together: policies of one module are, so a set by itself
/// gives other code than two at once.
fn sets(given: &[PathBuf]) -> Vec<Vec<PathBuf>> {
    if given.is_empty() {
        return store::builtin_sets().into_iter().map(|set| vec![set]).collect();
    }
    given.iter().map(|path| vec![path.clone()]).collect()
}

/// Whether a folder holds nothing but what this command writes.
fn is_ours(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().all(|entry| {
        let path = entry.path();
        path.extension().is_some_and(|extension| extension == "cwasm" || extension == "json")
    })
}

/// Lets everybody read; how many files and bytes there are.
fn publish(folder: &Path) -> Result<(usize, u64)> {
    let context = || format!("can't read {}", folder.display());
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        fs::set_permissions(&path, Permissions::from_mode(FILE_MODE)).with_context(context)?;
        bytes += path.metadata().with_context(context)?.len();
        files += 1;
    }
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE)).with_context(context)?;
    Ok((files, bytes))
}
