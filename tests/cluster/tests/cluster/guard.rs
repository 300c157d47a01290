//! Never in one's own way, on a real API server with the real garbage collector
//! and the real controller, while no replica answers: what is never blocked,
//! break-glass, what an uninstallation leaves, and what is created once.

use std::time::Duration;

use portcullis_cluster::{CONTEXT, wait_for};
use portcullis_kube::{connect, registrations};
use serde_json::{Value, json};

use crate::unanswered::{CONFIGURATION, Installed, LONG_ENOUGH, MUTATES, NAMESPACE, RECORD, SOON};

fn everything(closed: bool) -> Value {
    let rule = json!({"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]});
    json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": "everything"},
        "spec": {"module": "builtin/x", "failClosedClusterScoped": closed, "match": {"resourceRules": [rule]}},
    })
}

/// The same by a policy that mutates.
fn everything_mutated(closed: bool) -> Value {
    let mut policy = everything(closed);
    policy["metadata"]["name"] = json!("everything-mutated");
    policy["spec"]["policy"] = json!(MUTATES);
    policy
}

fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str, more: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

/// What Portcullis itself, the control plane and the nodes write.
fn recovery() -> Vec<Value> {
    let own = Some(NAMESPACE);
    let template = json!({
        "metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "portcullis"}]},
    });
    let review = json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}});
    let event = json!({"involvedObject": {"namespace": "team"}, "reason": "x", "type": "Normal"});
    vec![
        object("v1", "ConfigMap", own, "x", json!({})),
        object("v1", "Secret", own, "x", json!({})),
        object("v1", "Service", own, "x", json!({"spec": {"ports": [{"port": 443}]}})),
        object("v1", "ServiceAccount", own, "x", json!({})),
        object("v1", "Pod", own, "x", json!({"spec": {"containers": [{"name": "c", "image": "portcullis"}]}})),
        object(
            "apps/v1",
            "Deployment",
            own,
            "x",
            json!({"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template}}),
        ),
        object("discovery.k8s.io/v1", "EndpointSlice", own, "x", json!({"addressType": "IPv4", "endpoints": []})),
        object("policy/v1", "PodDisruptionBudget", own, "x", json!({"spec": {"maxUnavailable": 1}})),
        object("rbac.authorization.k8s.io/v1", "Role", own, "x", json!({"rules": []})),
        object("coordination.k8s.io/v1", "Lease", own, "x", json!({})),
        object("v1", "ConfigMap", Some("kube-system"), "x", json!({})),
        object("coordination.k8s.io/v1", "Lease", Some("kube-node-lease"), "x", json!({})),
        object("coordination.k8s.io/v1", "Lease", Some("team"), "x", json!({})),
        object("v1", "Event", Some("team"), "x", event),
        object("v1", "Node", None, "x", json!({})),
        object("v1", "Namespace", None, "x", json!({})),
        object("authorization.k8s.io/v1", "SelfSubjectAccessReview", None, "", review.clone()),
        object("authentication.k8s.io/v1", "TokenReview", None, "", json!({"spec": {"token": "x"}})),
    ]
}

/// Cluster-scoped objects that controllers, kubelets and drivers write.
fn written_by_controllers() -> Vec<Value> {
    vec![
        object(
            "v1",
            "PersistentVolume",
            None,
            "x",
            json!({"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}}),
        ),
        object("storage.k8s.io/v1", "StorageClass", None, "x", json!({"provisioner": "x.example.com"})),
        object("storage.k8s.io/v1", "CSIDriver", None, "x.example.com", json!({"spec": {}})),
        object("storage.k8s.io/v1", "CSINode", None, "x", json!({"spec": {"drivers": []}})),
        object(
            "storage.k8s.io/v1",
            "VolumeAttachment",
            None,
            "x",
            json!({"spec": {"attacher": "x.example.com", "nodeName": "x", "source": {"persistentVolumeName": "x"}}}),
        ),
        object("networking.k8s.io/v1", "ServiceCIDR", None, "x", json!({"spec": {"cidrs": ["10.9.0.0/24"]}})),
        object(
            "certificates.k8s.io/v1",
            "CertificateSigningRequest",
            None,
            "x",
            json!({"spec": {
                "request": signing_request(),
                "signerName": "example.com/kubelets",
                "usages": ["client auth"],
            }}),
        ),
    ]
}

/// A PEM in base64, as a kubelet sends one.
fn signing_request() -> String {
    let script = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null \
                  -subj /O=system:nodes/CN=system:node:x 2>/dev/null | base64 -w0";
    let made = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
    String::from_utf8(made.stdout).unwrap()
}

/// Objects of the installation that lie in no namespace, made anew and changed.
fn own_objects_pass(installed: &Installed) {
    let cluster = &installed.cluster;
    for role in ["clusterrole/portcullis", "clusterrolebinding/portcullis", "clusterrolebinding/portcullis-controller"]
    {
        let object = installed.json(&["get", role]);
        cluster.kubectl(&["annotate", "--overwrite", role, "example.com/a=b"], "");
        cluster.kubectl(&["delete", role], "");
        let mut anew = object;
        anew["metadata"] = json!({"name": anew["metadata"]["name"], "labels": anew["metadata"]["labels"]});
        cluster.kubectl(&["create", "-f", "-"], &anew.to_string());
    }
    for crd in ["clusterpolicies.portcullis.dev", "policies.portcullis.dev"] {
        cluster.kubectl(&["annotate", "--overwrite", "crd", crd, "example.com/a=b"], "");
    }
    cluster.kubectl(&["annotate", "--overwrite", "namespace", NAMESPACE, "example.com/a=b"], "");
    cluster.kubectl(&["annotate", "--overwrite", "clusterpolicy", "everything", "example.com/a=b"], "");
    installed.passes(&object("scheduling.k8s.io/v1", "PriorityClass", None, "portcullis", json!({"value": 1000})));
}

#[test]
fn what_the_cluster_lives_on_is_never_blocked() {
    let mut installed = Installed::start();
    installed.cluster.kubectl(&["create", "namespace", "team"], "");
    installed.cluster.kubectl(&["create", "namespace", "net"], "");
    installed.cluster.kubectl(&["create", "-f", "-"], &network().to_string());
    installed.start_controller();
    installed.apply(&everything(false));
    installed.wait_closed(true);
    let message = installed.wait_condition("LockoutRisk", "True");
    assert!(message.contains("the DaemonSet net/agent (/opt/cni/bin), which provide the network of Pods"), "{message}");
    assert!(message.contains("add net to spec.match.exclude.namespaces"), "{message}");
    assert_eq!(installed.report.borrow().lockout_risks["workload-outside-exempt-namespaces"], 1);
    installed.blocked(&object("v1", "ConfigMap", Some("team"), "x", json!({})));
    installed.blocked(&object("v1", "ServiceAccount", Some("team"), "x", json!({})));
    for object in recovery().iter().chain(&written_by_controllers()) {
        installed.passes(object);
    }
    installed.cluster.kubectl(&["create", "token", "default", "-n", "team"], "");
    own_objects_pass(&installed);
    mutation_blocks_nothing_either(&installed);
    // The same where a document insists on cluster-scoped kinds.
    installed.apply(&everything(true));
    wait_for("cluster-scoped kinds that are blocked", SOON, || {
        let class = object("storage.k8s.io/v1", "StorageClass", None, "y", json!({"provisioner": "x.example.com"}));
        !installed.cluster.try_kubectl(&["create", "--dry-run=server", "-f", "-"], &class.to_string()).well()
    });
    // Nodes come back all the same.
    for object in written_by_controllers() {
        match object["kind"].as_str() {
            Some("CSINode" | "CertificateSigningRequest") => installed.passes(&object),
            _ => installed.blocked(&object),
        }
    }
    installed.blocked(&object("rbac.authorization.k8s.io/v1", "ClusterRole", None, "x", json!({"rules": []})));
    for object in recovery().iter().filter(|object| object["kind"] != "Namespace") {
        installed.passes(object);
    }
    own_objects_pass(&installed);
    risks_are_told(&installed);
    installed.cluster.kubectl(&["delete", "clusterpolicy", "everything"], "");
    installed.run_all();
    installed.wait_closed(false);
    wait_for("the configuration's end", SOON, || !installed.is_there(CONFIGURATION));
    assert!(installed.is_there("validatingwebhookconfiguration/portcullis-policies"), "it guards the next policy");
    assert!(!installed.json(&["get", RECORD, "-n", NAMESPACE])["data"].to_string().contains("breakGlass"));
}

/// The same holds of the mutating phase, whose webhooks are asked first.
fn mutation_blocks_nothing_either(installed: &Installed) {
    installed.apply(&everything_mutated(false));
    let by_mutation = |object: &Value| {
        let said = installed.cluster.try_kubectl(&["create", "--dry-run=server", "-f", "-"], &object.to_string());
        said.errors.contains("failed calling webhook \"fail.mutate")
    };
    let config = object("v1", "ConfigMap", Some("team"), "x", json!({}));
    wait_for("the mutating configuration", SOON, || by_mutation(&config));
    for object in recovery().iter().chain(&written_by_controllers()) {
        installed.passes(object);
    }
    own_objects_pass(installed);
    installed.apply(&everything_mutated(true));
    let class = object("storage.k8s.io/v1", "StorageClass", None, "y", json!({"provisioner": "x.example.com"}));
    wait_for("cluster-scoped kinds that mutation blocks", SOON, || by_mutation(&class));
    for object in written_by_controllers().iter().filter(|object| object["kind"] == "CSINode") {
        installed.passes(object);
    }
    installed.cluster.kubectl(&["delete", "clusterpolicy", "everything-mutated"], "");
    installed.run_all();
    wait_for("the mutating configuration's end", SOON, || {
        !installed.is_there("mutatingwebhookconfiguration/portcullis")
    });
}

/// A network plugin where a policy judges it.
fn network() -> Value {
    let pod = json!({
        "containers": [{"name": "agent", "image": "example.com/agent"}],
        "volumes": [{"name": "bin", "hostPath": {"path": "/opt/cni/bin"}}],
    });
    let template = json!({"metadata": {"labels": {"app": "agent"}}, "spec": pod});
    let spec = json!({"selector": {"matchLabels": {"app": "agent"}}, "template": template});
    object("apps/v1", "DaemonSet", Some("net"), "agent", json!({"spec": spec}))
}

fn risks_are_told(installed: &Installed) {
    wait_for("the refusal of the wildcard", SOON, || {
        installed
            .condition("everything", "LockoutRisk")
            .is_some_and(|(_, said)| said.contains("cluster-scoped ones included"))
    });
    let message = installed.wait_condition("LockoutRisk", "True");
    assert!(message.starts_with("wildcard: it fails closed for every kind, cluster-scoped ones included"), "{message}");
}

#[test]
fn break_glass_by_kubectl_and_by_command_is_kept_shown_and_ended() {
    let mut installed = Installed::start();
    installed.cluster.kubectl(&["create", "namespace", "team"], "");
    installed.start_controller();
    installed.apply(&everything(false));
    installed.wait_closed(true);
    installed.wait_condition("Ready", "True");
    assert!(installed.condition("everything", "BreakGlass").is_none(), "nobody has to read of what never was");
    by_kubectl_while_all_are_dead(&mut installed);
    by_command(&mut installed);
    made_again_by_hand(&installed);
    by_expiry(&mut installed);
}

fn by_kubectl_while_all_are_dead(installed: &mut Installed) {
    installed.kill_controller();
    installed.cluster.kubectl(&["delete", CONFIGURATION], "");
    installed.wait_closed(false);
    installed.cluster.kubectl(&["create", "configmap", "written", "-n", "team"], "");
    installed.start_controller();
    let message = installed.wait_condition("BreakGlass", "True");
    assert!(message.contains("the webhook configuration validating/portcullis is gone since 20"), "{message}");
    assert!(message.contains("kubectl annotate configmap portcullis-registrations -n portcullis-system"), "{message}");
    installed.wait_condition("Ready", "False");
    installed.stays_open();
    let report = installed.report.borrow().clone();
    assert_eq!(report.break_glass.unwrap().gone, ["validating/portcullis"]);
    assert!(installed.is_there("validatingwebhookconfiguration/portcullis-policies"), "what is there stays");
    installed.cluster.kubectl(&["annotate", RECORD, "-n", NAMESPACE, "portcullis.dev/break-glass=end"], "");
    installed.wait_closed(true);
    installed.wait_condition("BreakGlass", "False");
    installed.wait_condition("Ready", "True");
    assert!(
        !installed.cluster.kubectl(&["get", RECORD, "-n", NAMESPACE, "-o", "yaml"], "").contains("break-glass: end")
    );
}

fn by_command(installed: &mut Installed) {
    installed.kill_controller();
    let admin = installed.runtime.block_on(connect(Some(&installed.cluster.kubeconfig()), CONTEXT)).unwrap();
    let until = std::time::SystemTime::now() + Duration::from_secs(3_600);
    let by = Some("mary".to_owned());
    let deleted = installed.runtime.block_on(registrations::begin(&admin, NAMESPACE, "a drill", until, by)).unwrap();
    assert_eq!(deleted, ["validating/portcullis", "validating/portcullis-policies"]);
    installed.wait_closed(false);
    let open = installed.runtime.block_on(registrations::status(&admin, NAMESPACE)).unwrap().unwrap();
    assert_eq!((open.reason.as_str(), open.by.as_deref()), ("a drill", Some("mary")));
    installed.start_controller();
    let message = installed.wait_condition("BreakGlass", "True");
    assert!(message.contains("by mary (a drill)"), "{message}");
    installed.stays_open();
    let ended = installed.runtime.block_on(registrations::end(&admin, NAMESPACE)).unwrap().unwrap();
    assert_eq!(ended.gone.len(), 2);
    installed.wait_closed(true);
    assert_eq!(installed.runtime.block_on(registrations::end(&admin, NAMESPACE)).unwrap(), None);
    wait_for("all configurations", SOON, || installed.is_there("validatingwebhookconfiguration/portcullis-policies"));
    // Who may do nothing is told which way there is.
    let nobody = installed.runtime.block_on(connect(Some(&installed.cluster.kubeconfig_of_nobody()), CONTEXT)).unwrap();
    let refused = installed.runtime.block_on(registrations::status(&nobody, NAMESPACE)).unwrap_err().to_string();
    assert!(refused.contains("can't be read: ") && refused.contains("kubectl delete validating"), "{refused}");
}

fn made_again_by_hand(installed: &Installed) {
    let mut saved = installed.json(&["get", CONFIGURATION]);
    installed.cluster.kubectl(&["delete", CONFIGURATION], "");
    installed.wait_condition("BreakGlass", "True");
    for field in ["uid", "resourceVersion", "managedFields", "creationTimestamp"] {
        saved["metadata"].as_object_mut().unwrap().remove(field);
    }
    installed.cluster.kubectl(&["create", "-f", "-"], &saved.to_string());
    installed.wait_condition("BreakGlass", "False");
    installed.wait_closed(true);
}

fn by_expiry(installed: &mut Installed) {
    installed.kill_controller();
    installed.expiry = Some(Duration::from_secs(20));
    installed.start_controller();
    // It leads once the Lease of the one before has run out.
    wait_for("the new one's begin", SOON, || {
        let lease = installed.json(&["get", "lease", "portcullis-controller", "-n", NAMESPACE]);
        let renewed = lease["spec"]["leaseTransitions"].clone();
        !renewed.is_null()
    });
    installed.cluster.kubectl(&["delete", CONFIGURATION], "");
    installed.wait_condition("BreakGlass", "True");
    installed.wait_closed(false);
    installed.wait_closed(true);
    installed.wait_condition("BreakGlass", "False");
}

#[test]
fn removing_the_installation_leaves_nothing_in_any_order() {
    let mut installed = Installed::start();
    installed.cluster.kubectl(&["create", "namespace", "team"], "");
    installed.start_controller();
    installed.apply(&everything(false));
    installed.wait_closed(true);
    let owners = &installed.json(&["get", CONFIGURATION])["metadata"]["ownerReferences"];
    assert_eq!(
        (owners[0]["kind"].as_str(), owners[0]["name"].as_str()),
        (Some("ClusterRole"), Some("portcullis-controller"))
    );
    // The role first, while the controller runs: it has to leave them gone.
    installed.cluster.kubectl(&["delete", "clusterrole", "portcullis-controller"], "");
    none_is_left(&installed);
    std::thread::sleep(LONG_ENOUGH);
    none_is_left(&installed);
    // Installed again: that is no break-glass.
    installed.grant();
    installed.wait_closed(true);
    installed.wait_condition("Ready", "True");
    assert!(installed.condition("everything", "BreakGlass").is_none());
    // The role last, when the controller and its namespace are gone; meanwhile it fails closed.
    installed.kill_controller();
    installed.cluster.kubectl(&["delete", "namespace", NAMESPACE, "--timeout=60s"], "");
    assert!(installed.is_closed());
    installed.cluster.kubectl(&["delete", "clusterrole", "portcullis-controller"], "");
    none_is_left(&installed);
    installed.wait_closed(false);
}

fn none_is_left(installed: &Installed) {
    wait_for("the collection of all configurations", SOON, || {
        let kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations";
        installed.json(&["get", kinds])["items"].as_array().unwrap().is_empty()
    });
}

#[test]
fn initial_policies_are_created_once() {
    let mut installed = Installed::start();
    let named = |name: &str, order: i64| {
        json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": name},
            "spec": {"module": "builtin/x", "order": order, "match": {"resourceRules": [
                {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets"]},
            ]}},
        })
    };
    // One of the same name was there before.
    installed.cluster.kubectl(&["create", "-f", "-"], &named("kept", 7).to_string());
    installed.initial = vec![named("kept", 1), named("first", 1), named("second", 1)];
    installed.start_controller();
    let recorded = |installed: &Installed| {
        let said = installed
            .cluster
            .try_kubectl(&["get", RECORD, "-n", NAMESPACE, "-o", "jsonpath={.data.initialPolicies}"], "");
        said.output
    };
    wait_for("all initial policies", SOON, || recorded(&installed) == r#"["first","kept","second"]"#);
    let order =
        |installed: &Installed, name: &str| installed.json(&["get", "clusterpolicy", name])["spec"]["order"].clone();
    assert_eq!((order(&installed, "kept"), order(&installed, "first")), (json!(7), json!(1)));
    installed.cluster.kubectl(&["delete", "clusterpolicy", "first"], "");
    installed
        .cluster
        .kubectl(&["patch", "clusterpolicy", "second", "--type=merge", "-p", r#"{"spec":{"order":9}}"#], "");
    installed.kill_controller();
    installed.initial.push(named("third", 1));
    installed.start_controller();
    wait_for("the new one", SOON, || installed.is_there("clusterpolicy/third"));
    assert!(!installed.is_there("clusterpolicy/first"), "what was deleted stays deleted");
    assert_eq!(order(&installed, "second"), json!(9), "what was edited stays edited");
    // No policy is ready, and its own kinds are guarded all the same.
    assert!(installed.is_there("validatingwebhookconfiguration/portcullis-policies"));
}
