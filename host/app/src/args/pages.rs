//! What `portcullis completions` and `portcullis man` take.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Print a shell's completions.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Print the manual page, or write all of them into a folder.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Where the pages are written: portcullis.1, portcullis-check.1, …
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}
