//! The Secrets that `tls` names: there, of the right type, with a certificate
//! that covers the hosts and holds. Only under the setting `secrets`.
//!
//! Looked at from both sides: from the Ingress, and from the Secret that is made
//! or changed after it, so that the order of creation is no way round.
//! Invariant: of what a Secret holds nothing is said but for how long it holds.

use portcullis_certificates::{Certificate, Unreadable, decode_base64};
use portcullis_sdk::{Answer, FieldPath, Host, Level, Query, Review};

use crate::IngressTls;
use crate::explained::{self, Explained};
use crate::rules::Rule;
use crate::settings::Settings;
use crate::views::{Ingress, SECRET_NAME_KEY, Secret, Tls};

const TLS_TYPE: &str = "kubernetes.io/tls";
const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// What is wrong with a certificate for one entry of `tls`.
struct Fault {
    rule: Rule,
    level: Level,
    /// What follows "the Secret `x` …".
    message: String,
    /// The host that it is about, where it is about one.
    host: Option<String>,
    fix: &'static str,
}

/// Judges the Secrets that an Ingress names.
pub(crate) fn of_ingress(
    settings: &Settings,
    ingress: &Ingress,
    namespace: &str,
    host: &Host,
    review: &mut Review<IngressTls>,
) {
    let makes_it = matches!(explained::of(ingress, settings), Explained::CertManager(_));
    for (index, tls) in ingress.spec.tls.iter().enumerate().filter(|(_, tls)| !tls.secret_name.is_empty()) {
        let path = FieldPath::fields(["spec", "tls"]).index(index).field("secretName");
        let name = &tls.secret_name;
        match host.get_in::<Secret>(namespace, name) {
            Answer::Found(secret) => {
                for fault in faults(settings, ingress, tls, &secret, host) {
                    let subject =
                        fault.host.as_ref().map_or_else(|| format!("secret={name}"), |host| format!("host={host}"));
                    review
                        .find(fault.rule, fault.level, format!("the Secret `{name}` {}", fault.message))
                        .at(&path)
                        .subject(subject)
                        .value(name)
                        .fix(fault.fix);
                }
            }
            // cert-manager makes it from this very Ingress.
            Answer::Absent if makes_it => {}
            Answer::Absent => {
                review
                    .warn(
                        Rule::SecretAbsent,
                        format!("there is no Secret `{name}` in the namespace `{namespace}` of the Ingress"),
                    )
                    .at(&path)
                    .subject(format!("secret={name}"))
                    .value(name)
                    .fix(format!(
                        "make it there: `kubectl create secret tls {name} -n {namespace} --cert=FILE --key=FILE`"
                    ));
            }
            // The host sees to it that the review is undecided.
            Answer::Unknown(_) => {}
        }
    }
}

/// Judges a Secret for the Ingresses that name it.
pub(crate) fn of_secret(
    settings: &Settings,
    secret: &Secret,
    namespace: &str,
    host: &Host,
    review: &mut Review<IngressTls>,
) {
    let name = &secret.metadata.name;
    if name.is_empty() {
        return;
    }
    let referrers = host.list::<Ingress>(Query::all().within(namespace).key(SECRET_NAME_KEY, name));
    for ingress in &referrers.items {
        for tls in ingress.spec.tls.iter().filter(|tls| tls.secret_name == *name) {
            for fault in faults(settings, ingress, tls, secret, host) {
                let ingress = &ingress.metadata.name;
                let about = fault.host.as_ref().map_or_else(String::new, |host| format!(",host={host}"));
                let path = match fault.rule {
                    Rule::SecretType => FieldPath::root().field("type"),
                    _ => FieldPath::root().field("data").key("tls.crt"),
                };
                review
                    .find(
                        fault.rule,
                        fault.level,
                        format!("the Ingress `{ingress}` names this Secret, which {}", fault.message),
                    )
                    .at(&path)
                    .subject(format!("ingress={ingress}{about}"))
                    .fix(fault.fix);
            }
        }
    }
}

fn faults(settings: &Settings, ingress: &Ingress, tls: &Tls, secret: &Secret, host: &Host) -> Vec<Fault> {
    if secret.kind != TLS_TYPE {
        let kind = if secret.kind.is_empty() { "Opaque" } else { &secret.kind };
        return vec![Fault {
            rule: Rule::SecretType,
            level: Level::Deny,
            message: format!("is of the type `{kind}`, not `{TLS_TYPE}`"),
            host: None,
            fix: "make the Secret anew with `type: kubernetes.io/tls`",
        }];
    }
    let Some(bytes) = certificate(secret) else {
        return vec![unreadable(Level::Deny, "has no `tls.crt` that can be decoded".to_owned())];
    };
    let chain = match Certificate::chain(&bytes) {
        Ok(chain) => chain,
        // Clients may well follow what this policy can't.
        Err(Unreadable::Unfollowed) => {
            return vec![unreadable(Level::Warn, format!("{} in `tls.crt`", Unreadable::Unfollowed))];
        }
        Err(fault) => return vec![unreadable(Level::Deny, format!("has a `tls.crt` that can't be read: it {fault}"))],
    };
    let Some(leaf) = chain.first() else { return Vec::new() };
    let mut faults: Vec<Fault> =
        hosts(ingress, tls).into_iter().filter(|host| !leaf.covers(host)).map(|host| not_covered(leaf, host)).collect();
    faults.extend(expired(settings, leaf, host.now().seconds));
    faults
}

fn unreadable(level: Level, message: String) -> Fault {
    Fault {
        rule: Rule::CertificateUnreadable,
        level,
        message,
        host: None,
        fix: "put the certificate into `tls.crt` as PEM",
    }
}

fn not_covered(leaf: &Certificate, host: &str) -> Fault {
    let names = match leaf.dns_names.len() {
        0 => "it has no subject alternative name".to_owned(),
        1 => "its one name is another".to_owned(),
        count => format!("its {count} names are others"),
    };
    Fault {
        rule: Rule::HostNotCovered,
        level: Level::Deny,
        message: format!("has a certificate that doesn't cover `{host}`: {names}"),
        host: Some(host.to_owned()),
        fix: "request a certificate for this host, or name the Secret that has it",
    }
}

fn expired(settings: &Settings, leaf: &Certificate, now: u64) -> Option<Fault> {
    let margin = u64::from(settings.expiry_margin_days) * SECONDS_A_DAY;
    let days = |seconds: u64| seconds / SECONDS_A_DAY;
    let (level, message) = if leaf.not_after < now {
        (Level::Deny, format!("has a certificate that ran out {} days ago", days(now - leaf.not_after)))
    } else if leaf.not_after - now < margin {
        (Level::Warn, format!("has a certificate that runs out in {} days", days(leaf.not_after - now)))
    } else {
        return None;
    };
    Some(Fault { rule: Rule::CertificateExpired, level, message, host: None, fix: "renew the certificate" })
}

/// The hosts that an entry's certificate must cover: those it names, else those of the rules.
fn hosts<'i>(ingress: &'i Ingress, tls: &'i Tls) -> Vec<&'i str> {
    if !tls.hosts.is_empty() {
        return tls.hosts.iter().map(String::as_str).collect();
    }
    let mut hosts: Vec<&str> =
        ingress.spec.rules.iter().map(|rule| rule.host.as_str()).filter(|host| !host.is_empty()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    // Another entry may see to it.
    hosts.retain(|host| {
        !ingress
            .spec
            .tls
            .iter()
            .any(|other| other.hosts.iter().any(|named| portcullis_certificates::host::covers(named, host)))
    });
    hosts
}

fn certificate(secret: &Secret) -> Option<Vec<u8>> {
    match (&secret.string_data.certificate, &secret.data.certificate) {
        (Some(text), _) => Some(text.clone().into_bytes()),
        (None, Some(encoded)) => decode_base64(encoded),
        (None, None) => None,
    }
}
