//! The server's certificate, and who may connect: one rustls configuration
//! behind one pointer.
//!
//! ```text
//! files ─ pair (parsed, checked) ─┐
//! self_signed (made at start-up) ─┴─ rustls::ServerConfig ─ ArcSwap ─ each handshake
//! ```
//! The whole configuration is swapped, not only the certificate, so that a
//! client CA changes live too. A pair that can't be used never replaces one
//! that works; the reason is said once a version.

mod pair;
mod self_signed;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};

use crate::config::CertificateSource;
use crate::telemetry::{Metrics, Reload};
use crate::watch::Watch;

pub use pair::{CertificateError, Pair};
pub use self_signed::SelfSigned;

/// Below this a warning is logged at each start and swap.
const SHORT_VALIDITY: Duration = Duration::from_secs(7 * 24 * 3600);
/// TLS 1.3 tickets a handshake: an API server opens up to 25 connections at once.
const TICKETS: usize = 2;

/// The certificate in use and how it is renewed.
pub struct Certificates {
    source: Source,
    client_ca: Option<PathBuf>,
    current: ArcSwap<Current>,
    refused: Mutex<Option<Fingerprint>>,
}

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// The files say what they said.
    Unchanged,
    /// The new pair is in use; its expiry in seconds since the epoch.
    Swapped(i64),
    /// The old pair stays in use.
    Refused(String),
}

enum Source {
    Files { certificate: PathBuf, key: PathBuf },
    Made(SelfSigned),
}

struct Current {
    tls: Arc<ServerConfig>,
    not_after: i64,
    fingerprint: Fingerprint,
}

type Fingerprint = [u8; 32];

/// What the files hold, unparsed.
struct Bytes {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Certificates {
    /// Reads the files, or makes a pair.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(source: &CertificateSource, client_ca: Option<PathBuf>) -> Result<Certificates, CertificateError> {
        let source = match source {
            CertificateSource::Files { certificate, key } => {
                Source::Files { certificate: certificate.clone(), key: key.clone() }
            }
            CertificateSource::SelfSigned { names } => Source::Made(SelfSigned::make(names)?),
        };
        let bytes = Bytes::read(&source, client_ca.as_ref())?;
        let current = Current::new(&bytes, &source, client_ca.as_ref())?;
        Ok(Certificates { source, client_ca, current: ArcSwap::from_pointee(current), refused: Mutex::new(None) })
    }

    /// What the next handshake uses.
    pub fn tls(&self) -> Arc<ServerConfig> {
        self.current.load().tls.clone()
    }

    /// When the certificate in use ends, in seconds since the epoch.
    pub fn not_after(&self) -> i64 {
        self.current.load().not_after
    }

    /// The CA of a pair that was made here, as PEM.
    pub fn ca_pem(&self) -> Option<&str> {
        match &self.source {
            Source::Made(made) => Some(&made.ca_pem),
            Source::Files { .. } => None,
        }
    }

    /// Reads the files again and swaps where they changed and are good.
    pub fn reload(&self) -> Renewal {
        let bytes = match Bytes::read(&self.source, self.client_ca.as_ref()) {
            Ok(bytes) => bytes,
            Err(error) => return self.refuse(Sha256::digest(error.to_string()).into(), &error),
        };
        let fingerprint = bytes.fingerprint();
        if fingerprint == self.current.load().fingerprint {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Renewal::Unchanged;
        }
        match Current::new(&bytes, &self.source, self.client_ca.as_ref()) {
            Ok(current) => {
                let not_after = current.not_after;
                self.current.store(Arc::new(current));
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Renewal::Swapped(not_after)
            }
            Err(error) => self.refuse(fingerprint, &error),
        }
    }

    /// Keeps the old pair; says so once a version.
    fn refuse(&self, fingerprint: Fingerprint, error: &CertificateError) -> Renewal {
        let before = self.refused.lock().unwrap_or_else(PoisonError::into_inner).replace(fingerprint);
        match before {
            Some(before) if before == fingerprint => Renewal::Unchanged,
            _ => Renewal::Refused(error.to_string()),
        }
    }

    /// Follows the files until the task is dropped.
    pub async fn follow(self: Arc<Self>, metrics: Arc<Metrics>) {
        metrics.certificate_expires(self.not_after());
        let Source::Files { certificate, key } = &self.source else { return };
        let mut paths = vec![certificate.clone(), key.clone()];
        paths.extend(self.client_ca.clone());
        let mut watch = Watch::new(paths);
        loop {
            watch.changed().await;
            let this = self.clone();
            let renewal = tokio::task::spawn_blocking(move || this.reload()).await;
            match renewal {
                Ok(Renewal::Unchanged) => {}
                Ok(Renewal::Swapped(not_after)) => {
                    metrics.certificate_expires(not_after);
                    metrics.reloaded(Reload::Certificate, true);
                    tracing::info!(file = %certificate.display(), expires = %pair::date(not_after), "certificate swapped");
                }
                Ok(Renewal::Refused(reason)) => {
                    metrics.reloaded(Reload::Certificate, false);
                    tracing::error!(reason, "new certificate refused, the old one stays in use");
                }
                Err(error) => tracing::error!(%error, "reading the certificate failed"),
            }
        }
    }
}

impl Bytes {
    fn read(source: &Source, client_ca: Option<&PathBuf>) -> Result<Bytes, CertificateError> {
        let (certificate, key) = match source {
            Source::Files { certificate, key } => (pair::read(certificate)?, pair::read(key)?),
            Source::Made(made) => (made.certificate_pem.clone().into(), made.key_pem.clone().into()),
        };
        let client_ca = client_ca.map(|path| pair::read(path)).transpose()?;
        Ok(Bytes { certificate, key, client_ca })
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut digest = Sha256::new();
        for part in [&self.certificate, &self.key, self.client_ca.as_ref().unwrap_or(&Vec::new())] {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

impl Current {
    fn new(bytes: &Bytes, source: &Source, client_ca: Option<&PathBuf>) -> Result<Current, CertificateError> {
        let (certificate, key) = match source {
            Source::Files { certificate, key } => (certificate.display().to_string(), key.display().to_string()),
            Source::Made(_) => ("self-signed certificate".to_owned(), "its key".to_owned()),
        };
        let pair = Pair::parse(&bytes.certificate, &certificate, &bytes.key, &key)?;
        warn_of_expiry(&pair, &certificate);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Tls)?;
        let builder = match (&bytes.client_ca, client_ca) {
            (Some(pem), Some(path)) => {
                let roots = pair::roots(pem, &path.display().to_string())?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .map_err(|error| CertificateError::ClientCa {
                    file: path.display().to_string(),
                    reason: error.to_string(),
                })?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut tls = builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair.certified)));
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        tls.send_tls13_tickets = TICKETS;
        Ok(Current { tls: Arc::new(tls), not_after: pair.not_after, fingerprint: bytes.fingerprint() })
    }
}

fn warn_of_expiry(pair: &Pair, file: &str) {
    let now = jiff::Timestamp::now().as_second();
    if pair.not_after <= now {
        tracing::warn!(file, expired = %pair::date(pair.not_after), "certificate has expired; API servers will refuse it");
    } else if pair.not_before > now {
        tracing::warn!(file, from = %pair::date(pair.not_before), "certificate is not valid yet; API servers will refuse it");
    } else if pair.not_after - now < SHORT_VALIDITY.as_secs().cast_signed() {
        tracing::warn!(file, expires = %pair::date(pair.not_after), "certificate expires soon");
    }
}
