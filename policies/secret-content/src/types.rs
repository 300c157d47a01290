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

/// Judges what a type is about, once its keys are there.
type Judge = fn(&Judged<'_>, &mut Report<'_>);

/// Judges the Secret by its type.
pub(crate) fn judge(judged: &Judged<'_>, report: &mut Report<'_>) {
    encoding(judged, report);
    let (keys, judge): (&[&str], Judge) = match judged.secret.kind.as_str() {
        "" | OPAQUE => (&[], opaque),
        TLS => (&[TLS_CERTIFICATE, TLS_KEY], tls::judge),
        DOCKER_CONFIG_JSON => (&[DOCKER_CONFIG_JSON_KEY], docker::judge),
        DOCKERCFG => (&[DOCKERCFG_KEY], docker::judge_legacy),
        SSH_AUTH => (&[SSH_KEY], ssh),
        BASIC_AUTH => (&[], basic_auth),
        BOOTSTRAP_TOKEN => (&[], bootstrap::judge),
        _ => return,
    };
    if requires(judged, report, keys) {
        judge(judged, report);
    }
}

/// Every value is text, and that of `data` base64.
fn encoding(judged: &Judged<'_>, report: &mut Report<'_>) {
    for (field, held) in [("data", &judged.secret.data), ("stringData", &judged.secret.string_data)] {
        if !held.is_object() && !held.is_null() {
            let path = FieldPath::root().field(field);
            let message = "isn't a map of keys and texts, so the API server refuses it";
            report.say(
                Level::Deny,
                Rule::NotText,
                About::Field(field, &path),
                judged.values,
                message,
                "write a key and its text on a line each",
            );
        }
    }
    for (key, value) in &judged.values.0 {
        let about = About::Key(key);
        if !value.is_text {
            let message = "is a number, a boolean or a structure, and the API server takes only text";
            report.say(Level::Deny, Rule::NotText, about, judged.values, message, "put it in quotes");
        // What SOPS encrypted is decrypted before it is applied, and then is base64.
        } else if value.bytes.is_none() && !weak::is_encrypted(&value.written) {
            let message = "isn't base64, and everything in `data` must be";
            let fix = "move it to `stringData`, where it may be plain text, or encode it";
            report.say(Level::Deny, Rule::NotBase64, about, judged.values, message, fix);
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
