//! Logins to registries: `.dockerconfigjson`, and the legacy `.dockercfg`.
//!
//! What counts is what the kubelet reads (`pkg/credentialprovider/config.go`):
//! `auths`, and in each entry `auth` or `username` and `password`.

use portcullis_certificates::decode_base64;
use portcullis_sdk::Level;
use serde_json::{Map, Value};

use crate::credentials;
use crate::report::{About, Report};
use crate::rules::Rule;
use crate::types::{DOCKER_CONFIG_JSON_KEY, DOCKERCFG_KEY, type_path};
use crate::{Judged, weak};

const FIX: &str = "let `kubectl create secret docker-registry` write it";

/// Judges `.dockerconfigjson`, which is there.
pub(crate) fn judge(judged: &Judged<'_>, report: &mut Report<'_>) {
    let Some(bytes) = judged.values.bytes(DOCKER_CONFIG_JSON_KEY) else { return };
    let Some(config) = object(bytes) else {
        // A placeholder is the better name for it, and is reported as one.
        let is_placeholder =
            std::str::from_utf8(bytes).ok().and_then(|text| weak::judge(text, &judged.settings.weak_values)).is_some();
        if !is_placeholder {
            say(judged, report, Level::Deny, "isn't a JSON object");
        }
        return;
    };
    match config.get("auths") {
        Some(Value::Object(auths)) if auths.is_empty() => {
            say(judged, report, Level::Warn, "has no entry in `auths`: it logs in nowhere");
        }
        Some(Value::Object(auths)) => logins(auths, judged, report),
        Some(_) => say(judged, report, Level::Deny, "has something in `auths` that isn't an object"),
        None if config.values().any(|entry| entry.get("auth").is_some()) => {
            say(
                judged,
                report,
                Level::Deny,
                "has the registries at its top, as the legacy `.dockercfg` has; here they belong below `auths`",
            );
        }
        None => {
            say(judged, report, Level::Deny, "has no `auths`; helpers and stores for credentials don't exist on a node")
        }
    }
}

/// Judges `.dockercfg`, which is there: that it is so old is all that counts, as long as it can be read.
pub(crate) fn judge_legacy(judged: &Judged<'_>, report: &mut Report<'_>) {
    report.say(
        Level::Warn,
        Rule::LegacyDockercfg,
        About::Field("type", &type_path()),
        judged.values,
        "is `kubernetes.io/dockercfg`, the legacy one for registry logins",
        "make a Secret of the type `kubernetes.io/dockerconfigjson`, with `auths`",
    );
    if let Some(bytes) = judged.values.bytes(DOCKERCFG_KEY)
        && object(bytes).is_none()
    {
        report.say(
            Level::Deny,
            Rule::DockerConfig,
            About::Key(DOCKERCFG_KEY),
            judged.values,
            "isn't a JSON object",
            FIX,
        );
    }
}

fn logins(auths: &Map<String, Value>, judged: &Judged<'_>, report: &mut Report<'_>) {
    for (index, entry) in auths.values().enumerate() {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let number = index + 1;
        match (text("auth"), text("username"), text("password")) {
            (Some(auth), _, _) => match password_of(auth) {
                Some(password) => {
                    report.hide(&password);
                    credentials::weak_part(&password, DOCKER_CONFIG_JSON_KEY, judged, report);
                }
                None => say(
                    judged,
                    report,
                    Level::Deny,
                    &format!(
                        "has an `auth` in entry {number} of `auths` that isn't base64 of a name, a colon and what belongs to it"
                    ),
                ),
            },
            // `password` alone is found by its name (`credentials`).
            (None, Some(_), Some(_)) => {}
            _ if text("identitytoken").is_some() || text("registrytoken").is_some() => {}
            _ => say(judged, report, Level::Warn, &format!("has no login in entry {number} of `auths`")),
        }
    }
}

fn password_of(auth: &str) -> Option<String> {
    let login = String::from_utf8(decode_base64(auth)?).ok()?;
    let (user, password) = login.split_once(':')?;
    (!user.is_empty() && !password.is_empty()).then(|| password.trim_matches('\0').to_owned())
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(bytes).ok()
}

fn say(judged: &Judged<'_>, report: &mut Report<'_>, level: Level, message: &str) {
    report.say(level, Rule::DockerConfig, About::Key(DOCKER_CONFIG_JSON_KEY), judged.values, message, FIX);
}
