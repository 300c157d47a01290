//! Which policies a request concerns: what a policy declares, narrowed by its
//! document. Selectors mean what they mean to the API server
//! (k8s.io/apiserver/pkg/admission/plugin/webhook/predicates).

use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;

use crate::contract::{Description, MatchRule, Operation, Scope};
use crate::json::Value;
use crate::objects::labels;
use crate::policy::{DocumentError, Exclude, LabelSelector, PolicyDocument};
use crate::review::UserInfo;
use crate::selector::Labels;

/// Namespaces that a policy of unknown reach leaves alone: the cluster's own and
/// the engine's (`portcullis-system`), which recovery goes through.
pub const VITAL_NAMESPACES: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "portcullis-system"];
/// Groups and resources that it leaves alone: what nodes, controllers and the
/// engine itself need to go on, and what it takes to mend the policy.
pub const VITAL_RESOURCES: [(&str, &str); 12] = [
    ("", "namespaces"),
    ("", "nodes"),
    ("", "events"),
    ("", "bindings"),
    ("events.k8s.io", "*"),
    ("coordination.k8s.io", "*"),
    ("authentication.k8s.io", "*"),
    ("authorization.k8s.io", "*"),
    ("admissionregistration.k8s.io", "*"),
    ("apiextensions.k8s.io", "*"),
    ("apiregistration.k8s.io", "*"),
    ("portcullis.dev", "*"),
];

/// What a policy matches: its reach and its document together.
#[derive(Debug)]
pub struct Matcher {
    /// Empty where the module can't be described.
    declared: Vec<MatchRule>,
    narrowed: Vec<MatchRule>,
    namespace: Option<String>,
    namespace_selector: LabelSelector,
    object_selector: LabelSelector,
    exclude: Exclude,
    conditions: Vec<JpQuery>,
}

/// A request, as far as rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Of the resource, in the version of the request.
    pub group: &'a str,
    /// Of the resource.
    pub version: &'a str,
    /// Its plural.
    pub resource: &'a str,
    /// `scale`…
    pub subresource: Option<&'a str>,
    /// The operation.
    pub operation: Operation,
    /// Empty for a cluster-scoped object.
    pub namespace: &'a str,
    /// A Namespace has its own name as namespace and is cluster-scoped all the same.
    pub is_namespace: bool,
}

/// Whether rules match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleMatch {
    /// They don't.
    No,
    /// They do.
    Yes,
    /// Only in another version: an error, not an allow.
    OtherVersion(String),
}

/// Whether selectors match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// They don't.
    No,
    /// They do.
    Yes,
    /// They may: something is unknown, and so a denial is undecided.
    Unsure(String),
}

/// The labels that a namespaceSelector looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceLabels {
    /// A cluster-scoped object other than a Namespace: always matches.
    ClusterScoped,
    /// Known.
    Known(Labels),
    /// Why not.
    Unknown(String),
}

/// The objects that objectSelector and `where` look at.
pub enum Selectable<'d> {
    /// Object and oldObject, as far as there are any.
    Objects(Vec<Value<'d>>),
    /// The parent of a subresource, and why it is unknown.
    Unknown(String),
}

impl Matcher {
    /// Reads what a document and the description under its settings match. A
    /// policy whose module can't be described matches what its document says, and
    /// where that says nothing everything but what the cluster lives on: it
    /// fails closed, and never in its own way.
    ///
    /// # Errors
    /// Where a JSONPath or selector is broken, or nothing says what is matched.
    pub fn new(document: &PolicyDocument, description: Option<&Description>) -> Result<Matcher, DocumentError> {
        let matching = &document.spec.matching;
        let declared = description.map_or_else(Vec::new, |description| description.reach.matches.clone());
        if description.is_some() && declared.is_empty() && matching.resource_rules.is_empty() {
            return Err(DocumentError::new(
                "spec.match.resourceRules",
                "is empty; this policy declares no kinds of its own, so the document has to name them",
            ));
        }
        for (index, requirement) in selectors(document) {
            if requirement {
                return Err(DocumentError::new(index, "In and NotIn need values, Exists and DoesNotExist take none"));
            }
        }
        let conditions = matching.conditions.iter().enumerate().map(|(index, path)| {
            parse_json_path(path).map_err(|error| {
                DocumentError::new(
                    format!("spec.match.where[{index}]"),
                    format!("{path:?} is no JSONPath (RFC 9535): {error}"),
                )
            })
        });
        Ok(Matcher {
            declared,
            narrowed: matching.resource_rules.clone(),
            namespace: document.id.namespace.clone(),
            namespace_selector: matching.namespace_selector.clone(),
            object_selector: matching.object_selector.clone(),
            exclude: matching.exclude.clone(),
            conditions: conditions.collect::<Result<_, _>>()?,
        })
    }

    /// Whether the rules match a request.
    pub fn rules(&self, target: Target<'_>) -> RuleMatch {
        if self.namespace.as_ref().is_some_and(|namespace| namespace != target.namespace || target.is_namespace) {
            return RuleMatch::No;
        }
        if self.declared.is_empty() && self.narrowed.is_empty() {
            return if is_vital(target) { RuleMatch::No } else { RuleMatch::Yes };
        }
        match (any(&self.declared, target), any(&self.narrowed, target)) {
            (RuleMatch::No, _) if !self.declared.is_empty() => RuleMatch::No,
            (_, RuleMatch::No) if !self.narrowed.is_empty() => RuleMatch::No,
            (RuleMatch::OtherVersion(versions), _) | (_, RuleMatch::OtherVersion(versions)) => {
                RuleMatch::OtherVersion(versions)
            }
            _ => RuleMatch::Yes,
        }
    }

    /// Whether rules name this subresource, not only by a wildcard.
    pub fn declares_subresource(&self, target: Target<'_>) -> bool {
        let Some(subresource) = target.subresource else { return false };
        let rules = self.declared.iter().chain(&self.narrowed);
        let named = format!("{}/{subresource}", target.resource);
        let of_every = format!("*/{subresource}");
        rules.flat_map(|rule| &rule.resources).any(|resource| *resource == named || *resource == of_every)
    }

    /// Whether the document leaves this request out by namespace or user.
    pub fn excludes(&self, target: Target<'_>, user: &UserInfo) -> bool {
        self.exclude.namespaces.iter().any(|namespace| namespace == target.namespace)
            || self.exclude.users.contains(&user.username)
            || self.exclude.groups.iter().any(|group| user.groups.contains(group))
            || self.exclude.service_accounts.iter().any(|account| is_service_account(account, &user.username))
    }

    /// Whether the namespace's labels are looked at.
    pub fn reads_namespace(&self) -> bool {
        !self.namespace_selector.is_empty()
    }

    /// Whether the object is looked at.
    pub fn reads_object(&self) -> bool {
        !self.object_selector.is_empty() || !self.conditions.is_empty()
    }

    /// Whether all of the object may be looked at.
    pub fn reads_whole_object(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Whether any request for this resource, or this subresource of it, can match.
    pub fn may_match(&self, group: &str, resource: &str, subresource: Option<&str>) -> bool {
        let named = |rules: &[MatchRule]| {
            rules.is_empty()
                || rules.iter().any(|rule| {
                    names(&rule.api_groups, group)
                        && rule.resources.iter().any(|pattern| names_resource(pattern, resource, subresource))
                })
        };
        named(&self.declared) && named(&self.narrowed)
    }

    /// Whether namespaceSelector, objectSelector and `where` match.
    pub fn selects(&self, namespace: &NamespaceLabels, objects: &Selectable<'_>) -> Selected {
        let mut unsure = None;
        if self.reads_namespace() {
            match namespace {
                NamespaceLabels::ClusterScoped => {}
                NamespaceLabels::Known(labels) if self.namespace_selector.matches(labels) => {}
                NamespaceLabels::Known(_) => return Selected::No,
                NamespaceLabels::Unknown(reason) => {
                    unsure = Some(format!("the labels of the namespace are unknown: {reason}"))
                }
            }
        }
        if self.reads_object() {
            match objects {
                Selectable::Objects(objects) => {
                    let selected = self.object_selector.is_empty()
                        || objects.iter().any(|object| self.object_selector.matches(&labels(*object)));
                    if !selected || !self.conditions_hold(objects) {
                        return Selected::No;
                    }
                }
                Selectable::Unknown(reason) => {
                    unsure = unsure.or(Some(format!("the object that the subresource belongs to is unknown: {reason}")))
                }
            }
        }
        unsure.map_or(Selected::Yes, Selected::Unsure)
    }

    /// All conditions hold on one of the objects; an error counts as a match.
    fn conditions_hold(&self, objects: &[Value<'_>]) -> bool {
        let holds = |object: &Value<'_>| {
            let Ok(object) = object.deserialize::<serde_json::Value>() else { return true };
            self.conditions.iter().all(|path| js_path_process(path, &object).map_or(true, |found| !found.is_empty()))
        };
        self.conditions.is_empty() || objects.iter().any(holds)
    }
}

fn is_vital(target: Target<'_>) -> bool {
    let of =
        |(group, resource): &(&str, &str)| *group == target.group && (*resource == "*" || *resource == target.resource);
    VITAL_NAMESPACES.contains(&target.namespace) || VITAL_RESOURCES.iter().any(of)
}

/// The selectors' requirements that have too many or too few values, by path.
fn selectors(document: &PolicyDocument) -> impl Iterator<Item = (String, bool)> + '_ {
    use crate::policy::LabelOperator::{DoesNotExist, Exists, In, NotIn};
    let matching = &document.spec.matching;
    let of = |name: &'static str, selector: &'_ LabelSelector| {
        let broken = selector.match_expressions.iter().enumerate().map(move |(index, requirement)| {
            let broken = match requirement.operator {
                In | NotIn => requirement.values.is_empty(),
                Exists | DoesNotExist => !requirement.values.is_empty(),
            };
            (format!("spec.match.{name}.matchExpressions[{index}]"), broken)
        });
        broken.collect::<Vec<_>>()
    };
    of("namespaceSelector", &matching.namespace_selector)
        .into_iter()
        .chain(of("objectSelector", &matching.object_selector))
}

fn is_service_account(account: &str, username: &str) -> bool {
    let Some((namespace, name)) = account.split_once('/') else { return false };
    username.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) == Some((namespace, name))
}

/// Whether any of the rules matches; with no rules, none does.
fn any(rules: &[MatchRule], target: Target<'_>) -> RuleMatch {
    let but_version: Vec<&MatchRule> = rules.iter().filter(|rule| matches_but_version(rule, target)).collect();
    let in_version = |rule: &&MatchRule| names(&rule.api_versions, target.version);
    if but_version.is_empty() {
        RuleMatch::No
    } else if but_version.iter().any(in_version) {
        RuleMatch::Yes
    } else {
        let mut versions: Vec<&str> =
            but_version.iter().flat_map(|rule| &rule.api_versions).map(String::as_str).collect();
        versions.dedup();
        RuleMatch::OtherVersion(versions.join(", "))
    }
}

fn matches_but_version(rule: &MatchRule, target: Target<'_>) -> bool {
    let namespaced = !target.namespace.is_empty() && !target.is_namespace;
    let scope = match rule.scope {
        Scope::Any => true,
        Scope::Cluster => !namespaced,
        Scope::Namespaced => namespaced,
    };
    scope
        && names(&rule.api_groups, target.group)
        && names(&rule.operations, target.operation.as_str())
        && rule.resources.iter().any(|resource| names_resource(resource, target.resource, target.subresource))
}

fn names(list: &[String], name: &str) -> bool {
    list.iter().any(|listed| listed == "*" || listed == name)
}

/// `pods`, `pods/scale`, `pods/*`, `*/scale`, `*` (no subresource), `*/*` (all).
fn names_resource(pattern: &str, resource: &str, subresource: Option<&str>) -> bool {
    match (pattern.split_once('/'), subresource) {
        (None, None) => pattern == "*" || pattern == resource,
        (None, Some(_)) => false,
        (Some((parent, "*")), _) => parent == "*" || parent == resource,
        (Some(_), None) => false,
        (Some((parent, child)), Some(subresource)) => child == subresource && (parent == "*" || parent == resource),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::Document;
    use crate::policy::API_VERSION;

    fn matcher(matching: serde_json::Value) -> Result<Matcher, DocumentError> {
        let document = json!({"apiVersion": API_VERSION, "kind": "ClusterPolicy", "metadata": {"name": "p"}, "spec": {"module": "m", "match": matching}});
        Matcher::new(&PolicyDocument::from_json(&document)?, None)
    }

    fn target(resource: &'static str, subresource: Option<&'static str>) -> Target<'static> {
        Target {
            group: "apps",
            version: "v1",
            resource,
            subresource,
            operation: Operation::Create,
            namespace: "a",
            is_namespace: false,
        }
    }

    fn rule(resources: &[&str]) -> serde_json::Value {
        json!({"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": resources, "operations": ["CREATE"]}]})
    }

    #[test]
    fn resources_and_subresources_are_named_as_in_webhook_rules() {
        let cases = [
            ("statefulsets", None, true),
            ("statefulsets", Some("scale"), false),
            ("statefulsets/*", None, true),
            ("statefulsets/*", Some("scale"), true),
            ("*/scale", Some("scale"), true),
            ("*/scale", None, false),
            ("*", None, true),
            ("*", Some("scale"), false),
            ("*/*", Some("status"), true),
            ("*/*", None, true),
            ("deployments", None, false),
        ];
        for (pattern, subresource, expected) in cases {
            let found = matcher(rule(&[pattern])).expect("a matcher").rules(target("statefulsets", subresource));
            assert_eq!(found == RuleMatch::Yes, expected, "{pattern} on {subresource:?}");
        }
    }

    #[test]
    fn another_version_is_an_error_and_not_an_allow() {
        let matcher = matcher(rule(&["statefulsets"])).expect("a matcher");
        let other = Target { version: "v1beta1", ..target("statefulsets", None) };
        assert_eq!(matcher.rules(other), RuleMatch::OtherVersion("v1".to_owned()));
        assert_eq!(matcher.rules(Target { operation: Operation::Delete, ..other }), RuleMatch::No);
    }

    fn selects(matching: serde_json::Value, namespace: NamespaceLabels, objects: &[serde_json::Value]) -> Selected {
        let texts: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let documents: Vec<Document<'_>> =
            texts.iter().map(|text| Document::parse(text.as_bytes()).expect("JSON")).collect();
        let objects = Selectable::Objects(documents.iter().map(Document::root).collect());
        matcher(matching).expect("a matcher").selects(&namespace, &objects)
    }

    #[test]
    fn selectors_mean_what_they_mean_to_the_api_server() {
        let by_namespace = json!({"namespaceSelector": {"matchLabels": {"env": "prod"}}});
        let labels = |value: &str| NamespaceLabels::Known(Labels::from([("env".to_owned(), value.to_owned())]));
        assert_eq!(selects(by_namespace.clone(), labels("prod"), &[]), Selected::Yes);
        assert_eq!(selects(by_namespace.clone(), labels("test"), &[]), Selected::No);
        assert_eq!(selects(by_namespace.clone(), NamespaceLabels::ClusterScoped, &[]), Selected::Yes);
        assert!(matches!(selects(by_namespace, NamespaceLabels::Unknown("x".into()), &[]), Selected::Unsure(_)));

        let by_object = json!({"objectSelector": {"matchLabels": {"a": "b"}}});
        let labelled = json!({"metadata": {"labels": {"a": "b"}}});
        assert_eq!(selects(by_object.clone(), labels(""), &[json!({}), labelled]), Selected::Yes);
        assert_eq!(selects(by_object, labels(""), &[json!({})]), Selected::No);

        let condition = json!({"where": ["$.spec.volumeClaimTemplates[*]"]});
        assert_eq!(
            selects(condition.clone(), labels(""), &[json!({"spec": {"volumeClaimTemplates": [{}]}})]),
            Selected::Yes
        );
        assert_eq!(selects(condition, labels(""), &[json!({"spec": {"volumeClaimTemplates": []}})]), Selected::No);
    }

    #[test]
    fn an_object_too_deep_for_a_condition_counts_as_a_match() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let text = format!(r#"{{"spec":{deep}}}"#);
        let document = Document::parse(text.as_bytes()).expect("JSON");
        let objects = Selectable::Objects(vec![document.root()]);
        let matcher = matcher(json!({"where": ["$.nothing"]})).expect("a matcher");
        assert_eq!(matcher.selects(&NamespaceLabels::ClusterScoped, &objects), Selected::Yes);
    }

    #[test]
    fn a_policy_of_unknown_reach_leaves_alone_what_the_cluster_lives_on() {
        let matcher = matcher(json!({})).expect("a matcher");
        let of = |group, resource, namespace| matcher.rules(Target { group, resource, namespace, ..target("", None) });
        assert_eq!(of("apps", "statefulsets", "shop"), RuleMatch::Yes);
        for (group, resource, namespace) in [
            ("coordination.k8s.io", "leases", "shop"),
            ("", "nodes", ""),
            ("apps", "deployments", "kube-system"),
            ("portcullis.dev", "clusterpolicies", ""),
        ] {
            assert_eq!(of(group, resource, namespace), RuleMatch::No, "{group} {resource} {namespace}");
        }
    }

    #[test]
    fn exclusions_go_by_namespace_user_group_and_service_account() {
        let matcher = matcher(
            json!({"exclude": {"namespaces": ["a"], "users": ["u"], "groups": ["g"], "serviceAccounts": ["n/s"]}}),
        )
        .expect("a matcher");
        let user = |username: &str, group: &str| UserInfo {
            username: username.into(),
            groups: vec![group.into()],
            ..UserInfo::default()
        };
        let elsewhere = Target { namespace: "b", ..target("statefulsets", None) };
        assert!(matcher.excludes(target("statefulsets", None), &user("", "")));
        assert!(matcher.excludes(elsewhere, &user("u", "")));
        assert!(matcher.excludes(elsewhere, &user("", "g")));
        assert!(matcher.excludes(elsewhere, &user("system:serviceaccount:n:s", "")));
        assert!(!matcher.excludes(elsewhere, &user("system:serviceaccount:n:t", "")));
    }

    #[test]
    fn what_is_broken_in_a_match_is_named() {
        let cases = [
            (json!({"where": ["spec"]}), "spec.match.where[0]"),
            (
                json!({"objectSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
                "spec.match.objectSelector.matchExpressions[0]",
            ),
        ];
        for (matching, path) in cases {
            assert_eq!(matcher(matching).expect_err("broken").path, path);
        }
    }
}
