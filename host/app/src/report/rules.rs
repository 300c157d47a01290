//! What the rules of a run's policies say of themselves.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_core::admit::Policy;
use portcullis_core::contract::Rule;

/// Rules by the policy's id in the run and the rule's own.
pub struct Rules<'p> {
    policies: HashMap<String, HashMap<&'p str, &'p Rule>>,
}

impl<'p> Rules<'p> {
    /// Of these policies.
    pub fn of(policies: &'p [Arc<Policy>]) -> Rules<'p> {
        let of_policy = |policy: &'p Arc<Policy>| {
            let rules = policy.description.iter().flat_map(|description| &description.rules);
            (policy.document.id.to_string(), rules.map(|rule| (rule.id.as_str(), rule)).collect())
        };
        Rules { policies: policies.iter().map(of_policy).collect() }
    }

    /// One rule; none for `malformed` of a policy that doesn't describe it.
    pub fn find(&self, policy: &str, rule: &str) -> Option<&'p Rule> {
        self.policies.get(policy)?.get(rule).copied()
    }
}
