//! A run as SARIF 2.1.0 (OASIS), as code scanning services read it: the rules
//! of the policies that ran, a result a finding, what could not be read as
//! notifications. Objects are logical locations; a fingerprint of policy, rule,
//! object, subject and value keeps a result the same when lines move.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use portcullis_core::admit::Policy;
use portcullis_core::contract::{Rule, Severity};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Run;
use super::entry::{Entry, Label, entries, named};
use super::spot::Spotter;
use crate::check::input::STANDARD_INPUT;

/// Where the schema is published.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// Bytes of a fingerprint, in hex twice as many characters.
const FINGERPRINT_BYTES: usize = 16;

/// Writes a whole run.
///
/// # Errors
/// Of the writer.
pub fn write(out: &mut impl Write, run: &Run<'_>) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &log(run))?;
    writeln!(out)
}

fn log(run: &Run<'_>) -> Value {
    let (mut rules, mut indexes) = described(run.policies);
    let mut spotter = Spotter::default();
    let mut results = Vec::new();
    for judged in run.judged {
        for entry in entries(judged, &mut spotter) {
            let id = rule_id(&entry);
            let index = *indexes.entry(id.clone()).or_insert_with(|| {
                rules.push(json!({ "id": id }));
                rules.len() - 1
            });
            results.push(result(&entry, &id, index));
        }
    }
    let notifications = run.problems.iter().map(|problem| json!({"level": "error", "message": {"text": problem}}));
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "portcullis",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": run.problems.is_empty(),
                "toolExecutionNotifications": notifications.collect::<Vec<_>>(),
            }],
            "results": results,
        }],
    })
}

/// The rules of all policies, and where each stands.
fn described(policies: &[Arc<Policy>]) -> (Vec<Value>, HashMap<String, usize>) {
    let mut rules = Vec::new();
    let mut indexes = HashMap::new();
    for policy in policies {
        for rule in policy.description.iter().flat_map(|description| &description.rules) {
            let id = format!("{}/{}", policy.document.id, rule.id);
            indexes.insert(id.clone(), rules.len());
            rules.push(rule_of(&id, rule));
        }
    }
    (rules, indexes)
}

fn rule_of(id: &str, rule: &Rule) -> Value {
    let help: Vec<&str> =
        [&rule.reason, &rule.remedy].into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    let help = if help.is_empty() { rule.title.clone() } else { help.join("\n\n") };
    let mut described = json!({
        "id": id,
        "shortDescription": {"text": or(&rule.title, id)},
        "fullDescription": {"text": or(&rule.reason, or(&rule.title, id))},
        "help": {"text": or(&help, id)},
        "defaultConfiguration": {"level": level_of(rule.severity)},
        "properties": {
            "tags": ["kubernetes", "security"],
            "precision": "high",
            "problem.severity": level_of(rule.severity),
            "security-severity": security_severity(rule.severity),
        },
    });
    if !rule.url.is_empty() {
        described["helpUri"] = json!(rule.url);
    }
    described
}

fn or<'t>(text: &'t str, other: &'t str) -> &'t str {
    if text.is_empty() { other } else { text }
}

fn level_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// The scale of CVSS, in the middle of each band, as code scanning of GitHub reads it.
fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}

/// A result needs a rule: what no rule stands behind has one of the command line's.
fn rule_id(entry: &Entry<'_>) -> String {
    match (entry.policy, entry.rule) {
        ("", _) => "portcullis/input".to_owned(),
        (policy, "") => format!("{policy}/{}", if entry.label == Label::Undecided { "undecided" } else { "failure" }),
        _ => entry.name(),
    }
}

fn result(entry: &Entry<'_>, id: &str, index: usize) -> Value {
    let level = match entry.label {
        label if label.stops() => "error",
        Label::Undecided => "note",
        _ => "warning",
    };
    let object = named(&entry.judged.report.object);
    let mut message = format!("{object}: {}", entry.message);
    if let Some(fix) = entry.fix.filter(|fix| !fix.text.is_empty()) {
        message.push_str(&format!("\nhelp: {}", fix.text));
    }
    let mut location =
        json!({"logicalLocations": [{"fullyQualifiedName": logical(entry), "kind": "resource", "name": object}]});
    let source = entry.judged.document.source.as_ref();
    if source != STANDARD_INPUT {
        let (start, end) = (entry.spot.start, entry.spot.end);
        let mut region = json!({"startLine": start.line.max(1)});
        if start.column > 0 {
            region["startColumn"] = json!(start.column);
        }
        if end > start {
            region["endLine"] = json!(end.line);
            region["endColumn"] = json!(end.column);
        }
        location["physicalLocation"] = json!({"artifactLocation": {"uri": uri(source)}, "region": region});
    }
    json!({
        "ruleId": id,
        "ruleIndex": index,
        "level": level,
        "message": {"text": message},
        "locations": [location],
        "partialFingerprints": {"portcullis/v1": fingerprint(entry, id)},
        "properties": {
            "label": entry.label.text(),
            "path": entry.path,
            "subject": entry.subject,
        },
    })
}

fn logical(entry: &Entry<'_>) -> String {
    let object = &entry.judged.report.object;
    [object.api_version.as_str(), &object.kind, &object.namespace, &object.name, entry.path].join("/")
}

fn fingerprint(entry: &Entry<'_>, id: &str) -> String {
    let object = &entry.judged.report.object;
    let mut digest = Sha256::new();
    for part in [id, &object.api_version, &object.kind, &object.namespace, &object.name, entry.subject, entry.value] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.finalize().iter().take(FINGERPRINT_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// A path as a URI reference (RFC 3986), relative where the path is.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.trim_start_matches("./").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            b'\\' if cfg!(windows) => uri.push('/'),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri() {
        assert_eq!(uri("./a b/ü:1.yaml"), "a%20b/%C3%BC%3A1.yaml");
        assert_eq!(uri("/tmp/a.yaml"), "file:///tmp/a.yaml");
    }
}
