//! Policies of somebody's own that do what a policy must not: one that counts
//! (`failurePolicy: Fail`) in a namespace of its own, where every write is denied
//! with the reason, and one that doesn't (`Ignore`) beside the load's own policy,
//! which must not notice.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use portcullis_cluster::{Installed, Load, Pace, wait_for};

use crate::Scale;
use crate::row::{Cost, Row};

/// Names the hostile component (tests/guests/hostile), which `faults.sh` builds.
const HOSTILE: &str = "PORTCULLIS_HOSTILE";
/// How long the load goes on beside it, at least.
const BESIDE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);
const CONFIG: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: any-, namespace: hostile}}";

pub(crate) fn traps(installed: &mut Installed, scale: Scale) -> Row {
    misbehave(installed, scale, "trap", "trapped: wasm `unreachable` instruction executed")
}

pub(crate) fn hangs(installed: &mut Installed, scale: Scale) -> Row {
    misbehave(installed, scale, "endless-loop", "ran longer than its timeout")
}

pub(crate) fn eats_memory(installed: &mut Installed, scale: Scale) -> Row {
    misbehave(installed, scale, "allocation-bomb", "bytes of memory")
}

fn misbehave(installed: &Installed, scale: Scale, policy: &str, reason: &str) -> Row {
    let Some(module) = std::env::var_os(HOSTILE).map(PathBuf::from) else {
        return Row::skipped("PORTCULLIS_HOSTILE isn't set");
    };
    std::fs::copy(module, installed.modules().join("hostile.wasm")).expect("the hostile module");
    let cluster = &installed.cluster;
    cluster.kubectl(&["apply", "-f", "-"], "{apiVersion: v1, kind: Namespace, metadata: {name: hostile}}");
    let document = |name: &str, failure_policy: &str, operator: &str| {
        format!(
            "---\n{{apiVersion: portcullis.dev/v1alpha1, kind: ClusterPolicy, metadata: {{name: {name}}}, spec: {{module: ./hostile.wasm, policy: {policy}, \
             failurePolicy: {failure_policy}, timeout: 100ms, memory: 24Mi, match: {{namespaceSelector: {{matchExpressions: \
             [{{key: kubernetes.io/metadata.name, operator: {operator}, values: [hostile]}}]}}}}}}}}\n"
        )
    };
    let documents = document("counts", "Fail", "In") + &document("counts-not", "Ignore", "NotIn");
    cluster.kubectl(&["apply", "-f", "-"], &documents);
    installed.settle();
    let load = Load::begin(cluster, Pace::default());
    let mut denied = 0;
    let mut problem = None;
    for _ in 0..scale.of(40, 5) {
        let said = cluster.try_kubectl(&["create", "-f", "-"], CONFIG);
        if said.denied() && said.errors.contains(reason) {
            denied += 1;
        } else {
            problem = Some(format!("not denied for its reason: {}", said.all()));
        }
    }
    sleep(BESIDE);
    let row = Row::of(format!("{denied} denials, and beside"), Cost::Nothing, load);
    cluster.kubectl(&["delete", "clusterpolicy", "counts", "counts-not"], "");
    row.problem(problem)
}

/// A module that is no module: its policy is set aside with the reason, its old version goes on where there is one.
pub(crate) fn broken_module(installed: &mut Installed, _: Scale) -> Row {
    let cluster = &installed.cluster;
    std::fs::write(installed.modules().join("broken.wasm"), b"\0asm this is no module").expect("the broken module");
    let load = Load::begin(cluster, Pace::default());
    let new = "{apiVersion: portcullis.dev/v1alpha1, kind: ClusterPolicy, metadata: {name: broken}, spec: {module: ./broken.wasm}}";
    cluster.kubectl(&["apply", "-f", "-"], new);
    // The load's own policy is broken, too: what it was goes on.
    let module = |module: &str| {
        let patch = format!("{{\"spec\": {{\"module\": \"{module}\"}}}}");
        cluster.kubectl(&["patch", "clusterpolicy", "load", "--type=merge", "-p", &patch], "");
    };
    module("./broken.wasm");
    let mut told = String::new();
    wait_for("the broken policies' status", PATIENCE, || {
        let status = "jsonpath={range .items[*]}{.metadata.name}: {.status.conditions[?(@.type=='Ready')].status} {.status.conditions[*].message}\n{end}";
        told = cluster.kubectl(&["get", "clusterpolicy", "-o", status], "");
        told.contains("broken.wasm") && told.contains("broken: False")
    });
    sleep(Duration::from_secs(5));
    module("builtin/storage");
    cluster.kubectl(&["delete", "clusterpolicy", "broken"], "");
    Row::of("1 new, 1 in use".to_owned(), Cost::Nothing, load)
}
