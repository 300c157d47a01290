//! What `portcullis precompile` takes.

use std::path::PathBuf;

use clap::Args;

/// Compile policies beforehand, for an image to bring along.
#[derive(Debug, Args)]
pub struct PrecompileArguments {
    /// Folder for what is compiled, which `serve --precompiled` names; it is made anew
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,

    /// Policy documents, or a built-in set such as builtin/strict; each is compiled for itself, may be repeated [default: every built-in set]
    #[arg(long, value_name = "FILE|FOLDER|SET", value_delimiter = ',')]
    pub policy: Vec<PathBuf>,
}
