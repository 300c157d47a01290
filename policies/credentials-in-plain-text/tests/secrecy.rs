//! No secret is ever part of what the policy says.
//!
//! Every secret of the cases holds a marker. The test runs every case, and every
//! case again under settings that report all there is, and looks for the marker
//! in everything that came out; a case that reports a secret without holding the
//! marker would make the test blind, and fails it too.
#![allow(clippy::unwrap_used, reason = "a test may end in a panic")]

use std::path::Path;

use credentials_in_plain_text::CredentialsInPlainText;
use portcullis_sdk::Erased;
use portcullis_sdk::harness::{load, run};
use portcullis_sdk::serde_json::{Value, json};

/// What every secret of the cases holds, in any case; a private key's in base64 too.
const MARKERS: [&str; 2] = ["hunter2", "ahvudgvymg"];
/// Rules that are about secrets; the others are about switches.
const RULES: [&str; 6] =
    ["environment-variable", "command-line", "url-credentials", "config-map", "custom-resource", "annotation"];

#[test]
fn no_output_of_any_case_holds_a_secret() {
    let files = load(&Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("cases")).unwrap();
    let holds = |text: &str| MARKERS.iter().any(|marker| text.to_ascii_lowercase().contains(marker));
    let mut reports = 0;
    for (file, contents) in files {
        for case in contents.cases {
            let label = format!("{}: {}", file.display(), case.name);
            let mut everything = case.clone();
            everything.settings = json!({"placeholders": "deny", "withoutCredentials": "deny", "transport": "deny"});
            let input = case.object.clone().unwrap_or_default().to_string();
            for case in [case, everything] {
                let outcome = run(&Erased::<CredentialsInPlainText>::NEW, &case).unwrap();
                let findings = Value::from(outcome.findings.clone()).to_string();
                let annotations = format!("{:?}", outcome.audit_annotations);
                assert!(!holds(&findings) && !holds(&annotations), "{label} tells a secret: {findings} {annotations}");
                let about_secrets =
                    outcome.findings.iter().any(|finding| RULES.iter().any(|rule| finding["rule"] == *rule));
                assert!(!about_secrets || holds(&input), "{label} reports a secret that holds no marker");
                reports += usize::from(about_secrets);
            }
        }
    }
    assert!(reports > 20, "the cases report secrets, {reports} times");
}
