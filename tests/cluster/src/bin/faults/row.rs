//! What became of the writes during a fault, and whether that may be.

use std::time::Duration;

use portcullis_cluster::{Counts, Load, Tally};

/// What a fault may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cost {
    /// Not one write.
    Nothing,
    /// So many calls that were in flight.
    InFlight(u64),
    /// What the API server itself can't do meanwhile, and no webhook call.
    Unserved,
    /// Every write while it lasts: closed, as `failurePolicy: Fail` says.
    Closed,
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// What happened, and how often.
    pub(crate) times: String,
    pub(crate) cost: Cost,
    pub(crate) counts: Counts,
    /// What else went wrong.
    pub(crate) problems: Vec<String>,
    /// What is worth knowing.
    pub(crate) notes: String,
}

impl Row {
    /// The row of a load that has ended.
    pub(crate) fn of(times: String, cost: Cost, load: Load) -> Row {
        Row { times, cost, counts: load.end(), problems: Vec::new(), notes: String::new() }
    }

    /// One that says why nothing was done.
    pub(crate) fn skipped(why: &str) -> Row {
        let counts = Counts::default();
        Row { times: "skipped".to_owned(), cost: Cost::Closed, counts, problems: Vec::new(), notes: why.to_owned() }
    }

    /// The same with a note.
    pub(crate) fn note(mut self, note: String) -> Row {
        self.notes = note;
        self
    }

    /// The same with a problem, where there is one.
    pub(crate) fn problem(mut self, problem: Option<String>) -> Row {
        self.problems.extend(problem);
        self
    }

    /// Prints it with what went wrong; whether nothing did that must not.
    pub(crate) fn print(&self, name: &str, took: Duration) -> bool {
        let counts = &self.counts;
        let well = self.well();
        let milliseconds = |percent: usize| format!("{:.0}", counts.latency(percent).as_secs_f64() * 1e3);
        println!(
            "{name:<21}{:>24}{:>7}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>10}{:>7}{:>7}{:>7}  {}{}",
            self.times,
            format!("{:.0}", took.as_secs_f64()),
            counts.writes(),
            counts.allowed,
            counts.denied,
            counts.passed.count,
            counts.refused.count,
            counts.failed.count,
            counts.unserved.count,
            milliseconds(50),
            milliseconds(99),
            milliseconds(100),
            if well { "ok" } else { "WRONG" },
            if self.notes.is_empty() { String::new() } else { format!("; {}", self.notes) },
        );
        for problem in &self.problems {
            println!("  problem: {problem}");
        }
        if !well {
            print!("{}", counts.texts());
        } else if let Some(text) = counts.failed.texts.first() {
            println!("  such as: {text}");
        }
        well
    }

    fn well(&self) -> bool {
        let none = |tally: &Tally| tally.count == 0;
        let counts = &self.counts;
        let lost = match self.cost {
            Cost::Nothing => counts.failed.count + counts.unserved.count,
            Cost::InFlight(most) => counts.failed.count.saturating_sub(most) + counts.unserved.count,
            Cost::Unserved => counts.failed.count,
            Cost::Closed => 0,
        };
        let tried = self.cost == Cost::Closed || counts.allowed > 0 && counts.denied > 0;
        self.problems.is_empty() && tried && none(&counts.passed) && none(&counts.refused) && lost == 0
    }
}

/// The table's head.
pub(crate) fn print_head() {
    println!(
        "{:<21}{:>24}{:>7}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>10}{:>7}{:>7}{:>7}  result",
        "fault",
        "happened",
        "s",
        "writes",
        "allowed",
        "denied",
        "passed",
        "refused",
        "failed",
        "unserved",
        "p50",
        "p99",
        "ms max"
    );
}
