//! Whatever texts stand in an object, the policy doesn't panic and tells no secret.
//!
//! Texts are put together from fragments that the readers look for, in any
//! order, with letters of several bytes among them. The marker stands only where
//! a value does: behind a separator, before an end.
#![allow(clippy::unwrap_used, reason = "a test may end in a panic")]

use credentials_in_plain_text::CredentialsInPlainText;
use portcullis_sdk::Erased;
use portcullis_sdk::harness::{Case, run};
use portcullis_sdk::serde_json::{Value, from_value, json};

const MARKER: &str = "hunter2";
/// How many objects of each kind are generated: some seconds in a debug build.
const ROUNDS: u32 = 400;
/// The most fragments of one text.
const LENGTH: u64 = 14;

const FRAGMENTS: [&str; 56] = [
    "password",
    "PGPASSWORD",
    "token",
    "--password ",
    "--requirepass ",
    "-p",
    "-a ",
    "user",
    "name",
    "value",
    "key",
    "amqp://",
    "jdbc:x://",
    "a:b",
    "@",
    "@tcp(",
    "@(",
    ")",
    "=",
    ":",
    ": ",
    " = ",
    ";",
    ",",
    "\n",
    " ",
    "\u{a0}",
    "é",
    "\u{1f512}",
    "\"",
    "'",
    "`",
    "$",
    "${",
    "}",
    "{",
    "(",
    "[",
    "<password>",
    "</",
    "#",
    " # ",
    "//",
    "\\",
    "%",
    "?",
    "&",
    "-----BEGIN PRIVATE KEY-----",
    "eyJ",
    ".",
    "AKIA",
    "Authorization: Basic ",
    "IDENTIFIED BY ",
    "requirepass ",
    "mysql ",
    "redis-cli ",
];
const BEFORE: [&str; 5] = ["password=", "token: ", "--password=", "://a:", "\"password\": \""];
const AFTER: [&str; 5] = ["\n", ";\n", ",", "@h/x ", "\"\n"];

/// A small generator (xorshift64): the same texts in every run.
struct Generator(u64);

impl Generator {
    fn below(&mut self, bound: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound).unwrap()
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(LENGTH) {
            if self.below(6) == 0 {
                text += BEFORE[self.below(5)];
                text += MARKER;
                text += AFTER[self.below(5)];
            } else {
                text += FRAGMENTS[self.below(56)];
            }
        }
        text
    }
}

/// How many findings there are.
fn check(object: &Value) -> usize {
    let case = json!({"name": "generated", "object": object, "expect": {"verdict": "allow"}});
    let case: Case = from_value(case).unwrap();
    let outcome = run(&Erased::<CredentialsInPlainText>::NEW, &case).unwrap();
    let count = outcome.findings.len();
    let findings = Value::from(outcome.findings).to_string();
    assert!(!findings.contains(MARKER), "{object} has its secret told: {findings}");
    count
}

#[test]
fn no_text_makes_the_policy_panic_or_tell_a_secret() {
    let mut generator = Generator(0x5eed_1e55);
    let mut findings = 0;
    for _ in 0..ROUNDS {
        let mut text = || generator.text();
        findings += check(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "annotations": {"b": text()}},
            "data": {"a.conf": text(), "b.yaml": text(), "c.sh": text(), "d.js": text(), "password": text(), "e": text(), ".pgpass": text()}
        }));
        findings += check(&json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "spec": {"containers": [{
                "name": "a", "image": "redis", "command": ["sh", "-c", text()], "env": [{"name": "A", "value": text()}, {"name": "A_TOKEN", "value": text()}],
                "livenessProbe": {"exec": {"command": [text(), text(), text()]}}
            }, {"name": "b", "image": "nats", "args": [text(), text(), text()]}]}
        }));
    }
    assert!(findings > 1_000, "the texts hold secrets that are found, {findings} of them");
}
