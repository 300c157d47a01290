//! One Pod's life: volumes, containers, probes, restarts, its status, its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::container::{Process, Start, signal};
use super::probe::{self, Judged, Kind};
use super::volume::{self, Volume};
use super::{Image, Running, Shared, status};
use crate::Place;
use crate::api::{JSON, STRATEGIC};

/// Between two looks at what time brings: restarts, contents of volumes.
const TICK: Duration = Duration::from_millis(200);
/// Between two readings of mounted Secrets and ConfigMaps; kubelet needs up to a minute.
const REREADING: Duration = Duration::from_secs(1);
/// Before something that the API server didn't give is asked for again.
const PAUSE: Duration = Duration::from_millis(300);
/// kubelet's back-off: the first restart comes at once, the next after 10 s, then twice as late each time, and
/// after ten minutes of running all is forgotten.
const BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);
const FORGOTTEN: Duration = Duration::from_secs(600);
/// A Pod's grace where it doesn't say: Kubernetes' 30 s.
const GRACE: u64 = 30;
/// What SIGTERM is given when a hook has used up the grace, as kubelet gives it.
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// What a Pod's task is told.
#[derive(Debug)]
pub(super) enum Event {
    Ended { index: usize, generation: u64, code: i32 },
    Probed { index: usize, generation: u64, kind: Kind, well: bool },
}

/// What a container does.
#[derive(Clone, Debug)]
pub(super) enum State {
    Waiting(&'static str),
    Running { since: Timestamp },
    Terminated(End),
}

/// How one ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) code: i32,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

/// A container, over its restarts.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) spec: Value,
    image: Option<Image>,
    process: Option<Process>,
    generation: u64,
    pub(super) restarts: u32,
    crashes: u32,
    pub(super) state: State,
    pub(super) last: Option<End>,
    began: Instant,
    restart_at: Option<Instant>,
    kill_at: Option<Instant>,
    probes: BTreeMap<&'static str, Judged>,
}

/// A Pod that is here.
#[derive(Debug)]
struct Life {
    shared: Arc<Shared>,
    pod: Value,
    place: Place,
    folder: PathBuf,
    volumes: BTreeMap<String, Volume>,
    containers: Vec<Container>,
    told: mpsc::UnboundedSender<Event>,
    events: mpsc::UnboundedReceiver<Event>,
    since: Timestamp,
    ready: Option<(bool, Timestamp)>,
    reread_at: Instant,
}

/// Lives until the Pod is gone.
pub(super) async fn live(shared: Arc<Shared>, mut seen: watch::Receiver<Value>) {
    let place = loop {
        match shared.network.lend() {
            Ok(place) => break place,
            Err(why) => eprintln!("kubelet: {why}"),
        }
        sleep(PAUSE).await;
    };
    let pod = seen.borrow_and_update().clone();
    let mut life = Life::new(shared, pod, place);
    let (said, to_say) = watch::channel(Value::Null);
    let saying = tokio::spawn(say(life.shared.clone(), life.path(), to_say));
    let mut tick = tokio::time::interval(TICK);
    while life.pod["metadata"]["deletionTimestamp"].is_null() && !life.done() {
        let status = life.status();
        said.send_if_modified(|now| std::mem::replace(now, status.clone()) != status);
        tokio::select! {
            changed = seen.changed() => match changed {
                Ok(()) => life.look(&seen.borrow_and_update()),
                Err(_) => break,
            },
            _ = tick.tick() => life.tick().await,
            Some(event) = life.events.recv() => life.hear(event),
        }
    }
    if life.done() && life.pod["metadata"]["deletionTimestamp"].is_null() {
        // A Pod that has run to its end stays until somebody deletes it.
        let status = life.status();
        said.send_replace(status);
        while let Ok(()) = seen.changed().await {
            if !seen.borrow_and_update()["metadata"]["deletionTimestamp"].is_null() {
                break;
            }
        }
    }
    life.end(&mut seen).await;
    saying.abort();
    life.leave().await;
}

/// Says the newest status until it is said.
async fn say(shared: Arc<Shared>, path: String, mut status: watch::Receiver<Value>) {
    while status.changed().await.is_ok() {
        loop {
            let newest = json!({"status": *status.borrow_and_update()});
            match shared.api.patch(&format!("{path}/status"), STRATEGIC, &newest).await {
                Ok(_) => break,
                Err(why) if why.starts_with("404") => return,
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}

impl Life {
    fn new(shared: Arc<Shared>, pod: Value, place: Place) -> Life {
        let folder = shared.folder.join(pod["metadata"]["uid"].as_str().unwrap_or_default());
        let (told, events) = mpsc::unbounded_channel();
        let specs = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
        let containers = specs.into_iter().map(|spec| Container::new(&shared, spec)).collect();
        let now = Timestamp::now();
        let (ready, reread_at) = (None, Instant::now());
        let volumes = BTreeMap::new();
        let mut life =
            Life { shared, pod, place, folder, volumes, containers, told, events, since: now, ready, reread_at };
        let pod = life.pod.clone();
        life.look(&pod);
        match volume::of_pod(&life.pod, &life.folder) {
            Ok(volumes) => life.volumes = volumes,
            Err(error) => eprintln!("kubelet: {}: {error}", life.folder.display()),
        }
        life
    }

    /// The Pod as it is now, with what only its kubelet knows.
    fn look(&mut self, pod: &Value) {
        self.pod = pod.clone();
        self.pod["status"]["podIP"] = self.place.address.to_string().into();
        self.pod["status"]["hostIP"] = self.shared.server.0.clone().into();
    }

    fn name(&self) -> (&str, &str) {
        let text = |field: &str| self.pod["metadata"][field].as_str().unwrap_or_default();
        (text("namespace"), text("name"))
    }

    fn path(&self) -> String {
        let (namespace, name) = self.name();
        format!("/api/v1/namespaces/{namespace}/pods/{name}")
    }

    /// What time brings: restarts, new contents of volumes, the end of a grace.
    async fn tick(&mut self) {
        let now = Instant::now();
        let contents = self.volumes.values().any(|volume| matches!(volume, Volume::Content { .. }));
        if contents && now >= self.reread_at {
            self.reread_at = now + REREADING;
            let read = timeout(REREADING, volume::refresh(&self.shared.api, &self.pod, &self.volumes)).await;
            // A container that hasn't run yet waits for what it mounts, as under kubelet.
            if !matches!(read, Ok(Ok(()))) && self.containers.iter().any(|container| container.generation == 0) {
                return;
            }
        }
        for index in 0..self.containers.len() {
            let container = &mut self.containers[index];
            if container.kill_at.is_some_and(|at| now >= at)
                && let Some(process) = &container.process
            {
                signal(process.pid, "KILL");
            }
            if container.restart_at.is_some_and(|at| now >= at) {
                self.start(index).await;
            }
        }
    }

    async fn start(&mut self, index: usize) {
        let container = &self.containers[index];
        let generation = container.generation + 1;
        let mut process = None;
        let name = container.spec["name"].as_str().unwrap_or_default().to_owned();
        if let Some(image) = &container.image {
            let folder = self.folder.join("containers").join(&name);
            let log = self.log(&name);
            let start = Start {
                pod: &self.pod,
                container: &container.spec,
                image,
                place: &self.place,
                volumes: &self.volumes,
                folder: &folder,
                log: &log,
            };
            match start.run(&self.shared, &self.told, index, generation).await {
                Ok(mut started) => {
                    started.probes = probe::start(&container.spec, self.place.address, &self.told, index, generation);
                    self.register(index, &name, started.pid, log);
                    process = Some(started);
                }
                Err(why) => {
                    eprintln!("kubelet: {}/{name}: {why}", self.path());
                    self.containers[index].state = State::Waiting("CreateContainerError");
                    self.containers[index].restart_at = Some(Instant::now() + PAUSE);
                    return;
                }
            }
        }
        self.containers[index].started(generation, process);
    }

    fn log(&self, container: &str) -> PathBuf {
        let (namespace, name) = self.name();
        self.shared.folder.join(format!("{namespace}_{name}_{container}.log"))
    }

    fn register(&self, index: usize, container: &str, pid: u32, log: PathBuf) {
        let (namespace, name) = self.name();
        let running = Running {
            namespace: namespace.to_owned(),
            pod: name.to_owned(),
            container: container.to_owned(),
            image: self.containers[index].spec["image"].as_str().unwrap_or_default().to_owned(),
            pid,
            address: self.place.address,
            restarts: self.containers[index].restarts,
            log,
        };
        self.shared.running().insert((self.path(), container.to_owned()), running);
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Ended { index, generation, code } => {
                let container = &mut self.containers[index];
                if container.generation == generation {
                    container.ended(code, self.pod["spec"]["restartPolicy"].as_str().unwrap_or("Always"));
                    let name = container.spec["name"].as_str().unwrap_or_default().to_owned();
                    self.shared.running().remove(&(self.path(), name));
                }
            }
            Event::Probed { index, generation, kind, well } => {
                let grace = self.pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(GRACE);
                let container = &mut self.containers[index];
                if container.generation == generation {
                    container.probed(kind, well, Duration::from_secs(grace));
                }
            }
        }
    }

    /// Whether all have run to their end and none is started again.
    fn done(&self) -> bool {
        let ended =
            |container: &Container| matches!(container.state, State::Terminated(_)) && container.restart_at.is_none();
        !self.containers.is_empty() && self.containers.iter().all(ended)
    }

    fn status(&mut self) -> Value {
        let ready = self.containers.iter().all(Container::ready);
        if self.ready.is_none_or(|(was, _)| was != ready) {
            self.ready = Some((ready, Timestamp::now()));
        }
        let since = self.ready.map_or(self.since, |(_, since)| since);
        status::of(&self.containers, &self.place, &self.shared.server.0, self.since, (ready, since))
    }

    /// Ends the containers as a kubelet does: hooks, SIGTERM, and SIGKILL at the end of the grace; at once where the
    /// Pod has been taken away by force.
    async fn end(&mut self, seen: &mut watch::Receiver<Value>) {
        let grace = self.pod["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(GRACE);
        let now = Instant::now();
        let until = now + Duration::from_secs(grace);
        let mut terms: Vec<Option<Instant>> = Vec::new();
        for container in &mut self.containers {
            container.restart_at = None;
            let sleep = container.spec["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap_or(0);
            let term = now + Duration::from_secs(sleep.min(grace));
            container.kill_at = Some(until.max(term + LEAST_GRACE));
            terms.push(Some(term));
        }
        let mut forced = seen.has_changed().is_err();
        while self.containers.iter().any(|container| container.process.is_some()) {
            let now = Instant::now();
            for (container, term) in self.containers.iter().zip(&mut terms) {
                let Some(process) = &container.process else { continue };
                if forced || container.kill_at.is_some_and(|at| now >= at) {
                    signal(process.pid, "KILL");
                } else if term.is_some_and(|at| now >= at) {
                    *term = None;
                    signal(process.pid, "TERM");
                }
            }
            tokio::select! {
                changed = seen.changed(), if !forced => forced = changed.is_err(),
                () = sleep(TICK / 4) => {}
                Some(event) = self.events.recv() => self.hear(event),
            }
            for container in &mut self.containers {
                container.restart_at = None;
            }
        }
    }

    /// Says the last of it, and lets the API server forget the Pod.
    async fn leave(mut self) {
        let status = json!({"status": self.status()});
        let path = self.path();
        let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": self.pod["metadata"]["uid"]}});
        let mut said = false;
        loop {
            if !said {
                let answer = self.shared.api.patch(&format!("{path}/status"), STRATEGIC, &status).await;
                said = !answer.is_err_and(|why| !why.starts_with("404"));
            }
            let answer = self.shared.api.ask(Method::DELETE, &path, Some((JSON, options.to_string()))).await;
            // Gone, or another Pod of its name.
            if answer.is_ok_and(|answer| matches!(answer.status, 200 | 404 | 409)) {
                break;
            }
            sleep(PAUSE).await;
        }
        let _ = std::fs::remove_dir_all(&self.folder);
        self.shared.network.give_back(self.place);
    }
}

impl Container {
    fn new(shared: &Shared, spec: Value) -> Container {
        let image = shared.image(spec["image"].as_str().unwrap_or_default());
        let state = State::Waiting("ContainerCreating");
        Container {
            spec,
            image,
            process: None,
            generation: 0,
            restarts: 0,
            crashes: 0,
            state,
            last: None,
            began: Instant::now(),
            restart_at: Some(Instant::now()),
            kill_at: None,
            probes: BTreeMap::new(),
        }
    }

    fn started(&mut self, generation: u64, process: Option<Process>) {
        self.probes.clear();
        if process.is_some() {
            for (kind, name) in probe::KINDS {
                if !self.spec[name].is_null() {
                    // A container counts as alive until a probe says otherwise, and as not ready until one says so.
                    self.probes.insert(name, Judged::of(&self.spec[name], kind == Kind::Liveness));
                }
            }
        }
        self.process = process;
        self.generation = generation;
        (self.restart_at, self.kill_at) = (None, None);
        self.began = Instant::now();
        self.state = State::Running { since: Timestamp::now() };
    }

    fn ended(&mut self, code: i32, policy: &str) {
        if let Some(mut process) = self.process.take() {
            process.ended = true;
        }
        let now = Timestamp::now();
        let since = match self.state {
            State::Running { since } => since,
            _ => now,
        };
        let end = End { code, since, until: now };
        let again = policy == "Always" || policy == "OnFailure" && code != 0;
        if !again {
            self.state = State::Terminated(end);
            return;
        }
        if self.began.elapsed() > FORGOTTEN {
            self.crashes = 0;
        }
        let pause = match self.crashes {
            0 => Duration::ZERO,
            crashes => (BACK_OFF * 2u32.saturating_pow(crashes - 1)).min(LONGEST_BACK_OFF),
        };
        self.crashes += 1;
        self.restarts += 1;
        self.restart_at = Some(Instant::now() + pause);
        self.state = State::Waiting("CrashLoopBackOff");
        self.last = Some(end);
    }

    fn probed(&mut self, kind: Kind, well: bool, grace: Duration) {
        if kind != Kind::Startup && !self.has_started() {
            return;
        }
        let Some((_, name)) = probe::KINDS.iter().find(|(other, _)| *other == kind) else { return };
        let Some(judged) = self.probes.get_mut(name) else { return };
        if kind == Kind::Startup && judged.well {
            return;
        }
        let failed = judged.count(well);
        if failed && kind != Kind::Readiness && self.kill_at.is_none() {
            // It is ended as at the Pod's end, and started again.
            if let Some(process) = &self.process {
                signal(process.pid, "TERM");
            }
            self.kill_at = Some(Instant::now() + grace);
        }
    }

    pub(super) fn has_started(&self) -> bool {
        matches!(self.state, State::Running { .. }) && self.probes.get("startupProbe").is_none_or(|judged| judged.well)
    }

    pub(super) fn ready(&self) -> bool {
        self.has_started() && self.probes.get("readinessProbe").is_none_or(|judged| judged.well)
    }
}
