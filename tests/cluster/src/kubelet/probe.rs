//! A container's probes: `httpGet`, as kubelet asks it.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::pod::Event;

/// Which of a container's probes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Startup,
    Readiness,
    Liveness,
}

/// All of them, with their fields' names.
pub(super) const KINDS: [(Kind, &str); 3] =
    [(Kind::Startup, "startupProbe"), (Kind::Readiness, "readinessProbe"), (Kind::Liveness, "livenessProbe")];

/// What the answers of one probe come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    /// Whether it counts as passed.
    pub(super) well: bool,
    streak: u64,
    last: bool,
    successes: u64,
    failures: u64,
}

impl Judged {
    /// Before the first answer.
    pub(super) fn of(probe: &Value, well: bool) -> Judged {
        let number = |name: &str, default: u64| probe[name].as_u64().unwrap_or(default);
        Judged {
            well,
            streak: 0,
            last: well,
            successes: number("successThreshold", 1),
            failures: number("failureThreshold", 3),
        }
    }

    /// One more answer; whether the threshold of failures has been reached by it.
    pub(super) fn count(&mut self, well: bool) -> bool {
        self.streak = if well == self.last { self.streak + 1 } else { 1 };
        self.last = well;
        let enough = if well { self.successes } else { self.failures };
        if self.streak >= enough {
            self.well = well;
        }
        !well && self.streak >= enough
    }
}

/// Starts the probes of a container; each answer is told.
pub(super) fn start(
    container: &Value,
    address: Ipv4Addr,
    told: &mpsc::UnboundedSender<Event>,
    index: usize,
    generation: u64,
) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    for (kind, name) in KINDS {
        let probe = &container[name];
        let Some(url) = url(container, &probe["httpGet"], address) else { continue };
        let seconds = |name: &str, default: u64| Duration::from_secs(probe[name].as_u64().unwrap_or(default));
        let (delay, period, timeout) = (
            seconds("initialDelaySeconds", 0),
            seconds("periodSeconds", 10).max(Duration::from_secs(1)),
            seconds("timeoutSeconds", 1),
        );
        let told = told.clone();
        tasks.push(tokio::spawn(async move {
            // A connection of its own each time, as kubelet makes it.
            let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).pool_max_idle_per_host(0);
            let Ok(client) = client.timeout(timeout).build() else { return };
            tokio::time::sleep(delay).await;
            loop {
                let answer = client.get(&url).header("User-Agent", "kube-probe/bed").send().await;
                let well = answer.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16()));
                if told.send(Event::Probed { index, generation, kind, well }).is_err() {
                    return;
                }
                // kubelet asks at once again where a start is waited for; here it is the period as well.
                tokio::time::sleep(period).await;
            }
        }));
    }
    tasks
}

fn url(container: &Value, get: &Value, address: Ipv4Addr) -> Option<String> {
    let port = &get["port"];
    let named = |name: &str| {
        let ports = container["ports"].as_array()?;
        ports.iter().find(|port| port["name"] == name)?["containerPort"].as_u64()
    };
    let port = port.as_u64().or_else(|| named(port.as_str()?))?;
    let scheme = get["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
    Some(format!("{scheme}://{address}:{port}{}", get["path"].as_str().unwrap_or("/")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Judged;

    #[test]
    fn thresholds_are_of_answers_in_a_row() {
        let mut judged = Judged::of(&json!({"failureThreshold": 2}), false);
        assert!(!judged.count(true) && judged.well);
        assert!(!judged.count(false) && judged.well);
        assert!(!judged.count(true) && judged.well);
        assert!(!judged.count(false) && judged.well);
        assert!(judged.count(false) && !judged.well);
    }
}
