//! The webhook's own certificates: a CA in one Secret, the serving certificate
//! in another, and the bundle that the webhook configurations carry.
//!
//! ```text
//! Secrets, Leases, configurations ─ parsed ─ plan (pure) ─ one step ─ a Secret
//!                                              └ bundle ─ the controller's configurations
//! portcullis-tls ─ ServingSecret ─ a replica's TLS ─ its Lease (fingerprint)
//! ```
//!
//! Invariant: at no moment does the bundle in a webhook configuration fail to
//! cover a certificate that some replica serves. What makes it so is in
//! the plan; all that must be remembered stands in the Secrets.

mod clock;
mod issue;
mod keeper;
mod parsed;
mod plan;
mod secrets;
mod serving;
mod settled;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::webhooks::Endpoint;

pub use issue::{BACKDATED, CertificateAuthority, IssueError, Issued, Validity};
pub(crate) use keeper::{Bundle, Keeper};
pub use secrets::{ROTATE, ROTATED};
pub use serving::{ServingPair, ServingSecret};

/// The Secret with the CA; only the controller reads it.
pub const CA_SECRET: &str = "portcullis-ca";
/// The Secret with the serving certificate.
pub const SERVING_SECRET: &str = "portcullis-tls";

/// The entry with the serving certificate, as in any Secret of type
/// `kubernetes.io/tls`.
const CERTIFICATE: &str = "tls.crt";
/// The entry with its key.
const KEY: &str = "tls.key";

/// Where the certificates come from that the API server checks replicas' by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// Left to whoever injects them.
    Elsewhere,
    /// These, in PEM.
    Bundle(Vec<u8>),
    /// cert-manager, from its Certificate `namespace/name`.
    InjectFrom(String),
    /// A CA of our own, which the controller keeps and rotates.
    Own(CertificateConfig),
}

/// How an own CA is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateConfig {
    /// How long a CA lasts; the next comes when a third of it is left.
    pub ca_lifetime: Duration,
    /// How long a serving certificate lasts, likewise.
    pub certificate_lifetime: Duration,
    /// How long after a change of the webhook configurations every API server
    /// surely knows of it.
    pub bundle_settle: Duration,
    /// What the serving certificate is for: DNS names and addresses.
    pub names: Vec<String>,
}

impl CertificateConfig {
    /// A CA for a year and certificates for 90 days, for these names.
    #[must_use]
    pub fn new(names: Vec<String>) -> CertificateConfig {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        CertificateConfig {
            ca_lifetime: 365 * DAY,
            certificate_lifetime: 90 * DAY,
            bundle_settle: Duration::from_secs(10),
            names,
        }
    }
}

/// The names that API servers and people reach the replicas by: the Service's,
/// and the host of the address where that isn't a Service.
#[must_use]
pub fn names(endpoint: &Endpoint, namespace: &str) -> Vec<String> {
    const SERVICE: &str = "portcullis";
    let (service, namespace) = match endpoint {
        Endpoint::Service { name, namespace, .. } => (name.as_str(), namespace.as_str()),
        Endpoint::Url(_) => (SERVICE, namespace),
    };
    let mut names = vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
        format!("{service}.{namespace}"),
        service.to_owned(),
    ];
    if let Endpoint::Url(url) = endpoint {
        names.extend(host(url).filter(|host| !names.contains(host)));
    }
    names
}

/// The host of `https://HOST:PORT`, an address without its brackets.
fn host(url: &str) -> Option<String> {
    let authority = url.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next()?,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    (!host.is_empty()).then(|| host.to_owned())
}
