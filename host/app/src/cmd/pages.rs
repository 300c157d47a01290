//! `portcullis completions` and `portcullis man`: what the command line says of
//! itself, for shells and for `man`.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::args::{Arguments, CompletionsArguments, ManArguments};
use crate::report;

/// Prints a shell's completions.
///
/// # Errors
/// Of standard output.
pub fn completions(arguments: &CompletionsArguments) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "portcullis", &mut script);
    report::reader_left(io::stdout().lock().write_all(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual page, or writes all of them.
///
/// # Errors
/// A folder that can't be written to.
pub fn man(arguments: &ManArguments) -> Result<ExitCode> {
    let command = Arguments::command();
    match &arguments.folder {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            report::reader_left(io::stdout().lock().write_all(&page))?;
        }
        Some(folder) => {
            fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
            clap_mangen::generate_to(command, folder)
                .with_context(|| format!("can't write the pages to {}", folder.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
