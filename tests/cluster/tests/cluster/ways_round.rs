//! Every way round a policy that the contract closes, tried through the API server
//! by somebody who may write workloads and nothing else of the cluster.

use portcullis_cluster::{ADMIN, Cluster, Kubectl, Said, TENANT};

use crate::world::{World, baseline, manifest};

const SET_CONTROLLER: &str = "system:serviceaccount:kube-system:statefulset-controller";
const REPLICA_CONTROLLER: &str = "system:serviceaccount:kube-system:replicaset-controller";
const LOST: &str = "database-remote-storage/ephemeral-volume";

/// Policies beside the baseline: one by a label, one by a label's absence.
const SELECTIVE: &str = "
apiVersion: portcullis.dev/v1alpha1
kind: ClusterPolicy
metadata: {name: guarded}
spec:
  module: builtin/storage
  policy: database-controller
  match: {objectSelector: {matchLabels: {guarded: \"yes\"}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: ClusterPolicy
metadata: {name: unless-exempt}
spec:
  module: builtin/storage
  policy: database-remote-storage
  match: {objectSelector: {matchExpressions: [{key: exempt, operator: DoesNotExist}]}}
";

/// A cluster where the tenant may edit the namespace `team`.
fn world() -> World {
    let world = World::of(portcullis_cluster::Plan::default(), format!("{}\n---{SELECTIVE}", baseline()));
    let cluster = &world.cluster;
    cluster.kubectl(&["apply", "-f", "-"], &manifest("classes.yaml"));
    cluster.kubectl(&["create", "namespace", "team"], "");
    cluster.kubectl(&["create", "rolebinding", "team", "-n", "team", "--clusterrole=admin", "--group=tenants"], "");
    let tenant = cluster.kubectl_of(TENANT);
    portcullis_cluster::wait_for("the tenant's role", std::time::Duration::from_secs(30), || {
        tenant.run(&["get", "pods", "-n", "team"], "").well()
    });
    world
}

/// A Pod whose database loses its data, with this in its metadata.
fn lossy_pod(name: &str, metadata: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: team, {metadata}}}, spec: {{\
         containers: [{{name: mongo, image: \"mongo:7\", volumeMounts: [{{name: data, mountPath: /data/db}}]}}], \
         volumes: [{{name: data, emptyDir: {{}}}}]}}}}"
    )
}

fn owner(kind: &str, name: &str, uid: &str) -> String {
    format!("ownerReferences: [{{apiVersion: apps/v1, kind: {kind}, name: {name}, uid: {uid}, controller: true}}]")
}

fn create(kubectl: &Kubectl, object: &str) -> Said {
    kubectl.run(&["create", "-f", "-"], object)
}

#[test]
fn no_way_leads_round_a_policy() {
    let world = world();
    let cluster = &world.cluster;
    forged_owners(cluster);
    kept_by_a_finalizer(cluster);
    one_bad_value_licenses_no_other(cluster);
    look_ups_that_cannot_be_answered(cluster);
    labels_that_escape_selectors(cluster);
    scaling_past_a_selector(cluster);
    containers_that_come_later(cluster);
    cluster.assert_no_failed_webhook_call();
}

/// Somebody's Pod says that a workload made it; somebody says to be the controller.
fn forged_owners(cluster: &Cluster) {
    let tenant = cluster.kubectl_of(TENANT);
    let set = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: real, namespace: team}
spec:
  serviceName: real
  replicas: 0
  selector: {matchLabels: {app: real}}
  template:
    metadata: {labels: {app: real}}
    spec: {containers: [{name: mongo, image: \"mongo:7\", volumeMounts: [{name: data, mountPath: /data/db}]}]}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";
    assert!(create(&tenant, set).well());
    let uid = cluster.kubectl(&["get", "statefulset", "real", "-n", "team", "-o", "jsonpath={.metadata.uid}"], "");
    let nobodys = "7f0e3c1c-51b5-4f0a-8b7e-3c9d3d1f0000";
    for (what, reference) in [
        ("no owner", String::new()),
        ("the uid of a set that is there", owner("StatefulSet", "real", &uid)),
        ("the uid of nothing", owner("StatefulSet", "real", nobodys)),
        ("a set's uid under another kind", owner("ReplicaSet", "real", &uid)),
    ] {
        create(&tenant, &lossy_pod("forged", &reference)).assert_denied_by(LOST, what);
    }
    // Who may play the controller's account still has to name an owner that is there and was judged.
    let controller = cluster.kubectl_of(ADMIN).acting_as(SET_CONTROLLER, &["system:masters"]);
    create(&controller, &lossy_pod("forged", &owner("StatefulSet", "real", nobodys)))
        .assert_denied_by(LOST, "an owner that isn't there");
    create(&controller, &lossy_pod("forged", "")).assert_denied_by(LOST, "a controller's Pod without an owner");
    let other = cluster.kubectl_of(ADMIN).acting_as(REPLICA_CONTROLLER, &["system:masters"]);
    create(&other, &lossy_pod("forged", &owner("StatefulSet", "real", &uid)))
        .assert_denied_by(LOST, "an owner of another controller's");
}

/// A deletion that a finalizer holds up is no licence to change what is left.
fn kept_by_a_finalizer(cluster: &Cluster) {
    let tenant = cluster.kubectl_of(TENANT);
    let deployment = |data: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: kept, namespace: team, finalizers: [example.org/keep]}}, \
             spec: {{replicas: 1, strategy: {{type: Recreate}}, selector: {{matchLabels: {{app: kept}}}}, template: {{metadata: {{labels: {{app: kept}}}}, \
             spec: {{containers: [{{name: mongo, image: \"mongo:7\", volumeMounts: [{{name: data, mountPath: /data/db}}]}}], \
             volumes: [{{name: data, {data}}}]}}}}}}}}"
        )
    };
    assert!(create(&tenant, &deployment("persistentVolumeClaim: {claimName: kept}")).well());
    assert!(tenant.run(&["delete", "deployment", "kept", "-n", "team", "--wait=false"], "").well());
    let worse = tenant.run(&["replace", "-f", "-"], &deployment("emptyDir: {}"));
    worse.assert_denied_by(LOST, "an object that is about to go");
    let with_more = r#"{"metadata":{"finalizers":null},"spec":{"template":{"spec":{"volumes":[{"name":"data","emptyDir":{},"persistentVolumeClaim":null}]}}}}"#;
    let both = tenant.run(&["patch", "deployment", "kept", "-n", "team", "--type=merge", "-p", with_more], "");
    both.assert_denied_by(LOST, "a removed finalizer with something else");
    let leave = r#"{"metadata":{"finalizers":null}}"#;
    tenant
        .run(&["patch", "deployment", "kept", "-n", "team", "--type=merge", "-p", leave], "")
        .assert_unjudged("leaving");
}

/// A denial becomes a warning only where the same was there before.
fn one_bad_value_licenses_no_other(cluster: &Cluster) {
    let tenant = cluster.kubectl_of(TENANT);
    let (admin, exempt) = (
        cluster.kubectl_of(ADMIN),
        ["delete", "clusterpolicies.portcullis.dev", "database-remote-storage", "unless-exempt"],
    );
    let deployment = |volumes: &str, mounts: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: old, namespace: team}}, \
             spec: {{replicas: 1, strategy: {{type: Recreate}}, selector: {{matchLabels: {{app: old}}}}, template: {{metadata: {{labels: {{app: old}}}}, \
             spec: {{containers: [{{name: mongo, image: \"mongo:7\", volumeMounts: [{mounts}]}}], volumes: [{volumes}]}}}}}}}}"
        )
    };
    let before = deployment("{name: data, hostPath: {path: /srv/mongo}}", "{name: data, mountPath: /data/db}");
    // It was there before the policies were.
    cluster.kubectl(&exempt, "");
    wait_until(cluster, "the policies are gone", || {
        create(&tenant, &before.replace("name: old", "name: probe")).well()
    });
    assert!(create(&tenant, &before).well());
    assert!(admin.run(&["apply", "-f", "-"], &format!("{}\n---{SELECTIVE}", baseline())).well());
    let probe = before.replace("name: old", "name: again");
    wait_until(cluster, "the policies are back", || {
        let said = create(&tenant, &probe);
        let denied = said.denied();
        if !denied {
            tenant.run(&["delete", "deployment", "again", "-n", "team"], "");
        }
        denied
    });
    let same = tenant.run(&["label", "deployment", "old", "-n", "team", "seen=yes"], "");
    assert!(same.well(), "what was there before: {}", same.all());
    assert!(
        same.warnings().iter().any(|line| line.starts_with("database-remote-storage/host-path: ")),
        "{}",
        same.all()
    );
    let another = deployment("{name: data, emptyDir: {}}", "{name: data, mountPath: /data/db}");
    tenant.run(&["replace", "-f", "-"], &another).assert_denied_by(LOST, "another rule in the same volume");
    let elsewhere = deployment("{name: data, hostPath: {path: /var/lib}}", "{name: data, mountPath: /data/db}");
    tenant
        .run(&["replace", "-f", "-"], &elsewhere)
        .assert_denied_by("database-remote-storage/host-path", "another directory");
    let more = deployment(
        "{name: data, hostPath: {path: /srv/mongo}}, {name: more, hostPath: {path: /srv/more}}",
        "{name: data, mountPath: /data/db}, {name: more, mountPath: /data/configdb}",
    );
    let said = tenant.run(&["replace", "-f", "-"], &more);
    assert!(said.denied() || said.well() && !said.warnings().is_empty(), "{}", said.all());
}

/// A reference that can't be looked up, or leads nowhere, is never silence.
fn look_ups_that_cannot_be_answered(cluster: &Cluster) {
    let tenant = cluster.kubectl_of(TENANT);
    let long = "a".repeat(253);
    for (name, claim) in [("nowhere", "nobody-made-it"), ("long", long.as_str())] {
        let pod =
            lossy_pod(name, "").replace("emptyDir: {}", &format!("persistentVolumeClaim: {{claimName: {claim}}}"));
        let said = create(&tenant, &pod);
        assert!(
            said.well() && said.warnings().iter().any(|line| line.starts_with("database-remote-storage/")),
            "{}",
            said.all()
        );
    }
}

/// Labels are the tenant's to write.
fn labels_that_escape_selectors(cluster: &Cluster) {
    let tenant = cluster.kubectl_of(TENANT);
    let pod = |labels: &str| lossy_pod("labelled", &format!("labels: {{{labels}}}"));
    // The policy without a selector isn't to be escaped at all.
    create(&tenant, &pod("exempt: \"yes\"")).assert_denied_by(LOST, "a label that the other policy heeds");
    create(&tenant, &pod("a: b")).assert_denied_by("unless-exempt/ephemeral-volume", "no label");
    // An object without the label that takes it on with the change: it was selected before.
    let right = lossy_pod("labelled", "").replace("emptyDir: {}", "persistentVolumeClaim: {claimName: x}");
    let deployment = |labels: &str, volume: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: labelled, namespace: team, labels: {{{labels}}}}}, \
             spec: {{replicas: 1, strategy: {{type: Recreate}}, selector: {{matchLabels: {{app: labelled}}}}, template: {{metadata: {{labels: {{app: labelled}}}}, \
             spec: {{containers: [{{name: mongo, image: \"mongo:7\", volumeMounts: [{{name: data, mountPath: /data/db}}]}}], \
             volumes: [{{name: data, {volume}}}]}}}}}}}}"
        )
    };
    assert!(create(&tenant, &deployment("a: b", "persistentVolumeClaim: {claimName: x}")).well(), "{right}");
    let said = tenant.run(&["replace", "-f", "-"], &deployment("exempt: \"yes\"", "emptyDir: {}"));
    said.assert_denied_by("unless-exempt/ephemeral-volume", "a label put on with the change");
}

/// A Scale has no labels of its own: the parent's count.
fn scaling_past_a_selector(cluster: &Cluster) {
    let tenant = cluster.kubectl_of(TENANT);
    let deployment = |name: &str, labels: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}, namespace: team, labels: {{{labels}}}}}, \
             spec: {{replicas: 1, strategy: {{type: Recreate}}, selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, \
             spec: {{containers: [{{name: mongo, image: \"mongo:7\", volumeMounts: [{{name: data, mountPath: /data/db}}]}}], \
             volumes: [{{name: data, persistentVolumeClaim: {{claimName: {name}}}}}]}}}}}}}}"
        )
    };
    let claim = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: {name}, namespace: team}}, \
             spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}"
        )
    };
    for (name, labels) in [("scaled", "guarded: \"yes\""), ("free", "a: b")] {
        assert!(create(&tenant, &claim(name)).well());
        assert!(create(&tenant, &deployment(name, labels)).well());
    }
    let scale = |name: &str| tenant.run(&["scale", "deployment", name, "-n", "team", "--replicas=2"], "");
    scale("scaled").assert_denied_by("guarded/several-replicas", "a parent that the selector takes in");
    let free = scale("free");
    free.assert_denied_by("database-controller/several-replicas", "the policy without a selector");
    assert!(!free.errors.contains("guarded/"), "{}", free.errors);
}

/// A container that comes into a running Pod is judged, too.
fn containers_that_come_later(cluster: &Cluster) {
    let tenant = cluster.kubectl_of(TENANT);
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: later, namespace: team}, spec: {containers: [{name: web, image: \"nginx:1.27\"}]}}";
    create(&tenant, pod).assert_unjudged("a Pod");
    let image = r#"[{"op":"replace","path":"/spec/containers/0/image","value":"mongo:7"}]"#;
    let said = tenant.run(&["patch", "pod", "later", "-n", "team", "--type=json", "-p", image], "");
    said.assert_denied_by("database-remote-storage/no-volume", "an image that is exchanged");
    let container = r#"{"spec":{"ephemeralContainers":[{"name":"db","image":"mongo:7"}]}}"#;
    let said = tenant.run(
        &[
            "patch",
            "pod",
            "later",
            "-n",
            "team",
            "--subresource=ephemeralcontainers",
            "--type=strategic",
            "-p",
            container,
        ],
        "",
    );
    assert!(!said.errors.contains("failed calling webhook"), "{}", said.all());
}

fn wait_until(cluster: &Cluster, what: &str, so: impl FnMut() -> bool) {
    portcullis_cluster::wait_for(what, std::time::Duration::from_secs(60), so);
    cluster.assert_no_failed_webhook_call();
}
