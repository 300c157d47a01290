//! Policy documents from files to policies: what is refused and where it is said,
//! and that a broken new version never replaces a working old one.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use portcullis::store::{self, Loaded, Snapshots, Sources, Store, Surroundings};
use portcullis::telemetry::Metrics;
use portcullis_core::objects::NoCluster;
use portcullis_engine::{Engine, EngineConfig};
use tempfile::TempDir;

use super::fixture::eventually;

/// One for all tests, with a cache: compiling takes seconds.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    Engine::new(EngineConfig { cache_dir: Some(cache), ..EngineConfig::default() }).unwrap()
});

fn document(name: &str, rest: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: ClusterPolicy\nmetadata:\n  name: {name}\nspec:\n  module: builtin/storage\n  policy: database-remote-storage\n{rest}"
    )
}

struct Folder(TempDir, Store);

impl Folder {
    fn of(files: &[(&str, &str)]) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::of_flags(&[folder.path().to_owned()]);
        let this = Folder(folder, Store::new(sources, ENGINE.clone()));
        for (file, text) in files {
            this.write(file, text);
        }
        this
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.path().join(file), text).unwrap();
    }

    fn load(&mut self) -> Loaded {
        self.1.load()
    }
}

fn names(loaded: &Loaded) -> Vec<(String, bool)> {
    loaded.policies.iter().map(|policy| (policy.document.id.to_string(), policy.evaluator.is_ok())).collect()
}

fn works(name: &str) -> (String, bool) {
    (name.to_owned(), true)
}

fn broken(name: &str) -> (String, bool) {
    (name.to_owned(), false)
}

#[test]
fn without_a_source_the_built_in_policies_run() {
    let loaded = store::load(&Sources::of_flags(&[]), &ENGINE);
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let documents = portcullis_bundle::BASELINE.documents.matches("kind: ClusterPolicy").count();
    let working = names(&loaded).into_iter().filter(|(_, works)| *works).count();
    assert_eq!((working, loaded.policies.len()), (documents, documents));
}

#[test]
fn an_empty_folder_runs_none_and_a_missing_one_is_bad_usage() {
    let mut folder = Folder::of(&[]);
    let loaded = folder.load();
    assert!(loaded.policies.is_empty() && loaded.problems.is_empty());
    let missing = folder.0.path().join("no-such");
    let problem = Sources::of_flags(&[missing]).exist().unwrap_err();
    assert!(problem.to_string().contains("no such file or folder"), "{problem}");
}

#[test]
fn a_document_that_can_not_be_used_is_reported_with_file_line_and_reason() {
    let unnamed = "apiVersion: portcullis.dev/v1alpha1\nkind: ClusterPolicy\nspec: {module: builtin/storage}\n";
    for (text, line, expected, policies) in [
        ("kind: {", 0, "", vec![]),
        ("apiVersion: v1\nkind: ConfigMap\n", 1, "no policy document", vec![]),
        (unnamed, 0, "metadata.name: is missing", vec![]),
        (
            &document("p", "  failurePolcy: Fail\n"),
            8,
            "spec.failurePolcy: unknown field; did you mean failurePolicy?",
            vec![],
        ),
        (&document("p", "  timeout: soon\n"), 8, "spec.timeout: \"soon\" is no duration", vec![]),
        (
            &document("p", "").replace("builtin/storage", "builtin/storge"),
            6,
            "built in are builtin/network, builtin/secrets, builtin/storage",
            vec![broken("p")],
        ),
        (&document("p", "").replace("builtin/storage", "./none.wasm"), 6, "none.wasm can't be read", vec![broken("p")]),
        (
            &document("p", "").replace("builtin/storage", "oci://a/b@sha256:00"),
            6,
            "this version loads builtin/NAME",
            vec![broken("p")],
        ),
        (
            &document("p", "").replace("database-remote-storage", "database"),
            7,
            "is \"database\"; builtin/storage has",
            vec![broken("p")],
        ),
        (&document("p", "").replace("  policy: database-remote-storage\n", ""), 5, "has several", vec![broken("p")]),
        (
            &document("p", "  settings:\n    noSuchSetting: 1\n"),
            9,
            "spec.settings.noSuchSetting: unknown field",
            vec![broken("p")],
        ),
        (&document("p", "  match:\n    where: [\"$[\"]\n"), 9, "is no JSONPath", vec![broken("p")]),
    ] {
        let mut folder = Folder::of(&[("p.yaml", text)]);
        let loaded = folder.load();
        let [problem] = &loaded.problems[..] else { panic!("{text}: {:?}", loaded.problems) };
        assert!(problem.file.ends_with("p.yaml"), "{problem}");
        assert!(problem.reason.contains(expected), "{text}: {problem} lacks {expected:?}");
        assert!(line == 0 || problem.line == Some(line), "{text}: {problem} is not at line {line}");
        assert_eq!(names(&loaded), policies, "{text}");
        assert!(!problem.kept);
    }
}

#[test]
fn a_module_file_is_found_beside_its_document() {
    let module = portcullis_bundle::module("storage").unwrap();
    let text = document("p", "").replace("builtin/storage", "./modules/storage.wasm");
    let mut folder = Folder::of(&[("p.yaml", &text)]);
    fs::create_dir(folder.0.path().join("modules")).unwrap();
    fs::write(folder.0.path().join("modules/storage.wasm"), module.bytes).unwrap();
    let loaded = folder.load();
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    assert_eq!(names(&loaded), [works("p")]);
    assert_eq!(
        format!("sha256:{}", loaded.policies[0].digest),
        module.digest,
        "one digest for one module, wherever it comes from"
    );
    // A module that is none sets its policy aside, and keeps the old one that runs.
    fs::write(folder.0.path().join("modules/storage.wasm"), "no wasm").unwrap();
    let loaded = folder.load();
    assert_eq!(names(&loaded), [works("p")]);
    assert!(loaded.problems[0].kept && loaded.problems[0].reason.contains("can't be loaded"), "{:?}", loaded.problems);
}

#[test]
fn a_broken_new_version_never_replaces_a_working_old_one() {
    let good = format!("{}---\n{}", document("a", ""), document("b", "  order: 1\n"));
    for (what, bad) in [
        ("no YAML", "kind: {".to_owned()),
        ("an unknown field", document("a", "  mach: {}\n")),
        ("an unknown module", document("a", "").replace("builtin/storage", "builtin/none")),
        ("wrong settings", document("a", "  settings: {noSuchSetting: 1}\n")),
    ] {
        let mut folder = Folder::of(&[("p.yaml", &good)]);
        let before = folder.load();
        assert_eq!(names(&before), [works("b"), works("a")], "by order, then by name");
        folder.write("p.yaml", &format!("{bad}\n---\n{}", document("b", "  order: 1\n")));
        let after = folder.load();
        assert_eq!(names(&after), [works("b"), works("a")], "{what}");
        assert!(after.problems.len() == 1 && after.problems[0].kept, "{what}: {:?}", after.problems);
        for (before, after) in before.policies.iter().zip(&after.policies) {
            assert!(Arc::ptr_eq(before, after), "{what}: nothing that is unchanged is built again");
        }
        // Still broken at the next look: the same.
        assert_eq!(names(&folder.load()), [works("b"), works("a")], "{what}");
        folder.write("p.yaml", &good.replace("order: 1", "order: 500"));
        let repaired = folder.load();
        assert!(repaired.problems.is_empty(), "{what}: {:?}", repaired.problems);
        assert_eq!(names(&repaired), [works("a"), works("b")], "{what}");
    }
}

/// Whether two policies can be asked in one call.
fn are_companions(loaded: &Loaded) -> bool {
    let companies: Vec<_> =
        loaded.policies.iter().filter_map(|policy| policy.evaluator.as_ref().ok()?.company()).collect();
    let [a, b] = companies[..] else { return false };
    Arc::ptr_eq(&a.module, &b.module)
}

/// Settings that fit their schema and that the policy refuses all the same.
const REFUSED: &str = "  settings: {dataStores: [{name: ledger}]}\n";

#[test]
fn documents_of_a_built_in_module_are_configured_together_and_one_that_is_refused_leaves_the_others_theirs() {
    let mut folder = Folder::of(&[("a.yaml", &document("a", "")), ("b.yaml", &document("b", REFUSED))]);
    let loaded = folder.load();
    assert_eq!(names(&loaded), [works("a"), broken("b")]);
    assert!(loaded.problems[0].reason.contains("dataStores[0].images"), "{:?}", loaded.problems);

    folder.write("b.yaml", &document("b", "  settings: {notDataStores: [team/b]}\n"));
    let joined = folder.load();
    assert_eq!(names(&joined), [works("a"), works("b")]);
    assert!(are_companions(&joined), "who was there is configured again beside the new one");

    folder.write("b.yaml", &document("b", REFUSED));
    let kept = folder.load();
    assert!(kept.problems.len() == 1 && kept.problems[0].kept, "{:?}", kept.problems);
    for (before, after) in joined.policies.iter().zip(&kept.policies) {
        assert!(Arc::ptr_eq(before, after), "nothing came of it, so nothing changed");
    }
    assert!(are_companions(&kept));
}

#[test]
fn a_deleted_document_goes_and_a_second_of_its_name_does_not_count() {
    let mut folder = Folder::of(&[
        ("1.yaml", &document("a", "")),
        ("2.yaml", &document("a", "  order: 7\n")),
        ("3.yaml", &document("b", "")),
    ]);
    let loaded = folder.load();
    assert_eq!(names(&loaded), [works("a"), works("b")]);
    assert_eq!(loaded.policies[0].document.spec.order, 100, "the first counts");
    let [problem] = &loaded.problems[..] else { panic!("{:?}", loaded.problems) };
    assert!(problem.file.ends_with("2.yaml") && problem.reason.contains("1.yaml:1"), "{problem}");
    fs::remove_file(folder.0.path().join("1.yaml")).unwrap();
    fs::remove_file(folder.0.path().join("3.yaml")).unwrap();
    let loaded = folder.load();
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    assert_eq!(names(&loaded), [works("a")]);
    assert_eq!(loaded.policies[0].document.spec.order, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_config_map_is_followed_through_its_data_link() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (version, order) in [("..1", 1), ("..2", 2)] {
        fs::create_dir(path.join(version)).unwrap();
        fs::write(path.join(version).join("p.yaml"), document("p", &format!("  order: {order}\n"))).unwrap();
    }
    symlink("..1", path.join("..data")).unwrap();
    symlink("..data/p.yaml", path.join("p.yaml")).unwrap();
    let snapshots = Arc::new(Snapshots::default());
    let store = Store::new(Sources::of_flags(&[path.to_owned()]), ENGINE.clone());
    let cluster = Arc::new(NoCluster { reason: "a test has none".to_owned() });
    let metrics = Arc::new(Metrics::new());
    let following =
        tokio::spawn(store::follow(store, Surroundings::Given(cluster), snapshots.clone(), metrics.clone()));
    let orders = || {
        snapshots.current().map(|current| {
            current.snapshot.policies.iter().map(|policy| policy.document.spec.order).collect::<Vec<_>>()
        })
    };
    eventually("the first version is in use", async || orders() == Some(vec![1])).await;
    symlink("..2", path.join("..data_tmp")).unwrap();
    fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    eventually("the second version is in use", async || orders() == Some(vec![2])).await;
    assert_eq!(snapshots.current().unwrap().generation, 2);
    fs::write(path.join("..2/p.yaml"), "kind: {").unwrap();
    eventually("the broken version was refused", async || {
        metrics.exposition().contains(r#"reloads_total{what="policies",result="refused"} 1"#)
    })
    .await;
    assert_eq!(orders(), Some(vec![2]), "the version before stays in use");
    following.abort();
}
