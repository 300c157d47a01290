//! The server's certificate, and who may connect: one rustls configuration
//! behind one pointer.
//!
//! ```text
//! files, a Secret ─ pair (parsed, checked) ─┐
//! self_signed (made at start-up) ───────────┴─ rustls::ServerConfig ─ ArcSwap ─ each handshake
//! ```
//! The whole configuration is swapped, not only the certificate, so that a
//! client CA changes live too. A pair that can't be used never replaces one
//! that works; the reason is said once a version. A Secret may not be there yet:
//! until it is, there is no handshake and the server isn't ready.

mod pair;
mod self_signed;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use portcullis_kube::{ServingPair, ServingSecret};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

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
    current: ArcSwapOption<Current>,
    refused: Mutex<Option<Fingerprint>>,
    served: watch::Sender<Option<String>>,
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
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
    Made(SelfSigned),
    /// Followed as long as this is.
    Secret {
        name: String,
        secret: ServingSecret,
    },
}

struct Current {
    tls: Arc<ServerConfig>,
    not_after: i64,
    fingerprint: Fingerprint,
    /// SHA-256 of the certificate itself (DER), in hex.
    leaf: String,
}

type Fingerprint = [u8; 32];

/// What the files hold, unparsed.
struct Bytes {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Certificates {
    /// Reads the files, or makes a pair. A Secret is for [`Certificates::of_secret`].
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(source: &CertificateSource, client_ca: Option<PathBuf>) -> Result<Certificates, CertificateError> {
        let source = match source {
            CertificateSource::Files { certificate, key } => {
                Source::Files { certificate: certificate.clone(), key: key.clone() }
            }
            CertificateSource::SelfSigned { names } => Source::Made(SelfSigned::make(names)?),
            CertificateSource::Secret { name } => return Err(CertificateError::NoCluster { name: name.clone() }),
        };
        Certificates::of(source, client_ca)
    }

    /// Those of a Secret, which may come later.
    ///
    /// # Errors
    /// Names the file of the client CA and what is wrong with it.
    pub fn of_secret(
        name: String,
        secret: ServingSecret,
        client_ca: Option<PathBuf>,
    ) -> Result<Certificates, CertificateError> {
        Certificates::of(Source::Secret { name, secret }, client_ca)
    }

    fn of(source: Source, client_ca: Option<PathBuf>) -> Result<Certificates, CertificateError> {
        let current = match Bytes::read(&source, client_ca.as_ref())? {
            Some(bytes) => Some(Arc::new(Current::new(&bytes, &source, client_ca.as_ref())?)),
            None => None,
        };
        let served = watch::Sender::new(current.as_ref().map(|current| current.leaf.clone()));
        Ok(Certificates { source, client_ca, current: ArcSwapOption::new(current), refused: Mutex::new(None), served })
    }

    /// What the next handshake uses; None while there is no certificate yet.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.current.load().as_ref().map(|current| current.tls.clone())
    }

    /// When the certificate in use ends, in seconds since the epoch.
    pub fn not_after(&self) -> Option<i64> {
        self.current.load().as_ref().map(|current| current.not_after)
    }

    /// The SHA-256 (hex) of the certificate that handshakes get.
    pub fn served(&self) -> watch::Receiver<Option<String>> {
        self.served.subscribe()
    }

    /// The CA of a pair that was made here, as PEM.
    pub fn ca_pem(&self) -> Option<&str> {
        match &self.source {
            Source::Made(made) => Some(&made.ca_pem),
            Source::Files { .. } | Source::Secret { .. } => None,
        }
    }

    /// Reads the files or the Secret again and swaps where they changed and are good.
    pub fn reload(&self) -> Renewal {
        let bytes = match Bytes::read(&self.source, self.client_ca.as_ref()) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Renewal::Unchanged,
            Err(error) => return self.refuse(Sha256::digest(error.to_string()).into(), &error),
        };
        let fingerprint = bytes.fingerprint();
        if self.current.load().as_ref().is_some_and(|current| current.fingerprint == fingerprint) {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Renewal::Unchanged;
        }
        match Current::new(&bytes, &self.source, self.client_ca.as_ref()) {
            Ok(new) if self.is_worse(new.not_after) => {
                let (file, expired) = (self.source.to_string(), pair::date(new.not_after));
                self.refuse(fingerprint, &CertificateError::RunOut { file, expired })
            }
            Ok(current) => {
                let not_after = current.not_after;
                let leaf = current.leaf.clone();
                self.current.store(Some(Arc::new(current)));
                self.served.send_replace(Some(leaf));
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Renewal::Swapped(not_after)
            }
            Err(error) => self.refuse(fingerprint, &error),
        }
    }

    /// Whether a certificate has run out while the one in use hasn't.
    fn is_worse(&self, not_after: i64) -> bool {
        let now = jiff::Timestamp::now().as_second();
        not_after <= now && self.not_after().is_some_and(|in_use| in_use > now)
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
        if let Some(not_after) = self.not_after() {
            metrics.certificate_expires(not_after);
        }
        let (mut paths, mut pairs) = match &self.source {
            Source::Files { certificate, key } => (vec![certificate.clone(), key.clone()], None),
            Source::Secret { secret, .. } => (Vec::new(), Some(secret.pairs())),
            Source::Made(_) => return,
        };
        paths.extend(self.client_ca.clone());
        let mut watch = (!paths.is_empty()).then(|| Watch::new(paths));
        loop {
            tokio::select! {
                () = changed(&mut watch) => {}
                () = handed_out(&mut pairs) => {}
            }
            let this = self.clone();
            let renewal = tokio::task::spawn_blocking(move || this.reload()).await;
            match renewal {
                Ok(Renewal::Unchanged) => {}
                Ok(Renewal::Swapped(not_after)) => {
                    metrics.certificate_expires(not_after);
                    metrics.reloaded(Reload::Certificate, true);
                    tracing::info!(from = %self.source, expires = %pair::date(not_after), "certificate swapped");
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

/// Returns when a file has changed.
async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Returns when the Secret has another pair.
async fn handed_out(pairs: &mut Option<watch::Receiver<Option<Arc<ServingPair>>>>) {
    let handed_out = match pairs {
        Some(pairs) => pairs.changed().await.is_ok(),
        None => false,
    };
    if !handed_out {
        // Its sender ends only with the Secret's watch, which `Certificates` holds.
        std::future::pending::<()>().await;
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Files { certificate, .. } => certificate.display().fmt(formatter),
            Source::Made(_) => formatter.write_str("self-signed certificate"),
            Source::Secret { name, .. } => write!(formatter, "Secret {name}"),
        }
    }
}

impl Bytes {
    /// None where the Secret holds nothing yet.
    fn read(source: &Source, client_ca: Option<&PathBuf>) -> Result<Option<Bytes>, CertificateError> {
        let (certificate, key) = match source {
            Source::Files { certificate, key } => (pair::read(certificate)?, pair::read(key)?),
            Source::Made(made) => (made.certificate_pem.clone().into(), made.key_pem.clone().into()),
            Source::Secret { secret, .. } => match secret.pairs().borrow().as_deref() {
                Some(pair) => (pair.certificate_pem.clone(), pair.key_pem.clone()),
                None => return Ok(None),
            },
        };
        let client_ca = client_ca.map(|path| pair::read(path)).transpose()?;
        Ok(Some(Bytes { certificate, key, client_ca }))
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
            Source::Made(_) => (source.to_string(), "its key".to_owned()),
            Source::Secret { name, .. } => (format!("tls.crt of Secret {name}"), format!("tls.key of Secret {name}")),
        };
        let pair = Pair::parse(&bytes.certificate, &certificate, &bytes.key, &key)?;
        warn_of_expiry(&pair, &certificate);
        let leaf = pair.certified.cert.first().map(Sha256::digest).unwrap_or_default();
        let leaf = leaf.iter().map(|byte| format!("{byte:02x}")).collect();
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
        Ok(Current { tls: Arc::new(tls), not_after: pair.not_after, fingerprint: bytes.fingerprint(), leaf })
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
