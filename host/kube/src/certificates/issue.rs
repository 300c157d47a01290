//! Making a CA and what it signs: P-256 keys, a subject and key identifiers of
//! each CA's own, so that verifiers can tell two of one bundle apart.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use super::parsed::Parsed;

/// How long before it is made a certificate begins to count, for clients whose
/// clocks are behind.
pub const BACKDATED: Duration = Duration::from_secs(3600);
/// Bytes of a key's digest in a subject: enough to tell CAs apart.
const DISTINCT: usize = 6;

/// Why nothing could be made.
#[derive(Debug, thiserror::Error)]
#[error("can't make {what}: {cause}")]
pub struct IssueError {
    what: &'static str,
    #[source]
    cause: rcgen::Error,
}

/// From when to when a certificate counts, in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub not_before: i64,
    /// Its last.
    pub not_after: i64,
}

/// A CA that can sign.
#[derive(Debug)]
pub struct CertificateAuthority {
    certificate_pem: String,
    not_after: i64,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// Its key (PKCS#8).
    pub key_pem: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Issued").finish_non_exhaustive()
    }
}

impl Validity {
    /// So long from `now` (seconds since the epoch) on, and a little before.
    #[must_use]
    pub fn of(now: i64, lifetime: Duration) -> Validity {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let not_before = now.saturating_sub(seconds(BACKDATED));
        // What RFC 5280 (4.1.2.5.2) has for the end of time.
        const LAST: i64 = 253_402_300_799;
        Validity { not_before, not_after: now.saturating_add(seconds(lifetime)).min(LAST) }
    }

    fn apply(self, params: &mut CertificateParams) {
        // rcgen's own constructor of times knows days only.
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let at = |seconds: i64| epoch + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        (params.not_before, params.not_after) = (at(self.not_before), at(self.not_after));
    }
}

impl CertificateAuthority {
    /// A new one, which signs servers' certificates and no further CAs. Its
    /// subject is `name` and something that no other has.
    ///
    /// # Errors
    /// There is no randomness to be had.
    pub fn make(name: &str, validity: Validity) -> Result<CertificateAuthority, IssueError> {
        let failed = |cause| IssueError { what: "a CA", cause };
        let key = KeyPair::generate().map_err(failed)?;
        let digest = Sha256::digest(key.subject_public_key_info());
        let distinct: String = digest.iter().take(DISTINCT).map(|byte| format!("{byte:02x}")).collect();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("{name} {distinct}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        validity.apply(&mut params);
        let certificate_pem = params.self_signed(&key).map_err(failed)?.pem();
        Ok(CertificateAuthority { certificate_pem, not_after: validity.not_after, issuer: Issuer::new(params, key) })
    }

    /// One that was made before. Whether the key is the certificate's is not
    /// looked at.
    pub(super) fn load(certificate: &Parsed, key: KeyPair) -> Result<CertificateAuthority, IssueError> {
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(certificate.der.as_slice()), key)
            .map_err(|cause| IssueError { what: "use of a CA's certificate", cause })?;
        Ok(CertificateAuthority { certificate_pem: certificate.pem(), not_after: certificate.not_after, issuer })
    }

    /// When it ends, in seconds since the epoch.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Its certificate, for a bundle.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its key (PKCS#8), which belongs in one Secret and nowhere else.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A server's certificate with a fresh key, for these DNS names and addresses.
    ///
    /// # Errors
    /// A name that can't stand in a certificate.
    pub fn issue(&self, names: &[String], validity: Validity) -> Result<Issued, IssueError> {
        let failed = |cause| IssueError { what: "a serving certificate", cause };
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, "Portcullis webhook");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        validity.apply(&mut params);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate_pem = params.signed_by(&key, &self.issuer).map_err(failed)?.pem();
        Ok(Issued { certificate_pem, key_pem: key.serialize_pem() })
    }
}
