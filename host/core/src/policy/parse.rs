//! Reading a document: every field known, every value possible, and otherwise a
//! message that says where, what, and what would be right.

use super::{
    API_VERSION, FailurePolicy, MAX_MEMORY, MAX_TIMEOUT, MIN_MEMORY, PolicyDocument, PolicyId, PolicySpec,
    ValidationAction,
};

/// A document that can't be used: where, what is wrong, what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct DocumentError {
    /// `spec.match.exclude.namespaces`; `metadata.name`.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl PolicyDocument {
    /// Whether a JSON document is one of ours, by its apiVersion's group.
    pub fn is_policy(document: &serde_json::Value) -> bool {
        let group = API_VERSION.split('/').next().unwrap_or(API_VERSION);
        document
            .get("apiVersion")
            .and_then(serde_json::Value::as_str)
            .is_some_and(|version| version.split('/').next() == Some(group))
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Says which field is wrong, and for an unknown one the nearest known.
    pub fn from_json(document: &serde_json::Value) -> Result<PolicyDocument, DocumentError> {
        let text = |path: &[&str]| {
            let mut value = Some(document);
            for key in path {
                value = value.and_then(|value| value.get(*key));
            }
            value.and_then(serde_json::Value::as_str)
        };
        match text(&["apiVersion"]) {
            Some(API_VERSION) => {}
            other => {
                return Err(DocumentError::new(
                    "apiVersion",
                    format!("is {:?}; this version of Portcullis reads {API_VERSION}", other.unwrap_or_default()),
                ));
            }
        }
        let namespaced = match text(&["kind"]) {
            Some("ClusterPolicy") => false,
            Some("Policy") => true,
            other => {
                return Err(DocumentError::new(
                    "kind",
                    format!("is {:?}; known kinds are ClusterPolicy and Policy", other.unwrap_or_default()),
                ));
            }
        };
        known_fields(document, "", &TOP)?;
        let name = text(&["metadata", "name"]).unwrap_or_default();
        dns_label("metadata.name", name)?;
        let namespace = text(&["metadata", "namespace"]);
        let namespace = match (namespaced, namespace) {
            (true, Some(namespace)) => {
                dns_label("metadata.namespace", namespace)?;
                Some(namespace.to_owned())
            }
            (true, None) => {
                return Err(DocumentError::new(
                    "metadata.namespace",
                    "is missing; a Policy judges one namespace, a ClusterPolicy all".to_owned(),
                ));
            }
            (false, Some(_)) => {
                return Err(DocumentError::new(
                    "metadata.namespace",
                    "is set; a ClusterPolicy has none (a Policy judges one namespace)".to_owned(),
                ));
            }
            (false, None) => None,
        };
        let spec = document
            .get("spec")
            .ok_or_else(|| DocumentError::new("spec", "is missing; it names at least a module".to_owned()))?;
        let spec: PolicySpec = serde_path_to_error::deserialize(spec).map_err(|error| {
            let path = match error.path().to_string() {
                path if path == "." => "spec".to_owned(),
                path => format!("spec.{path}"),
            };
            DocumentError { path, message: error.inner().to_string() }
        })?;
        spec.check()?;
        if namespace.is_some() && spec.fail_closed_cluster_scoped {
            return Err(DocumentError::new(
                "spec.failClosedClusterScoped",
                "belongs to a ClusterPolicy; a Policy judges its own namespace, where nothing is cluster-scoped",
            ));
        }
        Ok(PolicyDocument { id: PolicyId { namespace, name: name.to_owned() }, spec })
    }
}

impl PolicySpec {
    fn check(&self) -> Result<(), DocumentError> {
        if self.module.is_empty() {
            return Err(DocumentError::new(
                "spec.module",
                "is empty; name builtin/NAME or a path to a .wasm file".to_owned(),
            ));
        }
        if !self.settings.is_object() {
            return Err(DocumentError::new("spec.settings", "is not an object".to_owned()));
        }
        if self.validation_actions.is_empty() {
            return Err(DocumentError::new(
                "spec.validationActions",
                "is empty; name at least one of Deny, Warn, Audit".to_owned(),
            ));
        }
        if self.validation_actions.contains(&ValidationAction::Deny)
            && self.validation_actions.contains(&ValidationAction::Warn)
        {
            return Err(DocumentError::new(
                "spec.validationActions",
                "has both Deny and Warn, which says the same thing twice (as in ValidatingAdmissionPolicyBinding)"
                    .to_owned(),
            ));
        }
        if let Some(twice) = twice(&self.validation_actions) {
            return Err(DocumentError::new("spec.validationActions", format!("names {twice:?} twice")));
        }
        let accounts = &self.matching.exclude.service_accounts;
        if let Some((index, account)) = accounts.iter().enumerate().find(|(_, account)| !is_account(account)) {
            return Err(DocumentError::new(
                format!("spec.match.exclude.serviceAccounts[{index}]"),
                format!("is {account:?}; write namespace/name"),
            ));
        }
        if self.fail_closed_cluster_scoped && self.failure_policy == FailurePolicy::Ignore {
            return Err(DocumentError::new(
                "spec.failClosedClusterScoped",
                "says nothing under failurePolicy Ignore, which lets pass what no replica judges; leave it out, or write Fail",
            ));
        }
        if self.timeout.is_zero() || self.timeout > MAX_TIMEOUT {
            return Err(DocumentError::new(
                "spec.timeout",
                format!("is {} ms; it lies between 1ms and {}s", self.timeout.as_millis(), MAX_TIMEOUT.as_secs()),
            ));
        }
        if self.memory < MIN_MEMORY || self.memory > MAX_MEMORY {
            return Err(DocumentError::new(
                "spec.memory",
                format!("is {} bytes; it lies between 1Mi and {}Mi", self.memory, MAX_MEMORY >> 20),
            ));
        }
        Ok(())
    }
}

fn twice(actions: &[ValidationAction]) -> Option<ValidationAction> {
    let before = |index: usize| actions.iter().take(index);
    actions
        .iter()
        .enumerate()
        .find(|(index, action)| before(*index).any(|other| other == *action))
        .map(|(_, action)| *action)
}

/// `namespace/name`.
fn is_account(account: &str) -> bool {
    let parts: Vec<&str> = account.split('/').collect();
    parts.len() == 2 && parts.iter().all(|part| !part.is_empty())
}

impl DocumentError {
    /// Says what is wrong where.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> DocumentError {
        DocumentError { path: path.into(), message: message.into() }
    }
}

/// The fields of an object, each with its own.
struct Fields(&'static [(&'static str, Inner)]);

/// What a field holds, as far as its names are checked.
enum Inner {
    Any,
    One(&'static Fields),
    Each(&'static Fields),
}

static TOP: Fields = Fields(&[
    ("apiVersion", Inner::Any),
    ("kind", Inner::Any),
    ("metadata", Inner::Any),
    ("spec", Inner::One(&SPEC)),
    ("status", Inner::Any),
]);
static SPEC: Fields = Fields(&[
    ("module", Inner::Any),
    ("policy", Inner::Any),
    ("settings", Inner::Any),
    ("validationActions", Inner::Any),
    ("failurePolicy", Inner::Any),
    ("failClosedClusterScoped", Inner::Any),
    ("onUndecided", Inner::Any),
    ("order", Inner::Any),
    ("timeout", Inner::Any),
    ("memory", Inner::Any),
    ("match", Inner::One(&MATCH)),
]);
static MATCH: Fields = Fields(&[
    ("resourceRules", Inner::Each(&RULE)),
    ("namespaceSelector", Inner::One(&SELECTOR)),
    ("objectSelector", Inner::One(&SELECTOR)),
    ("exclude", Inner::One(&EXCLUDE)),
    ("where", Inner::Any),
]);
static RULE: Fields = Fields(&[
    ("apiGroups", Inner::Any),
    ("apiVersions", Inner::Any),
    ("resources", Inner::Any),
    ("operations", Inner::Any),
    ("scope", Inner::Any),
]);
static SELECTOR: Fields = Fields(&[("matchLabels", Inner::Any), ("matchExpressions", Inner::Each(&REQUIREMENT))]);
static REQUIREMENT: Fields = Fields(&[("key", Inner::Any), ("operator", Inner::Any), ("values", Inner::Any)]);
static EXCLUDE: Fields = Fields(&[
    ("namespaces", Inner::Any),
    ("users", Inner::Any),
    ("groups", Inner::Any),
    ("serviceAccounts", Inner::Any),
]);

fn known_fields(value: &serde_json::Value, path: &str, fields: &Fields) -> Result<(), DocumentError> {
    let Some(object) = value.as_object() else { return Ok(()) };
    for (name, value) in object {
        let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let Some((_, inner)) = fields.0.iter().find(|(known, _)| known == name) else {
            return Err(DocumentError::new(here, unknown_field(name, fields.0.iter().map(|(known, _)| *known))));
        };
        match inner {
            Inner::Any => {}
            Inner::One(fields) => known_fields(value, &here, fields)?,
            Inner::Each(fields) => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    known_fields(item, &format!("{here}[{index}]"), fields)?;
                }
            }
        }
    }
    Ok(())
}

/// A message for an unknown name, with the nearest known one or all of them.
pub fn unknown_field<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .min();
    match nearest {
        Some((distance, candidate)) if distance <= 1 + candidate.len() / 4 => {
            format!("unknown field; did you mean {candidate}?")
        }
        _ => format!("unknown field; known here: {}", known.join(", ")),
    }
}

fn dns_label(path: &str, name: &str) -> Result<(), DocumentError> {
    if name.is_empty() {
        return Err(DocumentError::new(path, "is missing".to_owned()));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.len() > 63 || !name.bytes().all(allowed) || name.starts_with('-') || name.ends_with('-') {
        return Err(DocumentError::new(
            path,
            format!("is {name:?}; a name here is a DNS-1123 label: at most 63 of a-z, 0-9 and -, not at an end"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use std::time::Duration;

    use super::*;
    use crate::policy::duration;

    fn document(spec: serde_json::Value) -> serde_json::Value {
        json!({"apiVersion": API_VERSION, "kind": "ClusterPolicy", "metadata": {"name": "p"}, "spec": spec})
    }

    fn check(document: serde_json::Value, expected: Result<(), &str>) {
        let found = PolicyDocument::from_json(&document).map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{document}");
    }

    #[test]
    fn a_short_document_gets_the_defaults() {
        let read = PolicyDocument::from_json(&document(json!({"module": "builtin/storage"}))).expect("a document");
        assert_eq!(read.spec, PolicySpec::of_module("builtin/storage"));
        assert_eq!(read.id, PolicyId::cluster("p"));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        let cases = [
            (document(json!({"module": "m", "setings": {}})), "spec.setings: unknown field; did you mean settings?"),
            (
                document(json!({"module": "m", "match": {"exclude": {"namespace": []}}})),
                "spec.match.exclude.namespace: unknown field; did you mean namespaces?",
            ),
            (
                document(json!({"module": "m", "match": {"resourceRules": [{"apiGroup": []}]}})),
                "spec.match.resourceRules[0].apiGroup: unknown field; did you mean apiGroups?",
            ),
            (
                document(json!({"module": "m", "timeout": "fast"})),
                "spec.timeout: \"fast\" is no duration; write 200ms, 1s or 1.5s",
            ),
            (
                document(json!({"module": "m", "memory": "64MB"})),
                "spec.memory: \"64MB\" is no amount of memory; write 64Mi",
            ),
            (
                document(json!({"module": "m", "memory": "65Mi"})),
                "spec.memory: is 68157440 bytes; it lies between 1Mi and 64Mi",
            ),
            (
                document(json!({"module": "m", "failurePolicy": "Ignore", "failClosedClusterScoped": true})),
                "spec.failClosedClusterScoped: says nothing under failurePolicy Ignore, which lets pass what no replica judges; leave it out, or write Fail",
            ),
            (
                document(json!({"module": "m", "validationActions": []})),
                "spec.validationActions: is empty; name at least one of Deny, Warn, Audit",
            ),
            (
                document(json!({"module": "m", "validationActions": ["Warn", "Audit", "Warn"]})),
                "spec.validationActions: names Warn twice",
            ),
            (
                document(json!({"module": "m", "match": {"exclude": {"serviceAccounts": ["a/b", "c"]}}})),
                "spec.match.exclude.serviceAccounts[1]: is \"c\"; write namespace/name",
            ),
            (document(json!({"settings": {}})), "spec: missing field `module`"),
            (
                json!({"apiVersion": "portcullis.dev/v1", "kind": "ClusterPolicy"}),
                "apiVersion: is \"portcullis.dev/v1\"; this version of Portcullis reads portcullis.dev/v1alpha1",
            ),
            (
                json!({"apiVersion": API_VERSION, "kind": "Policies"}),
                "kind: is \"Policies\"; known kinds are ClusterPolicy and Policy",
            ),
            (
                json!({"apiVersion": API_VERSION, "kind": "Policy", "metadata": {"name": "p"}, "spec": {"module": "m"}}),
                "metadata.namespace: is missing; a Policy judges one namespace, a ClusterPolicy all",
            ),
            (
                json!({"apiVersion": API_VERSION, "kind": "ClusterPolicy", "metadata": {"name": "P_1"}, "spec": {"module": "m"}}),
                "metadata.name: is \"P_1\"; a name here is a DNS-1123 label: at most 63 of a-z, 0-9 and -, not at an end",
            ),
        ];
        for (document, expected) in cases {
            check(document, Err(expected));
        }
    }

    #[test]
    fn durations_are_go_durations() {
        for (text, expected) in [
            ("200ms", Some(200)),
            ("1.5s", Some(1_500)),
            ("1m30s", Some(90_000)),
            ("5", None),
            ("", None),
            ("1d", None),
        ] {
            assert_eq!(duration::parse(text), expected.map(Duration::from_millis), "{text}");
        }
    }
}
