//! `bootstrap.kubernetes.io/token`: what a node joins the cluster with.
//!
//! What the cluster reads of it: `pkg/controller/bootstrap` and
//! `plugin/pkg/auth/authenticator/token/bootstrap` of Kubernetes.

use portcullis_certificates::instant;
use portcullis_sdk::{FieldPath, Level};

use crate::report::{About, Report};
use crate::rules::Rule;
use crate::{Judged, SECONDS_A_DAY, days};

/// Where these Secrets live, and nowhere else.
pub(crate) const NAMESPACE: &str = "kube-system";
const NAME_PREFIX: &str = "bootstrap-token-";
const ID: &str = "token-id";
const SECRET: &str = "token-secret";
const EXPIRATION: &str = "expiration";
const USAGE_PREFIX: &str = "usage-bootstrap-";
/// The usages that Kubernetes knows.
const USAGES: [&str; 2] = ["usage-bootstrap-authentication", "usage-bootstrap-signing"];
const GROUPS: &str = "auth-extra-groups";
const GROUP_PREFIX: &str = "system:bootstrappers:";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 16;

/// Judges the Secret.
pub(crate) fn judge(judged: &Judged<'_>, report: &mut Report<'_>) {
    place(judged, report);
    parts(judged, report);
    usages(judged, report);
    expiration(judged, report);
}

/// It lives in kube-system and is named after its id.
fn place(judged: &Judged<'_>, report: &mut Report<'_>) {
    let metadata = FieldPath::root().field("metadata");
    if judged.request.attributes.namespace.as_deref().is_some_and(|namespace| namespace != NAMESPACE) {
        report.say(
            Level::Deny,
            Rule::BootstrapToken,
            About::Field("namespace", &metadata.field("namespace")),
            judged.values,
            "isn't kube-system, the only one in which the cluster looks for it",
            "make it in kube-system",
        );
    }
    let name = &judged.secret.metadata.name;
    let id = name.strip_prefix(NAME_PREFIX);
    let is_named_after = judged.values.text(ID).is_none_or(|held| id == Some(held));
    if !name.is_empty() && (id.is_none() || !is_named_after) {
        report.say(
            Level::Deny,
            Rule::BootstrapToken,
            About::Field("name", &metadata.field("name")),
            judged.values,
            "isn't `bootstrap-token-` followed by its id, by which it is found",
            "name it so; `kubeadm token create` does",
        );
    }
}

/// Id and secret have their exact form.
fn parts(judged: &Judged<'_>, report: &mut Report<'_>) {
    for (key, bytes) in [(ID, ID_BYTES), (SECRET, SECRET_BYTES)] {
        let fault = match judged.values.0.get(key) {
            None => "is missing".to_owned(),
            Some(value) if value.bytes.is_none() => continue,
            Some(value) if value.text().is_some_and(|text| has_form(text, bytes)) => continue,
            Some(_) => format!("isn't {bytes} lower-case letters and digits"),
        };
        say(judged, report, key, &fault, "let `kubeadm token generate` make one");
    }
    if let Some(groups) = judged.values.text(GROUPS)
        && !groups.split(',').all(is_group)
    {
        say(
            judged,
            report,
            GROUPS,
            "names a group that doesn't begin with `system:bootstrappers:`, and is ignored as a whole",
            "name groups such as `system:bootstrappers:kubeadm:default-node-token`",
        );
    }
}

fn usages(judged: &Judged<'_>, report: &mut Report<'_>) {
    let set: Vec<&str> =
        judged.values.0.keys().map(String::as_str).filter(|key| key.starts_with(USAGE_PREFIX)).collect();
    for key in &set {
        if !USAGES.contains(key) {
            say(
                judged,
                report,
                key,
                "is a usage that Kubernetes doesn't know",
                "use `usage-bootstrap-authentication` and `usage-bootstrap-signing`",
            );
        } else if judged.values.text(key).is_none_or(|value| value != "true" && value != "false") {
            say(judged, report, key, "counts only if it is exactly `true`", "write `\"true\"`, or leave it out");
        }
    }
    if !set.iter().any(|key| USAGES.contains(key) && judged.values.text(key) == Some("true")) {
        report.say(
            Level::Warn,
            Rule::BootstrapToken,
            About::Field("usage", &FieldPath::root().field("data")),
            judged.values,
            "is set by no key, so it can neither log in nor sign",
            "set `usage-bootstrap-authentication`, `usage-bootstrap-signing` or both to `\"true\"`",
        );
    }
}

fn expiration(judged: &Judged<'_>, report: &mut Report<'_>) {
    let near = format!("let it end within {} days; a day is enough to join", judged.settings.bootstrap_token_days);
    let Some(written) = judged.values.text(EXPIRATION) else {
        if !judged.values.has(EXPIRATION) {
            let message = "is missing, so it lives for ever, and who has it can add nodes";
            report.say(Level::Warn, Rule::BootstrapLifetime, About::Key(EXPIRATION), judged.values, message, &near);
        }
        return;
    };
    let Some(end) = instant::seconds(written) else {
        say(
            judged,
            report,
            EXPIRATION,
            "isn't a point in time as RFC 3339 writes it, and then it counts as run out",
            "write it with its zone, such as a date, `T`, a time and `Z`",
        );
        return;
    };
    if end <= judged.now {
        let message =
            format!("is {} ago, so it is deleted at once and no node can join with it", days(judged.now - end));
        report.say(
            Level::Deny,
            Rule::BootstrapExpired,
            About::Key(EXPIRATION),
            judged.values,
            &message,
            "make a new one: `kubeadm token create --ttl 24h`",
        );
    } else if end - judged.now > u64::from(judged.settings.bootstrap_token_days) * SECONDS_A_DAY {
        let message = format!("is {} ahead, and until then who has it can add nodes", days(end - judged.now));
        report.say(Level::Warn, Rule::BootstrapLifetime, About::Key(EXPIRATION), judged.values, &message, &near);
    }
}

fn has_form(text: &str, bytes: usize) -> bool {
    text.len() == bytes && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// As `BootstrapGroupPattern` has it: letters, digits, colons and dashes, the last of them no sign.
fn is_group(group: &str) -> bool {
    let rest = group.strip_prefix(GROUP_PREFIX).unwrap_or_default();
    let is_sign = |byte: &u8| matches!(byte, b':' | b'-');
    rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || is_sign(&byte))
        && rest.as_bytes().last().is_some_and(|last| !is_sign(last))
}

fn say(judged: &Judged<'_>, report: &mut Report<'_>, key: &str, message: &str, fix: &str) {
    report.say(Level::Deny, Rule::BootstrapToken, About::Key(key), judged.values, message, fix);
}
