//! The bed itself: what it promises to the tests that are built on it.

use std::time::Duration;

use portcullis_cluster::{Cluster, Controllers, Network, Plan, TENANT};

const ROLLOUT: &str = "--timeout=60s";

const DATABASE: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: remote}
provisioner: pd.csi.storage.gke.io
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      initContainers: [{name: first, image: \"busybox:1\"}]
      containers: [{name: db, image: \"postgres:17\", volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: remote, resources: {requests: {storage: 1Gi}}}
";

#[test]
fn a_statefulset_rolls_out_and_its_claims_are_bound() {
    let cluster = Plan::default().audited().controllers(Controllers::OwnAccounts).scheduler().nodes(2).start();
    cluster.kubectl(&["apply", "-f", "-"], DATABASE);
    cluster.kubectl(&["rollout", "status", "statefulset/db", ROLLOUT], "");
    let claims = cluster.kubectl(&["get", "pvc", "-o", "jsonpath={.items[*].status.phase}"], "");
    assert_eq!(claims, "Bound Bound");
    // By their own accounts, which is what the contract's table of owners speaks of.
    let pod = cluster.audit_event("create", "pods", "db-0");
    assert_eq!(pod["user"]["username"], "system:serviceaccount:kube-system:statefulset-controller");
    // A namespace goes with all that is in it, volumes too.
    cluster.kubectl(&["create", "namespace", "gone"], "");
    cluster.kubectl(&["apply", "-n", "gone", "-f", "-"], DATABASE);
    cluster.kubectl(&["rollout", "status", "-n", "gone", "statefulset/db", ROLLOUT], "");
    cluster.kubectl(&["delete", "namespace", "gone", ROLLOUT], "");
    cluster.assert_no_failed_webhook_call();
}

#[test]
fn an_api_server_restarts_with_what_it_knew() {
    let cluster = Cluster::start();
    cluster.kubectl(&["create", "namespace", "kept"], "");
    cluster.stop_apiserver();
    assert!(!cluster.try_kubectl(&["get", "namespace", "kept"], "").well());
    cluster.start_apiserver();
    cluster.kubectl(&["get", "namespace", "kept"], "");
}

#[test]
fn users_may_do_what_they_are_granted() {
    let cluster = Cluster::start();
    let tenant = cluster.kubectl_of(TENANT);
    let list = ["get", "configmaps", "-n", "default"];
    let refused = tenant.run(&list, "");
    assert!(refused.errors.contains("User \"tenant\" cannot list resource \"configmaps\""), "{refused:?}");
    cluster.kubectl(&["create", "role", "readers", "--verb=list", "--resource=configmaps"], "");
    cluster.kubectl(&["create", "rolebinding", "tenants", "--role=readers", "--group=tenants"], "");
    portcullis_cluster::wait_for("the role", Duration::from_secs(10), || tenant.run(&list, "").well());
    let guise = cluster.kubectl_of(portcullis_cluster::ADMIN).acting_as("somebody", &["tenants"]);
    assert!(guise.run(&list, "").well());
}

/// The API server calls a webhook behind a Service: it finds the endpoint, and nobody listens.
#[test]
fn a_service_leads_to_its_network_namespace() {
    let network = match Network::new(1) {
        Ok(network) => network,
        Err(why) => return eprintln!("{why}"),
    };
    let cluster = Plan::default().on(&network).start();
    cluster.kubectl(&["apply", "-f", "-"], &Network::service("default", "nobody", 8443, network.places()));
    let webhook = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: nobody}
webhooks:
  - name: nobody.portcullis.dev
    clientConfig: {service: {namespace: default, name: nobody, path: /}}
    rules: [{apiGroups: [\"\"], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}]
    admissionReviewVersions: [v1]
    sideEffects: None
    timeoutSeconds: 2
";
    cluster.kubectl(&["apply", "-f", "-"], webhook);
    let expected = format!("dial tcp {}:8443: connect: connection refused", network.places()[0].address);
    portcullis_cluster::wait_for("the endpoint", Duration::from_secs(20), || {
        let said = cluster.try_kubectl(&["create", "configmap", "any"], "");
        assert!(!said.well(), "{said:?}");
        said.errors.contains(&expected)
    });
    let calls = cluster.webhook_calls();
    assert!(calls.failed >= 1.0 && calls.denied == 0.0, "{calls:?}");
    assert!(!cluster.failed_webhook_calls().is_empty());
}
