//! What the policy offers as edits makes a Service that it lets through, and
//! where edits would leave half of it behind it offers none.
#![allow(clippy::unwrap_used, reason = "a test may end in a panic")]

use portcullis_sdk::Erased;
use portcullis_sdk::harness::{Case, Verdict, run};
use portcullis_sdk::serde_json::{Value, from_value, json};
use service_exposure::ServiceExposure;

fn review(object: &Value, old: Option<&Value>) -> (Verdict, Value) {
    let operation = if old.is_some() { "UPDATE" } else { "CREATE" };
    let case = json!({"name": "fix", "operation": operation, "object": object, "oldObject": old, "expect": {"verdict": "allow"}});
    let case: Case = from_value(case).unwrap();
    let outcome = run(&Erased::<ServiceExposure>::NEW, &case).unwrap();
    (outcome.verdict, outcome.findings.first().map_or(Value::Null, |finding| finding["fix"]["edits"].clone()))
}

fn service(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "redis"}, "spec": spec})
}

#[test]
fn a_service_that_only_its_type_opens_is_closed_by_an_edit() {
    for kind in ["NodePort", "LoadBalancer"] {
        let open = service(&json!({"type": kind, "selector": {"app": "redis"}, "ports": [{"port": 6379}]}));
        let (verdict, edits) = review(&open, None);
        assert_eq!(verdict, Verdict::Deny);
        assert_eq!(edits, json!([{"op": "replace", "path": "/spec/type", "value": "ClusterIP"}]));
        let mut closed = open.clone();
        closed["spec"]["type"] = json!("ClusterIP");
        assert_eq!(review(&closed, None), (Verdict::Allow, Value::Null));
        assert_eq!(review(&open, Some(&open)).1, json!([]), "on UPDATE what the cluster filled in stands in the way");
    }
}

#[test]
fn a_service_that_says_more_of_its_opening_gets_no_edit() {
    for more in [
        json!({"ports": [{"port": 6379, "nodePort": 30001}]}),
        json!({"externalTrafficPolicy": "Local"}),
        json!({"loadBalancerIP": "192.0.2.1"}),
        json!({"loadBalancerSourceRanges": ["203.0.113.0/24"]}),
    ] {
        let mut spec = json!({"type": "LoadBalancer", "selector": {"app": "redis"}, "ports": [{"port": 6379}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(review(&service(&spec), None), (Verdict::Deny, json!([])), "{spec}");
    }
}
