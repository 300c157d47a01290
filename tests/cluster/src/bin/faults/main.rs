//! What may happen to Portcullis in a cluster happens here, while real writes go
//! on ([`Load`](portcullis_cluster::Load)): each fault is a row of a table that
//! says how many writes passed that must be denied, and how many were lost.
//!
//! ```text
//! faults.sh                  every fault, as often as is meant
//! faults.sh --quick          every fault a few times, for CI
//! faults.sh --times 20 kill  so often (rollouts of three, where replicas restart)
//! faults.sh kill etcd        those whose names contain one of these words
//! faults.sh soak 30          half an hour of everything that is ordinary
//! ```
//!
//! The exit code is 1 where anything passed that must be denied, or an allowed
//! write was lost where it must not be. `tests/cluster/faults.sh` builds what is needed.

#![allow(clippy::expect_used, reason = "a fault that can't be set up has failed")]

mod certificates;
mod control_plane;
mod guests;
mod host;
mod replicas;
mod row;
mod soak;

use std::process::ExitCode;
use std::time::Instant;

use portcullis_cluster::{Installed, Options};

use row::{Row, print_head};

/// How often a fault happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scale {
    /// As often as is meant.
    Whole,
    /// Often enough to see that it works.
    Quick,
    /// So often, whatever the fault.
    Times(usize),
}

impl Scale {
    fn of(self, whole: usize, quick: usize) -> usize {
        match self {
            Scale::Whole => whole,
            Scale::Quick => quick,
            Scale::Times(times) => times,
        }
    }
}

/// A fault: what happens to an installation, and what became of the writes.
struct Fault {
    name: &'static str,
    happen: fn(&mut Installed, Scale) -> Row,
}

/// All of them, the harmless first; each leaves the installation as it found it.
const FAULTS: [Fault; 17] = [
    Fault { name: "policy-changes", happen: control_plane::policy_changes },
    Fault { name: "certificate-swaps", happen: certificates::swaps },
    Fault { name: "kill", happen: replicas::kill },
    Fault { name: "api-server-restarts", happen: control_plane::api_server_restarts },
    Fault { name: "etcd-paused", happen: control_plane::etcd_paused },
    Fault { name: "controllers-killed", happen: replicas::controllers_killed },
    Fault { name: "policy-traps", happen: guests::traps },
    Fault { name: "policy-hangs", happen: guests::hangs },
    Fault { name: "policy-eats-memory", happen: guests::eats_memory },
    Fault { name: "module-broken", happen: guests::broken_module },
    Fault { name: "restarts", happen: replicas::restarts },
    Fault { name: "restarts-full-drain", happen: replicas::restarts_at_full_length },
    Fault { name: "disk-full", happen: host::disk_full },
    Fault { name: "clock-forward", happen: host::clock_forward },
    Fault { name: "certificate-run-out", happen: certificates::run_out },
    Fault { name: "ca-rotations", happen: certificates::rotations },
    Fault { name: "all-replicas-dead", happen: replicas::all_dead },
];

/// Takes the flags from the words.
fn scale(words: &mut Vec<String>) -> Scale {
    let mut scale = Scale::Whole;
    if let Some(place) = words.iter().position(|word| word == "--quick") {
        words.remove(place);
        scale = Scale::Quick;
    }
    if let Some(place) = words.iter().position(|word| word == "--times") {
        words.remove(place);
        let times = (place < words.len()).then(|| words.remove(place)).and_then(|word| word.parse().ok());
        scale = Scale::Times(times.expect("--times takes a number"));
    }
    scale
}

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let scale = scale(&mut words);
    if words.first().is_some_and(|word| word == "soak") {
        let minutes = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(30);
        return soak::run(minutes);
    }
    // A whole name is that fault alone; a part of one is all that contain it.
    let whole = |word: &String| FAULTS.iter().any(|fault| fault.name == word);
    let names = |word: &String, fault: &&Fault| {
        if whole(word) { fault.name == word } else { fault.name.contains(word.as_str()) }
    };
    let chosen = |fault: &&Fault| words.is_empty() || words.iter().any(|word| names(word, fault));
    let mut installed = match Installed::start(Options::quick_to_drain()) {
        Ok(installed) => installed,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::SUCCESS;
        }
    };
    let mut well = true;
    print_head();
    for fault in FAULTS.iter().filter(chosen) {
        let begun = Instant::now();
        let row = (fault.happen)(&mut installed, scale);
        well &= row.print(fault.name, begun.elapsed());
        installed.settle();
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
