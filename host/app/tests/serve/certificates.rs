//! Certificates on a real handshake: who is let in, and what a swap does.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use portcullis::certs::{Certificates, Renewal, SelfSigned};
use portcullis::config::CertificateSource;
use portcullis::store::Snapshots;
use portcullis::telemetry::Metrics;
use portcullis_kube::certificates::Validity;

use super::fixture::{Server, client, config, eventually, post, review, self_signed, snapshot};

fn pair() -> SelfSigned {
    SelfSigned::make(&["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

fn write(folder: &Path, pair: &SelfSigned) {
    fs::write(folder.join("tls.crt"), &pair.certificate_pem).unwrap();
    fs::write(folder.join("tls.key"), &pair.key_pem).unwrap();
}

fn files(folder: &Path) -> CertificateSource {
    CertificateSource::Files { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
}

async fn serving(certificates: Arc<Certificates>) -> Server {
    Server::with(config(), Snapshots::of(snapshot(vec![])), certificates).await
}

async fn trusts(server: &Server, ca: &str) -> bool {
    client(ca).build().unwrap().post(server.url("/validate")).body(review("v1", "u")).send().await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_pair_is_swapped_in_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (pair(), pair());
    write(folder.path(), &old);
    let certificates = Arc::new(Certificates::load(&files(folder.path()), None).unwrap());
    let server = serving(certificates.clone()).await;
    assert!(trusts(&server, &old.ca_pem).await && !trusts(&server, &new.ca_pem).await);
    assert_eq!(certificates.reload(), Renewal::Unchanged);

    for (file, content, expected) in [
        ("tls.key", new.key_pem.as_str(), "does not belong to the certificate"),
        ("tls.key", "nothing", "holds no private key"),
        ("tls.crt", "", "holds no certificate"),
        ("tls.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificate"),
    ] {
        write(folder.path(), &old);
        fs::write(folder.path().join(file), content).unwrap();
        let Renewal::Refused(reason) = certificates.reload() else { panic!("{expected}: accepted") };
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(certificates.reload(), Renewal::Unchanged, "said once");
        assert!(trusts(&server, &old.ca_pem).await, "the old pair stays in use");
    }
    fs::remove_file(folder.path().join("tls.crt")).unwrap();
    assert!(matches!(certificates.reload(), Renewal::Refused(_)));

    write(folder.path(), &new);
    assert!(matches!(certificates.reload(), Renewal::Swapped(_)));
    assert!(trusts(&server, &new.ca_pem).await && !trusts(&server, &old.ca_pem).await);
}

/// What has run out is of no use beside one that hasn't; where both have, the newer is as good.
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_has_run_out_never_replaces_one_that_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (good, stale, staler) = (pair(), run_out(1), run_out(2));
    write(folder.path(), &good);
    let certificates = Arc::new(Certificates::load(&files(folder.path()), None).unwrap());
    let server = serving(certificates.clone()).await;
    write(folder.path(), &stale);
    let Renewal::Refused(reason) = certificates.reload() else { panic!("it was taken") };
    assert!(reason.contains("tls.crt has run out on 20") && reason.contains("renew it"), "{reason}");
    assert!(trusts(&server, &good.ca_pem).await && !trusts(&server, &stale.ca_pem).await);
    assert_eq!(certificates.reload(), Renewal::Unchanged, "said once");

    // A replica that is started with one says so in its metrics and its log, and takes any other.
    let certificates = Certificates::load(&files(folder.path()), None).unwrap();
    for pair in [staler, good] {
        write(folder.path(), &pair);
        assert!(matches!(certificates.reload(), Renewal::Swapped(_)));
    }
}

/// A pair that ended so many days ago.
fn run_out(days: i64) -> SelfSigned {
    let not_after = jiff::Timestamp::now().as_second() - days * 86_400;
    let validity = Validity { not_before: not_after - 86_400, not_after };
    SelfSigned::lasting(&["localhost".to_owned()], validity).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_of_kubelets_data_link_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (old, new) = (pair(), pair());
    for (name, pair) in [("..2026_1", &old), ("..2026_2", &new)] {
        fs::create_dir(path.join(name)).unwrap();
        write(&path.join(name), pair);
    }
    symlink("..2026_1", path.join("..data")).unwrap();
    for file in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(file), path.join(file)).unwrap();
    }
    let certificates = Arc::new(Certificates::load(&files(path), None).unwrap());
    let server = serving(certificates.clone()).await;
    let following = tokio::spawn(certificates.follow(Arc::new(Metrics::new())));
    assert!(trusts(&server, &old.ca_pem).await);
    symlink("..2026_2", path.join("..data_tmp")).unwrap();
    fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    fs::remove_dir_all(path.join("..2026_1")).unwrap();
    eventually("the new pair is in use", async || trusts(&server, &new.ca_pem).await).await;
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_client_ca_only_its_clients_are_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.crt");
    let issuer = rcgen_client();
    fs::write(&ca_file, &issuer.ca_pem).unwrap();
    let certificates = Arc::new(Certificates::load(&self_signed(), Some(ca_file)).unwrap());
    let server = serving(certificates).await;
    let ca = server.running.ca_pem.clone().unwrap();
    assert!(!trusts(&server, &ca).await, "no certificate was shown");
    for (identity, let_in) in [(&issuer, true), (&rcgen_client(), false)] {
        let pem = format!("{}{}", identity.certificate_pem, identity.key_pem);
        let identity = reqwest::Identity::from_pem(pem.as_bytes()).unwrap();
        let client = client(&ca).identity(identity).build().unwrap();
        let answered = client.post(server.url("/validate")).body(review("v1", "u")).send().await.is_ok();
        assert_eq!(answered, let_in);
    }
    let client = client(&ca).identity(
        reqwest::Identity::from_pem(format!("{}{}", issuer.certificate_pem, issuer.key_pem).as_bytes()).unwrap(),
    );
    assert!(post(&client.build().unwrap(), &server.url("/validate"), review("v1", "u")).await.allowed("u"));
}

/// A CA and a client's certificate.
fn rcgen_client() -> SelfSigned {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let ca_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut client = CertificateParams::new(vec!["kube-apiserver".to_owned()]).unwrap();
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate_pem = client.signed_by(&key, &issuer).unwrap().pem();
    SelfSigned { ca_pem, certificate_pem, key_pem: key.serialize_pem() }
}
