//! What explains where a certificate comes from, other than a Secret that the
//! Ingress names: annotations that controllers and clouds read.

use crate::settings::Settings;
use crate::views::Ingress;

/// Who sees to the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Explained {
    /// Nothing says so.
    Nothing,
    /// cert-manager makes the Secret that `tls` names.
    CertManager(&'static str),
    /// The load balancer serves TLS and nothing else, as this annotation tells.
    LoadBalancer(String),
    /// A certificate is named, and plain HTTP may be open beside it.
    MaybeElsewhere(&'static str),
}

/// Annotations that ask cert-manager for a certificate (<https://cert-manager.io/docs/usage/ingress/>).
const CERT_MANAGER: [&str; 4] = [
    "cert-manager.io/issuer",
    "cert-manager.io/cluster-issuer",
    "certmanager.k8s.io/issuer",
    "certmanager.k8s.io/cluster-issuer",
];
/// The same, as older tools and configured defaults know it.
const TLS_ACME: &str = "kubernetes.io/tls-acme";

/// Annotations with a certificate of the cloud or of the router, on which TLS is served:
/// AWS Load Balancer Controller, GKE (pre-shared), Azure Application Gateway,
/// Alibaba, OpenShift's router (edge and re-encrypting routes), Traefik.
const SERVED: [&str; 6] = [
    "alb.ingress.kubernetes.io/certificate-arn",
    "ingress.gcp.kubernetes.io/pre-shared-cert",
    "appgw.ingress.kubernetes.io/appgw-ssl-certificate",
    "alb.ingress.kubernetes.io/ssl-certificate-ids",
    "nginx.ingress.kubernetes.io/ssl-passthrough",
    "haproxy.org/ssl-passthrough",
];
/// Annotations that count with one of these values.
const SERVED_WITH: [(&str, &[&str]); 4] = [
    ("konghq.com/protocols", &["https"]),
    ("route.openshift.io/termination", &["edge", "reencrypt", "passthrough"]),
    ("traefik.ingress.kubernetes.io/router.tls", &["true"]),
    ("traefik.ingress.kubernetes.io/router.entrypoints", &["websecure"]),
];
/// Load balancers of AWS and Alibaba find the certificate by the host where they listen for HTTPS.
const LISTEN_PORTS: &str = "alb.ingress.kubernetes.io/listen-ports";
/// Annotations with a certificate beside which GKE's load balancer serves plain HTTP, unless it is told not to.
const MAYBE: [&str; 1] = ["networking.gke.io/managed-certificates"];
/// What tells GKE's load balancer to serve no plain HTTP.
const NO_HTTP: (&str, &str) = ("kubernetes.io/ingress.allow-http", "false");

/// Annotations that switch the redirect to HTTPS off, with the value that does.
const REDIRECT_OFF: [(&str, &str); 5] = [
    ("nginx.ingress.kubernetes.io/ssl-redirect", "false"),
    ("ingress.kubernetes.io/ssl-redirect", "false"),
    ("haproxy.org/ssl-redirect", "false"),
    ("haproxy-ingress.github.io/ssl-redirect", "false"),
    ("appgw.ingress.kubernetes.io/ssl-redirect", "false"),
];

/// The challenges of ACME (RFC 8555, section 8.3).
const ACME_PATH: &str = "/.well-known/acme-challenge";

/// Who sees to the certificate of an Ingress.
pub(crate) fn of(ingress: &Ingress, settings: &Settings) -> Explained {
    let annotations = &ingress.metadata.annotations;
    let is_set = |name: &str| annotations.get(name).filter(|value| !value.is_empty() && *value != "false");
    if let Some(name) = CERT_MANAGER.into_iter().find(|name| is_set(name).is_some()) {
        return Explained::CertManager(name);
    }
    if is_set(TLS_ACME).is_some() {
        return Explained::CertManager(TLS_ACME);
    }
    let own = settings.certificate_annotations.iter().find_map(|name| match name.strip_suffix('/') {
        Some(_) => annotations.keys().find(|key| key.starts_with(name)),
        None => annotations.get_key_value(name).map(|(key, _)| key),
    });
    let served =
        own.map(String::as_str).or_else(|| SERVED.into_iter().find(|name| is_set(name).is_some())).or_else(|| {
            SERVED_WITH
                .into_iter()
                .find(|(name, values)| {
                    annotations.get(*name).is_some_and(|value| values.contains(&value.to_lowercase().as_str()))
                })
                .map(|(name, _)| name)
        });
    let listens = || annotations.get(LISTEN_PORTS).is_some_and(|ports| ports.contains("HTTPS")).then_some(LISTEN_PORTS);
    if let Some(name) = served.or_else(listens) {
        return Explained::LoadBalancer(name.to_owned());
    }
    match MAYBE.into_iter().find(|name| is_set(name).is_some()) {
        Some(name) if annotations.get(NO_HTTP.0).is_some_and(|value| value == NO_HTTP.1) => {
            Explained::LoadBalancer(name.to_owned())
        }
        Some(name) => Explained::MaybeElsewhere(name),
        None => Explained::Nothing,
    }
}

/// Whether all that the Ingress serves are challenges of ACME.
pub(crate) fn is_acme_challenge(ingress: &Ingress) -> bool {
    let mut paths = ingress.spec.rules.iter().flat_map(|rule| &rule.http.paths).peekable();
    ingress.spec.default_backend.is_none()
        && paths.peek().is_some()
        && paths
            .all(|path| path.path.strip_prefix(ACME_PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// The annotation that switches the redirect to HTTPS off, if one does.
pub(crate) fn redirect_off(ingress: &Ingress) -> Option<&'static str> {
    let is_off = |(name, value): &(&str, &str)| ingress.metadata.annotations.get(*name).is_some_and(|set| set == value);
    REDIRECT_OFF.into_iter().find(is_off).map(|(name, _)| name)
}
