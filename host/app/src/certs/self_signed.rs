//! A CA and a certificate made at start-up, for a server without files: a first
//! try on a laptop, a test, a cluster whose webhook configuration is patched
//! with the printed bundle. Both live in memory and end with the process.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::CertificateError;

/// The longest that a process should run without a restart.
const YEARS: i16 = 10;

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
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "Portcullis self-signed CA");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid(&mut authority);
        let authority_key = KeyPair::generate()?;
        let ca_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, "Portcullis webhook");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        valid(&mut server);
        let key = KeyPair::generate()?;
        let certificate_pem = server.signed_by(&key, &issuer)?.pem();
        Ok(SelfSigned { ca_pem, certificate_pem, key_pem: key.serialize_pem() })
    }
}

/// From yesterday, so that a client whose clock is behind accepts it.
fn valid(params: &mut CertificateParams) {
    let now = jiff::Zoned::now();
    let yesterday = now.yesterday().unwrap_or(now);
    let (year, month, day) = (yesterday.year(), yesterday.month().unsigned_abs(), yesterday.day().unsigned_abs());
    params.not_before = rcgen::date_time_ymd(year.into(), month, day);
    // The first of the month: a 29th of February has none ten years later.
    params.not_after = rcgen::date_time_ymd((year + YEARS).into(), month, 1);
}
