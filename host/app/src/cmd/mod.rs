//! One file a subcommand. Each returns its exit code; an error is bad usage or
//! input that can't be read, and ends with [`BAD_USAGE`] and one clear message.

pub mod break_glass;
pub mod check;
pub mod controller;
pub mod explain;
mod installation;
pub mod lint;
pub mod manifests;
pub mod output;
pub mod pages;
pub mod policies;
pub mod precompile;
pub mod serve;

use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code for bad usage, or input that can't be read.
pub const BAD_USAGE: u8 = 2;

/// SIGTERM from Kubernetes, SIGINT from a terminal.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Signals> {
        let listen = |kind| signal(kind).context("can't listen for signals");
        Ok(Signals { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Says on standard error why nothing was done.
pub fn refuse(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(BAD_USAGE)
}
