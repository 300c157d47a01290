//! What a namespaced Policy may do. Whoever writes one owns a namespace, not the
//! cluster: it judges and reads only there, runs only modules that an
//! administrator trusts, and can't crowd out others.
//!
//! What it may look up is held by the core at each look-up (`Confined`), what it
//! is asked by the matcher and by its webhook's selector.

use std::sync::Arc;

use portcullis_core::contract::{Description, Operation, Phase};
use portcullis_core::kinds::cluster_scoped;
use portcullis_core::matching::{Matcher, RuleMatch, Target};
use portcullis_core::policy::{DocumentError, PolicyDocument, PolicyId};
use portcullis_kube::PolicyObject;

/// Policies that run of one namespace.
pub const MAX_TENANT_POLICIES: usize = 20;

/// What an administrator allows to namespaced policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRules {
    /// What the name of their modules begins with.
    pub modules: Vec<String>,
    /// Whether they may mutate.
    pub mutation: bool,
}

impl Default for TenantRules {
    fn default() -> TenantRules {
        TenantRules { modules: vec!["builtin/".to_owned()], mutation: false }
    }
}

impl TenantRules {
    /// Whether a namespaced policy may run with this reach.
    ///
    /// # Errors
    /// Names the field, what isn't allowed, and what would be.
    pub(super) fn allow(&self, document: &PolicyDocument, description: &Description) -> Result<(), DocumentError> {
        let module = &document.spec.module;
        if !self.modules.iter().any(|prefix| module.starts_with(prefix)) {
            let allowed = if self.modules.is_empty() { "none".to_owned() } else { self.modules.join(", ") };
            return Err(DocumentError::new(
                "spec.module",
                format!(
                    "is {module:?}; an administrator allows to a Policy modules that begin with: {allowed} (--tenant-modules)"
                ),
            ));
        }
        if description.phase == Phase::Mutating && !self.mutation {
            return Err(DocumentError::new(
                "spec.policy",
                format!(
                    "{} mutates, which an administrator hasn't allowed to a Policy (--tenant-mutation); a ClusterPolicy may",
                    description.name
                ),
            ));
        }
        match cluster_scoped_target(document, description)? {
            Some(resource) => Err(DocumentError::new(
                "spec.match.resourceRules",
                format!(
                    "the policy matches {resource}, which live in no namespace, and a Policy judges one namespace; name the resources that it is to judge, each with scope: Namespaced"
                ),
            )),
            None => Ok(()),
        }
    }
}

/// A cluster-scoped resource that the policy would match if it had no namespace.
fn cluster_scoped_target(
    document: &PolicyDocument,
    description: &Description,
) -> Result<Option<String>, DocumentError> {
    let mut everywhere = document.clone();
    everywhere.id = PolicyId::cluster(document.id.name.clone());
    let matcher = Matcher::new(&everywhere, Some(description))?;
    let operations = [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect];
    let matches = |group: &str, resource: &str, operation| {
        let target = Target {
            group,
            version: "",
            resource,
            subresource: None,
            operation,
            namespace: if resource == "namespaces" { "a" } else { "" },
            is_namespace: group.is_empty() && resource == "namespaces",
        };
        // The version doesn't matter: that another one is meant is a match too.
        matcher.rules(target) != RuleMatch::No
    };
    let found = cluster_scoped()
        .find(|(group, resource)| operations.iter().any(|operation| matches(group, resource, *operation)));
    Ok(found.map(|(_, resource)| resource.to_owned()))
}

/// Why an object is one too many of its namespace, where it is: the oldest count.
pub(super) fn surplus(object: &PolicyObject, objects: &[Arc<PolicyObject>]) -> Option<String> {
    let namespace = object.id.namespace.as_ref()?;
    let age = |object: &PolicyObject| (object.created.clone(), object.id.name.clone());
    let own = age(object);
    let older =
        objects.iter().filter(|other| other.id.namespace.as_ref() == Some(namespace) && age(other) < own).count();
    (older >= MAX_TENANT_POLICIES).then(|| {
        format!("is one too many: {MAX_TENANT_POLICIES} Policies run in a namespace, the oldest; delete one, or ask for a ClusterPolicy")
    })
}
