//! How what `portcullis check` found is written, and what becomes of the files.

use clap::{Args, ValueEnum};

/// How results are written.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArguments {
    /// How results are written
    #[arg(id = "output", short = 'o', long = "output", value_enum, default_value_t, value_name = "FORMAT")]
    pub format: CheckFormat,

    /// From which verdict on the exit code is 1
    #[arg(long, value_enum, default_value_t, value_name = "VERDICT")]
    pub fail_on: FailOn,

    /// Write no report; the exit code tells
    #[arg(short, long)]
    pub quiet: bool,

    /// Print the objects as they would be admitted, as YAML or with `-o json` as a List; the report goes to standard error
    #[arg(long, conflicts_with_all = ["diff", "fix"])]
    pub patched: bool,

    /// Print how the objects would be changed; the report goes to standard error. With --fix: what it would write
    #[arg(long)]
    pub diff: bool,

    /// Write fixes into the files, keeping comments and order, then report what is left; standard input is printed fixed
    #[arg(long)]
    pub fix: bool,
}

/// The formats of a run's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: the report, version 1.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, for CI systems.
    Junit,
    /// Workflow commands of GitHub Actions: annotations at the lines.
    Github,
}

/// From which verdict on a run has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, ValueEnum)]
pub enum FailOn {
    /// A warning is enough.
    Warn,
    /// An undecided verdict is enough.
    Undecided,
    /// Only a denial.
    #[default]
    Deny,
}
