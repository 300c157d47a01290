//! Half an hour of what is ordinary: mixed writes, policies that change, new
//! certificates. Nothing fails, and no replica grows.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use portcullis_cluster::{Installed, Load, Options, Pace, Running, resident};

/// The part of the time that is warm-up: pools of instances and connections fill.
const WARM_UP: f64 = 0.2;
/// What the memory after the warm-up may be above that at its end, in hundredths.
const GROWTH: f64 = 2.0;
/// Samples whose median is compared, at either end.
const WINDOW: usize = 12;
/// A policy changes and the certificate is swapped so often, or when all run the last change.
const CHANGES: Duration = Duration::from_secs(30);
/// From then on what compiling took is given back, and the memory is looked at.
const GIVEN_BACK: Duration = Duration::from_secs(2);

/// Runs it; the exit code says whether it was flawless.
pub(crate) fn run(minutes: u64) -> ExitCode {
    let installed = match Installed::start(Options::quick_to_drain()) {
        Ok(installed) => installed,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::SUCCESS;
        }
    };
    let replicas = installed.replicas();
    let load = Load::begin(&installed.cluster, Pace::default());
    let begun = Instant::now();
    let length = Duration::from_secs(60 * minutes);
    let mut samples: Vec<Vec<u64>> = vec![Vec::new(); replicas.len()];
    let mut changes = 0_usize;
    while begun.elapsed() < length {
        changes += 1;
        change(&installed, changes);
        std::thread::sleep(CHANGES);
        installed.settle();
        std::thread::sleep(GIVEN_BACK);
        for (replica, samples) in replicas.iter().zip(&mut samples) {
            samples.push(resident(replica.pid));
        }
        println!("{:>5} s  {}  {}", begun.elapsed().as_secs(), memory(&samples), load.so_far());
    }
    let counts = load.end();
    println!("{minutes} min, {changes} policy changes and certificates: {counts}\n{}", counts.texts());
    let mut well = flawless(&counts) && same(&replicas, &installed.replicas());
    for (replica, samples) in replicas.iter().zip(&samples) {
        well &= steady(&replica.pod, samples);
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn change(installed: &Installed, number: usize) {
    let policy = format!(
        "{{apiVersion: portcullis.dev/v1alpha1, kind: ClusterPolicy, metadata: {{name: changing}}, spec: {{module: builtin/storage, \
         policy: database-remote-storage, validationActions: [Warn], settings: {{suggestedClass: class-{number}}}}}}}"
    );
    installed.cluster.kubectl(&["apply", "-f", "-"], &policy);
    installed.swap_certificate();
}

fn memory(samples: &[Vec<u64>]) -> String {
    let last = |samples: &Vec<u64>| format!("{:>4} MiB", samples.last().copied().unwrap_or(0) >> 20);
    samples.iter().map(last).collect::<Vec<_>>().join(" ")
}

fn flawless(counts: &portcullis_cluster::Counts) -> bool {
    [&counts.passed, &counts.refused, &counts.failed, &counts.unserved].iter().all(|tally| tally.count == 0)
}

fn same(before: &[Running], after: &[Running]) -> bool {
    let same = before.iter().all(|old| after.iter().any(|now| now.pid == old.pid));
    if !same {
        println!("a replica was started anew");
    }
    same
}

/// Whether the memory after the warm-up stayed within the bound, by medians at either end.
fn steady(pod: &str, samples: &[u64]) -> bool {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a few hundred samples"
    )]
    let warm = (samples.len() as f64 * WARM_UP) as usize;
    let samples = &samples[warm..];
    let window = WINDOW.min(samples.len() / 2).max(1);
    let (first, last) = (median(&samples[..window]), median(&samples[samples.len() - window..]));
    let growth = (last / first - 1.0) * 100.0;
    let well = growth <= GROWTH;
    println!(
        "{pod}: {:.1} MiB after the warm-up, {:.1} MiB at the end: {growth:+.1} % {}",
        first / 1048576.0,
        last / 1048576.0,
        if well { "ok" } else { "WRONG" }
    );
    well
}

fn median(samples: &[u64]) -> f64 {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    #[allow(clippy::cast_precision_loss, reason = "bytes of memory")]
    let middle = samples.get(samples.len() / 2).copied().unwrap_or(0) as f64;
    middle
}
