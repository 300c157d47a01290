//! The program under test in a cluster of the bed: custom resources, roles,
//! replicas, a controller.
//!
//! Replicas and controller act as the service accounts that a real installation
//! gives them, with the roles that `portcullis manifests rbac` writes and no
//! others, so that a missing right is a failing test.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::{Program, http_get, portcullis, ports, tail};
use crate::{CONTROLLER, Certificates, Cluster, Network, Place, SERVER, wait_for};

/// Where Portcullis lives.
pub(crate) const NAMESPACE: &str = "portcullis-system";
/// Its Service.
const SERVICE: &str = "portcullis";
/// The replicas' port in a network namespace, where no other program is.
const PORT: u16 = 8443;
/// And that of `/readyz` and `/metrics`.
const METRICS_PORT: u16 = 8081;
/// How long a start may take: policies are compiled on two cores that others use too.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long the controller may take to see a policy, hear of all replicas and write its rules.
const SETTLING: Duration = Duration::from_secs(90);

/// How Portcullis is set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The policies, as YAML; applied before the replicas start.
    pub policies: String,
    /// Places of the replicas behind a Service; without any, one replica is reached by URL.
    pub places: Vec<Place>,
    /// Where the replicas' certificate comes from.
    pub certificates: Certificates,
    /// Further arguments of `serve`.
    pub serve: Vec<String>,
    /// Further arguments of `controller`.
    pub controller: Vec<String>,
}

/// A running Portcullis.
#[derive(Debug)]
pub struct Portcullis {
    controller: Option<Program>,
    replicas: Vec<Replica>,
    setup: Setup,
}

#[derive(Debug)]
struct Replica {
    program: Option<Program>,
    webhook: SocketAddr,
    metrics: SocketAddr,
    namespace: Option<String>,
}

/// One `serve` without a controller, for webhooks that are registered by hand.
#[derive(Debug)]
pub struct Server {
    program: Program,
    address: SocketAddr,
}

impl Server {
    /// Starts it with further arguments, and waits until it is ready.
    ///
    /// # Panics
    /// It isn't ready in time; its log is shown.
    #[must_use]
    pub fn start(cluster: &Cluster, name: &str, further: &[&str]) -> Server {
        if !cluster.path("webhook.crt").exists() {
            certificate(cluster, &[]);
        }
        let [port, metrics] = ports("127.0.0.1");
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let mut arguments = vec!["serve".to_owned()];
        arguments.extend(addresses(local(port), local(metrics)));
        arguments.extend(files(cluster));
        arguments.extend(words(further));
        let log = cluster.path(&format!("{name}.log"));
        let mut program = Program::wrapped(&portcullis(), &arguments, &environment(), None, log);
        until_ready(&mut program, local(metrics));
        Server { program, address: local(port) }
    }

    /// Its URL, to which a path is added.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// The file of the certificate that its own is signed by.
    #[must_use]
    pub fn authority(&self, cluster: &Cluster) -> PathBuf {
        cluster.path("webhook.crt")
    }
}

impl Portcullis {
    /// Installs the custom resources, the roles and the policies, starts replicas
    /// and controller, and waits until every policy is ready.
    ///
    /// # Panics
    /// Something isn't ready in time; the log is shown.
    #[must_use]
    pub fn start(cluster: &Cluster, setup: Setup) -> Portcullis {
        install(cluster);
        if !setup.policies.trim().is_empty() {
            cluster.kubectl(&["apply", "-f", "-"], &setup.policies);
        }
        certificate(cluster, &setup.places);
        if !setup.places.is_empty() {
            cluster.kubectl(&["apply", "-f", "-"], &Network::service(NAMESPACE, SERVICE, PORT, &setup.places));
        }
        let mut portcullis = Portcullis { controller: None, replicas: replicas(&setup), setup };
        for number in 0..portcullis.replicas.len() {
            portcullis.start_replica(cluster, number);
        }
        portcullis.start_controller(cluster);
        (0..portcullis.replicas.len()).for_each(|number| portcullis.until_ready(number));
        portcullis.settle(cluster);
        portcullis
    }

    /// Starts a replica that isn't running, and waits until it is ready.
    ///
    /// # Panics
    /// It isn't ready in time; its log is shown.
    pub fn start_replica(&mut self, cluster: &Cluster, number: usize) {
        let log = self.replica_log(cluster, number);
        let replica = &mut self.replicas[number];
        let mut arguments = words(&["serve", "--kubernetes", "--pod-namespace", NAMESPACE]);
        arguments.extend([
            format!("--kubeconfig={}", cluster.kubeconfig_of(SERVER).display()),
            format!("--pod-name=portcullis-{number}"),
        ]);
        arguments.extend(addresses(replica.webhook, replica.metrics));
        match self.setup.certificates {
            Certificates::Given => arguments.extend(files(cluster)),
            Certificates::Own => arguments.extend(words(&["--tls-secret", "portcullis-tls"])),
        }
        arguments.extend(self.setup.serve.iter().cloned());
        let program = Program::wrapped(&portcullis(), &arguments, &environment(), replica.namespace.as_deref(), log);
        replica.program = Some(program);
        if self.setup.certificates == Certificates::Given {
            self.until_ready(number);
        }
    }

    /// Waits until a replica is ready: with a certificate of the controller's it
    /// can't be before that runs.
    ///
    /// # Panics
    /// It isn't ready in time; its log is shown.
    pub fn until_ready(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        until_ready(replica.program.as_mut().expect("it runs"), replica.metrics);
    }

    /// From now on, what starts does so with this.
    pub fn set_up(&mut self, certificates: Certificates) {
        self.setup.certificates = certificates;
    }

    /// Starts the controller.
    pub fn start_controller(&mut self, cluster: &Cluster) {
        let mut arguments = words(&["controller", "--namespace", NAMESPACE]);
        arguments.push(format!("--kubeconfig={}", cluster.kubeconfig_of(CONTROLLER).display()));
        arguments.push(match self.setup.certificates {
            Certificates::Given => format!("--ca-bundle={}", cluster.path("webhook.crt").display()),
            Certificates::Own => "--manage-certificates".to_owned(),
        });
        if self.setup.certificates == Certificates::Own {
            // One API server hears of a configuration in milliseconds.
            arguments.push("--bundle-settle=250ms".to_owned());
        }
        let [metrics] = ports("127.0.0.1");
        arguments.extend(["--metrics-address=127.0.0.1".to_owned(), format!("--metrics-port={metrics}")]);
        arguments.push(match self.setup.places.is_empty() {
            true => format!("--url=https://{}", self.replicas[0].webhook),
            false => format!("--service={SERVICE}"),
        });
        arguments.extend(self.setup.controller.iter().cloned());
        let log = cluster.path("portcullis-controller.log");
        self.controller = Some(Program::wrapped(&portcullis(), &arguments, &environment(), None, log));
    }

    /// Waits until every policy is ready and the webhooks are registered.
    ///
    /// # Panics
    /// One isn't in time; it and the controller's log are shown.
    pub fn settle(&mut self, cluster: &Cluster) {
        for kind in ["clusterpolicies.portcullis.dev", "policies.portcullis.dev"] {
            let all = ["get", kind, "-A", "-o", "name"];
            if cluster.kubectl(&all, "").trim().is_empty() {
                continue;
            }
            let patience = format!("--timeout={}s", SETTLING.as_secs());
            let said = cluster.try_kubectl(&["wait", "--for=condition=Ready", kind, "--all", "-A", &patience], "");
            if !said.well() {
                let status = cluster.try_kubectl(&["get", kind, "-A", "-o", "yaml"], "");
                let controller = self.controller.as_ref().map(Program::said).unwrap_or_default();
                panic!("{}\n{}\n{}", said.errors, tail(&status.output), tail(&controller));
            }
        }
    }

    /// Ends a replica: with a drain (`TERM`), or without (`KILL`).
    ///
    /// # Panics
    /// It doesn't end.
    pub fn end_replica(&mut self, number: usize, signal: &str) {
        if let Some(mut program) = self.replicas[number].program.take() {
            program.signal(signal);
            program.wait(PATIENCE);
        }
    }

    /// Ends the controller.
    pub fn end_controller(&mut self) {
        self.controller = None;
    }

    /// The process id of a replica.
    ///
    /// # Panics
    /// It doesn't run.
    #[must_use]
    pub fn replica_pid(&self, number: usize) -> u32 {
        self.replicas[number].program.as_ref().expect("it runs").pid()
    }

    /// What a replica serves at `/metrics`.
    ///
    /// # Panics
    /// It doesn't answer.
    #[must_use]
    pub fn metrics(&self, number: usize) -> String {
        let answer = http_get(self.replicas[number].metrics, "/metrics");
        answer.expect("the replica answers").1
    }

    /// What a replica has logged.
    #[must_use]
    pub fn log(&self, cluster: &Cluster, number: usize) -> String {
        fs::read_to_string(self.replica_log(cluster, number)).unwrap_or_default()
    }

    fn replica_log(&self, cluster: &Cluster, number: usize) -> PathBuf {
        cluster.path(&format!("portcullis-{number}.log"))
    }
}

fn replicas(setup: &Setup) -> Vec<Replica> {
    let at = |place: &Place| Replica {
        program: None,
        webhook: SocketAddr::new(IpAddr::V4(place.address), PORT),
        metrics: SocketAddr::new(IpAddr::V4(place.address), METRICS_PORT),
        namespace: Some(place.namespace.clone()),
    };
    if !setup.places.is_empty() {
        return setup.places.iter().map(at).collect();
    }
    let [webhook, metrics] = ports("127.0.0.1");
    let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    vec![Replica { program: None, webhook: local(webhook), metrics: local(metrics), namespace: None }]
}

/// Where a server listens.
fn addresses(webhook: SocketAddr, metrics: SocketAddr) -> [String; 3] {
    [
        format!("--address={}", webhook.ip()),
        format!("--port={}", webhook.port()),
        format!("--metrics-port={}", metrics.port()),
    ]
}

/// What it shows there.
fn files(cluster: &Cluster) -> [String; 2] {
    let file = |name: &str| cluster.path(name).display().to_string();
    [format!("--tls-cert={}", file("webhook.crt")), format!("--tls-key={}", file("webhook.key"))]
}

fn until_ready(program: &mut Program, metrics: SocketAddr) {
    wait_for("a ready replica", PATIENCE, || {
        assert!(!program.ended(), "a replica has ended:\n{}", tail(&program.said()));
        http_get(metrics, "/readyz").is_some_and(|(status, _)| status == 200)
    });
}

fn environment() -> Vec<(String, String)> {
    vec![("NO_COLOR".to_owned(), "1".to_owned())]
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The namespace, the custom resources and the roles, as a user gets them from the program.
pub(crate) fn install(cluster: &Cluster) {
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}");
    cluster.kubectl(&["apply", "-f", "-"], &namespace);
    cluster.kubectl(&["apply", "--server-side", "-f", "-"], &manifests("crds"));
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "");
    cluster.kubectl(&["apply", "-f", "-"], &manifests("rbac"));
}

fn manifests(what: &str) -> String {
    let printed = Command::new(portcullis()).args(["manifests", what]).output().expect("portcullis runs");
    assert!(printed.status.success(), "portcullis manifests {what}: {}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8_lossy(&printed.stdout).into_owned()
}

/// A certificate that is its own authority, for every address that the replicas are reached at.
fn certificate(cluster: &Cluster, places: &[Place]) {
    let mut names = format!("subjectAltName=DNS:{SERVICE}.{NAMESPACE}.svc,DNS:localhost,IP:127.0.0.1");
    for place in places {
        names.push_str(&format!(",IP:{}", place.address));
    }
    let (key, certificate) = (cluster.path("webhook.key"), cluster.path("webhook.crt"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=portcullis", "-addext", &names])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "openssl req: {}", String::from_utf8_lossy(&made.stderr));
}
