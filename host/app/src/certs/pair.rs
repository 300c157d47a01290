//! A certificate chain and its key, parsed and checked: the key belongs to the
//! certificate, the chain begins with a server's certificate.

use std::fs;
use std::path::Path;

use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A file that holds more than this is no certificate.
const MAX_FILE: u64 = 1 << 20;

/// A pair that can be used.
#[derive(Debug)]
pub struct Pair {
    /// What rustls signs with.
    pub certified: CertifiedKey,
    /// Seconds since the epoch.
    pub not_before: i64,
    /// Seconds since the epoch.
    pub not_after: i64,
}

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file can't be read.
    #[error("can't read {file}: {source}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is far too large.
    #[error("{file} has more than {MAX_FILE} bytes, which is no PEM certificate or key")]
    TooLarge {
        /// Which.
        file: String,
    },
    /// The file holds no certificate.
    #[error("{file} holds no certificate: {reason}; it must be PEM, the server's certificate first, then its issuers")]
    Certificate {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// The file holds no key.
    #[error("{file} holds no private key: {reason}; it must be PEM (PKCS#8, PKCS#1 or SEC1), not encrypted")]
    Key {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// A Secret is in a cluster, and there is none.
    #[error("the certificate is in the Secret {name} of a cluster, and none is connected; --kubernetes connects it")]
    NoCluster {
        /// Which Secret.
        name: String,
    },
    /// It has run out, and the one in use hasn't.
    #[error("the new certificate in {file} has run out on {expired}, and the one in use has not; renew it")]
    RunOut {
        /// Which.
        file: String,
        /// When.
        expired: String,
    },
    /// Two files that don't belong together.
    #[error("the key in {key} does not belong to the certificate in {certificate}: {reason}")]
    Mismatch {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
        /// What rustls says.
        reason: String,
    },
    /// The CA bundle for clients.
    #[error("client CA {file}: {reason}")]
    ClientCa {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// Nothing could be made.
    #[error("self-signed certificate: {0}")]
    Make(#[from] portcullis_kube::certificates::IssueError),
    /// rustls refuses the configuration.
    #[error("TLS configuration: {0}")]
    Tls(rustls::Error),
}

impl Pair {
    /// Parses and checks. `certificate_file` and `key_file` are for messages.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn parse(
        certificate: &[u8],
        certificate_file: &str,
        key: &[u8],
        key_file: &str,
    ) -> Result<Pair, CertificateError> {
        let bad_certificate =
            |reason: String| CertificateError::Certificate { file: certificate_file.to_owned(), reason };
        let bad_key = |reason: String| CertificateError::Key { file: key_file.to_owned(), reason };
        let chain = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| bad_certificate(error.to_string()))?;
        let Some(leaf) = chain.first() else {
            return Err(bad_certificate("no CERTIFICATE section".to_owned()));
        };
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| bad_certificate(error.to_string()))?;
        let (not_before, not_after) =
            (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| bad_key(error.to_string()))?;
        let signing =
            rustls::crypto::ring::sign::any_supported_type(&key).map_err(|error| bad_key(error.to_string()))?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(|error| CertificateError::Mismatch {
            certificate: certificate_file.to_owned(),
            key: key_file.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Pair { certified, not_before, not_after })
    }
}

/// The certificates of a bundle, as roots.
pub(super) fn roots(pem: &[u8], file: &str) -> Result<RootCertStore, CertificateError> {
    let refuse = |reason: String| CertificateError::ClientCa { file: file.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refuse("holds no certificate; it must be PEM".to_owned()));
    }
    Ok(roots)
}

/// The bytes of a file that is not absurdly large.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let file = path.display().to_string();
    let size = fs::metadata(path).map_err(|source| CertificateError::Read { file: file.clone(), source })?.len();
    if size > MAX_FILE {
        return Err(CertificateError::TooLarge { file });
    }
    fs::read(path).map_err(|source| CertificateError::Read { file, source })
}

/// Seconds since the epoch, for a person.
pub(super) fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
