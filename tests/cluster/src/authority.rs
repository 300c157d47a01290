//! A certificate authority of the test's own, for replicas that are handed their
//! certificates: as many as are asked for, also one that has run out.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

/// One authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// The certificate as DER, as a handshake shows it.
    pub der: Vec<u8>,
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        parameters.distinguished_name.push(DnType::CommonName, "bed CA");
        let pem = parameters.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(parameters, key), pem }
    }

    /// What its certificates are checked by.
    #[must_use]
    pub fn bundle(&self) -> &str {
        &self.pem
    }

    /// A certificate for a name.
    #[must_use]
    pub fn issue(&self, name: &str) -> Pair {
        self.issued(name, |_| {})
    }

    /// One that runs out at this time.
    ///
    /// # Panics
    /// The time is before 1970.
    #[must_use]
    pub fn issue_until(&self, name: &str, end: SystemTime) -> Pair {
        let since = end.duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
        self.issued(name, |parameters| {
            parameters.not_before = date_time_ymd(2020, 1, 1);
            // To the second, as certificates have it.
            parameters.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(since.as_secs());
        })
    }

    fn issued(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).expect("a DNS name");
        change(&mut parameters);
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }
}
