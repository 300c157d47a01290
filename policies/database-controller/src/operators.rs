//! Who else may run a data store, and what is taken as proof of it.
//!
//! An operator's custom resource as the *controller* among `ownerReferences` is
//! trusted: the garbage collector deletes an object whose owner doesn't exist,
//! so that a false one takes a live custom resource of an operator in the same
//! namespace. Whoever has that could ask the operator for the data store itself.
//!
//! A label isn't trusted: anyone may write `app.kubernetes.io/managed-by`. It is
//! enough to leave out warnings, never to let a denial through. The same holds
//! for a controller that isn't known to run data stores: it makes its pods
//! again, which is what the warnings are about, and nothing more.

use portcullis_sdk::pod::WorkloadKind;
use portcullis_workloads::custom::is_operator_group;

use crate::settings::Operators;
use crate::views::{Judged, OwnerReference};

/// The label that says which tool manages an object
/// (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/).
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Values of that label that name an operator and don't have the word in them.
const MANAGERS: [&str; 4] = ["cloudnative-pg", "kubeblocks", "patroni", "stackgres"];

/// Groups of which a sub-group stands for one more kind of data store: `redis.kubedb.com`.
const PARENT_GROUPS: [&str; 3] = ["kubedb.com", "stackable.tech", "streamnative.io"];

/// Who runs a workload, as far as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Provenance {
    /// An operator of data stores, which is trusted; `Cluster/main`.
    Operator(String),
    /// Something that makes its pods again, or says so; `Rollout/web`, `managed-by some-operator`.
    Something(String),
    /// Nobody.
    Nobody,
}

/// Who runs a workload.
pub(crate) fn provenance(operators: &Operators, judged: &Judged) -> Provenance {
    if let Some(owner) = judged.controller() {
        let name = format!("{}/{}", owner.kind, owner.name);
        return if operators.trusted && runs_data_stores(operators, owner) {
            Provenance::Operator(name)
        } else {
            Provenance::Something(name)
        };
    }
    let labels = [&judged.workload.metadata.labels, &judged.workload.pod_metadata.labels];
    match labels.into_iter().find_map(|labels| labels.get(MANAGED_BY)) {
        Some(manager) if names_an_operator(manager) => Provenance::Something(format!("managed-by {manager}")),
        _ => Provenance::Nobody,
    }
}

/// Whether the controller is a workload of Kubernetes' own, which is judged itself.
pub(crate) fn is_made_by_a_workload(judged: &Judged) -> bool {
    judged.controller().is_some_and(|owner| {
        matches!(owner.group(), "" | "apps" | "batch")
            && WorkloadKind::ALL.into_iter().any(|kind| kind.as_str() == owner.kind)
    })
}

fn runs_data_stores(operators: &Operators, owner: &OwnerReference) -> bool {
    let group = owner.group();
    let is_below = |parent: &&str| group.strip_suffix(*parent).is_some_and(|rest| rest.ends_with('.'));
    is_operator_group(group)
        || PARENT_GROUPS.iter().any(is_below)
        || operators.groups.iter().any(|known| known == group)
}

fn names_an_operator(manager: &str) -> bool {
    let manager = manager.to_ascii_lowercase();
    MANAGERS.contains(&manager.as_str()) || manager.split(['-', '.', '_', '/']).any(|word| word == "operator")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_group_is_known_by_its_whole_name_or_its_parent() {
        let check = |api_version: &str, expected: bool| {
            let owner = OwnerReference { api_version: api_version.to_owned(), ..OwnerReference::default() };
            let operators = Operators { groups: vec!["databases.example.com".to_owned()], ..Operators::default() };
            assert_eq!(runs_data_stores(&operators, &owner), expected, "{api_version}");
        };
        check("postgresql.cnpg.io/v1", true);
        check("redis.kubedb.com/v1", true);
        check("databases.example.com/v1", true);
        check("notkubedb.com/v1", false);
        check("argoproj.io/v1alpha1", false);
        check("apps/v1", false);
        check("v1", false);
    }

    #[test]
    fn a_manager_is_an_operator_by_its_words() {
        for manager in ["strimzi-cluster-operator", "CloudNative-PG", "percona-server-mongodb-operator"] {
            assert!(names_an_operator(manager), "{manager}");
        }
        for manager in ["Helm", "argocd", "kustomize", "operators-team"] {
            assert!(!names_an_operator(manager), "{manager}");
        }
    }
}
