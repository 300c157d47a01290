//! What an API server can say of a document before anything of ours sees it:
//! the parts of the custom resources' schema that types alone don't tell.
//!
//! The words are Kubernetes' structural schemas
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>).
//! A rule is written in CEL where a pattern's message would not teach. Every
//! list and text has a largest size, because the API server adds up what a rule
//! can cost at worst and refuses a definition that costs too much.
//!
//! Invariant: what this refuses, `PolicyDocument::from_json` or the loading of
//! the policy refuses as well; a file and an object mean the same.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::contract::MatchRule;

/// Rules of one list of `resourceRules`: more than any kind of policy has.
const MAX_RULES: usize = 64;
/// Names in one list of a rule, a selector or an exclusion.
const MAX_NAMES: usize = 128;
/// Conditions in `where`, and in a selector.
const MAX_CONDITIONS: usize = 32;
/// Bytes of a module's name: a path, or a reference with its digest.
const MAX_MODULE: usize = 1024;
/// Bytes of a JSONPath.
const MAX_PATH: usize = 1024;
/// Bytes of a name: a DNS subdomain's 253; a user's may be longer.
const MAX_NAME: usize = 256;
/// Bytes of a label's key: a prefix of 253, a slash, a name of 63.
const MAX_LABEL_KEY: usize = 317;
/// Bytes of a label's value.
const MAX_LABEL_VALUE: usize = 63;
/// Bytes of a duration or an amount of memory.
const MAX_QUANTITY: usize = 32;

pub(super) fn module(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": MAX_MODULE,
        "x-kubernetes-validations": [
            {
                "rule": "self.matches('^builtin/.+$') || self.endsWith('.wasm') || self.startsWith('oci://')",
                "message": "name builtin/NAME for a module of the binary, or a file of the mounted folder such as ./policy.wasm",
            },
        ],
    })
}

pub(super) fn policy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_NAME})
}

pub(super) fn settings(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

pub(super) fn validation_actions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": generator.subschema_for::<super::ValidationAction>(),
        "maxItems": 3,
        "x-kubernetes-list-type": "set",
        "x-kubernetes-validations": [
            {
                "rule": "size(self) > 0",
                "message": "is empty; name at least one of Deny, Warn, Audit",
            },
            {
                "rule": "!('Deny' in self && 'Warn' in self)",
                "message": "has both Deny and Warn, which says the same thing twice (as in ValidatingAdmissionPolicyBinding)",
            },
        ],
    })
}

pub(super) fn timeout(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": MAX_QUANTITY,
        "x-kubernetes-validations": [
            {
                "rule": format!("self.matches({DURATION:?})"),
                "message": "is no duration; write 200ms, 1s or 1.5s",
            },
            {
                "rule": format!(
                    "!self.matches({DURATION:?}) || (duration(self) > duration('0s') && duration(self) <= duration('{}s'))",
                    super::MAX_TIMEOUT.as_secs()
                ),
                "message": format!("it lies between 1ms and {}s", super::MAX_TIMEOUT.as_secs()),
            },
        ],
    })
}

/// What `units::duration` reads, and CEL's `duration` too.
const DURATION: &str = "^(([0-9]+([.][0-9]*)?|[.][0-9]+)(h|m|s|ms|us))+$";

pub(super) fn memory(_: &mut SchemaGenerator) -> Schema {
    let (least, most) = (super::MIN_MEMORY, super::MAX_MEMORY);
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": MAX_QUANTITY,
        "x-kubernetes-validations": [
            {
                "rule": format!("type(self) == int || self.matches({MEMORY:?})"),
                "message": "is no amount of memory; write 64Mi",
            },
            {
                "rule": format!(
                    "type(self) == int ? (self >= {least} && self <= {most}) : (!self.matches({MEMORY:?}) \
                     || (quantity(self).compareTo(quantity('{least}')) >= 0 \
                     && quantity(self).compareTo(quantity('{most}')) <= 0))"
                ),
                "message": format!("it lies between {}Mi and {}Mi", least >> 20, most >> 20),
            },
        ],
    })
}

/// What `units::memory` reads.
const MEMORY: &str = "^[0-9]+(Ki|Mi|Gi|k|M|G)?$";

pub(super) fn resource_rules(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": generator.subschema_for::<MatchRule>(),
        "maxItems": MAX_RULES,
        "x-kubernetes-list-type": "atomic",
    })
}

pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "string",
            "maxLength": MAX_PATH,
            "x-kubernetes-validations": [
                {"rule": "self.startsWith('$')", "message": "is no JSONPath (RFC 9535); write $.spec.replicas"},
            ],
        },
        "maxItems": MAX_CONDITIONS,
        "x-kubernetes-list-type": "atomic",
    })
}

pub(super) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    names(
        json_schema!({
            "type": "string",
            "maxLength": 63,
            "x-kubernetes-validations": [
                {"rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')", "message": "is no namespace's name; patterns aren't known here"},
            ],
        }),
        "set",
    )
}

pub(super) fn service_accounts(_: &mut SchemaGenerator) -> Schema {
    names(
        json_schema!({
            "type": "string",
            "maxLength": 317,
            "x-kubernetes-validations": [
                {"rule": "self.matches('^[^/]+/[^/]+$')", "message": "is no service account; write namespace/name"},
            ],
        }),
        "set",
    )
}

pub(super) fn subjects(_: &mut SchemaGenerator) -> Schema {
    names(json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_NAME}), "set")
}

/// Groups, versions or resources of a rule.
pub(crate) fn rule_names(_: &mut SchemaGenerator) -> Schema {
    let mut schema = names(json_schema!({"type": "string", "maxLength": MAX_NAME}), "atomic");
    schema.insert("minItems".to_owned(), 1.into());
    schema
}

/// Operations of a rule.
pub(crate) fn operations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {"type": "string", "enum": ["CREATE", "UPDATE", "DELETE", "CONNECT", "*"]},
        "minItems": 1,
        "maxItems": 5,
        "x-kubernetes-list-type": "atomic",
    })
}

pub(super) fn match_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": MAX_LABEL_VALUE},
        "maxProperties": MAX_CONDITIONS,
    })
}

pub(super) fn match_expressions(generator: &mut SchemaGenerator) -> Schema {
    let mut requirement = generator.subschema_for::<super::LabelRequirement>();
    requirement.insert(
        "x-kubernetes-validations".to_owned(),
        serde_json::json!([
            {
                "rule": "!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)",
                "message": "In and NotIn need values",
            },
            {
                "rule": "!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0",
                "message": "Exists and DoesNotExist take no values",
            },
        ]),
    );
    json_schema!({
        "type": "array",
        "items": requirement,
        "maxItems": MAX_CONDITIONS,
        "x-kubernetes-list-type": "atomic",
    })
}

pub(super) fn label_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_LABEL_KEY})
}

pub(super) fn label_values(_: &mut SchemaGenerator) -> Schema {
    names(json_schema!({"type": "string", "maxLength": MAX_LABEL_VALUE}), "atomic")
}

fn names(item: Schema, list_type: &str) -> Schema {
    json_schema!({
        "type": "array",
        "items": item,
        "maxItems": MAX_NAMES,
        "x-kubernetes-list-type": list_type,
    })
}
