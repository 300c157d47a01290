//! A certificate, as far as a policy asks about it, and the order of a chain.

use std::fmt;

use der::asn1::ObjectIdentifier;
use der::{Decode, Encode, Header, SliceReader};
use x509_cert::certificate::{CertificateInner, Raw, TbsCertificateInner};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};

use crate::host;
use crate::key::PublicKey;
use crate::text::{Block, TextFault, blocks};

/// The PEM labels of a certificate; the second is OpenSSL's old one.
const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// Signatures that today's TLS libraries refuse: MD5 and SHA-1 with RSA, SHA-1 with ECDSA.
const WEAK_SIGNATURES: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.4"),
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"),
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"),
];

/// One X.509 certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// From when it holds, in seconds since 1970.
    pub not_before: u64,
    /// Until when, in seconds since 1970.
    pub not_after: u64,
    /// The dNSName entries of its subjectAltName.
    pub dns_names: Vec<String>,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Whether it is signed with an algorithm that today's libraries refuse.
    pub has_weak_signature: bool,
    /// Its public key.
    pub public_key: PublicKey,
    issuer: Vec<u8>,
    subject: Vec<u8>,
}

/// Why a text isn't certificates. `Display` says it as what follows "it …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It isn't PEM.
    Text(TextFault),
    /// It holds a private key where a certificate belongs.
    PrivateKey,
    /// It holds a certificate request.
    Request,
    /// It holds blocks of another kind.
    OtherBlock,
    /// A certificate's bytes end before it does, or go on after it.
    Damaged,
    /// It is framed like a certificate, and something in it can't be followed.
    Unfollowed,
}

/// What is odd about the order of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainFault {
    /// The certificate at this place (from 0) isn't the issuer of the one before it.
    NotTheIssuer(usize),
    /// The first certificate is an authority's, and a later one a server's.
    LeafIsNotFirst,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(fault) => fault.fmt(formatter),
            Self::PrivateKey => formatter.write_str("holds a private key where a certificate belongs"),
            Self::Request => formatter.write_str("holds a certificate request, not a certificate"),
            Self::OtherBlock => formatter.write_str("holds PEM blocks, and none of them is a certificate"),
            Self::Damaged => {
                formatter.write_str("holds a certificate that is damaged: its bytes are too few or too many")
            }
            Self::Unfollowed => formatter.write_str("holds a certificate with parts that can't be followed"),
        }
    }
}

impl Certificate {
    /// The certificates of a PEM text, in order.
    ///
    /// # Errors
    /// Why there are none that can be read.
    pub fn chain(bytes: &[u8]) -> Result<Vec<Self>, Unreadable> {
        let blocks = blocks(bytes).map_err(Unreadable::Text)?;
        let certificates: Vec<&Block> = blocks.iter().filter(|block| LABELS.contains(&block.label.as_str())).collect();
        if certificates.is_empty() {
            let has = |part: &str| blocks.iter().any(|block| block.label.contains(part));
            return Err(if has("PRIVATE KEY") {
                Unreadable::PrivateKey
            } else if has("REQUEST") {
                Unreadable::Request
            } else {
                Unreadable::OtherBlock
            });
        }
        certificates.into_iter().map(|block| Self::from_der(&block.contents)).collect()
    }

    /// One certificate.
    ///
    /// # Errors
    /// It is damaged, or has parts that can't be followed.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Unreadable> {
        if !is_whole(bytes) {
            return Err(Unreadable::Damaged);
        }
        // The raw profile: who issued it may have been careless, as long as clients take it.
        let certificate = CertificateInner::<Raw>::from_der(bytes).map_err(|_| Unreadable::Unfollowed)?;
        Self::of(&certificate).ok_or(Unreadable::Unfollowed)
    }

    fn of(certificate: &CertificateInner<Raw>) -> Option<Self> {
        let contents = certificate.tbs_certificate();
        let validity = contents.validity();
        Some(Self {
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
            dns_names: dns_names(contents)?,
            is_authority: is_authority(contents)?,
            has_weak_signature: WEAK_SIGNATURES.contains(&certificate.signature_algorithm().oid),
            public_key: PublicKey::of_certificate(contents.subject_public_key_info()),
            issuer: contents.issuer().to_der().ok()?,
            subject: contents.subject().to_der().ok()?,
        })
    }

    /// Whether one of its names covers a host, by RFC 9525.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        self.dns_names.iter().any(|name| host::covers(name, host))
    }

    /// Whether it says that it issued itself.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }
}

/// What is odd about the order of a chain: the server's certificate first, each next one the issuer of that before it.
#[must_use]
pub fn chain_faults(chain: &[Certificate]) -> Vec<ChainFault> {
    let [first, rest @ ..] = chain else { return Vec::new() };
    if first.is_authority && rest.iter().any(|certificate| !certificate.is_authority) {
        return vec![ChainFault::LeafIsNotFirst];
    }
    chain
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0].issuer != pair[1].subject)
        .map(|(index, _)| ChainFault::NotTheIssuer(index + 1))
        .collect()
}

fn dns_names(contents: &TbsCertificateInner<Raw>) -> Option<Vec<String>> {
    let Some((_, names)) = contents.get_extension::<SubjectAltName>().ok()? else { return Some(Vec::new()) };
    let names = names.0.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    });
    Some(names.collect())
}

fn is_authority(contents: &TbsCertificateInner<Raw>) -> Option<bool> {
    Some(contents.get_extension::<BasicConstraints>().ok()?.is_some_and(|(_, constraints)| constraints.ca))
}

/// Whether the bytes are one DER value, no more and no less.
fn is_whole(bytes: &[u8]) -> bool {
    let Ok(mut reader) = SliceReader::new(bytes) else { return false };
    let Ok(header) = Header::decode(&mut reader) else { return false };
    let length = header.encoded_len().and_then(|head| head + header.length());
    length.is_ok_and(|length| usize::try_from(u32::from(length)).is_ok_and(|length| length == bytes.len()))
}
