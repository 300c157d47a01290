//! Placeholders and what everybody knows, wherever a value is a credential: by
//! its key's name, in a URL, or in a file of settings.

use portcullis_sdk::Level;

use crate::report::{About, Report};
use crate::rules::Rule;
use crate::types::{self, DOCKER_CONFIG_JSON_KEY, DOCKERCFG};
use crate::values::Value;
use crate::weak::{self, Weakness};
use crate::{Judged, entries, names};

/// A longer value is a document, and a line break at its end belongs to it.
const MAX_LINE_BYTES: usize = 256;

/// A shorter name may stand in a random credential by chance.
const MIN_USER_BYTES: usize = 3;

/// Where in a value a credential was found.
enum Found<'t> {
    Whole(&'t str),
    /// It only goes with a credential (`AWS_ACCESS_KEY_ID`), or is under a key that says nothing: its form alone counts.
    Beside(&'t str),
    Url(&'t str),
    Entry(String),
}

/// Judges every value.
pub(crate) fn judge(judged: &Judged<'_>, report: &mut Report<'_>) {
    if judged.secret.kind == DOCKERCFG {
        return;
    }
    for (key, value) in &judged.values.0 {
        if judged.settings.ignored_keys.contains(key) {
            continue;
        }
        // What isn't base64 may well be what somebody left in place of it.
        let Some(text) = value.text().or(value.bytes.is_none().then_some(value.written.as_str())) else { continue };
        let worst = found(key, text)
            .into_iter()
            .filter_map(|found| Some((weakness(&found, judged)?, found)))
            .max_by_key(|(weakness, _)| *weakness);
        match worst {
            Some((weakness, found)) => say(weakness, &found, key, judged, report),
            None if names::is_credential(key) && is_user_beside(text, judged) => {
                let message = "holds the name of the user that stands beside it, or that with a few digits behind it";
                let fix = "put in a random one: `openssl rand -base64 24`";
                report.say(Level::Deny, Rule::WeakValue, About::Key(key), judged.values, message, fix);
            }
            None if weak::holds_known_hash(text) => say(Weakness::KnownHash, &Found::Whole(text), key, judged, report),
            None => newline(key, value, judged, report),
        }
    }
}

/// Whether a credential is the name of a user in the same Secret, with or without digits and signs behind it.
fn is_user_beside(credential: &str, judged: &Judged<'_>) -> bool {
    let stem = |text: &str| text.trim().trim_end_matches(|c: char| !c.is_alphabetic()).to_lowercase();
    let credential = stem(credential);
    let users = judged.values.0.iter().filter(|(key, _)| names::is_user(key)).filter_map(|(_, value)| value.text());
    credential.len() >= MIN_USER_BYTES && users.map(stem).any(|user| user == credential)
}

/// Judges a credential that was read out of a value.
pub(crate) fn weak_part(part: &str, key: &str, judged: &Judged<'_>, report: &mut Report<'_>) {
    let found = Found::Entry(part.to_owned());
    if let Some(weakness) = weakness(&found, judged) {
        say(weakness, &found, key, judged, report);
    }
}

fn found<'t>(key: &str, text: &'t str) -> Vec<Found<'t>> {
    let mut found = Vec::new();
    if weak::is_encrypted(text) {
        return found;
    }
    if names::is_credential(key) || key == DOCKER_CONFIG_JSON_KEY {
        found.push(Found::Whole(text));
    } else if !types::PEM_KEYS.contains(&key) {
        found.push(Found::Beside(text));
    }
    found.extend(entries::url_passwords(text).into_iter().map(Found::Url));
    let credentials = entries::entries(text).into_iter().filter(|entry| names::is_credential(&entry.name));
    found.extend(credentials.map(|entry| Found::Entry(entry.value.into_owned())));
    found
}

fn weakness(found: &Found<'_>, judged: &Judged<'_>) -> Option<Weakness> {
    let credential = match found {
        Found::Beside(text) => return weak::is_placeholder_alone(text).then_some(Weakness::Placeholder),
        Found::Whole(text) | Found::Url(text) => text,
        Found::Entry(text) => text.as_str(),
    };
    weak::judge(credential, &judged.settings.weak_values)
}

fn say(weakness: Weakness, found: &Found<'_>, key: &str, judged: &Judged<'_>, report: &mut Report<'_>) {
    let within = match found {
        Found::Whole(_) | Found::Beside(_) => "",
        Found::Url(_) => "a URL with ",
        Found::Entry(_) => "an entry with ",
    };
    let (level, rule, message, fix) = match weakness {
        Weakness::Placeholder => (
            Level::Deny,
            Rule::Placeholder,
            format!("holds {within}a placeholder that somebody meant to replace"),
            "put in a random one: `openssl rand -base64 24`; a template has to be rendered first",
        ),
        Weakness::WellKnown => (
            Level::Deny,
            Rule::WeakValue,
            format!("holds {within}what is tried first by everybody who wants in"),
            "put in a random one: `openssl rand -base64 24`",
        ),
        Weakness::KnownHash => (
            Level::Warn,
            Rule::KnownHash,
            "holds a hash that is published together with what it stands for".to_owned(),
            "hash one of your own",
        ),
    };
    report.say(level, rule, About::Key(key), judged.values, &message, fix);
}

/// What is typed in or sent as it stands mustn't end in a line break.
fn newline(key: &str, value: &Value, judged: &Judged<'_>, report: &mut Report<'_>) {
    let Some(text) = value.text() else { return };
    let line = text.trim_end_matches(['\n', '\r']);
    let is_line = !line.is_empty() && line.len() <= MAX_LINE_BYTES && !line.contains('\n');
    if judged.settings.trailing_newline && is_line && line.len() < text.len() && names::is_spoilt_by_newline(key) {
        report.say(
            Level::Warn,
            Rule::TrailingNewline,
            About::Key(key),
            judged.values,
            "ends in a line break, which becomes part of what is sent",
            "make it with `printf` or `echo -n`, and in YAML with `|-` instead of `|`",
        );
    }
}
