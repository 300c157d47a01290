//! Prometheus metrics of the controller, read from its report when they are
//! scraped. [`CONTROLLER_METRICS`] is their documentation; a test holds it to what
//! is exposed.

use portcullis_kube::ControllerReport;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Every metric of the controller as Prometheus names it, and what it says.
pub const CONTROLLER_METRICS: [(&str, &str); 11] = [
    ("portcullis_build_info", "Which version runs."),
    ("portcullis_controller_leader", "1 while this process is the one that registers."),
    ("portcullis_break_glass", "1 while a webhook configuration is gone by somebody's wish."),
    ("portcullis_break_glass_until_timestamp_seconds", "When that ends by itself; 0 while it isn't so."),
    ("portcullis_lockout_risks", "Set-ups that could lock the cluster out, by the rule of portcullis lint."),
    ("portcullis_policy_objects", "Policy objects by state (ready, waiting, degraded)."),
    ("portcullis_replicas", "Replicas that are alive and ready."),
    (
        "portcullis_certificate_expiry_timestamp_seconds",
        "When the serving certificate ends; absent where the controller doesn't make it.",
    ),
    (
        "portcullis_ca_expiry_timestamp_seconds",
        "When the CA ends that signs it; absent where the controller doesn't make it.",
    ),
    ("portcullis_certificate_rotations_total", "Rotations of the CA by result (completed, failed)."),
    ("portcullis_registrations_total", "Writes of webhook configurations by result (written, deleted, failed)."),
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rule {
    rule: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

/// The text that Prometheus scrapes.
#[must_use]
pub fn exposition(report: &ControllerReport) -> String {
    let mut registry = Registry::with_prefix("portcullis");
    let info = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", help("build_info"), info);
    let mut gauge = |name: &'static str, value: i64| registry.register(name, help(name), ConstGauge::new(value));
    gauge("controller_leader", i64::from(report.leader));
    gauge("break_glass", i64::from(report.break_glass.is_some()));
    gauge("replicas", number(report.replicas));
    let until = report.break_glass.as_ref().map_or(0, |open| open.until);
    let mut timestamp = |name: &'static str, help: &'static str, value: i64| {
        registry.register_with_unit(name, help, Unit::Seconds, ConstGauge::new(value));
    };
    timestamp("break_glass_until_timestamp", help("break_glass_until_timestamp_seconds"), until);
    for (name, help, value) in [
        ("certificate_expiry_timestamp", help("certificate_expiry_timestamp_seconds"), report.certificate_not_after),
        ("ca_expiry_timestamp", help("ca_expiry_timestamp_seconds"), report.ca_not_after),
    ] {
        value.into_iter().for_each(|value| timestamp(name, help, value));
    }
    let risks = Family::<Rule, Gauge>::default();
    for (rule, count) in &report.lockout_risks {
        risks.get_or_create(&Rule { rule }).set(number(*count));
    }
    registry.register("lockout_risks", help("lockout_risks"), risks);
    let objects = Family::<State, Gauge>::default();
    for (state, count) in &report.policy_objects {
        objects.get_or_create(&State { state }).set(number(*count));
    }
    registry.register("policy_objects", help("policy_objects"), objects);
    for (name, help, results) in [
        (
            "certificate_rotations",
            help("certificate_rotations_total"),
            vec![("completed", report.rotations_completed), ("failed", report.rotations_failed)],
        ),
        (
            "registrations",
            help("registrations_total"),
            vec![
                ("written", report.registrations_written),
                ("deleted", report.registrations_deleted),
                ("failed", report.registrations_failed),
            ],
        ),
    ] {
        let counts = Family::<Outcome, Counter>::default();
        for (result, count) in results {
            counts.get_or_create(&Outcome { result }).inc_by(count);
        }
        registry.register(name, help, counts);
    }
    let mut output = String::new();
    // Writing to a String can't fail.
    let _ = text::encode(&mut output, &registry);
    output
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The text of [`CONTROLLER_METRICS`], without the full stop that the encoder adds.
fn help(name: &str) -> &'static str {
    let known = CONTROLLER_METRICS.iter().find(|(known, _)| known.strip_prefix("portcullis_") == Some(name));
    known.map_or("", |(_, help)| help.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use portcullis_kube::BreakGlassState;

    use super::*;

    #[test]
    fn every_documented_metric_is_exposed_and_every_exposed_one_documented() {
        let report = ControllerReport {
            leader: true,
            ca_not_after: Some(2),
            certificate_not_after: Some(1),
            rotations_completed: 3,
            break_glass: Some(BreakGlassState { until: 5, ..BreakGlassState::default() }),
            lockout_risks: BTreeMap::from([("one-replica", 1)]),
            policy_objects: BTreeMap::from([("ready", 6)]),
            ..ControllerReport::default()
        };
        let exposition = exposition(&report);
        let samples: BTreeSet<&str> = exposition
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split(['{', ' ']).next().unwrap_or_default())
            .collect();
        let documented: BTreeSet<&str> = CONTROLLER_METRICS.iter().map(|(name, _)| *name).collect();
        assert_eq!(samples, documented, "{exposition}");
        for (_, help) in CONTROLLER_METRICS {
            assert!(exposition.contains(help), "{help} in\n{exposition}");
        }
        for sample in [
            "portcullis_certificate_rotations_total{result=\"completed\"} 3",
            "portcullis_break_glass_until_timestamp_seconds 5",
            "portcullis_policy_objects{state=\"ready\"} 6",
        ] {
            assert!(exposition.contains(sample), "{sample} in\n{exposition}");
        }
    }
}
