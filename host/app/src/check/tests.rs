//! A run over files with policies in plain Rust: what is sent, in which order,
//! over which cluster, and what people are told.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use portcullis_core::admit::Policy;
use portcullis_core::cluster::{Answer, ObjectName, Query};
use portcullis_core::contract::{Description, Operation, RawEdit, RawReview};
use portcullis_core::evaluate::{Call, Evaluate, Evaluation};
use portcullis_core::matching::Matcher;
use portcullis_core::policy::{LabelSelector, PolicyDocument, PolicyId, PolicySpec};
use portcullis_core::report::Report;
use serde_json::{Value, json};

use super::labels::NamespaceLabel;
use super::request::{Manner, User};
use super::{Judged, Options, Prepared};
use crate::report::entry::{self, named};
use crate::report::spot::Spotter;

/// Labels ConfigMaps without a tier, in the mutating phase.
struct Tier;

/// Says what it sees: denies `tier: none`, warns with all that it was sent where
/// the annotation `show` is there, looks a Service and its neighbours up where
/// `lookup` is.
struct Show;

impl Evaluate for Tier {
    fn evaluate<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Evaluation> {
        let object: Value = serde_json::from_str(call.object.unwrap_or("null")).unwrap();
        let labelled = object["kind"] != "ConfigMap" || object["metadata"]["labels"]["tier"].is_string();
        let edits =
            if labelled { Vec::new() } else { vec![RawEdit::Add("/metadata/labels/tier".into(), "\"filled\"".into())] };
        done(RawReview { edits, ..RawReview::default() })
    }
}

impl Evaluate for Show {
    fn evaluate<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Evaluation> {
        async move {
            let object: Value = serde_json::from_str(call.object.or(call.old_object).unwrap()).unwrap();
            let attributes: Value = serde_json::from_str(call.attributes).unwrap();
            let mut findings = Vec::new();
            let tier = &object["metadata"]["labels"]["tier"];
            if tier == "none" {
                findings.push(json!({"rule": "tier", "level": "deny", "message": "tier none is nobody's", "path": "metadata.labels.tier",
                    "fix": {"text": "name a tier", "edits": []}}));
            }
            let annotations = &object["metadata"]["annotations"];
            if annotations["show"].is_string() {
                let seen = format!(
                    "{} {} {}/{} in {} by {}, tier {tier}, old {}",
                    call.operation, attributes["resource"]["resource"], attributes["namespace"], attributes["name"], object["metadata"]["namespace"],
                    attributes["userInfo"]["username"], call.old_object.is_some(),
                );
                findings.push(json!({"rule": "show", "level": "warn", "message": seen.replace('"', ""), "path": "metadata.annotations[show]"}));
            }
            if let Some(name) = annotations["lookup"].as_str() {
                let name = ObjectName { api_version: "v1".into(), kind: "Service".into(), namespace: Some("shop".into()), name: name.into() };
                let found = match call.cluster.get(&name).await.unwrap() {
                    Answer::Found(_) => "found",
                    Answer::Absent => "absent",
                    Answer::Unknown(_) => "unknown",
                };
                let query = Query { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: None, label_selector: None, key: None, limit: 10 };
                let (count, incomplete) = call.cluster.count(&query).await.unwrap();
                let message = format!("{found}, {count} others, complete {}", incomplete.is_none());
                findings.push(json!({"rule": "lookup", "level": "warn", "message": message}));
            }
            if let Some(selector) = annotations["count"].as_str() {
                let query = Query { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: None, label_selector: Some(selector.into()), key: None, limit: 10 };
                let (count, _) = call.cluster.count(&query).await.unwrap();
                findings.push(json!({"rule": "count", "level": "warn", "message": format!("{count} with {selector}")}));
            }
            let findings = findings.iter().map(Value::to_string).collect();
            done(RawReview { findings, ..RawReview::default() }).await
        }
        .boxed()
    }
}

fn done(review: RawReview) -> BoxFuture<'static, Evaluation> {
    async { Evaluation { outcome: Ok(review), ran: Duration::ZERO } }.boxed()
}

fn policy(name: &str, phase: &str, writes: Value, evaluator: Arc<dyn Evaluate>) -> Arc<Policy> {
    policy_with(name, phase, writes, evaluator, |_| {})
}

fn policy_with(
    name: &str,
    phase: &str,
    writes: Value,
    evaluator: Arc<dyn Evaluate>,
    change: impl FnOnce(&mut PolicySpec),
) -> Arc<Policy> {
    let rules = ["tier", "show", "lookup", "count"].map(|id| json!({"id": id}));
    let lookup = |kind: &str| json!({"apiVersion": "v1", "kind": kind, "fields": "value", "verbs": ["get", "count"], "optional": true});
    let every = json!([{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*", "deployments/status"], "operations": ["*"]}]);
    let tree = json!("value");
    let kinds = [("v1", "ConfigMap"), ("apps/v1", "Deployment"), ("x.io/v1", "Mouse"), ("v1", "Namespace")];
    let reads =
        kinds.map(|(version, kind)| json!({"apiVersion": version, "kind": kind, "object": tree, "oldObject": tree}));
    let description: Description = serde_json::from_value(json!({
        "name": name, "phase": phase, "rules": rules,
        "reach": {"matches": every, "reads": reads, "lookups": [lookup("Service"), lookup("ConfigMap")], "writes": writes},
    }))
    .unwrap();
    let mut document = PolicyDocument { id: PolicyId::cluster(name), spec: PolicySpec::of_module("test") };
    change(&mut document.spec);
    let matcher = Matcher::new(&document, Some(&description)).unwrap();
    Arc::new(Policy {
        document,
        description: Some(description.into()),
        digest: String::new(),
        matcher,
        evaluator: Ok(evaluator),
    })
}

fn policies() -> Vec<Arc<Policy>> {
    let writes = json!([{"apiVersion": "v1", "kind": "ConfigMap", "pointers": ["/metadata/labels"]}]);
    vec![policy("tier", "mutating", writes, Arc::new(Tier)), policy("show", "validating", json!([]), Arc::new(Show))]
}

/// A folder of files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn options(folder: &Path, inputs: &[&str]) -> Options {
    let inputs = inputs.iter().map(|input| folder.join(input)).collect();
    Options { inputs, namespace: "default".into(), ..Options::default() }
}

struct Ran {
    text: String,
    report: Report,
    problems: Vec<String>,
    warnings: Vec<String>,
    skipped: Vec<String>,
}

async fn ran(folder: &Path, options: &Options) -> Ran {
    let prepared = Prepared::read(options);
    let prefix = format!("{}/", folder.display());
    let shorter = |lines: &[String]| lines.iter().map(|line| line.replace(&prefix, "")).collect::<Vec<_>>();
    let (mut problems, warnings, skipped) =
        (shorter(&prepared.problems), shorter(&prepared.warnings), shorter(&prepared.skipped));
    let mut out = String::new();
    let mut results = Vec::new();
    for judged in prepared.judge(policies(), Duration::from_secs(1)).collect::<Vec<_>>().await {
        match judged {
            Ok(judged) => {
                out.push_str(&said(&judged));
                results.push(judged.report);
            }
            Err(problem) => problems.push(problem.replace(&prefix, "")),
        }
    }
    let report = Report::new(results);
    Ran { text: out.replace(&prefix, ""), report, problems, warnings, skipped }
}

/// What there is to say of an object, in short: the text for people has its own tests.
fn said(judged: &Judged) -> String {
    let mut said = String::new();
    for entry in entry::entries(judged, &mut Spotter::default()) {
        let name = entry.name();
        let name = if name.is_empty() { name } else { format!("[{name}]") };
        let path = if entry.path.is_empty() { String::new() } else { format!(": {}", entry.path) };
        let position = if entry.has_place && entry.path.is_empty() {
            entry.spot.start
        } else {
            judged.document.position_of(entry.path)
        };
        let object = named(&judged.report.object);
        said.push_str(&format!("{}{name}: {}\n", entry.label.text(), crate::report::layout::shown(entry.message)));
        said.push_str(&format!("  --> {}:{position} ({object}{path})\n", judged.document.source));
        let help = entry.fix.map(|fix| format!("  help: {}\n", fix.text));
        let softened = entry.softened.map(|softened| format!("  note: a warning only: {softened}\n"));
        let see = (!entry.url.is_empty()).then(|| format!("  see: {}\n", entry.url));
        let needs = entry.needs.iter().map(|need| format!("  needs: {need}\n"));
        said.extend(help.into_iter().chain(softened).chain(see).chain(needs));
    }
    said
}

async fn check(files: &[(&str, &str)], inputs: &[&str], expected: &str) -> Ran {
    let folder = folder(files);
    let ran = ran(folder.path(), &options(folder.path(), inputs)).await;
    assert_eq!(ran.text, expected);
    ran
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    show: x\n";

#[tokio::test]
async fn an_object_is_sent_as_the_api_server_would_send_it() {
    let expected = "\
warning[show/show]: CREATE configmaps default/a in default by kubernetes-admin, tier filled, old false
  --> m.yaml:6:5 (ConfigMap default/a: metadata.annotations[show])
";
    let ran = check(&[("m.yaml", MAP)], &["m.yaml"], expected).await;
    let result = &ran.report.results[0];
    assert_eq!((result.line, result.operation.as_str(), result.allowed), (1, "CREATE", true));
    assert_eq!(
        serde_json::to_value(&result.patch).unwrap(),
        json!([{"op": "add", "path": "/metadata/labels", "value": {"tier": "filled"}}])
    );
    assert_eq!(result.policies.iter().map(|policy| policy.phase.as_str()).collect::<Vec<_>>(), ["mutate", "validate"]);
}

#[tokio::test]
async fn a_finding_is_shown_where_it_stands_with_what_would_be_right() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: ok}}\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: bad\n    namespace: shop\n    labels:\n      tier: none\n";
    let expected = "\
denied[show/tier]: tier none is nobody's
  --> l.yaml:11:7 (ConfigMap shop/bad: metadata.labels.tier)
  help: name a tier
";
    let ran = check(&[("l.yaml", list)], &["l.yaml"], expected).await;
    assert_eq!(ran.report.results.iter().map(|result| result.line).collect::<Vec<_>>(), [4, 5]);
    assert_eq!((ran.report.summary.allowed, ran.report.summary.denied), (1, 1));
}

#[tokio::test]
async fn folders_are_walked_in_order_and_foreign_files_skipped() {
    let named = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let (a, b, c) = (named("a"), named("b"), named("c"));
    let files = [
        ("d/z.yml", a.as_str()),
        ("d/a/x.json", "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"j\"}}"),
        ("d/b.yaml", b.as_str()),
        ("d/.hidden/x.yaml", "a: ["),
        ("d/values.yaml", "image: x\n"),
        ("d/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"),
        ("d/readme.md", "# no"),
        ("d/broken.yaml", "a: [\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: after}\n"),
        ("c.yaml", c.as_str()),
    ];
    let ran = check(&files, &["d", "c.yaml"], "").await;
    let names: Vec<&str> = ran.report.results.iter().map(|result| result.object.name.as_str()).collect();
    assert_eq!(names, ["j", "b", "after", "a", "c"]);
    assert_eq!(ran.skipped, ["d/kustomization.yaml:1", "d/values.yaml:1"]);
    assert_eq!(ran.problems.len(), 1);
    assert!(ran.problems[0].starts_with("d/broken.yaml:"), "{:?}", ran.problems);
}

#[tokio::test]
async fn what_is_named_must_be_an_object() {
    for (content, expected) in [
        ("image: x\n", "v.yaml:1: no Kubernetes object: apiVersion or kind is missing"),
        ("- a\n", "v.yaml:1: no Kubernetes object; an object is a mapping with apiVersion and kind"),
    ] {
        let ran = check(&[("v.yaml", content)], &["v.yaml"], "").await;
        assert_eq!(ran.problems, [expected]);
    }
    let nothing = check(&[("d/values.yaml", "a: b")], &["d"], "").await;
    assert!(
        nothing.problems[0].ends_with("there is no Kubernetes object to check (1 documents are none)"),
        "{:?}",
        nothing.problems
    );
    let missing = check(&[], &["no.yaml"], "").await;
    assert!(missing.problems[0].starts_with("no.yaml: can't be read: "), "{:?}", missing.problems);
}

#[tokio::test]
async fn versions_that_are_gone_are_judged_as_their_successor_or_not_at_all() {
    let pod = "{spec: {containers: [{name: a}]}}";
    let old = format!(
        "apiVersion: apps/v1beta2\nkind: Deployment\nmetadata: {{name: d, labels: {{tier: none}}}}\nspec: {{selector: {{}}, template: {pod}}}\n---\napiVersion: autoscaling/v2beta1\nkind: HorizontalPodAutoscaler\nmetadata: {{name: i}}\n"
    );
    let expected = "\
warning: apps/v1beta2 Deployment is not served since Kubernetes 1.16; judged as apps/v1, use that
  --> o.yaml:1:1 (Deployment default/d)
denied[show/tier]: tier none is nobody's
  --> o.yaml:3:30 (Deployment default/d: metadata.labels.tier)
  help: name a tier
";
    let ran = check(&[("o.yaml", &old)], &["o.yaml"], expected).await;
    assert_eq!(ran.report.results[0].object.api_version, "apps/v1");
    assert_eq!(
        ran.warnings,
        [
            "o.yaml:6: autoscaling/v2beta1 HorizontalPodAutoscaler is not served since Kubernetes 1.25 and is not judged; write it as autoscaling/v2, whose fields differ"
        ]
    );
}

#[tokio::test]
async fn the_selector_that_an_old_workload_implied_is_filled_in_and_asked_for() {
    let set = "apiVersion: apps/v1beta1\nkind: StatefulSet\nmetadata: {name: s}\nspec:\n  template: {metadata: {labels: {app: x}}, spec: {containers: [{name: a}]}}\n";
    let judged = judged(&[("s.yaml", set)], |_, _| {}).await;
    let written: Value = serde_json::from_str(&judged.written).unwrap();
    assert_eq!(written["spec"]["selector"], json!({"matchLabels": {"app": "x"}}));
    assert_eq!(judged.notes.len(), 2, "{:?}", judged.notes);
    assert!(judged.notes[1].ends_with("as the old version did; write it"), "{:?}", judged.notes);
}

#[tokio::test]
async fn an_old_ingress_is_judged_in_its_new_shape() {
    let ingress = "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: i, labels: {tier: a}}\nspec: {backend: {serviceName: web, servicePort: 80}}\n";
    let judged = judged(&[("i.yaml", ingress)], |_, _| {}).await;
    let written: Value = serde_json::from_str(&judged.written).unwrap();
    assert_eq!(written["spec"], json!({"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}));
    assert_eq!(judged.report.object.api_version, "networking.k8s.io/v1");
    assert_eq!(
        judged.notes,
        [
            "extensions/v1beta1 Ingress is not served since Kubernetes 1.22; judged as networking.k8s.io/v1 would have it, whose fields differ: write it so"
        ]
    );
}

#[tokio::test]
async fn what_the_api_server_would_drop_is_pointed_out_where_it_stands() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, labels: {tier: a}}\nspec:\n  selector: {}\n  template:\n    volumes: []\n    spec: {containers: [{name: a}]}\n";
    let judged = judged(&[("d.yaml", deployment)], |_, _| {}).await;
    assert_eq!(judged.note_positions.iter().map(ToString::to_string).collect::<Vec<_>>(), ["7:5"]);
    assert!(judged.notes[0].ends_with("did you mean \"spec.template.spec.volumes\"?"), "{:?}", judged.notes);
    assert_eq!(judged.report.warnings, judged.notes);
}

#[tokio::test]
async fn a_finding_on_what_came_from_string_data_stands_there() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  password: hunter2\n";
    let judged = judged(&[("s.yaml", secret)], |_, _| {}).await;
    assert_eq!(judged.document.position_of("data.password").to_string(), "5:3");
    assert_eq!(judged.document.position_of("data[password]").to_string(), "5:3");
    assert_eq!(judged.document.position_of("metadata.name").to_string(), "3:12");
}

#[tokio::test]
async fn custom_kinds_are_learnt_and_lists_name_their_items() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: mice.x.io}\nspec: {group: x.io, scope: Cluster, names: {kind: Mouse, plural: mice}}\n";
    let mouse = "apiVersion: x.io/v1\nkind: MouseList\nitems:\n- metadata: {name: m, labels: {tier: a}, annotations: {show: x}}\n";
    let expected = "\
warning[show/show]: CREATE mice null/m in null by kubernetes-admin, tier a, old false
  --> m.yaml:4:56 (Mouse m: metadata.annotations[show])
";
    check(&[("m.yaml", mouse), ("crd.yaml", definition)], &["m.yaml", "crd.yaml"], expected).await;
}

#[tokio::test]
async fn the_cluster_is_the_other_objects_and_what_is_given() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop, annotations: {lookup: web}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n";
    let folder = folder(&[("m.yaml", map), ("s.yaml", service)]);
    let said = async |cluster: &[PathBuf], complete: bool| {
        let options = Options { cluster: cluster.to_vec(), complete, ..options(folder.path(), &["m.yaml"]) };
        let ran = ran(folder.path(), &options).await;
        ran.text.lines().next().unwrap_or_default().to_owned()
    };
    let with = [folder.path().join("s.yaml")];
    assert_eq!(said(&[], false).await, "warning[show/lookup]: unknown, 1 others, complete false");
    assert_eq!(said(&[], true).await, "warning[show/lookup]: absent, 1 others, complete true");
    assert_eq!(said(&with, false).await, "warning[show/lookup]: found, 1 others, complete false");
    assert_eq!(said(&with, true).await, "warning[show/lookup]: found, 1 others, complete true");
}

#[tokio::test]
async fn old_objects_make_it_an_update_and_an_operation_can_be_named() {
    let folder = folder(&[("m.yaml", MAP), ("old.yaml", MAP)]);
    let first_line =
        async |options: Options| ran(folder.path(), &options).await.text.lines().next().unwrap_or_default().to_owned();
    let given = options(folder.path(), &["m.yaml"]);
    let update = Options { old: vec![folder.path().join("old.yaml")], ..given.clone() };
    assert!(first_line(update).await.contains("UPDATE configmaps"));
    let delete = Options {
        manner: Manner { operation: Some(Operation::Delete), ..Manner::default() },
        namespace: "n".into(),
        ..given
    };
    let said = first_line(delete).await;
    assert!(said.contains("DELETE configmaps n/a in n") && said.ends_with("old true"), "{said}");
}

#[tokio::test]
async fn a_review_is_judged_as_it_is() {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "kind": {"group": "", "version": "v1", "kind": "ConfigMap"}, "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "name": "r", "namespace": "n", "operation": "CREATE", "userInfo": {"username": "someone"},
        "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "r", "annotations": {"show": "x"}}}}});
    let text = serde_json::to_string_pretty(&review).unwrap();
    let expected = format!(
        "warning[show/show]: CREATE configmaps n/r in null by someone, tier filled, old false\n  --> r.json:{} (ConfigMap n/r: metadata.annotations[show])\n",
        place(&text, "\"x\"")
    );
    let ran = check(&[("r.json", &text)], &["r.json"], &expected).await;
    assert_eq!(ran.report.results[0].line, 1);
    let unreadable =
        check(&[("r.json", r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}"#)], &["r.json"], "")
            .await;
    assert!(unreadable.problems[0].starts_with("r.json:1: "), "{:?}", unreadable.problems);
}

fn place(text: &str, needle: &str) -> String {
    let (line, column) = portcullis_core::json::line_column(text, text.find(needle).unwrap());
    format!("{line}:{column}")
}

#[tokio::test]
async fn control_characters_of_a_manifest_stay_in_it() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"a\\e[2J\", labels: {tier: none}}\n";
    let folder = folder(&[("m.yaml", map)]);
    let ran = ran(folder.path(), &options(folder.path(), &["m.yaml"])).await;
    assert!(!ran.text.contains('\u{1b}') && ran.text.contains("\\u{1b}"), "{}", ran.text);
}

/// The object of the only result, as it would be admitted, and what was said of it.
async fn judged(files: &[(&str, &str)], change: impl FnOnce(&Path, &mut Options)) -> Judged {
    let folder = folder(files);
    let mut options = options(folder.path(), &[files[0].0]);
    change(folder.path(), &mut options);
    let prepared = Prepared::read(&options);
    assert_eq!((&prepared.problems, &prepared.warnings), (&Vec::new(), &Vec::new()));
    let mut judged = prepared.judge(policies(), Duration::from_secs(1)).collect::<Vec<_>>().await;
    assert_eq!(judged.len(), 1);
    judged.remove(0).unwrap()
}

#[tokio::test]
async fn what_would_be_admitted_is_what_was_written_with_the_mutations() {
    let admitted = judged(&[("m.yaml", MAP)], |_, _| {}).await;
    let object = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let mut expected = object(&admitted.written);
    assert_eq!(expected["metadata"]["namespace"], "default");
    expected["metadata"]["labels"] = json!({"tier": "filled"});
    assert_eq!(object(admitted.admitted.as_ref().unwrap()), expected);

    let denied = judged(
        &[("m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {tier: none}}\n")],
        |_, _| {},
    );
    assert_eq!(denied.await.admitted, None);
    let deleted = judged(&[("m.yaml", MAP)], |_, options| options.manner.operation = Some(Operation::Delete)).await;
    assert_eq!((deleted.report.allowed, deleted.admitted), (true, None));
}

#[tokio::test]
async fn what_the_api_server_fills_in_is_judged_but_not_taken_for_written() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, labels: {tier: a}}\nspec: {selector: {}, template: {spec: {containers: [{name: a, image: b}]}}}\n";
    let judged = judged(&[("d.yaml", deployment)], |_, _| {}).await;
    assert!(!judged.written.contains("replicas") && !judged.admitted.unwrap().contains("replicas"));
    assert!(judged.defaulted.iter().any(|path| path.to_string() == "/spec/replicas"), "{:?}", judged.defaulted);
    assert_eq!(judged.notes, Vec::<String>::new());
}

#[tokio::test]
async fn others_are_seen_as_they_would_be_admitted_in_whatever_order() {
    // `b` looks up how many others have the label that only the mutation sets.
    let map = |name: &str, annotations: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n")
    };
    let (plain, counting) = (map("a", ""), map("b", "count: tier=filled"));
    for text in [format!("{plain}---\n{counting}"), format!("{counting}---\n{plain}")] {
        let ran = check_lines(&text).await;
        assert_eq!(ran, ["warning[show/count]: 1 with tier=filled"], "{text}");
    }
}

async fn check_lines(text: &str) -> Vec<String> {
    let folder = folder(&[("m.yaml", text)]);
    let ran = ran(folder.path(), &options(folder.path(), &["m.yaml"])).await;
    ran.text.lines().filter(|line| !line.starts_with(' ')).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_request_is_made_as_the_flags_say() {
    let first_line = async |change: &dyn Fn(&Path, &mut Options), files: &[(&str, &str)]| {
        let judged = judged(files, change).await;
        let findings = judged.report.policies.iter().flat_map(|policy| &policy.findings);
        let message = findings.map(|finding| finding.message.clone()).next().unwrap_or_default();
        (message, judged)
    };
    let manner = |subresource: Option<&str>, user: Option<&str>| Manner {
        subresource: subresource.map(Into::into),
        user: user.map(|name| User::acting_as(name, &[])).unwrap_or_default(),
        operation: None,
    };
    let map = [("m.yaml", MAP)];
    let (said, _) = first_line(&|_, options| options.manner = manner(None, Some("jane")), &map).await;
    assert!(said.contains("by jane"), "{said}");

    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: shop, labels: {tier: a}, annotations: {show: x}}\nspec: {replicas: 2, selector: {}, template: {spec: {containers: [{name: a}]}}}\n";
    let (said, judged) =
        first_line(&|_, options| options.manner = manner(Some("status"), None), &[("d.yaml", deployment)]).await;
    assert!(said.starts_with("UPDATE deployments shop/d") && said.ends_with("old true"), "{said}");
    assert_eq!(judged.report.subresource.as_deref(), Some("status"));
}

#[tokio::test]
async fn namespaces_have_the_labels_that_the_flags_give_them() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop, annotations: {selected: x}}\n";
    let folder = folder(&[("m.yaml", map)]);
    let said = async |labels: &str| {
        let namespace_labels = NamespaceLabel::parse(labels).unwrap();
        let options = Options { namespace_labels, ..options(folder.path(), &["m.yaml"]) };
        let selected = policy_with("show", "validating", json!([]), Arc::new(Show), |spec| {
            spec.matching.namespace_selector = LabelSelector::parse("team=a").unwrap();
        });
        let judged = Prepared::read(&options).judge(vec![selected], Duration::from_secs(1)).collect::<Vec<_>>().await;
        judged[0].as_ref().unwrap().report.policies.len()
    };
    assert_eq!((said("team=a").await, said("shop:team=a").await), (1, 1));
    assert_eq!((said("team=b").await, said("other:team=a").await), (0, 1));
}

#[tokio::test]
async fn a_scale_is_sent_to_the_workload_of_its_name() {
    let scale = "apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {name: d, namespace: shop}\nspec: {replicas: 5}\n";
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: shop, labels: {tier: a}}\nspec: {replicas: 2, selector: {}, template: {spec: {containers: [{name: a}]}}}\n";
    let files = [("s.yaml", scale), ("d.yaml", deployment)];
    let by_cluster = judged(&files, |folder, options| options.cluster = vec![folder.join("d.yaml")]).await;
    let by_flag =
        judged(&[("d.yaml", deployment)], |_, options| options.manner.subresource = Some("scale".into())).await;
    for judged in [&by_cluster, &by_flag] {
        let report = &judged.report;
        assert_eq!((report.operation.as_str(), report.subresource.as_deref()), ("UPDATE", Some("scale")));
        assert!(judged.written.contains("Scale"), "{}", judged.written);
    }
    let folder = folder(&files);
    let alone = Prepared::read(&options(folder.path(), &["s.yaml"]));
    assert!(alone.warnings[0].contains("no workload of this name"), "{:?}", alone.warnings);
}

#[tokio::test]
async fn patterns_are_matched_as_a_shell_would() {
    let folder = folder(&[("a/m.yaml", MAP), ("a/b/n.yaml", MAP), ("a/values.yaml", "x: 1"), ("a/.hidden.yaml", MAP)]);
    let read = |pattern: &str| Prepared::read(&options(folder.path(), &[pattern]));
    assert_eq!((read("a/*.yaml").len(), read("a/*.yaml").skipped.len()), (1, 1));
    assert_eq!(read("**/*.yaml").len(), 2);
    assert_eq!(read("*").len(), 2);
    assert!(
        read("b/*.yaml").problems[0].ends_with("no file matches this pattern; `**/` stands for folders of any depth")
    );
    assert!(read("a/[.yaml").problems[0].contains("no file and no pattern either"), "{:?}", read("a/[.yaml").problems);
}
