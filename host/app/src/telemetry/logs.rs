//! Structured logs on standard error: a constant message, facts as fields.
//!
//! `serve` writes through a thread of its own, because a line a decision must
//! not cost a request a system call; commands write at once.

use std::io;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::writer::{Lines, LinesWriter};
use crate::args::LogFormat;
use crate::config::LogConfig;

/// What is logged where nobody says otherwise. What fails in a watch is said once
/// by whoever watches; kube would say it at each try.
const DEFAULT_FILTER: &str = "info,kube_runtime=error";
/// What a command logs: its result goes to standard output, progress is not asked for.
const COMMAND_FILTER: &str = "warn";

/// Keeps the log's thread; writes what is left when it is dropped.
pub struct Logs {
    _writer: LinesWriter,
}

/// Starts the log of `serve`.
///
/// # Errors
/// A filter that can't be read.
pub fn start(config: &LogConfig) -> Result<Logs> {
    let filter = filter(config.filter.as_deref(), DEFAULT_FILTER)?;
    let (lines, writer) = LinesWriter::start(io::stderr)?;
    subscribe(filter, config.format, Background(lines));
    log_panics();
    Ok(Logs { _writer: writer })
}

/// Starts the log of a command: warnings, unless `RUST_LOG` says more.
pub fn for_commands() {
    if let Ok(filter) = filter(None, COMMAND_FILTER) {
        subscribe(filter, LogFormat::Text, io::stderr);
    }
}

/// A panic is logged by its place alone: its text may quote an object.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(place, thread = thread.name().unwrap_or("unnamed"), "panic");
    }));
}

fn filter(given: Option<&str>, default: &str) -> Result<EnvFilter> {
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let text = given.map(str::to_owned).or(from_environment).unwrap_or_else(|| default.to_owned());
    EnvFilter::try_new(&text).map_err(|error| {
        anyhow!("log filter {text:?}: {error}; write a level (off, error, warn, info, debug, trace) or target=level pairs with commas")
    })
}

fn subscribe<W>(filter: EnvFilter, format: LogFormat, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A second subscriber, as in tests, changes nothing.
    let _ = match format {
        LogFormat::Text => {
            let colour = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
            tracing::subscriber::set_global_default(builder.with_target(false).with_ansi(colour).finish())
        }
        LogFormat::Json => tracing::subscriber::set_global_default(
            builder.json().flatten_event(true).with_current_span(false).finish(),
        ),
    };
}

struct Background(Arc<Lines>);

impl<'w> MakeWriter<'w> for Background {
    type Writer = &'w Lines;

    fn make_writer(&'w self) -> Self::Writer {
        &self.0
    }
}
