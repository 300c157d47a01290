//! Nothing that a Secret holds stands in anything that the policy says: over
//! every case and every example, whatever they are about.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis_sdk::Erased;
use portcullis_sdk::harness::{load, run};
use secret_content::SecretContent;
use serde_json::Value;

/// A shorter value can't be told from ordinary text.
const MIN_BYTES: usize = 4;
/// So many at least, or the folder was not found.
const FEWEST_CASES: usize = 80;

/// All values of a Secret: as written, decoded, and line by line.
fn values(secret: &Value) -> Vec<String> {
    let mut values = Vec::new();
    for field in ["data", "stringData"] {
        for text in secret[field].as_object().into_iter().flat_map(|map| map.values()).filter_map(Value::as_str) {
            values.push(text.to_owned());
            if let Ok(decoded) = BASE64_STANDARD.decode(text) {
                values.push(String::from_utf8_lossy(&decoded).into_owned());
            }
        }
    }
    let lines: Vec<String> = values.iter().flat_map(|value| value.lines()).map(str::to_owned).collect();
    values.extend(lines);
    values.iter().map(|value| value.trim().to_owned()).filter(|value| value.len() >= MIN_BYTES).collect()
}

#[test]
fn nothing_that_a_secret_holds_is_said() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let (mut cases, mut looked_for) = (0, 0);
    for (file, contents) in load(&folder).unwrap() {
        for case in contents.cases {
            let outcome = run(&Erased::<SecretContent>::NEW, &case).unwrap();
            let secrets = case.object.iter().chain(&case.old_object);
            let hidden: Vec<String> = secrets.flat_map(values).collect();
            // The rule and the level are words of the policy's own, and say nothing of the value.
            let said: Vec<String> = outcome
                .findings
                .iter()
                .flat_map(|finding| {
                    ["message", "path", "subject", "value", "fix"].map(|field| finding[field].to_string())
                })
                .chain(outcome.audit_annotations.iter().map(|(key, value)| format!("{key}={value}")))
                .collect();
            for (value, text) in hidden.iter().flat_map(|value| said.iter().map(move |text| (value, text))) {
                assert!(!text.contains(value.as_str()), "{}: {}: {text}", file.display(), case.name);
                looked_for += 1;
            }
            cases += 1;
        }
    }
    assert!(cases >= FEWEST_CASES && looked_for > cases, "{cases} cases, {looked_for} comparisons");
}
