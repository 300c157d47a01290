//! What a user pays: creating a StatefulSet (a dry run, four clients at a time)
//! with no webhook, with Portcullis, and with what else there is, all against the
//! same API server, in turn, so that what the machine does beside it falls on all.
//!
//! ```text
//! mode                        p50      p99   API server CPU   Portcullis CPU
//! none                    1.00 (4.1ms)  …
//! portcullis-20           …
//! ```
//!
//! Ratios are of each round to the round's own `none`; the median of the rounds is
//! shown. The CPU of Portcullis is shown as a part of what the API server spends on
//! a request without a webhook. `tests/cluster/cost.sh` builds what it needs.

#![allow(clippy::expect_used, reason = "a measurement that can't be set up has failed")]

mod load;
mod modes;

use std::time::Duration;

use portcullis_cluster::{Cluster, cpu_time};

use load::Load;
use modes::{Mode, Modes};

/// Rounds, in each of which every mode has its turn.
const ROUNDS: usize = 5;
/// Requests of a turn, and those before it that aren't counted.
const REQUESTS: usize = 400;
const WARM_UP: usize = 60;

/// What one turn of a mode took.
#[derive(Clone, Copy, Debug)]
struct Turn {
    p50: Duration,
    p99: Duration,
    /// A request.
    api_server: Duration,
    portcullis: Duration,
}

fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let cluster = Cluster::start();
    let modes = Modes::start(&cluster);
    let chosen: Vec<&Mode> = modes.all().iter().filter(|mode| is_chosen(mode, &only)).collect();
    let load = Load::new(&cluster);
    let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); chosen.len()];
    for round in 0..ROUNDS {
        for (mode, turns) in chosen.iter().zip(&mut turns) {
            mode.begin(&cluster);
            turns.push(turn(&cluster, mode, &load));
            mode.end(&cluster);
        }
        eprintln!("round {} of {ROUNDS}", round + 1);
    }
    print(&chosen, &turns);
}

/// `none` is always there: the others are measured against it.
fn is_chosen(mode: &Mode, only: &[String]) -> bool {
    only.is_empty() || mode.name == modes::NONE || only.iter().any(|part| mode.name.contains(part.as_str()))
}

fn turn(cluster: &Cluster, mode: &Mode, load: &Load) -> Turn {
    load.create(WARM_UP);
    let used = || (cpu_time(cluster.apiserver_pid()), mode.pid().map_or(Duration::ZERO, cpu_time));
    let before = used();
    let mut latencies = load.create(REQUESTS);
    let after = used();
    latencies.sort();
    let at = |part: usize| latencies[(latencies.len() - 1) * part / 100];
    let each = |after: Duration, before: Duration| (after - before) / u32::try_from(REQUESTS).expect("few");
    Turn { p50: at(50), p99: at(99), api_server: each(after.0, before.0), portcullis: each(after.1, before.1) }
}

fn print(modes: &[&Mode], turns: &[Vec<Turn>]) {
    println!("{:<24}{:>18}{:>18}{:>18}{:>18}", "mode", "p50", "p99", "API server CPU", "Portcullis CPU");
    let none = &turns[0];
    for (mode, turns) in modes.iter().zip(turns) {
        let column = |value: fn(&Turn) -> Duration, base: fn(&Turn) -> Duration| {
            let mut ratios: Vec<f64> = turns
                .iter()
                .zip(none)
                .map(|(turn, none)| value(turn).as_secs_f64() / base(none).as_secs_f64())
                .collect();
            let mut values: Vec<Duration> = turns.iter().map(value).collect();
            ratios.sort_by(f64::total_cmp);
            values.sort();
            let middle = ratios.len() / 2;
            format!("{:.2} ({:.2} ms)", ratios[middle], values[middle].as_secs_f64() * 1e3)
        };
        println!(
            "{:<24}{:>18}{:>18}{:>18}{:>18}",
            mode.name,
            column(|turn| turn.p50, |none| none.p50),
            column(|turn| turn.p99, |none| none.p99),
            column(|turn| turn.api_server, |none| none.api_server),
            column(|turn| turn.portcullis, |none| none.api_server),
        );
    }
}
