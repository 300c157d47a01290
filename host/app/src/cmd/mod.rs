//! One file a subcommand. Each returns its exit code; an error is bad usage or
//! input that can't be read, and ends with [`BAD_USAGE`] and one clear message.

pub mod check;
pub mod explain;
pub mod output;
pub mod pages;
pub mod policies;
pub mod serve;

use std::process::ExitCode;

/// Exit code for bad usage, or input that can't be read.
pub const BAD_USAGE: u8 = 2;

/// Says on standard error why nothing was done.
pub fn refuse(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(BAD_USAGE)
}
