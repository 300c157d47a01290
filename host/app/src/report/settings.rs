//! A policy's settings as rows, read from the JSON schema that it describes
//! them with: `exemption.label`, its type in words, its default, what it is for.

use serde_json::Value;

/// Levels of settings inside settings; deeper ones keep to their parent's row.
const MAX_LEVELS: usize = 4;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `exemption.label`, `dataStores[].name`.
    pub name: String,
    /// `text`, `list of text`, `one of A, B`.
    pub kind: String,
    /// As JSON; none where there is none.
    pub default: Option<String>,
    /// What it is for.
    pub description: String,
}

/// The rows of a schema, in its order.
pub fn rows(schema: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    below(schema, schema, "", 0, &mut rows);
    rows
}

fn below(root: &Value, schema: &Value, prefix: &str, level: usize, rows: &mut Vec<Row>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|_| level < MAX_LEVELS) else {
        return;
    };
    let required = schema.get("required").and_then(Value::as_array);
    for (name, property) in properties {
        let full = format!("{prefix}{name}");
        let resolved = resolve(root, property);
        let is_required = required.is_some_and(|required| required.iter().any(|field| field == name));
        let default = property.get("default").or(resolved.get("default")).filter(|default| !default.is_null());
        let description =
            [property, resolved].iter().find_map(|schema| schema.get("description").and_then(Value::as_str));
        rows.push(Row {
            kind: format!("{}{}", kind(root, property), if is_required { ", required" } else { "" }),
            default: default.map(ToString::to_string),
            description: paragraph(description.unwrap_or_default()),
            name: full.clone(),
        });
        let item = resolved.get("items").map(|items| resolve(root, items));
        let value = resolved
            .get("additionalProperties")
            .filter(|schema| schema.is_object())
            .map(|schema| resolve(root, schema));
        below(root, resolved, &format!("{full}."), level + 1, rows);
        if let Some(item) = item {
            below(root, item, &format!("{full}[]."), level + 1, rows);
        }
        if let Some(value) = value {
            below(root, value, &format!("{full}.*."), level + 1, rows);
        }
    }
}

/// What a `$ref` names, or the one of several that isn't null.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut schema = schema;
    // A reference to a reference to itself has no end.
    for _ in 0..8 {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let Some(found) = root.pointer(reference.trim_start_matches('#')) else { break };
            schema = found;
        } else if let Some(only) = not_null(schema) {
            schema = only;
        } else {
            break;
        }
    }
    schema
}

fn not_null(schema: &Value) -> Option<&Value> {
    let any = schema.get("anyOf").and_then(Value::as_array)?;
    let mut some = any.iter().filter(|schema| schema.get("type").is_none_or(|kind| kind != "null"));
    some.next().filter(|_| some.next().is_none())
}

fn kind(root: &Value, schema: &Value) -> String {
    let schema = resolve(root, schema);
    if let Some(values) = constants(schema) {
        return format!("one of {}", values.join(", "));
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect(),
        _ => Vec::new(),
    };
    let named = kinds.iter().map(|kind| match *kind {
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format!("text ({format})"),
            None => "text".to_owned(),
        },
        "boolean" => "true or false".to_owned(),
        "integer" => format!("whole number{}", bounds(schema)),
        "number" => format!("number{}", bounds(schema)),
        "array" => match schema.get("items") {
            Some(items) => format!("list of {}", kind_of_items(root, items)),
            None => "list".to_owned(),
        },
        "object" => match schema.get("additionalProperties").filter(|value| value.is_object()) {
            Some(value) => format!("map to {}", kind_of_items(root, value)),
            None => "object".to_owned(),
        },
        other => other.to_owned(),
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() { "any".to_owned() } else { named.join(" or ") }
}

fn kind_of_items(root: &Value, schema: &Value) -> String {
    match kind(root, schema) {
        kind if kind == "object" => "objects".to_owned(),
        kind => kind,
    }
}

fn constants(schema: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().map(text).collect());
    }
    let variants = schema.get("oneOf").and_then(Value::as_array)?;
    let mut values = Vec::new();
    for variant in variants {
        match (variant.get("const"), variant.get("enum").and_then(Value::as_array)) {
            (Some(value), _) => values.push(text(value)),
            (None, Some(several)) => values.extend(several.iter().map(text)),
            (None, None) => return None,
        }
    }
    Some(values)
}

fn bounds(schema: &Value) -> String {
    let bound = |name: &str| schema.get(name).filter(|bound| bound.is_number()).map(ToString::to_string);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" from {least} on"),
        (None, Some(most)) => format!(" up to {most}"),
        (None, None) => String::new(),
    }
}

/// The first paragraph, in one line: what follows is for those who read the code.
fn paragraph(text: &str) -> String {
    let first = text.split("\n\n").next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_say_type_default_and_purpose_of_settings_at_every_level() {
        let schema = json!({
            "$defs": {
                "Store": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "description": "Its\nname.\n\nMore."}}},
                "Mode": {"oneOf": [{"const": "A"}, {"const": "B"}]},
            },
            "properties": {
                "class": {"type": ["string", "null"], "default": null, "description": "A class."},
                "stores": {"type": "array", "items": {"$ref": "#/$defs/Store"}, "description": "Stores."},
                "mode": {"anyOf": [{"$ref": "#/$defs/Mode"}, {"type": "null"}], "default": "A"},
                "limits": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}, "default": {"a": 2}},
            },
        });
        let found: Vec<String> = rows(&schema)
            .into_iter()
            .map(|row| {
                format!("{} | {} | {} | {}", row.name, row.kind, row.default.unwrap_or_default(), row.description)
            })
            .collect();
        assert_eq!(
            found,
            [
                "class | text |  | A class.",
                "limits | map to whole number from 1 on | {\"a\":2} | ",
                "mode | one of A, B | \"A\" | ",
                "stores | list of objects |  | Stores.",
                "stores[].name | text, required |  | Its name.",
            ]
        );
    }
}
