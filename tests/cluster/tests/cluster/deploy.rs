//! What is installed: that the chart renders the kustomize base, and that a real
//! API server takes every object of it without a warning.
//!
//! kubectl renders the base and reads YAML (`patch --local` prints what it is given
//! as JSON, kinds that it doesn't know too), so nothing here does either.
//! Helm is `PORTCULLIS_HELM`, or on the path; without it a test says that it was skipped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_cluster::{Cluster, workspace_root};
use serde_json::{Deserializer, Value, json};

/// Where Portcullis is installed where nothing else is said.
const NAMESPACE: &str = "portcullis-system";
/// What a chart says to Helm about an object; kustomize has no word for it.
const KEEP: &str = "helm.sh/resource-policy";

/// An object by kind, namespace and name.
pub(crate) type Objects = BTreeMap<(String, String, String), Value>;

#[test]
fn the_chart_renders_the_kustomize_base() {
    let Some(helm) = helm() else { return };
    same(&kustomized(&kustomize().join("base")), &charted(&helm, &[]));
}

#[test]
fn the_chart_renders_the_components_too() {
    let Some(helm) = helm() else { return };
    let sets: [(&[&str], &[&str]); 4] = [
        (&["strict"], &["policies=strict"]),
        (&["cert-manager"], &["certificates.mode=cert-manager"]),
        (&["monitoring"], MONITORED),
        (
            &["monitoring", "strict", "cert-manager"],
            &[MONITORED[0], MONITORED[1], MONITORED[2], "policies=strict", "certificates.mode=cert-manager"],
        ),
    ];
    for (components, values) in sets {
        same(&overlaid(components), &charted(&helm, values));
    }
}

#[test]
fn the_chart_follows_its_namespace() {
    let Some(helm) = helm() else { return };
    let all = [MONITORED, &["certificates.mode=cert-manager", "certificates.secretName=other"]].concat();
    let rendered = render(&helm, "elsewhere", &all).expect("the chart renders");
    let objects = objects(&rendered);
    for ((kind, namespace, name), object) in &objects {
        assert!(namespace.is_empty() || namespace == "elsewhere", "{kind} {namespace}/{name}");
        assert!(!object.to_string().contains(NAMESPACE) || kind == "CustomResourceDefinition", "{kind} {name}");
    }
    let role = objects[&key("Role", "elsewhere", "portcullis-certificate")].to_string();
    assert!(role.contains("\"other\""), "a Secret of another name is read by a role of its own: {role}");
}

#[test]
fn the_chart_refuses_values_that_it_has_no_use_for() {
    let Some(helm) = helm() else { return };
    for (value, names) in [
        ("server.replica=2", "/server"),
        ("policies=lax", "/policies"),
        ("certificates.mode=none", "/certificates/mode"),
        ("certificates.caLifetime=365d", "/certificates/caLifetime"),
        ("certificates.caBundle=ca.pem", "/certificates/caBundle"),
        ("exemptNamespaces={Kube_System}", "/exemptNamespaces"),
        ("server.extraArgs={serve}", "/server/extraArgs"),
        ("networkPolicy.apiServerPorts={0}", "/networkPolicy/apiServerPorts"),
        ("image.digest=latest", "/image/digest"),
        ("replicas=3", "additional properties 'replicas'"),
    ] {
        let why = render(&helm, NAMESPACE, &[value]).expect_err(value);
        assert!(why.contains(names), "{value}: {why}");
    }
    let linted = Command::new(&helm).args(["lint", "--strict"]).arg(chart()).output().expect("helm runs");
    assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stdout));
}

#[test]
fn values_reach_what_they_are_for() {
    let Some(helm) = helm() else { return };
    for (values, kind, name, pointer, expected) in [
        (&["policies=none"][..], "Deployment", "portcullis-controller", "args/3", Value::Null),
        (&["exemptNamespaces={cni}"], "Deployment", "portcullis-controller", "args/4", json!(EXEMPT[0])),
        (&["exemptNamespaces={cni}"], "Deployment", "portcullis-controller", "args/7", json!("--exempt-namespace=cni")),
        (&["certificates.mode=given", BUNDLE], "Deployment", "portcullis-controller", "args/2", json!(GIVEN)),
        (
            &["certificates.caLifetime=720h"],
            "Deployment",
            "portcullis-controller",
            "args/4",
            json!("--ca-lifetime=720h"),
        ),
        (&[MODULES], "Deployment", "portcullis", "args/3", json!("--modules=/modules")),
        (&["server.extraArgs={--log=debug}"], "Deployment", "portcullis", "args/3", json!("--log=debug")),
        (&["image.tag=v2"], "Deployment", "portcullis", "image", json!("portcullis:v2")),
        (&["server.resources.limits=null"], "Deployment", "portcullis", "resources/limits", Value::Null),
    ] {
        let objects = charted(&helm, values);
        let pointer = format!("/spec/template/spec/containers/0/{pointer}");
        let found = objects[&key(kind, NAMESPACE, name)].pointer(&pointer).unwrap_or(&Value::Null);
        assert_eq!(found, &expected, "{values:?}: {name} {pointer}");
    }
    for (value, gone) in [
        ("crds.install=false", "CustomResourceDefinition"),
        ("networkPolicy.enabled=false", "NetworkPolicy"),
        ("podDisruptionBudget.enabled=false", "PodDisruptionBudget"),
        ("priorityClass.create=false", "PriorityClass"),
    ] {
        assert!(charted(&helm, &[value]).keys().all(|(kind, _, _)| kind != gone), "{value}");
    }
}

/// Each flag and variable of the Deployments is one of the program's, whatever the values.
#[test]
fn the_program_knows_what_it_is_told() {
    let Some(helm) = helm() else { return };
    let program = std::env::var_os("PORTCULLIS").expect("PORTCULLIS names the program under test");
    let all = ["certificates.caLifetime=720h", "certificates.certificateLifetime=24h", "exemptNamespaces={a}", MODULES];
    for values in [&all[..], &["certificates.mode=cert-manager"], &["certificates.mode=given", BUNDLE]] {
        for name in ["portcullis", "portcullis-controller"] {
            let deployment = &charted(&helm, values)[&key("Deployment", NAMESPACE, name)];
            let container = &deployment["spec"]["template"]["spec"]["containers"][0];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let arguments: Vec<String> = container["args"].as_array().unwrap().iter().map(text).collect();
            let help = Command::new(&program).args([&arguments[0], "--help"]).output().expect("portcullis runs");
            let help = String::from_utf8_lossy(&help.stdout).into_owned();
            for argument in &arguments[1..] {
                let flag = argument.split('=').next().unwrap_or_default();
                let known = help.split_whitespace().any(|word| word == flag);
                assert!(known, "`portcullis {}` has no {flag}", arguments[0]);
            }
            for variable in container["env"].as_array().unwrap().iter().map(|variable| text(&variable["name"])) {
                assert!(
                    help.contains(&format!("[env: {variable}")),
                    "`portcullis {}` reads no {variable}",
                    arguments[0]
                );
            }
        }
    }
}

#[test]
fn a_package_of_the_chart_renders_the_same() {
    let Some(helm) = helm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let said =
        Command::new(&helm).arg("package").arg(chart()).arg("-d").arg(folder.path()).output().expect("helm runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let package = fs::read_dir(folder.path()).unwrap().next().expect("a package").unwrap().path();
    let packed = render_of(&helm, &package, NAMESPACE, MONITORED).expect("the package renders");
    assert_eq!(packed, render(&helm, NAMESPACE, MONITORED).unwrap(), "links are resolved in a package");
}

/// A copy would grow old; Helm and kustomize both follow what is linked inside the chart.
#[test]
fn what_chart_and_kustomize_share_stands_once() {
    let files = chart().join("files");
    let mut linked = 0;
    for folder in [files.clone(), files.join("crds")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().is_some_and(|name| name == "crds") {
                continue;
            }
            assert!(fs::read_link(&path).unwrap().is_relative(), "{} is a link", path.display());
            assert!(fs::metadata(&path).unwrap().len() > 0, "{} leads to something", path.display());
            linked += 1;
        }
    }
    assert_eq!(linked, 5);
}

#[test]
fn a_real_api_server_takes_every_object_without_a_warning() {
    let cluster = Cluster::start();
    let all = kubectl(&["kustomize", kustomize().join("base").to_str().unwrap()], "");
    let documents = portcullis_cluster::documents(&all);
    let (first, rest): (Vec<String>, Vec<String>) = documents
        .into_iter()
        .partition(|document| ["Namespace", "CustomResourceDefinition"].iter().any(|kind| is(document, kind)));
    assert_eq!(first.len(), 3);
    let apply = ["apply", "--server-side", "--validate=strict", "-f", "-"];
    quiet(&cluster, &apply, &portcullis_cluster::file_of(&first));
    let dry = [&apply[..], &["--dry-run=server"]].concat();
    quiet(&cluster, &dry, &portcullis_cluster::file_of(&rest));
    // The namespace's label is no decoration: it has the API server warn of pods that don't satisfy it.
    let loose = portcullis_cluster::file_of(&rest).replace("runAsNonRoot: true", "runAsNonRoot: false");
    let said = cluster.try_kubectl(&dry, &loose);
    assert!(said.errors.contains("would violate PodSecurity \"restricted"), "{}", said.all());
}

/// cert-manager's and the Prometheus operator's kinds, by the definitions that their Go modules
/// carry: `PORTCULLIS_DEFINITIONS` names the files (tests/cluster/README.md).
#[test]
fn those_who_serve_the_kinds_of_the_components_take_them() {
    let Some(files) = std::env::var_os("PORTCULLIS_DEFINITIONS") else {
        eprintln!("skipped: PORTCULLIS_DEFINITIONS names no definitions");
        return;
    };
    let cluster = Cluster::start();
    for file in std::env::split_paths(&files) {
        let file = file.display().to_string();
        cluster.kubectl(&["apply", "--server-side", "-f", &file], "");
    }
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "");
    cluster.kubectl(&["create", "namespace", NAMESPACE], "");
    let theirs = |(kind, _, _): &(String, String, String)| {
        ["Certificate", "Issuer", "PrometheusRule", "ServiceMonitor"].contains(&kind.as_str())
    };
    let objects = overlaid(&["cert-manager", "monitoring"]);
    let objects: Vec<&Value> = objects.iter().filter(|(key, _)| theirs(key)).map(|(_, object)| object).collect();
    assert_eq!(objects.len(), 6);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    quiet(&cluster, &["apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-"], &list.to_string());
}

const MONITORED: &[&str] = &["monitoring.serviceMonitor=true", "monitoring.alerts=true", "monitoring.dashboard=true"];
const EXEMPT: [&str; 1] = ["--exempt-namespace=kube-system"];
const BUNDLE: &str = "certificates.caBundle=-----BEGIN CERTIFICATE-----";
const MODULES: &str = "modules.volume.configMap.name=m";
const GIVEN: &str = "--ca-bundle=/ca/ca.pem";

fn quiet(cluster: &Cluster, arguments: &[&str], input: &str) {
    let said = cluster.try_kubectl(arguments, input);
    assert!(said.well() && said.errors.trim().is_empty(), "{}", said.all());
}

fn is(document: &str, kind: &str) -> bool {
    document.lines().any(|line| line == format!("kind: {kind}"))
}

/// Equal but for the namespace, which Helm installs into, and the word that keeps custom resources.
fn same(kustomized: &Objects, charted: &Objects) {
    let mut kustomized = kustomized.clone();
    kustomized.remove(&key("Namespace", "", NAMESPACE)).expect("kustomize brings the namespace");
    let mut charted = charted.clone();
    for ((kind, ..), object) in &mut charted {
        if kind == "CustomResourceDefinition" {
            let metadata = object["metadata"].as_object_mut().expect("metadata");
            let annotations = metadata["annotations"].as_object_mut().expect("annotations");
            assert_eq!(annotations.remove(KEEP), Some(json!("keep")));
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&kustomized), names(&charted));
    for (key, object) in &kustomized {
        assert_eq!(object, &charted[key], "{key:?}: kustomize left, Helm right");
    }
}

fn charted(helm: &Path, values: &[&str]) -> Objects {
    objects(&render(helm, NAMESPACE, values).expect("the chart renders"))
}

fn render(helm: &Path, namespace: &str, values: &[&str]) -> Result<String, String> {
    render_of(helm, &chart(), namespace, values)
}

fn render_of(helm: &Path, chart: &Path, namespace: &str, values: &[&str]) -> Result<String, String> {
    let mut command = Command::new(helm);
    command.args(["template", "portcullis"]).arg(chart).args(["-n", namespace]);
    for value in values {
        command.args(["--set", value]);
    }
    let said = command.output().expect("helm runs");
    match said.status.success() {
        true => Ok(String::from_utf8_lossy(&said.stdout).into_owned()),
        // Helm tells of each link that it follows.
        false => Err(String::from_utf8_lossy(&said.stderr).lines().filter(|line| !line.contains("INFO")).collect()),
    }
}

fn kustomized(folder: &Path) -> Objects {
    objects(&kubectl(&["kustomize", folder.to_str().unwrap()], ""))
}

/// The base with components, as a user's overlay has it.
fn overlaid(components: &[&str]) -> Objects {
    let folder = tempfile::tempdir().unwrap();
    // kustomize takes no absolute paths: up to the root, and down again.
    let up = "../".repeat(folder.path().components().count() - 1);
    let of = |path: &str| format!("{up}{}", kustomize().join(path).display().to_string().trim_start_matches('/'));
    let components: Vec<String> = components.iter().map(|name| of(&format!("components/{name}"))).collect();
    let overlay = json!({"resources": [of("base")], "components": components});
    fs::write(folder.path().join("kustomization.yaml"), overlay.to_string()).unwrap();
    kustomized(folder.path())
}

/// What a text of YAML documents holds.
pub(crate) fn objects(yaml: &str) -> Objects {
    let json = kubectl(&["patch", "--local", "-f", "-", "-p", "{}", "--type=merge", "-o", "json"], yaml);
    let mut objects = Objects::new();
    for object in Deserializer::from_str(&json).into_iter::<Value>() {
        let object = object.expect("kubectl prints JSON");
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
        assert!(objects.insert(key.clone(), object).is_none(), "{key:?} is there twice");
    }
    objects
}

pub(crate) fn key(kind: &str, namespace: &str, name: &str) -> (String, String, String) {
    (kind.to_owned(), namespace.to_owned(), name.to_owned())
}

/// kubectl without a cluster.
fn kubectl(arguments: &[&str], input: &str) -> String {
    let bed = std::env::var_os("PORTCULLIS_BED").expect("PORTCULLIS_BED names what build.sh builds");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    fs::write(&file, input).unwrap();
    let said = Command::new(bed)
        .arg("kubectl")
        .args(arguments)
        .env("KUBECONFIG", folder.path().join("none"))
        .stdin(fs::File::open(&file).unwrap())
        .output()
        .expect("kubectl runs");
    assert!(said.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// Helm, where it can be had.
fn helm() -> Option<PathBuf> {
    program("PORTCULLIS_HELM", "helm")
}

/// A program by the variable that names it, or from the path.
pub(crate) fn program(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: {variable} isn't set and no `{name}` is on the path");
    }
    found
}

fn kustomize() -> PathBuf {
    deploy().join("kustomize")
}

fn chart() -> PathBuf {
    deploy().join("helm/portcullis")
}

/// The folder of what is installed.
pub(crate) fn deploy() -> PathBuf {
    workspace_root().canonicalize().unwrap().join("deploy")
}
