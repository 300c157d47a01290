//! The binary: reads the command line and hands over to one subcommand.

use std::process::ExitCode;

use clap::Parser;
use portcullis::args::{Arguments, Command};
use portcullis::cmd;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let color = arguments.color;
    let outcome = match &arguments.command {
        Command::Serve(serve) => cmd::serve::run(serve),
        Command::Controller(controller) => cmd::controller::run(controller),
        Command::Check(check) => cmd::check::run(check, color),
        Command::Policies(policies) => cmd::policies::run(policies, color),
        Command::Explain(explain) => cmd::explain::run(explain, color),
        Command::Lint(lint) => cmd::lint::run(lint),
        Command::BreakGlass(break_glass) => cmd::break_glass::run(break_glass),
        Command::Manifests(manifests) => cmd::manifests::run(manifests),
        Command::Precompile(precompile) => cmd::precompile::run(precompile),
        Command::Completions(completions) => cmd::pages::completions(completions),
        Command::Man(man) => cmd::pages::man(man),
    };
    outcome.unwrap_or_else(|error| cmd::refuse(&error))
}
