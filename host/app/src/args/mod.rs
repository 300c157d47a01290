//! The command line as it is typed. Nothing here is believed yet: `config`
//! resolves what `serve` gets, each other subcommand its own part.

mod break_glass;
mod check;
mod cluster;
mod controller;
mod explain;
mod lint;
mod manifests;
mod output;
mod pages;
mod policies;
mod precompile;
mod serve;

pub use break_glass::BreakGlassArguments;
pub use check::{CheckArguments, WriteOperation};
pub use cluster::ClusterSettings;
pub use controller::ControllerArguments;
pub use explain::{ExplainArguments, ExplainFormat};
pub use lint::{LintArguments, LintFormat, LintLevel};
pub use manifests::{Manifests, ManifestsArguments};
pub use output::{CheckFormat, FailOn, OutputArguments};
pub use pages::{CompletionsArguments, ManArguments};
pub use policies::{LoadArguments, PoliciesArguments, PoliciesFormat};
pub use precompile::PrecompileArguments;
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
    /// When output has colours; NO_COLOR, CLICOLOR and CLICOLOR_FORCE are heeded
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", global = true)]
    pub color: ColorChoice,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer admission reviews over HTTPS
    Serve(Box<ServeArguments>),
    /// Register webhooks for the policies of a cluster, and write their status
    Controller(Box<ControllerArguments>),
    /// Judge manifests, as the server would
    Check(Box<CheckArguments>),
    /// List the policies that are loaded
    Policies(PoliciesArguments),
    /// Say why a policy or a rule exists, what breaks it and how to satisfy it
    Explain(ExplainArguments),
    /// Find set-ups that could lock a cluster out
    Lint(Box<LintArguments>),
    /// Open a cluster that its policies have locked, and close it again
    BreakGlass(BreakGlassArguments),
    /// Print what has to be in a cluster: custom resources, roles, webhooks
    Manifests(ManifestsArguments),
    /// Compile policies beforehand, for an image to bring along
    Precompile(PrecompileArguments),
    /// Print a shell's completions
    Completions(CompletionsArguments),
    /// Print the manual page, or write all of them into a folder
    Man(ManArguments),
}

/// When output has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ColorChoice {
    /// Where a person looks.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
