//! Everything that is done to objects all day: nothing that is unchanged ever
//! fails, and nothing gets stuck.
//!
//! The objects are a team's namespace as it should be, whose claims and Ingress
//! name no class: what a policy puts in must neither be lost nor get in the way.

use std::sync::Arc;

use portcullis_cluster::{ADMIN, Kubectl, Said, documents, file_of, wait_for};

use crate::world::{PATIENCE, World, manifest};

/// A namespace of a test's own.
struct Team {
    world: Arc<World>,
    name: &'static str,
    workloads: String,
}

impl Team {
    fn new(name: &'static str) -> Team {
        let world = World::shared();
        world.cluster.kubectl(&["create", "namespace", name], "");
        // Not applied: a copy of it would lie in its annotations, which is warned of.
        let secret = ["create", "secret", "generic", "db", "--from-literal=password=7Rt2-vbQ8-zLm4-Kd9p", "-n", name];
        world.cluster.try_kubectl(&secret, "").assert_unjudged("the Secret");
        Team { world, name, workloads: manifest("workloads.yaml") }
    }

    fn kubectl(&self) -> Kubectl {
        self.world.cluster.kubectl_of(ADMIN)
    }

    /// kubectl in the namespace.
    fn run(&self, arguments: &[&str], input: &str) -> Said {
        self.kubectl().run(&[&["-n", self.name], arguments].concat(), input)
    }

    /// The same with the workloads on its input, which no policy has anything to say of.
    fn unjudged(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments, &self.workloads);
        said.assert_unjudged(&arguments.join(" "));
        said.output
    }

    fn field(&self, object: &str, path: &str) -> String {
        self.unjudged(&["get", object, "-o", &format!("jsonpath={path}")])
    }

    fn class(&self) -> String {
        self.field("statefulset/db", "{.spec.volumeClaimTemplates[0].spec.storageClassName}")
    }
}

#[test]
fn applied_twice_by_the_client() {
    let team = Team::new("apply-twice");
    team.unjudged(&["apply", "-f", "-"]);
    assert_eq!(team.class(), "standard");
    let again = team.unjudged(&["apply", "-f", "-"]);
    // Secrets with stringData are never unchanged; a class that came in isn't a change.
    assert!(
        again.contains("statefulset.apps/db unchanged") || again.contains("statefulset.apps/db configured"),
        "{again}"
    );
    assert_eq!(team.class(), "standard");
}

#[test]
fn applied_twice_by_the_server_and_over_what_the_client_applied() {
    let team = Team::new("server-side");
    let server_side = ["apply", "--server-side", "-f", "-"];
    team.unjudged(&server_side);
    assert_eq!(team.class(), "standard");
    team.unjudged(&server_side);
    assert_eq!(team.class(), "standard");
    let team = Team::new("migrated");
    team.unjudged(&["apply", "-f", "-"]);
    team.unjudged(&["apply", "--server-side", "--force-conflicts", "-f", "-"]);
    team.unjudged(&["apply", "--server-side", "-f", "-"]);
    assert_eq!(team.class(), "standard");
}

#[test]
fn replaced_patched_scaled_and_only_tried() {
    let team = Team::new("replaced");
    // Services are what the others look up, and a tried one is none.
    let (services, others) =
        documents(&team.workloads).into_iter().partition::<Vec<_>, _>(|text| text.contains("kind: Service\n"));
    team.run(&["create", "-f", "-"], &file_of(&services)).assert_unjudged("Services");
    team.run(&["create", "--dry-run=server", "-f", "-"], &file_of(&others)).assert_unjudged("a dry run");
    assert_eq!(team.unjudged(&["get", "statefulsets", "-o", "name"]), "");
    team.run(&["create", "-f", "-"], &file_of(&others)).assert_unjudged("create");
    for _ in 0..2 {
        // Not the Job, whose template gets a label of its own that can't change.
        let set = without_jobs(&team.workloads);
        team.run(&["replace", "-f", "-"], &set).assert_unjudged("replace");
    }
    assert_eq!(team.class(), "standard");
    assert_eq!(team.field("pvc/uploads", "{.spec.storageClassName}"), "standard");
    assert_eq!(team.field("ingress/web", "{.spec.ingressClassName}"), "nginx");
    team.unjudged(&["label", "statefulset,deployment,service,secret,configmap,pvc,ingress", "--all", "tier=gold"]);
    team.unjudged(&["annotate", "statefulset,deployment,service,secret,configmap,pvc,ingress", "--all", "seen=yes"]);
    team.unjudged(&[
        "patch",
        "statefulset",
        "db",
        "-p",
        r#"{"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}}"#,
    ]);
    team.unjudged(&[
        "patch",
        "deployment",
        "web",
        "--type=json",
        "-p",
        r#"[{"op":"add","path":"/metadata/labels/b","value":"c"}]"#,
    ]);
    team.unjudged(&["set", "image", "deployment/web", "web=registry.k8s.io/e2e-test-images/agnhost:2.54"]);
    team.unjudged(&["rollout", "restart", "deployment/web"]);
    team.unjudged(&["scale", "statefulset/db", "--replicas=3"]);
    team.unjudged(&["scale", "deployment/web", "--replicas=4"]);
    team.unjudged(&["apply", "--dry-run=server", "--server-side", "--force-conflicts", "-f", "-"]);
    team.unjudged(&["apply", "--dry-run=server", "-f", "-"]);
}

#[test]
fn made_without_a_name_and_reported_by_status() {
    let team = Team::new("nameless");
    team.unjudged(&["apply", "-f", "-"]);
    let pod = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"once-"},"spec":{"containers":[{"name":"a","image":"busybox:1"}]}}"#;
    for _ in 0..2 {
        team.run(&["create", "-f", "-"], pod).assert_unjudged("generateName");
    }
    let claim = r#"{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"generateName":"once-"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}"#;
    team.run(&["create", "-f", "-"], claim).assert_unjudged("generateName");
    let status = r#"{"status":{"observedGeneration":1}}"#;
    for object in ["statefulset/db", "deployment/web", "daemonset/logs"] {
        team.unjudged(&["patch", object, "--subresource=status", "--type=merge", "-p", status]);
    }
    team.unjudged(&[
        "patch",
        "pvc/uploads",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"phase":"Pending"}}"#,
    ]);
    let ingress = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.7"}]}}}"#;
    team.unjudged(&["patch", "ingress/web", "--subresource=status", "--type=merge", "-p", ingress]);
}

#[test]
fn evicted_kept_by_finalizers_and_deleted() {
    let team = Team::new("leaving");
    team.unjudged(&["apply", "-f", "-"]);
    team.unjudged(&["rollout", "status", "statefulset/db", PATIENCE]);
    team.unjudged(&["rollout", "status", "deployment/web", PATIENCE]);
    let eviction = r#"{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"db-0","namespace":"leaving"}}"#;
    let uid = team.field("pod/db-0", "{.metadata.uid}");
    let path = "/api/v1/namespaces/leaving/pods/db-0/eviction";
    team.kubectl().run(&["create", "--raw", path, "-f", "-"], eviction).assert_unjudged("eviction");
    wait_for("the evicted pod's successor", std::time::Duration::from_secs(30), || {
        let now = team.run(&["get", "pod/db-0", "-o", "jsonpath={.metadata.uid}"], "");
        now.well() && now.output != uid
    });
    let keep = r#"{"metadata":{"finalizers":["example.org/keep"]}}"#;
    let objects = ["statefulset/db", "configmap/web", "secret/db", "service/web", "ingress/web", "pvc/uploads"];
    for object in objects {
        team.unjudged(&["patch", object, "--type=merge", "-p", keep]);
        team.unjudged(&["delete", object, "--wait=false"]);
    }
    for object in objects {
        team.unjudged(&["patch", object, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
        team.unjudged(&["wait", "--for=delete", object, PATIENCE]);
    }
    team.unjudged(&["delete", "all,pvc,secret,configmap,ingress,pdb", "--all", PATIENCE]);
    team.unjudged(&["delete", "namespace", "leaving", PATIENCE]);
}

#[test]
fn a_namespace_goes_with_all_that_is_in_it() {
    let team = Team::new("gone");
    team.unjudged(&["apply", "-f", "-"]);
    team.unjudged(&["rollout", "status", "statefulset/db", PATIENCE]);
    team.unjudged(&["delete", "namespace", "gone", PATIENCE]);
    team.world.cluster.assert_no_failed_webhook_call();
}

fn without_jobs(text: &str) -> String {
    let kept: Vec<String> = documents(text).into_iter().filter(|document| !document.contains("kind: Job")).collect();
    file_of(&kept)
}
