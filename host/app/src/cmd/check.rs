//! `portcullis check`: results on standard output, what can't be read or judged
//! on standard error. Exit codes: 0 fine, 1 something that `--fail-on` names,
//! 2 bad usage or input that can't be read, whatever was found in the rest.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::StreamExt;
use portcullis_core::admit::Policy;
use portcullis_core::contract::Operation;
use portcullis_core::report::Report;
use portcullis_engine::{Engine, EngineConfig};
use tokio::runtime::Runtime;

use super::BAD_USAGE;
use crate::args::{CheckArguments, OutputFormat, WriteOperation};
use crate::check::labels::NamespaceLabel;
use crate::check::request::{self, Manner, User};
use crate::check::{Judged, Options, Prepared};
use crate::report::{self, palette::Palette, text};
use crate::store::{self, Sources};

/// Exit code where something was found that `--fail-on` names.
const FOUND: u8 = 1;
/// Skipped documents that are named before the rest is counted.
const NAMED_SKIPPED: usize = 3;

/// Judges the inputs.
///
/// # Errors
/// Policies that can't be used, flags that can't be right.
pub fn run(arguments: &CheckArguments) -> Result<ExitCode> {
    let now = instant(arguments.now.as_deref())?;
    let runtime = Runtime::new().context("can't start the threads that judge")?;
    // Policies compile while the input is read.
    let sources = (arguments.policy.clone(), arguments.cache.clone());
    let policies = runtime.spawn_blocking(move || load(&sources.0, sources.1));
    let prepared = Prepared::read(&options(arguments)?);
    let policies = runtime.block_on(policies).context("loading the policies failed")??;
    complain(&prepared);
    let mut unreadable = !prepared.problems.is_empty();
    let outcome = runtime.block_on(judge(arguments, prepared, policies, now))?;
    for problem in &outcome.problems {
        unreadable = true;
        eprintln!("error: {problem}");
    }
    Ok(match (unreadable, outcome.found) {
        (true, _) => ExitCode::from(BAD_USAGE),
        (false, true) => ExitCode::from(FOUND),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Loads the policies of the command line. One that can't run is an error: a
/// run without it would say nothing of what it was asked.
///
/// # Errors
/// Every problem, one a line.
pub(super) fn load(paths: &[PathBuf], cache: Option<PathBuf>) -> Result<Vec<Arc<Policy>>> {
    let sources = Sources::of_flags(paths);
    if let Err(problem) = sources.exist() {
        bail!("{problem}");
    }
    let cache_dir = cache.or_else(crate::config::default_cache);
    let engine = Engine::new(EngineConfig { cache_dir, ..EngineConfig::default() })?;
    let loaded = store::load(&sources, &engine);
    if !loaded.problems.is_empty() {
        let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        bail!("{}", problems.join("\nerror: "));
    }
    if loaded.policies.is_empty() {
        eprintln!("warning: no policy is loaded; every object passes");
    }
    Ok(loaded.policies)
}

/// What a run came to.
#[derive(Default)]
struct Outcome {
    found: bool,
    problems: Vec<String>,
}

async fn judge(
    arguments: &CheckArguments,
    prepared: Prepared,
    policies: Vec<Arc<Policy>>,
    now: Duration,
) -> Result<Outcome> {
    let mut out = BufWriter::new(io::stdout().lock());
    let palette = Palette::of(&io::stdout());
    let mut outcome = Outcome::default();
    let mut results = Vec::with_capacity(prepared.len());
    let mut judged = pin!(prepared.judge(policies, now));
    let mut reader_left = false;
    while let Some(next) = judged.next().await {
        let judged: Judged = match next {
            Ok(judged) => judged,
            Err(problem) => {
                outcome.problems.push(problem);
                continue;
            }
        };
        outcome.found |= report::fails(&judged.report, arguments.fail_on);
        if arguments.output == OutputFormat::Text && !reader_left {
            reader_left = report::reader_left(text::write_judged(&mut out, &judged, palette))?;
        }
        results.push(judged.report);
    }
    let written = match arguments.output {
        OutputFormat::Json => report::json::write(&mut out, results),
        // Where nothing could be judged, standard error has said why.
        OutputFormat::Text if reader_left || results.is_empty() => Ok(()),
        OutputFormat::Text => text::write_summary(&mut out, &Report::new(results).summary, palette),
    };
    report::reader_left(written.and_then(|()| out.flush()))?;
    Ok(outcome)
}

/// Says what can't be read or isn't judged.
fn complain(prepared: &Prepared) {
    for problem in &prepared.problems {
        eprintln!("error: {problem}");
    }
    for warning in &prepared.warnings {
        eprintln!("warning: {warning}");
    }
    let skipped = &prepared.skipped;
    if let Some(first) = skipped.get(..skipped.len().min(NAMED_SKIPPED)).filter(|first| !first.is_empty()) {
        let more = if skipped.len() > first.len() { ", …" } else { "" };
        let plural = if skipped.len() == 1 {
            "document that is no Kubernetes object"
        } else {
            "documents that are no Kubernetes objects"
        };
        eprintln!("note: skipped {} {plural}: {}{more}", skipped.len(), first.join(", "));
    }
}

fn options(arguments: &CheckArguments) -> Result<Options> {
    let labels = arguments
        .namespace_labels
        .iter()
        .map(|text| NamespaceLabel::parse(text).map_err(|problem| anyhow!("--namespace-labels {text:?}: {problem}")));
    Ok(Options {
        inputs: arguments.inputs.clone(),
        cluster: arguments.cluster.clone(),
        complete: arguments.complete,
        old: arguments.old.clone(),
        manner: manner(arguments)?,
        namespace: arguments.namespace.clone(),
        namespace_labels: labels.collect::<Result<Vec<_>>>()?.concat(),
    })
}

/// What the flags say of how the objects are written.
fn manner(arguments: &CheckArguments) -> Result<Manner> {
    let operation = arguments.operation.map(|operation| match operation {
        WriteOperation::Create => Operation::Create,
        WriteOperation::Update => Operation::Update,
        WriteOperation::Delete => Operation::Delete,
        WriteOperation::Connect => Operation::Connect,
    });
    let subresource = arguments.subresource.clone();
    let connects = subresource.as_deref().is_some_and(request::is_connected_to);
    if operation == Some(Operation::Connect) && !connects {
        bail!("--operation connect is about a subresource; add --subresource exec, attach, portforward or proxy");
    }
    if connects && operation.is_some_and(|operation| operation != Operation::Connect) {
        bail!("--subresource {} is only connected to; leave --operation away", subresource.unwrap_or_default());
    }
    let user = arguments.as_user.as_deref();
    let user = user.map(|name| User::acting_as(name, &arguments.as_group)).unwrap_or_default();
    Ok(Manner { operation, subresource, user })
}

/// The instant that policies see, since the Unix epoch.
fn instant(now: Option<&str>) -> Result<Duration> {
    let Some(now) = now else {
        return SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock stands before 1970");
    };
    let timestamp: jiff::Timestamp = now
        .parse()
        .with_context(|| format!("--now {now:?} is no instant; write it as RFC 3339 has it: 2026-01-31T12:00:00Z"))?;
    Duration::try_from(timestamp.duration_since(jiff::Timestamp::UNIX_EPOCH))
        .with_context(|| format!("--now {now:?} stands before 1970"))
}
