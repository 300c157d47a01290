//! What an administrator may set.

use portcullis_sdk::{FieldPath, Level, SettingsFindings};
use schemars::JsonSchema;
use serde::Deserialize;

/// What an administrator may set. All of it may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Where secrets are looked for.
    pub places: Places,
    /// What it means that a data store is told to let everybody in: `deny`, `warn` or `off`.
    pub switches: Weight,
    /// What it means that a data store is given no credentials, where it then runs open.
    pub without_credentials: Weight,
    /// What it means that a placeholder stands where a secret belongs.
    pub placeholders: Weight,
    /// What it means that a data store is told to do without encryption on the wire.
    pub transport: Weight,
    /// Names of variables, flags and keys that are secret too; a `*` in front or at the end stands for anything: `*_PIN`.
    pub secret_names: Vec<String>,
    /// Names of variables, flags and keys whose values are never secret; likewise.
    pub ignored_names: Vec<String>,
    /// Namespaces in which nothing is looked for, such as those of developers; a `*` at the end stands for anything.
    pub allowed_namespaces: Vec<String>,
}

/// Where secrets are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Places {
    /// In variables of containers.
    pub environment: bool,
    /// In `command`, `args`, probes and hooks.
    pub command_lines: bool,
    /// In ConfigMaps.
    pub config_maps: bool,
    /// In operators' custom resources.
    pub custom_resources: bool,
    /// In annotations.
    pub annotations: bool,
}

/// How much something weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It may not go in.
    Deny,
    /// It may, and whoever sends it should know.
    Warn,
    /// It isn't looked for.
    Off,
}

impl Weight {
    /// The level of a finding, if there is to be one.
    pub(crate) fn level(self) -> Option<Level> {
        match self {
            Self::Deny => Some(Level::Deny),
            Self::Warn => Some(Level::Warn),
            Self::Off => None,
        }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self { environment: true, command_lines: true, config_maps: true, custom_resources: true, annotations: true }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            places: Places::default(),
            switches: Weight::Deny,
            without_credentials: Weight::Warn,
            placeholders: Weight::Warn,
            transport: Weight::Warn,
            secret_names: Vec::new(),
            ignored_names: Vec::new(),
            allowed_namespaces: Vec::new(),
        }
    }
}

impl Settings {
    /// Whether the administrator says that what has this name is secret.
    pub(crate) fn is_secret(&self, name: &str) -> bool {
        self.secret_names.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether the administrator says that it never is.
    pub(crate) fn is_ignored(&self, name: &str) -> bool {
        self.ignored_names.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether nothing is looked for in this namespace.
    pub(crate) fn allows_namespace(&self, namespace: &str) -> bool {
        self.allowed_namespaces.iter().any(|pattern| matches(pattern, namespace))
    }
}

/// Whether a name fits a pattern with a `*` in front, at the end, or both; letters' case says nothing.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(begin)) => name.starts_with(begin),
        (None, None) => name == pattern,
    }
}

impl portcullis_sdk::Settings for Settings {
    fn validate(&self, findings: &mut SettingsFindings) {
        let lists = [
            ("secretNames", &self.secret_names),
            ("ignoredNames", &self.ignored_names),
            ("allowedNamespaces", &self.allowed_namespaces),
        ];
        for (field, patterns) in lists {
            let path = FieldPath::root().field(field);
            for (index, pattern) in patterns.iter().enumerate() {
                let inner = pattern.strip_prefix('*').unwrap_or(pattern);
                let inner = inner.strip_suffix('*').unwrap_or(inner);
                if inner.is_empty() {
                    findings.add(path.index(index), "a pattern needs a letter beside its `*`; to look for nothing at all remove the policy, or switch `places` off");
                } else if inner.contains('*') {
                    findings.add(
                        path.index(index),
                        format!("`{pattern}` has a `*` inside; it may stand in front and at the end only"),
                    );
                }
            }
        }
        let twice = self.secret_names.iter().enumerate().filter(|(_, name)| self.ignored_names.contains(name));
        for (index, name) in twice {
            findings.add(
                FieldPath::root().field("secretNames").index(index),
                format!("`{name}` is among `ignoredNames` too; it can't be both"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_sdk::Settings as _;
    use portcullis_sdk::serde_json::{Value, from_value, json};

    use super::*;

    /// The paths of what is wrong with these settings.
    fn check(settings: Value, expected: &[&str]) {
        let settings: Settings = from_value(settings).expect("the settings have the right shape");
        let mut findings = SettingsFindings::default();
        settings.validate(&mut findings);
        assert_eq!(findings.0.iter().map(|finding| finding.path.to_string()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn settings_that_can_not_work_are_named() {
        check(json!({}), &[]);
        check(json!({"secretNames": ["*_PIN", "SALT*"], "ignoredNames": ["*token*"], "switches": "off"}), &[]);
        check(
            json!({"secretNames": ["*"], "ignoredNames": ["", "a*b"]}),
            &["secretNames[0]", "ignoredNames[0]", "ignoredNames[1]"],
        );
        check(json!({"secretNames": ["a"], "ignoredNames": ["a"]}), &["secretNames[0]"]);
    }

    #[test]
    fn patterns_match_at_either_end() {
        for (pattern, name, expected) in [
            ("*_PIN", "CARD_PIN", true),
            ("*_PIN", "PINS", false),
            ("ETCD_*", "etcd_token", true),
            ("*token*", "MY_TOKEN_1", true),
            ("TOKEN", "token", true),
            ("TOKEN", "TOKENS", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
