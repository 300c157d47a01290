//! Policies in number and in kind: two versions of one resource, a resource that
//! comes later, two hundred policies at once.

use std::time::{Duration, Instant};

use portcullis_cluster::{Cluster, Plan, wait_for};

use crate::world::World;

/// Two hundred policies are loaded by one replica in this; compiled once a module.
const ALL_READY: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(60);

/// A resource that is served in two versions.
const TENANTS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tenants.minio.min.io}
spec:
  group: minio.min.io
  scope: Namespaced
  names: {kind: Tenant, plural: tenants, singular: tenant}
  versions:
    - {name: v1, served: true, storage: false, schema: &schema {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
    - {name: v2, served: true, storage: true, schema: *schema}
";

fn version_policy(version: &str) -> String {
    format!(
        "---\n{{apiVersion: portcullis.dev/v1alpha1, kind: ClusterPolicy, metadata: {{name: reads-{version}}}, \
         spec: {{module: builtin/storage, policy: database-remote-storage, match: {{resourceRules: \
         [{{apiGroups: [minio.min.io], apiVersions: [{version}], resources: [tenants], operations: [CREATE, UPDATE]}}]}}}}}}\n"
    )
}

fn tenant(version: &str, name: &str) -> String {
    let pools = if version == "v1" { "zones" } else { "pools" };
    format!(
        "{{apiVersion: minio.min.io/{version}, kind: Tenant, metadata: {{name: {name}}}, spec: {{{pools}: [{{name: pool, servers: 4, \
         volumeClaimTemplate: {{metadata: {{name: data}}, spec: {{accessModes: [ReadWriteOnce], storageClassName: drives, \
         resources: {{requests: {{storage: 1Gi}}}}}}}}}}]}}}}"
    )
}

#[test]
fn versions_of_a_resource_that_comes_later() {
    let world = World::of(Plan::default(), version_policy("v1") + &version_policy("v2"));
    let cluster = &world.cluster;
    cluster.kubectl(&["apply", "-f", "-"], TENANTS);
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all"], "");
    let class = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: drives}, provisioner: rancher.io/local-path}";
    cluster.kubectl(&["apply", "-f", "-"], class);
    for version in ["v1", "v2"] {
        // The API server converts between versions, so both policies see the object in theirs.
        let mut last = String::new();
        wait_for(&format!("a denial of a {version}"), SOON, || {
            let said = cluster.try_kubectl(&["create", "--dry-run=server", "-f", "-"], &tenant(version, "store"));
            last = said.all();
            said.denied() && said.errors.contains("node-local-class")
        });
        assert!(!last.contains("failed calling webhook"), "{last}");
    }
    cluster.assert_no_failed_webhook_call();
}

#[test]
fn two_hundred_policies_at_once() {
    let world = World::of(Plan::default(), String::new());
    let cluster = &world.cluster;
    let policies: String = (0..200)
        .map(|number| {
            format!(
                "---\n{{apiVersion: portcullis.dev/v1alpha1, kind: ClusterPolicy, metadata: {{name: policy-{number}}}, \
                 spec: {{module: builtin/storage, policy: database-remote-storage, match: {{exclude: {{namespaces: [team-{number}]}}}}}}}}\n"
            )
        })
        .collect();
    let begun = Instant::now();
    cluster.kubectl(&["create", "-f", "-"], &policies);
    let patience = format!("--timeout={}s", ALL_READY.as_secs());
    let said = cluster.try_kubectl(&["wait", "--for=condition=Ready", "clusterpolicy", "--all", &patience], "");
    assert!(said.well(), "{} lines such as {:?}", said.errors.lines().count(), said.errors.lines().next());
    println!("200 policies are ready {:.1} s after they were made", begun.elapsed().as_secs_f64());
    let pod = |name: &str, namespace: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{containers: [{{name: mongo, image: \"mongo:7\", \
             volumeMounts: [{{name: data, mountPath: /data/db}}]}}], volumes: [{{name: data, emptyDir: {{}}}}]}}}}"
        )
    };
    cluster.kubectl(&["create", "namespace", "team-7"], "");
    let begun = Instant::now();
    let said = cluster.try_kubectl(&["create", "-f", "-"], &pod("all", "default"));
    println!("200 denials of one Pod in {:.2} s", begun.elapsed().as_secs_f64());
    said.assert_denied_by("policy-0/ephemeral-volume", "all of them");
    assert!(said.errors.contains("more"), "{}", said.errors);
    cluster
        .try_kubectl(&["create", "-f", "-"], &pod("all-but-one", "team-7"))
        .assert_denied_by("policy-0/ephemeral-volume", "all but one");
    // One webhook for all of them, with what controllers write apart, and none when
    // they are gone; that on policy objects stays.
    let count = |cluster: &Cluster| {
        let names = cluster
            .kubectl(&["get", "validatingwebhookconfigurations", "-o", "jsonpath={.items[*].webhooks[*].name}"], "");
        names.split_whitespace().filter(|name| name.ends_with(".validate.portcullis.dev")).count()
    };
    assert_eq!(count(cluster), 2);
    cluster.kubectl(&["delete", "clusterpolicy", "--all"], "");
    wait_for("the webhooks' end", SOON, || count(cluster) == 0);
    cluster.kubectl(&["create", "-f", "-"], &pod("all", "default"));
    cluster.assert_no_failed_webhook_call();
}
