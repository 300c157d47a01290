//! `portcullis policies`: what is loaded, and what each policy may see and do.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::Result;

use crate::args::{ColorChoice, PoliciesArguments, PoliciesFormat};
use crate::report::{self, layout::Layout, policies, wide};

/// Lists what is loaded.
///
/// # Errors
/// Documents that can't be read, policies that can't run.
pub fn run(arguments: &PoliciesArguments, color: ColorChoice) -> Result<ExitCode> {
    let loaded = super::check::load(&arguments.load.policy, arguments.load.cache.clone())?;
    let list = loaded.iter().map(AsRef::as_ref);
    let layout = Layout::of_stdout(color);
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match arguments.output {
        PoliciesFormat::Json => policies::write_json(&mut out, list),
        PoliciesFormat::Yaml => policies::write_yaml(&mut out, list),
        PoliciesFormat::Text if arguments.wide => wide::write(&mut out, list, layout.palette),
        PoliciesFormat::Text => policies::write_table(&mut out, list, layout),
    };
    report::reader_left(written.and_then(|()| out.flush()))?;
    Ok(ExitCode::SUCCESS)
}
