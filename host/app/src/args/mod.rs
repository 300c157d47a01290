//! The command line as it is typed. Nothing here is believed yet: `config`
//! resolves what `serve` gets, each other subcommand its own part.

mod check;
mod policies;
mod serve;

pub use check::{CheckArguments, FailOn, WriteOperation};
pub use policies::PoliciesArguments;
pub use serve::{LogFormat, ServeArguments, ServeSettings};

use clap::{Parser, Subcommand, ValueEnum};

/// Admission control for Kubernetes with sandboxed WebAssembly policies.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    arg_required_else_help = true,
    after_help = "Try it: `portcullis serve` starts the webhook with the built-in policies, \
                  `portcullis check FOLDER` judges the manifests of a folder by the same ones."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer admission reviews over HTTPS
    Serve(Box<ServeArguments>),
    /// Judge manifests, as the server would
    Check(CheckArguments),
    /// List what is loaded: what each policy matches, reads and may write
    Policies(PoliciesArguments),
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}
