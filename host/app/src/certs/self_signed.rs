//! A CA and a certificate made at start-up, for a server without files: a first
//! try on a laptop, a test, a cluster whose webhook configuration is patched
//! with the printed bundle. Both live in memory and end with the process.

use std::time::Duration;

use portcullis_kube::certificates::{CertificateAuthority, Issued, Validity};

use super::CertificateError;

/// The longest that a process should run without a restart: ten years.
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A pair and who signed it, as PEM.
#[derive(Debug, Clone)]
pub struct SelfSigned {
    /// For clients: `--cacert`, `caBundle`.
    pub ca_pem: String,
    /// The server's.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: String,
}

impl SelfSigned {
    /// Makes a CA and a certificate for these DNS names and addresses.
    ///
    /// # Errors
    /// Where a name can't stand in a certificate.
    pub fn make(names: &[String]) -> Result<SelfSigned, CertificateError> {
        SelfSigned::lasting(names, Validity::of(jiff::Timestamp::now().as_second(), LIFETIME))
    }

    /// The same for a time of one's own.
    ///
    /// # Errors
    /// Where a name can't stand in a certificate.
    pub fn lasting(names: &[String], validity: Validity) -> Result<SelfSigned, CertificateError> {
        let authority = CertificateAuthority::make("Portcullis self-signed CA", validity)?;
        let Issued { certificate_pem, key_pem } = authority.issue(names, validity)?;
        Ok(SelfSigned { ca_pem: authority.certificate_pem().to_owned(), certificate_pem, key_pem })
    }
}
