//! A bounded buffer of log lines and the thread that writes them.
//!
//! A line costs its writer a lock and a copy. Where the reader of the log is too
//! slow, lines are dropped and counted rather than holding up requests; the
//! count is written as soon as there is room.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Bytes of lines that may wait: about 10,000 decisions.
const CAPACITY: usize = 4 << 20;

/// Lines that wait to be written.
pub(super) struct Lines {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    ended: bool,
}

/// Owns the thread; dropping it writes what waits and ends it.
pub(super) struct LinesWriter {
    lines: Arc<Lines>,
    thread: Option<JoinHandle<()>>,
}

impl LinesWriter {
    /// Starts a thread that writes to what `open` gives.
    pub(super) fn start<W: Write>(open: impl FnOnce() -> W + Send + 'static) -> io::Result<(Arc<Lines>, LinesWriter)> {
        let lines = Arc::new(Lines { state: Mutex::default(), wake: Condvar::new() });
        let shared = lines.clone();
        let thread = thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_to(&mut open()))?;
        Ok((lines.clone(), LinesWriter { lines, thread: Some(thread) }))
    }
}

impl Drop for LinesWriter {
    fn drop(&mut self) {
        self.lines.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.lines.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been printed.
            let _ = thread.join();
        }
    }
}

impl Lines {
    fn write_to(&self, output: &mut impl Write) {
        let mut batch = Vec::new();
        loop {
            let (dropped, ended) = {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                while state.waiting.is_empty() && !state.ended {
                    state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                mem::swap(&mut batch, &mut state.waiting);
                (mem::take(&mut state.dropped), state.ended)
            };
            // Nobody is left to tell where standard error itself fails.
            let _ = output.write_all(&batch);
            if dropped > 0 {
                let _ = writeln!(
                    output,
                    "{{\"level\":\"WARN\",\"message\":\"log lines dropped, the log's reader is too slow\",\"lines\":{dropped}}}"
                );
            }
            let _ = output.flush();
            batch.clear();
            if ended {
                return;
            }
        }
    }
}

impl Write for &Lines {
    /// Takes one whole line, as the formatter hands it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.waiting.len() + line.len() > CAPACITY {
            state.dropped += 1;
            return Ok(line.len());
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.wake.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_before_the_writer_is_gone() {
        let output = Output::default();
        let shared = output.clone();
        let (lines, writer) = LinesWriter::start(move || shared).unwrap();
        for number in 0..1000 {
            (&*lines).write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        drop(writer);
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(output.0.lock().unwrap().clone()).unwrap(), expected);
    }

    #[test]
    fn lines_past_the_bound_are_dropped_and_counted() {
        let lines = Lines { state: Mutex::default(), wake: Condvar::new() };
        let line = vec![b'x'; CAPACITY / 2 + 1];
        (&lines).write_all(&line).unwrap();
        (&lines).write_all(&line).unwrap();
        lines.state.lock().unwrap().ended = true;
        let mut output = Vec::new();
        lines.write_to(&mut output);
        assert!(output.starts_with(&line));
        assert!(String::from_utf8_lossy(&output[line.len()..]).contains("\"lines\":1"));
    }
}
