//! Kubelets of the bed's own, whose Pods really run: a container of an image that
//! is named here is a process in a network namespace with the Pod's address, on a
//! root of its own that holds the program and the Pod's volumes, as the Pod's
//! user; started, probed, restarted and ended as a kubelet does it.
//!
//! ```text
//!   Pods bound to our Nodes ──watch──▶ a task each ──▶ processes, probes
//!          ▲                                │
//!          └────────── status ◀─────────────┘     and at the end: preStop, SIGTERM, SIGKILL, gone
//! ```
//!
//! All else is the real control plane's: Deployments, ReplicaSets, the scheduler,
//! EndpointSlices, service accounts with their tokens. Containers of other images
//! are said to run and nothing is started. Not there: cgroup limits, init
//! containers that run something, probes and hooks other than `httpGet` and
//! `sleep`, a memory-backed emptyDir that outlives its container.
//!
//! It takes root, as [`Network`] does.

mod container;
mod nodes;
mod pod;
mod probe;
mod status;
mod volume;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::api::Api;
use crate::process::{portcullis, wait_for};
use crate::users::KUBELETS;
use crate::{Cluster, Network};

/// The port of probes and metrics.
const METRICS: u16 = 8081;
/// Where an image has policies that are compiled already.
const PRECOMPILED: &str = "/var/lib/portcullis/precompiled";
/// Before a watch that has ended begins again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a process that is killed may take to be gone.
const LEAVING: Duration = Duration::from_secs(5);

/// What a container of some image runs.
#[derive(Clone, Debug)]
pub struct Image {
    reference: String,
    program: PathBuf,
    environment: Vec<(String, String)>,
    folders: Vec<(PathBuf, String)>,
}

/// A container that runs now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Running {
    /// The Pod's namespace.
    pub namespace: String,
    /// The Pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// Its image, as the Pod names it.
    pub image: String,
    /// The process, on the machine that the test runs on.
    pub pid: u32,
    /// The Pod's address.
    pub address: Ipv4Addr,
    /// How often it was started anew.
    pub restarts: u32,
    /// What it says.
    pub log: PathBuf,
}

/// The kubelets of some Nodes; with them end all that they run.
#[derive(Debug)]
pub struct Kubelets {
    // In this order: the tasks end their processes, then the network goes.
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
}

/// What the tasks share.
#[derive(Debug)]
struct Shared {
    api: Api,
    network: Network,
    folder: PathBuf,
    /// Where Pods find the API server.
    server: (String, String),
    nodes: Vec<String>,
    images: Mutex<Vec<Image>>,
    running: Mutex<BTreeMap<(String, String), Running>>,
}

impl Image {
    /// An image by the name that Pods give it, whose program is the one under test.
    #[must_use]
    pub fn new(reference: &str) -> Image {
        let program = portcullis();
        Image { reference: reference.to_owned(), program, environment: Vec::new(), folders: Vec::new() }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(&self, reference: &str) -> Image {
        Image { reference: reference.to_owned(), ..self.clone() }
    }

    /// The same with another program.
    #[must_use]
    pub fn program(mut self, program: &Path) -> Image {
        program.clone_into(&mut self.program);
        self
    }

    /// The same with a variable that a Pod may set otherwise.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Image {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with these policies compiled beforehand, as the container file does it; `folder` is filled. Where the
    /// program can't do that the output says so, and its Pods compile for themselves.
    #[must_use]
    pub fn precompiled(self, folder: &Path, policies: &[&Path]) -> Image {
        let mut command = Command::new(&self.program);
        command.arg("precompile").arg(folder).env("NO_COLOR", "1");
        for policy in policies {
            command.arg("--policy").arg(policy);
        }
        let output = command.output().expect("the program runs");
        if !output.status.success() {
            eprintln!("nothing is compiled beforehand: {}", String::from_utf8_lossy(&output.stderr).trim());
            return self;
        }
        self.folder(folder, PRECOMPILED)
    }

    /// Whether it brings compiled policies along.
    fn is_precompiled(&self) -> bool {
        self.folders.iter().any(|(_, inside)| inside == PRECOMPILED)
    }

    /// The same with a folder of this machine in it, which can't be written.
    #[must_use]
    pub fn folder(mut self, here: &Path, inside: &str) -> Image {
        self.folders.push((here.to_owned(), inside.to_owned()));
        self
    }
}

impl Kubelets {
    /// Starts the kubelets of so many Nodes, and waits until the Nodes are ready.
    ///
    /// # Panics
    /// The Nodes can't be made.
    #[must_use]
    pub fn start(cluster: &Cluster, network: Network, nodes: usize, images: Vec<Image>) -> Kubelets {
        let folder = cluster.path("kubelets");
        std::fs::create_dir_all(&folder).expect("a folder for the Pods");
        let (host, port) = cluster.address();
        let shared = Arc::new(Shared {
            api: Api::new(cluster, KUBELETS),
            network,
            folder,
            server: (host, port),
            nodes: (0..nodes).map(|number| format!("node-{number}")).collect(),
            images: Mutex::new(images),
            running: Mutex::default(),
        });
        // One thread: whatever is done takes little of it.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let made = runtime.block_on(nodes::make(&shared));
        made.unwrap_or_else(|why| panic!("the Nodes can't be made: {why}"));
        runtime.spawn(nodes::keep(shared.clone()));
        runtime.spawn(follow(shared.clone()));
        Kubelets { runtime: Some(runtime), shared }
    }

    /// The containers that run now, by Pod.
    #[must_use]
    pub fn running(&self) -> Vec<Running> {
        self.shared.running().values().cloned().collect()
    }

    /// Those of Portcullis with this name of their container: `server`, `controller`.
    #[must_use]
    pub fn containers(&self, name: &str) -> Vec<Running> {
        self.running().into_iter().filter(|running| running.container == name).collect()
    }

    /// Adds an image, or gives one another program, environment and folders.
    pub fn set_image(&self, image: Image) {
        let mut images = self.shared.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.retain(|other| other.reference != image.reference);
        images.push(image);
    }

    /// Sends a signal to a container's process: `KILL`, `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, container: &Running, name: &str) {
        container::signal(container.pid, name);
    }

    /// What a container serves at a path of its metrics port, and with which status.
    #[must_use]
    pub fn http(&self, container: &Running, path: &str) -> Option<(u16, String)> {
        crate::process::http_get((container.address, METRICS).into(), path)
    }

    /// What the clock of a container's process says, in seconds since the epoch.
    #[must_use]
    pub fn clock(&self, container: &Running) -> Option<i64> {
        crate::process::http_clock((container.address, METRICS).into(), "/livez")
    }
}

impl Drop for Kubelets {
    fn drop(&mut self) {
        // Ends the tasks, and they their processes.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(LEAVING);
        }
        let pids: Vec<u32> = self.running().iter().map(|running| running.pid).collect();
        if !std::thread::panicking() {
            wait_for("the containers' end", LEAVING, || pids.iter().all(|&pid| !container::lives(pid)));
        }
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, BTreeMap<(String, String), Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is run for an image; none where it is only said to run.
    fn image(&self, name: &str) -> Option<Image> {
        let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        // A registry may stand before the name.
        let is = |image: &&Image| name == image.reference || name.ends_with(&format!("/{}", image.reference));
        images.iter().find(is).cloned()
    }
}

/// Gives every Pod of our Nodes a task, and tells it of its changes; the end of the channel is the Pod's end.
async fn follow(shared: Arc<Shared>) {
    let mut pods: BTreeMap<String, watch::Sender<Value>> = BTreeMap::new();
    loop {
        if let Ok(list) = shared.api.get(PODS).await {
            let items: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
            let uids: Vec<String> = items.iter().map(uid).collect();
            pods.retain(|uid, _| uids.contains(uid));
            for mut pod in items {
                // Items of a list don't name their kind.
                pod["kind"] = "Pod".into();
                tell(&shared, &mut pods, pod);
            }
            let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            let path = format!("{PODS}&watch=true&resourceVersion={version}");
            if let Ok(mut events) = shared.api.watch(&path).await {
                while let Some(mut event) = events.next().await {
                    match event["type"].as_str() {
                        Some("ADDED" | "MODIFIED") => tell(&shared, &mut pods, event["object"].take()),
                        Some("DELETED") => drop(pods.remove(&uid(&event["object"]))),
                        _ => break,
                    }
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// All Pods that are bound to a Node.
const PODS: &str = "/api/v1/pods?fieldSelector=spec.nodeName!%3D";

fn tell(shared: &Arc<Shared>, pods: &mut BTreeMap<String, watch::Sender<Value>>, pod: Value) {
    let ours = |node: &str| shared.nodes.iter().any(|name| name == node);
    if !pod["spec"]["nodeName"].as_str().is_some_and(ours) {
        return;
    }
    let uid = uid(&pod);
    if let Some(told) = pods.get(&uid) {
        // A task that has ended has no use for it.
        let _ = told.send(pod);
        return;
    }
    let (told, seen) = watch::channel(pod);
    pods.insert(uid, told);
    tokio::spawn(pod::live(shared.clone(), seen));
}

fn uid(pod: &Value) -> String {
    pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

/// A field as the downward API names it.
fn field(pod: &Value, path: &str) -> Option<String> {
    let (path, key) = match path.split_once("['") {
        Some((path, rest)) => (path, rest.strip_suffix("']")),
        None => (path, None),
    };
    let pointer = format!("/{}", path.replace('.', "/"));
    let value = pod.pointer(&pointer)?;
    let value = key.map_or(Some(value), |key| value.get(key))?;
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::field;

    #[test]
    fn a_field_is_named_as_the_downward_api_names_it() {
        let pod = json!({"metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "b"}}});
        assert_eq!(field(&pod, "metadata.name").as_deref(), Some("a"));
        assert_eq!(field(&pod, "metadata.labels['app.kubernetes.io/name']").as_deref(), Some("b"));
        assert_eq!(field(&pod, "metadata.uid"), None);
    }
}
