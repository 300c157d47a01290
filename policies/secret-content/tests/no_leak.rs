//! Nothing that a Secret holds stands in anything that the policy says: over
//! every case, whatever it is about, and over generated Secrets.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis_sdk::Erased;
use portcullis_sdk::harness::{Case, Outcome, load, run};
use proptest::prelude::*;
use proptest::{collection, sample};
use secret_content::SecretContent;
use serde_json::{Value, json};

/// A shorter value can't be told from ordinary text.
const MIN_BYTES: usize = 4;
/// So many at least, or the folder was not found.
const FEWEST_CASES: usize = 80;

/// All values of a Secret, of whatever shape: as written, decoded, and line by line.
fn values(secret: &Value) -> Vec<String> {
    let mut values = Vec::new();
    for field in ["data", "stringData"] {
        scalars(&secret[field], &mut values);
    }
    let decoded = values.iter().filter_map(|text| BASE64_STANDARD.decode(text).ok());
    let decoded: Vec<String> = decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
    values.extend(decoded);
    let lines: Vec<String> = values.iter().flat_map(|value| value.lines()).map(str::to_owned).collect();
    values.extend(lines);
    values.iter().map(|value| value.trim().to_owned()).filter(|value| value.len() >= MIN_BYTES).collect()
}

fn scalars(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|member| scalars(member, found)),
        Value::Array(elements) => elements.iter().for_each(|element| scalars(element, found)),
        Value::String(text) => found.push(text.clone()),
        // `true` says as little as `null`.
        Value::Number(number) => found.push(number.to_string()),
        Value::Bool(_) | Value::Null => {}
    }
}

#[test]
fn nothing_that_a_secret_holds_is_said() {
    let folder = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("cases");
    let (mut cases, mut looked_for) = (0, 0);
    for (file, contents) in load(&folder).unwrap() {
        for case in contents.cases {
            let outcome = run(&Erased::<SecretContent>::NEW, &case).unwrap();
            let secrets = case.object.iter().chain(&case.old_object);
            let hidden: Vec<String> = secrets.flat_map(values).collect();
            looked_for += assert_unsaid(&hidden, &outcome, &format!("{}: {}", file.display(), case.name));
            cases += 1;
        }
    }
    assert!(cases >= FEWEST_CASES && looked_for > cases, "{cases} cases, {looked_for} comparisons");
}

/// Fails where a value stands in anything that was said; gives how often it looked.
/// The rule and the level are words of the policy's own, and say nothing of the value.
fn assert_unsaid(hidden: &[String], outcome: &Outcome, label: &str) -> usize {
    let findings = outcome.findings.iter();
    let said: Vec<String> = findings
        .flat_map(|finding| {
            [&finding["message"], &finding["path"], &finding["subject"], &finding["value"], &finding["fix"]["text"]]
        })
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .chain(outcome.audit_annotations.iter().map(|(key, value)| format!("{key}={value}")))
        .collect();
    for (value, text) in hidden.iter().flat_map(|value| said.iter().map(move |text| (value, text))) {
        assert!(!text.contains(value.as_str()), "{label}: {text}");
    }
    hidden.len() * said.len()
}

/// Values that the policy has something to say about, words of its own messages among them.
const TELLING: [&str; 24] = [
    "password",
    "changeme",
    "<key>",
    "${TOKEN}",
    "postgres://app:letmein@db/shop",
    "type",
    "name",
    "data",
    "true",
    "base64",
    "certificate",
    "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n",
    "/etc/ssl/tls.crt",
    "ssh-rsa AAAA",
    "{\"auths\": {\"a.example\": {\"auth\": \"YXBwOmFkbWluMTIz\"}}}",
    "{\"credsStore\": \"desktop\"}",
    "2020-01-01T00:00:00Z",
    "system:masters",
    "abcdef",
    "token: CHANGE_ME\nuser: x\n",
    "word\n",
    "metadata",
    "username",
    "the key",
];
const KEYS: [&str; 16] = [
    "password",
    "username",
    "tls.crt",
    "tls.key",
    ".dockerconfigjson",
    ".dockercfg",
    "ssh-privatekey",
    "token-id",
    "token-secret",
    "expiration",
    "usage-bootstrap-signing",
    "auth-extra-groups",
    "config.yaml",
    "DATABASE_URL",
    "type",
    "api-key",
];
const TYPES: [&str; 9] = [
    "",
    "Opaque",
    "kubernetes.io/tls",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/dockercfg",
    "kubernetes.io/ssh-auth",
    "kubernetes.io/basic-auth",
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
];

fn contents() -> impl Strategy<Value = String> {
    prop_oneof![3 => sample::select(TELLING.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,40}", 1 => "[a-z0-9:/@=\n ]{0,60}"]
}

fn field() -> impl Strategy<Value = Value> {
    let key = prop_oneof![4 => sample::select(KEYS.to_vec()).prop_map(str::to_owned), 1 => "[a-zA-Z_.-]{1,20}"];
    let value = prop_oneof![
        4 => contents().prop_map(Value::from),
        4 => contents().prop_map(|text| Value::from(BASE64_STANDARD.encode(text))),
        1 => any::<u32>().prop_map(Value::from),
    ];
    collection::btree_map(key, value, 0..5).prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_secret_holds_isnt_said(data in field(), plain in field(), kind in sample::select(TYPES.to_vec()), immutable in any::<bool>()) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "generated", "namespace": "shop"},
            "type": kind, "immutable": immutable, "data": data, "stringData": plain,
        });
        let case = json!({"name": "generated", "now": 1_770_000_000_u64, "object": secret, "expect": {"verdict": "allow"}});
        let case: Case = serde_json::from_value(case).unwrap();
        let outcome = run(&Erased::<SecretContent>::NEW, &case).unwrap();
        assert_unsaid(&values(&secret), &outcome, &secret.to_string());
    }
}
