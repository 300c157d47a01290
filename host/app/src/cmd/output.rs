//! What `portcullis check` writes: the report in its format, objects, changes,
//! fixed files. Where standard output carries objects or changes, the report
//! goes to standard error, so that each can be piped on its own.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::args::{CheckFormat, ColorChoice, OutputArguments};
use crate::check::Judged;
use crate::check::input::STANDARD_INPUT;
use crate::fix::{self, Plan};
use crate::report::{self, Run, changes, github, json, junit, layout::Layout, sarif, text};

/// Refuses flags that contradict each other.
///
/// # Errors
/// Which, and what would be right.
pub(super) fn validate(output: &OutputArguments) -> Result<()> {
    let OutputArguments { format, patched, diff, .. } = *output;
    if patched && !matches!(format, CheckFormat::Text | CheckFormat::Json) {
        bail!("--patched prints objects as YAML or, with `-o json`, as JSON; the report has no room beside them");
    }
    if diff && format != CheckFormat::Text {
        bail!("--diff is for people; leave out `-o`");
    }
    Ok(())
}

/// What fixing did.
#[derive(Default)]
pub(super) struct Fixed {
    /// Whether files have changed, so that what was judged is no longer what is there.
    pub(super) wrote: bool,
    /// What could not be written.
    pub(super) problems: Vec<String>,
}

/// Works out the fixes, writes them where asked to, and says what was done.
///
/// # Errors
/// Of the writers.
pub(super) fn fix(
    output: &OutputArguments,
    judged: &[Judged],
    inputs: &[PathBuf],
    color: ColorChoice,
) -> Result<Fixed> {
    let mut fixed = Fixed::default();
    if !output.fix {
        return Ok(fixed);
    }
    let mut plan = fix::plan(judged);
    if output.diff {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = changes::write_file_diff(&mut out, &plan.files, Layout::of_stdout(color));
        report::reader_left(written.and_then(|()| out.flush()))?;
        let names: Vec<String> = plan.files.iter().map(|file| file.source.clone()).collect();
        say(output, &plan, &names, Some("would fix"), color)?;
        return Ok(fixed);
    }
    let mut written = Vec::new();
    for change in plan.files.iter().filter(|change| fix::is_file(&change.source)) {
        match fix::write(change) {
            Ok(()) => written.push(change.source.clone()),
            Err(error) => fixed.problems.push(format!("{}: can't be fixed: {error}", change.source)),
        }
    }
    fixed.wrote = !written.is_empty();
    if reads_standard_input(inputs) {
        let text = plan.files.iter().find(|change| !fix::is_file(&change.source)).map(|change| change.after.as_str());
        let whole = judged.iter().find(|judged| judged.document.source.as_ref() == STANDARD_INPUT);
        let text = text.or(whole.map(|judged| judged.document.origin.text.as_ref())).unwrap_or_default();
        report::reader_left(io::stdout().lock().write_all(text.as_bytes()))?;
        written.extend(
            plan.files.iter().filter(|change| !fix::is_file(&change.source)).map(|change| change.source.clone()),
        );
    }
    plan.done.retain(|outcome| written.contains(&outcome.source));
    say(output, &plan, &written, None, color)?;
    Ok(fixed)
}

/// Whether a run reads standard input, which can't be read twice.
pub(super) fn reads_standard_input(inputs: &[PathBuf]) -> bool {
    inputs.iter().any(|input| input.as_os_str() == STANDARD_INPUT)
}

/// Writes the report, and what else standard output is to carry.
///
/// # Errors
/// Of the writers.
pub(super) fn write(output: &OutputArguments, run: &Run<'_>, inputs: &[PathBuf], color: ColorChoice) -> Result<()> {
    let carries_text = output.fix && !output.diff && reads_standard_input(inputs);
    if output.patched || output.diff || carries_text {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = match output.format {
            CheckFormat::Json if output.patched => changes::write_patched_json(&mut out, run.judged),
            _ if output.patched => changes::write_patched_yaml(&mut out, run.judged),
            _ if output.diff && !output.fix => changes::write_diff(&mut out, run.judged, Layout::of_stdout(color)),
            _ => Ok(()),
        };
        report::reader_left(written.and_then(|()| out.flush()))?;
        if !output.quiet {
            let mut out = BufWriter::new(io::stderr().lock());
            let written = text::write(&mut out, run, Layout::of_stderr(color));
            report::reader_left(written.and_then(|()| out.flush()))?;
        }
        return Ok(());
    }
    if output.quiet {
        return Ok(());
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match output.format {
        CheckFormat::Text => text::write(&mut out, run, Layout::of_stdout(color)),
        CheckFormat::Json => json::write(&mut out, run),
        CheckFormat::Sarif => sarif::write(&mut out, run),
        CheckFormat::Junit => junit::write(&mut out, run),
        CheckFormat::Github => github::write(&mut out, run),
    };
    report::reader_left(written.and_then(|()| out.flush()))?;
    Ok(())
}

fn say(
    output: &OutputArguments,
    plan: &Plan,
    written: &[String],
    dry: Option<&str>,
    color: ColorChoice,
) -> io::Result<()> {
    if output.quiet {
        return Ok(());
    }
    let mut out = BufWriter::new(io::stderr().lock());
    changes::write_plan(&mut out, plan, written, dry, Layout::of_stderr(color))?;
    out.flush()
}
