//! Whether each host of an Ingress is covered by its `tls`.

use portcullis_certificates::host;
use portcullis_sdk::{FieldPath, Review};

use crate::IngressTls;
use crate::explained::{self, Explained};
use crate::rules::Rule;
use crate::settings::Settings;
use crate::views::Ingress;

/// What serves traffic, by the name that it answers to.
struct Served<'i> {
    /// Empty for every name.
    host: &'i str,
    path: FieldPath,
}

/// Judges the Ingress by itself.
pub(crate) fn judge(settings: &Settings, ingress: &Ingress, review: &mut Review<IngressTls>) {
    entries(settings, ingress, review);
    if settings.redirect
        && !ingress.spec.tls.is_empty()
        && let Some(name) = explained::redirect_off(ingress)
    {
        review
            .warn(Rule::RedirectOff, format!("the annotation `{name}` lets plain HTTP stay open beside HTTPS"))
            .at(&FieldPath::fields(["metadata", "annotations"]).key(name))
            .subject(format!("annotation={name}"))
            .fix("remove the annotation");
    }
    if settings.require_host {
        for (index, _) in ingress.spec.rules.iter().enumerate().filter(|(_, rule)| rule.host.is_empty()) {
            without_host(review, &rule_path(index), "the rule names no host, so it answers to every name");
        }
    }
    hosts(settings, ingress, review);
}

/// Each entry of `tls` names what it must.
fn entries(settings: &Settings, ingress: &Ingress, review: &mut Review<IngressTls>) {
    let cert_manager = match explained::of(ingress, settings) {
        Explained::CertManager(annotation) => Some(annotation),
        _ => None,
    };
    for (index, tls) in ingress.spec.tls.iter().enumerate() {
        let path = FieldPath::fields(["spec", "tls"]).index(index);
        let mut hosts: Vec<&str> = tls.hosts.iter().map(String::as_str).collect();
        hosts.sort_unstable();
        let subject = format!("tls={}", if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") });
        let missing = match (tls.hosts.is_empty(), tls.secret_name.is_empty()) {
            (_, true) => "secretName",
            (true, false) => "hosts",
            (false, false) => continue,
        };
        if let Some(annotation) = cert_manager {
            review
                .warn(
                    Rule::CertManagerIncomplete,
                    format!("the annotation `{annotation}` asks cert-manager for a certificate, and this entry of `tls` has no `{missing}` to make it by"),
                )
                .at(&path)
                .subject(subject)
                .fix("name `hosts` and `secretName`; cert-manager makes the Secret");
        } else if missing == "secretName" && !settings.default_certificate {
            review
                .warn(
                    Rule::NoSecretName,
                    "this entry of `tls` names no Secret, so the controller serves its default certificate",
                )
                .at(&path)
                .subject(subject)
                .fix("name the Secret with the certificate in `secretName`");
        }
    }
}

fn hosts(settings: &Settings, ingress: &Ingress, review: &mut Review<IngressTls>) {
    let uncovered: Vec<Served<'_>> = served(ingress)
        .into_iter()
        .filter(|served| !is_covered(ingress, served.host) && !is_plain(settings, served.host))
        .collect();
    if uncovered.is_empty() {
        return;
    }
    let explained = explained::of(ingress, settings);
    if let Explained::LoadBalancer(_) = explained {
        return;
    }
    let is_challenge = explained::is_acme_challenge(ingress);
    for Served { host, path } in uncovered {
        let name = if host.is_empty() { "every host".to_owned() } else { format!("`{host}`") };
        let subject = format!("host={}", if host.is_empty() { "*" } else { host });
        if host.is_empty() && !ingress.spec.tls.is_empty() {
            // The named hosts are covered; who comes by another name is served without a certificate for it.
            if !settings.require_host {
                without_host(
                    review,
                    &path,
                    "what is served here answers to every host, and `tls` covers only those that it names",
                );
            }
            continue;
        }
        let finding = match &explained {
            _ if is_challenge => review.warn(
                Rule::AcmeChallenge,
                format!("{name} is served without TLS, and only with the challenges of ACME; remove the Ingress once the certificate is there"),
            ),
            Explained::MaybeElsewhere(annotation) => review.warn(
                Rule::TlsElsewhere,
                format!("`spec.tls` doesn't cover {name}; the annotation `{annotation}` names a certificate, beside which plain HTTP stays open"),
            ),
            Explained::CertManager(annotation) => review.deny(
                Rule::NoTls,
                format!("{name} isn't covered by `spec.tls`, so cert-manager, which the annotation `{annotation}` asks, makes no certificate for it"),
            ),
            Explained::Nothing | Explained::LoadBalancer(_) => {
                review.deny(Rule::NoTls, format!("{name} is served without TLS: no entry of `spec.tls` covers it"))
            }
        };
        let entry = if host.is_empty() {
            "an entry with `secretName`".to_owned()
        } else {
            format!("an entry with `hosts: [{host}]` and `secretName`")
        };
        finding.at(&path).subject(subject).fix(format!("add {entry} to `spec.tls`"));
    }
}

fn without_host(review: &mut Review<IngressTls>, path: &FieldPath, message: &str) {
    review.warn(Rule::RuleWithoutHost, message).at(path).subject("host=*").fix("name the host in `host`");
}

/// The hosts that are served, each once; without any rule what the default backend serves.
fn served(ingress: &Ingress) -> Vec<Served<'_>> {
    let mut served: Vec<Served<'_>> = Vec::new();
    for (index, rule) in ingress.spec.rules.iter().enumerate() {
        if !served.iter().any(|known| known.host == rule.host) {
            let path = rule_path(index);
            let path = if rule.host.is_empty() { path } else { path.field("host") };
            served.push(Served { host: &rule.host, path });
        }
    }
    if ingress.spec.rules.is_empty() && ingress.spec.default_backend.is_some() {
        served.push(Served { host: "", path: FieldPath::fields(["spec", "defaultBackend"]) });
    }
    served
}

/// An entry without hosts stands for all of them.
fn is_covered(ingress: &Ingress, host: &str) -> bool {
    ingress
        .spec
        .tls
        .iter()
        .any(|tls| tls.hosts.is_empty() || tls.hosts.iter().any(|covered| host::covers(covered, host)))
}

/// Whether the settings let a host be served without TLS.
fn is_plain(settings: &Settings, host: &str) -> bool {
    settings.plain_hosts.iter().any(|plain| match plain.strip_prefix('*') {
        Some(below) => host.to_lowercase().ends_with(&below.to_lowercase()),
        None => plain.eq_ignore_ascii_case(host),
    })
}

fn rule_path(index: usize) -> FieldPath {
    FieldPath::fields(["spec", "rules"]).index(index)
}
