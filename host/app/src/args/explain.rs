//! What `portcullis explain` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::LoadArguments;

/// Say why a policy or a rule exists, what breaks it and how to satisfy it.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// Which policy, or which rule of it
    #[arg(value_name = "POLICY[/RULE]", required_unless_present = "all")]
    pub subject: Option<String>,

    /// Explain every policy that is loaded
    #[arg(long, conflicts_with = "subject")]
    pub all: bool,

    /// Write one Markdown page a policy and an index into this folder
    #[arg(long, value_name = "FOLDER", requires = "all")]
    pub folder: Option<PathBuf>,

    /// How it is written
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: ExplainFormat,

    /// Which policies are loaded.
    #[command(flatten)]
    pub load: LoadArguments,
}

/// The formats of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ExplainFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For documentation.
    Markdown,
}
