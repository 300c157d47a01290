//! The run: every scenario against both servers in turns.
//!
//! ```text
//! wrk (core 1) ──TLS──▶ echo | portcullis (core 0, their own processes)
//!                        └ /proc/PID/stat before and after ÷ requests = CPU µs a request
//! ```
//! Servers are measured in turns, round by round, so that what the machine does
//! besides hits all alike; the ratio of a scenario is the median over rounds of
//! (portcullis ÷ echo) within one round.

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{measure, reviews};

/// The load run.
#[derive(Parser)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Be the echo (started by the run itself)
    Echo { port: u16, certificate: std::path::PathBuf, key: std::path::PathBuf },
}

/// How long and how often.
#[derive(Parser)]
pub(crate) struct Run {
    /// Seconds a measurement
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Measurements of each server
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Connections that wrk keeps busy
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// The server that is measured [default: portcullis beside this tool]
    #[arg(long, value_name = "FILE")]
    server: Option<std::path::PathBuf>,
    /// Only scenarios whose name holds this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

/// Measures and prints one line a scenario.
pub(crate) fn run(run: &Run) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let servers = measure::Servers::start(folder.path(), run.server.as_deref())?;
    println!(
        "{:<34} {:>7} {:>9} {:>9} {:>7} {:>11} {:>11}",
        "scenario", "bytes", "echo µs", "server µs", "ratio", "echo req/s", "server req/s"
    );
    for scenario in reviews::scenarios().into_iter().filter(|scenario| scenario.name.contains(&run.only)) {
        let mut rounds = Vec::new();
        for _ in 0..run.rounds {
            let echo = servers.echo.measure(&scenario, run.seconds, run.connections, folder.path())?;
            let server = servers.portcullis.measure(&scenario, run.seconds, run.connections, folder.path())?;
            rounds.push((echo, server));
        }
        let median = |of: &dyn Fn(&(measure::Cost, measure::Cost)) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "{:<34} {:>7} {:>9.1} {:>9.1} {:>7.2} {:>11.0} {:>11.0}",
            scenario.name,
            scenario.body.len(),
            median(&|(echo, _)| echo.cpu_micros),
            median(&|(_, server)| server.cpu_micros),
            median(&|(echo, server)| server.cpu_micros / echo.cpu_micros),
            median(&|(echo, _)| echo.per_second),
            median(&|(_, server)| server.per_second),
        );
    }
    Ok(())
}
