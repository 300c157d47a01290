//! A run for programs: `portcullis_core::report::Report`, version 1.

use std::io::{self, Write};

use portcullis_core::report::{ObjectReport, Report};

/// Writes a whole run.
///
/// # Errors
/// Of the writer.
pub fn write(out: &mut impl Write, results: Vec<ObjectReport>) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Report::new(results))?;
    writeln!(out)
}
