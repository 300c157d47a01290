//! `portcullis explain`: why a policy or a rule exists, what breaks it, how to
//! satisfy it; and the pages of the documentation, which are made of the same.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use portcullis_core::admit::Policy;
use portcullis_core::contract::{Description, Rule};

use crate::args::{ColorChoice, ExplainArguments, ExplainFormat};
use crate::report::{self, explain, layout::Layout, pages, policies};

/// Names that differ more than this from what was typed are not what was meant (Jaro-Winkler).
const LEAST_SIMILARITY: f64 = 0.75;

/// What is explained.
#[derive(Clone, Copy)]
struct Subject<'p> {
    policy: &'p Policy,
    description: &'p Description,
    rule: Option<&'p Rule>,
}

/// Explains.
///
/// # Errors
/// A policy or rule that there is none of; policies that can't run; a folder
/// that can't be written to.
pub fn run(arguments: &ExplainArguments, color: ColorChoice) -> Result<ExitCode> {
    let loaded = super::check::load(&arguments.load.policy, arguments.load.cache.clone())?;
    let loaded: Vec<&Policy> = loaded.iter().map(AsRef::as_ref).collect();
    if let Some(folder) = &arguments.folder {
        if arguments.output != ExplainFormat::Markdown {
            bail!("--folder writes Markdown pages; say `-o markdown`");
        }
        write_pages(&loaded, folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let subjects = match &arguments.subject {
        None => loaded.iter().filter_map(|policy| whole(policy)).collect(),
        Some(subject) => vec![find(&loaded, subject)?],
    };
    let layout = Layout::of_stdout(color);
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match arguments.output {
        ExplainFormat::Json => write_json(&mut out, &subjects, arguments.all),
        ExplainFormat::Markdown => subjects.iter().try_for_each(|subject| match subject.rule {
            None => write!(out, "{}", pages::page(subject.policy, subject.description)),
            Some(rule) => write!(out, "{}", pages::rule(rule, "#")),
        }),
        ExplainFormat::Text => subjects.iter().enumerate().try_for_each(|(index, subject)| {
            if index > 0 {
                writeln!(out)?;
            }
            match subject.rule {
                None => explain::write_policy(&mut out, subject.policy, subject.description, layout),
                Some(rule) => explain::write_rule(&mut out, subject.policy, rule, layout),
            }
        }),
    };
    report::reader_left(written.and_then(|()| out.flush()))?;
    Ok(ExitCode::SUCCESS)
}

fn whole(policy: &Policy) -> Option<Subject<'_>> {
    Some(Subject { policy, description: policy.description.as_deref()?, rule: None })
}

/// Finds `policy`, `namespace/policy`, `policy/rule` or `namespace/policy/rule`.
fn find<'p>(loaded: &[&'p Policy], subject: &str) -> Result<Subject<'p>> {
    let by_name = |name: &str| {
        loaded.iter().copied().find(|policy| {
            let module_name = policy.description.as_ref().map(|description| description.name.as_str());
            policy.document.id.to_string() == name || module_name == Some(name)
        })
    };
    let (policy, rule) = match (by_name(subject), subject.rsplit_once('/')) {
        (Some(policy), _) => (policy, None),
        (None, Some((name, rule))) => match by_name(name) {
            Some(policy) => (policy, Some(rule)),
            None => return Err(unknown("policy", name, loaded.iter().map(|policy| policy.document.id.to_string()))),
        },
        (None, None) => {
            return Err(unknown("policy", subject, loaded.iter().map(|policy| policy.document.id.to_string())));
        }
    };
    let Some(subject) = whole(policy) else {
        bail!(
            "the policy {} can't be described: {}",
            policy.document.id,
            policy.evaluator.as_ref().err().cloned().unwrap_or_default()
        );
    };
    let Some(id) = rule else { return Ok(subject) };
    let rules = &subject.description.rules;
    match rules.iter().find(|rule| rule.id == id) {
        Some(rule) => Ok(Subject { rule: Some(rule), ..subject }),
        None => {
            let what = format!("rule of {}", policy.document.id);
            Err(unknown(&what, id, rules.iter().map(|rule| rule.id.clone())))
        }
    }
}

fn unknown(what: &str, name: &str, known: impl Iterator<Item = String>) -> anyhow::Error {
    let known: Vec<String> = known.collect();
    let near = known.iter().map(|known| (strsim::jaro_winkler(known, name), known));
    let nearest =
        near.filter(|(likeness, _)| *likeness >= LEAST_SIMILARITY).max_by(|one, other| one.0.total_cmp(&other.0));
    let hint = nearest.map(|(_, nearest)| format!("; did you mean {nearest}?")).unwrap_or_default();
    anyhow::anyhow!("there is no {what} {name:?}{hint}\nknown: {}", known.join(", "))
}

fn write_json(out: &mut impl Write, subjects: &[Subject<'_>], all: bool) -> io::Result<()> {
    let as_json = |subject: &Subject<'_>| match subject.rule {
        None => policies::as_json(subject.policy),
        Some(rule) => {
            let mut object = serde_json::json!(rule);
            object["policy"] = serde_json::json!(subject.policy.document.id.to_string());
            object
        }
    };
    let mut objects: Vec<serde_json::Value> = subjects.iter().map(as_json).collect();
    match objects.pop() {
        Some(only) if !all => serde_json::to_writer_pretty(&mut *out, &only)?,
        last => {
            objects.extend(last);
            serde_json::to_writer_pretty(&mut *out, &objects)?;
        }
    }
    writeln!(out)
}

/// Writes the pages; those of policies that are gone are removed.
fn write_pages(loaded: &[&Policy], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    let pages = pages::all(loaded);
    for entry in fs::read_dir(folder).with_context(|| format!("can't read the folder {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_page = fs::read_to_string(&path).is_ok_and(|text| text.starts_with(pages::MARK));
        if is_page && !pages.iter().any(|(known, _)| *known == name) {
            fs::remove_file(&path).with_context(|| format!("can't remove {}", path.display()))?;
        }
    }
    for (name, page) in pages {
        let path = folder.join(name);
        fs::write(&path, page).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}
