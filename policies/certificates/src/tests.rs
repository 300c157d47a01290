//! What is read of real certificates and keys, and what is said of texts that are none.

use crate::{
    Belongs, Certificate, ChainFault, KeyFault, PrivateKey, TextFault, Unreadable, blocks, chain_faults, host, instant,
};

/// 2026-01-01T00:00:00Z and a year later.
const VALID: (u64, u64) = (1_767_225_600, 1_798_761_600);

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../tests/data/", $name))
    };
}

fn first(bytes: &[u8]) -> Certificate {
    Certificate::chain(bytes).expect("a certificate of the test data").remove(0)
}

#[test]
fn a_certificate_tells_when_it_holds_and_for_whom() {
    for (bytes, name) in [
        (&data!("p256.crt")[..], "p256.example"),
        (data!("p384.crt"), "p384.example"),
        (data!("p521.crt"), "p521.example"),
        (data!("rsa.crt"), "rsa.example"),
        (data!("ed25519.crt"), "ed25519.example"),
        (data!("p256-compressed.crt"), "p256.example"),
    ] {
        let certificate = first(bytes);
        assert_eq!((certificate.not_before, certificate.not_after), VALID, "{name}");
        assert!(certificate.covers(name) && certificate.covers(&format!("www.{name}")), "{name}");
        assert!(!certificate.covers("other.example"), "{name}");
        assert!(certificate.is_self_issued() && !certificate.is_authority && !certificate.has_weak_signature, "{name}");
    }
}

#[test]
fn a_key_belongs_to_its_own_certificate_and_to_no_other() {
    let keys: [(&str, &[u8]); 8] = [
        ("p256", data!("p256.key")),
        ("p256", data!("p256-sec1.key")),
        ("p256", data!("p256-no-public.key")),
        ("p384", data!("p384.key")),
        ("p521", data!("p521.key")),
        ("rsa", data!("rsa.key")),
        ("rsa", data!("rsa-pkcs1.key")),
        ("ed25519", data!("ed25519.key")),
    ];
    let certificates: [(&str, &[u8]); 6] = [
        ("p256", data!("p256.crt")),
        ("p256", data!("p256-compressed.crt")),
        ("p384", data!("p384.crt")),
        ("p521", data!("p521.crt")),
        ("rsa", data!("rsa.crt")),
        ("ed25519", data!("ed25519.crt")),
    ];
    for (key_name, key) in keys {
        let key = PrivateKey::read(key).expect(key_name);
        for (name, certificate) in certificates {
            let expected = if key_name == name { Belongs::Yes } else { Belongs::No };
            assert_eq!(key.belongs_to(&first(certificate).public_key), expected, "{key_name} key, {name} certificate");
        }
    }
}

#[test]
fn an_algorithm_that_is_not_known_is_never_taken_for_wrong() {
    let key = PrivateKey::read(data!("ed448.key")).expect("a key of the test data");
    assert_eq!(key.belongs_to(&first(data!("rsa.crt")).public_key), Belongs::Unknown);
}

#[test]
fn what_is_no_usable_key_says_why() {
    let cases: [(&[u8], KeyFault); 9] = [
        (data!("p256-encrypted.key"), KeyFault::Encrypted),
        (data!("rsa-encrypted.key"), KeyFault::Encrypted),
        (data!("openssh.key"), KeyFault::OpenSsh),
        (data!("p256.crt"), KeyFault::Certificate),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", KeyFault::PublicKey),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", KeyFault::Damaged),
        (b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n", KeyFault::OtherBlock),
        (b"/etc/ssl/tls.key", KeyFault::Text(TextFault::Path)),
        (b"", KeyFault::Text(TextFault::Empty)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(PrivateKey::read(bytes), Err(expected), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn an_ssh_key_may_be_of_any_format() {
    for bytes in [&data!("openssh.key")[..], data!("rsa-pkcs1.key"), data!("p256-sec1.key"), data!("rsa-encrypted.key")]
    {
        assert_eq!(PrivateKey::check_ssh(bytes), Ok(()));
    }
    let damaged = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    assert_eq!(PrivateKey::check_ssh(damaged), Err(KeyFault::Damaged));
    assert_eq!(PrivateKey::check_ssh(data!("openssh.pub")), Err(KeyFault::Text(TextFault::NoPem)));
}

#[test]
fn what_is_no_certificate_says_why() {
    let cut_der = b"-----BEGIN CERTIFICATE-----\nMIIBkTCB+wIJAA==\n-----END CERTIFICATE-----\n";
    let odd = b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let cases: [(&[u8], Unreadable); 6] = [
        (data!("p256.key"), Unreadable::PrivateKey),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", Unreadable::Request),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", Unreadable::OtherBlock),
        (cut_der, Unreadable::Damaged),
        (odd, Unreadable::Unfollowed),
        (b"hello", Unreadable::Text(TextFault::NoPem)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Certificate::chain(bytes), Err(expected), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn whatever_the_damage_nothing_panics() {
    for bytes in
        [&data!("chain.crt")[..], data!("rsa.crt"), data!("p256.key"), data!("rsa-pkcs1.key"), data!("ed25519.key")]
    {
        let mut read = 0;
        for at in 0..bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 0x11;
            for damaged in [&flipped[..], &bytes[..at]] {
                let chain = Certificate::chain(damaged).unwrap_or_default();
                assert!(chain_faults(&chain).len() <= chain.len());
                read += usize::from(!chain.is_empty() || PrivateKey::read(damaged).is_ok());
            }
        }
        // Text around the blocks and the insides of a signature may change: so some of it is still read.
        assert!(read > 0, "nothing was read at all");
    }
    for block in blocks(data!("rsa.crt")).expect("a certificate of the test data") {
        for at in 0..block.contents.len() {
            let mut flipped = block.contents.clone();
            flipped[at] ^= 0x81;
            let _ = Certificate::from_der(&flipped);
        }
    }
}

#[test]
fn a_text_that_is_not_pem_is_named() {
    let pem = String::from_utf8_lossy(data!("p256.crt")).into_owned();
    let twice = base64_of(pem.as_bytes());
    let escaped = pem.replace('\n', "\\n");
    let joined = pem.replace('\n', " ");
    let cut = &pem[..pem.len() / 2];
    let garbled = "-----BEGIN CERTIFICATE-----\n<your certificate>\n-----END CERTIFICATE-----\n";
    let cases: [(&str, TextFault); 19] = [
        ("", TextFault::Empty),
        (" \n", TextFault::Empty),
        ("/etc/ssl/certs/tls.crt", TextFault::Path),
        ("/home/me/certificate", TextFault::Path),
        ("./tls.crt\n", TextFault::Path),
        ("tls.crt", TextFault::Path),
        ("~/tls", TextFault::Path),
        ("C:\\certs\\tls", TextFault::Path),
        ("file:///tmp/x", TextFault::Path),
        (&twice, TextFault::EncodedTwice),
        (&escaped, TextFault::EscapedLineBreaks),
        (&joined, TextFault::OneLine),
        (cut, TextFault::CutOff),
        ("-----BEGIN CERTIFICATE-----", TextFault::OneLine),
        (garbled, TextFault::Garbled),
        ("<base64 of the certificate>", TextFault::NoPem),
        ("é", TextFault::NoPem),
        ("/9j+4AAQ=", TextFault::NoPem),
        ("\u{30}\u{0}", TextFault::Binary),
    ];
    for (text, expected) in cases {
        assert_eq!(blocks(text.as_bytes()), Err(expected), "{text}");
    }
    assert_eq!(blocks(&[0x30, 0x82, 0xff]), Err(TextFault::Binary));
    assert_eq!(blocks(&[0xfe, 0xed, 0xfe, 0xed]), Err(TextFault::Binary));
}

#[test]
fn pem_is_read_with_any_line_breaks_and_with_text_around_it() {
    let pem = String::from_utf8_lossy(data!("p256.crt")).into_owned();
    for text in [pem.replace('\n', "\r\n"), format!("subject=/CN=x\n{pem}trailer\n"), pem.trim_end().to_owned()] {
        assert_eq!(blocks(text.as_bytes()).map(|blocks| blocks.len()), Ok(1), "{text}");
    }
}

#[test]
fn a_chain_goes_from_the_server_to_its_issuers() {
    let faults = |bytes: &[u8]| chain_faults(&Certificate::chain(bytes).expect("a chain of the test data"));
    assert_eq!(faults(data!("chain.crt")), []);
    assert_eq!(faults(data!("p256.crt")), []);
    assert_eq!(faults(data!("chain-reversed.crt")), [ChainFault::LeafIsNotFirst]);
    assert_eq!(faults(data!("chain-gap.crt")), [ChainFault::NotTheIssuer(1)]);
    assert_eq!(chain_faults(&[]), []);
}

#[test]
fn names_cover_hosts_as_rfc_9525_says() {
    let cases = [
        ("www.shop.example", "www.shop.example", true),
        ("WWW.shop.Example", "www.SHOP.example", true),
        ("www.shop.example.", "www.shop.example", true),
        ("www.shop.example", "shop.example", false),
        ("*.shop.example", "www.shop.example", true),
        ("*.shop.example", "WWW.SHOP.EXAMPLE", true),
        ("*.shop.example", "shop.example", false),
        ("*.shop.example", "a.www.shop.example", false),
        ("*.shop.example", ".shop.example", false),
        ("w*.shop.example", "www.shop.example", false),
        ("*w.shop.example", "www.shop.example", false),
        ("www.*.example", "www.shop.example", false),
        ("*.*.example", "www.shop.example", false),
        ("*", "localhost", false),
        // A rule for a wildcard host needs that wildcard.
        ("*.shop.example", "*.shop.example", true),
        ("www.shop.example", "*.shop.example", false),
        ("*.example", "*.shop.example", false),
        ("", "", false),
        ("", "shop.example", false),
    ];
    for (presented, host, expected) in cases {
        assert_eq!(host::covers(presented, host), expected, "{presented} for {host}");
    }
}

#[test]
fn instants_are_read_as_kubernetes_writes_them() {
    let cases = [
        ("2020-09-13T04:39:10Z", Some(1_599_971_950)),
        ("2020-09-13T06:39:10+02:00", Some(1_599_971_950)),
        ("2020-09-12T23:09:10.123-05:30", Some(1_599_971_950)),
        ("1970-01-01T00:00:00Z", Some(0)),
        ("1969-12-31T23:59:59Z", None),
        ("2020-09-13", None),
        ("2020-09-13T04:39:10", None),
        ("2020-09-13T04:39:10.Z", None),
        ("2020-13-13T04:39:10Z", None),
        ("2020-09-13T04:39:10+2", None),
        ("2020-09-13T04:39:10é02:00", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(instant::seconds(text), expected, "{text}");
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}
