//! Prometheus metrics. [`METRICS`] is their documentation; a test holds it to
//! what is exposed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis_core::admit::Admitted;
use portcullis_kube::cache::KindStats;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Every metric as Prometheus names it, and what it counts.
pub const METRICS: [(&str, &str); 19] = [
    ("portcullis_build_info", "Which version runs."),
    ("portcullis_requests_total", "Answers by path, phase and result (allowed, denied, failed, refused)."),
    ("portcullis_request_duration_seconds", "Time from a request's headers to its answer, by phase."),
    ("portcullis_request_body_bytes", "Sizes of bodies."),
    ("portcullis_requests_in_flight", "Requests that are being answered."),
    ("portcullis_decisions_total", "What each policy said, by verdict."),
    ("portcullis_policy_run_seconds", "Time that each policy itself ran."),
    ("portcullis_policies", "Policies by state (loaded, broken)."),
    ("portcullis_snapshot_generation", "How often the policies in use were swapped."),
    ("portcullis_reloads_total", "Reloads of policies and certificate, by result (applied, refused)."),
    ("portcullis_certificate_expiry_timestamp_seconds", "When the certificate in use ends."),
    ("portcullis_connections", "Open connections."),
    ("portcullis_handshakes_total", "TLS handshakes by result (served, failed)."),
    ("portcullis_watch_objects", "Objects that are known of each kind that policies look up."),
    ("portcullis_watch_bytes", "Memory that they take, by kind."),
    ("portcullis_watch_synced", "1 once all objects of the kind have been read."),
    (
        "portcullis_watch_staleness_seconds",
        "Age of what is known of the kind, since the last sign of life of its watch.",
    ),
    ("portcullis_confirmations_total", "Absences asked for at the API server, by result (absent, found, failed)."),
    ("portcullis_ready", "1 once all documents given at start have loaded or been set aside, until the drain."),
];

/// What a reload came to.
const APPLIED: &str = "applied";
const REFUSED: &str = "refused";
/// From 100 µs, an answer without a policy, to the API server's 30 s.
const DURATIONS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0, 30.0];
/// From 10 µs, an empty review, to a policy's longest timeout.
const RUNS: [f64; 12] = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 1.0, 30.0];
/// From a small object to the largest review.
const SIZES: [f64; 9] =
    [1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 33_554_432.0];

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<PhaseLabels, Histogram, Seconds>,
    body_bytes: Histogram,
    in_flight: Gauge,
    decisions: Family<DecisionLabels, Counter>,
    runs: Family<PolicyLabels, Histogram, Runs>,
    policies: Family<StateLabels, Gauge>,
    generation: Gauge,
    reloads: Family<ReloadLabels, Counter>,
    certificate_expiry: Gauge,
    connections: Gauge,
    connection_results: Family<ConnectionLabels, Counter>,
    watch_objects: Family<WatchLabels, Gauge>,
    watch_bytes: Family<WatchLabels, Gauge>,
    watch_synced: Family<WatchLabels, Gauge>,
    watch_staleness: Family<WatchLabels, Gauge>,
    confirmations: Family<ResultLabels, Counter>,
    ready: Gauge,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestResult {
    /// In-band, allowed.
    Allowed,
    /// In-band, denied.
    Denied,
    /// In-band, by the failure policy: no policy was asked.
    Failed,
    /// Out of band: no uid could be read, or no such path or method.
    Refused,
}

/// What was reloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reload {
    /// Policy documents.
    Policies,
    /// The certificate.
    Certificate,
}

/// How a connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionResult {
    /// With a handshake.
    Served,
    /// Without: not TLS, no common version, too slow, no client certificate.
    HandshakeFailed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    path: &'static str,
    phase: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    policy: String,
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    policy: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    what: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    api_version: String,
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Debug, Clone)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(DURATIONS)
    }
}

#[derive(Debug, Clone)]
struct Runs;

impl MetricConstructor<Histogram> for Runs {
    fn new_metric(&self) -> Histogram {
        Histogram::new(RUNS)
    }
}

/// Counts a request as in flight until it is dropped.
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl RequestResult {
    fn word(self) -> &'static str {
        match self {
            RequestResult::Allowed => "allowed",
            RequestResult::Denied => "denied",
            RequestResult::Failed => "failed",
            RequestResult::Refused => "refused",
        }
    }
}

impl Reload {
    fn word(self) -> &'static str {
        match self {
            Reload::Policies => "policies",
            Reload::Certificate => "certificate",
        }
    }
}

impl ConnectionResult {
    fn word(self) -> &'static str {
        match self {
            ConnectionResult::Served => "served",
            ConnectionResult::HandshakeFailed => "failed",
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("portcullis"),
            requests: Family::default(),
            durations: Family::new_with_constructor(Seconds),
            body_bytes: Histogram::new(SIZES),
            in_flight: Gauge::default(),
            decisions: Family::default(),
            runs: Family::new_with_constructor(Runs),
            policies: Family::default(),
            generation: Gauge::default(),
            reloads: Family::default(),
            certificate_expiry: Gauge::default(),
            connections: Gauge::default(),
            connection_results: Family::default(),
            watch_objects: Family::default(),
            watch_bytes: Family::default(),
            watch_synced: Family::default(),
            watch_staleness: Family::default(),
            confirmations: Family::default(),
            ready: Gauge::default(),
        };
        metrics.register();
        // An increase is seen only of what was there before.
        for what in [Reload::Policies, Reload::Certificate] {
            for result in [APPLIED, REFUSED] {
                drop(metrics.reloads.get_or_create(&ReloadLabels { what: what.word(), result }));
            }
        }
        metrics
    }

    /// The text that Prometheus scrapes.
    pub fn exposition(&self) -> String {
        let mut output = String::new();
        // Writing to a String can't fail.
        let _ = text::encode(&mut output, &self.registry);
        output
    }

    /// One more request in flight.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A request ended.
    pub fn answered(&self, path: &'static str, phase: &'static str, result: RequestResult, took: Duration) {
        self.requests.get_or_create(&RequestLabels { path, phase, result: result.word() }).inc();
        self.durations.get_or_create(&PhaseLabels { phase }).observe(took.as_secs_f64());
    }

    /// A body was read.
    #[allow(clippy::cast_precision_loss, reason = "a body is far below 2^52 bytes")]
    pub fn body(&self, bytes: usize) {
        self.body_bytes.observe(bytes as f64);
    }

    /// What the policies said of a request.
    pub fn decided(&self, admitted: &Admitted) {
        for report in &admitted.policies {
            let verdict = super::decision::verdict(report.verdict);
            self.decisions.get_or_create(&DecisionLabels { policy: report.policy.clone(), verdict }).inc();
            let ran = Duration::from_micros(report.duration_micros);
            self.runs.get_or_create(&PolicyLabels { policy: report.policy.clone() }).observe(ran.as_secs_f64());
        }
    }

    /// A new snapshot is in use.
    pub fn snapshot(&self, generation: u64, loaded: usize, broken: usize) {
        self.generation.set(generation.cast_signed());
        for (state, number) in [("loaded", loaded), ("broken", broken)] {
            self.policies.get_or_create(&StateLabels { state }).set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    /// A reload was applied or refused.
    pub fn reloaded(&self, what: Reload, applied: bool) {
        let result = if applied { APPLIED } else { REFUSED };
        self.reloads.get_or_create(&ReloadLabels { what: what.word(), result }).inc();
    }

    /// When the certificate in use ends, in seconds since the epoch.
    pub fn certificate_expires(&self, seconds: i64) {
        self.certificate_expiry.set(seconds);
    }

    /// A connection was accepted.
    pub fn connected(&self) -> InFlight {
        self.connections.inc();
        InFlight(self.connections.clone())
    }

    /// How a connection began.
    pub fn connection(&self, result: ConnectionResult) {
        self.connection_results.get_or_create(&ConnectionLabels { result: result.word() }).inc();
    }

    /// What the watch cache holds, and how absences were confirmed.
    pub fn watched(&self, kinds: &[KindStats], confirmations: (u64, u64, u64)) {
        for stats in kinds {
            let of = WatchLabels { api_version: stats.api_version.clone(), kind: stats.kind.clone() };
            let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
            self.watch_objects.get_or_create(&of).set(number(stats.objects));
            self.watch_bytes.get_or_create(&of).set(number(stats.bytes));
            self.watch_synced.get_or_create(&of).set(i64::from(stats.synced));
            // One that was never in touch is not synced, which says it.
            let age = stats.staleness.unwrap_or_default().as_secs();
            self.watch_staleness.get_or_create(&of).set(i64::try_from(age).unwrap_or(i64::MAX));
        }
        let (absent, found, failed) = confirmations;
        for (result, number) in [("absent", absent), ("found", found), ("failed", failed)] {
            let counter = self.confirmations.get_or_create(&ResultLabels { result });
            counter.inner().store(number, Ordering::Relaxed);
        }
    }

    /// What `/readyz` says.
    pub fn ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    fn register(&mut self) {
        let info = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        self.registry.register("build", help("build_info"), info);
        self.registry.register("requests", help("requests_total"), self.requests.clone());
        self.registry.register_with_unit(
            "request_duration",
            help("request_duration_seconds"),
            Unit::Seconds,
            self.durations.clone(),
        );
        self.registry.register_with_unit(
            "request_body",
            help("request_body_bytes"),
            Unit::Bytes,
            self.body_bytes.clone(),
        );
        self.registry.register("requests_in_flight", help("requests_in_flight"), self.in_flight.clone());
        self.registry.register("decisions", help("decisions_total"), self.decisions.clone());
        self.registry.register_with_unit("policy_run", help("policy_run_seconds"), Unit::Seconds, self.runs.clone());
        self.registry.register("policies", help("policies"), self.policies.clone());
        self.registry.register("snapshot_generation", help("snapshot_generation"), self.generation.clone());
        self.registry.register("reloads", help("reloads_total"), self.reloads.clone());
        let expiry = "certificate_expiry_timestamp";
        self.registry.register_with_unit(
            expiry,
            help("certificate_expiry_timestamp_seconds"),
            Unit::Seconds,
            self.certificate_expiry.clone(),
        );
        self.registry.register("connections", help("connections"), self.connections.clone());
        self.registry.register("handshakes", help("handshakes_total"), self.connection_results.clone());
        self.registry.register("watch_objects", help("watch_objects"), self.watch_objects.clone());
        self.registry.register_with_unit("watch", help("watch_bytes"), Unit::Bytes, self.watch_bytes.clone());
        self.registry.register("watch_synced", help("watch_synced"), self.watch_synced.clone());
        self.registry.register_with_unit(
            "watch_staleness",
            help("watch_staleness_seconds"),
            Unit::Seconds,
            self.watch_staleness.clone(),
        );
        self.registry.register("confirmations", help("confirmations_total"), self.confirmations.clone());
        self.registry.register("ready", help("ready"), self.ready.clone());
    }
}

/// The text of [`METRICS`], without the full stop that the encoder adds.
fn help(name: &str) -> &'static str {
    let known = METRICS.iter().find(|(known, _)| known.strip_prefix("portcullis_") == Some(name));
    known.map_or("", |(_, help)| help.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_metric_is_exposed_and_every_exposed_one_documented() {
        let metrics = Metrics::new();
        metrics.answered("/validate/fail", "validate", RequestResult::Allowed, Duration::from_millis(1));
        metrics.body(4096);
        metrics.snapshot(1, 2, 0);
        metrics.connection(ConnectionResult::Served);
        metrics.decided(&admitted());
        let kind = KindStats {
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
            objects: 1,
            bytes: 2,
            synced: true,
            staleness: Some(Duration::from_secs(3)),
        };
        metrics.watched(&[kind], (1, 2, 3));
        let exposition = metrics.exposition();
        assert!(exposition.contains(r#"portcullis_reloads_total{what="certificate",result="refused"} 0"#));
        for (name, help) in METRICS {
            let sample = exposition.lines().any(|line| {
                let rest = line.strip_prefix(name).unwrap_or_default();
                rest.starts_with(['{', ' ']) || rest.starts_with("_bucket{")
            });
            assert!(sample, "{name} has no sample in\n{exposition}");
            assert!(exposition.contains(help), "{name} lacks its help in\n{exposition}");
        }
        for line in exposition.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let name = line.split(' ').next().unwrap_or_default();
            let known = METRICS.iter().any(|(known, _)| {
                *known == name
                    || known.strip_suffix("_total") == Some(name)
                    || known.strip_suffix("_info") == Some(name)
            });
            assert!(known, "{name} is exposed but not documented");
        }
    }

    fn admitted() -> Admitted {
        use portcullis_core::report::{ObjectIdentity, PolicyReport, Verdict};
        let report = PolicyReport {
            policy: "p".to_owned(),
            phase: "validate".to_owned(),
            verdict: Verdict::Deny,
            enforced: true,
            duration_micros: 41,
            findings: Vec::new(),
            needs: Vec::new(),
            patch: Vec::new(),
            audit_annotations: std::collections::BTreeMap::new(),
            error: None,
        };
        Admitted {
            body: String::new(),
            allowed: false,
            message: String::new(),
            warnings: Vec::new(),
            patch: Vec::new(),
            object: ObjectIdentity::default(),
            uid: String::new(),
            operation: String::new(),
            subresource: None,
            user: String::new(),
            dry_run: false,
            policies: vec![report],
        }
    }
}
