//! What `portcullis policies` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// List the policies that are loaded.
#[derive(Debug, Args)]
pub struct PoliciesArguments {
    /// Also list what each policy matches, reads, looks up and may write, its rules and settings
    #[arg(short, long)]
    pub wide: bool,

    /// How the list is written
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: PoliciesFormat,

    /// Which policies are loaded.
    #[command(flatten)]
    pub load: LoadArguments,
}

/// Which policies are loaded, and where what is compiled of them is kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Policies")]
pub struct LoadArguments {
    /// Policy documents, or a built-in set such as `builtin/strict`; may be repeated [default: the built-in policies]
    #[arg(long, value_name = "FILE|FOLDER|SET", env = "PORTCULLIS_POLICY", value_delimiter = ',')]
    pub policy: Vec<PathBuf>,

    /// Folder for compiled policies, private to this user [default: portcullis in the user's cache folder]
    #[arg(long, value_name = "FOLDER", env = "PORTCULLIS_CACHE", hide_env_values = true)]
    pub cache: Option<PathBuf>,
}

/// The formats of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PoliciesFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For programs, and to read.
    Yaml,
}
