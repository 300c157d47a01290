//! The hostile guests behind the real server: whatever one of them does, the
//! answer comes in-band and in time, names the policy and says why, and the
//! built-in policy beside it on the same request says what it always says.
//!
//! Each behaviour has a namespace of its own, in which it stands twice (one for
//! each failurePolicy) beside a built-in policy; so a request asks one of them
//! and its neighbour.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use portcullis_engine::{Engine, EngineConfig};
use portcullis_sdk_build::Guest;
use portcullis_tests::workspace_root;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{TestServer, engine, engine_with};

/// A policy of the guest and what the server says of it; `None` where it does
/// nothing wrong. One that the guest has and this table hasn't fails the test.
const BEHAVIOURS: &[(&str, Option<&str>)] = &[
    ("good", None),
    ("changed-by-warm-up", None),
    ("endless-loop", Some("ran longer than its timeout of 400 ms")),
    ("endless-log", Some("ran longer than its timeout of 400 ms")),
    ("endless-look-up", Some("more than 256 look-ups in one review")),
    ("allocation-bomb", Some("asked for more than its 25165824 bytes of memory")),
    ("memory-fill", Some("ran longer than its timeout of 400 ms")),
    ("deep-recursion", Some("trapped: call stack exhausted")),
    ("trap", Some("trapped: wasm `unreachable` instruction executed")),
    ("out-of-bounds", Some("trapped: out of bounds memory access")),
    ("panic", Some("panicked: all is lost (at src/behaviour.rs:")),
    ("clock", None),
    ("look-up", None),
    ("undeclared-look-up", Some("undeclared look-up: get of Secret.v1")),
    ("undeclared-key", Some("undeclared look-up key \"spec.undeclared\" of ConfigMap")),
    ("undeclared-among-many", Some("undeclared look-up: get of Secret.v1")),
    ("no-reviews", Some("malformed answer: 0 reviews for 1 policy")),
    ("two-reviews", Some("malformed answer: 2 reviews for 1 policy")),
    ("many-reviews", Some("malformed answer: too much data")),
    ("huge-finding", Some("malformed answer: too much data")),
    ("huge-log", Some("malformed answer: too much data")),
    ("not-utf8", Some("malformed answer: invalid utf-8")),
    ("finding-not-json", Some("malformed answer: finding 0: EOF")),
    ("finding-unknown-level", Some("malformed answer: finding 0: unknown variant `panic`")),
    ("finding-unknown-rule", Some("malformed answer: finding 0: rule \"saintly\" is not one of the policy's")),
    ("finding-oversized", Some("malformed answer: finding 0: 50")),
    ("findings-too-many", Some("malformed answer: 101 findings")),
    ("edits-of-a-validating-policy", Some("malformed answer: a validating policy returned edits")),
    ("edit-outside-its-reach", Some("is outside of what the policy declares to write")),
    ("edit-not-json", Some("malformed answer: edit 0: its value is not JSON")),
    ("edit-that-does-not-apply", Some("/metadata/labels/hostile")),
];

/// Those that only their timeout ends; the others get time enough to be what
/// they are on a busy machine.
const ENDLESS: [&str; 3] = ["endless-loop", "endless-log", "memory-fill"];

/// What look-ups find: `look-up` its ConfigMap, the built-in policies a class.
const CLUSTER: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: a}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: fast
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: ebs.csi.aws.com
"#;

/// What the built-in policy says of [`database`].
const FINDING: &str = "/host-path: volume `data` holds the data of mongodb";

/// The hostile component, built once a test run.
pub(crate) fn hostile() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile");
        Guest::new(workspace_root().join("tests/guests/hostile")).target_folder(target).build().unwrap().bytes
    })
}

/// The same with another letter for what it does before it is configured.
fn hostile_before(mode: u8) -> Vec<u8> {
    const MARK: &[u8] = b"hostile-mode=";
    let mut bytes = hostile().to_vec();
    let place = bytes.windows(MARK.len()).position(|window| window == MARK).unwrap();
    bytes[place + MARK.len()] = mode;
    bytes
}

/// Policy documents and the modules that they name, in a folder of their own.
struct Documents {
    folder: TempDir,
    /// Those with failurePolicy Fail, then those with Ignore. What one of the
    /// first was configured to, one of the others finds in the engine's cache;
    /// side by side both would compile it.
    groups: [String; 2],
}

/// One document.
struct Document<'a> {
    namespace: &'a str,
    name: &'a str,
    module: &'a str,
    policy: &'a str,
    failure_policy: &'a str,
    /// What else its spec says, in YAML's flow style.
    more: &'a str,
}

impl Documents {
    fn new() -> Documents {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("hostile.wasm"), hostile()).unwrap();
        fs::write(folder.path().join("cluster.yaml"), CLUSTER).unwrap();
        Documents { folder, groups: Default::default() }
    }

    fn add(&mut self, document: &Document<'_>) {
        let Document { namespace, name, module, policy, failure_policy, more } = document;
        let [fail, ignore] = &mut self.groups;
        write!(
            if *failure_policy == "Fail" { fail } else { ignore },
            "---\napiVersion: portcullis.dev/v1alpha1\nkind: Policy\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{module: {module}, policy: {policy}, failurePolicy: {failure_policy}, {more}}}\n"
        )
        .unwrap();
    }

    /// A behaviour in a namespace, once for each failurePolicy, beside the
    /// built-in policy of its phase. Where failures are ignored the built-in
    /// one warns, so that the request passes.
    fn add_beside_builtin(&mut self, namespace: &str, module: &str, policy: &str, more: &str) {
        let builtin = if is_mutating(policy) { "default-storage-class" } else { "database-remote-storage" };
        for (name, failure_policy, actions) in [("fail", "Fail", "Deny"), ("ignore", "Ignore", "Warn")] {
            self.add(&Document { namespace, name, module, policy, failure_policy, more });
            let name = &format!("builtin-{name}");
            let more = &format!("timeout: 5s, validationActions: [{actions}]");
            self.add(&Document { namespace, name, module: "builtin/storage", policy: builtin, failure_policy, more });
        }
    }

    fn policies(&self) -> PathBuf {
        let file = self.folder.path().join("policies.yaml");
        fs::write(&file, self.groups.concat()).unwrap();
        file
    }

    fn cluster(&self) -> PathBuf {
        self.folder.path().join("cluster.yaml")
    }
}

/// A database on a host's folder, with a claim template that names no class:
/// each built-in policy has something to say of it.
fn database(namespace: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "mongo", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": "mongo"}},
            "template": {
                "metadata": {"labels": {"app": "mongo"}},
                "spec": {
                    "containers": [{"name": "mongo", "image": "mongo:7.0",
                                    "volumeMounts": [{"name": "data", "mountPath": "/data/db"}]}],
                    "volumes": [{"name": "data", "hostPath": {"path": "/srv"}}],
                },
            },
            "volumeClaimTemplates": [{"metadata": {"name": "other"}, "spec": {}}],
        },
    })
}

fn is_mutating(policy: &str) -> bool {
    policy.starts_with("edit-")
}

fn phase(policy: &str) -> &'static str {
    if is_mutating(policy) { "mutate" } else { "validate" }
}

/// Asks the group of Fail: denied, with the policy named and the reason, and
/// with the finding of the neighbour, which validates.
async fn check_fail(server: &TestServer, namespace: &str, policy: &str, reason: Option<&str>, query: &str) {
    let path = format!("/{}/namespace/{namespace}/fail{query}", phase(policy));
    let response = server.review(&path, namespace, &database(namespace)).await;
    let message = response["status"]["message"].as_str().unwrap_or_default();
    let denied = reason.is_some() || !is_mutating(policy);
    assert_eq!(response["allowed"], !denied, "{policy}: {response}");
    match reason {
        Some(reason) => assert!(said(message, namespace, "fail", reason), "{policy}: {reason:?} isn't in {response}"),
        None => assert!(!message.contains(&format!("{namespace}/fail")), "{policy}: {response}"),
    }
    if is_mutating(policy) {
        assert_eq!(response.get("patch"), None, "what is denied isn't patched: {response}");
    } else {
        assert!(message.contains(&format!("{namespace}/builtin-fail{FINDING}")), "{policy}: {response}");
    }
}

/// Asks the group of Ignore: allowed, with the policy and the reason in a
/// warning, and with what the neighbour finds or patches.
async fn check_ignore(server: &TestServer, namespace: &str, policy: &str, reason: Option<&str>, query: &str) {
    let path = format!("/{}/namespace/{namespace}/ignore{query}", phase(policy));
    let response = server.review(&path, namespace, &database(namespace)).await;
    assert_eq!(response["allowed"], true, "{policy}: {response}");
    let warnings: Vec<&str> = response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match reason {
        Some(reason) => {
            let warned = warnings.iter().any(|warning| said(warning, namespace, "ignore", reason));
            assert!(warned, "{policy}: {reason:?} isn't in {response}");
        }
        // It looks into a namespace that isn't its own, which is no failure: it isn't told.
        None if policy == "look-up" => {
            let confined = |warning: &&str| said(warning, namespace, "ignore", "a Policy may read only its namespace");
            assert!(warnings.iter().any(confined), "{policy}: {response}");
        }
        None => assert!(!warnings.iter().any(|warning| warning.contains("/ignore")), "{policy}: {response}"),
    }
    if is_mutating(policy) {
        assert!(response["patch"].is_string(), "the neighbour's patch is there: {response}");
    } else {
        let finding = format!("{namespace}/builtin-ignore{FINDING}");
        assert!(warnings.iter().any(|warning| warning.starts_with(&finding)), "{policy}: {response}");
    }
}

/// Whether a text has a line of this policy with this reason.
fn said(text: &str, namespace: &str, name: &str, reason: &str) -> bool {
    let start = format!("{namespace}/{name}: ");
    text.lines().any(|line| line.strip_prefix(&start).is_some_and(|line| line.contains(reason)))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_guest_does_is_answered_in_band_and_its_neighbours_answer_too() {
    let module = tokio::task::spawn_blocking(|| engine().load(hostile()).unwrap()).await.unwrap();
    let described: Vec<_> = module.descriptions().iter().map(|description| description.name.as_str()).collect();
    let expected: Vec<_> = BEHAVIOURS.iter().map(|(name, _)| *name).collect();
    assert_eq!(described, expected, "every behaviour of the guest stands in the table");

    let mut documents = Documents::new();
    for (policy, _) in BEHAVIOURS {
        let timeout = if ENDLESS.contains(policy) { "400ms" } else { "5s" };
        documents.add_beside_builtin(policy, "./hostile.wasm", policy, &format!("memory: 24Mi, timeout: {timeout}"));
    }
    let server = TestServer::start(Some(&documents.policies()), &documents.cluster()).await;
    for (policy, reason) in BEHAVIOURS {
        tokio::join!(
            check_fail(&server, policy, policy, *reason, "?timeout=10s"),
            check_ignore(&server, policy, policy, *reason, "?timeout=10s"),
            check_fail(&server, "good", "good", None, "?timeout=10s"),
            check_ignore(&server, "good", "good", None, "?timeout=10s"),
        );
    }
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_timeout_ends_a_guest_that_may_run_longer() {
    let reason = Some("the request's deadline passed while it ran");
    let mut documents = Documents::new();
    for policy in ENDLESS {
        documents.add_beside_builtin(policy, "./hostile.wasm", policy, "timeout: 30s");
    }
    let server = TestServer::start(Some(&documents.policies()), &documents.cluster()).await;
    // The client gives up long before the policy's own timeout would end it.
    let answers = async {
        for policy in ENDLESS {
            tokio::join!(
                check_fail(&server, policy, policy, reason, "?timeout=2s"),
                check_ignore(&server, policy, policy, reason, "?timeout=2s"),
            );
        }
    };
    tokio::time::timeout(Duration::from_secs(25), answers).await.expect("answers come within their timeouts");
    server.running.shutdown().await;
}

/// Gives a guest one second to be loaded, which none that isn't endless needs.
fn impatient() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let load_timeout = Duration::from_secs(1);
    ENGINE.get_or_init(|| engine_with(EngineConfig { instances: 16, load_timeout, ..EngineConfig::default() }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_never_starts_is_set_aside_and_the_others_serve() {
    let endless = "ran longer than its timeout of 1000 ms";
    let panicked = "panicked: no description for you";
    let mut documents = Documents::new();
    let mut broken = Vec::new();
    for (namespace, mode, reason) in
        [("starts", b'i', endless), ("describes", b'd', endless), ("panics", b'p', panicked)]
    {
        let module = format!("{namespace}.wasm");
        fs::write(documents.folder.path().join(&module), hostile_before(mode)).unwrap();
        documents.add_beside_builtin(namespace, &format!("./{module}"), "good", "timeout: 5s");
        broken.push((namespace, reason));
    }
    for (policy, reason) in [("endless-loop", endless), ("trap", "trapped: wasm `unreachable`")] {
        let more = "timeout: 5s, settings: {when: configure}";
        documents.add_beside_builtin(policy, "./hostile.wasm", policy, more);
        broken.push((policy, reason));
    }
    documents.add_beside_builtin(
        "warms-up",
        "./hostile.wasm",
        "endless-loop",
        "timeout: 5s, settings: {when: warm-up}",
    );

    let (server, problems) =
        TestServer::start_with(impatient(), Some(&documents.policies()), &documents.cluster()).await;
    assert_eq!(server.readyz().await, 200, "what is broken keeps nobody waiting");
    assert_eq!(problems.len(), 2 * broken.len(), "{problems:#?}");
    for (namespace, reason) in broken {
        for name in ["fail", "ignore"] {
            let of_policy = |problem: &&portcullis::store::Problem| {
                problem.policy.as_ref().is_some_and(|id| id.to_string() == format!("{namespace}/{name}"))
            };
            let problem = problems.iter().find(of_policy).unwrap_or_else(|| panic!("{namespace}: {problems:#?}"));
            assert!(problem.reason.contains(reason), "{namespace}: {problem}");
        }
        check_fail(&server, namespace, "good", Some(reason), "").await;
        check_ignore(&server, namespace, "good", Some(reason), "").await;
    }
    // A warm-up is a favour: a policy that fails in it works all the same.
    check_fail(&server, "warms-up", "endless-loop", None, "").await;
    server.running.shutdown().await;
}
