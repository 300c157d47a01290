//! Alerts and dashboard: every metric that they name exists with its labels,
//! every alert has a test and a place in the operators' page, every metric too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use portcullis_cluster::workspace_root;
use serde_json::Value;

use crate::deploy::{deploy, key, objects, program};

/// What others expose and alerts or panels read: name, labels that are read, who exposes it.
const OTHERS: [(&str, &[&str], &str); 5] = [
    (
        "apiserver_admission_webhook_rejection_count",
        &["name", "type", "operation", "error_type", "rejection_code"],
        "k8s.io/apiserver pkg/admission/metrics",
    ),
    ("apiserver_admission_webhook_fail_open_count", &["name", "type"], "k8s.io/apiserver pkg/admission/metrics"),
    ("container_memory_working_set_bytes", &["namespace", "pod", "container"], "the kubelet's cAdvisor"),
    ("kube_pod_container_resource_limits", &["namespace", "pod", "container", "resource"], "kube-state-metrics"),
    ("kube_pod_container_status_restarts_total", &["namespace", "pod", "container"], "kube-state-metrics"),
];
/// Labels that Prometheus gives everything that it scrapes from a pod, or a histogram's bucket.
const GIVEN: [&str; 2] = ["pod", "le"];
/// Severities, as common alert routing has them.
const SEVERITIES: [&str; 2] = ["critical", "warning"];

#[test]
fn every_metric_that_is_read_exists_with_its_labels() {
    let known = metrics();
    let mut read = 0;
    for (place, expression) in expressions() {
        let used = used(&expression);
        assert!(!used.is_empty(), "{place} reads no metric: {expression}");
        for (metric, labels) in used {
            read += 1;
            let name = ["_bucket", "_count", "_sum"].iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(&metric);
            let its = known.get(&metric).or_else(|| known.get(name));
            let its = its.unwrap_or_else(|| panic!("{place}: nothing exposes {metric}"));
            for label in labels {
                let has = GIVEN.contains(&label.as_str()) || its.contains(&label);
                assert!(has, "{place}: {metric} has no label {label}, it has {its:?}");
            }
        }
    }
    assert!(read > 50, "{read}");
}

#[test]
fn every_metric_is_shown_or_watched() {
    let read: BTreeSet<String> =
        expressions().iter().flat_map(|(_, expression)| used(expression).into_keys()).collect();
    for metric in metrics().into_keys().filter(|metric| metric.starts_with("portcullis_")) {
        let bucket = format!("{metric}_bucket");
        assert!(read.contains(&metric) || read.contains(&bucket), "neither alerts nor dashboard read {metric}");
    }
}

#[test]
fn every_alert_says_what_how_grave_and_what_to_do() {
    let page = operations();
    let headings: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_lowercase).collect();
    let tests = fs::read_to_string(monitoring("alerts.test.yaml")).unwrap();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let text = |pointer: &str| alert.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        assert!(SEVERITIES.contains(&text("/labels/severity")), "{name}");
        assert!(!text("/annotations/summary").is_empty() && !text("/annotations/description").is_empty(), "{name}");
        let (url, anchor) = text("/annotations/runbook_url").rsplit_once('#').unwrap_or_default();
        assert!(url.ends_with("/docs/operations.md"), "{name}: {url}");
        assert!(anchor == name.to_lowercase() && headings.contains(anchor), "{name} has no heading in {url}");
        let fires = format!("alertname=\"{name}\",alertstate=\"firing\"");
        assert!(tests.contains(&fires), "{name} is never seen firing in alerts.test.yaml");
        let labels = used(text("/expr")).into_values().flatten().collect::<BTreeSet<String>>();
        for label in templated(text("/annotations/summary")) {
            assert!(GIVEN.contains(&label.as_str()) || labels.contains(&label), "{name}: the summary shows {label}");
        }
    }
}

#[test]
fn every_metric_stands_in_the_operators_page() {
    let page = operations();
    for metric in metrics().into_keys().filter(|metric| metric.starts_with("portcullis_")) {
        assert!(page.contains(&format!("| `{metric}`")), "docs/operations.md has no row for {metric}");
    }
    for line in page.lines().filter_map(|line| line.strip_prefix("| `portcullis_")) {
        let name = format!("portcullis_{}", line.split('`').next().unwrap_or_default());
        assert!(metrics().contains_key(&name), "docs/operations.md describes {name}, which nothing exposes");
    }
}

#[test]
fn prometheus_takes_the_alerts_and_they_fire_when_they_should() {
    let Some(promtool) = program("PORTCULLIS_PROMTOOL", "promtool") else { return };
    let folder = tempfile::tempdir().unwrap();
    let rules = rule()["spec"].to_string();
    fs::write(folder.path().join("alerts.rules.yaml"), rules).unwrap();
    fs::copy(monitoring("alerts.test.yaml"), folder.path().join("alerts.test.yaml")).unwrap();
    for arguments in [["check", "rules", "alerts.rules.yaml"], ["test", "rules", "alerts.test.yaml"]] {
        let said = Command::new(&promtool).args(arguments).current_dir(folder.path()).output().expect("promtool runs");
        let text = [said.stdout, said.stderr].concat();
        assert!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn the_dashboard_is_anybodys() {
    let dashboard = dashboard();
    assert!(dashboard.get("id").is_none(), "an id belongs to one Grafana");
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<&str> =
        panels.iter().filter(|panel| panel["type"] == "row").filter_map(|row| row["title"].as_str()).collect();
    assert_eq!(rows, ["Admissions", "Policies", "View of the cluster", "Certificates", "Controller"]);
    let mut taken = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        let place = |edge: &str| panel["gridPos"][edge].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}");
        for column in place("x")..place("x") + place("w") {
            for line in place("y")..place("y") + place("h") {
                assert!(taken.insert((column, line)), "{title} lies over another panel");
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title}");
        }
    }
}

/// Every metric that is exposed, with its labels: ours from the program's source, where a test
/// of its own holds the list to what is exposed.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, labels, _) in OTHERS {
        known.insert(name.to_owned(), labels.iter().map(|&label| label.to_owned()).collect());
    }
    for (name, labels) in ours() {
        known.insert(name, labels);
    }
    known
}

/// The names that the telemetry's lists hold, each with every label that any of them has.
fn ours() -> Vec<(String, BTreeSet<String>)> {
    let folder = workspace_root().join("host/app/src/telemetry");
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let text: String = files.map(|file| file.split("#[cfg(test)]").next().unwrap_or_default().to_owned()).collect();
    let labels: BTreeSet<String> = text
        .split("EncodeLabelSet)]")
        .skip(1)
        .filter_map(|after| Some(after.split_once('{')?.1.split_once('}')?.0.to_owned()))
        .flat_map(|fields| fields.lines().filter_map(field).collect::<Vec<_>>())
        .chain(["version".to_owned()])
        .collect();
    let names = text.split('"').filter(|literal| literal.starts_with("portcullis_") && !literal.ends_with('_'));
    names.map(|name| (name.to_owned(), labels.clone())).collect()
}

/// The name of a field in a line such as `path: &'static str,`.
fn field(line: &str) -> Option<String> {
    let (name, _) = line.trim().split_once(':')?;
    name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_').then(|| name.to_owned())
}

/// Every expression of alerts and panels, with where it stands.
fn expressions() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = alerts()
        .iter()
        .map(|alert| (alert["alert"].as_str().unwrap().to_owned(), alert["expr"].as_str().unwrap().to_owned()))
        .collect();
    for panel in dashboard()["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let place = format!("panel {}", panel["title"].as_str().unwrap());
            found.push((place, target["expr"].as_str().unwrap().to_owned()));
        }
    }
    found
}

/// The metrics of an expression, each with the labels that are asked of it; those of `by (…)` are
/// asked of all.
fn used(expression: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut of_all = BTreeSet::new();
    let (mut rest, mut last) = (expression, String::new());
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            rest = rest[1..].split_once('"').map_or("", |(_, after)| after);
        } else if first == '{' {
            let (inside, after) = matchers(&rest[1..]);
            found.entry(last.clone()).or_default().extend(inside);
            rest = after;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
            let word = &rest[..end];
            rest = &rest[end..];
            if word == "by" {
                let (inside, after) = rest.split_once('(').and_then(|(_, after)| after.split_once(')')).unwrap();
                of_all.extend(inside.split(',').map(|label| label.trim().to_owned()));
                rest = after;
            } else if is_metric(word) {
                found.entry(word.to_owned()).or_default();
                word.clone_into(&mut last);
            }
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    found.values_mut().for_each(|labels| labels.extend(of_all.iter().cloned()));
    found
}

/// The labels of `a="b", c!="d"}`, and what comes after.
fn matchers(mut rest: &str) -> (Vec<String>, &str) {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return (labels, after);
        }
        let (label, after) = rest.split_once(['=', '!']).expect("a label");
        labels.push(label.trim().to_owned());
        rest = after.split_once('"').and_then(|(_, value)| value.split_once('"')).expect("a value").1;
    }
}

fn is_metric(word: &str) -> bool {
    ["portcullis_", "apiserver_", "container_memory_", "kube_"].iter().any(|start| word.starts_with(start))
}

/// The labels that a text shows: `{{ $labels.pod }}`.
fn templated(text: &str) -> Vec<String> {
    let shown = text.split("$labels.").skip(1);
    shown.map(|after| after.split([' ', '}']).next().unwrap_or_default().to_owned()).collect()
}

fn alerts() -> Vec<Value> {
    let groups = rule()["spec"]["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn rule() -> Value {
    let text = fs::read_to_string(monitoring("alerts.yaml")).unwrap();
    objects(&text)[&key("PrometheusRule", "portcullis-system", "portcullis")].clone()
}

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(monitoring("dashboard.json")).unwrap()).unwrap()
}

fn operations() -> String {
    fs::read_to_string(workspace_root().join("docs/operations.md")).unwrap()
}

fn monitoring(name: &str) -> PathBuf {
    deploy().join("kustomize/components/monitoring").join(name)
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let found =
        used(r#"sum by (a, le) (rate(portcullis_x{b="by (c)", d!~"e{}"}[5m])) / max(portcullis_y offset 5m) > 1"#);
    let labels = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
    let expected = [
        ("portcullis_x".to_owned(), labels(&["a", "b", "d", "le"])),
        ("portcullis_y".to_owned(), labels(&["a", "le"])),
    ];
    assert_eq!(found, BTreeMap::from(expected));
    assert_eq!(templated("{{ $labels.pod }} and {{$labels.kind}}"), ["pod", "kind"]);
}
