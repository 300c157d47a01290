//! A bounded load of real API writes, half of which a policy must stop: who runs it
//! learns of every write that passed and must not, and of every one that didn't
//! and must.
//!
//! Each worker has a namespace, a connection and objects of its own, and makes the
//! same [`STEPS`] again and again: databases that are as they should be are
//! created, changed and deleted, wrong ones are created, and right ones changed
//! into wrong ones. Nothing of it runs: StatefulSets have no replicas, and Pods
//! that pass are counted and deleted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::api::{Answer, Api, JSON, STRATEGIC};
use crate::{ADMIN, Cluster, wait_for};

/// The policy that what must be stopped is stopped by, under this name.
pub const LOAD_POLICY: &str = "{apiVersion: portcullis.dev/v1alpha1, kind: ClusterPolicy, metadata: {name: load}, \
     spec: {module: builtin/storage, policy: database-remote-storage, validationActions: [Deny], failurePolicy: Fail}}\n";
/// What a denial by it begins with.
const DENIED_BY: &str = "load/";
/// How long the first writes may take.
const BEGINNING: Duration = Duration::from_secs(60);
/// Texts that are kept of each sort.
const TEXTS: usize = 12;

/// How hard it is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Writes at a time.
    pub workers: usize,
    /// Writes a second, of all workers; fewer where an answer takes longer.
    pub a_second: u32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { workers: 4, a_second: 40 }
    }
}

/// A running load; it ends with this.
#[derive(Debug)]
pub struct Load {
    runtime: Option<Runtime>,
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
    workers: Vec<JoinHandle<()>>,
}

/// How many, and the first of them in words.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub texts: Vec<String>,
}

/// What a load has seen.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Writes that were allowed, and must be.
    pub allowed: u64,
    /// Writes that the policy denied, and must.
    pub denied: u64,
    /// Writes that passed and must not.
    pub passed: Tally,
    /// Writes that a policy denied and must not.
    pub refused: Tally,
    /// Writes that were refused because a webhook call failed, whatever was to become of them.
    pub failed: Tally,
    /// Writes that the API server itself didn't do: it was gone, or its etcd.
    pub unserved: Tally,
    latencies: Vec<Duration>,
}

/// What has to become of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Due {
    Allowed,
    Denied,
}

/// One write of a round.
struct Step {
    method: Method,
    /// Where the objects of a namespace are, and the name of this one, where the path has it.
    resource: &'static str,
    name: Option<&'static str>,
    due: Due,
    body: fn() -> Option<(&'static str, Value)>,
}

const SETS: &str = "/apis/apps/v1/namespaces/NAMESPACE/statefulsets";
const PODS: &str = "/api/v1/namespaces/NAMESPACE/pods";

/// A round of writes.
fn steps() -> [Step; 8] {
    let step = |method, resource, name, due, body| Step { method, resource, name, due, body };
    [
        step(Method::POST, SETS, None, Due::Allowed, || Some((JSON, set("right", "nginx:1.29", "/cache")))),
        step(Method::POST, PODS, None, Due::Denied, || Some((JSON, wrong_pod()))),
        step(Method::PATCH, SETS, Some("right"), Due::Allowed, || {
            Some((STRATEGIC, json!({"metadata": {"labels": {"tier": "web"}}})))
        }),
        step(Method::PATCH, SETS, Some("right"), Due::Denied, || Some((STRATEGIC, into_wrong()))),
        step(Method::POST, SETS, None, Due::Denied, || Some((JSON, set("wrong", "mongo:8", "/data/db")))),
        step(Method::PATCH, SETS, Some("right"), Due::Allowed, || {
            Some((STRATEGIC, json!({"spec": {"template": {"metadata": {"annotations": {"round": "next"}}}}})))
        }),
        step(Method::POST, SETS, None, Due::Denied, || {
            Some((JSON, set("wrong", "postgres:18", "/var/lib/postgresql")))
        }),
        step(Method::DELETE, SETS, Some("right"), Due::Allowed, || None),
    ]
}

/// A worker's namespace, with the Services that its StatefulSets name.
fn ground(number: usize) -> String {
    let service = |name: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: load-{number}}}, \
             spec: {{clusterIP: None, selector: {{app: {name}}}, ports: [{{port: 80}}]}}}}\n"
        )
    };
    let namespace = format!("---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: load-{number}}}}}\n");
    namespace + &service("right") + &service("wrong")
}

/// A StatefulSet whose volume goes with its Pod; right for what keeps no data.
fn set(name: &str, image: &str, path: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
        "spec": {"serviceName": name, "replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": image, "volumeMounts": [{"name": "data", "mountPath": path}]}],
                     "volumes": [{"name": "data", "emptyDir": {}}]},
        }},
    })
}

fn wrong_pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "wrong-"},
        "spec": {"containers": [{"name": "main", "image": "mysql:8.4", "volumeMounts": [{"name": "data", "mountPath": "/var/lib/mysql"}]}],
                 "volumes": [{"name": "data", "emptyDir": {}}]},
    })
}

/// What turns a right one into a database.
fn into_wrong() -> Value {
    json!({"spec": {"template": {"spec": {"containers": [
        {"name": "main", "image": "mongo:8", "volumeMounts": [{"name": "data", "mountPath": "/data/db"}]}]}}}})
}

/// What became of a write.
#[derive(Debug, Eq, PartialEq)]
enum Fate {
    Done,
    Denied,
    Refused,
    Failed,
    Unserved,
}

impl Load {
    /// Starts it, in namespaces `load-0` and so on, and waits for the first writes.
    ///
    /// # Panics
    /// The namespaces can't be made, or nothing is written.
    #[must_use]
    pub fn begin(cluster: &Cluster, pace: Pace) -> Load {
        let ground: String = (0..pace.workers).map(ground).collect();
        cluster.kubectl(&["apply", "-f", "-"], &ground);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Counts::default())));
        let pause = Duration::from_secs(1) * u32::try_from(pace.workers).unwrap_or(1) / pace.a_second.max(1);
        let workers = (0..pace.workers)
            .map(|number| {
                let worker = Worker {
                    api: Api::new(cluster, ADMIN),
                    namespace: format!("load-{number}"),
                    stop: stop.clone(),
                    counts: counts.clone(),
                };
                runtime.spawn(worker.work(pause))
            })
            .collect();
        let load = Load { runtime: Some(runtime), stop, counts, workers };
        wait_for("the load's first writes", BEGINNING, || load.so_far().writes() > 4);
        load
    }

    /// What it has seen so far.
    #[must_use]
    pub fn so_far(&self) -> Counts {
        locked(&self.counts).clone()
    }

    /// Lets every worker finish its write, and says what they have seen.
    #[must_use]
    pub fn end(mut self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        let workers = std::mem::take(&mut self.workers);
        if let Some(runtime) = &self.runtime {
            for worker in workers {
                // A worker that panicked has said so.
                let _ = runtime.block_on(worker);
            }
        }
        self.so_far()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Worker {
    api: Api,
    namespace: String,
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
}

impl Worker {
    async fn work(self, pause: Duration) {
        let mut turn = interval(pause);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What an earlier load has left behind.
        self.clear().await;
        loop {
            for step in steps() {
                turn.tick().await;
                if self.stop.load(Ordering::Relaxed) {
                    self.clear().await;
                    return;
                }
                let begun = Instant::now();
                let answer = self.api.ask(step.method.clone(), &self.path(&step), body(&step)).await;
                let took = begun.elapsed();
                let fate = fate(&answer);
                let text = answer.as_ref().map_or_else(Clone::clone, |answer| answer.message().to_owned());
                locked(&self.counts).count(&step, &fate, &text, took);
                if (fate == Fate::Done) != (step.due == Due::Allowed) || fate == Fate::Unserved {
                    // What comes after it would fail for its sake: a round begins from nothing.
                    self.clear().await;
                    break;
                }
            }
        }
    }

    fn path(&self, step: &Step) -> String {
        let path = step.resource.replace("NAMESPACE", &self.namespace);
        step.name.map_or(path.clone(), |name| format!("{path}/{name}"))
    }

    /// Deletes what there is; none of it counts.
    async fn clear(&self) {
        for resource in [SETS, PODS] {
            let path = format!("{}?gracePeriodSeconds=0", resource.replace("NAMESPACE", &self.namespace));
            let _ = self.api.ask(Method::DELETE, &path, None).await;
        }
    }
}

fn body(step: &Step) -> Option<(&'static str, String)> {
    (step.body)().map(|(content_type, body)| (content_type, body.to_string()))
}

fn fate(answer: &Result<Answer, String>) -> Fate {
    let Ok(answer) = answer else { return Fate::Unserved };
    match answer.status {
        200..300 => Fate::Done,
        _ if answer.message().contains("failed calling webhook") => Fate::Failed,
        _ if answer.message().contains("denied the request: ") && answer.message().contains(DENIED_BY) => Fate::Denied,
        // Another policy than the load's, or a failure that a policy's failurePolicy answers.
        _ if answer.message().contains("denied the request: ") => Fate::Refused,
        _ => Fate::Unserved,
    }
}

impl Counts {
    fn count(&mut self, step: &Step, fate: &Fate, text: &str, took: Duration) {
        let line =
            || format!("{} {} after {:.1} s: {text}", step.method, step.name.unwrap_or("new"), took.as_secs_f64());
        match (fate, step.due) {
            (Fate::Done, Due::Allowed) => self.allowed += 1,
            (Fate::Done, Due::Denied) => self.passed.add(line()),
            (Fate::Denied, Due::Denied) => self.denied += 1,
            (Fate::Denied, Due::Allowed) | (Fate::Refused, _) => self.refused.add(line()),
            (Fate::Failed, _) => self.failed.add(line()),
            (Fate::Unserved, _) => self.unserved.add(line()),
        }
        if matches!(fate, Fate::Done | Fate::Denied) {
            self.latencies.push(took);
        }
    }

    /// All writes.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.allowed + self.denied + self.passed.count + self.refused.count + self.failed.count + self.unserved.count
    }

    /// Of so many in a hundred writes the answer came in this time.
    #[must_use]
    pub fn latency(&self, percent: usize) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort();
        let last = latencies.len().saturating_sub(1);
        latencies.get(last * percent / 100).copied().unwrap_or_default()
    }

    /// # Panics
    /// A write passed that must not, or one was lost that must pass.
    #[track_caller]
    pub fn assert_flawless(&self, what: &str) {
        assert!(self.allowed > 0 && self.denied > 0, "{what}: nothing was tried: {self}");
        let none = [&self.passed, &self.refused, &self.failed, &self.unserved].iter().all(|tally| tally.count == 0);
        assert!(none, "{what}: {self}\n{}", self.texts());
    }

    /// What went wrong, in words.
    #[must_use]
    pub fn texts(&self) -> String {
        let sorts = [
            ("passed", &self.passed),
            ("refused", &self.refused),
            ("failed", &self.failed),
            ("unserved", &self.unserved),
        ];
        let lines =
            sorts.iter().flat_map(|(name, tally)| tally.texts.iter().map(move |text| format!("  {name}: {text}\n")));
        lines.collect()
    }
}

impl Tally {
    fn add(&mut self, text: String) {
        self.count += 1;
        if self.texts.len() < TEXTS {
            self.texts.push(text);
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} writes: {} allowed, {} denied, {} passed that must be denied, {} refused that must be allowed, \
             {} failed calls, {} not served; p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
            self.writes(),
            self.allowed,
            self.denied,
            self.passed.count,
            self.refused.count,
            self.failed.count,
            self.unserved.count,
            self.latency(50),
            self.latency(99),
            self.latency(100)
        )
    }
}

fn locked(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Fate, fate};
    use crate::api::Answer;

    #[test]
    fn an_answer_tells_a_denial_from_a_failed_call() {
        let of = |status: u16, message: &str| fate(&Ok(Answer { status, body: json!({"message": message}) }));
        assert_eq!(of(201, ""), Fate::Done);
        let denial = "admission webhook \"fail.validate.portcullis.dev\" denied the request: ";
        assert_eq!(of(403, &format!("{denial}load/ephemeral-volume: volume `data`…")), Fate::Denied);
        assert_eq!(of(403, &format!("{denial}trap: it trapped")), Fate::Refused);
        assert_eq!(of(500, "Internal error occurred: failed calling webhook \"a\": …"), Fate::Failed);
        assert_eq!(of(403, "User \"admin\" cannot create resource"), Fate::Unserved);
        assert_eq!(fate(&Err("connection refused".to_owned())), Fate::Unserved);
    }
}
