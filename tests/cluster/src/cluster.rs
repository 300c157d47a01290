//! A running control plane.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Program, ports, tail};
use crate::users::{ADMIN, CONTROLLER_MANAGER, KUBELETS, NOBODY, SCHEDULER, USERS, User};
use crate::{Controllers, Kubectl, Plan, Said, audit, wait_for};

/// How long a control plane may take: 2 to 3 s on two idle cores.
const PATIENCE: Duration = Duration::from_secs(120);
/// The stages that kwok moves Nodes, Pods, claims and volumes through.
const STAGES: &str = include_str!("stages.yaml");

const ETCD: &str = "etcd";
const API_SERVER: &str = "kube-apiserver";

/// A running control plane.
#[derive(Debug)]
pub struct Cluster {
    // Ends before the folder goes.
    programs: Mutex<BTreeMap<&'static str, Program>>,
    plan: Plan,
    server: String,
    api_server: Vec<String>,
    folder: TempDir,
    /// What etcd writes.
    data: TempDir,
}

impl Cluster {
    /// Starts etcd and kube-apiserver, and waits until the latter is ready.
    ///
    /// # Panics
    /// The bed isn't built, or what it starts isn't ready in time; its log is shown.
    #[must_use]
    pub fn start() -> Cluster {
        Plan::default().start()
    }

    pub(crate) fn of(plan: Plan) -> Cluster {
        let folder = tempfile::Builder::new().prefix("portcullis-bed-").tempdir().expect("a folder");
        let data = in_memory();
        let address = plan.address.map_or_else(|| "127.0.0.1".to_owned(), |address| address.to_string());
        let [client, peer] = ports("127.0.0.1");
        let [secure] = ports(&address);
        let client = format!("http://127.0.0.1:{client}");
        let cluster = Cluster {
            programs: Mutex::default(),
            server: format!("https://{address}:{secure}"),
            api_server: Vec::new(),
            plan,
            folder,
            data,
        };
        let cluster = Cluster { api_server: cluster.flags(&client, &address, secure), ..cluster };
        cluster.write_keys();
        let data = cluster.data.path().display().to_string();
        cluster.run(ETCD, &[data, client, format!("http://127.0.0.1:{peer}")]);
        cluster.start_apiserver();
        cluster.start_the_rest();
        cluster
    }

    fn flags(&self, etcd: &str, address: &str, port: u16) -> Vec<String> {
        let flag = |name: &str, value: &str| format!("--{name}={value}");
        let file = |name: &str, file: &str| flag(name, &self.path(file).display().to_string());
        let mut flags = vec![
            flag("etcd-servers", etcd),
            flag("bind-address", address),
            flag("secure-port", &port.to_string()),
            file("cert-dir", "certs"),
            flag("service-account-issuer", "https://kubernetes.default.svc"),
            file("service-account-key-file", "sa.key"),
            file("service-account-signing-key-file", "sa.key"),
            file("token-auth-file", "tokens.csv"),
            flag("authorization-mode", "RBAC"),
            flag("service-cluster-ip-range", "10.0.0.0/24"),
            flag("advertise-address", address),
            flag("endpoint-reconciler-type", "none"),
            // Services are reached by their EndpointSlices, so that no kube-proxy is needed.
            flag("enable-aggregator-routing", "true"),
        ];
        if self.plan.audit {
            flags.push(file("audit-policy-file", "audit.yaml"));
            flags.push(file("audit-log-path", audit::LOG));
        }
        flags
    }

    fn start_the_rest(&self) {
        let ours = |user: User| format!("--kubeconfig={}", self.kubeconfig_of(user).display());
        let [controllers, scheduler] = ports("127.0.0.1");
        let listen = |port: u16| ["--bind-address=127.0.0.1".to_owned(), format!("--secure-port={port}")];
        if let Some(accounts) = self.plan.controllers {
            let mut flags = vec![
                ours(CONTROLLER_MANAGER),
                "--leader-elect=false".to_owned(),
                format!("--service-account-private-key-file={}", self.path("sa.key").display()),
                // There is no cloud and no network to manage.
                "--controllers=*,-node-ipam-controller,-node-route-controller,-cloud-node-lifecycle-controller"
                    .to_owned(),
                format!("--use-service-account-credentials={}", accounts == Controllers::OwnAccounts),
                // What Pods know the API server by, in every namespace: its own certificate.
                format!("--root-ca-file={}", self.certificate().display()),
            ];
            flags.extend(listen(controllers));
            self.run("kube-controller-manager", &flags);
        }
        if self.plan.scheduler {
            let mut flags = vec![ours(SCHEDULER), "--leader-elect=false".to_owned()];
            flags.extend(listen(scheduler));
            self.run("kube-scheduler", &flags);
        }
        if self.plan.nodes > 0 {
            fs::write(self.path("stages.yaml"), STAGES).expect("the stages");
            let config = format!("--config={}", self.path("stages.yaml").display());
            let flags = ["--manage-all-nodes=true", "--node-lease-duration-seconds=40"].map(str::to_owned);
            self.run("kwok", &[[ours(KUBELETS), config].as_slice(), &flags].concat());
            self.add_nodes();
        }
        if self.plan.controllers == Some(Controllers::OneAccount) {
            // What the API server grants it by itself is made for accounts of their own.
            let all = ["--clusterrole=cluster-admin", "--user=system:kube-controller-manager"];
            self.kubectl(&[&["create", "clusterrolebinding", "one-account"], all.as_slice()].concat(), "");
        }
        if self.plan.controllers.is_some() {
            self.wait_ready("the default service account", &["get", "serviceaccount", "default", "-n", "default"]);
        }
    }

    fn add_nodes(&self) {
        let node = |number: usize| {
            format!(
                "{{apiVersion: v1, kind: Node, metadata: {{name: node-{number}, labels: {{kubernetes.io/hostname: node-{number}}}}}}}\n---\n"
            )
        };
        let nodes: String = (0..self.plan.nodes).map(node).collect();
        self.kubectl(&["create", "-f", "-"], &nodes);
        let patience = format!("--timeout={}s", PATIENCE.as_secs());
        self.kubectl(&["wait", "--for=condition=Ready", "node", "--all", &patience], "");
    }

    /// Stops the API server as a machine's end would: without a farewell.
    pub fn stop_apiserver(&self) {
        self.programs().remove(API_SERVER);
    }

    /// Starts the API server at its old address, and waits until it is ready.
    ///
    /// # Panics
    /// It isn't ready in time; its log is shown.
    pub fn start_apiserver(&self) {
        self.run(API_SERVER, &self.api_server);
        self.wait_ready("the API server", &["get", "--raw=/readyz"]);
    }

    /// Sends a signal to one of the bed's programs: `STOP` and `CONT` to `etcd`.
    ///
    /// # Panics
    /// It doesn't run.
    pub fn signal(&self, program: &str, name: &str) {
        self.programs().get(program).expect("the program runs").signal(name);
    }

    /// Stops and starts the API server.
    ///
    /// # Panics
    /// It isn't ready in time; its log is shown.
    pub fn restart_apiserver(&self) {
        self.stop_apiserver();
        self.start_apiserver();
    }

    /// The process id of the API server.
    #[must_use]
    pub fn apiserver_pid(&self) -> u32 {
        self.programs().get(API_SERVER).expect("the API server runs").pid()
    }

    /// All that the API server has said, over its restarts.
    #[must_use]
    pub fn apiserver_log(&self) -> String {
        fs::read_to_string(self.path("kube-apiserver.log")).unwrap_or_default()
    }

    /// The end of what one of the bed's programs has said, which says why.
    #[must_use]
    pub fn end_of_log(&self, program: &str) -> String {
        let log = fs::read_to_string(self.path(&format!("{program}.log"))).unwrap_or_default();
        // kwok tells of each heartbeat.
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("\"level\":\"INFO\"")).collect();
        tail(&lines.join("\n"))
    }

    /// The URL of the API server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Host and port of the API server.
    pub(crate) fn address(&self) -> (String, String) {
        let authority = self.server.trim_start_matches("https://");
        let (host, port) = authority.rsplit_once(':').expect("it was made with a port");
        (host.to_owned(), port.to_owned())
    }

    /// The kubeconfig of an administrator; its context is [`CONTEXT`](crate::CONTEXT).
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of(ADMIN)
    }

    /// The kubeconfig of a user without any rights.
    #[must_use]
    pub fn kubeconfig_of_nobody(&self) -> PathBuf {
        self.kubeconfig_of(NOBODY)
    }

    /// A user's kubeconfig.
    #[must_use]
    pub fn kubeconfig_of(&self, user: User) -> PathBuf {
        self.path(user.file)
    }

    /// kubectl of an administrator, with this on its standard input; what it printed.
    ///
    /// # Panics
    /// It fails.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let said = self.try_kubectl(arguments, input);
        assert!(said.well(), "kubectl {}: {}", arguments.join(" "), said.all());
        said.output
    }

    /// A certificate, as a `caBundle` holds it: the API server's own.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.path("certs/apiserver.crt")
    }

    /// kubectl of an administrator, which must fail: what it says.
    ///
    /// # Panics
    /// It succeeds.
    pub fn kubectl_refused(&self, arguments: &[&str], input: &str) -> String {
        let said = self.try_kubectl(arguments, input);
        assert!(!said.well(), "kubectl {} succeeded on {input}", arguments.join(" "));
        said.errors
    }

    /// kubectl of an administrator, which may fail.
    pub fn try_kubectl(&self, arguments: &[&str], input: &str) -> Said {
        self.kubectl_of(ADMIN).run(arguments, input)
    }

    /// A user's kubectl.
    #[must_use]
    pub fn kubectl_of(&self, user: User) -> Kubectl {
        Kubectl::new(self, user)
    }

    /// A file in the cluster's folder, which goes with it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn programs(&self) -> MutexGuard<'_, BTreeMap<&'static str, Program>> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, program: &'static str, arguments: &[String]) {
        let started = Program::of_the_bed(program, arguments, self.path(&format!("{program}.log")));
        self.programs().insert(program, started);
    }

    fn write_keys(&self) {
        let key = self.path("sa.key");
        let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").output();
        assert!(made.is_ok_and(|made| made.status.success()), "openssl makes the service accounts' key");
        let tokens: String = USERS.iter().map(User::line).collect();
        fs::write(self.path("tokens.csv"), tokens).expect("tokens");
        fs::write(self.path("audit.yaml"), audit::POLICY).expect("the audit policy");
        for user in USERS {
            fs::write(self.kubeconfig_of(user), user.kubeconfig(&self.server)).expect("a kubeconfig");
        }
    }

    fn wait_ready(&self, what: &str, question: &[&str]) {
        wait_for(what, PATIENCE, || {
            let mut programs = self.programs();
            if let Some((name, program)) =
                programs.iter_mut().find_map(|(name, program)| program.ended().then_some((name, program)))
            {
                panic!("{name} has ended:\n{}", tail(&program.said()));
            }
            drop(programs);
            self.try_kubectl(question, "").well()
        });
    }
}

/// A folder in memory where there is a file system for that: a disk that is busy with
/// something else makes etcd's writes, and with them everything, wait for seconds.
fn in_memory() -> TempDir {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("portcullis-bed-etcd-");
    builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).expect("a folder")
}
