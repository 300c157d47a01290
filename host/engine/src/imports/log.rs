//! `log`: lines of a policy for whoever runs the host, bounded in number and
//! size, and dropped where the policy may have seen a Secret's values.
//!
//! Without WASI a panic is a bare `unreachable`; the SDK's panic hook says
//! `panicked at <place>:\n<text>` here just before it, and that becomes the
//! failure's reason.

use std::sync::Arc;

use crate::bindings::v0_1_0::portcullis::policy::log::{Host, Level};
use crate::state::State;

/// Lines that one call may log.
const MAX_LINES: usize = 64;
/// Bytes that one line may have; what is longer is cut.
const MAX_LINE_BYTES: usize = 2 * 1024;
/// Bytes that the place of a panic may have: more isn't a place.
const MAX_PLACE_BYTES: usize = 200;
/// How a panic begins, in the words of Rust's own panic message.
const PANIC: &str = "panicked at ";

/// Where a guest's lines go.
pub(crate) struct Log {
    sink: Sink,
    lines: usize,
    panic: Option<String>,
}

/// What becomes of a line.
pub(crate) enum Sink {
    /// To the host's log.
    Through {
        /// The policy's name.
        policy: Arc<str>,
    },
    /// Nothing: the policy may have seen a Secret's values. Of a panic only
    /// the place is kept.
    Withheld,
    /// Kept until the guest has done what it was asked to, then replayed.
    Buffered(Vec<(Level, String)>),
    /// Nothing, as it was said before: proofs run what ran already.
    Muted,
}

impl Log {
    /// An empty log.
    pub(crate) fn new(sink: Sink) -> Log {
        Log { sink, lines: 0, panic: None }
    }

    /// Another policy of the same call speaks from now on.
    pub(crate) fn speaks(&mut self, by: Arc<str>) {
        if let Sink::Through { policy } = &mut self.sink {
            *policy = by;
        }
    }

    /// What the guest last said, if that was a panic.
    pub(crate) fn take_panic(&mut self) -> Option<String> {
        self.panic.take()
    }

    /// Says what was buffered, in the name of `speaker`.
    pub(crate) fn replay(&mut self, speaker: &str) {
        if let Sink::Buffered(lines) = &mut self.sink {
            for (level, line) in lines.drain(..) {
                say(speaker, level, &line);
            }
        }
    }

    fn line(&mut self, level: Level, mut message: String) {
        self.panic = panic_message(level, &message, matches!(self.sink, Sink::Withheld));
        if matches!(self.sink, Sink::Withheld | Sink::Muted) {
            return;
        }
        self.lines += 1;
        if self.lines > MAX_LINES {
            return;
        }
        if self.lines == MAX_LINES {
            "further lines of this call are dropped".clone_into(&mut message);
        }
        message.truncate(message.floor_char_boundary(MAX_LINE_BYTES));
        match &mut self.sink {
            Sink::Through { policy } => say(policy, level, &message),
            Sink::Buffered(lines) => lines.push((level, message)),
            Sink::Withheld | Sink::Muted => {}
        }
    }
}

impl Host for State {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.log.line(level, message);
        Ok(())
    }
}

/// The line is a field and not the message, so that a guest can't forge a line
/// of the host's own.
fn say(policy: &str, level: Level, line: &str) {
    match level {
        Level::Debug => tracing::debug!(policy, line, "a policy logs"),
        Level::Info => tracing::info!(policy, line, "a policy logs"),
        Level::Warn => tracing::warn!(policy, line, "a policy logs"),
        Level::Error => tracing::error!(policy, line, "a policy logs"),
    }
}

/// `text (place)`, or only the place where the text must not be shown.
fn panic_message(level: Level, line: &str, withheld: bool) -> Option<String> {
    if !matches!(level, Level::Error) {
        return None;
    }
    let panic = line.strip_prefix(PANIC)?;
    let (place, text) = panic.split_once('\n').unwrap_or((panic, ""));
    let place = place.trim_end_matches(':');
    if withheld {
        return Some(if is_place(place) { format!("at {place}") } else { "a panic".to_owned() });
    }
    let text = &text[..text.floor_char_boundary(MAX_LINE_BYTES)];
    let place = &place[..place.floor_char_boundary(MAX_PLACE_BYTES)];
    Some(if text.is_empty() { format!("at {place}") } else { format!("{text} (at {place})") })
}

/// Whether it looks like `src/lib.rs:12:5`; anything else could be a value.
fn is_place(place: &str) -> bool {
    let mut parts = place.rsplitn(3, ':');
    let number = |part: Option<&str>| part.is_some_and(|part| part.len() <= 6 && part.parse::<u32>().is_ok());
    number(parts.next())
        && number(parts.next())
        && parts.next().is_some_and(|file| {
            file.len() <= MAX_PLACE_BYTES
                && file.ends_with(".rs")
                && file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place_and_where_allowed_its_text() {
        let check = |line: &str, shown: Option<&str>, withheld: Option<&str>| {
            assert_eq!(panic_message(Level::Error, line, false).as_deref(), shown, "{line}");
            assert_eq!(panic_message(Level::Error, line, true).as_deref(), withheld, "{line}");
        };
        check("panicked at src/lib.rs:3:5:\nboom", Some("boom (at src/lib.rs:3:5)"), Some("at src/lib.rs:3:5"));
        check("panicked at src/lib.rs:3:5", Some("at src/lib.rs:3:5"), Some("at src/lib.rs:3:5"));
        check("panicked at hunter2", Some("at hunter2"), Some("a panic"));
        check("panicked at hunter 2.rs:1:1", Some("at hunter 2.rs:1:1"), Some("a panic"));
        check("I panicked at noon", None, None);
    }

    #[test]
    fn only_the_last_line_can_be_the_panic() {
        let mut log = Log::new(Sink::Muted);
        log.line(Level::Error, "panicked at src/lib.rs:1:1:\nboom".to_owned());
        log.line(Level::Info, "never mind".to_owned());
        assert_eq!(log.take_panic(), None);
    }

    #[test]
    fn lines_are_bounded_in_number_and_size() {
        let mut log = Log::new(Sink::Buffered(Vec::new()));
        for _ in 0..1000 {
            log.line(Level::Info, "ä".repeat(MAX_LINE_BYTES));
        }
        let Sink::Buffered(lines) = &log.sink else { unreachable!("it was made so") };
        assert_eq!(lines.len(), MAX_LINES);
        assert!(lines.iter().all(|(_, line)| line.len() <= MAX_LINE_BYTES));
        assert_eq!(lines.last().map(|(_, line)| line.as_str()), Some("further lines of this call are dropped"));
    }
}
