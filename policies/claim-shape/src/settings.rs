//! What an administrator may set.

use portcullis_sdk::{FieldPath, Quantity, SettingsFindings};
use portcullis_workloads::matches_pattern;
use schemars::JsonSchema;
use serde::Deserialize;

/// Access modes, as the API has them.
pub(crate) const ACCESS_MODES: [&str; 4] = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];

/// What claims of a class may ask for, beside what can't work in any cluster.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// How little and how much claims may ask for, by class. The entry with the
    /// class's very name counts, else the first whose pattern fits.
    pub sizes: Vec<Sizes>,
    /// How claims may be mounted, by class, chosen likewise.
    pub access_modes: Vec<AccessModes>,
    /// Image repositories that are no data stores, by whole path segments from the right.
    pub not_data_stores: Vec<String>,
}

/// Sizes of a class's claims.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sizes {
    /// The class's name; `*` in front or at the end stands for the rest, alone for every class.
    pub class: String,
    /// The least, as a quantity: `10Gi`.
    pub min: Option<String>,
    /// The most, as a quantity: `1Ti`.
    pub max: Option<String>,
}

/// Access modes of a class's claims.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AccessModes {
    /// The class's name; `*` in front or at the end stands for the rest, alone for every class.
    pub class: String,
    /// Those that claims may ask for.
    pub allowed: Vec<String>,
}

/// An entry for classes.
pub(crate) trait ForClass {
    fn class(&self) -> &str;
}

impl ForClass for Sizes {
    fn class(&self) -> &str {
        &self.class
    }
}

impl ForClass for AccessModes {
    fn class(&self) -> &str {
        &self.class
    }
}

/// The entry for a class: the one with its very name, else the first whose pattern fits.
pub(crate) fn entry<'a, T: ForClass>(entries: &'a [T], class: &str) -> Option<&'a T> {
    let exact = entries.iter().find(|entry| entry.class() == class);
    exact.or_else(|| entries.iter().find(|entry| matches_pattern(entry.class(), class)))
}

impl Sizes {
    pub(crate) fn min(&self) -> Option<Quantity> {
        self.min.as_deref().and_then(|text| text.parse().ok())
    }

    pub(crate) fn max(&self) -> Option<Quantity> {
        self.max.as_deref().and_then(|text| text.parse().ok())
    }
}

impl portcullis_sdk::Settings for Settings {
    fn validate(&self, findings: &mut SettingsFindings) {
        for (index, sizes) in self.sizes.iter().enumerate() {
            let path = FieldPath::root().field("sizes").index(index);
            if sizes.class.is_empty() {
                findings.add(path.field("class"), "which class is this for; `*` is every class");
            }
            for (field, text) in [("min", &sizes.min), ("max", &sizes.max)] {
                if let Some(Err(error)) = text.as_deref().map(str::parse::<Quantity>) {
                    findings.add(path.field(field), error.to_string());
                }
            }
            if let (Some(min), Some(max)) = (sizes.min(), sizes.max())
                && min > max
            {
                findings.add(path.field("min"), "it is more than max, so no claim could have any size");
            }
            if sizes.min.is_none() && sizes.max.is_none() {
                findings.add(path, "neither min nor max is set, so it limits nothing");
            }
        }
        for (index, modes) in self.access_modes.iter().enumerate() {
            let path = FieldPath::root().field("accessModes").index(index);
            if modes.class.is_empty() {
                findings.add(path.field("class"), "which class is this for; `*` is every class");
            }
            if modes.allowed.is_empty() {
                findings.add(path.field("allowed"), "no access mode is left to claim the class with");
            }
            for (place, mode) in modes.allowed.iter().enumerate() {
                if !ACCESS_MODES.contains(&mode.as_str()) {
                    let message = format!("`{mode}` is no access mode; {} are", ACCESS_MODES.join(", "));
                    findings.add(path.field("allowed").index(place), message);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
    use portcullis_sdk::Settings as _;
    use serde_json::{Value, from_value, json};

    use super::*;

    fn check(settings: Value, expected: &[&str]) {
        let settings: Settings = from_value(settings).unwrap();
        let mut findings = SettingsFindings::default();
        settings.validate(&mut findings);
        assert_eq!(findings.0.iter().map(|finding| finding.path.to_string()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn settings_that_can_not_work_are_named() {
        check(json!({"sizes": [{"class": "gp3", "min": "1Gi", "max": "16Ti"}, {"class": "*", "max": "100Gi"}]}), &[]);
        check(json!({"sizes": [{"min": "1Gi"}]}), &["sizes[0].class"]);
        check(json!({"sizes": [{"class": "*"}]}), &["sizes[0]"]);
        check(json!({"sizes": [{"class": "*", "min": "big"}]}), &["sizes[0].min"]);
        check(json!({"sizes": [{"class": "*", "min": "2Gi", "max": "2G"}]}), &["sizes[0].min"]);
        check(
            json!({"accessModes": [{"class": "", "allowed": []}]}),
            &["accessModes[0].class", "accessModes[0].allowed"],
        );
        check(json!({"accessModes": [{"class": "a", "allowed": ["RWX"]}]}), &["accessModes[0].allowed[0]"]);
    }

    #[test]
    fn the_very_name_counts_before_a_pattern() {
        let sizes = |class: &str| Sizes { class: class.to_owned(), ..Sizes::default() };
        let entries = [sizes("*"), sizes("gp*"), sizes("gp3")];
        assert_eq!(entry(&entries, "gp3").unwrap().class, "gp3");
        assert_eq!(entry(&entries, "gp2").unwrap().class, "*");
        assert!(entry(&entries[1..], "io2").is_none());
    }
}
