//! `portcullis check`: results on standard output, what can't be read or judged
//! on standard error. Exit codes: 0 fine, 1 something that `--fail-on` names,
//! 2 bad usage or input that can't be read, whatever was found in the rest.

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::StreamExt;
use portcullis_core::admit::Policy;
use portcullis_core::cluster::ClusterView;
use portcullis_core::contract::Operation;
use portcullis_engine::{Engine, EngineConfig};
use portcullis_kube::Live;
use tokio::runtime::Runtime;

use super::{BAD_USAGE, output};
use crate::args::{CheckArguments, ColorChoice, WriteOperation};
use crate::check::labels::NamespaceLabel;
use crate::check::request::{self, Manner, User};
use crate::check::{Judged, Options, Prepared};
use crate::report::{self, Run, progress::Progress, rules::Rules};
use crate::store::{self, Sources};

/// Exit code where something was found that `--fail-on` names.
const FOUND: u8 = 1;
/// Skipped documents that are named before the rest is counted.
const NAMED_SKIPPED: usize = 3;

/// Judges the inputs.
///
/// # Errors
/// Policies that can't be used, flags that can't be right.
pub fn run(arguments: &CheckArguments, color: ColorChoice) -> Result<ExitCode> {
    output::validate(&arguments.output)?;
    let now = instant(arguments.now.as_deref())?;
    let runtime = Runtime::new().context("can't start the threads that judge")?;
    // Policies compile while the input is read.
    let sources = (arguments.policy.clone(), arguments.cache.clone());
    let policies = runtime.spawn_blocking(move || load(&sources.0, sources.1));
    let prepared = Prepared::read(&options(arguments)?);
    let policies = runtime.block_on(policies).context("loading the policies failed")??;
    complain(&prepared, arguments.output.quiet);
    let live = runtime.block_on(live(arguments))?;
    let mut results = runtime.block_on(judge(prepared, live.clone(), policies.clone(), now));
    let fixed = output::fix(&arguments.output, &results.judged, &arguments.inputs, color)?;
    if fixed.wrote && !output::reads_standard_input(&arguments.inputs) {
        // What is left is told by judging what is there now.
        results = runtime.block_on(judge(Prepared::read(&options(arguments)?), live, policies.clone(), now));
    }
    results.problems.extend(fixed.problems);
    for problem in results.problems.iter().skip(results.complained) {
        eprintln!("error: {problem}");
    }
    let found = results.judged.iter().any(|judged| report::fails(&judged.report, arguments.output.fail_on));
    let run = Run {
        judged: &results.judged,
        problems: results.problems.clone(),
        policies: &policies,
        rules: Rules::of(&policies),
        fail_on: arguments.output.fail_on,
    };
    output::write(&arguments.output, &run, &arguments.inputs, color)?;
    Ok(match (run.problems.is_empty(), found) {
        (false, _) => ExitCode::from(BAD_USAGE),
        (true, true) => ExitCode::from(FOUND),
        (true, false) => ExitCode::SUCCESS,
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
struct Results {
    judged: Vec<Judged>,
    /// What can't be read, then what can't be judged.
    problems: Vec<String>,
    /// How many of them have been said.
    complained: usize,
}

/// The cluster of `--context`.
async fn live(arguments: &CheckArguments) -> Result<Option<Arc<dyn ClusterView>>> {
    let Some(context) = &arguments.context else { return Ok(None) };
    let client = portcullis_kube::connect(arguments.kubeconfig.as_deref(), context).await?;
    Ok(Some(Arc::new(Live::new(client))))
}

async fn judge(
    prepared: Prepared,
    live: Option<Arc<dyn ClusterView>>,
    policies: Vec<Arc<Policy>>,
    now: Duration,
) -> Results {
    let prepared = match live {
        Some(live) => prepared.over(live).await,
        None => prepared,
    };
    let mut progress = Progress::new(prepared.len());
    let problems = prepared.problems.clone();
    let complained = problems.len();
    let mut results = Results { judged: Vec::with_capacity(prepared.len()), problems, complained };
    let mut judged = pin!(prepared.judge(policies, now));
    while let Some(next) = judged.next().await {
        progress.step();
        match next {
            Ok(judged) => results.judged.push(judged),
            Err(problem) => results.problems.push(problem),
        }
    }
    results
}

/// Says what can't be read or isn't judged.
fn complain(prepared: &Prepared, quiet: bool) {
    for problem in &prepared.problems {
        eprintln!("error: {problem}");
    }
    if quiet {
        return;
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
