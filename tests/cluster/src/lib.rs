//! A cluster for a test: etcd and a kube-apiserver of its own on free ports of
//! loopback, ready in seconds, gone with the test.
//!
//! The programs are one file that `build.sh` builds (`PORTCULLIS_BED`). Each is
//! given a pipe as its standard input and ends when that closes, so nothing is
//! left behind by a test that panics, aborts or is killed.

#![allow(clippy::expect_used, reason = "a test bed that can't be set up has failed its test")]

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Names the program that `build.sh` builds.
const BED: &str = "PORTCULLIS_BED";
/// How long a control plane may take: 2 to 3 s on two idle cores.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at whether it is ready.
const PAUSE: Duration = Duration::from_millis(100);
/// The context of the kubeconfig.
pub const CONTEXT: &str = "bed";

/// A running control plane.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    /// Of the API server.
    port: u16,
    programs: Vec<Program>,
}

/// A program that ends when this is dropped.
#[derive(Debug)]
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Cluster {
    /// Starts etcd and kube-apiserver, and waits until the latter is ready.
    ///
    /// # Panics
    /// The bed isn't built, or what it starts isn't ready in time; its log is shown.
    #[must_use]
    pub fn start() -> Cluster {
        let folder = tempfile::tempdir().expect("a folder");
        let [client, peer, secure] = ports();
        let mut cluster = Cluster { folder, port: secure, programs: Vec::new() };
        let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let data = cluster.path("etcd").display().to_string();
        cluster.run("etcd", &[&data, &client, &peer]);
        cluster.write_keys(secure);
        let flag = |name: &str, value: &str| format!("--{name}={value}");
        let file = |name: &str, file: &str| flag(name, &cluster.path(file).display().to_string());
        let flags = [
            flag("etcd-servers", &client),
            flag("bind-address", "127.0.0.1"),
            flag("secure-port", &secure.to_string()),
            file("cert-dir", "certs"),
            flag("service-account-issuer", "https://kubernetes.default.svc"),
            file("service-account-key-file", "sa.key"),
            file("service-account-signing-key-file", "sa.key"),
            file("token-auth-file", "tokens.csv"),
            flag("authorization-mode", "RBAC"),
            flag("service-cluster-ip-range", "10.0.0.0/24"),
            flag("advertise-address", "127.0.0.1"),
            flag("endpoint-reconciler-type", "none"),
        ];
        cluster.run("kube-apiserver", &flags.each_ref().map(String::as_str));
        cluster.wait_until_ready();
        cluster
    }

    /// The kubeconfig of an administrator; its context is [`CONTEXT`].
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// A kubeconfig of the same cluster for a user with this token of the bed: `reader` may do nothing.
    #[must_use]
    pub fn kubeconfig_of_nobody(&self) -> PathBuf {
        self.path("kubeconfig-nobody")
    }

    /// A kubeconfig of the same cluster for who has this token.
    pub fn kubeconfig_with(&self, name: &str, token: &str) -> PathBuf {
        let file = format!("kubeconfig-of-{name}");
        self.write_kubeconfig(&file, self.port, token);
        self.path(&file)
    }

    /// A certificate, as a `caBundle` holds it: the API server's own.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.path("certs/apiserver.crt")
    }

    /// kubectl, with this on its standard input.
    ///
    /// # Panics
    /// It fails.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let output = self.try_kubectl(arguments, input);
        assert!(
            output.status.success(),
            "kubectl {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// kubectl, which must fail: what it says.
    ///
    /// # Panics
    /// It succeeds.
    pub fn kubectl_refused(&self, arguments: &[&str], input: &str) -> String {
        let output = self.try_kubectl(arguments, input);
        assert!(!output.status.success(), "kubectl {} succeeded on {input}", arguments.join(" "));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// kubectl, whatever comes of it.
    pub fn try_kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let manifest = self.path("input.yaml");
        fs::write(&manifest, input).expect("the input is written");
        Command::new(bed())
            .arg("kubectl")
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .stdin(fs::File::open(manifest).expect("the input is read"))
            .output()
            .expect("kubectl runs")
    }

    fn run(&mut self, program: &str, arguments: &[&str]) {
        let log = fs::File::create(self.path(&format!("{program}.log"))).expect("a log");
        let child = Command::new(bed())
            .arg(program)
            .args(arguments)
            .env("BED_ENDS_WITH_STDIN", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the bed's program starts");
        self.programs.push(Program(child));
    }

    fn write_keys(&self, port: u16) {
        let key = self.path("sa.key");
        let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").output();
        assert!(made.is_ok_and(|made| made.status.success()), "openssl makes the service accounts' key");
        let tokens = "admintoken,admin,1,\"system:masters\"\nnobodytoken,nobody,2\n";
        fs::write(self.path("tokens.csv"), tokens).expect("tokens");
        for (file, token) in [("kubeconfig", "admintoken"), ("kubeconfig-nobody", "nobodytoken")] {
            self.write_kubeconfig(file, port, token);
        }
    }

    fn write_kubeconfig(&self, file: &str, port: u16, token: &str) {
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {CONTEXT}\n\
             clusters: [{{name: bed, cluster: {{server: \"https://127.0.0.1:{port}\", insecure-skip-tls-verify: true}}}}]\n\
             users: [{{name: user, user: {{token: {token}}}}}]\n\
             contexts: [{{name: {CONTEXT}, context: {{cluster: bed, user: user}}}}]\n"
        );
        fs::write(self.path(file), kubeconfig).expect("a kubeconfig");
    }

    fn wait_until_ready(&mut self) {
        let started = Instant::now();
        while !self.try_kubectl(&["get", "--raw=/readyz"], "").status.success() {
            let ended =
                self.programs.iter_mut().any(|program| program.0.try_wait().is_ok_and(|status| status.is_some()));
            if ended || started.elapsed() > PATIENCE {
                let log = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
                panic!("the control plane isn't ready:\n{}\n{}", log("etcd.log"), tail(&log("kube-apiserver.log")));
            }
            sleep(PAUSE);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn bed() -> PathBuf {
    let program = std::env::var_os(BED).map(PathBuf::from);
    program
        .filter(|program| program.is_file())
        .expect("PORTCULLIS_BED is the program that tests/cluster/build.sh builds")
}

/// Ports that are free now; who takes one before the program does makes it fail to start.
fn ports<const COUNT: usize>() -> [u16; COUNT] {
    let listeners = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}

/// The end of a log, which says why.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// The folder of the workspace, as cargo says it when it runs a test.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(folder).join("../..")
}
