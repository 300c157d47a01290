//! What the policies of a built-in set do to one another: an edit of one never
//! makes another deny what it let pass before, edits always apply, done twice
//! they are done once, and no policy of the set fails, whatever the object
//! looks like. Asked through `admit`, as the server asks.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::store::{self, Sources};
use portcullis_core::admit::{Admitted, Origin, Owner, Request, Selection, Snapshot, admit};
use portcullis_core::contract::{Level, Phase};
use portcullis_core::edit;
use portcullis_core::objects::Objects;
use portcullis_core::report::Verdict;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::property::{Changed, change};
use crate::server::engine;
use crate::suite::{Prepared, Suite};

/// Generated objects for each set; four calls of the whole set each.
const CASES: u32 = 600;
/// Time for one call on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is edited by the sets.
const EDITED: [&str; 3] = ["PersistentVolumeClaim", "StatefulSet", "Ingress"];

#[test]
fn no_edit_makes_another_policy_of_the_set_deny() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for set in portcullis_bundle::sets() {
        let loaded = store::load(&Sources::of_flags(&[format!("builtin/{}", set.name).into()]), engine());
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        let editable: Vec<&Prepared> = Suite::get().cases.iter().filter(|prepared| is_editable(prepared)).collect();
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let generated = (any::<Index>(), prop::collection::vec(change(), 0..3));
        let edited = Cell::new(0);
        let checked = TestRunner::new(config).run(&generated, |(case, changes)| {
            let prepared = *case.get(&editable);
            let mut changed = Changed::of(prepared);
            changes.iter().for_each(|change| changed.apply(change));
            let cluster = Objects::new(changed.cluster.iter().map(Value::to_string), prepared.case.complete);
            let snapshot =
                Snapshot { policies: loaded.policies.clone(), cluster: Arc::new(cluster), tenants: Default::default() };
            let Some(object) = changed.object.as_ref() else { return Ok(()) };
            let ask = |phase, object: &Value| runtime.block_on(ask(&snapshot, phase, prepared, object));

            let mutated = ask(Phase::Mutating, object)?;
            if !mutated.allowed || mutated.patch.is_empty() {
                return Ok(());
            }
            edited.set(edited.get() + 1);
            let patched = edit::apply(&object.to_string(), &mutated.patch)
                .map_err(|error| TestCaseError::fail(format!("the patch doesn't apply: {error}\n{object}")))?;
            let patched: Value = serde_json::from_str(&patched).unwrap();
            let again = ask(Phase::Mutating, &patched)?;
            prop_assert!(again.patch.is_empty(), "done twice it edits {:?}\n{object}", again.patch);
            let before = denials(&ask(Phase::Validating, object)?);
            let after = denials(&ask(Phase::Validating, &patched)?);
            let new: Vec<_> = after.difference(&before).collect();
            prop_assert!(new.is_empty(), "after {:?} there are {new:?}\n{object}", mutated.patch);
            Ok(())
        });
        checked.unwrap_or_else(|error| panic!("{}: {error}", set.name));
        let edited = edited.get();
        assert!(edited * 60 >= CASES, "only {edited} of {CASES} objects were edited by {}", set.name);
    }
}

fn is_editable(prepared: &Prepared) -> bool {
    let kind = prepared.case.object.as_ref().and_then(|object| object["kind"].as_str());
    kind.is_some_and(|kind| EDITED.contains(&kind)) && prepared.case.subresource.is_none()
}

/// The set's answer to the creation of an object; a policy that fails is a failed test.
async fn ask(
    snapshot: &Snapshot,
    phase: Phase,
    prepared: &Prepared,
    object: &Value,
) -> Result<Admitted, TestCaseError> {
    let mut request = json!({"uid": "set", "operation": "CREATE", "object": object, "oldObject": null});
    for name in ["kind", "resource", "name", "namespace", "userInfo"] {
        if let Some(value) = prepared.attributes.get(name) {
            request[name] = value.clone();
        }
    }
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string();
    let request = Request {
        selection: Selection { phase, group: None, owner: Owner::Cluster },
        body: body.as_bytes(),
        arrived: Instant::now(),
        deadline: Instant::now() + PATIENCE,
        now: Duration::from_secs(prepared.case.now),
        origin: Origin::Admission,
    };
    let admitted = admit(snapshot, request)
        .await
        .map_err(|error| TestCaseError::fail(format!("unreadable: {}\n{body}", error.reason)))?;
    let failed = admitted.policies.iter().find(|policy| policy.verdict == Verdict::Error);
    match failed {
        Some(policy) => Err(TestCaseError::fail(format!("{}: {:?}\n{object}", policy.policy, policy.error))),
        None => Ok(admitted),
    }
}

/// What is denied, by which rule of which policy, where.
fn denials(admitted: &Admitted) -> BTreeSet<String> {
    let policies = admitted.policies.iter();
    let findings = policies.flat_map(|policy| policy.findings.iter().map(move |finding| (policy, finding)));
    findings
        .filter(|(_, finding)| finding.level == Level::Deny)
        .map(|(policy, finding)| format!("{}/{} {:?}", policy.policy, finding.rule, finding.subject))
        .collect()
}
