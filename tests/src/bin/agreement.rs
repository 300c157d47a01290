//! How far the verdicts of `portcullis check` agree with a table of what a
//! careful reader expects of real manifests.
//!
//! ```text
//! agreement PORTCULLIS FOLDER     FOLDER/labels.tsv, FOLDER/bundles.tsv, FOLDER/manifests/…
//! ```
//! `labels.tsv` has the columns file, object (Kind/name), axis, target,
//! expected, verdict, cause. A file is judged on its own, by the built-in
//! policies; for `sc-injection` with a cluster that has one default class. An
//! axis is one policy's verdict, or an audit annotation of it. Every
//! disagreement is printed, then the sums. `bundles.tsv` has objects with
//! what their cluster holds.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use portcullis_core::report::{ObjectReport, PolicyReport, Report, Verdict};

/// A cluster with one remote default class.
const DEFAULT_CLASS: &str = r#"{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
 "metadata": {"name": "the-default", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
 "provisioner": "pd.csi.storage.gke.io"}"#;

/// One row of the table.
struct Label<'t> {
    file: &'t str,
    object: &'t str,
    axis: &'t str,
    target: &'t str,
    expected: &'t str,
    verdict: &'t str,
}

/// Two ways of judging one file.
struct Judged {
    alone: Report,
    with_default: Report,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [portcullis, folder] = &arguments[..] else {
        eprintln!("usage: agreement PORTCULLIS FOLDER");
        return ExitCode::from(2);
    };
    match compare(portcullis, Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agreement: {error}");
            ExitCode::from(2)
        }
    }
}

fn compare(portcullis: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let table = std::fs::read_to_string(folder.join("labels.tsv"))?;
    let scratch = tempfile::tempdir()?;
    let default_class = scratch.path().join("default-class.json");
    std::fs::write(&default_class, DEFAULT_CLASS)?;
    let mut files: BTreeMap<&str, Judged> = BTreeMap::new();
    let mut sums: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for label in table.lines().skip(1).filter_map(label).filter(|label| judge(label.axis).is_some()) {
        if !files.contains_key(label.file) {
            let path = folder.join("manifests").join(label.file);
            let with_default =
                ["--cluster", default_class.to_str().ok_or("a temporary path that isn't UTF-8")?, "--complete"];
            let judged = Judged {
                alone: check(portcullis, &path, &[])?,
                with_default: check(portcullis, &path, &with_default)?,
            };
            files.insert(label.file, judged);
        }
        let (Some(judged), Some(found)) = (files.get(label.file), judge(label.axis)) else { continue };
        let found = found(judged, &label);
        let agrees = found == expected(&label);
        let sum = sums.entry(label.axis).or_default();
        sum.0 += usize::from(agrees);
        sum.1 += 1;
        if !agrees {
            println!(
                "{}  {}  {}  {}: expected {}, found {found}",
                label.axis, label.file, label.object, label.target, label.expected
            );
        }
    }
    for (axis, (agreed, all)) in sums {
        println!("{axis}: {agreed} of {all}");
    }
    Ok(())
}

fn label(line: &str) -> Option<Label<'_>> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [file, object, axis, target, expected, verdict, ..] = cells[..] else { return None };
    Some(Label { file, object, axis, target, expected, verdict })
}

fn check(portcullis: &str, path: &Path, flags: &[&str]) -> Result<Report, Box<dyn Error>> {
    let output = Command::new(portcullis).arg("check").args(["-o", "json"]).args(flags).arg(path).output()?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{}: {error}: {}", path.display(), String::from_utf8_lossy(&output.stderr)).into())
}

type Find = fn(&Judged, &Label<'_>) -> String;

fn judge(axis: &str) -> Option<Find> {
    match axis {
        "datastore" => Some(|judged, label| datastore(policy(&judged.alone, label.object, "database-remote-storage"))),
        "db-local-storage" => {
            Some(|judged, label| storage(policy(&judged.alone, label.object, "database-remote-storage")))
        }
        "sc-injection" => {
            Some(|judged, label| injection(policy(&judged.with_default, label.object, "default-storage-class"), label))
        }
        "db-controller" | "shared-pvc" => {
            Some(|judged, label| verdict(policy(&judged.alone, label.object, "database-controller")))
        }
        "headless-service" => Some(|judged, label| verdict(policy(&judged.alone, label.object, "statefulset-service"))),
        "plaintext-password" => {
            Some(|judged, label| verdict(policy(&judged.alone, label.object, "credentials-in-plain-text")))
        }
        "secret-hygiene" => Some(|judged, label| verdict(policy(&judged.alone, label.object, "secret-content"))),
        "ingress-tls" => Some(|judged, label| verdict(policy(&judged.alone, label.object, "ingress-tls"))),
        "svc-exposure" => Some(|judged, label| verdict(policy(&judged.alone, label.object, "service-exposure"))),
        "storage-locality" => {
            Some(|judged, label| annotation(policy(&judged.alone, label.object, "storage-class-rules"), "storage"))
        }
        "default-class" => Some(|judged, label| {
            annotation(policy(&judged.alone, label.object, "storage-class-rules"), "default-class")
        }),
        "invalid-quantity" => Some(|judged, label| verdict(policy(&judged.alone, label.object, "claim-shape"))),
        "api" => Some(|judged, label| warned(judged, label, "not served since")),
        "invalid-field" => Some(|judged, label| warned(judged, label, label.expected)),
        // That an object is partial, or no API server's, is said of the table's files, not asked of a policy.
        _ => None,
    }
}

/// What the table expects, in the words of the functions below.
fn expected(label: &Label<'_>) -> String {
    match (label.axis, label.verdict) {
        ("datastore", "no") => "none".to_owned(),
        ("datastore", _) => label.expected.to_owned(),
        (_, "n/a") => "ok".to_owned(),
        // A reader looks at it again: as much as a warning asks for.
        (_, "review") => "warn".to_owned(),
        ("default-class", "yes") => "true".to_owned(),
        ("default-class", _) => "false".to_owned(),
        ("api" | "invalid-field", _) => "pointed out".to_owned(),
        ("invalid-quantity", _) => "violation".to_owned(),
        (_, verdict) => verdict.to_owned(),
    }
}

fn policy<'r>(report: &'r Report, object: &str, policy: &str) -> Option<&'r PolicyReport> {
    result(report, object)?.policies.iter().find(|report| report.policy == policy)
}

fn result<'r>(report: &'r Report, object: &str) -> Option<&'r ObjectReport> {
    let (kind, name) = object.split_once('/')?;
    let name = name.strip_prefix("generateName:").unwrap_or(name);
    let same = |result: &&ObjectReport| {
        result.object.kind == kind
            && (result.object.name == name || (result.object.name.is_empty() && object.contains("generateName:")))
    };
    report.results.iter().find(same)
}

fn datastore(report: Option<&PolicyReport>) -> String {
    let said = report.and_then(|report| report.audit_annotations.get("datastore"));
    let containers: Vec<&str> =
        said.into_iter().flat_map(|said| said.split(',')).map(|pair| pair.split('=').next().unwrap_or(pair)).collect();
    if containers.is_empty() { "none".to_owned() } else { containers.join(",") }
}

/// A warning isn't about where the data is.
fn storage(report: Option<&PolicyReport>) -> String {
    let said = verdict(report);
    if said == "warn" { "ok".to_owned() } else { said }
}

fn verdict(report: Option<&PolicyReport>) -> String {
    match report.map(|report| report.verdict) {
        None | Some(Verdict::Allow) => "ok".to_owned(),
        Some(Verdict::Warn) => "warn".to_owned(),
        Some(Verdict::Deny) => "violation".to_owned(),
        Some(Verdict::Undecided) => "unknown-needs-cluster".to_owned(),
        Some(Verdict::Error) => report.and_then(|report| report.error.clone()).unwrap_or_default(),
    }
}

/// `unknown(provisioner)` is `unknown`.
fn annotation(report: Option<&PolicyReport>, key: &str) -> String {
    let said = report.and_then(|report| report.audit_annotations.get(key)).map_or("none", String::as_str);
    said.split('(').next().unwrap_or(said).to_owned()
}

/// Whether the command line itself says something that contains this.
fn warned(judged: &Judged, label: &Label<'_>, part: &str) -> String {
    let Some(result) = result(&judged.alone, label.object) else { return "not judged".to_owned() };
    let found = result.warnings.iter().any(|warning| warning.contains(part));
    (if found { "pointed out" } else { "not pointed out" }).to_owned()
}

fn injection(report: Option<&PolicyReport>, label: &Label<'_>) -> String {
    let Some(report) = report else { return "not asked".to_owned() };
    let injects = report.patch.iter().any(|edit| edit.path().to_string().ends_with("/storageClassName"));
    match (report.verdict, injects) {
        (Verdict::Error, _) => report.error.clone().unwrap_or_default(),
        (_, true) => "inject".to_owned(),
        (Verdict::Undecided, false) => format!("undecided for {}", label.target),
        (_, false) => "leave".to_owned(),
    }
}
