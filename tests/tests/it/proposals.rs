//! Policy objects at `/policies`: what would not run is refused while its author
//! is there to read why.

use serde_json::{Value, json};

use crate::server::TestServer;

fn policy(kind: &str, spec: Value) -> Value {
    let mut metadata = json!({"name": "proposed", "uid": "1", "generation": 1});
    if kind == "Policy" {
        metadata["namespace"] = "shop".into();
    }
    json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

fn storage(settings: Value) -> Value {
    json!({"module": "builtin/storage", "policy": "database-remote-storage", "settings": settings})
}

/// A server of its own policies, which say nothing of those that are proposed.
async fn server() -> (TestServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (policies, cluster) = (folder.path().join("policies"), folder.path().join("cluster.yaml"));
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(&cluster, "").unwrap();
    let server = TestServer::start(Some(&policies), &cluster).await;
    (server, folder)
}

#[tokio::test]
async fn a_policy_that_would_not_run_is_refused_with_the_reason() {
    let (server, _folder) = server().await;
    let tenant = json!({"module": "./mine.wasm"});
    let mutating = json!({"module": "builtin/storage", "policy": "default-storage-class"});
    for (kind, spec, reason) in [
        ("ClusterPolicy", storage(json!({"suggestedClas": "fast"})), "suggestedClas"),
        ("ClusterPolicy", json!({"module": "builtin/strage"}), "builtin/strage"),
        ("ClusterPolicy", json!({"module": "builtin/storage", "policy": "database"}), "database"),
        ("ClusterPolicy", json!({"module": "builtin/storage", "timeout": "soon"}), "soon"),
        ("Policy", tenant, "mine.wasm"),
        ("Policy", mutating, "mutat"),
        ("Policy", storage(json!({})), "persistentvolumes, which live in no namespace"),
    ] {
        let object = policy(kind, spec);
        let response = server.review("/policies", "shop", &object).await;
        let told = response["status"]["message"].as_str().unwrap_or_default();
        let warned = response["warnings"].to_string();
        // What isn't built in may be mounted elsewhere, so that only warns.
        let only_warned = object["spec"]["module"] == "./mine.wasm";
        assert_eq!(response["allowed"], only_warned, "{object}: {response}");
        assert!(format!("{told}{warned}").contains(reason), "{object}: {response}");
    }
}

#[tokio::test]
async fn a_policy_that_would_run_may_be_written() {
    let (server, _folder) = server().await;
    let mut in_its_namespace = storage(json!({}));
    in_its_namespace["match"] = json!({"resourceRules": [{
        "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets"], "operations": ["CREATE"], "scope": "Namespaced",
    }]});
    for object in [
        policy("ClusterPolicy", storage(json!({"suggestedClass": "fast"}))),
        policy("Policy", in_its_namespace),
        policy(
            "ClusterPolicy",
            json!({"module": "builtin/storage", "policy": "default-storage-class", "settings": {"clusterDefault": true}}),
        ),
    ] {
        let response = server.review("/policies", "shop", &object).await;
        assert_eq!(response["allowed"], true, "{object}: {response}");
        assert!(response["status"].is_null(), "{response}");
    }
    // What was refused before is no memory of it.
    let wrong = policy("ClusterPolicy", storage(json!({"suggestedClass": 1})));
    assert_eq!(server.review("/policies", "", &wrong).await["allowed"], false);
    let right = policy("ClusterPolicy", storage(json!({"suggestedClass": "fast"})));
    assert_eq!(server.review("/policies", "", &right).await["allowed"], true);
    assert_eq!(server.review("/policies", "", &wrong).await["allowed"], false, "no earlier version stands for it");
}
