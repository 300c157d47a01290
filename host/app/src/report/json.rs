//! A run for programs: `portcullis_core::report::Report`, version 1.

use std::io::{self, Write};

use portcullis_core::report::{ObjectReport, REPORT_VERSION, Summary};
use serde::Serialize;

use super::Run;

/// `portcullis_core::report::Report`, over borrowed results.
#[derive(Serialize)]
struct Report<'r> {
    version: u32,
    results: Vec<&'r ObjectReport>,
    summary: Summary,
}

/// Writes a whole run.
///
/// # Errors
/// Of the writer.
pub fn write(out: &mut impl Write, run: &Run<'_>) -> io::Result<()> {
    let results = run.judged.iter().map(|judged| &judged.report).collect();
    let report = Report { version: REPORT_VERSION, results, summary: run.summary() };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}
