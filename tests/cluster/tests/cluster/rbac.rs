//! The service accounts on a real API server: what they may do is enough for
//! what they do, and no more.

use std::collections::BTreeSet;

use portcullis_cluster::{CONTEXT, CONTROLLER as CONTROLLER_USER, Cluster};
use portcullis_core::kinds::Kinds;
use portcullis_core::policy::{API_VERSION, PolicyDocument};
use portcullis_kube::connect;
use portcullis_kube::rbac::{CONTROLLER, SERVING, Watched, objects};
use portcullis_kube::webhooks::{Endpoint, Options, Registered, apply, exempt_namespaces, registrations};
use serde_json::{Value, json};

const NAMESPACE: &str = "portcullis-system";

/// All in one test: a control plane takes seconds.
#[test]
fn service_accounts_may_do_what_they_do_and_no_more() {
    let cluster = Cluster::start();
    super::crd::install(&cluster);
    cluster.kubectl(&["create", "namespace", NAMESPACE], "");
    let kind = |api_version: &str, kind: &str| Watched {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        why: BTreeSet::from(["a".to_owned()]),
    };
    let mut watched = vec![kind("v1", "Service"), kind("storage.k8s.io/v1", "StorageClass")];
    grant(&cluster, &watched);
    serving_pods_read_and_keep_leases(&cluster);
    assert!(!may(&cluster, SERVING, &["get", "secrets", "-n", "default"]));
    watched.push(kind("v1", "Secret"));
    grant(&cluster, &watched);
    assert!(may(&cluster, SERVING, &["watch", "secrets", "--all-namespaces"]));
    assert!(!may(&cluster, CONTROLLER, &["get", "secrets", "-n", "default"]));
    the_controller_writes_ours_and_nothing_else(&cluster);
}

fn grant(cluster: &Cluster, watched: &[Watched]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects(watched, &Kinds::default(), NAMESPACE)});
    cluster.kubectl(&["apply", "--server-side", "--validate=strict", "-f", "-"], &list.to_string());
}

fn may(cluster: &Cluster, account: &str, what: &[&str]) -> bool {
    let user = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
    cluster.try_kubectl(&[&["auth", "can-i", &user][..], what].concat(), "").well()
}

fn serving_pods_read_and_keep_leases(cluster: &Cluster) {
    let all = "--all-namespaces";
    for kind in ["services", "storageclasses.storage.k8s.io", "namespaces", "clusterpolicies.portcullis.dev"] {
        for verb in ["get", "list", "watch"] {
            assert!(may(cluster, SERVING, &[verb, kind, all]), "{verb} {kind}");
        }
        for verb in ["create", "update", "patch", "delete"] {
            assert!(!may(cluster, SERVING, &[verb, kind, all]), "{verb} {kind}");
        }
    }
    for verb in ["create", "get", "patch", "delete"] {
        assert!(may(cluster, SERVING, &[verb, "leases.coordination.k8s.io", "-n", NAMESPACE]), "{verb} leases");
        assert!(!may(cluster, SERVING, &[verb, "leases.coordination.k8s.io", "-n", "kube-system"]), "{verb} leases");
    }
    let lease = "leases.coordination.k8s.io/portcullis-controller";
    assert!(may(cluster, SERVING, &["watch", lease, "-n", NAMESPACE]), "who leads says what is registered");
    assert!(!may(cluster, SERVING, &["watch", "leases.coordination.k8s.io", "-n", NAMESPACE]));
    for verb in ["get", "create", "patch", "delete"] {
        let configuration = "validatingwebhookconfigurations.admissionregistration.k8s.io/portcullis";
        assert!(!may(cluster, SERVING, &[verb, configuration]), "{verb}");
        assert!(!may(cluster, SERVING, &[verb, "clusterpolicies.portcullis.dev/p", "--subresource=status"]), "{verb}");
    }
    assert!(!may(cluster, SERVING, &["get", "pods", "-n", "default"]), "not in reach");
}

/// As the controller's service account.
fn the_controller_writes_ours_and_nothing_else(cluster: &Cluster) {
    let kubeconfig = cluster.kubeconfig_of(CONTROLLER_USER);
    let matching =
        json!({"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets"]}]});
    let document = json!({
        "apiVersion": API_VERSION, "kind": "ClusterPolicy", "metadata": {"name": "p"},
        "spec": {"module": "builtin/x", "match": matching},
    });
    let document = PolicyDocument::from_json(&document).unwrap();
    let policies = [Registered { document: &document, description: None }];
    let (endpoint, exempt) = (Endpoint::Url("https://127.0.0.1:1".to_owned()), exempt_namespaces());
    let options = Options {
        endpoint: &endpoint,
        ca_bundle: None,
        inject_ca_from: None,
        exempt_namespaces: &exempt,
        served: None,
        owner_uid: None,
    };
    let registered = registrations(&policies, &options);
    let nothing = registrations(&[], &options);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = connect(Some(&kubeconfig), CONTEXT).await.unwrap();
        assert_eq!(apply(&client, &registered).await.unwrap().written, ["validating/portcullis"]);
        assert_eq!(apply(&client, &nothing).await.unwrap().deleted, ["validating/portcullis"]);
    });

    let others = "mutatingwebhookconfigurations.admissionregistration.k8s.io/others";
    for verb in ["get", "patch", "delete"] {
        assert!(!may(cluster, CONTROLLER, &[verb, others]), "{verb} of others' configurations");
        assert!(may(cluster, CONTROLLER, &[verb, &others.replace("others", "portcullis-namespaces")]), "{verb} ours");
    }
    for (verb, kind, expected) in [
        ("patch", "clusterpolicies.portcullis.dev", false),
        ("list", "clusterpolicies.portcullis.dev", true),
        ("delete", "customresourcedefinitions.apiextensions.k8s.io", false),
        ("get", "pods", false),
    ] {
        assert_eq!(may(cluster, CONTROLLER, &[verb, kind, "--all-namespaces"]), expected, "{verb} {kind}");
    }
    assert!(may(
        cluster,
        CONTROLLER,
        &["patch", "policies.portcullis.dev", "--subresource=status", "--all-namespaces"]
    ));
    let record = "configmaps/portcullis-registrations";
    for (verb, what, namespace, expected) in [
        ("update", record, NAMESPACE, true),
        ("create", "configmaps", NAMESPACE, true),
        ("get", "configmaps/others", NAMESPACE, false),
        ("update", record, "default", false),
        ("list", "daemonsets.apps", "default", true),
        ("patch", "daemonsets.apps", "default", false),
        ("get", "clusterroles.rbac.authorization.k8s.io/portcullis-controller", "default", true),
        ("get", "clusterroles.rbac.authorization.k8s.io/cluster-admin", "default", false),
        ("update", "clusterroles.rbac.authorization.k8s.io/portcullis-controller", "default", false),
        ("create", "clusterpolicies.portcullis.dev", "default", true),
        ("delete", "clusterpolicies.portcullis.dev", "default", false),
    ] {
        assert_eq!(may(cluster, CONTROLLER, &[verb, what, "-n", namespace]), expected, "{verb} {what} in {namespace}");
    }
    assert!(may(cluster, CONTROLLER, &["update", "leases.coordination.k8s.io/portcullis-controller", "-n", NAMESPACE]));
    assert!(!may(cluster, CONTROLLER, &["update", "leases.coordination.k8s.io/portcullis-replica-a", "-n", NAMESPACE]));
    let bound: Value =
        serde_json::from_str(&cluster.kubectl(&["get", "clusterrolebindings", "-o", "json"], "")).unwrap();
    let ours = bound["items"].as_array().unwrap().iter().filter(|binding| binding.to_string().contains(NAMESPACE));
    assert!(ours.clone().count() >= 3 && ours.into_iter().all(|binding| binding["roleRef"]["name"] != "cluster-admin"));
}
