//! The documentation's pages, made of what policies say of themselves: one a
//! policy, and an index. `portcullis explain --all -o markdown --folder …`
//! writes them; a test holds them to the policies.

use std::fmt::Write as _;

use portcullis_core::admit::Policy;
use portcullis_core::contract::{Description, Examples, Rule};
use serde_json::Value;

use super::policies::{phase, severity};
use super::{reach, settings};
use crate::source::emit;

/// How a page begins, so that it can be told from one that somebody wrote.
pub const MARK: &str = "<!-- made by `portcullis explain --all -o markdown --folder";
/// The index's name: what code hosts show of a folder.
pub const INDEX: &str = "README.md";

/// All pages with their names, the index last.
pub fn all(policies: &[&Policy]) -> Vec<(String, String)> {
    let mut described: Vec<(&Policy, &Description)> =
        policies.iter().filter_map(|policy| Some((*policy, policy.description.as_deref()?))).collect();
    described.sort_by_key(|(policy, _)| policy.document.id.clone());
    let mut pages: Vec<(String, String)> =
        described.iter().map(|(policy, description)| (file_name(policy), page(policy, description))).collect();
    pages.push((INDEX.to_owned(), index(&described)));
    pages
}

/// The page of one policy.
pub fn page(policy: &Policy, description: &Description) -> String {
    let id = &policy.document.id;
    let mut page = mark();
    let _ = write!(page, "# {id}\n\n{}.\n\n", sentence(&description.title));
    let _ = writeln!(page, "| | |\n|---|---|");
    let mut fact = |name: &str, text: String| {
        if !text.is_empty() {
            let _ = writeln!(page, "| {name} | {} |", cell(&text));
        }
    };
    fact("Phase", phase(policy).to_owned());
    fact("Module", format!("`{}`, policy `{}` {}", policy.document.spec.module, description.name, description.version));
    let reach = &description.reach;
    let matched = reach::matched(&reach.matches).into_iter();
    fact(
        "Matches",
        matched
            .map(|(operations, names)| format!("{operations} of {}", codes(&names)))
            .collect::<Vec<_>>()
            .join("<br>"),
    );
    fact("Reads", codes(&reach::read(reach)));
    fact("Looks up", codes(&reach::looked_up(&reach.lookups)));
    let written = reach::written(reach).into_iter().map(|(kind, pointer)| format!("`{kind}` `{pointer}`"));
    fact("May write", written.collect::<Vec<_>>().join("<br>"));
    page.push_str("\n## Rules\n\n| Rule | Severity | |\n|---|---|---|\n");
    for rule in &description.rules {
        let _ = writeln!(page, "| [`{0}`](#{0}) | {1} | {2} |", rule.id, severity(rule.severity), cell(&rule.title));
    }
    page.push('\n');
    write_settings(&mut page, policy, description);
    for rule in &description.rules {
        page.push_str(&self::rule(rule, "##"));
        page.push('\n');
    }
    format!("{}\n", page.trim_end())
}

/// A rule's section.
pub fn rule(rule: &Rule, level: &str) -> String {
    let mut page = format!("{level} {}\n\n", rule.id);
    let _ = write!(page, "{}. Severity: {}.\n\n", sentence(&rule.title), severity(rule.severity));
    for (name, text) in [("Why", &rule.reason), ("How to satisfy it", &rule.remedy)] {
        if !text.is_empty() {
            let _ = write!(page, "**{name}.** {}\n\n", text.trim());
        }
    }
    if let Some(Examples { bad, good, settings, old }) = &rule.examples {
        let texts = [
            ("With these settings", settings.as_deref().unwrap_or_default()),
            ("Updated from", old.as_deref().unwrap_or_default()),
            ("Bad", bad),
            ("Good", good),
        ];
        for (name, text) in texts {
            if !text.is_empty() {
                let _ = write!(page, "{name}:\n\n{}\n\n", fenced(text));
            }
        }
    }
    if !rule.url.is_empty() {
        let _ = write!(page, "See <{}>.\n\n", rule.url);
    }
    format!("{}\n", page.trim_end())
}

fn write_settings(page: &mut String, policy: &Policy, description: &Description) {
    let rows = settings::rows(&description.settings);
    page.push_str("## Settings\n\n");
    if rows.is_empty() {
        page.push_str("None.\n\n");
        return;
    }
    page.push_str("| Setting | Type | Default | |\n|---|---|---|---|\n");
    for row in rows {
        let default = row.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            row.name,
            cell(&row.kind),
            cell(&default),
            cell(&row.description)
        );
    }
    let spec = &policy.document.spec;
    let document = serde_json::json!({
        "apiVersion": portcullis_core::policy::API_VERSION,
        "kind": "ClusterPolicy",
        "metadata": {"name": policy.document.id.name},
        "spec": {
            "module": spec.module,
            "policy": description.name,
            "settings": example_settings(&description.settings, &spec.settings),
            "validationActions": spec.validation_actions,
        },
    });
    let _ = write!(
        page,
        "\nA policy document with its settings:\n\n{}\n\n",
        fenced(&emit::document(&document.to_string()))
    );
}

/// The settings of the loaded document, or the defaults of those on the first level.
fn example_settings(schema: &Value, loaded: &Value) -> Value {
    if loaded.as_object().is_some_and(|settings| !settings.is_empty()) {
        return loaded.clone();
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let defaults = properties.into_iter().flatten().filter_map(|(name, property)| {
        let default = property.get("default").filter(|default| !default.is_null())?;
        Some((name.clone(), default.clone()))
    });
    Value::Object(defaults.collect())
}

fn index(described: &[(&Policy, &Description)]) -> String {
    let mut page = mark();
    page.push_str("# Policies\n\nWhat is built in, described by the policies themselves.\n\n");
    page.push_str("| Policy | Phase | What it does | Rules |\n|---|---|---|---|\n");
    for (policy, description) in described {
        let rules: Vec<String> =
            description.rules.iter().map(|rule| format!("[`{0}`]({1}#{0})", rule.id, file_name(policy))).collect();
        let _ = writeln!(
            page,
            "| [`{}`]({}) | {} | {} | {} |",
            policy.document.id,
            file_name(policy),
            phase(policy),
            cell(&description.title),
            rules.join(", ")
        );
    }
    page
}

fn mark() -> String {
    format!("{MARK} docs/policies`; change the policy, not this page -->\n\n")
}

fn file_name(policy: &Policy) -> String {
    format!("{}.md", policy.document.id.to_string().replace('/', "."))
}

/// A YAML text between fences that it doesn't hold itself.
fn fenced(text: &str) -> String {
    let longest = text.lines().filter_map(|line| line.trim_start().strip_prefix("```")).count();
    let fence = "`".repeat(if longest > 0 { 4 } else { 3 });
    format!("{fence}yaml\n{}\n{fence}", text.trim_end())
}

fn codes(names: &[String]) -> String {
    let code = |name: &String| match name.split_once(" (") {
        Some((name, note)) => format!("`{name}` ({note}"),
        None => format!("`{name}`"),
    };
    names.iter().map(code).collect::<Vec<_>>().join(", ")
}

/// With a capital, as a sentence of its own.
fn sentence(title: &str) -> String {
    let mut characters = title.trim_end_matches('.').chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// Text in a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
