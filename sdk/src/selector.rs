//! Label selectors, matched as the API server matches them.
//!
//! Both forms: the object (`matchLabels`, `matchExpressions`) and kubectl's text
//! (`app=mongo,tier in (db,cache),!canary`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A label selector. An empty one matches everything.
///
/// ```
/// use portcullis_sdk::LabelSelector;
///
/// let selector: LabelSelector = "app=mongo,tier in (db,cache),!canary".parse()?;
/// assert!(selector.matches(&[("app", "mongo"), ("tier", "db")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()));
/// # Ok::<(), portcullis_sdk::SelectorError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Each label has this value.
    pub match_labels: BTreeMap<String, String>,
    /// Each of these holds.
    pub match_expressions: Vec<Requirement>,
}

/// One condition on a label.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// What must hold of it.
    pub operator: Operator,
    /// For `In` and `NotIn`.
    #[serde(default)]
    pub values: BTreeSet<String>,
}

/// What must hold of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
pub enum Operator {
    /// It is set, to one of the values.
    In,
    /// It isn't set, or to none of the values.
    NotIn,
    /// It is set.
    Exists,
    /// It isn't set.
    DoesNotExist,
}

/// A text that is no selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectorError {
    part: String,
}

impl fmt::Display for SelectorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no label condition; `key=value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key` and `!key` are",
            self.part
        )
    }
}

impl std::error::Error for SelectorError {}

impl LabelSelector {
    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => !value.is_some_and(|value| self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let match_expressions = if text.trim().is_empty() {
            Vec::new()
        } else {
            parts(text).into_iter().map(parse_requirement).collect::<Result<_, _>>()?
        };
        Ok(Self { match_labels: BTreeMap::new(), match_expressions })
    }
}

/// The text between the commas that stand outside brackets.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (index, character) in text.char_indices() {
        match character {
            '(' => inside = true,
            ')' => inside = false,
            ',' if !inside => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_requirement(part: &str) -> Result<Requirement, SelectorError> {
    let wrong = || SelectorError { part: part.trim().to_owned() };
    let requirement = |key: &str, operator, values: BTreeSet<String>| {
        let key = key.trim();
        let sound = !key.is_empty()
            && key.chars().all(|character| character.is_ascii_alphanumeric() || "-_./".contains(character));
        sound.then(|| Requirement { key: key.to_owned(), operator, values }).ok_or_else(wrong)
    };
    let single = |value: &str| {
        let value = value.trim();
        let sound = value.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character));
        sound.then(|| BTreeSet::from([value.to_owned()])).ok_or_else(wrong)
    };
    let part = part.trim();
    if let Some(before) = part.strip_suffix(')') {
        let (head, values) = before.split_once('(').ok_or_else(wrong)?;
        let (key, word) = head.trim().rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
        let operator = match word {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            _ => return Err(wrong()),
        };
        let values = values.split(',').map(single).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        return requirement(key, operator, values);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return requirement(key, Operator::NotIn, single(value)?);
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return requirement(key, Operator::In, single(value)?);
    }
    match part.strip_prefix('!') {
        Some(key) => requirement(key, Operator::DoesNotExist, BTreeSet::new()),
        None => requirement(part, Operator::Exists, BTreeSet::new()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn check(selector: &str, pairs: &[(&str, &str)], matches: bool) {
        assert_eq!(
            selector.parse::<LabelSelector>().unwrap().matches(&labels(pairs)),
            matches,
            "{selector} on {pairs:?}"
        );
    }

    #[test]
    fn kubectls_syntax_selects_as_kubectl_does() {
        check("", &[], true);
        check("app=mongo", &[("app", "mongo")], true);
        check("app==mongo", &[("app", "mysql")], false);
        check("app!=mongo", &[], true);
        check("app != mongo", &[("app", "mongo")], false);
        check("tier in (db, cache)", &[("tier", "cache")], true);
        check("tier in (db,cache),app=mongo", &[("tier", "cache")], false);
        check("tier notin (db)", &[], true);
        check("a.b/c", &[("a.b/c", "")], true);
        check("!canary", &[("canary", "true")], false);
        check("app=", &[("app", "")], true);
        check("app in ()", &[("app", "")], true);
    }

    #[test]
    fn what_is_no_condition_is_refused_by_name() {
        for text in ["app=mongo,", "=mongo", "app within (a)", "app in a)", "a b", "app=a b", "(a)", "app>1"] {
            assert!(text.parse::<LabelSelector>().is_err(), "{text}");
        }
    }

    #[test]
    fn labels_and_expressions_must_all_hold() {
        let selector: LabelSelector = serde_json::from_value(serde_json::json!({
            "matchLabels": {"app": "mongo"},
            "matchExpressions": [{"key": "tier", "operator": "In", "values": ["db"]}, {"key": "old", "operator": "DoesNotExist"}, {"key": "app", "operator": "Exists"}, {"key": "tier", "operator": "NotIn", "values": ["web"]}],
        }))
        .unwrap();
        assert!(selector.matches(&labels(&[("app", "mongo"), ("tier", "db")])));
        assert!(!selector.matches(&labels(&[("app", "mongo"), ("tier", "db"), ("old", "1")])));
        assert!(!selector.matches(&labels(&[("tier", "db")])));
        assert!(LabelSelector::default().matches(&labels(&[])));
    }
}
