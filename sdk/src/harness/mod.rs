//! The native test harness: a policy's cases, run as plain Rust.
//!
//! ```text
//! cases/*.yaml ─► Case ─► project (declared trees) ─► review (fake cluster) ─► Outcome ─► compare
//! ```
//! The policy gets what it would get from the real host and no more: objects
//! projected to its declared views, a cluster that refuses undeclared look-ups.
//! Beside the cases themselves the harness checks what their author may have
//! forgotten: a rule, an operation, that an edit is inside the reach, that a
//! mutation done twice is a mutation done once, that examples show what they say.

mod case;
mod compare;
mod coverage;
mod example;
mod fake_cluster;
mod patch;
mod project;
mod run;

use std::path::{Path, PathBuf};

pub use case::{Case, CaseFile, CaseOperation, Expect, ExpectedFinding, HarnessError, Verdict, load};
pub use compare::compare;
pub use coverage::missing;
pub use example::check_examples;
pub use fake_cluster::FakeCluster;
pub use patch::apply;
pub use project::project;
pub use run::{Outcome, run};

use crate::erased::{Erased, ErasedPolicy};
use crate::policy::Policy;

/// The folder of the crate under test. Cargo says it when it runs the test; what
/// was compiled in may be another checkout, one that shared the target folder.
#[must_use]
pub fn crate_folder(compiled: &str) -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| compiled.into(), PathBuf::from)
}

/// Runs every case of a folder and every example of a rule, and checks that nothing goes without a case.
///
/// # Panics
/// With everything that is wrong, case by case.
pub fn assert_cases<P: Policy>(folder: &Path) {
    let wrong = check_cases(&Erased::<P>::NEW, folder);
    assert!(wrong.is_empty(), "the policy {} fails its cases:\n\n{}\n", P::NAME, wrong.join("\n\n"));
}

/// What is wrong with a policy by its cases: empty if nothing is.
#[must_use]
pub fn check_cases(policy: &dyn ErasedPolicy, folder: &Path) -> Vec<String> {
    let files = match load(folder) {
        Ok(files) => files,
        Err(error) => return vec![error.to_string()],
    };
    let mut wrong = Vec::new();
    let mut outcomes = Vec::new();
    for (file, contents) in &files {
        for case in &contents.cases {
            let label = format!("{}: {}", file.display(), case.name);
            match run(policy, case) {
                Ok(outcome) => {
                    wrong.extend(
                        compare(&case.expect, &outcome)
                            .into_iter()
                            .map(|difference| format!("{label}\n  {difference}")),
                    );
                    outcomes.push((case, outcome));
                }
                Err(error) => wrong.push(format!("{label}\n  {error}")),
            }
        }
    }
    wrong.extend(missing(policy, &outcomes));
    wrong.extend(check_examples(policy));
    wrong
}

#[cfg(test)]
mod tests;
