//! Portcullis as Pods: Deployments, a Service and a mounted certificate on Nodes
//! whose kubelets are the bed's ([`Kubelets`]), so that what happens to it in a
//! real cluster can happen to it here.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::authority::{Authority, Pair};
use crate::portcullis::{NAMESPACE, install};
use crate::{Cluster, Controllers, Image, Kubelets, LOAD_POLICY, Network, Plan, Running, wait_for};

const MANIFEST: &str = include_str!("../manifests/pods.yaml");
/// The name that the API server checks the certificate for.
const NAME: &str = "portcullis.portcullis-system.svc";
/// Of the container file: what `portcullis:0.1.0` means.
pub const IMAGE: &str = "portcullis:0.1.0";
/// How long a rollout may take on two cores that others use too.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where an installation's certificates come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Certificates {
    /// The test's own: of Pods in a Secret that is mounted, else in files.
    #[default]
    Given,
    /// The controller's own CA; replicas read the Secret by the API.
    Own,
}

/// What may differ between installations.
#[derive(Clone, Debug)]
pub struct Options {
    /// The replicas' `--drain-delay`.
    pub drain_delay: &'static str,
    /// Seconds of the replicas' preStop.
    pub pre_stop: u32,
    /// The emptyDir under the cache, in YAML's flow style.
    pub cache: &'static str,
    /// Where its certificates come from.
    pub certificates: Certificates,
    /// Policies beside [`LOAD_POLICY`], as YAML.
    pub policies: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            drain_delay: "5s",
            pre_stop: 5,
            cache: "{}",
            certificates: Certificates::Given,
            policies: String::new(),
        }
    }
}

impl Options {
    /// The same with a drain that is long enough here, where the API server hears of a Pod's end in milliseconds.
    #[must_use]
    pub fn quick_to_drain() -> Options {
        Options { drain_delay: "500ms", pre_stop: 1, ..Options::default() }
    }
}

/// A cluster with it; all of it ends with this.
#[derive(Debug)]
pub struct Installed {
    // Ends before its cluster does.
    kubelets: Kubelets,
    /// The cluster.
    pub cluster: Cluster,
    image: Image,
    authority: Authority,
    options: Options,
}

impl Installed {
    /// Installs it on three Nodes, and waits until the load's policy is ready.
    ///
    /// # Errors
    /// No network can be made here, and why, as a line for the output.
    ///
    /// # Panics
    /// It isn't ready in time; its logs are shown.
    pub fn start(options: Options) -> Result<Installed, String> {
        let network = Network::new(0)?;
        let cluster = Plan::default().controllers(Controllers::OwnAccounts).scheduler().on(&network).start();
        let image = images(&cluster, &[IMAGE]).remove(0);
        let kubelets = Kubelets::start(&cluster, network, 3, vec![image.clone()]);
        let installed = Installed { kubelets, cluster, image, authority: Authority::new(), options };
        install(&installed.cluster);
        std::fs::create_dir_all(installed.modules()).expect("a folder for modules");
        installed.give(&installed.authority.issue(NAME));
        let policies = format!("{LOAD_POLICY}---\n{}", installed.options.policies);
        installed.cluster.kubectl(&["apply", "-f", "-"], &policies);
        installed.apply();
        installed.settle();
        Ok(installed)
    }

    /// The kubelets, for signals and metrics.
    #[must_use]
    pub fn kubelets(&self) -> &Kubelets {
        &self.kubelets
    }

    /// The replicas that run now.
    #[must_use]
    pub fn replicas(&self) -> Vec<Running> {
        self.kubelets.containers("server")
    }

    /// The folder that policies' modules (`./FILE.wasm`) are in.
    #[must_use]
    pub fn modules(&self) -> PathBuf {
        self.cluster.path("modules")
    }

    /// The authority that its certificates come from.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Gives it a new certificate of its authority.
    pub fn swap_certificate(&self) -> Pair {
        let pair = self.authority.issue(NAME);
        self.give(&pair);
        pair
    }

    /// Gives it a certificate that runs out at this time.
    pub fn give_until(&self, end: SystemTime) -> Pair {
        let pair = self.authority.issue_until(NAME, end);
        self.give(&pair);
        pair
    }

    /// Whether every replica serves this certificate to who connects now.
    #[must_use]
    pub fn all_serve(&self, pair: &Pair) -> bool {
        let replicas = self.replicas();
        !replicas.is_empty() && replicas.iter().all(|replica| served(replica).as_deref() == Some(&pair.der))
    }

    /// Gives containers that start from now on these variables.
    pub fn set_environment(&self, variables: &[(&str, &str)]) {
        let image = self.image.clone();
        let image = variables.iter().fold(image, |image, (name, value)| image.environment(name, value));
        self.kubelets.set_image(image);
    }

    fn give(&self, pair: &Pair) {
        let base = |text: &str| BASE64_STANDARD.encode(text);
        let secret = format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: given-tls, namespace: {NAMESPACE}}}, \
             data: {{tls.crt: {}, tls.key: {}, ca.crt: {}}}}}",
            base(&pair.certificate),
            base(&pair.key),
            base(self.authority.bundle())
        );
        self.cluster.kubectl(&["apply", "-f", "-"], &secret);
    }

    /// Changes how it is set up, which is a rollout where anything differs; waits for nothing.
    pub fn change(&mut self, change: impl FnOnce(&mut Options)) {
        change(&mut self.options);
        self.apply();
    }

    fn apply(&self) {
        let options = &self.options;
        let (serve, controller) = match options.certificates {
            Certificates::Given => ("--tls-cert=/tls/tls.crt, --tls-key=/tls/tls.key", "--ca-bundle=/tls/ca.crt"),
            // One API server hears of a new bundle at once.
            Certificates::Own => ("--tls-secret=portcullis-tls", "--manage-certificates, --bundle-settle=500ms"),
        };
        let manifest = MANIFEST
            .replace("SERVE", &format!("--drain-delay={}, {serve}", options.drain_delay))
            .replace("CONTROLLER", controller)
            .replace("PRE_STOP", &options.pre_stop.to_string())
            .replace("CACHE}", &format!("{}}}", options.cache))
            .replace("MODULES", &self.modules().display().to_string());
        self.cluster.kubectl(&["apply", "-f", "-"], &manifest);
    }

    /// Restarts the replicas one after the other, as `kubectl rollout restart` does, and waits until the new ones
    /// are there and the old ones gone.
    ///
    /// # Panics
    /// They aren't in time.
    pub fn restart(&self) {
        let before = self.replicas();
        self.cluster.kubectl(&["rollout", "restart", "deployment/portcullis", "-n", NAMESPACE], "");
        self.replaced(&before);
    }

    /// Waits until a rollout has put others in the place of these replicas.
    ///
    /// # Panics
    /// They are there too long.
    pub fn replaced(&self, before: &[Running]) {
        self.rolled_out();
        let gone = |old: &Running| !self.replicas().iter().any(|now| now.pid == old.pid);
        wait_for("the old replicas' end", PATIENCE, || before.iter().all(gone));
    }

    /// Waits until the Deployments are rolled out.
    ///
    /// # Panics
    /// They aren't in time; what they run says why.
    pub fn rolled_out(&self) {
        let patience = format!("--timeout={}s", PATIENCE.as_secs());
        for name in ["deployment/portcullis", "deployment/portcullis-controller"] {
            let said = self.cluster.try_kubectl(&["rollout", "status", name, "-n", NAMESPACE, &patience], "");
            assert!(said.well(), "{}\n{}", said.all(), self.state());
        }
    }

    /// Waits until the Deployments are rolled out and every policy is ready.
    ///
    /// # Panics
    /// They aren't in time; what they run says why.
    pub fn settle(&self) {
        self.rolled_out();
        let patience = format!("--timeout={}s", PATIENCE.as_secs());
        let wait = ["wait", "--for=condition=Ready", "clusterpolicy", "--all", &patience];
        let said = self.cluster.try_kubectl(&wait, "");
        assert!(said.well(), "{}\n{}", said.all(), self.state());
        let count = || {
            let addresses = self.cluster.kubectl(
                &[
                    "get",
                    "endpointslices",
                    "-n",
                    NAMESPACE,
                    "-o",
                    "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}",
                ],
                "",
            );
            addresses.split_whitespace().count()
        };
        wait_for("three ready endpoints", PATIENCE, || count() == 3);
    }

    /// What there is, for a failed test.
    #[must_use]
    pub fn state(&self) -> String {
        let pods = self.cluster.try_kubectl(&["get", "pods,events", "-n", NAMESPACE, "-o", "wide"], "").all();
        let policies = self.cluster.try_kubectl(&["get", "clusterpolicies", "-o", "yaml"], "").all();
        let log = |running: &Running| {
            let log = std::fs::read_to_string(&running.log).unwrap_or_default();
            format!("{}:\n{}\n", running.pod, crate::process::tail(&log))
        };
        let logs: String = self.kubelets.running().iter().map(log).collect();
        format!("{pods}\n{}\n{logs}", crate::process::tail(&policies))
    }
}

/// What the container file makes: the program, and policies that are compiled; of
/// each version of it the same.
#[must_use]
pub fn images(cluster: &Cluster, names: &[&str]) -> Vec<Image> {
    let baseline = std::fs::read_to_string(crate::workspace_root().join("policies/bundle/sets/baseline.yaml"));
    let baseline = baseline.expect("the built-in set");
    let [alone, beside] =
        [("load.yaml", LOAD_POLICY.to_owned()), ("both.yaml", format!("{baseline}\n---\n{LOAD_POLICY}"))].map(
            |(name, policies)| {
                let path = cluster.path(name);
                std::fs::write(&path, policies).expect("policies to compile");
                path
            },
        );
    // What stands in a module together is compiled together: the set by itself,
    // the load's policy by itself, and both.
    let sets = [Path::new("builtin/baseline"), &alone, &beside];
    let folder = cluster.path("precompiled");
    let mut images: Vec<Image> = Vec::new();
    for name in names {
        images.push(match images.first() {
            None => Image::new(name).precompiled(&folder, &sets),
            Some(first) => first.named(name),
        });
    }
    images
}

/// The certificate that a replica shows, as DER.
fn served(replica: &Running) -> Option<Vec<u8>> {
    /// How long a handshake may take.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// The webhook's port.
    const PORT: u16 = 8443;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).tls_info(true).timeout(PATIENCE);
    let url = format!("https://{}:{PORT}/", replica.address);
    let answer = runtime.block_on(async { client.build()?.get(url).send().await }).ok()?;
    let shown = answer.extensions().get::<reqwest::tls::TlsInfo>()?;
    shown.peer_certificate().map(<[u8]>::to_vec)
}
