//! `portcullis lint`: which set-ups could lock a cluster out, in files before they
//! are applied, or in a cluster as it is. The rules are `portcullis_kube::lint`'s.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use portcullis_engine::{Engine, EngineConfig};
use portcullis_kube::lint::{self, Facts, JudgedPolicy, Level, Risk};
use portcullis_kube::webhooks::exempt_namespaces;
use portcullis_kube::{Client, Policies};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::BAD_USAGE;
use crate::args::{LintArguments, LintFormat, LintLevel};
use crate::check::input;
use crate::config::default_cache;
use crate::report;
use crate::store::{self, ObjectSource, Proposals};

/// Exit code where something was found.
const FOUND: u8 = 1;
/// For a cluster's policy objects.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks and reports.
///
/// # Errors
/// Input that can't be read, a cluster that can't be reached.
pub fn run(arguments: &LintArguments) -> Result<ExitCode> {
    let cache_dir = arguments.cache.clone().or_else(default_cache);
    let engine = Engine::new(EngineConfig { cache_dir, ..EngineConfig::default() })?;
    let proposals = Proposals::new(ObjectSource::default(), engine);
    let mut problems = Vec::new();
    let (mut facts, objects) = match &arguments.context {
        Some(context) => of_cluster(arguments, context)?,
        None => of_files(arguments, &mut problems),
    };
    let mut documents: Vec<Value> = objects.into_iter().filter(is_policy).collect();
    for set in &arguments.policy {
        documents.extend(store::builtin_documents(set).map_err(|problem| anyhow!("--policy: {problem}"))?);
    }
    // What couldn't be read may have held policies: another set is not looked at in their stead.
    if documents.is_empty() && problems.is_empty() && arguments.context.is_none() {
        documents = store::builtin_documents(Path::new(BASELINE)).map_err(|problem| anyhow!("{problem}"))?;
    }
    facts.policies = documents.into_iter().filter_map(|document| judged(&proposals, document, &mut problems)).collect();
    facts.replicas = arguments.replicas.or(facts.replicas);
    if !arguments.exempt_namespace.is_empty() {
        facts.exempt_namespaces.extend(arguments.exempt_namespace.iter().cloned());
    }
    let risks = lint::check(&facts);
    let text = match arguments.output {
        LintFormat::Text if facts.policies.is_empty() && !problems.is_empty() => String::new(),
        LintFormat::Text => text(&risks, facts.policies.len()),
        LintFormat::Json => format!("{:#}\n", json(&risks)),
    };
    report::reader_left(std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes()))?;
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    let counts = |risk: &Risk| risk.level == Level::Refuse || arguments.fail_on == LintLevel::Warn;
    Ok(match (problems.is_empty(), risks.iter().any(counts)) {
        (false, _) => ExitCode::from(BAD_USAGE),
        (true, true) => ExitCode::from(FOUND),
        (true, false) => ExitCode::SUCCESS,
    })
}

/// What runs where nothing else is said.
const BASELINE: &str = "builtin/baseline";

fn of_files(arguments: &LintArguments, problems: &mut Vec<String>) -> (Facts, Vec<Value>) {
    let input = input::read(&arguments.inputs);
    problems.extend(input.problems);
    let objects = input.documents.iter().filter_map(|given| serde_json::from_str::<Value>(&given.document.json).ok());
    let objects: Vec<Value> = objects.flat_map(flat).collect();
    (Facts::of_objects(&objects), objects)
}

/// An object, or those of a List.
fn flat(mut object: Value) -> Vec<Value> {
    let is_list = object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    match object.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items,
        Some(items) => {
            object["items"] = items;
            vec![object]
        }
        None => vec![object],
    }
}

fn is_policy(object: &Value) -> bool {
    portcullis_core::policy::PolicyDocument::is_policy(object)
}

fn of_cluster(arguments: &LintArguments, context: &str) -> Result<(Facts, Vec<Value>)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start")?;
    runtime.block_on(async {
        let client = portcullis_kube::connect(arguments.kubeconfig.as_deref(), context).await?;
        let mut exempt = exempt_namespaces();
        exempt.push(arguments.namespace.clone());
        let facts = lint::facts(&client, &arguments.namespace, Facts::new(exempt)).await;
        let facts = facts.map_err(|error| anyhow!("the cluster can't be read: {error}"))?;
        Ok((facts, policies(&client).await?))
    })
}

async fn policies(client: &Client) -> Result<Vec<Value>> {
    let mut policies = Policies::follow(client);
    let read = async {
        loop {
            let now = policies.now();
            if now.synced {
                return Ok(now.objects.iter().map(|object| object.document.clone()).collect());
            }
            if let Some(reason) = now.failing {
                bail!("the policy objects can't be read: {reason}");
            }
            policies.changed().await;
        }
    };
    timeout(PATIENCE, read).await.map_err(|_| anyhow!("the policy objects can't be read: no answer in time"))?
}

/// A policy with what it says of itself; one that can't run is a problem, and is
/// looked at as its document stands.
fn judged(proposals: &Proposals, document: Value, problems: &mut Vec<String>) -> Option<JudgedPolicy> {
    let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let opinion = proposals.judge(document);
    problems.extend(opinion.refusal.map(|reason| format!("policy {name}: {reason}")));
    Some(JudgedPolicy { document: opinion.document?, description: opinion.description })
}

fn text(risks: &[Risk], policies: usize) -> String {
    let mut text = String::new();
    for Risk { rule, level, policy, message, help } in risks {
        let policy = policy.as_ref().map(|policy| format!("policy {policy}: ")).unwrap_or_default();
        let level = if *level == Level::Refuse { "error" } else { "warning" };
        // Writing to a String can't fail.
        let _ = writeln!(text, "{level}[{rule}]: {policy}{message}\n  = help: {help}");
    }
    let refused = risks.iter().filter(|risk| risk.level == Level::Refuse).count();
    let warned = risks.len() - refused;
    let of = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let (policies, refused) = (of(policies, "policy", "policies"), of(refused, "risk", "risks"));
    let _ = writeln!(text, "{policies} looked at: {refused} refused, {warned} warned of");
    text
}

fn json(risks: &[Risk]) -> Value {
    let risk = |risk: &Risk| {
        json!({
            "rule": risk.rule, "level": word(risk.level), "policy": risk.policy.as_ref().map(ToString::to_string),
            "message": risk.message, "help": risk.help,
        })
    };
    json!({"version": 1, "risks": risks.iter().map(risk).collect::<Vec<_>>()})
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Refuse => "refuse",
        Level::Warn => "warn",
    }
}
