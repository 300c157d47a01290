//! The modes that are compared: what stands between a user and etcd in each.

use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_cluster::{Cluster, Server, wait_for};

/// The mode that the others are measured against.
pub(crate) const NONE: &str = "none";
/// How long a mode may take to act: a ValidatingAdmissionPolicy needs a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the last of several in-tree policies may need more than the first.
const SETTLING: Duration = Duration::from_secs(2);
/// The start of the claim's spec in the StatefulSet, and one on node-local storage.
const CLAIM: &str = "\"accessModes\":";
const LOCAL_CLAIM: &str = "\"storageClassName\": \"local-path\", \"accessModes\":";
/// Policies that read StatefulSets.
const VALIDATING: [&str; 6] = [
    "database-remote-storage",
    "database-controller",
    "statefulset-service",
    "claim-shape",
    "credentials-in-plain-text",
    "service-exposure",
];
const MUTATING: &str = "default-storage-class";
/// What a StatefulSet is checked for in CEL, as a person would write the same six there.
const EXPRESSIONS: [&str; 6] = [
    "object.spec.?volumeClaimTemplates.orValue([]).all(t, !(t.spec.?storageClassName.orValue('') in ['local-path', 'csi-hostpath-sc'])) && object.spec.template.spec.containers.all(c, !c.image.matches('(^|/)(postgres|mysql|mongo|mariadb)(:|$)') || c.?volumeMounts.orValue([]).all(m, !object.spec.template.spec.?volumes.orValue([]).exists(v, v.name == m.name && has(v.emptyDir))))",
    "object.spec.replicas <= 1 || !object.spec.template.spec.?volumes.orValue([]).exists(v, has(v.persistentVolumeClaim))",
    "has(object.spec.serviceName) && object.spec.serviceName != ''",
    "object.spec.?volumeClaimTemplates.orValue([]).all(t, t.spec.accessModes.all(m, m in ['ReadWriteOnce', 'ReadWriteOncePod']) && has(t.spec.resources.requests))",
    "object.spec.template.spec.containers.all(c, c.?env.orValue([]).all(e, !has(e.value) || !e.name.matches('(?i)(password|secret|token)')))",
    "!object.spec.template.spec.?hostNetwork.orValue(false) && object.spec.template.spec.containers.all(c, c.?ports.orValue([]).all(p, !has(p.hostPort)))",
];

/// One way to judge StatefulSets.
pub(crate) struct Mode {
    pub(crate) name: String,
    manifest: String,
    signs: Signs,
    pid: Option<u32>,
}

/// How it shows that a mode is in force.
#[derive(Clone, Copy)]
enum Signs {
    /// So many calls of webhooks by one request.
    Calls(usize),
    /// A StatefulSet on node-local storage is refused.
    Denial,
    /// A claim without a class gets one.
    Class,
}

/// All of them, and the servers that they need.
pub(crate) struct Modes {
    modes: Vec<Mode>,
    // They end with this.
    _servers: Vec<Server>,
}

/// How Portcullis is called for its policies.
#[derive(Clone, Copy)]
enum Calls {
    /// One call for all of a phase, as the controller registers it.
    One,
    /// One a policy, as engines without groups do it.
    Each,
}

impl Modes {
    pub(crate) fn start(cluster: &Cluster) -> Modes {
        let objects = "{apiVersion: v1, kind: Service, metadata: {name: ledger}, spec: {clusterIP: None, selector: {app.kubernetes.io/instance: ledger}, ports: [{port: 5432}]}}\n---\n\
             {apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: \"true\"}}, provisioner: pd.csi.storage.gke.io}\n";
        cluster.kubectl(&["apply", "-f", "-"], objects);
        let mut modes = Modes {
            modes: vec![Mode { name: NONE.to_owned(), manifest: String::new(), signs: Signs::Calls(0), pid: None }],
            _servers: Vec::new(),
        };
        for count in [1, 6, 20] {
            let names = validating(count);
            let server = modes.server(cluster, &format!("validating-{count}"), &documents(&names));
            modes.add(cluster, &server, format!("portcullis-{count}"), "validate", Calls::One, &names);
            if count > 1 {
                modes.add(cluster, &server, format!("webhooks-{count}"), "validate", Calls::Each, &names);
            }
            modes.modes.push(Mode {
                name: format!("vap-{count}"),
                manifest: validating_policies(count),
                signs: Signs::Denial,
                pid: None,
            });
            modes._servers.push(server);
        }
        for count in [1, 20] {
            let names = copies(MUTATING, count);
            let server = modes.server(cluster, &format!("mutating-{count}"), &documents(&names));
            modes.add(cluster, &server, format!("portcullis-mutating-{count}"), "mutate", Calls::One, &names);
            if count > 1 {
                modes.add(cluster, &server, format!("webhooks-mutating-{count}"), "mutate", Calls::Each, &names);
            }
            // Once one has put the class in, the others don't match.
            modes.modes.push(Mode {
                name: format!("map-{count}"),
                manifest: mutating_policies(count),
                signs: Signs::Class,
                pid: None,
            });
            modes._servers.push(server);
        }
        modes.all_policies(cluster);
        modes
    }

    pub(crate) fn all(&self) -> &[Mode] {
        &self.modes
    }

    fn server(&self, cluster: &Cluster, name: &str, documents: &str) -> Server {
        let file = cluster.path(&format!("{name}.yaml"));
        std::fs::write(&file, documents).expect("the policies");
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let arguments = ["--policy", &file.display().to_string(), "--kubernetes", "--kubeconfig", &kubeconfig];
        Server::start(cluster, name, &arguments)
    }

    fn add(
        &mut self,
        cluster: &Cluster,
        server: &Server,
        name: String,
        phase: &str,
        calls: Calls,
        policies: &[(String, &str)],
    ) {
        let paths: Vec<String> = match calls {
            Calls::One => vec![format!("/{phase}/fail")],
            Calls::Each => policies.iter().map(|(name, _)| format!("/{phase}/policy/{name}")).collect(),
        };
        let manifest = webhooks(cluster, server, phase, &paths);
        self.modes.push(Mode { name, manifest, signs: Signs::Calls(paths.len()), pid: Some(server.pid()) });
    }

    /// The whole baseline: both phases and both failure policies, as the controller registers them.
    fn all_policies(&mut self, cluster: &Cluster) {
        let file = portcullis_cluster::workspace_root().join("policies/bundle/sets/baseline.yaml");
        let server = self.server(cluster, "all", &std::fs::read_to_string(file).expect("the baseline"));
        let validating = ["/validate/fail", "/validate/ignore"].map(str::to_owned);
        let manifest = format!(
            "{}---\n{}",
            webhooks(cluster, &server, "validate", &validating),
            webhooks(cluster, &server, "mutate", &["/mutate/fail".to_owned()])
        );
        self.modes.push(Mode {
            name: "portcullis-all".to_owned(),
            manifest,
            signs: Signs::Calls(3),
            pid: Some(server.pid()),
        });
        self._servers.push(server);
    }
}

impl Mode {
    /// The process whose CPU is counted.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Puts it in force.
    pub(crate) fn begin(&self, cluster: &Cluster) {
        if self.manifest.is_empty() {
            return;
        }
        cluster.kubectl(&["create", "-f", "-"], &self.manifest);
        wait_for(&format!("{} to act", self.name), PATIENCE, || self.shows(cluster));
        if !matches!(self.signs, Signs::Calls(_)) {
            // The first policy acts; the others come with it, one after the other.
            std::thread::sleep(SETTLING);
        }
    }

    /// Takes it away.
    pub(crate) fn end(&self, cluster: &Cluster) {
        if self.manifest.is_empty() {
            return;
        }
        cluster.kubectl(&["delete", "-f", "-"], &self.manifest);
        wait_for(&format!("the end of {}", self.name), PATIENCE, || !self.shows(cluster));
    }

    fn shows(&self, cluster: &Cluster) -> bool {
        match self.signs {
            Signs::Calls(count) => calls_of_one(cluster) >= count,
            Signs::Denial => !try_one(cluster, &crate::load::DATABASE.replace(CLAIM, LOCAL_CLAIM)).0,
            Signs::Class => try_one(cluster, crate::load::DATABASE).1.contains("standard"),
        }
    }
}

/// How many webhook calls the API server counts for one StatefulSet.
fn calls_of_one(cluster: &Cluster) -> usize {
    let count = || cluster.webhook_calls().made;
    let before = count();
    try_one(cluster, crate::load::DATABASE);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count that only grows")]
    let made = (count() - before) as usize;
    made
}

/// Whether a dry run passes, and the object's class after it.
fn try_one(cluster: &Cluster, object: &str) -> (bool, String) {
    let class = "-o=jsonpath={.spec.volumeClaimTemplates[0].spec.storageClassName}";
    let said = cluster.try_kubectl(&["create", "--dry-run=server", class, "-f", "-"], object);
    (said.well(), said.output)
}

fn copies(policy: &'static str, count: usize) -> Vec<(String, &'static str)> {
    (0..count).map(|number| (format!("{policy}-{number}"), policy)).collect()
}

fn validating(count: usize) -> Vec<(String, &'static str)> {
    (0..count)
        .map(|number| {
            (format!("{}-{number}", VALIDATING[number % VALIDATING.len()]), VALIDATING[number % VALIDATING.len()])
        })
        .collect()
}

fn documents(policies: &[(String, &str)]) -> String {
    let module = |policy: &str| if policy == "service-exposure" { "network" } else { "storage" };
    policies.iter().fold(String::new(), |mut text, (name, policy)| {
        let _ = write!(
            text,
            "---\n{{apiVersion: portcullis.dev/v1alpha1, kind: ClusterPolicy, metadata: {{name: {name}}}, spec: {{module: builtin/{}, policy: {policy}}}}}\n",
            module(policy)
        );
        text
    })
}

fn webhooks(cluster: &Cluster, server: &Server, phase: &str, paths: &[String]) -> String {
    let kind = if phase == "mutate" { "MutatingWebhookConfiguration" } else { "ValidatingWebhookConfiguration" };
    let authority = BASE64_STANDARD.encode(std::fs::read(server.authority(cluster)).expect("the certificate"));
    let mut text =
        format!("apiVersion: admissionregistration.k8s.io/v1\nkind: {kind}\nmetadata: {{name: cost}}\nwebhooks:\n");
    for (number, path) in paths.iter().enumerate() {
        let _ = write!(
            text,
            "  - name: w{number}.{phase}.portcullis.dev\n    clientConfig: {{url: \"{}{path}\", caBundle: {authority}}}\n    \
             rules: [{{apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}}]\n    \
             admissionReviewVersions: [v1]\n    sideEffects: None\n    timeoutSeconds: 10\n",
            server.url()
        );
    }
    text
}

const CONSTRAINTS: &str = "matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}]}";

fn validating_policies(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let expression = EXPRESSIONS[number % EXPRESSIONS.len()];
        let _ = write!(
            text,
            "---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: cost-{number}}}\n\
             spec:\n  {CONSTRAINTS}\n  validations:\n    - expression: >-\n        {expression}\n      message: rule {number}\n\
             ---\n{{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {{name: cost-{number}}}, \
             spec: {{policyName: cost-{number}, validationActions: [Deny]}}}}\n"
        );
        text
    })
}

fn mutating_policies(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = write!(
            text,
            "---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: {{name: cost-{number}}}\n\
             spec:\n  {CONSTRAINTS}\n  reinvocationPolicy: Never\n  mutations:\n    - patchType: JSONPatch\n      jsonPatch:\n        expression: >-\n          \
             has(object.spec.volumeClaimTemplates) && !has(object.spec.volumeClaimTemplates[0].spec.storageClassName) ? \
             [JSONPatch{{op: 'add', path: '/spec/volumeClaimTemplates/0/spec/storageClassName', value: 'standard'}}] : []\n\
             ---\n{{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicyBinding, metadata: {{name: cost-{number}}}, \
             spec: {{policyName: cost-{number}}}}}\n"
        );
        text
    })
}
