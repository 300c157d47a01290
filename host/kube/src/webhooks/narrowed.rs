//! What all policies of a webhook leave out, said in the webhook's own words, so
//! that the API server doesn't even call: selectors and match conditions.
//!
//! Invariant: only what every policy leaves out is left out here, and only in
//! words that the API server is known to accept: one bad selector of one policy
//! must not keep the configuration from being written.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::MatchCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector as WireSelector, LabelSelectorRequirement as WireRequirement,
};
use portcullis_core::matching::VITAL_RESOURCES;
use portcullis_core::policy::{Exclude, LabelOperator, LabelSelector, PolicyDocument};

use super::apart::{is_named, is_own};
use super::configuration::{Asked, Unanswered};
use super::reach::{Atom, Part, TOKENS, meets_tokens, never};

/// The label that the API server itself gives to each namespace and keeps.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// Subresources whose object is of the parent's kind, with its labels. Of the
/// others (a Scale, an Eviction, a PodExecOptions) an objectSelector would see
/// no labels, and skip them.
const WITH_LABELS: [&str; 4] = ["", "status", "ephemeralcontainers", "resize"];
/// Letters of a label's value and of each part of its key
/// (`k8s.io/apimachinery/pkg/util/validation`).
const MAX_LABEL: usize = 63;
/// Letters of the prefix of a label's key.
const MAX_PREFIX: usize = 253;

/// The namespaces that a webhook looks into.
pub(super) fn namespace_selector(
    namespace: Option<&str>,
    documents: &[&PolicyDocument],
    exempt: &[String],
) -> WireSelector {
    let mut selector =
        shared(documents, |document| &document.spec.matching.namespace_selector).map(wire).unwrap_or_default();
    if let Some(namespace) = namespace {
        let labels = selector.match_labels.get_or_insert_default();
        labels.insert(NAMESPACE_NAME.to_owned(), namespace.to_owned());
        return selector;
    }
    let mut left_out = excluded(documents, |exclude| exclude.namespaces.iter().cloned().collect());
    left_out.extend(exempt.iter().cloned());
    left_out.retain(|namespace| is_label_part(namespace) && !namespace.is_empty());
    if !left_out.is_empty() {
        selector.match_expressions.get_or_insert_default().push(WireRequirement {
            key: NAMESPACE_NAME.to_owned(),
            operator: "NotIn".to_owned(),
            values: Some(left_out.into_iter().collect()),
        });
    }
    selector
}

/// The objects that a webhook looks at.
pub(super) fn object_selector(documents: &[&PolicyDocument], atoms: &BTreeSet<Atom>) -> WireSelector {
    let has_labels = |atom: &Atom| match &atom.subresource {
        Part::Any => false,
        Part::One(subresource) => WITH_LABELS.contains(&subresource.as_str()),
    };
    let selector = shared(documents, |document| &document.spec.matching.object_selector);
    selector.filter(|_| atoms.iter().all(has_labels)).map(wire).unwrap_or_default()
}

/// Conditions in CEL. None can fail: what may be absent is asked for with `has`.
pub(super) fn match_conditions(asked: &Asked<'_>) -> Vec<MatchCondition> {
    let Asked { documents, atoms, is_unknown, .. } = *asked;
    let mut conditions = Vec::new();
    let mut condition = |name: &str, expression: String| {
        conditions.push(MatchCondition { name: name.to_owned(), expression });
    };
    if atoms.iter().any(Atom::is_wild) {
        let left_out: Vec<(&str, &str)> = if is_unknown { VITAL_RESOURCES.to_vec() } else { never().collect() };
        let groups = left_out.iter().filter(|(_, resource)| *resource == "*").map(|(group, _)| *group);
        condition("not-vital-groups", format!("!(request.resource.group in [{}])", literals(groups)));
        let core = left_out.iter().filter(|(group, _)| group.is_empty()).map(|(_, resource)| *resource);
        condition(
            "not-vital-resources",
            format!("!(request.resource.group == '' && request.resource.resource in [{}])", literals(core)),
        );
    }
    if atoms.iter().any(meets_tokens) {
        let (group, resource, subresource) = TOKENS;
        condition(
            "not-tokens",
            format!(
                "!(request.resource.group == '{group}' && request.resource.resource == '{resource}' \
                 && has(request.subResource) && request.subResource == '{subresource}')"
            ),
        );
    }
    if let Some(apart) = asked.apart {
        let listed = |words: &[&str]| literals(words.iter().copied());
        match (asked.unanswered, apart.meets_own) {
            (Unanswered::Fail, true) => condition("not-own", format!("!{}", is_own(listed))),
            (Unanswered::FailCluster, true) => {
                condition("own-or-not-closed", format!("{} || !{}", is_own(listed), is_named(&apart.but, listed)))
            }
            (Unanswered::FailCluster, false) if !apart.but.is_empty() => {
                condition("not-closed", format!("!{}", is_named(&apart.but, listed)));
            }
            _ => {}
        }
    }
    let users = excluded(documents, |exclude| {
        let accounts = exclude.service_accounts.iter().filter_map(|account| {
            let (namespace, name) = account.split_once('/')?;
            Some(format!("system:serviceaccount:{namespace}:{name}"))
        });
        exclude.users.iter().cloned().chain(accounts).collect()
    });
    if !users.is_empty() {
        let users = literals(users.iter().map(String::as_str));
        condition(
            "not-excluded-users",
            format!("!(has(request.userInfo.username) && request.userInfo.username in [{users}])"),
        );
    }
    let groups = excluded(documents, |exclude| exclude.groups.iter().cloned().collect());
    if !groups.is_empty() {
        let groups = literals(groups.iter().map(String::as_str));
        condition(
            "not-excluded-groups",
            format!("!(has(request.userInfo.groups) && request.userInfo.groups.exists(group, group in [{groups}]))"),
        );
    }
    conditions
}

/// What every document excludes.
fn excluded(documents: &[&PolicyDocument], of: impl Fn(&Exclude) -> BTreeSet<String>) -> BTreeSet<String> {
    let mut each = documents.iter().map(|document| of(&document.spec.matching.exclude));
    let first = each.next().unwrap_or_default();
    each.fold(first, |common, next| common.intersection(&next).cloned().collect())
}

/// A selector that all documents have, if it says anything and is well-formed.
fn shared<'a>(
    documents: &[&'a PolicyDocument],
    of: impl Fn(&'a PolicyDocument) -> &'a LabelSelector,
) -> Option<&'a LabelSelector> {
    let first = of(documents.first().copied()?);
    let is_shared = documents.iter().all(|document| of(document) == first);
    (is_shared && !first.is_empty() && is_well_formed(first)).then_some(first)
}

fn wire(selector: &LabelSelector) -> WireSelector {
    let requirements = selector.match_expressions.iter().map(|requirement| {
        let operator = match requirement.operator {
            LabelOperator::In => "In",
            LabelOperator::NotIn => "NotIn",
            LabelOperator::Exists => "Exists",
            LabelOperator::DoesNotExist => "DoesNotExist",
        };
        WireRequirement {
            key: requirement.key.clone(),
            operator: operator.to_owned(),
            values: Some(requirement.values.clone()).filter(|values| !values.is_empty()),
        }
    });
    let requirements: Vec<WireRequirement> = requirements.collect();
    WireSelector {
        match_labels: Some(selector.match_labels.clone()).filter(|labels| !labels.is_empty()),
        match_expressions: Some(requirements).filter(|requirements| !requirements.is_empty()),
    }
}

/// Whether the API server takes the selector.
fn is_well_formed(selector: &LabelSelector) -> bool {
    let requirement = |requirement: &portcullis_core::policy::LabelRequirement| {
        let has_values = !requirement.values.is_empty();
        let takes_values = matches!(requirement.operator, LabelOperator::In | LabelOperator::NotIn);
        is_label_key(&requirement.key)
            && has_values == takes_values
            && requirement.values.iter().all(|value| is_label_part(value))
    };
    selector.match_labels.iter().all(|(key, value)| is_label_key(key) && is_label_part(value))
        && selector.match_expressions.iter().all(requirement)
}

fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let lower = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && part.bytes().all(allowed) && !part.starts_with('-') && !part.ends_with('-')
    };
    let is_prefix = |prefix: &str| prefix.len() <= MAX_PREFIX && prefix.split('.').all(lower);
    !name.is_empty() && is_label_part(name) && prefix.is_none_or(is_prefix)
}

/// A label's value, or the name in its key.
fn is_label_part(value: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    value.len() <= MAX_LABEL
        && value.bytes().all(allowed)
        && ends(value.bytes().next())
        && ends(value.bytes().next_back())
}

/// Texts as CEL writes them, between commas.
fn literals<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let literals: Vec<String> = texts.map(literal).collect();
    literals.join(", ")
}

/// A text as a CEL string: what isn't plain is escaped by its code point, so
/// that no name can end the literal.
fn literal(text: &str) -> String {
    let mut out = String::from("'");
    for character in text.chars() {
        match character {
            '\'' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(character))),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_t_end_its_literal() {
        assert_eq!(literal("a'b\\c"), r"'a\'b\\c'");
        assert_eq!(literal("ä\n"), r"'\U000000e4\U0000000a'");
        assert_eq!(literals(["a", "b"].into_iter()), "'a', 'b'");
    }

    #[test]
    fn labels_are_what_kubernetes_takes() {
        for (key, expected) in [
            ("app", true),
            ("a.io/b", true),
            ("a b", false),
            ("A.io/b", false),
            ("a/", false),
            ("a/b/c", false),
            ("", false),
        ] {
            assert_eq!(is_label_key(key), expected, "{key}");
        }
        for (value, expected) in [("", true), ("a_B.1", true), ("-a", false), ("a b", false)] {
            assert_eq!(is_label_part(value), expected, "{value}");
        }
    }
}
