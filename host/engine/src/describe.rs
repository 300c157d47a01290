//! `describe`: what the policies of a module say of themselves, checked against
//! each other and against what their binary can do.

use std::collections::BTreeSet;

use portcullis_core::contract::Description;

use crate::intake::{Capabilities, LoadError};

/// Policies that one module may have.
const MAX_POLICIES: usize = 64;
/// Characters of a name, so that it can be a DNS-1123 label (RFC 1123).
const MAX_NAME: usize = 63;

/// Reads and checks a module's descriptions; warnings are for whoever runs it.
pub(crate) fn descriptions(
    texts: &[String],
    capabilities: &Capabilities,
) -> Result<(Vec<Description>, Vec<String>), LoadError> {
    if texts.is_empty() || texts.len() > MAX_POLICIES {
        let reason = format!("{} policies are described, a module has between 1 and {MAX_POLICIES}", texts.len());
        return Err(LoadError::Description { policy: "the module".to_owned(), reason });
    }
    let mut names = BTreeSet::new();
    let mut descriptions = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let description = description(text, capabilities).map_err(|(name, reason)| LoadError::Description {
            policy: name.unwrap_or(format!("policy {index}")),
            reason,
        })?;
        if !names.insert(description.name.clone()) {
            let reason = "another policy of the module has the same name".to_owned();
            return Err(LoadError::Description { policy: description.name, reason });
        }
        descriptions.push(description);
    }
    let mut warnings = Vec::new();
    if capabilities.cluster && descriptions.iter().all(|description| description.reach.lookups.is_empty()) {
        warnings.push(
            "imports `cluster`, but none of its policies declares a look-up: every look-up will end its review; \
             declare `reach.lookups`, or don't import it"
                .to_owned(),
        );
    }
    Ok((descriptions, warnings))
}

/// Reads and checks one description, of `describe` or of `configure`. The error
/// names the policy where it is known.
pub(crate) fn description(text: &str, capabilities: &Capabilities) -> Result<Description, (Option<String>, String)> {
    let description: Description = serde_json::from_str(text).map_err(|error| (None, error.to_string()))?;
    match fault(&description, capabilities) {
        Some(reason) => Err((Some(description.name), reason)),
        None => Ok(description),
    }
}

fn fault(description: &Description, capabilities: &Capabilities) -> Option<String> {
    let Description { name, reach, rules, .. } = description;
    if !is_label(name) {
        return Some(format!(
            "its name {name:?} is not a DNS-1123 label: lower-case letters, digits and `-`, at most {MAX_NAME}"
        ));
    }
    let mut ids = BTreeSet::new();
    if let Some(rule) = rules.iter().find(|rule| rule.id.is_empty() || !ids.insert(rule.id.as_str())) {
        return Some(format!("the rule id {:?} is empty or there twice", rule.id));
    }
    if let (false, Some(lookup)) = (capabilities.cluster, reach.lookups.first()) {
        return Some(format!(
            "it declares look-ups of {} {}, but the module doesn't import `cluster`: it can't make them",
            lookup.api_version, lookup.kind
        ));
    }
    if let Some(lookup) = reach.lookups.iter().find(|lookup| lookup.verbs.is_empty()) {
        return Some(format!("its look-up of {} {} has no verbs", lookup.api_version, lookup.kind));
    }
    None
}

fn is_label(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(texts: &[&str], cluster: bool) -> String {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        match descriptions(&texts, &Capabilities { cluster, ..Capabilities::default() }) {
            Ok((descriptions, warnings)) => format!("{} {}", descriptions.len(), warnings.join(" ")),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_description_that_can_not_be_right_is_refused_with_a_reason() {
        let check = |texts: &[&str], cluster: bool, expected: &str| {
            let answer = described(texts, cluster);
            assert!(answer.contains(expected), "{answer}");
        };
        let good = r#"{"name":"a","phase":"validating","reach":{}}"#;
        let lookups = r#"{"name":"a","phase":"validating","reach":{"lookups":[{"apiVersion":"v1","kind":"Secret","fields":"value","verbs":["get"]}]}}"#;
        check(&[good], false, "1 ");
        check(&[lookups], true, "1 ");
        check(&[], false, "0 policies are described");
        check(&[good, good], false, "same name");
        check(&["{"], false, "policy 0 is wrong: EOF");
        check(&[r#"{"name":"A","phase":"validating","reach":{}}"#], false, "not a DNS-1123 label");
        check(&[r#"{"name":"a","phase":"sometimes","reach":{}}"#], false, "unknown variant `sometimes`");
        check(
            &[r#"{"name":"a","phase":"validating","reach":{},"rules":[{"id":"x"},{"id":"x"}]}"#],
            false,
            "there twice",
        );
        check(&[lookups], false, "look-ups of v1 Secret, but the module doesn't import `cluster`");
        check(&[good], true, "none of its policies declares a look-up");
    }
}
