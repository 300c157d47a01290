//! What the real controllers do: the Pods and claims that they make for a workload
//! pass, also those of a workload that was there before Portcullis and would be
//! denied today.

use std::time::Duration;

use portcullis_cluster::{Cluster, Controllers, Plan, wait_for};

use crate::world::{PATIENCE, World, baseline, manifest};

/// How long a controller may take for what it does by itself.
const SOON: Duration = Duration::from_secs(60);

/// A database on the disks of one node, in two namespaces: one is there before the policies.
fn local_database() -> String {
    "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: node-disks}
provisioner: rancher.io/local-path
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: Service
metadata: {name: mysql}
spec: {clusterIP: None, selector: {app: mysql}, ports: [{port: 3306}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: mysql, labels: {app: mysql}}
spec:
  serviceName: mysql
  replicas: 2
  selector: {matchLabels: {app: mysql}}
  template:
    metadata: {labels: {app: mysql}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: mysql, image: \"mysql:8.4\", volumeMounts: [{name: data, mountPath: /var/lib/mysql}]}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: node-disks, resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: mongo, labels: {app: mongo}}
spec:
  replicas: 2
  selector: {matchLabels: {app: mongo}}
  template:
    metadata: {labels: {app: mongo}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: mongo, image: \"mongo:7\", volumeMounts: [{name: data, mountPath: /data/db}]}]
      volumes: [{name: data, emptyDir: {}}]
"
    .to_owned()
}

fn a_rollout(accounts: Controllers) {
    let cluster = Plan::default().audited().controllers(accounts).scheduler().nodes(2).start();
    cluster.kubectl(&["apply", "-f", "-"], &manifest("classes.yaml"));
    cluster.kubectl(&["create", "namespace", "before"], "");
    cluster.kubectl(&["apply", "-n", "before", "-f", "-"], &local_database());
    rolled_out(&cluster, "before", &["statefulset/mysql", "deployment/mongo"]);
    let world = World::in_cluster(cluster, baseline());
    let cluster = &world.cluster;
    the_old_survives(cluster);
    the_right_rolls_out(cluster);
    the_wrong_does_not_start(cluster);
    nobody_was_refused(cluster);
    cluster.assert_no_failed_webhook_call();
}

/// It loses its pods, its node and its replicas, and gets them back.
fn the_old_survives(cluster: &Cluster) {
    let uid =
        |pod: &str| cluster.try_kubectl(&["get", "pod", pod, "-n", "before", "-o", "jsonpath={.metadata.uid}"], "");
    let first = uid("mysql-0").output;
    cluster.kubectl(&["delete", "pod", "-n", "before", "--all"], "");
    wait_for("the pod's successor", SOON, || {
        let now = uid("mysql-0");
        now.well() && now.output != first
    });
    rolled_out(cluster, "before", &["statefulset/mysql", "deployment/mongo"]);
    // More of the same is no new mistake.
    let more = cluster.try_kubectl(&["scale", "-n", "before", "statefulset/mysql", "--replicas=3"], "");
    assert!(more.well(), "{}", more.all());
    rolled_out(cluster, "before", &["statefulset/mysql"]);
    let restart = cluster.try_kubectl(&["rollout", "restart", "-n", "before", "statefulset/mysql"], "");
    assert!(restart.well(), "{}", restart.all());
    assert!(
        restart.warnings().iter().any(|line| line.starts_with("database-remote-storage/node-local-class")),
        "{}",
        restart.all()
    );
    rolled_out(cluster, "before", &["statefulset/mysql"]);
    let again = cluster.try_kubectl(&["apply", "-n", "before", "-f", "-"], &local_database());
    assert!(again.well(), "what is unchanged was refused: {}", again.all());
}

fn the_right_rolls_out(cluster: &Cluster) {
    cluster.kubectl(&["create", "namespace", "right"], "");
    let secret = ["create", "secret", "generic", "db", "--from-literal=password=7Rt2-vbQ8-zLm4-Kd9p", "-n", "right"];
    cluster.kubectl(&secret, "");
    cluster.try_kubectl(&["apply", "-n", "right", "-f", "-"], &manifest("workloads.yaml")).assert_unjudged("workloads");
    let workloads = ["statefulset/db", "deployment/web", "daemonset/logs"];
    rolled_out(cluster, "right", &workloads);
    cluster.kubectl(&["wait", "-n", "right", "--for=condition=Complete", "job/migrate", PATIENCE], "");
    cluster.kubectl(&["scale", "-n", "right", "statefulset/db", "--replicas=4"], "");
    cluster.kubectl(&["rollout", "restart", "-n", "right", "statefulset/db", "deployment/web", "daemonset/logs"], "");
    rolled_out(cluster, "right", &workloads);
    let claims =
        cluster.kubectl(&["get", "pvc", "-n", "right", "-l", "app=db", "-o", "jsonpath={.items[*].status.phase}"], "");
    assert_eq!(claims, "Bound Bound Bound Bound");
}

fn the_wrong_does_not_start(cluster: &Cluster) {
    cluster.kubectl(&["create", "namespace", "wrong"], "");
    let said = cluster.try_kubectl(&["apply", "-n", "wrong", "-f", "-"], &local_database());
    said.assert_denied_by("database-remote-storage/node-local-class", "a new database on local disks");
    said.assert_denied_by("database-controller/several-replicas", "two pods of a Deployment");
    assert_eq!(cluster.kubectl(&["get", "pods", "-n", "wrong", "-o", "name"], ""), "");
}

/// No controller was refused anything; people were, above.
fn nobody_was_refused(cluster: &Cluster) {
    let refused: Vec<String> =
        cluster.refused_writes().into_iter().filter(|line| !line.starts_with("admin ")).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

fn rolled_out(cluster: &Cluster, namespace: &str, workloads: &[&str]) {
    for workload in workloads {
        let said = cluster.try_kubectl(&["rollout", "status", "-n", namespace, workload, PATIENCE], "");
        if !said.well() {
            let events = cluster.kubectl(&["get", "events", "-n", namespace], "");
            panic!("{workload}: {}\n{events}\n{}", said.all(), cluster.refused_writes().join("\n"));
        }
    }
}

#[test]
fn controllers_with_accounts_of_their_own_are_not_refused() {
    a_rollout(Controllers::OwnAccounts);
}

#[test]
fn a_controller_manager_with_one_account_is_not_refused() {
    a_rollout(Controllers::OneAccount);
}
