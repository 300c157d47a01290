//! Type against keys: what each type of Secret must hold, and what an Opaque
//! one holds that has a type of its own.

use portcullis_certificates::PrivateKey;
use portcullis_sdk::{FieldPath, Level};

use crate::report::{About, Report};
use crate::rules::Rule;
use crate::{Judged, bootstrap, docker, tls, weak};

pub(crate) const TLS: &str = "kubernetes.io/tls";
pub(crate) const DOCKER_CONFIG_JSON: &str = "kubernetes.io/dockerconfigjson";
pub(crate) const DOCKERCFG: &str = "kubernetes.io/dockercfg";
pub(crate) const BASIC_AUTH: &str = "kubernetes.io/basic-auth";
pub(crate) const SSH_AUTH: &str = "kubernetes.io/ssh-auth";
pub(crate) const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";
pub(crate) const BOOTSTRAP_TOKEN: &str = "bootstrap.kubernetes.io/token";
pub(crate) const OPAQUE: &str = "Opaque";

/// The keys that each type is about.
pub(crate) const TLS_CERTIFICATE: &str = "tls.crt";
pub(crate) const TLS_KEY: &str = "tls.key";
pub(crate) const DOCKER_CONFIG_JSON_KEY: &str = ".dockerconfigjson";
pub(crate) const DOCKERCFG_KEY: &str = ".dockercfg";
/// Keys that must hold PEM: a placeholder there is reported as what it isn't.
pub(crate) const PEM_KEYS: [&str; 3] = [TLS_CERTIFICATE, TLS_KEY, SSH_KEY];
const SSH_KEY: &str = "ssh-privatekey";
const USER: &str = "username";
const PASSWORD: &str = "password";

/// Judges the Secret by its type.
pub(crate) fn judge(judged: &Judged<'_>, report: &mut Report<'_>) {
    encoding(judged, report);
    match judged.secret.kind.as_str() {
        "" | OPAQUE => opaque(judged, report),
        TLS => {
            if requires(judged, report, &[TLS_CERTIFICATE, TLS_KEY]) {
                tls::judge(judged, report);
            }
        }
        DOCKER_CONFIG_JSON => {
            if requires(judged, report, &[DOCKER_CONFIG_JSON_KEY]) {
                docker::judge(judged, report);
            }
        }
        DOCKERCFG => {
            if requires(judged, report, &[DOCKERCFG_KEY]) {
                docker::judge_legacy(judged, report);
            }
        }
        SSH_AUTH => {
            if requires(judged, report, &[SSH_KEY]) {
                ssh(judged, report);
            }
        }
        BASIC_AUTH => basic_auth(judged, report),
        BOOTSTRAP_TOKEN => bootstrap::judge(judged, report),
        _ => {}
    }
}

/// Every value of `data` is base64.
fn encoding(judged: &Judged<'_>, report: &mut Report<'_>) {
    for (key, value) in &judged.values.0 {
        // What SOPS encrypted is decrypted before it is applied, and then is base64.
        if value.bytes.is_none() && !weak::is_encrypted(&value.written) {
            report.say(
                Level::Deny,
                Rule::NotBase64,
                About::Key(key),
                judged.values,
                "isn't base64, and everything in `data` must be",
                "move it to `stringData`, where it may be plain text, or encode it",
            );
        }
    }
}

/// Whether the keys are there; reports those that aren't.
fn requires(judged: &Judged<'_>, report: &mut Report<'_>, keys: &[&str]) -> bool {
    let missing: Vec<&str> = keys.iter().copied().filter(|key| !judged.values.has(key)).collect();
    for key in &missing {
        let kind = &judged.secret.kind;
        report.say(
            Level::Deny,
            Rule::MissingKey,
            About::Key(key),
            judged.values,
            &format!("is missing, and a Secret of the type `{kind}` must have it"),
            &format!("add `{key}`, or leave the type out if the Secret is for something else"),
        );
    }
    missing.is_empty()
}

/// An Opaque Secret with the keys of a type.
fn opaque(judged: &Judged<'_>, report: &mut Report<'_>) {
    let holds = |key: &str| judged.values.bytes(key).is_some_and(|bytes| !bytes.is_empty());
    let type_of = [
        (holds(TLS_CERTIFICATE) && holds(TLS_KEY), TLS, TLS_KEY),
        (holds(DOCKER_CONFIG_JSON_KEY), DOCKER_CONFIG_JSON, DOCKER_CONFIG_JSON_KEY),
        (holds(DOCKERCFG_KEY), DOCKERCFG, DOCKERCFG_KEY),
    ];
    for (_, kind, key) in type_of.into_iter().filter(|(holds, _, _)| *holds) {
        report.say(
            Level::Deny,
            Rule::TypedKeysInOpaque,
            About::Key(key),
            judged.values,
            &format!("belongs to a Secret of the type `{kind}`, and this one is Opaque: nothing checks it, and what looks for that type passes it by"),
            &format!("make the Secret anew with `type: {kind}`; a Secret's type can't be changed"),
        );
    }
}

fn ssh(judged: &Judged<'_>, report: &mut Report<'_>) {
    let Some(bytes) = judged.values.bytes(SSH_KEY) else { return };
    if bytes.is_empty() {
        // The API server refuses an empty one as it refuses none.
        report.say(
            Level::Deny,
            Rule::MissingKey,
            About::Key(SSH_KEY),
            judged.values,
            "is empty, and a Secret of this type must have it",
            "put in the file of the private key",
        );
        return;
    }
    if let Err(fault) = PrivateKey::check_ssh(bytes) {
        let is_public = bytes.starts_with(b"ssh-") || bytes.starts_with(b"ecdsa-sha2-");
        let what = if is_public { "holds a public key, not the private one".to_owned() } else { fault.to_string() };
        report.say(
            Level::Deny,
            Rule::SshNotAKey,
            About::Key(SSH_KEY),
            judged.values,
            &format!("{what}, so no SSH client can use it"),
            "put in the whole file of the private key, such as `id_ed25519`, from its BEGIN to its END line",
        );
    }
}

/// The API server asks for one of the two; who logs in needs both.
fn basic_auth(judged: &Judged<'_>, report: &mut Report<'_>) {
    let has = |key| judged.values.has(key);
    let level = if has(USER) || has(PASSWORD) { Level::Warn } else { Level::Deny };
    for key in [USER, PASSWORD].into_iter().filter(|key| !has(key)) {
        report.say(
            level,
            Rule::MissingKey,
            About::Key(key),
            judged.values,
            "is missing, and a login needs it beside the other",
            "add it; for a credential without a name an Opaque Secret is the right one",
        );
    }
}

/// The place of the Secret's type.
pub(crate) fn type_path() -> FieldPath {
    FieldPath::root().field("type")
}

/// The place of the Secret's metadata.
pub(crate) fn metadata_path() -> FieldPath {
    FieldPath::root().field("metadata")
}
