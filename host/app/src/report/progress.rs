//! How far a long run is, on a terminal's standard error: one line, written
//! over and taken away when the run is over.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A run that takes less says nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two lines.
const INTERVAL: Duration = Duration::from_millis(100);

/// One run.
#[derive(Debug)]
pub struct Progress {
    total: usize,
    done: usize,
    started: Instant,
    last: Option<Instant>,
    watched: bool,
}

impl Progress {
    /// Of a run over so many objects.
    pub fn new(total: usize) -> Progress {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Progress { total, done: 0, started: Instant::now(), last: None, watched: io::stderr().is_terminal() && !dumb }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        if !self.watched || self.started.elapsed() < PATIENCE || self.last.is_some_and(|last| last.elapsed() < INTERVAL)
        {
            return;
        }
        self.last = Some(Instant::now());
        let _ = write!(io::stderr(), "\r\x1b[K{}", self.line());
    }

    fn line(&self) -> String {
        let percent = self.done * 100 / self.total.max(1);
        format!("judged {} of {} objects ({percent} %)", self.done, self.total)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.last.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_the_run_is() {
        let progress = Progress { total: 8, done: 3, started: Instant::now(), last: None, watched: false };
        assert_eq!(progress.line(), "judged 3 of 8 objects (37 %)");
    }
}
