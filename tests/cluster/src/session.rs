//! Sessions: what a person types and what the terminal shows, as a text that is a test.
//!
//! ```text
//! # Node-local storage for a database.
//! $ kubectl apply -f wrong/mongo.yaml
//! Error from server: …
//! (exit code 1)
//!
//! $ audit create statefulsets mongo
//! database-remote-storage.datastore: mongo=mongodb
//! ```
//!
//! Where several webhooks deny a write, the API server asks them side by side and
//! shows the denial that came first; a line [`OR`] stands between those that may be shown.
//!
//! The commands are `kubectl`, run in the session's folder, and `audit`, which
//! shows what the policies noted in the API server's audit log. `BLESS=1` writes
//! down what was shown. What can't be blessed: a command that names a file under
//! `wrong/` is refused or warned of, one under `right/` is neither.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::{Cluster, Kubectl, Said, wait_for};

/// The file of a session in its folder.
const FILE: &str = "session.txt";
/// Between what may be shown and what else may be.
const OR: &str = "(or)\n";
/// How long a command that `until` waits with may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One command and what it showed.
struct Step {
    /// Comment lines and blank ones before it.
    before: String,
    command: String,
    shown: String,
}

impl Step {
    /// Whether this is written down, by itself or among others.
    fn shows(&self, shown: &str) -> bool {
        self.shown.split(OR).any(|one| one == shown)
    }
}

/// Plays the session of a folder.
///
/// # Errors
/// What was shown isn't what is written down, command by command.
///
/// # Panics
/// The folder has no session.
pub fn play(cluster: &Cluster, folder: &Path) -> Result<(), String> {
    let file = folder.join(FILE);
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (steps, rest) = steps(&text);
    let kubectl = cluster.kubectl_of(crate::ADMIN).inside(folder);
    let (mut played, mut wrong) = (String::new(), String::new());
    for step in steps {
        let (shown, complaint) = run(cluster, &kubectl, &step.command);
        if let Some(complaint) = complaint {
            wrong.push_str(&format!("$ {}\n{shown}{complaint}\n", step.command));
        } else if !step.shows(&shown) {
            wrong.push_str(&format!("$ {}\nexpected:\n{}shown:\n{shown}\n", step.command, step.shown));
        }
        let kept = if step.shows(&shown) { &step.shown } else { &shown };
        played.push_str(&format!("{}$ {}\n{kept}", step.before, step.command));
    }
    played.push_str(&rest);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, played).expect("the session is written");
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}:\n{wrong}", file.display())) }
}

fn steps(text: &str) -> (Vec<Step>, String) {
    let mut steps: Vec<Step> = Vec::new();
    let mut before = String::new();
    // Whether lines still belong to what the last command showed.
    let mut showing = false;
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { before: std::mem::take(&mut before), command: command.to_owned(), shown: String::new() });
            showing = true;
        } else if showing && !line.is_empty() && !line.starts_with('#') {
            let shown = &mut steps.last_mut().expect("a command").shown;
            shown.push_str(line);
            shown.push('\n');
        } else {
            showing = false;
            before.push_str(line);
            before.push('\n');
        }
    }
    (steps, before)
}

/// What a command shows, and what is wrong with that however it is written down.
fn run(cluster: &Cluster, kubectl: &Kubectl, command: &str) -> (String, Option<String>) {
    let words = words(command);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["kubectl", arguments @ ..] => {
            let said = kubectl.run(arguments, "");
            let complaint = complaint(command, &said);
            (shown(&said), complaint)
        }
        ["audit", verb, resource, name] => (annotations(cluster, verb, resource, name), None),
        ["until", "kubectl", arguments @ ..] => {
            let mut said = kubectl.run(arguments, "");
            wait_for(command, PATIENCE, || {
                let done = said.well();
                if !done {
                    said = kubectl.run(arguments, "");
                }
                done
            });
            (shown(&said), complaint(command, &said))
        }
        _ => (
            String::new(),
            Some("a session knows `kubectl`, `until kubectl` and `audit VERB RESOURCE NAME`".to_owned()),
        ),
    }
}

fn complaint(command: &str, said: &Said) -> Option<String> {
    let judged = said.denied() || !said.warnings().is_empty();
    let what = if command.contains("wrong/") && !judged {
        "a wrong object passed"
    } else if command.contains("right/") && (judged || !said.well()) {
        "a right object was judged"
    } else if said.errors.contains("failed calling webhook") {
        "a webhook call failed"
    } else {
        return None;
    };
    Some(what.to_owned())
}

/// Blank lines would end it in the file.
fn shown(said: &Said) -> String {
    let mut shown: String =
        said.all().lines().filter(|line| !line.trim().is_empty()).fold(String::new(), |text, line| text + line + "\n");
    if said.code != 0 {
        shown.push_str(&format!("(exit code {})\n", said.code));
    }
    shown
}

/// What the webhooks noted beside the newest such write, without their names in front.
fn annotations(cluster: &Cluster, verb: &str, resource: &str, name: &str) -> String {
    let event = cluster.audit_event(verb, resource, name);
    let Some(annotations) = event["annotations"].as_object() else { return String::new() };
    let mut lines: Vec<String> = Vec::new();
    for (key, value) in annotations {
        // Of the API server itself: `authorization.k8s.io/decision`, `mutation.webhook.admission.k8s.io/round_0_index_0`.
        let Some((webhook, key)) = key.split_once('/') else { continue };
        if webhook.ends_with(".portcullis.dev") {
            lines.push(format!("{key}: {}\n", value.as_str().unwrap_or_default()));
        }
    }
    lines.sort();
    lines.concat()
}

/// Words as a shell has them: single quotes keep what is between them.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in command.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().expect("never empty").push(character),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::{steps, words};

    #[test]
    fn a_session_is_read_as_it_is_written() {
        let text = "# why\n$ kubectl get pods\nnone\n(exit code 1)\n\n# and\n$ kubectl version\n\n# end\n";
        let (steps, rest) = steps(text);
        let again: String =
            steps.iter().map(|step| format!("{}$ {}\n{}", step.before, step.command, step.shown)).collect();
        assert_eq!(again + &rest, text);
        assert_eq!(steps[0].shown, "none\n(exit code 1)\n");
    }

    #[test]
    fn any_of_several_denials_may_be_shown() {
        let (steps, _) = steps("$ kubectl apply\nthe first\n(exit code 1)\n(or)\nthe second\n(exit code 1)\n");
        assert!(steps[0].shows("the first\n(exit code 1)\n") && steps[0].shows("the second\n(exit code 1)\n"));
        assert!(!steps[0].shows("the first\n") && !steps[0].shows(""));
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(words("patch x  -p '{\"a\": 1}'"), ["patch", "x", "-p", "{\"a\": 1}"]);
    }
}
