//! `portcullis policies`: what is loaded, and what each policy may see and do.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::Result;

use crate::args::{OutputFormat, PoliciesArguments};
use crate::report::{self, palette::Palette, policies};

/// Lists what is loaded.
///
/// # Errors
/// Documents that can't be read, policies that can't run.
pub fn run(arguments: &PoliciesArguments) -> Result<ExitCode> {
    let loaded = super::check::load(&arguments.policy, arguments.cache.clone())?;
    let list = loaded.iter().map(AsRef::as_ref);
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match arguments.output {
        OutputFormat::Json => policies::write_json(&mut out, list),
        OutputFormat::Text => policies::write_text(&mut out, list, Palette::of(&io::stdout())),
    };
    report::reader_left(written.and_then(|()| out.flush()))?;
    Ok(ExitCode::SUCCESS)
}
