//! What a run reports, for people (`text`) and for programs (`json`), and the
//! list of the policies (`policies`). The vocabulary is `portcullis_core::report`.

pub mod json;
pub mod palette;
pub mod policies;
pub mod text;

use std::io;

use portcullis_core::contract::Level;
use portcullis_core::report::{ObjectReport, Verdict};

use crate::args::FailOn;

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
