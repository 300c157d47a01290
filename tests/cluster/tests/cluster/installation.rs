//! What an administrator does with what `deploy/` holds, while real writes go on:
//! install, upgrade from the version before, roll back, uninstall, by one command
//! each, with kubectl's kustomize and with Helm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis_cluster::{
    Cluster, Controllers, Kubelets, LOAD_POLICY, Load, Network, Pace, Plan, documents, file_of, images, wait_for,
    workspace_root,
};

const NAMESPACE: &str = "portcullis-system";
/// For kubectl and Helm to wait.
const PATIENCE: &str = "--timeout=300s";
/// How long the garbage collector may take, and a namespace to go.
const COLLECTED: Duration = Duration::from_secs(120);
/// What is installed, and the version before it: another image and other arguments.
const NEW: &str = "portcullis:0.1.0";
const OLD: &str = "portcullis:0.0.9";
/// A Pod that the load's policy denies.
const WRONG: &str = "{apiVersion: v1, kind: Pod, metadata: {generateName: lossy-, namespace: default}, spec: {containers: \
     [{name: mongo, image: \"mongo:7\", volumeMounts: [{name: data, mountPath: /data/db}]}], volumes: [{name: data, emptyDir: {}}]}}";

/// Nodes, and what of `deploy/` is installed from.
struct Ground {
    // Ends before the cluster does.
    kubelets: Kubelets,
    cluster: Cluster,
}

impl Ground {
    fn new() -> Result<Ground, String> {
        let network = Network::new(0)?;
        let cluster = Plan::default().controllers(Controllers::OwnAccounts).scheduler().on(&network).start();
        let kubelets = Kubelets::start(&cluster, network, 3, images(&cluster, &[NEW, OLD]));
        let ground = Ground { kubelets, cluster };
        copy(&workspace_root().join("deploy"), &ground.deploy());
        let previous = ground.deploy().join("previous");
        fs::create_dir_all(&previous).unwrap();
        fs::write(previous.join("kustomization.yaml"), PREVIOUS).unwrap();
        Ok(ground)
    }

    /// A copy of the folder, beside which the version before lies.
    fn deploy(&self) -> PathBuf {
        self.cluster.path("deploy")
    }

    fn kustomization(&self, name: &str) -> String {
        self.deploy().join(name).display().to_string()
    }

    fn apply(&self, name: &str) {
        let folder = self.kustomization(name);
        self.cluster.kubectl(&["apply", "--server-side", "-k", &folder], "");
        self.rolled_out();
    }

    fn rolled_out(&self) {
        for deployment in ["deployment/portcullis", "deployment/portcullis-controller"] {
            let said = self.cluster.try_kubectl(&["rollout", "status", deployment, "-n", NAMESPACE, PATIENCE], "");
            assert!(said.well(), "{}\n{}", said.all(), self.state());
        }
    }

    /// The built-in policies come with it, and the load's own.
    fn policies_are_ready(&self) {
        let count = || self.cluster.kubectl(&["get", "clusterpolicies", "-o", "name"], "").lines().count();
        wait_for("the initial policies", COLLECTED, || count() > 5);
        self.cluster.kubectl(&["apply", "-f", "-"], LOAD_POLICY);
        let said = self.cluster.try_kubectl(&["wait", "--for=condition=Ready", "clusterpolicy", "--all", PATIENCE], "");
        assert!(said.well(), "{}\n{}", said.all(), self.state());
    }

    /// All that runs is of this image.
    fn runs(&self, image: &str) {
        let old = || self.kubelets.running().into_iter().filter(|running| running.image != image).count();
        wait_for("the other version's end", COLLECTED, || old() == 0);
        assert_eq!(self.kubelets.containers("server").len(), 3, "{}", self.state());
    }

    /// Nothing of it is left, and what it denied passes; how long that took.
    fn nothing_blocks(&self, what: &str) -> Duration {
        let begun = Instant::now();
        let configurations = || {
            let kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations";
            self.cluster.kubectl(&["get", kinds, "-o", "name"], "")
        };
        let mut last = String::new();
        wait_for(&format!("the webhook configurations' end ({what})"), COLLECTED, || {
            last = configurations();
            !last.contains("portcullis")
        });
        let took = begun.elapsed();
        let said = self.cluster.try_kubectl(&["create", "-f", "-"], WRONG);
        assert!(said.well(), "{what}: {}", said.all());
        took
    }

    fn namespace_goes(&self) {
        let gone = || !self.cluster.try_kubectl(&["get", "namespace", NAMESPACE], "").well();
        wait_for("the namespace's end", COLLECTED, gone);
        wait_for("the containers' end", COLLECTED, || self.kubelets.running().is_empty());
    }

    fn state(&self) -> String {
        let logs = self.kubelets.running().into_iter().map(|running| {
            let log = fs::read_to_string(&running.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            format!("{}:\n{}\n", running.pod, lines[lines.len().saturating_sub(12)..].join("\n"))
        });
        let all = self.cluster.try_kubectl(&["get", "pods,events,secrets,configmaps", "-n", NAMESPACE], "").all();
        format!("{all}\n{}", logs.collect::<String>())
    }

    fn helm(&self, arguments: &[&str]) -> String {
        let program = std::env::var_os("PORTCULLIS_HELM").expect("checked before");
        let output = Command::new(program)
            .args(arguments)
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("HELM_CACHE_HOME", self.cluster.path("helm-cache"))
            .env("HELM_CONFIG_HOME", self.cluster.path("helm-config"))
            .env("HELM_DATA_HOME", self.cluster.path("helm-data"))
            .output()
            .expect("helm runs");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "helm {}: {said}\n{}", arguments.join(" "), self.state());
        said
    }
}

/// The version before: another image, other arguments.
const PREVIOUS: &str = "
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../kustomize/base]
images: [{name: portcullis, newTag: 0.0.9}]
patches:
  - target: {kind: Deployment}
    patch: |-
      - op: add
        path: /spec/template/spec/containers/0/args/-
        value: --log-format=json
";

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} is copied", from.display());
}

#[test]
fn kustomize_installs_upgrades_rolls_back_and_uninstalls() {
    let ground = match Ground::new() {
        Ok(ground) => ground,
        Err(why) => return eprintln!("{why}"),
    };
    ground.apply("previous");
    ground.policies_are_ready();
    ground.runs(OLD);
    let load = Load::begin(&ground.cluster, Pace::default());
    ground.apply("kustomize/base");
    ground.runs(NEW);
    ground.apply("previous");
    ground.runs(OLD);
    let counts = load.end();
    println!("kustomize, upgrade and rollback: {counts}");
    counts.assert_flawless("upgrade and rollback with kustomize");
    ground.cluster.assert_no_failed_webhook_call();
    ground.cluster.kubectl(&["delete", "-k", &ground.kustomization("previous")], "");
    let took = ground.nothing_blocks("kubectl delete -k");
    println!("nothing blocks {:.1} s after the deletion", took.as_secs_f64());
    ground.namespace_goes();
}

#[test]
fn helm_installs_upgrades_rolls_back_and_uninstalls() {
    if std::env::var_os("PORTCULLIS_HELM").is_none() {
        return eprintln!("skipped: PORTCULLIS_HELM doesn't name a helm (tests/cluster/helm.sh builds one)");
    }
    let ground = match Ground::new() {
        Ok(ground) => ground,
        Err(why) => return eprintln!("{why}"),
    };
    let chart = ground.deploy().join("helm/portcullis").display().to_string();
    let release = ["portcullis", chart.as_str(), "-n", NAMESPACE, "--wait", PATIENCE];
    let previous = ["--set=image.tag=0.0.9", "--set=server.extraArgs={--log-format=json}", "--create-namespace"];
    ground.helm(&[&["install"], release.as_slice(), &previous].concat());
    ground.policies_are_ready();
    ground.runs(OLD);
    let load = Load::begin(&ground.cluster, Pace::default());
    ground.helm(&[&["upgrade"], release.as_slice(), &["--reset-values"]].concat());
    ground.runs(NEW);
    ground.helm(&["rollback", "portcullis", "1", "-n", NAMESPACE, "--wait", PATIENCE]);
    ground.runs(OLD);
    let counts = load.end();
    println!("helm, upgrade and rollback: {counts}");
    counts.assert_flawless("upgrade and rollback with Helm");
    ground.cluster.assert_no_failed_webhook_call();
    ground.helm(&["uninstall", "portcullis", "-n", NAMESPACE]);
    let took = ground.nothing_blocks("helm uninstall");
    println!("nothing blocks {:.1} s after the uninstallation", took.as_secs_f64());
    ground.cluster.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"], "");
    ground.namespace_goes();
}

/// Whoever deletes the objects one by one, in whatever order, ends with a cluster that nothing blocks.
#[test]
fn what_is_deleted_in_any_order_blocks_nothing() {
    let ground = match Ground::new() {
        Ok(ground) => ground,
        Err(why) => return eprintln!("{why}"),
    };
    let manifest = ground.cluster.kubectl(&["kustomize", &ground.kustomization("kustomize/base")], "");
    let all = documents(&manifest);
    let of = |kind: &str| -> Vec<String> {
        let line = format!("kind: {kind}");
        all.iter().filter(|text| text.lines().any(|other| other == line)).cloned().collect()
    };
    let first = |kinds: &[&str]| -> Vec<String> {
        let named: Vec<String> = kinds.iter().flat_map(|kind| of(kind)).collect();
        named.iter().cloned().chain(all.iter().filter(|text| !named.contains(text)).cloned()).collect()
    };
    let backwards: Vec<String> = all.iter().rev().cloned().collect();
    let orders = [
        ("backwards", backwards),
        ("the namespace first", first(&["Namespace"])),
        ("the Deployments first", first(&["Deployment"])),
        ("roles and accounts first", first(&["ClusterRoleBinding", "ClusterRole", "ServiceAccount"])),
        ("the custom resources first", first(&["CustomResourceDefinition"])),
        ("the Service first", first(&["Service"])),
    ];
    for (name, order) in orders {
        ground.apply("kustomize/base");
        ground.policies_are_ready();
        // A replica that is slow to load a policy holds nobody back, so a ready one may not be everywhere yet.
        wait_for(&format!("a denial ({name})"), COLLECTED, || {
            let said = ground.cluster.try_kubectl(&["create", "-f", "-"], WRONG);
            assert!(!said.well(), "{name}: the built-in policies are ready, and a wrong Pod passed");
            said.errors.contains("load/ephemeral-volume: ")
        });
        let delete = ["delete", "--ignore-not-found", "--wait=false", "-f", "-"];
        for document in &order {
            ground.cluster.kubectl(&delete, &file_of([document]));
        }
        let took = ground.nothing_blocks(name);
        println!("{name}: nothing blocks {:.1} s after the last deletion", took.as_secs_f64());
        ground.namespace_goes();
        wait_for("the custom resources' end", COLLECTED, || {
            !ground.cluster.kubectl(&["get", "crd", "-o", "name"], "").contains("portcullis.dev")
        });
    }
}
