//! What certificates and keys in PEM say, so far as the keeping of them needs it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates that are read of one entry: a bundle of ours has eight at most.
const MAX_CERTIFICATES: usize = 64;

/// Why an entry of a Secret can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PairError {
    /// It isn't there, or it is empty.
    #[error("it has no entry {entry}, or an empty one")]
    Missing {
        /// Which.
        entry: &'static str,
    },
    /// It isn't what it should be.
    #[error("{entry} holds no certificate in PEM: {reason}")]
    Certificate {
        /// Which.
        entry: &'static str,
        /// Why.
        reason: String,
    },
    /// It isn't a key that we made.
    #[error("{entry} holds no private key that can be used: {reason}")]
    Key {
        /// Which.
        entry: &'static str,
        /// Why.
        reason: String,
    },
    /// Two that don't belong together.
    #[error("the key in {key} isn't that of the certificate in {certificate}")]
    Mismatch {
        /// The certificate's entry.
        certificate: &'static str,
        /// The key's.
        key: &'static str,
    },
    /// A certificate that can't sign others.
    #[error("the certificate in {entry} isn't a CA's")]
    NoAuthority {
        /// Which.
        entry: &'static str,
    },
}

/// SHA-256 of a certificate's DER: which one it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Fingerprint(pub(super) [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell a handful apart.
        self.0.iter().take(4).try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) der: Vec<u8>,
    pub(super) fingerprint: Fingerprint,
    /// Seconds since the epoch.
    pub(super) not_before: i64,
    /// Seconds since the epoch.
    pub(super) not_after: i64,
    /// Whether it may sign others.
    pub(super) is_authority: bool,
    /// The DNS names and addresses that it is for.
    pub(super) names: BTreeSet<String>,
    /// Its public key, as SubjectPublicKeyInfo.
    public_key: Vec<u8>,
}

impl Parsed {
    fn of(der: &[u8]) -> Result<Parsed, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let names = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        });
        Ok(Parsed {
            der: der.to_vec(),
            fingerprint: Fingerprint(Sha256::digest(der).into()),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            is_authority: certificate.is_ca(),
            names: names.flatten().filter_map(name).collect(),
            public_key: certificate.public_key().raw.to_vec(),
        })
    }

    /// Whether this one's key signed it: names and signature.
    pub(super) fn signed_by(&self, authority: &Parsed) -> bool {
        let (Ok((_, own)), Ok((_, signer))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&authority.der))
        else {
            return false;
        };
        own.issuer() == signer.subject() && own.verify_signature(Some(signer.public_key())).is_ok()
    }

    /// In PEM.
    pub(super) fn pem(&self) -> String {
        pem::encode_config(&Pem::new(CERTIFICATE, self.der.as_slice()), LINE_ENDINGS)
    }

    /// Whether this is its key.
    pub(super) fn has_key(&self, key: &KeyPair) -> bool {
        self.public_key == key.subject_public_key_info()
    }
}

/// All certificates of an entry; what is no certificate is left out.
pub(super) fn salvage(text: &[u8]) -> Vec<Parsed> {
    let sections = pem::parse_many(text).unwrap_or_default();
    let certificates = sections.into_iter().filter(|section| section.tag() == CERTIFICATE);
    certificates.take(MAX_CERTIFICATES).filter_map(|section| Parsed::of(section.contents()).ok()).collect()
}

/// The first certificate of an entry.
pub(super) fn leaf(text: &[u8], entry: &'static str) -> Result<Parsed, PairError> {
    let bad = |reason: String| PairError::Certificate { entry, reason };
    let sections = pem::parse_many(text).map_err(|error| bad(error.to_string()))?;
    let Some(section) = sections.iter().find(|section| section.tag() == CERTIFICATE) else {
        return Err(bad("it has no CERTIFICATE section".to_owned()));
    };
    Parsed::of(section.contents()).map_err(bad)
}

/// The key of an entry, which must be this certificate's.
pub(super) fn key_of(
    text: &[u8],
    entry: &'static str,
    certificate: &Parsed,
    of: &'static str,
) -> Result<KeyPair, PairError> {
    let bad = |reason: String| PairError::Key { entry, reason };
    let text = std::str::from_utf8(text).map_err(|error| bad(error.to_string()))?;
    let key = KeyPair::from_pem(text).map_err(|error| bad(error.to_string()))?;
    if !certificate.has_key(&key) {
        return Err(PairError::Mismatch { certificate: of, key: entry });
    }
    Ok(key)
}

/// A name of a certificate as it is written in a configuration.
pub(super) fn normalised(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => name.to_ascii_lowercase(),
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(normalised(name)),
        GeneralName::IPAddress(bytes) => {
            let address = match bytes.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?),
                _ => IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
            };
            Some(address.to_string())
        }
        _ => None,
    }
}

/// The section of PEM that we write and read (RFC 7468).
const CERTIFICATE: &str = "CERTIFICATE";
/// As everybody on a cluster's machines writes them.
const LINE_ENDINGS: EncodeConfig = EncodeConfig::new().set_line_ending(LineEnding::LF);
