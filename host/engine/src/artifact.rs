//! Compiled policies and what was learnt of them, on disk, so that a start
//! needs neither the compiler nor a guest call.
//!
//! ```text
//! <cache>/<key>.json           a digest, then a record as JSON; keyed by what went in
//! <cache>/<digest>.cwasm       compiled code; named by what is in it
//! <precompiled>/…              the same, read only: what an image brings along
//! ```
//! The cache is private (its owner is this process's user, its mode 0700), a
//! file appears whole or not at all, and nothing is believed whose digest
//! doesn't fit. What comes along was made by another process, often on another
//! machine: it is looked at where the cache has nothing, and believed only where
//! nobody but root and this user can write to it. Compiled code is taken in here
//! and nowhere else, which is what the `unsafe` is for.

#![allow(unsafe_code, reason = "taking in compiled code is the purpose of this file: see `map`, `taken`")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::compile;
use crate::engine::Cpu;

/// To be raised when what is kept, or how a snapshot is taken, changes.
const FORMAT: &str = concat!("portcullis ", env!("CARGO_PKG_VERSION"), " 3");
/// Stands for the engine where code is for any CPU: see [`Cpu::Baseline`].
const BASELINE: &str = concat!("portcullis ", env!("CARGO_PKG_VERSION"), " 3 baseline");
/// Files that nothing has used for so long are removed.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Where compiled policies are kept.
pub(crate) struct Cache {
    state: CacheState,
    precompiled: Option<PathBuf>,
    cpu: Cpu,
    compatibility: String,
}

/// Names a record by all that it depends on: in the cache, where that is this
/// engine down to its CPU, and among what came along, where it isn't: wasmtime
/// itself checks whether that code can run here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    own: String,
    shipped: String,
}

/// What became of the cache folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheState {
    /// None was asked for.
    Off,
    /// It is used.
    Used(PathBuf),
    /// It can't be trusted or used, so nothing is kept.
    Refused {
        /// Which folder.
        folder: PathBuf,
        /// Why, and what would be right.
        reason: String,
    },
}

impl Cache {
    /// Opens or makes the folder, for code that `engine` runs; `precompiled` is
    /// one that came along, and is only read.
    pub(crate) fn open(folder: Option<PathBuf>, precompiled: Option<PathBuf>, cpu: Cpu, engine: &Engine) -> Cache {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = match cpu {
            Cpu::Here => format!("{FORMAT} {:016x}", hasher.finish()),
            Cpu::Baseline => BASELINE.to_owned(),
        };
        let state = match folder {
            None => CacheState::Off,
            Some(folder) => match private(&folder) {
                Ok(()) => CacheState::Used(folder),
                Err(reason) => {
                    tracing::warn!(folder = %folder.display(), reason, "runs without a cache of compiled policies");
                    CacheState::Refused { folder, reason }
                }
            },
        };
        let precompiled = precompiled.filter(|folder| match shipped(folder) {
            Ok(()) => true,
            Err(reason) => {
                tracing::warn!(folder = %folder.display(), reason, "policies are compiled here, not taken from the folder that came along");
                false
            }
        });
        let cache = Cache { state, precompiled, cpu, compatibility };
        cache.prune();
        cache
    }

    pub(crate) fn state(&self) -> &CacheState {
        &self.state
    }

    /// The key of what these parts give.
    pub(crate) fn key(&self, what: &str, parts: &[&[u8]]) -> Key {
        let named = |compatibility: &str| {
            let mut all: Vec<&[u8]> = vec![compatibility.as_bytes(), what.as_bytes()];
            all.extend(parts);
            sha256(&all)
        };
        Key { own: named(&self.compatibility), shipped: named(BASELINE) }
    }

    /// The record of that key, if it is there and whole.
    pub(crate) fn record<T: DeserializeOwned>(&self, key: &Key) -> Option<T> {
        self.found([&key.own, &key.shipped], "json", parse_record).map(|(_, record)| record)
    }

    /// What `read` makes of the first file of these names: of the cache's, else
    /// of the one that came along.
    fn found<T>(&self, names: [&str; 2], extension: &str, read: impl Fn(&[u8]) -> Option<T>) -> Option<(PathBuf, T)> {
        let [own, shipped] = names;
        if let Some(path) = self.path(own, extension)
            && let Ok(content) = fs::read(&path)
        {
            if let Some(found) = read(&content) {
                touch(&path);
                return Some((path, found));
            }
            tracing::warn!(file = %path.display(), "a damaged cache file is made anew");
        }
        let path = self.precompiled.as_ref()?.join(shipped).with_extension(extension);
        let content = fs::read(&path).ok()?;
        let found = not_others_to_write(&path).ok().and_then(|()| read(&content));
        if found.is_none() {
            tracing::warn!(file = %path.display(), "a file that came along is damaged or others may write it; it is made anew");
        }
        Some((path, found?))
    }

    /// Keeps a record. That it can't be kept is said, and no more.
    pub(crate) fn keep_record<T: Serialize>(&self, key: &Key, record: &T) {
        let Some(path) = self.path(&key.own, "json") else { return };
        let written = serde_json::to_vec(record).map_err(io::Error::from).and_then(|body| {
            let mut content = sha256(&[&body]).into_bytes();
            content.push(b'\n');
            content.extend(body);
            write_whole(&path, &content)
        });
        if let Err(error) = written {
            tracing::warn!(file = %path.display(), %error, "can't keep a record in the cache");
        }
    }

    /// Compiles `wasm`, and keeps the code where there is a cache: then it is
    /// mapped from there, which costs page cache instead of memory.
    pub(crate) fn compile(&self, engine: &Engine, wasm: &[u8]) -> wasmtime::Result<(Component, Option<String>)> {
        let code = compiled(&compile::run_engine(1, self.cpu)?, wasm)?;
        if !matches!(self.state, CacheState::Used(_)) {
            return Ok((taken(engine, &code)?, None));
        }
        let digest = sha256(&[&*code]);
        if let Some(path) = self.path(&digest, "cwasm")
            && let Err(error) = write_whole(&path, &code)
        {
            tracing::warn!(file = %path.display(), %error, "can't keep compiled code in the cache");
        }
        match self.component(engine, &digest) {
            Some(component) => Ok((component, Some(digest))),
            None => Ok((taken(engine, &code)?, None)),
        }
    }

    /// The compiled code of that digest, if it is there and whole.
    pub(crate) fn component(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let whole = |content: &[u8]| (sha256(&[content]) == digest).then_some(());
        let (path, ()) = self.found([digest, digest], "cwasm", whole)?;
        map(engine, &path)
    }

    fn path(&self, name: &str, extension: &str) -> Option<PathBuf> {
        match &self.state {
            CacheState::Used(folder) => Some(folder.join(name).with_extension(extension)),
            CacheState::Off | CacheState::Refused { .. } => None,
        }
    }

    fn prune(&self) {
        let CacheState::Used(folder) = &self.state else { return };
        let Ok(entries) = fs::read_dir(folder) else { return };
        let oldest = SystemTime::now() - KEPT_FOR;
        for entry in entries.flatten() {
            let is_old = entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|used| used < oldest);
            // A file that is mapped stays so until it is unmapped.
            if is_old && let Err(error) = fs::remove_file(entry.path()) {
                tracing::debug!(file = %entry.path().display(), %error, "can't remove an old cache file");
            }
        }
    }
}

/// SHA-256 in hexadecimal; of several parts together with their lengths, so
/// that no two lists of parts have the same one by shifting bytes.
pub(crate) fn sha256(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        if parts.len() > 1 {
            hasher.update((part.len() as u64).to_le_bytes());
        }
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compiles for the engine that loads: see [`compile::load_engine`].
pub(crate) fn compile_to_load(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Component> {
    taken(engine, &compiled(&compile::load_engine()?, wasm)?)
}

/// Compiles with an engine that is there for nothing else, and is dropped: an
/// engine keeps the buffers of its compiler, which are as large as the largest
/// function needed, 20 MB and more of each thread.
fn compiled(compiler: &Engine, wasm: &[u8]) -> wasmtime::Result<Compiled> {
    compiler.precompile_component(wasm).map(Compiled)
}

/// What this process has compiled just now.
struct Compiled(Vec<u8>);

impl std::ops::Deref for Compiled {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

fn taken(engine: &Engine, code: &Compiled) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` runs what it is given, and only `compiled` makes a
    // `Compiled`: wasmtime's own output, which nobody has had in his hands.
    // Wasmtime checks that it was made for an engine such as this one.
    unsafe { Component::deserialize(engine, &**code) }
}

fn map(engine: &Engine, path: &Path) -> Option<Component> {
    // SAFETY: `deserialize_file` runs what the file holds. It was written by
    // `compile` from wasmtime's own output: its name is the digest of its
    // content, checked just now by `component`, and that digest stands in a
    // record that is keyed by the module, its settings and this very engine's
    // compatibility hash. Only this user can write to the cache (`private`
    // checked owner and mode), and only root and this user to a folder that came
    // along (`shipped`); files are put there whole by a rename and never changed
    // afterwards, so what was checked is what is mapped.
    let component = unsafe { Component::deserialize_file(engine, path) };
    component
        .inspect_err(
            |error| tracing::warn!(file = %path.display(), error = format!("{error:#}"), "can't map compiled code"),
        )
        .ok()
}

fn parse_record<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    let (digest, body) = content.split_at_checked(64)?;
    let body = body.strip_prefix(b"\n")?;
    if sha256(&[body]).as_bytes() != digest {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// Makes sure that nobody else can write what is run from here.
fn private(folder: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| format!("can't make the folder: {error}"))?;
    let metadata = fs::symlink_metadata(folder).map_err(|error| format!("can't read the folder: {error}"))?;
    if !metadata.is_dir() {
        return Err("it is not a folder of its own but a link or a file".to_owned());
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(format!("its mode is {:04o}, others may reach it; it must be 0700", metadata.mode() & 0o7777));
    }
    // Who this process is, as the file system sees it: the owner of what it makes.
    let probe = temporary(&folder.join("probe"));
    let file = create(&probe).map_err(|error| format!("can't write to the folder: {error}"))?;
    let owner = file.metadata().map(|metadata| metadata.uid());
    drop(fs::remove_file(&probe));
    match owner {
        Ok(owner) if owner == metadata.uid() => Ok(()),
        Ok(owner) => Err(format!("it belongs to user {}, this process is user {owner}", metadata.uid())),
        Err(error) => Err(format!("can't tell who this process is: {error}")),
    }
}

/// Makes sure that what came along is a folder that others can't write to.
fn shipped(folder: &Path) -> Result<(), String> {
    let metadata = fs::symlink_metadata(folder).map_err(|error| format!("can't read the folder: {error}"))?;
    if !metadata.is_dir() {
        return Err("it is not a folder of its own but a link or a file".to_owned());
    }
    not_others_to_write(folder)
}

/// Root may write anything anyway; who else this process is can't be told
/// without writing, so a folder of its own counts only where it is private.
fn not_others_to_write(path: &Path) -> Result<(), String> {
    const ROOT: u32 = 0;
    let metadata = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if metadata.mode() & 0o022 != 0 {
        return Err(format!("its mode is {:04o}, others may write to it; 0755 would do", metadata.mode() & 0o7777));
    }
    let private = metadata.mode() & 0o077 == 0;
    match metadata.uid() {
        ROOT => Ok(()),
        // Nobody but its owner can read it, and it can be read: the owner is this user.
        _ if private => Ok(()),
        owner => Err(format!("it belongs to user {owner}; it must be root's, or private (0700) to this user")),
    }
}

/// Writes a file that is there as a whole or not at all.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    let written = create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        // On disk before the name is: after a crash there is no half file.
        file.sync_data()
    });
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    if renamed.is_err() {
        drop(fs::remove_file(&temporary));
    }
    renamed
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn temporary(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    path.with_extension(format!("{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
}

fn touch(path: &Path) {
    let touched = File::options().write(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = touched {
        tracing::debug!(file = %path.display(), %error, "can't note the use of a cache file");
    }
}
