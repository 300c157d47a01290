//! Golden AdmissionReviews: requests as files in `golden/`, sent to a server
//! over TLS, and what it answered, byte for byte. `BLESS=1` writes the answers.
//!
//! A request has a `body` (JSON), a `text` (as it stands, with
//! `{{repeat N "…"}}` for N times a text and `{{fill N}}` for as many `x` as make
//! the body N bytes long), or `base64`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis_tests::workspace_root;
use serde::{Deserialize, Serialize};

use crate::server::TestServer;

/// How many there have to be: a folder that isn't found would pass.
const AT_LEAST: usize = 150;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    #[serde(default)]
    note: String,
    request: Request,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    /// `1.1` or `2`, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Answer {
    status: u16,
    /// JSON where it is JSON; a patch is shown decoded beside it.
    body: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patch: Option<serde_json::Value>,
}

#[tokio::test(flavor = "multi_thread")]
async fn golden_reviews_are_answered_as_written() {
    let folder = workspace_root().join("tests/golden");
    let server = TestServer::start(Some(&folder.join("setup/policies.yaml")), &folder.join("setup/cluster.yaml")).await;
    let files = files(&folder);
    assert!(files.len() >= AT_LEAST, "only {} golden reviews in {}", files.len(), folder.display());
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a golden review");
        let mut golden: Golden =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let answer = Some(send(&server, &golden.request).await);
        if golden.answer == answer {
            continue;
        }
        if bless {
            golden.answer = answer;
            let text = serde_json::to_string_pretty(&golden).expect("JSON");
            fs::write(&file, text + "\n").expect("the golden review is written");
        } else {
            wrong.push(format!(
                "{} ({}):\n  expected {:?}\n  found    {answer:?}",
                file.display(),
                golden.note,
                golden.answer
            ));
        }
    }
    server.running.shutdown().await;
    assert!(
        wrong.is_empty(),
        "{} golden reviews are answered otherwise (BLESS=1 rewrites them):\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn send(server: &TestServer, request: &Request) -> Answer {
    let client = if request.http.as_deref() == Some("1.1") { &server.http1 } else { &server.http2 };
    let method = request.method.parse().expect("a method");
    let mut call = client
        .request(method, server.url(&request.path))
        .header("content-type", "application/json")
        .body(body(request));
    for (name, value) in &request.headers {
        call = call.header(name, value);
    }
    let response = call.send().await.unwrap_or_else(|error| panic!("{}: {error:?}", request.path));
    let status = response.status().as_u16();
    let text = response.text().await.expect("an answer's body");
    let body = serde_json::from_str::<serde_json::Value>(&text).unwrap_or(serde_json::Value::String(text));
    let patch =
        body["response"]["patch"].as_str().map(|patch| BASE64_STANDARD.decode(patch).expect("a patch is base64"));
    let patch = patch.map(|patch| serde_json::from_slice(&patch).expect("a patch is JSON"));
    Answer { status, body, patch }
}

fn body(request: &Request) -> Vec<u8> {
    if let Some(base64) = &request.base64 {
        return BASE64_STANDARD.decode(base64).expect("base64");
    }
    match (&request.body, &request.text) {
        (Some(body), None) => body.to_string().into_bytes(),
        (None, Some(text)) => expand(text).into_bytes(),
        (None, None) => Vec::new(),
        (Some(_), Some(_)) => panic!("a golden review has a body or a text"),
    }
}

fn expand(text: &str) -> String {
    let mut output = String::new();
    let mut rest = text;
    let mut fill = None;
    while let Some((before, after)) = rest.split_once("{{") {
        output.push_str(before);
        // Braces in a repeated text are written as \u007b and \u007d.
        let (directive, after) = after.split_once("}}").expect("}} closes {{");
        match directive.split_once(' ').expect("a directive and its number") {
            ("repeat", arguments) => {
                let (count, repeated) = arguments.split_once(' ').expect("a number and a text");
                let repeated: String =
                    serde_json::from_str(repeated).unwrap_or_else(|error| panic!("{repeated}: {error}"));
                output.push_str(&repeated.repeat(count.parse().expect("a number")));
            }
            ("fill", size) => fill = Some((output.len(), size.parse::<usize>().expect("a number"))),
            (other, _) => panic!("unknown directive {other}"),
        }
        rest = after;
    }
    output.push_str(rest);
    if let Some((at, size)) = fill {
        output.insert_str(at, &"x".repeat(size - output.len()));
    }
    output
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
}

#[test]
fn directives_repeat_and_fill() {
    assert_eq!(expand(r#"a{{repeat 3 "b"}}c"#), "abbbc");
    assert_eq!(expand("a{{fill 5}}c"), "axxxc");
}
