//! Settings against the policy's JSON schema, before the policy itself is asked:
//! the field's path and, for an unknown one, the nearest known.

use jsonschema::error::ValidationErrorKind;
use portcullis_core::policy::{DocumentError, unknown_field};
use serde_json::Value;

/// Where settings stand in a document.
const AT: &str = "spec.settings";

/// Whether settings follow a schema. An empty schema allows all.
pub(super) fn check(schema: &Value, settings: &Value) -> Result<(), DocumentError> {
    if schema.is_null() {
        return Ok(());
    }
    let validator = jsonschema::validator_for(schema).map_err(|error| {
        DocumentError::new("spec.module", format!("has a settings schema that is no JSON schema: {error}"))
    })?;
    let Some(error) = validator.iter_errors(settings).next() else { return Ok(()) };
    let path = path(error.instance_path().as_str());
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind()
        && let Some(name) = unexpected.first()
    {
        let known = known(schema, error.schema_path().as_str());
        return Err(DocumentError::new(
            format!("{path}.{name}"),
            unknown_field(name, known.iter().map(String::as_str)),
        ));
    }
    let message = match allowed(schema, error.schema_path().as_str()) {
        Some(allowed) => format!("{} is none of {}", error.instance(), allowed.join(", ")),
        None => error.to_string(),
    };
    Err(DocumentError::new(path, message))
}

/// The values that a `oneOf` (an enum whose values have descriptions) or `enum`
/// of the schema lists; none where it is about anything else.
fn allowed(schema: &Value, schema_path: &str) -> Option<Vec<String>> {
    let alternatives = schema.pointer(schema_path)?.as_array()?;
    let is_enum = schema_path.ends_with("/enum");
    let value = |alternative: &Value| match is_enum {
        true => Some(vec![alternative.to_string()]),
        false => match (alternative.get("const"), alternative.get("enum").and_then(Value::as_array)) {
            (Some(value), _) => Some(vec![value.to_string()]),
            (None, Some(values)) => Some(values.iter().map(Value::to_string).collect()),
            (None, None) => None,
        },
    };
    alternatives.iter().map(value).collect::<Option<Vec<_>>>().map(|values| values.concat())
}

/// The properties beside an `additionalProperties` of the schema.
fn known(schema: &Value, schema_path: &str) -> Vec<String> {
    let parent = schema_path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties = schema.pointer(parent).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

/// `/classes/0/name` as `spec.settings.classes[0].name`.
fn path(pointer: &str) -> String {
    let mut path = AT.to_owned();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{step}]"));
        } else {
            path.push('.');
            path.push_str(&step);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_setting_that_does_not_fit_is_named_by_its_path() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "classes": {"type": "array", "items": {"$ref": "#/$defs/class"}},
                "replicas": {"type": "integer", "minimum": 1},
                "mode": {"oneOf": [{"const": "Strict"}, {"enum": ["Lax", "Off"]}]},
                "unit": {"enum": ["Gi", 1]},
                "either": {"oneOf": [{"type": "string"}, {"const": 1}]},
            },
            "$defs": {"class": {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": false}},
        });
        for (settings, expected) in [
            (json!({}), None),
            (json!({"classes": [{"name": "fast"}], "replicas": 3}), None),
            (json!({"replicas": 0}), Some(("spec.settings.replicas", "minimum"))),
            (json!({"mode": "Of"}), Some(("spec.settings.mode", "\"Of\" is none of \"Strict\", \"Lax\", \"Off\""))),
            (json!({"unit": 2}), Some(("spec.settings.unit", "2 is none of \"Gi\", 1"))),
            (json!({"either": 2}), Some(("spec.settings.either", "not valid under any"))),
            (json!({"classes": [{"name": 5}]}), Some(("spec.settings.classes[0].name", "string"))),
            (json!({"clases": []}), Some(("spec.settings.clases", "did you mean classes?"))),
            (json!({"classes": [{"nam": "x"}]}), Some(("spec.settings.classes[0].nam", "unknown field"))),
        ] {
            let found = check(&schema, &settings).err();
            match (found, expected) {
                (None, None) => {}
                (Some(error), Some((path, message))) => {
                    assert_eq!(error.path, path);
                    assert!(error.message.contains(message), "{error}");
                }
                (found, expected) => panic!("{settings}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn a_schema_that_is_none_is_the_modules_fault() {
        assert_eq!(check(&json!({"type": 5}), &json!({})).unwrap_err().path, "spec.module");
        assert!(check(&Value::Null, &json!({"a": 1})).is_ok());
    }
}
