//! A Pod's status, as its kubelet says it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::nodes::seconds;
use super::pod::{Container, End, State};
use crate::Place;

/// The status of a Pod with these containers; `ready` is whether it is and since when.
pub(super) fn of(
    containers: &[Container],
    place: &Place,
    host: &str,
    since: Timestamp,
    ready: (bool, Timestamp),
) -> Value {
    let condition = |kind: &str, well: bool, since: Timestamp| json!({"type": kind, "status": if well { "True" } else { "False" }, "lastTransitionTime": seconds(since)});
    json!({
        "phase": phase(containers),
        "podIP": place.address.to_string(),
        "podIPs": [{"ip": place.address.to_string()}],
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "startTime": seconds(since),
        "conditions": [
            condition("PodReadyToStartContainers", true, since),
            condition("Initialized", true, since),
            condition("ContainersReady", ready.0, ready.1),
            condition("Ready", ready.0, ready.1),
        ],
        "containerStatuses": containers.iter().map(container).collect::<Vec<_>>(),
    })
}

fn phase(containers: &[Container]) -> &'static str {
    let ends: Vec<i32> = containers
        .iter()
        .filter_map(|container| match &container.state {
            State::Terminated(end) => Some(end.code),
            _ => None,
        })
        .collect();
    let begun = |container: &Container| matches!(container.state, State::Running { .. }) || container.restarts > 0;
    if ends.len() == containers.len() {
        return if ends.iter().all(|&code| code == 0) { "Succeeded" } else { "Failed" };
    }
    if containers.iter().any(begun) { "Running" } else { "Pending" }
}

fn container(container: &Container) -> Value {
    let state = match &container.state {
        State::Waiting(reason) => json!({"waiting": {"reason": reason}}),
        State::Running { since } => json!({"running": {"startedAt": seconds(*since)}}),
        State::Terminated(end) => json!({"terminated": terminated(end)}),
    };
    // What is null in a patch is taken away, so that a state follows another and isn't added to it.
    let mut whole = json!({"waiting": null, "running": null, "terminated": null});
    for (name, value) in state.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    let last = container.last.as_ref().map_or(json!({}), |end| json!({"terminated": terminated(end)}));
    json!({
        "name": container.spec["name"],
        "image": container.spec["image"],
        "imageID": "bed",
        "ready": container.ready(),
        "started": container.has_started(),
        "restartCount": container.restarts,
        "state": whole,
        "lastState": last,
    })
}

fn terminated(end: &End) -> Value {
    let reason = match end.code {
        0 => "Completed",
        _ => "Error",
    };
    json!({"exitCode": end.code, "reason": reason, "startedAt": seconds(end.since), "finishedAt": seconds(end.until)})
}
