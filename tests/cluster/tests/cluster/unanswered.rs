//! An installation whose replicas don't answer: the real controller, run in the test
//! by the account and the roles of an installation, and one replica that is a Lease.

use std::sync::Arc;
use std::time::Duration;

use portcullis_cluster::{CONTEXT, CONTROLLER, Cluster, Controllers, Plan, SERVER, wait_for};
use portcullis_core::admit::Policy;
use portcullis_core::contract::{Description, MatchRule, Phase, Reach, Scope};
use portcullis_core::kinds::Kinds;
use portcullis_core::matching::Matcher;
use portcullis_core::policy::PolicyDocument;
use portcullis_kube::webhooks::{Endpoint, exempt_namespaces};
use portcullis_kube::{
    CertificateSource, ControllerConfig, ControllerReport, Identity, LoadedPolicy, Loader, PolicyObject, PolicyState,
    ReplicaState, RunningPolicy, connect, keep_lease, rbac, run_controller,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub(crate) const NAMESPACE: &str = "portcullis-system";
/// How long the controller, or the garbage collector, may take for one step.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// How long a wrong repair would take: two looks of the controller.
pub(crate) const LONG_ENOUGH: Duration = Duration::from_secs(12);
pub(crate) const CONFIGURATION: &str = "validatingwebhookconfiguration/portcullis";
pub(crate) const RECORD: &str = "configmap/portcullis-registrations";

/// What the policy of this name says of itself.
pub(crate) const MUTATES: &str = "mutates";

fn mutating() -> Description {
    let all = || vec!["*".to_owned()];
    let matches = vec![MatchRule {
        api_groups: all(),
        api_versions: all(),
        resources: vec!["*/*".to_owned()],
        operations: all(),
        scope: Scope::Any,
    }];
    Description {
        name: MUTATES.to_owned(),
        version: String::new(),
        title: String::new(),
        phase: Phase::Mutating,
        rules: Vec::new(),
        settings: Value::Null,
        reach: Reach { matches, ..Reach::default() },
        samples: Vec::new(),
    }
}

/// A cluster with the installation but for its replicas, of which one is said to be there.
pub(crate) struct Installed {
    pub(crate) runtime: Runtime,
    pub(crate) cluster: Cluster,
    controller: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    says: watch::Sender<ReplicaState>,
    pub(crate) report: watch::Sender<ControllerReport>,
    pub(crate) expiry: Option<Duration>,
    pub(crate) initial: Vec<Value>,
}

/// Reads documents as they are; their modules don't matter here.
struct Documents;

impl Loader for Documents {
    fn load(&mut self, objects: &[Arc<PolicyObject>]) -> Vec<LoadedPolicy> {
        let policy = |object: &Arc<PolicyObject>| {
            let document = PolicyDocument::from_json(&object.document).unwrap();
            let matcher = Matcher::new(&document, None).unwrap();
            let evaluator = Err("nobody asks it here".to_owned());
            let description = (document.spec.policy.as_deref() == Some(MUTATES)).then(|| mutating().into());
            let policy = Policy { matcher, document, description, digest: "d".to_owned(), evaluator };
            let running = RunningPolicy { generation: object.version.generation, policy: Arc::new(policy) };
            LoadedPolicy { object: object.clone(), running: Some(running), problem: None }
        };
        objects.iter().map(policy).collect()
    }
}

impl Installed {
    pub(crate) fn start() -> Installed {
        let cluster = Plan::default().controllers(Controllers::OwnAccounts).start();
        cluster.kubectl(&["create", "namespace", NAMESPACE], "");
        super::crd::install(&cluster);
        let runtime = Runtime::new().unwrap();
        let (says, state) = watch::channel(ReplicaState { ready: true, ..ReplicaState::default() });
        let report = watch::Sender::new(ControllerReport::default());
        let installed =
            Installed { runtime, cluster, controller: None, says, report, expiry: None, initial: Vec::new() };
        installed.grant();
        let client = installed.runtime.block_on(connect(Some(&installed.cluster.kubeconfig_of(SERVER)), CONTEXT));
        let identity = Identity { namespace: NAMESPACE.to_owned(), pod: "one".to_owned(), uid: None };
        installed.runtime.spawn(keep_lease(client.unwrap(), identity, state));
        installed
    }

    /// The roles of an installation.
    pub(crate) fn grant(&self) {
        let objects = rbac::objects(&[], &Kinds::default(), NAMESPACE);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.cluster.kubectl(&["apply", "--server-side", "-f", "-"], &list.to_string());
    }

    pub(crate) fn start_controller(&mut self) {
        let kubeconfig = self.cluster.kubeconfig_of(CONTROLLER);
        let client = self.runtime.block_on(connect(Some(&kubeconfig), CONTEXT)).unwrap();
        let config = ControllerConfig {
            namespace: NAMESPACE.to_owned(),
            identity: "the-controller".to_owned(),
            endpoint: Endpoint::Url("https://127.0.0.1:1".to_owned()),
            certificates: CertificateSource::Elsewhere,
            exempt_namespaces: exempt_namespaces(),
            initial_policies: self.initial.clone(),
            break_glass_expiry: self.expiry,
        };
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let running =
            self.runtime.spawn(run_controller(client, config, Box::new(Documents), self.report.clone(), stopped));
        self.controller = Some((stop, running));
    }

    /// Ends it as a kill does: it may be between any two steps.
    pub(crate) fn kill_controller(&mut self) {
        let (_, running) = self.controller.take().unwrap();
        running.abort();
        let _ = self.runtime.block_on(running);
    }

    /// Applies a policy, has the replica say that it runs it, and waits until its rules stand.
    pub(crate) fn apply(&self, policy: &Value) {
        self.cluster.kubectl(&["apply", "-f", "-"], &policy.to_string());
        self.run_all();
    }

    /// The replica says that it runs every policy there is.
    pub(crate) fn run_all(&self) {
        let all = self.json(&["get", "clusterpolicies.portcullis.dev"]);
        let state = |object: &Value| {
            let metadata = &object["metadata"];
            let uid = metadata["uid"].as_str().unwrap().to_owned();
            let state =
                PolicyState { uid, generation: metadata["generation"].as_i64().unwrap(), ..PolicyState::default() };
            (metadata["name"].as_str().unwrap().to_owned(), state)
        };
        let policies = all["items"].as_array().unwrap().iter().map(state).collect();
        self.says.send_modify(|says| says.policies = policies);
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.cluster.kubectl(&[arguments, &["-o", "json"]].concat(), "")).unwrap()
    }

    pub(crate) fn is_there(&self, what: &str) -> bool {
        self.cluster.try_kubectl(&["get", what, "-n", NAMESPACE], "").well()
    }

    /// Waits until the API server itself acts by the configuration, or without it.
    pub(crate) fn wait_closed(&self, closed: bool) {
        let what = if closed { "a closed cluster" } else { "an open cluster" };
        wait_for(what, SOON, || self.is_closed() == closed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        let said = self.cluster.try_kubectl(&["create", "configmap", "x", "-n", "team", "--dry-run=server"], "");
        assert!(said.well() || said.errors.contains("failed calling webhook"), "{}", said.all());
        !said.well()
    }

    /// Status and message of a condition.
    pub(crate) fn condition(&self, policy: &str, kind: &str) -> Option<(String, String)> {
        let policy = self.json(&["get", "clusterpolicy", policy]);
        let conditions = policy["status"]["conditions"].as_array()?.clone();
        let found = conditions.into_iter().find(|condition| condition["type"] == kind)?;
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        Some((text("status"), text("message")))
    }

    pub(crate) fn wait_condition(&self, kind: &str, status: &str) -> String {
        let mut message = String::new();
        wait_for(&format!("{kind}={status}"), SOON, || match self.condition("everything", kind) {
            Some((found, said)) if found == status => {
                message = said;
                true
            }
            _ => false,
        });
        message
    }

    /// Nobody repairs anything for a while.
    pub(crate) fn stays_open(&self) {
        let begun = std::time::Instant::now();
        while begun.elapsed() < LONG_ENOUGH {
            assert!(
                !self.is_there(CONFIGURATION),
                "{}",
                self.cluster.kubectl(&["get", RECORD, "-n", NAMESPACE, "-o", "yaml"], "")
            );
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Creates, changes and deletes an object, none of which may be blocked.
    pub(crate) fn passes(&self, object: &Value) {
        let text = object.to_string();
        self.cluster.kubectl(&["create", "-f", "-"], &text);
        let kind = object["kind"].as_str().unwrap();
        let reviews = ["SelfSubjectAccessReview", "TokenReview", "SubjectAccessReview"];
        if !reviews.contains(&kind) {
            self.cluster.kubectl(&["annotate", "--overwrite", "-f", "-", "example.com/a=b"], &text);
            self.cluster.kubectl(&["delete", "--wait=false", "-f", "-"], &text);
        }
    }

    pub(crate) fn blocked(&self, object: &Value) {
        let said = self.cluster.kubectl_refused(&["create", "-f", "-"], &object.to_string());
        assert!(said.contains("failed calling webhook \"fail"), "{object}: {said}");
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some((_, running)) = self.controller.take() {
            running.abort();
        }
    }
}
