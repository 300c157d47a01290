//! The cache on disk: a second start needs neither compiler nor guest, and
//! nothing in it is believed that isn't whole and private.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use common::{MINIMAL, UNLABELLED, configure, engine_with, review};
use portcullis_engine::{CacheState, Cpu, Engine, EngineConfig};
use serde_json::json;

/// What happens to a file.
type Damage = fn(&mut Vec<u8>);

fn cached(folder: &Path) -> Engine {
    engine_with(EngineConfig { cache_dir: Some(folder.to_owned()), ..EngineConfig::default() })
}

/// What makes code for other machines.
fn precompiling(folder: &Path) -> Engine {
    engine_with(EngineConfig { cache_dir: Some(folder.to_owned()), cpu: Cpu::Baseline, ..EngineConfig::default() })
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// When compiled code was written; being used only moves its time of change.
fn inodes(folder: &Path) -> Vec<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut inodes: Vec<_> = files(folder, "cwasm").iter().map(|path| path.metadata().unwrap().ino()).collect();
    inodes.sort_unstable();
    inodes
}

async fn answers(engine: &Engine) {
    let configured = configure(engine, MINIMAL, "require-label", json!({"label": "team"}));
    let found = review(&configured, UNLABELLED).await.outcome.unwrap();
    assert!(found.findings[0].contains("team"), "{found:?}");
    assert!(configured.warnings.is_empty(), "{:?}", configured.warnings);
}

#[tokio::test]
async fn a_second_start_compiles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("new/cache");
    answers(&cached(&cache)).await;
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    let before = inodes(&cache);
    assert_eq!(before.len(), 1);
    answers(&cached(&cache)).await;
    assert_eq!(inodes(&cache), before);
    assert!(files(&cache, "tmp").is_empty());

    let other = configure(&cached(&cache), MINIMAL, "require-label", json!({"label": "other"}));
    assert!(review(&other, UNLABELLED).await.outcome.unwrap().findings[0].contains("other"));
    assert_eq!(inodes(&cache).len(), 2, "other settings are another snapshot");
}

#[tokio::test]
async fn a_damaged_file_is_made_anew() {
    let damages: [(&str, Damage); 4] = [
        ("truncated", |content| content.truncate(content.len() / 2)),
        ("emptied", Vec::clear),
        ("a bit turned", |content| {
            let middle = content.len() / 2;
            content[middle] ^= 1;
        }),
        ("appended to", |content| content.push(0)),
    ];
    for (damage, change) in damages {
        for extension in ["cwasm", "json"] {
            let folder = tempfile::tempdir().unwrap();
            let cache = folder.path().join("cache");
            answers(&cached(&cache)).await;
            for path in files(&cache, extension) {
                let mut content = fs::read(&path).unwrap();
                change(&mut content);
                fs::write(&path, content).unwrap();
            }
            answers(&cached(&cache)).await;
            let before = inodes(&cache);
            answers(&cached(&cache)).await;
            assert_eq!(inodes(&cache), before, "{extension} {damage} was mended");
        }
    }
}

#[tokio::test]
async fn a_folder_that_others_can_reach_is_refused_and_policies_run_without() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
    let link = folder.path().join("link");
    let private = folder.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();
    symlink(&private, &link).unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();

    let cases = [
        (&open, "its mode is 0755, others may reach it; it must be 0700"),
        (&link, "a link or a file"),
        (&file, "can't make the folder"),
    ];
    for (path, expected) in cases {
        let engine = cached(path);
        let CacheState::Refused { reason, .. } = engine.cache() else { panic!("{} is refused", path.display()) };
        assert!(reason.contains(expected), "{reason}");
        answers(&engine).await;
    }
    assert!(files(&open, "json").is_empty());
    assert_eq!(*cached(&private).cache(), CacheState::Used(private));
}

#[test]
fn files_that_nothing_used_for_long_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    drop(cached(&cache));
    let old = cache.join("old.json");
    fs::File::create(&old).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    drop(cached(&cache));
    assert!(!old.exists());
}

#[tokio::test]
async fn what_came_along_is_used_where_the_cache_has_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (shipped, cache) = (folder.path().join("shipped"), folder.path().join("cache"));
    answers(&precompiling(&shipped)).await;
    let with = |cache: &Path| {
        let (cache_dir, precompiled_dir) = (Some(cache.to_owned()), Some(shipped.clone()));
        engine_with(EngineConfig { cache_dir, precompiled_dir, ..EngineConfig::default() })
    };
    answers(&with(&cache)).await;
    assert!(files(&cache, "cwasm").is_empty() && files(&cache, "json").is_empty(), "nothing had to be made");
    let other = configure(&with(&cache), MINIMAL, "require-label", json!({"label": "other"}));
    assert!(review(&other, UNLABELLED).await.outcome.unwrap().findings[0].contains("other"));
    assert_eq!(inodes(&cache).len(), 1, "what didn't come along is made, and kept in the cache");
    assert_eq!(inodes(&shipped).len(), 1, "what came along is only read");
}

#[tokio::test]
async fn what_came_along_is_not_believed_where_others_may_write() {
    type Change = fn(&Path);
    let cases: [(&str, Change); 3] = [
        ("the folder", |shipped| fs::set_permissions(shipped, Permissions::from_mode(0o777)).unwrap()),
        ("a file", |shipped| {
            let file = files(shipped, "cwasm").remove(0);
            fs::set_permissions(file, Permissions::from_mode(0o666)).unwrap();
        }),
        ("another content", |shipped| {
            let file = files(shipped, "cwasm").remove(0);
            let mut content = fs::read(&file).unwrap();
            content[100] ^= 1;
            fs::write(file, content).unwrap();
        }),
    ];
    for (what, change) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (shipped, cache) = (folder.path().join("shipped"), folder.path().join("cache"));
        answers(&precompiling(&shipped)).await;
        change(&shipped);
        let (cache_dir, precompiled_dir) = (Some(cache.clone()), Some(shipped));
        answers(&engine_with(EngineConfig { cache_dir, precompiled_dir, ..EngineConfig::default() })).await;
        assert_eq!(inodes(&cache).len(), 1, "{what}: compiled here");
    }
}
