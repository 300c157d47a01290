//! Three small policies in one module, written against the contract with
//! wit-bindgen and nothing of the SDK.
//!
//! Its component is committed as `minimal-0.1.0.wasm` beside this folder and
//! run by a test: the host must go on speaking to binaries that were built long
//! ago, by other tools. So nothing here may follow what the SDK does.
//!
//! | policy | phase | does |
//! |---|---|---|
//! | `require-label` | validating | denies a ConfigMap without the label that its setting names |
//! | `set-label` | mutating | adds the label `minimal=true` to a ConfigMap where it is absent |
//! | `known-class` | validating | looks up a claim's StorageClass: absent is denied, unknown is undecided |

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

mod bindings {
    //! What wit-bindgen makes of the contract.
    wit_bindgen::generate!({
        path: "../../../sdk/wit",
        world: "policy",
    });
}

use bindings::portcullis::policy::cluster::{self, Answer, ObjectName};
use bindings::portcullis::policy::types::{
    Configuration, Configured, Edit, Located, Operation, Request, Review, SettingsFinding,
};

/// The label that `require-label` asks for where its settings name none.
const DEFAULT_LABEL: &str = "owner";

/// A policy of this module with its settings, parsed.
#[derive(Clone)]
enum Policy {
    RequireLabel { label: String },
    SetLabel,
    KnownClass,
}

thread_local! {
    /// What `configure` was told, by the host's id. A host that takes no
    /// snapshot calls `configure` in each fresh instance.
    static CONFIGURED: RefCell<BTreeMap<u32, Policy>> = const { RefCell::new(BTreeMap::new()) };
}

struct Minimal;

bindings::export!(Minimal with_types_in bindings);

impl bindings::Guest for Minimal {
    fn describe() -> Vec<String> {
        ["require-label", "set-label", "known-class"].map(|name| describe(name).to_string()).into()
    }

    fn configure(configurations: Vec<Configuration>) -> Result<Vec<Configured>, Vec<SettingsFinding>> {
        let mut configured = Vec::new();
        let mut findings = Vec::new();
        for configuration in configurations {
            match parse(&configuration) {
                Ok(policy) => {
                    CONFIGURED.with_borrow_mut(|all| all.insert(configuration.id, policy));
                    configured.push(Configured {
                        id: configuration.id,
                        description: describe(&configuration.policy).to_string(),
                    });
                }
                Err((path, message)) => findings.push(SettingsFinding {
                    id: configuration.id,
                    finding: json!({"path": path, "message": message}).to_string(),
                }),
            }
        }
        if findings.is_empty() { Ok(configured) } else { Err(findings) }
    }

    fn review(ids: Vec<u32>, request: Request) -> Vec<Review> {
        let object: Value =
            request.object.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_default());
        ids.iter()
            .map(|id| {
                let policy = CONFIGURED
                    .with_borrow(|all| all.get(id).cloned())
                    .expect("the host only passes ids that it configured");
                match policy {
                    _ if request.operation == Operation::Delete => answer(Vec::new(), Vec::new()),
                    Policy::RequireLabel { label } => require_label(&object, &label),
                    Policy::SetLabel => set_label(&object),
                    Policy::KnownClass => known_class(&object),
                }
            })
            .collect()
    }
}

fn parse(configuration: &Configuration) -> Result<Policy, (&'static str, String)> {
    let settings: Value = serde_json::from_str(&configuration.settings)
        .map_err(|error| ("", format!("settings are not JSON: {error}")))?;
    match configuration.policy.as_str() {
        "require-label" => match &settings["label"] {
            Value::Null => Ok(Policy::RequireLabel { label: DEFAULT_LABEL.into() }),
            Value::String(label) if !label.is_empty() => Ok(Policy::RequireLabel { label: label.clone() }),
            other => Err(("label", format!("must be the name of a label, not {other}"))),
        },
        "set-label" => Ok(Policy::SetLabel),
        "known-class" => Ok(Policy::KnownClass),
        other => Err(("", format!("this module has no policy `{other}`"))),
    }
}

fn require_label(object: &Value, label: &str) -> Review {
    if object["metadata"]["labels"][label].is_string() {
        return answer(Vec::new(), Vec::new());
    }
    let finding = json!({
        "rule": "label-missing",
        "level": "deny",
        "message": format!("the label `{label}` is missing"),
        "path": "metadata.labels",
        "subject": format!("label={label}"),
        "value": label,
        "fix": {"text": format!("add the label `{label}`")},
    });
    answer(vec![finding], Vec::new())
}

fn set_label(object: &Value) -> Review {
    if !object["metadata"]["labels"]["minimal"].is_null() {
        return answer(Vec::new(), Vec::new());
    }
    let edit = Edit::Add(Located { pointer: "/metadata/labels/minimal".into(), value: "\"true\"".into() });
    answer(Vec::new(), vec![edit])
}

fn known_class(object: &Value) -> Review {
    let Some(class) = object["spec"]["storageClassName"].as_str() else {
        return answer(Vec::new(), Vec::new());
    };
    let looked_up = cluster::get(&ObjectName {
        api_version: "storage.k8s.io/v1".into(),
        kind: "StorageClass".into(),
        namespace: None,
        name: class.into(),
    });
    let (level, message) = match looked_up {
        Answer::Found(found) => {
            let provisioner = serde_json::from_str::<Value>(&found)
                .ok()
                .and_then(|class| class["provisioner"].as_str().map(str::to_owned))
                .unwrap_or_default();
            let mut review = answer(Vec::new(), Vec::new());
            review.audit_annotations = vec![("provisioner".into(), provisioner)];
            return review;
        }
        Answer::Absent => ("deny", format!("there is no StorageClass `{class}`")),
        Answer::Unknown(reason) => {
            ("undecided", format!("whether there is a StorageClass `{class}` is not known: {reason}"))
        }
    };
    let finding = json!({
        "rule": "class-absent",
        "level": level,
        "message": message,
        "path": "spec.storageClassName",
        "subject": "claim",
        "value": class,
    });
    answer(vec![finding], Vec::new())
}

fn answer(findings: Vec<Value>, edits: Vec<Edit>) -> Review {
    Review {
        findings: findings.iter().map(Value::to_string).collect(),
        edits,
        audit_annotations: Vec::new(),
        extra: None,
    }
}

fn describe(name: &str) -> Value {
    let (phase, title, rules, settings) = match name {
        "require-label" => (
            "validating",
            "A ConfigMap carries a label",
            json!([rule("label-missing", "the label is missing", "who owns a ConfigMap must be known")]),
            json!({"type": "object", "additionalProperties": false,
                   "properties": {"label": {"type": "string", "minLength": 1, "default": DEFAULT_LABEL}}}),
        ),
        "set-label" => {
            ("mutating", "A ConfigMap is labelled", json!([]), json!({"type": "object", "additionalProperties": false}))
        }
        _ => (
            "validating",
            "A claim names a StorageClass that is there",
            json!([rule(
                "class-absent",
                "the StorageClass is absent",
                "a claim of a class that is absent stays pending"
            )]),
            json!({"type": "object", "additionalProperties": false}),
        ),
    };
    json!({
        "name": name,
        "version": "0.1.0",
        "title": title,
        "phase": phase,
        "rules": rules,
        "settings": settings,
        "reach": reach(name),
        "samples": samples(name),
    })
}

fn rule(id: &str, title: &str, reason: &str) -> Value {
    json!({"id": id, "severity": "low", "title": title, "reason": reason})
}

fn reach(name: &str) -> Value {
    let (resource, api_version, kind) = match name {
        "known-class" => ("persistentvolumeclaims", "v1", "PersistentVolumeClaim"),
        _ => ("configmaps", "v1", "ConfigMap"),
    };
    let object = match name {
        "known-class" => json!({"fields": {"spec": {"fields": {"storageClassName": "value"}}}}),
        _ => json!({"fields": {"metadata": {"fields": {"labels": "value"}}}}),
    };
    let lookups = match name {
        "known-class" => json!([{
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "fields": {"fields": {"provisioner": "value"}},
            "verbs": ["get"], "keys": [], "optional": false,
        }]),
        _ => json!([]),
    };
    let writes = match name {
        "set-label" => {
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "pointers": ["/metadata/labels/minimal"]}])
        }
        _ => json!([]),
    };
    json!({
        "matches": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": [resource],
                     "operations": ["CREATE", "UPDATE"], "scope": "Namespaced"}],
        "reads": [{"apiVersion": api_version, "kind": kind, "object": object}],
        "lookups": lookups,
        "writes": writes,
    })
}

fn samples(name: &str) -> Value {
    match name {
        "known-class" => json!([{
            "operation": "CREATE",
            "object": {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                       "metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}},
            "attributes": {"origin": "admission"},
            "cluster": [{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                         "metadata": {"name": "fast"}, "provisioner": "example.com/disk"}],
        }]),
        _ => json!([{
            "operation": "CREATE",
            "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
            "attributes": {"origin": "admission"},
            "cluster": [],
        }]),
    }
}
