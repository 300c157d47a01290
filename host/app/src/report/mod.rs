//! What a run reports: for people (`text`), for programs (`json`, `sarif`,
//! `junit`, `github`), and what becomes of objects (`changes`); the list of the
//! policies (`policies`, `wide`) and what each is for (`explain`, `pages`).
//!
//! ```text
//! Judged ─ entry::entries ─┬ text ─ snippet
//!            └ spot        ├ sarif
//!                          ├ junit
//!                          └ github
//! ```
//! The vocabulary is `portcullis_core::report`.

pub mod changes;
pub mod cli_page;
pub mod entry;
pub mod explain;
pub mod github;
pub mod json;
pub mod junit;
pub mod layout;
pub mod pages;
pub mod palette;
pub mod policies;
pub mod progress;
pub mod reach;
pub mod rules;
pub mod sarif;
pub mod settings;
pub mod snippet;
pub mod spot;
pub mod text;
pub mod wide;

use std::io;
use std::sync::Arc;

use portcullis_core::admit::Policy;
use portcullis_core::contract::Level;
use portcullis_core::report::{ObjectReport, Summary, Verdict};

use self::rules::Rules;
use crate::args::FailOn;
use crate::check::Judged;

/// A run, when it is over.
pub struct Run<'r> {
    /// What was judged, in the order of the input.
    pub judged: &'r [Judged],
    /// What could not be read or judged.
    pub problems: Vec<String>,
    /// The policies that ran.
    pub policies: &'r [Arc<Policy>],
    /// What they say of their rules.
    pub rules: Rules<'r>,
    /// From which verdict on it has failed.
    pub fail_on: FailOn,
}

impl Run<'_> {
    /// Sums over the results.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for result in self.judged.iter().map(|judged| &judged.report) {
            summary.add(result);
        }
        summary
    }
}

/// Whether a result is what `--fail-on` asks to fail on.
pub fn fails(report: &ObjectReport, fail_on: FailOn) -> bool {
    let has = |verdict| report.policies.iter().any(|policy| policy.verdict == verdict);
    let finds =
        |level| report.policies.iter().flat_map(|policy| &policy.findings).any(|finding| finding.level == level);
    let undecided = || has(Verdict::Undecided) || finds(Level::Undecided);
    match fail_on {
        FailOn::Deny => !report.allowed,
        FailOn::Undecided => !report.allowed || undecided(),
        FailOn::Warn => {
            !report.allowed || undecided() || !report.warnings.is_empty() || has(Verdict::Warn) || finds(Level::Warn)
        }
    }
}

/// Whether writing ended because nobody reads any more (`check … | head`).
///
/// # Errors
/// What else went wrong.
pub fn reader_left(outcome: io::Result<()>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        Err(error) => Err(error),
    }
}
