//! What an administrator may set.

use portcullis_sdk::{FieldPath, LabelSelector, SettingsFindings};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which class an Ingress gets that names none: the first of `byNamespace` that
/// selects its namespace, else `ingressClass`, else the cluster's default.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// By the labels of the Ingress's namespace; the first that selects it wins.
    pub by_namespace: Vec<NamespaceClass>,
    /// The class for namespaces that nothing above selects.
    pub ingress_class: Option<String>,
    /// Whether the cluster's default class is written into an Ingress for which nothing above names one.
    pub cluster_default: bool,
    /// What becomes of the annotation `kubernetes.io/ingress.class`.
    pub legacy_annotation: LegacyAnnotation,
}

/// The class for the Ingresses of some namespaces.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceClass {
    /// Selects namespaces by their labels; `{}` selects all.
    pub selector: LabelSelector,
    /// The class.
    pub ingress_class: String,
}

/// What becomes of the annotation `kubernetes.io/ingress.class`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum LegacyAnnotation {
    /// It counts as a class, and nothing is said.
    #[default]
    Allow,
    /// It counts as a class, and is warned of.
    Warn,
    /// It is moved to `spec.ingressClassName` where the class exists.
    Move,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            by_namespace: Vec::new(),
            ingress_class: None,
            cluster_default: true,
            legacy_annotation: LegacyAnnotation::Allow,
        }
    }
}

impl portcullis_sdk::Settings for Settings {
    fn validate(&self, findings: &mut SettingsFindings) {
        let by_namespace = self.by_namespace.iter().enumerate().map(|(index, rule)| {
            (FieldPath::root().field("byNamespace").index(index).field("ingressClass"), &rule.ingress_class)
        });
        let one = self.ingress_class.iter().map(|class| (FieldPath::root().field("ingressClass"), class));
        for (path, class) in by_namespace.chain(one) {
            if !is_class_name(class) {
                findings.add(
                    path,
                    format!(
                        "`{class}` is no name of an ingress class: lower-case letters, digits, `-` and `.`, at most 253"
                    ),
                );
            }
        }
    }
}

/// Whether a text is a DNS-1123 subdomain, as the names of classes are.
fn is_class_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
    use portcullis_sdk::Settings as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_not_be_meant_is_refused_with_its_place() {
        for (settings, paths) in [
            (json!({}), vec![]),
            (json!({"ingressClass": "nginx", "legacyAnnotation": "Move"}), vec![]),
            (json!({"ingressClass": "Nginx"}), vec!["ingressClass"]),
            (json!({"ingressClass": "-nginx"}), vec!["ingressClass"]),
            (
                json!({"byNamespace": [{"selector": {}, "ingressClass": "a"}, {"selector": {}, "ingressClass": ""}]}),
                vec!["byNamespace[1].ingressClass"],
            ),
        ] {
            let settings: Settings = serde_json::from_value(settings).unwrap();
            let mut findings = SettingsFindings::default();
            settings.validate(&mut findings);
            let found: Vec<&str> = findings.0.iter().map(|finding| finding.path.as_str()).collect();
            assert_eq!(found, paths, "{settings:?}");
        }
    }
}
