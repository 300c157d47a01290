//! Our Nodes: made once, said to be ready, and kept so by their Leases, which is
//! what the real node lifecycle controller looks at.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::Shared;
use crate::api::{JSON, MERGE, STRATEGIC};

/// kubelet's own: a quarter of its Lease's duration.
const RENEWAL: Duration = Duration::from_secs(10);
const LEASE_SECONDS: u32 = 40;
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

/// Makes them, with room for whatever a test starts, each in a zone of its own.
pub(super) async fn make(shared: &Shared) -> Result<(), String> {
    for (number, name) in shared.nodes.iter().enumerate() {
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": format!("zone-{number}"),
            }},
        });
        shared.api.post("/api/v1/nodes", &node).await?;
        let room = json!({"cpu": "32", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"});
        let now = Timestamp::now();
        let condition = |kind: &str, status: &str| {
            json!({"type": kind, "status": status, "reason": "BedKubelet", "message": "the bed's kubelet",
                   "lastHeartbeatTime": seconds(now), "lastTransitionTime": seconds(now)})
        };
        let status = json!({"status": {
            "capacity": room, "allocatable": room,
            "addresses": [{"type": "InternalIP", "address": shared.server.0}, {"type": "Hostname", "address": name}],
            "conditions": [condition("Ready", "True"), condition("MemoryPressure", "False"),
                           condition("DiskPressure", "False"), condition("PIDPressure", "False")],
        }});
        shared.api.patch(&format!("/api/v1/nodes/{name}/status"), STRATEGIC, &status).await?;
        renew(shared, name).await;
    }
    Ok(())
}

/// Renews their Leases until the test ends.
pub(super) async fn keep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        for name in &shared.nodes {
            renew(&shared, name).await;
        }
    }
}

/// Where the API server isn't there the next time does it.
async fn renew(shared: &Shared, name: &str) {
    // With microseconds, as a Lease has them.
    let now = format!("{:.6}", Timestamp::now());
    let spec = json!({"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now});
    let patched = shared.api.patch(&format!("{LEASES}/{name}"), MERGE, &json!({"spec": spec})).await;
    if patched.is_err_and(|why| why.starts_with("404")) {
        let lease =
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec});
        let _ = shared.api.ask(Method::POST, LEASES, Some((JSON, lease.to_string()))).await;
    }
}

/// A time as most of Kubernetes has it.
pub(super) fn seconds(time: Timestamp) -> Value {
    format!("{time:.0}").into()
}
