//! Label selectors, as `metav1.LabelSelector` and in kubectl's syntax, meaning
//! what they mean to the API server (`k8s.io/apimachinery/pkg/labels`).

use std::collections::BTreeMap;

use crate::policy::{LabelOperator, LabelRequirement, LabelSelector};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// A selector in kubectl's syntax that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("label selector {selector:?}: {reason}")]
pub struct SelectorError {
    selector: String,
    reason: &'static str,
}

impl LabelSelector {
    /// Whether it says nothing, and so matches everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_by(|key| labels.get(key).map(String::as_str))
    }

    /// The same, of an object whose labels are asked for one by one.
    pub fn matches_by<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.match_labels.iter().all(|(key, value)| label(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(label(&requirement.key)))
    }

    /// Reads kubectl's syntax: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
    ///
    /// # Errors
    /// Where the text is no selector.
    pub fn parse(text: &str) -> Result<LabelSelector, SelectorError> {
        let fail = |reason| SelectorError { selector: text.to_owned(), reason };
        let mut selector = LabelSelector::default();
        for part in split_outside_parentheses(text) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            selector.match_expressions.push(requirement(part).map_err(fail)?);
        }
        Ok(selector)
    }
}

impl LabelRequirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let listed = |value| self.values.iter().any(|listed| listed == value);
        match self.operator {
            LabelOperator::In => value.is_some_and(listed),
            // Kubernetes: an absent label satisfies NotIn.
            LabelOperator::NotIn => !value.is_some_and(listed),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut open) = (0, false);
    for (index, character) in text.char_indices() {
        match character {
            '(' => open = true,
            ')' => open = false,
            ',' if !open => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(part: &str) -> Result<LabelRequirement, &'static str> {
    let make = |key: &str, operator, values: Vec<String>| {
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err("a requirement has no key, or one with a space in it");
        }
        Ok(LabelRequirement { key: key.to_owned(), operator, values })
    };
    if let Some(list) = part.strip_suffix(')') {
        let (head, values) = list.split_once('(').ok_or("a ) without (")?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, word) = head.trim().rsplit_once(char::is_whitespace).ok_or("a list without in or notin")?;
        return match word {
            "in" => make(key, LabelOperator::In, values),
            "notin" => make(key, LabelOperator::NotIn, values),
            _ => Err("a list without in or notin"),
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return make(key, LabelOperator::NotIn, vec![value.trim().to_owned()]);
    }
    if let Some((key, value)) = part.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        return make(key, LabelOperator::In, vec![value.trim().to_owned()]);
    }
    match part.strip_prefix('!') {
        Some(key) => make(key, LabelOperator::DoesNotExist, Vec::new()),
        None => make(part, LabelOperator::Exists, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, labels: &[(&str, &str)], expected: bool) {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let parsed = LabelSelector::parse(selector).expect("a selector");
        assert_eq!(parsed.matches(&labels), expected, "{selector} on {labels:?}");
    }

    #[test]
    fn selectors_mean_what_they_mean_to_kubectl() {
        check("", &[], true);
        check("app=mongo", &[("app", "mongo")], true);
        check("app==mongo", &[("app", "redis")], false);
        check("app!=mongo", &[], true);
        check("app!=mongo", &[("app", "mongo")], false);
        check("tier in (db, cache),app", &[("tier", "cache"), ("app", "x")], true);
        check("tier in (db,cache)", &[], false);
        check("tier notin (db)", &[], true);
        check("tier notin (db)", &[("tier", "db")], false);
        check("!tier", &[("tier", "db")], false);
        check("tier", &[], false);
    }

    #[test]
    fn broken_selectors_say_why() {
        for selector in ["a b c", "tier on (x)", "x)", "=b"] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }
}
