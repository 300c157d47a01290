//! The binary: reads the command line and hands over to one subcommand.

use std::process::ExitCode;

use clap::Parser;
use portcullis::args::{Arguments, Command};
use portcullis::cmd;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Command::Serve(serve) => cmd::serve::run(serve),
        Command::Check(check) => cmd::check::run(check),
        Command::Policies(policies) => cmd::policies::run(policies),
    };
    outcome.unwrap_or_else(|error| cmd::refuse(&error))
}
