//! Guests by their binaries: the committed module of contract 0.1.0, built with
//! wit-bindgen alone, still serves; and what the built-in module can do at all
//! is read from its bytes.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis_core::cluster::{Budget, Scoped};
use portcullis_core::contract::{Configuration, Operation};
use portcullis_core::evaluate::Call;
use portcullis_core::objects::Objects;
use portcullis_engine::{Capabilities, Configured, Limits};
use portcullis_tests::workspace_root;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use wasmparser::{ComponentTypeRef, Parser, Payload};

use crate::server::{TestServer, engine};

/// The module and its policies.
const MINIMAL: &str = "tests/guests/minimal-0.1.0.wasm";

const CLUSTER: &str = r#"
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: ebs.csi.aws.com
"#;

fn documents() -> String {
    let module = workspace_root().join(MINIMAL);
    let document = |policy: &str, settings: Value| {
        json!({
            "apiVersion": "portcullis.dev/v1alpha1",
            "kind": "ClusterPolicy",
            "metadata": {"name": policy},
            "spec": {"module": module, "policy": policy, "settings": settings, "timeout": "5s"},
        })
    };
    let documents = [
        document("require-label", json!({"label": "team"})),
        document("set-label", json!({})),
        document("known-class", json!({})),
    ];
    documents.map(|document| document.to_string()).join("\n---\n")
}

fn config_map(labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": labels}})
}

fn claim(class: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a"}, "spec": {"storageClassName": class}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_of_contract_0_1_0_still_serves_all_its_policies() {
    let folder = TempDir::new().unwrap();
    let (policies, cluster) = (folder.path().join("policies.yaml"), folder.path().join("cluster.yaml"));
    fs::write(&policies, documents()).unwrap();
    fs::write(&cluster, CLUSTER).unwrap();
    let server = TestServer::start(Some(&policies), &cluster).await;

    let denied = server.review("/validate", "shop", &config_map(json!({"owner": "a"}))).await;
    let message = "require-label/label-missing: the label `team` is missing (metadata.labels)";
    assert_eq!((&denied["allowed"], &denied["status"]["message"]), (&json!(false), &json!(message)));
    let allowed = server.review("/validate", "shop", &config_map(json!({"team": "a"}))).await;
    assert_eq!((&allowed["allowed"], allowed.get("warnings")), (&json!(true), None));

    let patched = server.review("/mutate", "shop", &config_map(json!({"team": "a"}))).await;
    let patch = BASE64_STANDARD.decode(patched["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    assert_eq!(patch, json!([{"op": "add", "path": "/metadata/labels/minimal", "value": "true"}]));
    let as_it_is = server.review("/mutate", "shop", &config_map(json!({"minimal": "false"}))).await;
    assert_eq!((&as_it_is["allowed"], as_it_is.get("patch")), (&json!(true), None));

    let known = server.review("/validate", "shop", &claim("fast")).await;
    assert_eq!(known["auditAnnotations"], json!({"known-class.provisioner": "ebs.csi.aws.com"}));
    assert_eq!((&known["allowed"], known.get("warnings")), (&json!(true), None));
    // Files are never all that a cluster holds.
    let unknown = server.review("/validate", "shop", &claim("slow")).await;
    let warning = unknown["warnings"][0].as_str().unwrap();
    assert_eq!(unknown["allowed"], true);
    assert!(warning.starts_with("known-class/class-absent: whether there is a StorageClass `slow` is not known"));
    server.running.shutdown().await;
}

/// The ids are the host's own, so what has to hold is that policies that share a
/// snapshot are told apart by them.
#[tokio::test]
async fn policies_configured_together_are_told_apart_by_their_ids() {
    let labels = ["team", "owner", "team"];
    let configured = tokio::task::spawn_blocking(move || {
        let module = engine().load(&fs::read(workspace_root().join(MINIMAL)).unwrap()).unwrap();
        let limits = Limits { timeout: Duration::from_secs(5), memory: 16 << 20 };
        let wanted = labels.map(|label| {
            let settings = json!({"label": label});
            (Configuration { policy: "require-label".to_owned(), settings }, limits)
        });
        module.configure_all(&wanted).unwrap()
    });
    let configured = configured.await.unwrap();
    assert_eq!(configured.len(), labels.len());
    for (configured, label) in configured.iter().zip(labels) {
        assert_eq!(values(configured, r#"{"metadata":{}}"#).await, [label]);
        assert_eq!(values(configured, r#"{"metadata":{"labels":{"team":"a"}}}"#).await.is_empty(), label == "team");
    }
}

/// The values of what a policy finds.
async fn values(configured: &Configured, object: &str) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let cluster = Objects::new([], true);
    let lookups = configured.description.reach.lookups.clone().into();
    let call = Call {
        operation: Operation::Create,
        object: Some(object),
        old_object: None,
        attributes: r#"{"origin":"check"}"#,
        now: Duration::ZERO,
        deadline,
        cluster: Scoped::new(std::sync::Arc::new(cluster), lookups, std::sync::Arc::new(Budget::until(deadline)))
            .into(),
        may_log: true,
    };
    let raw = configured.evaluator.evaluate(call).await.outcome.unwrap();
    let findings = raw.findings.iter().map(|finding| serde_json::from_str::<Value>(finding).unwrap());
    findings.map(|finding| finding["value"].as_str().unwrap().to_owned()).collect()
}

/// What a component imports from outside, by name, but for types, which can do
/// nothing. The imports of the modules inside it are its own affair.
fn imports(component: &[u8]) -> BTreeSet<String> {
    let (mut depth, mut imports) = (0, BTreeSet::new());
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                let section = section.into_iter().map(|import| import.unwrap());
                let able = section.filter(|import| !matches!(import.ty, ComponentTypeRef::Type(_)));
                imports.extend(able.map(|import| import.name.name.to_owned()));
            }
            _ => {}
        }
    }
    imports
}

/// SHA-256 of the contract's text: 0.1.0 is frozen. There is no blessing this
/// away; what has to change goes into a version of its own, beside this one.
const CONTRACT_0_1_0: &str = "04543c95c108475d8ceacf6266d6a4a0e4654c6227e195cac3bb5d89f01ea956";

#[test]
fn the_contract_0_1_0_never_changes() {
    let text = fs::read(workspace_root().join("sdk/wit/policy.wit")).unwrap();
    let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, CONTRACT_0_1_0, "sdk/wit/policy.wit is frozen; a new version stands beside it");
}

#[test]
fn the_built_in_storage_module_can_ask_the_cluster_and_log_and_nothing_else() {
    let storage = portcullis_bundle::module("storage").unwrap();
    let contract = |interface: &str| format!("portcullis:policy/{interface}@0.1.0");
    let expected: BTreeSet<String> = ["cluster", "turn", "log", "types"].map(contract).into();
    let found = imports(storage.bytes);
    assert!(found.contains(&contract("cluster")), "{found:?}");
    // `types` has no functions.
    assert!(found.is_subset(&expected), "{found:?}");

    let module = engine().load(storage.bytes).unwrap();
    assert_eq!(*module.capabilities(), Capabilities { cluster: true, clock: false, turn: true, log: true });
}

#[test]
fn imports_are_read_from_the_bytes() {
    let minimal = imports(&fs::read(workspace_root().join(MINIMAL)).unwrap());
    assert!(minimal.contains("portcullis:policy/cluster@0.1.0"), "{minimal:?}");
    assert!(!minimal.iter().any(|import| import.contains("wasi")), "{minimal:?}");
}
