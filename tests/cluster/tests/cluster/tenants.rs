//! A team that may write Policy objects in its own namespace, and tries to see,
//! block or slow anyone else with them.

use std::time::Duration;

use portcullis_cluster::{Cluster, Kubectl, Plan, TENANT, wait_for};

use crate::world::World;

const SOON: Duration = Duration::from_secs(60);
/// Policies that run of one namespace.
const MOST: usize = 20;

fn policy(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: portcullis.dev/v1alpha1, kind: Policy, metadata: {{name: {name}, namespace: team}}, spec: {{{spec}}}}}"
    )
}

const WORKLOADS: &str = "resourceRules: [{apiGroups: [\"\"], apiVersions: [v1], resources: [pods], operations: [CREATE, UPDATE], scope: Namespaced}]";

fn pod(name: &str, volume: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{{name: mongo, image: \"mongo:7\", \
         volumeMounts: [{{name: data, mountPath: /data/db}}]}}], volumes: [{{name: data, {volume}}}]}}}}"
    )
}

fn ready(cluster: &Cluster, name: &str) -> (String, String) {
    let field = |field: &str| {
        let path = format!("jsonpath={{.status.conditions[?(@.type==\"Ready\")].{field}}}");
        cluster.kubectl(&["get", "policies.portcullis.dev", name, "-n", "team", "-o", &path], "")
    };
    (
        field("status"),
        cluster.kubectl(
            &["get", "policies.portcullis.dev", name, "-n", "team", "-o", "jsonpath={.status.conditions[*].message}"],
            "",
        ),
    )
}

fn refused(cluster: &Cluster, tenant: &Kubectl, name: &str, spec: &str, why: &str) {
    let said = tenant.run(&["apply", "-f", "-"], &policy(name, spec));
    if !said.well() {
        assert!(said.all().contains(why), "{name} was refused for another reason: {}", said.all());
        return;
    }
    wait_for(&format!("the status of {name}"), SOON, || ready(cluster, name).0 == "False");
    let message = ready(cluster, name).1;
    assert!(message.contains(why), "{name}: {message}");
    tenant.run(&["delete", "policies.portcullis.dev", name, "-n", "team"], "");
}

#[test]
fn a_team_reaches_nobody_else_by_its_policies() {
    let world = World::of(Plan::default(), String::new());
    let cluster = &world.cluster;
    for namespace in ["team", "neighbour"] {
        cluster.kubectl(&["create", "namespace", namespace], "");
    }
    let may = ["--verb=*", "--resource=policies.portcullis.dev,pods,persistentvolumeclaims"];
    cluster.kubectl(&[&["create", "role", "author", "-n", "team"], may.as_slice()].concat(), "");
    cluster.kubectl(&["create", "rolebinding", "author", "-n", "team", "--role=author", "--group=tenants"], "");
    let tenant = cluster.kubectl_of(TENANT);
    wait_for("the role", SOON, || tenant.run(&["get", "policies.portcullis.dev", "-n", "team"], "").well());
    own_namespace_only(cluster, &tenant);
    what_is_not_allowed(cluster, &tenant);
    no_look_elsewhere(cluster, &tenant);
    not_more_than_some(cluster, &tenant);
    cluster.assert_no_failed_webhook_call();
}

/// It judges the team's Pods and nobody else's.
fn own_namespace_only(cluster: &Cluster, tenant: &Kubectl) {
    let spec = format!("module: builtin/storage, policy: database-remote-storage, match: {{{WORKLOADS}}}");
    tenant.run(&["apply", "-f", "-"], &policy("own", &spec)).assert_unjudged("a Policy");
    wait_for("a ready Policy", SOON, || ready(cluster, "own").0 == "True");
    let said = cluster.try_kubectl(&["create", "-n", "team", "-f", "-"], &pod("a", "emptyDir: {}"));
    said.assert_denied_by("own/ephemeral-volume", "the team's own Pod");
    assert!(said.errors.contains("\"team.fail.validate.portcullis.dev\""), "{}", said.errors);
    for namespace in ["neighbour", "default", "kube-system"] {
        cluster
            .try_kubectl(&["create", "-n", namespace, "-f", "-"], &pod("a", "emptyDir: {}"))
            .assert_unjudged(namespace);
    }
    // The webhook says so itself, so that others don't even pay for the call.
    let path = "jsonpath={range .webhooks[*]}{.namespaceSelector.matchLabels}{.rules[*].scope}{\"\\n\"}{end}";
    let rules = cluster.kubectl(&["get", "validatingwebhookconfiguration", "portcullis-namespaces", "-o", path], "");
    assert!(!rules.trim().is_empty());
    for line in rules.lines() {
        assert!(line.contains("kubernetes.io/metadata.name") && line.contains("team"), "{line}");
        assert!(line.contains("Namespaced") && !line.contains("Cluster") && !line.contains("*"), "{line}");
    }
}

fn what_is_not_allowed(cluster: &Cluster, tenant: &Kubectl) {
    let storage = "module: builtin/storage, policy: database-remote-storage";
    let rule = |group: &str, resource: &str, scope: &str| {
        format!(
            "{storage}, match: {{resourceRules: [{{apiGroups: [\"{group}\"], apiVersions: [\"*\"], resources: [{resource}], operations: [CREATE, UPDATE], scope: {scope}}}]}}"
        )
    };
    refused(cluster, tenant, "classes", &rule("storage.k8s.io", "storageclasses", "\"*\""), "namespace");
    refused(cluster, tenant, "volumes", &rule("", "persistentvolumes", "Cluster"), "");
    refused(cluster, tenant, "everything", storage, "namespace");
    refused(cluster, tenant, "file", &format!("module: ./mine.wasm, match: {{{WORKLOADS}}}"), "builtin/");
    refused(
        cluster,
        tenant,
        "pulled",
        &format!("module: \"oci://registry.example.org/p@sha256:{}\", match: {{{WORKLOADS}}}", "0".repeat(64)),
        "",
    );
    let mutating = "module: builtin/storage, policy: default-storage-class, match: {resourceRules: [{apiGroups: [\"\"], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE], scope: Namespaced}]}";
    refused(cluster, tenant, "mutates", mutating, "mutat");
    // In another namespace it may write nothing at all.
    let elsewhere = policy("a", storage).replace("namespace: team", "namespace: neighbour");
    assert!(tenant.run(&["apply", "-f", "-"], &elsewhere).errors.contains("cannot"), "the tenant wrote elsewhere");
    let cluster_policy =
        policy("a", storage).replace("kind: Policy", "kind: ClusterPolicy").replace(", namespace: team", "");
    assert!(
        tenant.run(&["apply", "-f", "-"], &cluster_policy).errors.contains("cannot"),
        "the tenant wrote a ClusterPolicy"
    );
    assert_eq!(cluster.kubectl(&["get", "mutatingwebhookconfigurations", "-o", "name"], ""), "");
}

/// A claim of the neighbour's decides nothing, and nothing is told of it.
fn no_look_elsewhere(cluster: &Cluster, tenant: &Kubectl) {
    let objects = "{apiVersion: v1, kind: PersistentVolume, metadata: {name: neighbours}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: \"\", hostPath: {path: /srv/secret-place}}}\n---\n\
         {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: neighbour}, spec: {accessModes: [ReadWriteOnce], storageClassName: \"\", volumeName: neighbours, resources: {requests: {storage: 1Gi}}}}\n---\n\
         {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: team}, spec: {accessModes: [ReadWriteOnce], storageClassName: \"\", volumeName: neighbours, resources: {requests: {storage: 1Gi}}}}";
    cluster.kubectl(&["apply", "-f", "-"], objects);
    let said =
        tenant.run(&["create", "-n", "team", "-f", "-"], &pod("looks", "persistentVolumeClaim: {claimName: data}"));
    // PersistentVolumes aren't on the administrator's list: undecided, and a warning that says why.
    assert!(said.well() && said.errors.contains("own/"), "{}", said.all());
    assert!(!said.all().contains("secret-place") && !said.all().contains("hostPath"), "{}", said.all());
}

fn not_more_than_some(cluster: &Cluster, tenant: &Kubectl) {
    let spec = format!("module: builtin/storage, policy: database-remote-storage, match: {{{WORKLOADS}}}");
    // One runs already.
    for number in 1..MOST {
        tenant.run(&["apply", "-f", "-"], &policy(&format!("more-{number}"), &spec)).assert_unjudged("a Policy");
    }
    wait_for("the last of them", SOON, || ready(cluster, &format!("more-{}", MOST - 1)).0 == "True");
    refused(cluster, tenant, "too-many", &spec, "20 Policies run in a namespace");
}
