//! The program itself: exit codes, messages, signals.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::Value;

use super::fixture::{client, eventually, post, probe, review};

fn portcullis() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PORTCULLIS_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = portcullis().args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A running server, ended with the test.
struct Serving {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    fn start(arguments: &[&str]) -> Serving {
        let mut command = portcullis();
        command
            .args(["serve", "--address", "127.0.0.1", "--port", "0", "--metrics-port", "0", "--log-format", "json"])
            .args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Serving { child, log }
    }

    /// The next log line with this message.
    fn line(&mut self, message: &str) -> Value {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the log ended before {message:?}:\n{seen}");
            let value: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if value["message"] == message {
                return value;
            }
            seen.push_str(&line);
        }
    }

    fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }
}

#[test]
fn alone_it_prints_help_and_wrong_use_ends_with_2_and_one_clear_message() {
    let (_, _, help) = run(&[]);
    for word in ["serve", "check", "policies", "Usage"] {
        assert!(help.contains(word), "{help}");
    }
    let (code, help, _) = run(&["serve", "--help"]);
    assert_eq!(code, Some(0));
    for word in
        ["Answer admission reviews over HTTPS", "Certificates:", "Limits:", "[default: 8443]", "PORTCULLIS_TLS_CERT"]
    {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    for (arguments, expected) in [
        (&["serve", "--prot", "1"][..], "--port"),
        (&["serve", "--idle-timeout", "10s"], "--idle-timeout is 10 s"),
        (&["serve", "--tls-cert", "none.pem", "--tls-key", "none.pem"], "can't read none.pem"),
        (&["serve", "--policy", "/no/such/folder"], "no such file or folder"),
        (&["serve", "--cluster", "/no/such/folder"], "--cluster"),
        (&["serve", "--config", "/no/such/file"], "can't read the configuration file"),
        (&["serve", "--log", "a=b=c"], "log filter"),
    ] {
        let (code, _, message) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_the_built_in_policies_and_ends_with_0_after_sigterm() {
    let mut serving = Serving::start(&["--drain-delay", "200ms"]);
    let listening = serving.line("listening");
    let address = |name: &str| -> SocketAddr { listening[name].as_str().unwrap().parse().unwrap() };
    let (webhook, probes) = (address("address"), address("probes"));
    let in_use = serving.line("policies in use");
    let documents = portcullis_bundle::BASELINE.documents.matches("kind: ClusterPolicy").count();
    assert_eq!((&in_use["loaded"], &in_use["broken"]), (&documents.into(), &0.into()));
    eventually("ready", async || probe(probes, "/readyz").await.0 == 200).await;

    let mut stdout = BufReader::new(serving.child.stdout.take().unwrap());
    let mut ca = String::new();
    while !ca.contains("caBundle: ") {
        assert!(stdout.read_line(&mut ca).unwrap() > 0, "{ca}");
    }
    // Together, so that the client is gone before the drain begins.
    {
        let client = client(&ca).build().unwrap();
        let reply = post(&client, &format!("https://{webhook}/validate/fail?timeout=5s"), review("v1", "u-1")).await;
        assert!(reply.allowed("u-1"));
    }
    let decision = serving.line("decision");
    assert_eq!(
        (&decision["uid"], &decision["kind"], &decision["user"], &decision["allowed"]),
        (&"u-1".into(), &"ConfigMap".into(), &"alice".into(), &true.into())
    );
    serving.signal("TERM");
    serving.line("drained: every call was answered");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut serving = Serving::start(&["--drain-delay", "60s"]);
    serving.line("policies in use");
    serving.signal("TERM");
    serving.line("draining: not ready any more, still answering");
    serving.signal("INT");
    assert_eq!(serving.child.wait().unwrap().code(), Some(143));
    let mut rest = String::new();
    serving.log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("second signal"), "{rest}");
}
