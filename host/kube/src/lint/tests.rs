//! Set-ups, and what is said of them.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use portcullis_core::policy::FailurePolicy;
use serde_json::{Value, json};

use super::*;

fn policy(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["module"] = "builtin/x".into();
    json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": name}, "spec": spec})
}

fn matching(groups: &[&str], resources: &[&str]) -> Value {
    json!({"resourceRules": [{"apiGroups": groups, "apiVersions": ["*"], "resources": resources}]})
}

fn workload(kind: &str, namespace: &str, image: &str, path: Option<&str>) -> Value {
    let volumes: Vec<Value> = path.iter().map(|path| json!({"name": "v", "hostPath": {"path": path}})).collect();
    json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "w", "namespace": namespace},
        "spec": {"template": {
            "metadata": {"labels": {"app": "w"}},
            "spec": {"containers": [{"name": "c", "image": image}], "volumes": volumes},
        }},
    })
}

/// Each risk as `level rule policy`.
#[track_caller]
fn told(objects: &[Value], expected: &[&str]) -> Vec<Risk> {
    let risks = check(&Facts::of_objects(objects));
    let shown: Vec<String> = risks
        .iter()
        .map(|risk| {
            let policy = risk.policy.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{:?} {} {policy}", risk.level, risk.rule).to_lowercase()
        })
        .collect();
    assert_eq!(shown, expected, "{risks:#?}");
    for risk in &risks {
        assert!(RULES.iter().any(|(rule, _, _)| *rule == risk.rule), "{} is no known rule", risk.rule);
        assert!(!risk.help.is_empty() && !risk.message.ends_with('.') && !risk.help.ends_with('.'), "{risk:?}");
    }
    risks
}

#[test]
fn the_network_in_a_namespace_that_is_judged_is_a_risk_with_its_way_out() {
    let pods = policy("p", json!({"match": matching(&[""], &["pods"])}));
    let flannel = workload("DaemonSet", "kube-flannel", "flannel/flannel:v1", Some("/opt/cni/bin"));
    let risks = told(&[pods, flannel.clone()], &["warn workload-outside-exempt-namespaces p"]);
    assert_eq!(
        risks[0].message,
        "it fails closed for the Pods of the DaemonSet kube-flannel/w (/opt/cni/bin), which provide the network of \
         Pods: were they gone while no replica answers, neither would come back"
    );
    assert!(risks[0].help.starts_with("add kube-flannel to spec.match.exclude.namespaces, or "), "{}", risks[0].help);
    assert_eq!(risks[0].reason(), "WorkloadOutsideExemptNamespaces");
    // Every way out that a document has.
    let with = |field: &str, value: Value| {
        let mut matching = matching(&[""], &["pods"]);
        matching[field] = value;
        policy("p", json!({"match": matching}))
    };
    for out in [
        policy("p", json!({"match": matching(&["apps"], &["statefulsets"])})),
        policy("p", json!({"failurePolicy": "Ignore", "match": matching(&[""], &["pods"])})),
        with("exclude", json!({"namespaces": ["kube-flannel"]})),
        with("objectSelector", json!({"matchLabels": {"app": "other"}})),
        with("namespaceSelector", json!({"matchLabels": {"team": "shop"}})),
    ] {
        told(&[out, flannel.clone()], &[]);
    }
    // Who makes the Pods is excluded, and the kubelet's part isn't judged.
    let account = json!({"serviceAccounts": ["kube-system/daemon-set-controller"]});
    told(&[with("exclude", account), flannel], &[]);
}

#[test]
fn labels_of_a_namespace_decide_where_they_are_known() {
    let mut matching = matching(&[""], &["pods"]);
    matching["namespaceSelector"] = json!({"matchLabels": {"team": "net"}});
    let pods = policy("p", json!({"match": matching}));
    let namespace = json!({"kind": "Namespace", "metadata": {"name": "net", "labels": {"team": "net"}}});
    let calico = workload("DaemonSet", "net", "calico/node:v3", None);
    told(&[pods, namespace, calico], &["warn workload-outside-exempt-namespaces p"]);
}

#[test]
fn what_is_exempt_or_nothing_special_is_no_risk() {
    let pods = policy("p", json!({"match": matching(&[""], &["pods"])}));
    let controller = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "portcullis-controller", "namespace": "portcullis-system", "labels": {
            "app.kubernetes.io/name": "portcullis", "app.kubernetes.io/component": "controller",
        }},
        "spec": {"template": {"spec": {"containers": [
            {"name": "controller", "image": "portcullis", "args": ["controller", "--exempt-namespace", "longhorn-system"]},
        ]}}},
    });
    told(
        &[
            pods,
            controller,
            workload("DaemonSet", "kube-system", "coredns:1", None),
            workload("DaemonSet", "longhorn-system", "longhornio/longhorn-manager:v1", None),
            workload("Deployment", "shop", "nginx:1", Some("/var/log")),
        ],
        &[],
    );
}

#[test]
fn storage_and_names_are_told_apart_and_many_are_counted() {
    let pods = policy("p", json!({"match": matching(&[""], &["pods"])}));
    let mut objects = vec![pods, workload("Deployment", "dns", "coredns/coredns:1", None)];
    for number in 0..5 {
        let mut one = workload("DaemonSet", "csi", "example/driver:1", Some("/var/lib/kubelet/plugins_registry"));
        one["metadata"]["name"] = format!("driver-{number}").into();
        objects.push(one);
    }
    let rule = "warn workload-outside-exempt-namespaces p";
    let risks = told(&objects, &[rule, rule]);
    assert!(
        risks[0].message.contains("driver-2 (/var/lib/kubelet/plugins_registry) and 2 more, which provide volumes:")
    );
    assert!(risks[1].message.contains("the Deployment dns/w (coredns/coredns:1), which provide name resolution:"));
}

#[test]
fn a_policy_is_told_of_kinds_that_are_never_reviewed() {
    let leases = matching(&["coordination.k8s.io"], &["leases"]);
    let risks = told(&[policy("p", json!({"match": leases}))], &["refuse vital-kinds p"]);
    assert!(risks[0].message.contains("leases.coordination.k8s.io"), "{}", risks[0].message);
    told(&[policy("p", json!({"match": matching(&[""], &["nodes", "configmaps"])}))], &["warn vital-kinds p"]);
}

#[test]
fn a_wildcard_that_fails_closed_is_warned_of_and_one_that_insists_is_refused() {
    for resources in ["*", "*/*"] {
        let every = matching(&["*"], &[resources]);
        told(&[policy("p", json!({"match": every}))], &["warn wildcard p"]);
        told(&[policy("p", json!({"match": every, "failClosedClusterScoped": true}))], &["refuse wildcard p"]);
        told(&[policy("p", json!({"match": every, "failurePolicy": "Ignore"}))], &[]);
    }
    told(&[policy("p", json!({"match": matching(&["*"], &["*/scale"])}))], &[]);
}

#[test]
fn who_insists_on_volumes_is_told_what_that_means() {
    let volumes = matching(&[""], &["persistentvolumes", "pods"]);
    told(&[policy("p", json!({"match": volumes}))], &[]);
    let risks = told(
        &[policy("p", json!({"match": volumes, "failClosedClusterScoped": true}))],
        &["warn cluster-scoped-fail-closed p"],
    );
    assert!(risks[0].message.contains("persistentvolumes are refused"), "{}", risks[0].message);
}

#[test]
fn one_replica_is_too_few_to_fail_closed() {
    let server = |replicas: Value| {
        let mut spec = json!({"template": {"spec": {"containers": []}}});
        if !replicas.is_null() {
            spec["replicas"] = replicas;
        }
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "spec": spec,
            "metadata": {"name": "portcullis", "namespace": "p", "labels": {
                "app.kubernetes.io/name": "portcullis", "app.kubernetes.io/component": "server",
            }},
        })
    };
    let fail = policy("p", json!({"match": matching(&["apps"], &["statefulsets"])}));
    let ignore = policy("p", json!({"failurePolicy": "Ignore", "match": matching(&["apps"], &["statefulsets"])}));
    told(&[fail.clone(), server(json!(3))], &[]);
    told(&[fail.clone(), server(json!(1))], &["warn one-replica p"]);
    told(&[fail.clone(), server(Value::Null)], &["warn one-replica p"]);
    told(&[ignore, server(json!(1))], &[]);
    told(&[fail], &[]);
}

#[test]
fn a_timeout_that_never_counts_or_that_callers_don_t_wait_for_is_told() {
    let taking = |timeout: &str| {
        let matching = matching(&["apps"], &["statefulsets"]);
        policy("p", json!({"match": matching, "timeout": timeout, "failurePolicy": "Ignore"}))
    };
    told(&[taking("5500ms")], &[]);
    let risks = told(&[taking("7s")], &["warn long-timeout p"]);
    assert!(risks[0].message.contains("may wait 10s"), "{}", risks[0].message);
    let risks = told(&[taking("20s")], &["warn long-timeout p"]);
    assert!(risks[0].message.contains("of which at most 9s count"), "{}", risks[0].message);
}

#[test]
fn the_issuer_of_the_webhooks_certificate_mustn_t_wait_for_them() {
    let configuration = json!({
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {
            "name": "portcullis", "labels": {"app.kubernetes.io/managed-by": "portcullis"},
            "annotations": {"cert-manager.io/inject-ca-from": "pki/portcullis"},
        },
    });
    let issuer = workload("Deployment", "cert-manager", "example/cert-manager-controller:v1", None);
    let pods = policy("p", json!({"match": matching(&[""], &["pods"])}));
    told(&[pods.clone(), issuer.clone()], &[]);
    told(&[pods, issuer, configuration.clone()], &["warn certificate-issuer-judged p"]);
    let secrets = policy("p", json!({"match": matching(&[""], &["secrets"])}));
    let risks = told(&[secrets, configuration], &["warn certificate-issuer-judged p"]);
    assert!(risks[0].message.contains("secrets in pki"), "{}", risks[0].message);
}

#[test]
fn a_list_is_read_as_its_items_and_what_can_t_be_read_is_left_to_others() {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        policy("p", json!({"match": matching(&["*"], &["*"])})),
        {"apiVersion": "portcullis.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": "broken"}},
        null, 7, {"kind": 3},
    ]});
    told(&[list], &["warn wildcard p"]);
}

#[test]
fn one_policy_is_judged_among_what_is_known_of_the_cluster() {
    let facts = Facts { replicas: Some(1), ..Facts::of_objects(&[workload("DaemonSet", "net", "calico/node", None)]) };
    let document = PolicyDocument::from_json(&policy("p", json!({"match": matching(&[""], &["pods"])}))).unwrap();
    let rules: Vec<&str> = admit(&document, None, &facts).into_iter().map(|risk| risk.rule).collect();
    assert_eq!(rules, ["one-replica", "workload-outside-exempt-namespaces"]);
    let mut lenient = document;
    lenient.spec.failure_policy = FailurePolicy::Ignore;
    lenient.spec.timeout = Duration::from_secs(1);
    assert!(admit(&lenient, None, &facts).is_empty());
}
