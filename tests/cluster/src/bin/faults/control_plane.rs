//! What happens to the API server and etcd, and what people do there.

use std::thread::sleep;
use std::time::{Duration, Instant};

use portcullis_cluster::{ADMIN, Api, Installed, Load, Pace, wait_for};
use serde_json::{Value, json};

use crate::Scale;
use crate::row::{Cost, Row};

/// How long a changed policy may take to be run by all.
const PATIENCE: Duration = Duration::from_secs(120);
/// Changes between two times that all is waited for.
const BURST: usize = 50;
/// How long etcd stands still: longer than a webhook's timeout, shorter than a Node's grace.
const PAUSED: Duration = Duration::from_secs(15);
const POLICIES: &str = "/apis/portcullis.dev/v1alpha1/clusterpolicies";

/// Settings of a policy beside the load's are changed again and again, in bursts; after each burst all run the last.
pub(crate) fn policy_changes(installed: &mut Installed, scale: Scale) -> Row {
    let times = scale.of(1000, 10);
    let api = Api::new(&installed.cluster, ADMIN);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let policy = |number: usize| {
        json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": "changing"},
            "spec": {"module": "builtin/storage", "policy": "database-remote-storage",
                     "settings": {"suggestedClass": format!("class-{number}")}, "validationActions": ["Warn"]},
        })
    };
    let path = format!("{POLICIES}/changing");
    runtime.block_on(api.post(POLICIES, &policy(0))).expect("the policy is made");
    installed.settle();
    let load = Load::begin(&installed.cluster, Pace::default());
    let mut longest = Duration::ZERO;
    for number in 1..=times {
        let patched = runtime.block_on(api.patch(&path, "application/merge-patch+json", &policy(number)));
        patched.expect("the policy is changed");
        if number % BURST == 0 || number == times {
            let begun = Instant::now();
            wait_for("the changed policy to run", PATIENCE, || {
                runtime.block_on(api.get(&path)).is_ok_and(|now| runs(&now))
            });
            longest = longest.max(begun.elapsed());
        }
    }
    let row = Row::of(format!("{times} changes"), Cost::Nothing, load);
    installed.cluster.kubectl(&["delete", "clusterpolicy", "changing"], "");
    row.note(format!("run by all at most {:.1} s after a burst of {BURST}", longest.as_secs_f64()))
}

/// Whether what a policy object says now is what runs.
fn runs(policy: &Value) -> bool {
    let conditions = policy["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    ready.is_some_and(|ready| {
        ready["status"] == "True" && ready["observedGeneration"] == policy["metadata"]["generation"]
    })
}

/// The API server dies and comes back: what it can't do meanwhile nobody can, and no webhook call fails.
pub(crate) fn api_server_restarts(installed: &mut Installed, scale: Scale) -> Row {
    let times = scale.of(10, 2);
    let load = Load::begin(&installed.cluster, Pace::default());
    for _ in 0..times {
        installed.cluster.restart_apiserver();
        sleep(Duration::from_secs(3));
    }
    let row = Row::of(format!("{times} restarts"), Cost::Unserved, load);
    installed.settle();
    row
}

/// etcd stands still and goes on.
pub(crate) fn etcd_paused(installed: &mut Installed, scale: Scale) -> Row {
    let times = scale.of(3, 1);
    let load = Load::begin(&installed.cluster, Pace::default());
    for _ in 0..times {
        installed.cluster.signal("etcd", "STOP");
        sleep(PAUSED);
        installed.cluster.signal("etcd", "CONT");
        sleep(Duration::from_secs(5));
    }
    let row = Row::of(format!("{times} x {} s", PAUSED.as_secs()), Cost::Unserved, load);
    installed.settle();
    row
}
