//! A private key, as far as its public half, which a certificate must carry.
//!
//! The public key is worked out from the private one and not read from the
//! copy that some formats keep beside it: only that proves that they belong together.

use std::fmt;

use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use pkcs1::RsaPrivateKeyRef;
use pkcs8::PrivateKeyInfoRef;
use sec1::{EcParameters, EcPrivateKey};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::text::{Block, TextFault, blocks};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// What an OpenSSH key begins with, inside its PEM block (PROTOCOL.key of OpenSSH).
const OPENSSH_MAGIC: &[u8] = b"openssh-key-v1\0";
/// An Ed25519 private key in PKCS #8 is an octet string in an octet string (RFC 8410, section 7).
const ED25519_PREFIX: [u8; 2] = [0x04, 32];
/// The first byte of a point that carries both coordinates (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A public key, in a form that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// The DER of its modulus and exponent, and how many bits the modulus has.
    Rsa {
        /// RSAPublicKey of PKCS #1.
        der: Vec<u8>,
        /// The modulus' length.
        bits: usize,
    },
    /// A point on a named curve, as SEC 1 writes it.
    Elliptic {
        /// The curve.
        curve: ObjectIdentifier,
        /// The point.
        point: Vec<u8>,
    },
    /// The 32 bytes of an Ed25519 key.
    Ed25519(Vec<u8>),
    /// Of an algorithm that this crate doesn't know.
    Other,
}

/// A private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateKey {
    public: PublicKey,
}

/// Whether a key belongs to a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongs {
    /// It does.
    Yes,
    /// It belongs to another.
    No,
    /// It can't be told: an algorithm that this crate doesn't know.
    Unknown,
}

/// Why a text isn't a private key that a server can use. `Display` says it as what follows "it …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// It isn't PEM.
    Text(TextFault),
    /// It holds a certificate where the key belongs.
    Certificate,
    /// It holds a public key.
    PublicKey,
    /// It holds blocks of another kind.
    OtherBlock,
    /// It is locked with a passphrase.
    Encrypted,
    /// It is an OpenSSH key, which TLS servers don't read.
    OpenSsh,
    /// Its bytes aren't a key's.
    Damaged,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(fault) => fault.fmt(formatter),
            Self::Certificate => formatter.write_str("holds a certificate where the private key belongs"),
            Self::PublicKey => formatter.write_str("holds a public key, not the private one"),
            Self::OtherBlock => formatter.write_str("holds PEM blocks, and none of them is a private key"),
            Self::Encrypted => {
                formatter.write_str("holds a private key that is locked with a passphrase, which nobody can type in")
            }
            Self::OpenSsh => formatter.write_str("holds a key in OpenSSH's own format, which TLS servers don't read"),
            Self::Damaged => formatter.write_str("holds a private key that is damaged"),
        }
    }
}

impl PrivateKey {
    /// The private key of a PEM text: PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    /// Why there is none that a server can use.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyFault> {
        let blocks = blocks(bytes).map_err(KeyFault::Text)?;
        let block = key_block(&blocks)?;
        if block.is_encrypted || block.label == "ENCRYPTED PRIVATE KEY" {
            return Err(KeyFault::Encrypted);
        }
        let public = match block.label.as_str() {
            "PRIVATE KEY" => of_pkcs8(&block.contents),
            "RSA PRIVATE KEY" => of_pkcs1(&block.contents),
            "EC PRIVATE KEY" => of_sec1(&block.contents, None),
            "OPENSSH PRIVATE KEY" => return Err(KeyFault::OpenSsh),
            _ => Some(PublicKey::Other),
        };
        public.map(|public| Self { public }).ok_or(KeyFault::Damaged)
    }

    /// Whether a text holds a private key that an SSH client reads: OpenSSH's own format or one of OpenSSL's.
    ///
    /// # Errors
    /// Why it doesn't. A passphrase is no fault here: it may be given elsewhere.
    pub fn check_ssh(bytes: &[u8]) -> Result<(), KeyFault> {
        let blocks = blocks(bytes).map_err(KeyFault::Text)?;
        let block = key_block(&blocks)?;
        let is_openssh = block.label == "OPENSSH PRIVATE KEY";
        if is_openssh && !block.contents.starts_with(OPENSSH_MAGIC) {
            return Err(KeyFault::Damaged);
        }
        match Self::read(bytes) {
            Ok(_) | Err(KeyFault::Encrypted | KeyFault::OpenSsh) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Whether it belongs to a certificate's public key.
    #[must_use]
    pub fn belongs_to(&self, certificate: &PublicKey) -> Belongs {
        let is_same = match (&self.public, certificate) {
            (PublicKey::Other, _) | (_, PublicKey::Other) => return Belongs::Unknown,
            (PublicKey::Elliptic { curve, point }, PublicKey::Elliptic { curve: other, point: presented }) => {
                curve == other && is_same_point(point, presented)
            }
            (own, other) => own == other,
        };
        if is_same { Belongs::Yes } else { Belongs::No }
    }
}

impl PublicKey {
    /// The key that a certificate carries.
    pub(crate) fn of_certificate(info: &SubjectPublicKeyInfoOwned) -> Self {
        let bytes = info.subject_public_key.raw_bytes();
        let parameter = || info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
        match info.algorithm.oid {
            RSA => pkcs1::RsaPublicKeyRef::from_der(bytes).ok().and_then(|key| of_rsa(&key)),
            ELLIPTIC => parameter().map(|curve| Self::Elliptic { curve, point: bytes.to_vec() }),
            ED25519 => Some(Self::Ed25519(bytes.to_vec())),
            _ => None,
        }
        .unwrap_or(Self::Other)
    }
}

/// The block of a key; files from OpenSSL may hold the parameters of the curve before it.
fn key_block(blocks: &[Block]) -> Result<&Block, KeyFault> {
    if let Some(block) = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) {
        return Ok(block);
    }
    let has = |part: &str| blocks.iter().any(|block| block.label.contains(part));
    Err(if has("CERTIFICATE") {
        KeyFault::Certificate
    } else if has("PUBLIC KEY") {
        KeyFault::PublicKey
    } else {
        KeyFault::OtherBlock
    })
}

fn of_pkcs8(der: &[u8]) -> Option<PublicKey> {
    let info = PrivateKeyInfoRef::from_der(der).ok()?;
    let key = info.private_key.as_bytes();
    match info.algorithm.oid {
        RSA => of_pkcs1(key),
        ELLIPTIC => of_sec1(key, info.algorithm.parameters_oid().ok()),
        ED25519 => of_ed25519(key),
        _ => Some(PublicKey::Other),
    }
}

fn of_pkcs1(der: &[u8]) -> Option<PublicKey> {
    of_rsa(&RsaPrivateKeyRef::from_der(der).ok()?.public_key())
}

fn of_rsa(key: &pkcs1::RsaPublicKeyRef<'_>) -> Option<PublicKey> {
    let modulus = key.modulus.as_bytes();
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    Some(PublicKey::Rsa { der: key.to_der().ok()?, bits: modulus.len() * 8 - leading })
}

fn of_sec1(der: &[u8], named: Option<ObjectIdentifier>) -> Option<PublicKey> {
    let key = EcPrivateKey::from_der(der).ok()?;
    let own = key.parameters.map(|EcParameters::NamedCurve(curve)| curve);
    let Some(curve) = named.or(own) else { return Some(PublicKey::Other) };
    let scalar = key.private_key;
    let point = match curve {
        P256 => p256::SecretKey::from_slice(scalar).ok()?.public_key().to_sec1_point(false).as_bytes().to_vec(),
        P384 => p384::SecretKey::from_slice(scalar).ok()?.public_key().to_sec1_point(false).as_bytes().to_vec(),
        P521 => p521::SecretKey::from_slice(scalar).ok()?.public_key().to_sec1_point(false).as_bytes().to_vec(),
        _ => return Some(PublicKey::Other),
    };
    Some(PublicKey::Elliptic { curve, point })
}

fn of_ed25519(key: &[u8]) -> Option<PublicKey> {
    let seed: &[u8; 32] = key.strip_prefix(&ED25519_PREFIX)?.try_into().ok()?;
    let public = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key();
    Some(PublicKey::Ed25519(public.to_bytes().to_vec()))
}

/// Whether two encodings are of one point; the first is uncompressed, the second may be compressed.
fn is_same_point(full: &[u8], presented: &[u8]) -> bool {
    if full == presented {
        return true;
    }
    let (Some((&UNCOMPRESSED, coordinates)), Some((&sign, x))) = (full.split_first(), presented.split_first()) else {
        return false;
    };
    let (own_x, own_y) = coordinates.split_at(coordinates.len() / 2);
    let parity = own_y.last().map_or(0, |byte| byte & 1);
    own_x == x && sign == 2 + parity
}
