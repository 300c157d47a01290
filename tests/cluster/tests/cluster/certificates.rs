//! Certificates of the installation's own on a real API server, under a load of
//! real writes: rotated again and again, lost, damaged, brought along. Whatever
//! happens to the Secrets, no call fails and nothing passes that must not.

use std::time::{Duration, Instant};

use portcullis_cluster::{
    Certificates, Cluster, Controllers, LOAD_POLICY, Load, Network, Pace, Plan, Portcullis, Setup, wait_for,
};
use portcullis_core::kinds::Kinds;
use portcullis_kube::certificates::{CertificateAuthority, ROTATE, ROTATED, Validity};
use portcullis_kube::rbac;
use serde_json::{Value, json};

const NAMESPACE: &str = "portcullis-system";
const CA: &str = "portcullis-ca";
const SERVING: &str = "portcullis-tls";
/// Rotations of CA and certificate; `PORTCULLIS_ROTATIONS` says otherwise.
const ROTATIONS: u32 = 200;
/// How long one may take on two cores that others use too.
const SOON: Duration = Duration::from_secs(60);
/// The same with a controller that dies: its Lease runs out after 15 s, and the
/// next one loads all policies before it writes a configuration.
const AFTER_A_DEATH: Duration = Duration::from_secs(180);
/// Three replicas behind a Service. They end before their cluster, and that
/// before the network that both lie in.
struct Bed {
    portcullis: Portcullis,
    cluster: Cluster,
    #[allow(dead_code, reason = "held for its end")]
    network: Network,
}

/// None where no network can be made here.
fn start(certificates: Certificates) -> Option<Bed> {
    let network = match Network::new(3) {
        Ok(network) => network,
        Err(why) => {
            eprintln!("{why}");
            return None;
        }
    };
    let cluster = Plan::default().controllers(Controllers::OwnAccounts).on(&network).start();
    let setup =
        Setup { policies: LOAD_POLICY.to_owned(), places: network.places().to_vec(), certificates, ..Setup::default() };
    let portcullis = Portcullis::start(&cluster, setup);
    Some(Bed { portcullis, cluster, network })
}

fn secret(cluster: &Cluster, name: &str) -> Value {
    serde_json::from_str(&cluster.kubectl(&["get", "secret", name, "-n", NAMESPACE, "-o", "json"], "")).unwrap()
}

/// Whether one CA is left, the configurations carry it and nothing else, and the
/// wish was done.
fn at_rest(cluster: &Cluster, wish: Option<&str>) -> bool {
    let said = cluster.try_kubectl(&["get", "secret", CA, "-n", NAMESPACE, "-o", "json"], "");
    let Ok(secret) = serde_json::from_str::<Value>(&said.output) else { return false };
    let annotations = &secret["metadata"]["annotations"];
    if secret["data"].get("previous-ca.crt").is_some() || wish.is_some_and(|wish| annotations[ROTATED] != wish) {
        return false;
    }
    bundles(cluster).iter().all(|bundle| *bundle == secret["data"]["ca.crt"])
}

/// What each webhook of the configurations trusts, in base64.
fn bundles(cluster: &Cluster) -> Vec<Value> {
    let all = ["get", "validatingwebhookconfigurations,mutatingwebhookconfigurations", "-o", "json"];
    let configurations: Value = serde_json::from_str(&cluster.kubectl(&all, "")).unwrap();
    let webhooks =
        configurations["items"].as_array().unwrap().iter().flat_map(|one| one["webhooks"].as_array().unwrap());
    webhooks.map(|webhook| webhook["clientConfig"]["caBundle"].clone()).collect()
}

fn ask(cluster: &Cluster, wish: &str) {
    let wish = format!("{ROTATE}={wish}");
    cluster.kubectl(&["annotate", "secret", CA, "-n", NAMESPACE, "--overwrite", &wish], "");
}

#[test]
fn rotations_under_load_lose_no_call() {
    let Some(bed) = start(Certificates::Own) else { return };
    let cluster = &bed.cluster;
    let times = std::env::var("PORTCULLIS_ROTATIONS").ok().and_then(|times| times.parse().ok()).unwrap_or(ROTATIONS);
    assert_eq!(secret(cluster, SERVING)["type"], "kubernetes.io/tls");
    let first = secret(cluster, CA)["data"]["ca.crt"].clone();
    let load = Load::begin(cluster, Pace::default());
    let (begun, mut longest) = (Instant::now(), Duration::ZERO);
    for number in 0..times {
        let began = Instant::now();
        let wish = format!("wish-{number}");
        ask(cluster, &wish);
        wait_for(&format!("the end of rotation {number}"), SOON, || at_rest(cluster, Some(&wish)));
        longest = longest.max(began.elapsed());
    }
    let took = begun.elapsed();
    assert_ne!(secret(cluster, CA)["data"]["ca.crt"], first);
    let counts = load.end();
    println!("{times} rotations in {:.0} s, the longest {:.1} s; {counts}", took.as_secs_f64(), longest.as_secs_f64());
    counts.assert_flawless("rotations");
    cluster.assert_no_failed_webhook_call();
}

#[test]
fn whatever_becomes_of_the_secrets_no_call_is_lost() {
    let Some(mut bed) = start(Certificates::Own) else { return };
    let (cluster, portcullis) = (&bed.cluster, &mut bed.portcullis);
    let load = Load::begin(cluster, Pace::default());
    let patch = |name: &str, patch: Value| {
        cluster.kubectl(&["patch", "secret", name, "-n", NAMESPACE, "--type=merge", "-p", &patch.to_string()], "");
    };
    let entry = |name: &str, entry: &str| secret(cluster, name)["data"][entry].clone();
    let healed = |what: &str, name: &str, key: &str, before: Value| {
        wait_for(what, SOON, || {
            let said = cluster.try_kubectl(&["get", "secret", name, "-n", NAMESPACE, "-o", "json"], "");
            let now: Value = serde_json::from_str(&said.output).unwrap_or_default();
            now["data"][key].is_string() && now["data"][key] != before && at_rest(cluster, None)
        });
    };
    let before = entry(CA, "ca.crt");
    cluster.kubectl(&["delete", "secret", CA, "-n", NAMESPACE], "");
    healed("a new CA for a deleted one", CA, "ca.crt", before);

    let before = entry(SERVING, "tls.crt");
    cluster.kubectl(&["delete", "secret", SERVING, "-n", NAMESPACE], "");
    healed("a new certificate for a deleted one", SERVING, "tls.crt", before);

    let before = entry(CA, "ca.crt");
    patch(CA, json!({"data": {"ca.key": null}}));
    healed("a new CA for one without its key", CA, "ca.crt", before);

    let before = entry(SERVING, "tls.crt");
    let key = entry(CA, "ca.key");
    patch(SERVING, json!({"data": {"tls.key": key}}));
    healed("a new certificate for one with another's key", SERVING, "tls.crt", before);

    // A CA of somebody's own is taken, and the one before stays until no replica needs it.
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let own = CertificateAuthority::make("Somebody's own", Validity::of(now, Duration::from_secs(864_000))).unwrap();
    let before = entry(SERVING, "tls.crt");
    patch(CA, json!({"stringData": {"ca.crt": own.certificate_pem(), "ca.key": own.key_pem()}}));
    healed("a certificate of the CA that somebody brought", SERVING, "tls.crt", before);
    let subject = own.certificate_pem().to_owned();
    assert_eq!(entry(CA, "ca.crt"), base64(&subject), "it is kept");

    // The controller dies somewhere on the way; another goes on.
    for number in 0..5 {
        let wish = format!("with-a-death-{number}");
        ask(cluster, &wish);
        std::thread::sleep(Duration::from_millis(150 * number));
        portcullis.end_controller();
        portcullis.start_controller(cluster);
        wait_for("the end of a rotation with a death in it", AFTER_A_DEATH, || at_rest(cluster, Some(&wish)));
    }
    let counts = load.end();
    println!("{counts}");
    counts.assert_flawless("lost and damaged Secrets");
    cluster.assert_no_failed_webhook_call();
}

/// As a Secret holds it.
fn base64(text: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(text)
}

#[test]
fn from_files_to_an_own_ca_without_a_failed_call() {
    let Some(mut bed) = start(Certificates::Given) else { return };
    let (cluster, portcullis) = (&bed.cluster, &mut bed.portcullis);
    let load = Load::begin(cluster, Pace::default());
    portcullis.end_controller();
    portcullis.set_up(Certificates::Own);
    portcullis.start_controller(cluster);
    let before = base64(&std::fs::read_to_string(cluster.path("webhook.crt")).unwrap());
    wait_for("both in each bundle", SOON, || {
        let secret = cluster.try_kubectl(&["get", "secret", SERVING, "-n", NAMESPACE], "");
        secret.well() && bundles(cluster).iter().all(|bundle| *bundle != before)
    });
    assert!(!at_rest(cluster, None), "the one before is trusted as long as replicas serve it");
    let counts = load.end();
    println!("{counts}");
    counts.assert_flawless("a change of who keeps the certificates");
    cluster.assert_no_failed_webhook_call();
    // A pod that is replaced has another name, and drains; here each goes and comes under its own.
    for number in 0..3 {
        portcullis.end_replica(number, "TERM");
        portcullis.start_replica(cluster, number);
        portcullis.until_ready(number);
    }
    wait_for("one CA", SOON, || at_rest(cluster, None));
}

#[test]
fn the_accounts_may_what_certificates_need() {
    let cluster = Cluster::start();
    cluster.kubectl(&["create", "namespace", NAMESPACE], "");
    let roles = rbac::objects(&[], &Kinds::default(), NAMESPACE);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": roles});
    cluster.kubectl(&["apply", "--server-side", "--validate=strict", "-f", "-"], &list.to_string());
    let may = |account: &str, verb: &str, secret: &str, namespace: &str| {
        let user = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
        cluster.try_kubectl(&["auth", "can-i", &user, verb, secret, "-n", namespace], "").well()
    };
    for verb in ["get", "list", "watch"] {
        assert!(may(rbac::SERVING, verb, "secrets/portcullis-tls", NAMESPACE), "{verb}");
        assert!(!may(rbac::SERVING, verb, "secrets/portcullis-ca", NAMESPACE), "{verb}");
        assert!(!may(rbac::SERVING, verb, "secrets/portcullis-tls", "default"), "{verb}");
        assert!(may(rbac::CONTROLLER, verb, "secrets/portcullis-ca", NAMESPACE), "{verb}");
        assert!(!may(rbac::CONTROLLER, verb, "secrets", NAMESPACE), "{verb}");
    }
    for verb in ["create", "update", "patch", "delete"] {
        assert!(!may(rbac::SERVING, verb, "secrets/portcullis-tls", NAMESPACE), "{verb}");
    }
    assert!(may(rbac::CONTROLLER, "update", "secrets/portcullis-tls", NAMESPACE));
    assert!(!may(rbac::CONTROLLER, "create", "secrets", "default"));
}
