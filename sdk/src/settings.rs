//! What an administrator may set: read strictly, with the place of what is wrong.
//!
//! A misspelt setting that is ignored is a policy that silently does less, so
//! an unknown field is an error that names the nearest known one. The known
//! names come from the settings' JSON schema, which is derived from the same struct.

use std::collections::BTreeSet;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::path::FieldPath;
use crate::read::from_value;

/// The settings of a policy. Derive `Default`, `serde::Deserialize` and
/// `schemars::JsonSchema`, with `#[serde(rename_all = "camelCase", default)]`.
pub trait Settings: DeserializeOwned + JsonSchema + Default + 'static {
    /// What the types can't say: ranges, names that must agree. Called once, at load.
    fn validate(&self, findings: &mut SettingsFindings) {
        let _ = findings;
    }
}

/// The settings of a policy that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(default)]
pub struct NoSettings {}

impl Settings for NoSettings {}

/// One setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFinding {
    /// The field: `classes[0].name`.
    pub path: FieldPath,
    /// What is wrong and what would be right.
    pub message: String,
}

/// What is wrong with settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsFindings(pub Vec<SettingsFinding>);

impl SettingsFindings {
    /// This field is wrong.
    pub fn add(&mut self, path: FieldPath, message: impl Into<String>) {
        self.0.push(SettingsFinding { path, message: message.into() });
    }
}

/// The JSON schema of `S`, with its definitions inside.
#[must_use]
pub fn schema_of<S: Settings>() -> Value {
    SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<S>().to_value()
}

/// Reads settings strictly.
///
/// # Errors
/// What is wrong: fields that the schema doesn't know, values of the wrong
/// shape, and what `Settings::validate` finds.
pub(crate) fn parse<S: Settings>(json: &str) -> Result<S, SettingsFindings> {
    let mut findings = SettingsFindings::default();
    let value: Value = serde_json::from_str(json).map_err(|error| {
        SettingsFindings(vec![SettingsFinding {
            path: FieldPath::root(),
            message: format!("the settings aren't JSON: {error}"),
        }])
    })?;
    // A document without settings has none.
    let value = if value.is_null() { Value::Object(serde_json::Map::new()) } else { value };
    let schema = schema_of::<S>();
    find_unknown(&[&schema], &schema, &value, &FieldPath::root(), &mut findings);
    if !findings.0.is_empty() {
        return Err(findings);
    }
    match from_value::<S>(&value) {
        Ok(settings) => {
            settings.validate(&mut findings);
            if findings.0.is_empty() { Ok(settings) } else { Err(findings) }
        }
        Err(malformed) => {
            findings.add(malformed.path, malformed.message);
            Err(findings)
        }
    }
}

/// Finds members that none of the schemas (alternatives for one value) knows.
fn find_unknown(schemas: &[&Value], root: &Value, value: &Value, path: &FieldPath, findings: &mut SettingsFindings) {
    let mut branches = Vec::new();
    for schema in schemas {
        expand(schema, root, &mut branches);
    }
    match value {
        Value::Object(members) => {
            let known: BTreeSet<&str> = branches
                .iter()
                .filter_map(|branch| branch["properties"].as_object())
                .flat_map(|properties| properties.keys())
                .map(String::as_str)
                .collect();
            let open = branches.iter().any(|branch| is_open(branch))
                || !branches.iter().any(|branch| branch["type"] == "object");
            for (name, member) in members {
                let below: Vec<&Value> = branches
                    .iter()
                    .filter_map(|branch| branch["properties"].get(name).or_else(|| branch.get("additionalProperties")))
                    .collect();
                if known.contains(name.as_str()) {
                    find_unknown(&below, root, member, &path.field(name), findings);
                } else if open {
                    find_unknown(&below, root, member, &path.key(name), findings);
                } else {
                    findings.add(path.field(name), unknown_field(name, &known));
                }
            }
        }
        Value::Array(elements) => {
            let below: Vec<&Value> = branches.iter().filter_map(|branch| branch.get("items")).collect();
            for (index, element) in elements.iter().enumerate() {
                find_unknown(&below, root, element, &path.index(index), findings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schemas that a schema stands for: itself, what it refers to, and its alternatives.
fn expand<'a>(schema: &'a Value, root: &'a Value, branches: &mut Vec<&'a Value>) {
    if branches.iter().any(|branch| std::ptr::eq(*branch, schema)) {
        return;
    }
    branches.push(schema);
    let reference = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    if let Some(target) = reference.and_then(|pointer| root.pointer(pointer)) {
        expand(target, root, branches);
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        for alternative in schema[word].as_array().into_iter().flatten() {
            expand(alternative, root, branches);
        }
    }
}

/// Whether a schema takes members of any name: a map's does.
fn is_open(schema: &Value) -> bool {
    schema.get("additionalProperties").is_some_and(|additional| *additional != Value::Bool(false))
}

fn unknown_field(name: &str, known: &BTreeSet<&str>) -> String {
    /// Below this likeness a guess misleads more than it helps.
    const LIKE_ENOUGH: f64 = 0.7;
    let nearest = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .max_by(|one, two| one.0.total_cmp(&two.0));
    match nearest {
        Some((likeness, candidate)) if likeness >= LIKE_ENOUGH => {
            format!("unknown field `{name}`; did you mean `{candidate}`?")
        }
        _ => format!(
            "unknown field `{name}`; known are {}",
            known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}
