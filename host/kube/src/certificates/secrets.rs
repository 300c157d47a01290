//! The two Secrets: what they say, and how a step is written into them.
//!
//! | entry of `portcullis-ca` | |
//! |---|---|
//! | `ca.crt`, `ca.key` | the newest CA |
//! | `previous-ca.crt` | all others that are still trusted, newest first |
//! | `previous-ca.key` | the key of the first of them, until the newest has signed |
//!
//! Invariants: a Secret is written as it was read or not at all
//! (`resourceVersion`), so that two controllers can't undo each other's step;
//! entries, labels and annotations of others stay.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use rcgen::KeyPair;

use super::issue::{BACKDATED, CertificateAuthority, IssueError, Issued};
use super::parsed::{self, Fingerprint, PairError, Parsed};
use super::plan::{Authority, Leaf, Serving, View};
use super::{CA_SECRET, CERTIFICATE, KEY, SERVING_SECRET};
use crate::webhooks::MANAGED_BY;

/// An annotation of the CA's Secret: somebody asks for a rotation, once a value.
pub const ROTATE: &str = "portcullis.dev/rotate";
/// The last value that was done, or is being done.
pub const ROTATED: &str = "portcullis.dev/rotated";
/// What cert-manager writes on a Secret of its own.
const OF_CERT_MANAGER: &str = "cert-manager.io/certificate-name";

const CA_CERTIFICATE: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const PREVIOUS_CERTIFICATES: &str = "previous-ca.crt";
const PREVIOUS_KEY: &str = "previous-ca.key";

/// The Secrets, as they were read.
#[derive(Debug)]
pub(super) struct Secrets {
    api: Api<Secret>,
    authority: Option<Secret>,
    serving: Option<Secret>,
    /// Newest first.
    authorities: Vec<Held>,
    damage: Option<String>,
    leaf: Option<(Parsed, Option<Fingerprint>)>,
    unusable: Option<String>,
}

/// A CA, with its key where that is there.
#[derive(Debug)]
struct Held {
    certificate: Parsed,
    key: Option<KeyPair>,
}

/// Why a Secret is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    /// The API server says no, or nothing.
    #[error("can't {operation} the Secret {name}: {reason}")]
    Request {
        operation: &'static str,
        name: &'static str,
        reason: String,
        /// Somebody else was faster.
        raced: bool,
    },
    /// It is another's.
    #[error(
        "the Secret {name} is cert-manager's (annotation {OF_CERT_MANAGER}); where cert-manager makes the certificate, \
         the controller is to be told --inject-ca-from NAMESPACE/NAME in place of --manage-certificates"
    )]
    Contested { name: &'static str },
    /// Nothing could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The signer of a step isn't there (any more).
    #[error("the CA that is to sign has no key")]
    NoSigner,
}

impl SecretError {
    /// Whether another look is all that is needed.
    pub(super) fn is_race(&self) -> bool {
        matches!(self, SecretError::Request { raced: true, .. })
    }
}

impl Secrets {
    /// Reads both.
    pub(super) async fn read(client: &Client, namespace: &str) -> Result<Secrets, SecretError> {
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let authority = api.get_opt(CA_SECRET).await.map_err(|error| refused("read", CA_SECRET, &error))?;
        let serving = api.get_opt(SERVING_SECRET).await.map_err(|error| refused("read", SERVING_SECRET, &error))?;
        for (secret, name) in [(&authority, CA_SECRET), (&serving, SERVING_SECRET)] {
            if secret.as_ref().is_some_and(|secret| secret.annotations().contains_key(OF_CERT_MANAGER)) {
                return Err(SecretError::Contested { name });
            }
        }
        let (authorities, damage) = authorities(authority.as_ref());
        let (leaf, unusable) = match serving.as_ref().map(|secret| read_leaf(secret, &authorities)) {
            None => (None, None),
            Some(Ok(leaf)) => (Some(leaf), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        Ok(Secrets { api, authority, serving, authorities, damage, leaf, unusable })
    }

    /// What they say, for the plan. `names` are those that the certificate should have.
    pub(super) fn view(&self, names: &BTreeSet<String>) -> View {
        let authority = |held: &Held| Authority {
            id: held.certificate.fingerprint,
            issued: issued(&held.certificate),
            not_after: held.certificate.not_after,
            signs: held.key.is_some(),
        };
        let serving = match (&self.leaf, &self.unusable) {
            (Some((leaf, issuer)), _) => Serving::Present(Leaf {
                id: leaf.fingerprint,
                issuer: *issuer,
                issued: issued(leaf),
                not_after: leaf.not_after,
                named: leaf.names == *names,
            }),
            (None, Some(reason)) => Serving::Damaged(reason.clone()),
            (None, None) => Serving::Missing,
        };
        let annotations = self.authority.as_ref().map(ResourceExt::annotations);
        let value = |key: &str| annotations.and_then(|annotations| annotations.get(key));
        View {
            authorities: self.authorities.iter().map(authority).collect(),
            damage: self.damage.clone(),
            serving,
            asked: value(ROTATE).filter(|asked| value(ROTATED) != Some(asked)).cloned(),
        }
    }

    /// The CAs of a bundle, in PEM.
    pub(super) fn pem(&self, bundle: &[Fingerprint]) -> Vec<u8> {
        bundle
            .iter()
            .filter_map(|id| self.held(*id))
            .map(|held| held.certificate.pem())
            .collect::<String>()
            .into_bytes()
    }

    fn held(&self, id: Fingerprint) -> Option<&Held> {
        self.authorities.iter().find(|held| held.certificate.fingerprint == id)
    }

    /// The CA that is to sign.
    pub(super) fn signer(&self, id: Fingerprint) -> Result<CertificateAuthority, SecretError> {
        let held = self.held(id).ok_or(SecretError::NoSigner)?;
        let key = held.key.as_ref().ok_or(SecretError::NoSigner)?;
        let key = KeyPair::try_from(key.serialized_der()).map_err(|_| SecretError::NoSigner)?;
        Ok(CertificateAuthority::load(&held.certificate, key)?)
    }

    /// A new CA in front of those that are kept; what webhooks trust beyond the
    /// Secret is among `others`. It answers what was asked for.
    pub(super) async fn create(
        &self,
        authority: &CertificateAuthority,
        keep: &[Fingerprint],
        others: &[Parsed],
    ) -> Result<(), SecretError> {
        let mut data = self.previous(keep, others, Keys::Kept);
        data.insert(CA_CERTIFICATE, authority.certificate_pem().to_owned());
        data.insert(CA_KEY, authority.key_pem());
        self.write_authority(data, true).await
    }

    /// The newest CA as it is, and these behind it.
    pub(super) async fn keep(&self, keep: &[Fingerprint], others: &[Parsed], keys: Keys) -> Result<(), SecretError> {
        let Some(newest) = self.authorities.first() else { return Err(SecretError::NoSigner) };
        let Some(key) = &newest.key else { return Err(SecretError::NoSigner) };
        let behind: Vec<Fingerprint> =
            keep.iter().copied().filter(|id| *id != newest.certificate.fingerprint).collect();
        let mut data = self.previous(&behind, others, keys);
        data.insert(CA_CERTIFICATE, newest.certificate.pem());
        data.insert(CA_KEY, key.serialize_pem());
        self.write_authority(data, false).await
    }

    /// All CAs of the Secret.
    pub(super) fn all(&self) -> Vec<Fingerprint> {
        self.authorities.iter().map(|held| held.certificate.fingerprint).collect()
    }

    fn previous(&self, keep: &[Fingerprint], others: &[Parsed], keys: Keys) -> BTreeMap<&'static str, String> {
        let pem = |id: &Fingerprint| {
            let known = self.held(*id).map(|held| &held.certificate);
            known.or_else(|| others.iter().find(|one| one.fingerprint == *id)).map(Parsed::pem)
        };
        let certificates: String = keep.iter().filter_map(pem).collect();
        let first = keep.first().and_then(|id| self.held(*id)?.key.as_ref()).filter(|_| keys == Keys::Kept);
        BTreeMap::from([
            (PREVIOUS_CERTIFICATES, certificates),
            (PREVIOUS_KEY, first.map(KeyPair::serialize_pem).unwrap_or_default()),
        ])
    }

    async fn write_authority(&self, data: BTreeMap<&'static str, String>, answers: bool) -> Result<(), SecretError> {
        let mut secret = self.authority.clone().unwrap_or_else(|| Secret::of(CA_SECRET, "Opaque"));
        if let (true, Some(asked)) = (answers, secret.annotations().get(ROTATE).cloned()) {
            secret.annotations_mut().insert(ROTATED.to_owned(), asked);
        }
        self.write(secret, CA_SECRET, data).await
    }

    /// A new serving certificate.
    pub(super) async fn serve(&self, issued: &Issued) -> Result<(), SecretError> {
        let secret = self.serving.clone().unwrap_or_else(|| Secret::of(SERVING_SECRET, "kubernetes.io/tls"));
        let data = [(CERTIFICATE, issued.certificate_pem.clone()), (KEY, issued.key_pem.clone())];
        self.write(secret, SERVING_SECRET, data.into()).await
    }

    async fn write(
        &self,
        mut secret: Secret,
        name: &'static str,
        entries: BTreeMap<&'static str, String>,
    ) -> Result<(), SecretError> {
        let data = secret.data.get_or_insert_default();
        for (entry, text) in entries {
            match text.is_empty() {
                true => data.remove(entry),
                false => data.insert(entry.to_owned(), ByteString(text.into_bytes())),
            };
        }
        let there = secret.metadata.resource_version.is_some();
        let parameters = PostParams::default();
        let written = match there {
            true => self.api.replace(name, &parameters, &secret).await,
            false => self.api.create(&parameters, &secret).await,
        };
        written.map(|_| ()).map_err(|error| refused("write", name, &error))
    }
}

/// What becomes of the key of the CA before the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// It may still have to sign.
    Kept,
    /// It has signed its last.
    Forgotten,
}

/// A Secret that isn't there yet.
trait New {
    fn of(name: &str, kind: &str) -> Self;
}

impl New for Secret {
    fn of(name: &str, kind: &str) -> Secret {
        let (key, value) = MANAGED_BY;
        let labels = [(key, value), ("app.kubernetes.io/name", "portcullis")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels.into()), ..ObjectMeta::default() },
            type_: Some(kind.to_owned()),
            ..Secret::default()
        }
    }
}

fn entry<'a>(secret: &'a Secret, entry: &'static str) -> Result<&'a [u8], PairError> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(entry)).map(|bytes| bytes.0.as_slice());
    bytes.filter(|bytes| !bytes.is_empty()).ok_or(PairError::Missing { entry })
}

/// The CAs of the Secret, and what is wrong with the newest.
fn authorities(secret: Option<&Secret>) -> (Vec<Held>, Option<String>) {
    let Some(secret) = secret else { return (Vec::new(), None) };
    let newest = || -> Result<Held, PairError> {
        let certificate = parsed::leaf(entry(secret, CA_CERTIFICATE)?, CA_CERTIFICATE)?;
        let key = parsed::key_of(entry(secret, CA_KEY)?, CA_KEY, &certificate, CA_CERTIFICATE)?;
        match certificate.is_authority {
            true => Ok(Held { certificate, key: Some(key) }),
            false => Err(PairError::NoAuthority { entry: CA_CERTIFICATE }),
        }
    };
    let (mut held, damage) = match newest() {
        Ok(newest) => (vec![newest], None),
        Err(error) => {
            // Its key is lost, but what it signed is served.
            let saved = parsed::salvage(entry(secret, CA_CERTIFICATE).unwrap_or_default());
            let saved = saved.into_iter().filter(|one| one.is_authority);
            (saved.map(|certificate| Held { certificate, key: None }).collect(), Some(error.to_string()))
        }
    };
    for (place, certificate) in
        parsed::salvage(entry(secret, PREVIOUS_CERTIFICATES).unwrap_or_default()).into_iter().enumerate()
    {
        if held.iter().any(|one| one.certificate.fingerprint == certificate.fingerprint) {
            continue;
        }
        let key = entry(secret, PREVIOUS_KEY).ok().filter(|_| place == 0);
        let key = key.and_then(|key| parsed::key_of(key, PREVIOUS_KEY, &certificate, PREVIOUS_CERTIFICATES).ok());
        held.push(Held { certificate, key });
    }
    (held, damage)
}

/// The serving certificate and which of the CAs signed it.
fn read_leaf(secret: &Secret, authorities: &[Held]) -> Result<(Parsed, Option<Fingerprint>), PairError> {
    let leaf = parsed::leaf(entry(secret, CERTIFICATE)?, CERTIFICATE)?;
    let signs = |held: &&Held| held.certificate.fingerprint == leaf.fingerprint || leaf.signed_by(&held.certificate);
    let issuer = authorities.iter().find(signs).map(|held| held.certificate.fingerprint);
    match (parsed::key_of(entry(secret, KEY)?, KEY, &leaf, CERTIFICATE), issuer) {
        // Ours are always readable; another's key may be of a kind that we don't read.
        (Err(PairError::Key { .. }), None) => {}
        (outcome, _) => drop(outcome?),
    }
    Ok((leaf, issuer))
}

/// When it was made.
fn issued(certificate: &Parsed) -> i64 {
    certificate.not_before.saturating_add(i64::try_from(BACKDATED.as_secs()).unwrap_or(0))
}

fn refused(operation: &'static str, name: &'static str, error: &kube::Error) -> SecretError {
    let raced = matches!(error, kube::Error::Api(status) if status.code == 409);
    SecretError::Request { operation, name, reason: crate::told(error), raced }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::time::Duration;

    use super::super::issue::Validity;
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const DAY: Duration = Duration::from_secs(86_400);

    fn authority() -> CertificateAuthority {
        CertificateAuthority::make("Portcullis CA", Validity::of(NOW, 365 * DAY)).unwrap()
    }

    fn names() -> Vec<String> {
        ["portcullis.portcullis-system.svc", "Portcullis", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
    }

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let data = entries.iter().map(|(entry, text)| ((*entry).to_owned(), ByteString(text.as_bytes().to_vec())));
        Secret { data: Some(data.collect()), ..Secret::default() }
    }

    /// What is found in a CA's Secret: CAs, those with a key, and what is wrong.
    #[track_caller]
    fn check(entries: &[(&str, &str)], expected: (usize, usize), damage: Option<&str>) {
        let (held, found) = authorities(Some(&secret(entries)));
        let keys = held.iter().filter(|one| one.key.is_some()).count();
        assert_eq!((held.len(), keys), expected);
        match (found, damage) {
            (None, None) => {}
            (found, expected) => assert!(found.as_deref().unwrap_or_default().contains(expected.unwrap()), "{found:?}"),
        }
    }

    #[test]
    fn what_is_left_of_a_damaged_ca_is_still_trusted() {
        let (new, old) = (authority(), authority());
        let (certificate, key) = (new.certificate_pem(), new.key_pem());
        let (before, before_key) = (old.certificate_pem(), old.key_pem());
        let whole =
            [("ca.crt", certificate), ("ca.key", &key), ("previous-ca.crt", before), ("previous-ca.key", &before_key)];
        check(&whole, (2, 2), None);
        check(&whole[..2], (1, 1), None);
        check(&whole[..3], (2, 1), None);
        check(&whole[..1], (1, 0), Some("it has no entry ca.key, or an empty one"));
        check(&[("ca.crt", certificate), ("ca.key", "")], (1, 0), Some("no entry ca.key"));
        check(&[("ca.crt", certificate), ("ca.key", &before_key)], (1, 0), Some("the key in ca.key isn't that"));
        check(&[("ca.crt", certificate), ("ca.key", &key[..60])], (1, 0), Some("ca.key holds no private key"));
        check(&[("ca.crt", &certificate[..90]), ("ca.key", &key)], (0, 0), Some("ca.crt holds no certificate"));
        check(&[("ca.crt", "nonsense"), ("ca.key", &key), whole[2]], (1, 0), Some("no CERTIFICATE section"));
        check(&[], (0, 0), Some("it has no entry ca.crt"));
        let leaf = new.issue(&names(), Validity::of(NOW, DAY)).unwrap();
        let no_authority = [("ca.crt", leaf.certificate_pem.as_str()), ("ca.key", &leaf.key_pem)];
        check(&no_authority, (0, 0), Some("the certificate in ca.crt isn't a CA's"));
        check(&[whole[0], whole[1], ("previous-ca.crt", certificate)], (1, 1), None);
        assert!(authorities(None).1.is_none(), "one that isn't there isn't damaged");
    }

    #[test]
    fn a_serving_certificate_is_known_by_the_ca_that_signed_it() {
        let (new, old) = (authority(), authority());
        let ours = secret(&[
            ("ca.crt", new.certificate_pem()),
            ("ca.key", &new.key_pem()),
            ("previous-ca.crt", old.certificate_pem()),
        ]);
        let (held, _) = authorities(Some(&ours));
        let id = |place: usize| Some(held[place].certificate.fingerprint);
        let of = |signer: &CertificateAuthority| {
            let issued = signer.issue(&names(), Validity::of(NOW, 90 * DAY)).unwrap();
            secret(&[("tls.crt", &issued.certificate_pem), ("tls.key", &issued.key_pem)])
        };
        let (leaf, issuer) = read_leaf(&of(&new), &held).unwrap();
        assert_eq!(issuer, id(0));
        let expected = ["127.0.0.1", "::1", "portcullis", "portcullis.portcullis-system.svc"].map(str::to_owned);
        assert_eq!(leaf.names, BTreeSet::from(expected));
        assert_eq!((leaf.not_before, leaf.not_after), (NOW - 3600, NOW + 90 * 86_400));
        assert_eq!((leaf.is_authority, issued(&leaf)), (false, NOW));
        assert_eq!(read_leaf(&of(&old), &held).unwrap().1, id(1));
        assert_eq!(read_leaf(&of(&authority()), &held).unwrap().1, None);
        // A key that isn't its own.
        let mut mixed = of(&new);
        let key = of(&new).data.unwrap().remove("tls.key").unwrap();
        mixed.data.as_mut().unwrap().insert("tls.key".to_owned(), key);
        assert!(matches!(read_leaf(&mixed, &held), Err(PairError::Mismatch { .. })));
    }

    #[test]
    fn a_ca_read_again_signs_as_before() {
        let made = authority();
        let (mut held, _) =
            authorities(Some(&secret(&[("ca.crt", made.certificate_pem()), ("ca.key", &made.key_pem())])));
        let Held { certificate, key } = held.remove(0);
        let again = CertificateAuthority::load(&certificate, key.unwrap()).unwrap();
        let issued = again.issue(&names(), Validity::of(NOW, DAY)).unwrap();
        let leaf = parsed::leaf(issued.certificate_pem.as_bytes(), "tls.crt").unwrap();
        assert!(leaf.signed_by(&certificate));
        assert_eq!(again.certificate_pem(), made.certificate_pem());
        assert_eq!(again.not_after(), NOW + 365 * 86_400);
        // Two CAs share neither subject nor key identifier.
        let subject = |pem: &str| {
            let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
            let certificate = pem.parse_x509().unwrap();
            let key = certificate.extensions().iter().find_map(|one| match one.parsed_extension() {
                x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            });
            (certificate.subject().to_string(), key.unwrap())
        };
        let (first, second) = (subject(made.certificate_pem()), subject(authority().certificate_pem()));
        assert!(first.0 != second.0 && first.1 != second.1);
    }

    #[test]
    fn a_certificate_never_outlives_the_end_of_time() {
        let validity = Validity::of(NOW, Duration::from_secs(u64::MAX));
        assert_eq!(validity.not_after, 253_402_300_799);
        assert!(CertificateAuthority::make("x", validity).is_ok());
    }
}
