//! What `portcullis policies` takes.

use std::path::PathBuf;

use clap::Args;

use super::OutputFormat;

/// List what is loaded: what each policy matches, reads and may write.
#[derive(Debug, Args)]
pub struct PoliciesArguments {
    /// Policy documents; may be repeated [default: the built-in policies]
    #[arg(long, value_name = "FILE|FOLDER", env = "PORTCULLIS_POLICY", value_delimiter = ',')]
    pub policy: Vec<PathBuf>,

    /// Folder for compiled policies, private to this user [default: portcullis in the user's cache folder]
    #[arg(long, value_name = "FOLDER", env = "PORTCULLIS_CACHE")]
    pub cache: Option<PathBuf>,

    /// How the list is written
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: OutputFormat,
}
