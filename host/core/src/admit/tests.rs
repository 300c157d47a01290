//! The host's rules on whole requests, with policies written as closures: what
//! an answer is made of, and every way round the object's life that the contract
//! closes. It is long because each rule takes a whole request to show.
#![allow(clippy::unwrap_used)]

use futures_util::FutureExt as _;
use serde_json::{Value as Json, json};

use super::*;
use crate::contract::{RawEdit, RawReview, Read};
use crate::evaluate::{Call, Evaluation, Failure};
use crate::objects::{NoCluster, Objects};
use crate::policy::API_VERSION;
use crate::report::Verdict;
use crate::view::Tree;

type Judge = Box<dyn Fn(&Call<'_>) -> Result<RawReview, Failure> + Send + Sync>;

struct Closure(Judge);

impl Evaluate for Closure {
    fn evaluate<'a>(&'a self, call: Call<'a>) -> futures_util::future::BoxFuture<'a, Evaluation> {
        let outcome = (self.0)(&call);
        async move { Evaluation { outcome, ran: Duration::from_micros(7) } }.boxed()
    }
}

/// Denies every class in `bad` at `spec.class`, with the subject `field=class`.
fn deny_class(bad: &'static [&'static str]) -> Judge {
    Box::new(move |call| {
        let object: Json = call.object.map_or(Json::Null, |object| serde_json::from_str(object).unwrap());
        let class = object["spec"]["class"].as_str().unwrap_or_default().to_owned();
        let finding = json!({"rule": "class", "level": "deny", "message": format!("class {class} is bad"), "path": "spec.class", "subject": "field=class", "value": class});
        let findings = if bad.contains(&class.as_str()) { vec![finding.to_string()] } else { vec![] };
        Ok(RawReview { findings, ..RawReview::default() })
    })
}

fn set(pointer: &'static str, value: &'static str) -> Judge {
    Box::new(move |_| {
        Ok(RawReview { edits: vec![RawEdit::Add(pointer.to_owned(), value.to_owned())], ..RawReview::default() })
    })
}

const ALL: [&str; 6] =
    ["pods", "statefulsets", "persistentvolumeclaims", "deployments", "replicasets", "statefulsets/scale"];

fn description(phase: Phase, resources: &[&str]) -> Description {
    let view = json!({"fields": {"spec": {"fields": {"class": "value", "template": "value"}}, "data": "value"}});
    let kinds = [
        ("apps/v1", "StatefulSet"),
        ("v1", "Pod"),
        ("v1", "PersistentVolumeClaim"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "Secret"),
    ];
    let reads: Vec<Json> =
        kinds.iter().map(|(version, kind)| json!({"apiVersion": version, "kind": kind, "object": view})).collect();
    let writes: Vec<Json> = kinds
        .iter()
        .map(|(version, kind)| json!({"apiVersion": version, "kind": kind, "pointers": ["/spec"]}))
        .collect();
    serde_json::from_value(json!({
        "name": "p", "phase": phase, "rules": [{"id": "class", "severity": "high", "title": "class is bad"}],
        "reach": {
            "matches": [{"apiGroups": ["", "apps"], "apiVersions": ["v1"], "resources": resources, "operations": ["CREATE", "UPDATE"]}],
            "reads": reads, "writes": writes,
            "lookups": [{"apiVersion": "v1", "kind": "Thing", "fields": "value", "verbs": ["get"]}],
        },
    }))
    .unwrap()
}

fn policy_with(name: &str, spec: Json, description: Description, judge: Judge) -> Arc<Policy> {
    let mut document = json!({"apiVersion": API_VERSION, "kind": "ClusterPolicy", "metadata": {"name": name}, "spec": {"module": "m"}});
    document["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let document = PolicyDocument::from_json(&document).unwrap();
    Arc::new(Policy {
        matcher: Matcher::new(&document, Some(&description)).unwrap(),
        document,
        description: Some(description.into()),
        digest: String::new(),
        evaluator: Ok(Arc::new(Closure(judge))),
    })
}

fn policy(name: &str, judge: Judge) -> Arc<Policy> {
    policy_with(name, json!({}), description(Phase::Validating, &ALL), judge)
}

fn mutating(name: &str, judge: Judge) -> Arc<Policy> {
    policy_with(name, json!({}), description(Phase::Mutating, &ALL), judge)
}

fn review(request: Json) -> Json {
    let mut review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "CREATE", "namespace": "a", "name": "n",
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"}, "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
    }});
    review["request"].as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
    review
}

struct Run {
    admitted: Admitted,
    response: Json,
}

fn run_with(cluster: Arc<dyn ClusterView>, policies: Vec<Arc<Policy>>, phase: Phase, body: &str) -> Run {
    let snapshot = Snapshot { policies, cluster, tenants: Default::default() };
    let request = Request {
        selection: Selection { phase, group: None, owner: Owner::Cluster },
        body: body.as_bytes(),
        arrived: Instant::now(),
        deadline: Instant::now() + Duration::from_secs(60),
        now: Duration::ZERO,
        origin: Origin::Admission,
    };
    let admitted = admit(&snapshot, request).now_or_never().unwrap().unwrap();
    let body: Json = serde_json::from_str(&admitted.body).unwrap();
    Run { admitted, response: body["response"].clone() }
}

fn objects(objects: &[Json]) -> Arc<dyn ClusterView> {
    Arc::new(Objects::new(objects.iter().map(ToString::to_string), true))
}

fn no_cluster() -> Arc<dyn ClusterView> {
    Arc::new(NoCluster { reason: "no cluster".to_owned() })
}

fn validate(policies: Vec<Arc<Policy>>, request: Json) -> Run {
    run_with(objects(&[]), policies, Phase::Validating, &review(request).to_string())
}

fn mutate(policies: Vec<Arc<Policy>>, request: Json) -> Run {
    run_with(objects(&[]), policies, Phase::Mutating, &review(request).to_string())
}

fn verdict(run: &Run) -> Verdict {
    run.admitted.policies[0].verdict
}

#[test]
fn a_denial_has_a_line_a_finding_and_its_cause() {
    let run = validate(vec![policy("p", deny_class(&["x"]))], json!({"object": {"spec": {"class": "x"}}}));
    assert_eq!(run.response["uid"], "u");
    assert_eq!(run.response["allowed"], false);
    assert_eq!(run.response["status"]["code"], 403);
    assert_eq!(run.response["status"]["message"], "p/class: class x is bad (spec.class)");
    assert_eq!(
        run.response["status"]["details"]["causes"],
        json!([{"reason": "p/class", "message": "class x is bad", "field": "spec.class"}])
    );
}

#[test]
fn validation_actions_decide_what_a_denial_does() {
    for (actions, allowed, warned, audited) in [
        (json!(["Deny"]), false, false, false),
        (json!(["Warn"]), true, true, false),
        (json!(["Audit"]), true, false, true),
        (json!(["Warn", "Audit"]), true, true, true),
    ] {
        let policy = policy_with(
            "p",
            json!({"validationActions": actions}),
            description(Phase::Validating, &ALL),
            deny_class(&["x"]),
        );
        let run = validate(vec![policy], json!({"object": {"spec": {"class": "x"}}}));
        assert_eq!(run.response["allowed"], allowed, "{actions}");
        assert_eq!(run.response["warnings"] == json!(["p/class: class x is bad (spec.class)"]), warned, "{actions}");
        assert_eq!(run.response["auditAnnotations"]["p.denied"].is_string(), audited, "{actions}");
        assert_eq!(run.admitted.policies[0].enforced, !allowed);
    }
}

#[test]
fn a_failure_is_answered_as_the_failure_policy_says() {
    let trap = || -> Judge { Box::new(|_| Err(Failure::Timeout { limit: Duration::from_millis(5) })) };
    let run = validate(vec![policy("slow", trap())], json!({"object": {}}));
    assert_eq!(run.response["status"]["message"], "slow: ran longer than its timeout of 5 ms");
    let ignored = policy_with("slow", json!({"failurePolicy": "Ignore"}), description(Phase::Validating, &ALL), trap());
    let run = validate(vec![ignored], json!({"object": {}}));
    assert_eq!(
        (run.response["allowed"].clone(), run.response["warnings"][0].clone()),
        (json!(true), json!("slow: ran longer than its timeout of 5 ms"))
    );
    assert_eq!(verdict(&run), Verdict::Error);
}

#[test]
fn a_deadline_that_has_passed_names_the_policy_that_was_not_asked() {
    let snapshot = Snapshot {
        policies: vec![policy("late", deny_class(&[]))],
        cluster: no_cluster(),
        tenants: Default::default(),
    };
    let body = review(json!({"object": {}})).to_string();
    let request = Request {
        selection: Selection { phase: Phase::Validating, group: None, owner: Owner::Cluster },
        body: body.as_bytes(),
        arrived: Instant::now(),
        deadline: Instant::now(),
        now: Duration::ZERO,
        origin: Origin::Admission,
    };
    let admitted = admit(&snapshot, request).now_or_never().unwrap().unwrap();
    assert_eq!(admitted.message, "late: the request's deadline passed while it ran");
}

#[test]
fn a_body_is_answered_in_band_where_a_uid_can_be_read() {
    let policies = || vec![policy("p", deny_class(&[]))];
    let cases = [
        (r#"{"apiVersion":"admission.k8s.io/v1beta1","request":{"uid":"u","object":{"#.to_owned(), "the body can't be read"),
        (r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","object":{"a":1,"a":2}}}"#.to_owned(), "stands twice"),
        (r#"{"apiVersion":"admission.k8s.io/v9","kind":"AdmissionReview","request":{"uid":"u"}}"#.to_owned(), "v9"),
    ];
    for (body, expected) in cases {
        let run = run_with(no_cluster(), policies(), Phase::Validating, &body);
        assert_eq!(run.response["uid"], "u");
        assert_eq!(run.response["allowed"], false);
        assert!(run.admitted.message.contains(expected), "{}", run.admitted.message);
    }
    let ignoring = Selection { phase: Phase::Validating, group: Some(FailurePolicy::Ignore), owner: Owner::Cluster };
    let snapshot = Snapshot { policies: policies(), cluster: no_cluster(), tenants: Default::default() };
    let request = |body| Request {
        selection: ignoring.clone(),
        body,
        arrived: Instant::now(),
        deadline: Instant::now(),
        now: Duration::ZERO,
        origin: Origin::Admission,
    };
    let admitted = admit(&snapshot, request(br#"{"request":{"uid":"u""#)).now_or_never().unwrap().unwrap();
    assert!(admitted.allowed && admitted.warnings.len() == 1);
    assert!(admit(&snapshot, request(b"hello")).now_or_never().unwrap().is_err());
}

#[test]
fn a_look_up_without_an_answer_is_undecided_whatever_the_guest_says() {
    let asks = || -> Judge {
        Box::new(|call| {
            let name = crate::cluster::ObjectName {
                api_version: "v1".into(),
                kind: "Thing".into(),
                namespace: None,
                name: "t".into(),
            };
            call.cluster.get(&name).now_or_never().unwrap()?;
            Ok(RawReview::default())
        })
    };
    let body = review(json!({"object": {}})).to_string();
    let run = run_with(no_cluster(), vec![policy("p", asks())], Phase::Validating, &body);
    assert_eq!(verdict(&run), Verdict::Undecided);
    assert_eq!(run.admitted.policies[0].needs, ["Thing t (no cluster)"]);
    assert_eq!(run.response["warnings"], json!(["p: undecided, no answer to: Thing t (no cluster)"]));
    let denying = policy_with("p", json!({"onUndecided": "Deny"}), description(Phase::Validating, &ALL), asks());
    assert!(!run_with(no_cluster(), vec![denying], Phase::Validating, &body).admitted.allowed);
    let mut optional = description(Phase::Validating, &ALL);
    optional.reach.lookups[0].optional = true;
    let optional = policy_with("p", json!({}), optional, asks());
    assert_eq!(verdict(&run_with(no_cluster(), vec![optional], Phase::Validating, &body)), Verdict::Allow);
}

#[test]
fn an_undeclared_look_up_is_the_policys_error() {
    let asks: Judge = Box::new(|call| {
        let name = crate::cluster::ObjectName {
            api_version: "v1".into(),
            kind: "Secret".into(),
            namespace: None,
            name: "t".into(),
        };
        call.cluster.get(&name).now_or_never().unwrap()?;
        Ok(RawReview::default())
    });
    let run = validate(vec![policy("p", asks)], json!({"object": {}}));
    assert_eq!(run.admitted.message, "p: undeclared look-up: get of Secret.v1; declare it in the policy's reach");
}

#[test]
fn mutations_compose_and_each_policy_sees_the_object_as_edited_so_far() {
    let sees: Judge = Box::new(|call| {
        let object: Json = serde_json::from_str(call.object.unwrap()).unwrap();
        let seen = object["spec"]["class"].as_str().unwrap_or("nothing").to_owned();
        Ok(RawReview {
            edits: vec![RawEdit::Add("/spec/template/seen".into(), format!("{seen:?}"))],
            ..RawReview::default()
        })
    });
    let run = mutate(
        vec![mutating("a", set("/spec/class", "\"fast\"")), mutating("b", sees)],
        json!({"object": {"other": 1.50}}),
    );
    assert_eq!(
        serde_json::to_value(&run.admitted.patch).unwrap(),
        json!([{"op": "add", "path": "/spec", "value": {"class": "fast", "template": {"seen": "fast"}}}])
    );
    assert_eq!(run.response["patchType"], "JSONPatch");
    assert!(run.admitted.warnings.is_empty());
}

#[test]
fn two_policies_that_set_a_field_to_different_values_are_reported() {
    let run = mutate(
        vec![mutating("a", set("/spec/class", "\"x\"")), mutating("b", set("/spec/class", "\"y\""))],
        json!({"object": {"spec": {}}}),
    );
    assert_eq!(
        run.admitted.warnings,
        ["b changes /spec/class, which a has set to another value; the later one counts"]
    );
    let same = mutate(
        vec![mutating("a", set("/spec/class", "\"x\"")), mutating("b", set("/spec/class", "\"x\""))],
        json!({"object": {"spec": {}}}),
    );
    assert!(same.admitted.warnings.is_empty());
}

#[test]
fn a_denial_in_the_mutating_phase_leaves_no_patch_and_the_others_are_asked() {
    let denying = policy_with("a", json!({}), description(Phase::Mutating, &ALL), deny_class(&["x"]));
    let run = mutate(vec![denying, mutating("b", set("/spec/new", "1"))], json!({"object": {"spec": {"class": "x"}}}));
    assert!(!run.admitted.allowed && run.admitted.patch.is_empty() && run.response.get("patch").is_none());
    assert_eq!(run.admitted.policies.len(), 2);
}

#[test]
fn an_edit_outside_of_reach_view_or_object_is_the_policys_error() {
    let cases: [(Judge, Json, &str); 5] = [
        (set("/metadata/labels/a", "1"), json!({}), "outside of what the policy declares"),
        (set("/spec/hidden", "1"), json!({"spec": {"hidden": 2}}), "doesn't give as a whole"),
        (set("/spec", "{}"), json!({"spec": {"class": "x"}}), "doesn't give as a whole"),
        (
            Box::new(|_| Ok(RawReview { edits: vec![RawEdit::Remove("/spec/class".into())], ..RawReview::default() })),
            json!({}),
            "nothing stands at",
        ),
        (set("spec", "1"), json!({}), "malformed answer"),
    ];
    for (judge, object, expected) in cases {
        let run = mutate(vec![mutating("p", judge)], json!({"object": object}));
        assert_eq!(verdict(&run), Verdict::Error);
        assert!(run.admitted.message.contains(expected), "{}", run.admitted.message);
    }
}

#[test]
fn an_edit_cannot_reach_an_unseen_element_by_moving_the_array() {
    let edits = |edits: &'static [(&'static str, &'static str)]| -> Judge {
        Box::new(move |_| {
            let edits = edits.iter().map(|(operation, path)| match *operation {
                "remove" => RawEdit::Remove((*path).to_owned()),
                _ => RawEdit::Add((*path).to_owned(), "1".to_owned()),
            });
            Ok(RawReview { edits: edits.collect(), ..RawReview::default() })
        })
    };
    let hidden = json!({"object": {"spec": {"hidden": [{}, {}]}}});
    let cases: [(&'static [(&'static str, &'static str)], Verdict); 5] = [
        (&[("add", "/spec/hidden/0")], Verdict::Allow),
        (&[("add", "/spec/hidden/0"), ("remove", "/spec/hidden/2")], Verdict::Error),
        (&[("add", "/spec/hidden/0"), ("add", "/spec/hidden/2/x")], Verdict::Error),
        (&[("add", "/spec/hidden/0"), ("add", "/spec/hidden/3")], Verdict::Allow),
        (&[("remove", "/spec/hidden/0")], Verdict::Error),
    ];
    for (list, expected) in cases {
        assert_eq!(verdict(&mutate(vec![mutating("p", edits(list))], hidden.clone())), expected, "{list:?}");
    }
}

#[test]
fn a_malformed_answer_is_the_policys_error() {
    let finding = |json: Json| -> Judge {
        Box::new(move |_| Ok(RawReview { findings: vec![json.to_string()], ..RawReview::default() }))
    };
    let many: Judge = Box::new(|_| Ok(RawReview { findings: vec!["{}".into(); 101], ..RawReview::default() }));
    let edits: Judge = set("/spec/class", "1");
    let cases = [
        (finding(json!({"rule": "class", "level": "fatal"})), "fatal"),
        (finding(json!({"rule": "other", "level": "deny"})), "rule \"other\" is not one of the policy's"),
        (finding(json!("text")), "finding 0"),
        (finding(json!({"rule": "class", "level": "deny", "message": "x".repeat(5_000)})), "at most 4096"),
        (many, "at most 100"),
        (edits, "a validating policy returned edits"),
    ];
    for (judge, expected) in cases {
        let run = validate(vec![policy("p", judge)], json!({"object": {}}));
        assert!(run.admitted.message.contains(expected), "{}", run.admitted.message);
    }
}

#[test]
fn nothing_that_came_out_of_a_secret_goes_on() {
    // "cGFzc3dvcmQxMjM0" is password1234.
    let leak: Judge = Box::new(|_| {
        let finding = json!({"rule": "class", "level": "deny", "message": "found password1234", "path": "data.a", "subject": "key=a", "value": "cGFzc3dvcmQxMjM0"});
        Ok(RawReview {
            findings: vec![finding.to_string()],
            audit_annotations: vec![("a".into(), "password1234".into()), ("b".into(), "fine".into())],
            ..RawReview::default()
        })
    });
    let request = json!({"kind": {"group": "", "version": "v1", "kind": "Secret"}, "resource": {"group": "", "version": "v1", "resource": "secrets"}, "object": {"data": {"a": "cGFzc3dvcmQxMjM0"}}});
    let run = validate(
        vec![policy_with("p", json!({}), description(Phase::Validating, &["secrets"]), leak)],
        request.clone(),
    );
    assert_eq!(run.admitted.message, "p/class: class is bad");
    assert_eq!(run.response["auditAnnotations"], json!({"p.b": "fine"}));
    let writes = mutate(
        vec![policy_with(
            "p",
            json!({}),
            description(Phase::Mutating, &["secrets"]),
            set("/spec/class", "\"password1234\""),
        )],
        request,
    );
    assert_eq!(writes.admitted.message, "p: an edit holds a value that the policy read from a Secret");
}

// The object's life.

fn update(new: Json, old: Json) -> Json {
    json!({"operation": "UPDATE", "object": new, "oldObject": old})
}

#[test]
fn a_denial_that_the_old_object_deserved_is_a_warning() {
    let run = validate(
        vec![policy("p", deny_class(&["x", "y"]))],
        update(json!({"spec": {"class": "x", "more": 1}}), json!({"spec": {"class": "x"}})),
    );
    assert_eq!((verdict(&run), run.admitted.allowed), (Verdict::Warn, true));
    assert_eq!(run.admitted.policies[0].findings[0].softened.as_deref(), Some("ratcheted"));
}

#[test]
fn one_bad_value_does_not_license_another() {
    let run = validate(
        vec![policy("p", deny_class(&["x", "y"]))],
        update(json!({"spec": {"class": "x"}}), json!({"spec": {"class": "y"}})),
    );
    assert_eq!(verdict(&run), Verdict::Deny);
}

#[test]
fn a_warning_on_the_old_object_or_a_finding_without_subject_is_not_ratcheted() {
    let levels = |old: &'static str, subject: &'static str| -> Judge {
        Box::new(move |call| {
            let level = if call.operation == crate::contract::Operation::Create { old } else { "deny" };
            Ok(RawReview {
                findings: vec![json!({"rule": "class", "level": level, "subject": subject, "value": "v"}).to_string()],
                ..RawReview::default()
            })
        })
    };
    for (old, subject, expected) in [
        ("deny", "s", Verdict::Warn),
        ("warn", "s", Verdict::Deny),
        ("undecided", "s", Verdict::Deny),
        ("deny", "", Verdict::Deny),
    ] {
        let run =
            validate(vec![policy("p", levels(old, subject))], update(json!({"spec": {"a": 1}}), json!({"spec": {}})));
        assert_eq!(verdict(&run), expected, "{old} {subject:?}");
    }
}

#[test]
fn letting_an_object_go_is_not_judged_but_nothing_else_is_let_through_with_it() {
    let object = |finalizers: Json, class: &str, more: Json| {
        let mut object = json!({"metadata": {"name": "n", "finalizers": finalizers, "deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"class": class}});
        object["metadata"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    let old = || object(json!(["a", "b"]), "y", json!({}));
    let cases = [
        ("a finalizer goes", object(json!(["a"]), "y", json!({})), 0),
        ("with new managedFields", object(json!([]), "y", json!({"managedFields": [{}], "resourceVersion": "2"})), 0),
        ("nothing goes", old(), 1),
        ("one is added", object(json!(["a", "b", "c"]), "y", json!({})), 1),
        ("one is swapped", object(json!(["a", "c"]), "y", json!({})), 1),
        ("a label comes with it", object(json!(["a"]), "y", json!({"labels": {"a": "b"}})), 1),
        ("the spec changes with it", object(json!(["a"]), "x", json!({})), 1),
    ];
    for (name, new, expected) in cases {
        let run = validate(vec![policy("p", deny_class(&["x"]))], update(new, old()));
        assert_eq!(run.admitted.policies.len(), expected, "{name}");
    }
}

#[test]
fn a_status_update_is_judged_only_where_a_policy_declares_it() {
    let status = |class: &str| {
        let mut request = update(
            json!({"metadata": {}, "spec": {"class": class}, "status": {"ready": 1}}),
            json!({"metadata": {}, "spec": {"class": "y"}}),
        );
        request["subResource"] = json!("status");
        request
    };
    let by =
        |resource: &str| policy_with("p", json!({}), description(Phase::Validating, &[resource]), deny_class(&["x"]));
    assert_eq!(validate(vec![by("statefulsets/*")], status("y")).admitted.policies.len(), 0);
    assert_eq!(validate(vec![by("statefulsets/status")], status("y")).admitted.policies.len(), 1);
    assert_eq!(validate(vec![by("statefulsets/*")], status("x")).admitted.policies.len(), 1);
}

#[test]
fn the_volume_binder_is_not_refused_what_it_only_carries_out() {
    let claim = |volume: Json, class: &str, labels: Json| {
        let mut claim =
            json!({"metadata": {"name": "n", "namespace": "a", "labels": labels}, "spec": {"class": class}});
        if !volume.is_null() {
            claim["spec"]["volumeName"] = volume;
            claim["metadata"]["annotations"] = json!({"pv.kubernetes.io/bind-completed": "yes"});
        }
        claim
    };
    let bound = |user: &str, new: Json, old: Json| {
        let mut request = update(new, old);
        request["kind"] = json!({"group": "", "version": "v1", "kind": "PersistentVolumeClaim"});
        request["resource"] = json!({"group": "", "version": "v1", "resource": "persistentvolumeclaims"});
        request["userInfo"] = json!({"username": user});
        // What is denied is the volume: the claim alone was fine.
        let judge: Judge = Box::new(|call| {
            let bad = call.object.is_some_and(|object| object.contains("local"));
            let finding = json!({"rule": "class", "level": "deny", "subject": "claim", "value": "local"});
            Ok(RawReview { findings: bad.then(|| finding.to_string()).into_iter().collect(), ..RawReview::default() })
        });
        let mut description = description(Phase::Validating, &ALL);
        description.reach.reads = vec![Read {
            api_version: "v1".to_owned(),
            kind: "PersistentVolumeClaim".to_owned(),
            object: Some(Tree::Value),
            old_object: None,
        }];
        let run = validate(vec![policy_with("p", json!({}), description, judge)], request);
        (verdict(&run), run.admitted.policies[0].findings[0].softened.clone())
    };
    let binder = "system:serviceaccount:kube-system:persistent-volume-binder";
    let (new, old) = (claim(json!("local"), "y", json!({})), claim(Json::Null, "y", json!({})));
    for user in [binder, "system:kube-controller-manager"] {
        let softened = Some("judged before it was bound".to_owned());
        assert_eq!(bound(user, new.clone(), old.clone()), (Verdict::Warn, softened), "{user}");
    }
    assert_eq!(bound("alice", new.clone(), old.clone()).0, Verdict::Deny);
    let denied = |new, old| assert_eq!(bound(binder, new, old).0, Verdict::Deny);
    denied(claim(json!("local"), "z", json!({})), old.clone());
    denied(claim(json!("local"), "y", json!({"a": "b"})), old);
    denied(new, claim(json!("other"), "y", json!({})));
}

const CONTROLLER: &str = "system:serviceaccount:kube-system:statefulset-controller";

fn stateful_set(uid: &str, labels: Json) -> Json {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "a", "uid": uid, "labels": labels}, "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}})
}

fn pod(user: &str, owner_kind: &str, uid: &str) -> Json {
    json!({
        "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {"username": user},
        "object": {"metadata": {"name": "db-0", "ownerReferences": [{"apiVersion": "apps/v1", "kind": owner_kind, "name": "db", "uid": uid, "controller": true}]}, "spec": {"class": "x"}},
    })
}

fn owned(cluster: Arc<dyn ClusterView>, policy: Arc<Policy>, request: Json) -> Verdict {
    verdict(&run_with(cluster, vec![policy], Phase::Validating, &review(request).to_string()))
}

#[test]
fn what_a_controller_makes_is_judged_at_its_owner() {
    let judge = || policy("p", deny_class(&["x"]));
    let cluster = || objects(&[stateful_set("1", json!({}))]);
    assert_eq!(owned(cluster(), judge(), pod(CONTROLLER, "StatefulSet", "1")), Verdict::Warn);
    assert_eq!(owned(cluster(), judge(), pod("system:kube-controller-manager", "StatefulSet", "1")), Verdict::Warn);
    // Ways round it.
    let cases = [
        ("a user who is no controller", pod("mallory", "StatefulSet", "1")),
        (
            "a user who is another controller",
            pod("system:serviceaccount:kube-system:job-controller", "StatefulSet", "1"),
        ),
        (
            "an account of that name elsewhere",
            pod("system:serviceaccount:a:statefulset-controller", "StatefulSet", "1"),
        ),
        ("an owner of another uid", pod(CONTROLLER, "StatefulSet", "2")),
        ("an owner that is not there", pod(CONTROLLER, "DaemonSet", "1")),
    ];
    for (name, request) in cases {
        assert_eq!(owned(cluster(), judge(), request), Verdict::Deny, "{name}");
    }
    assert_eq!(owned(no_cluster(), judge(), pod(CONTROLLER, "StatefulSet", "1")), Verdict::Undecided);
}

#[test]
fn a_policy_that_does_not_match_that_very_owner_judges_the_object() {
    let only_pods = policy_with("p", json!({}), description(Phase::Validating, &["pods"]), deny_class(&["x"]));
    assert_eq!(
        owned(objects(&[stateful_set("1", json!({}))]), only_pods, pod(CONTROLLER, "StatefulSet", "1")),
        Verdict::Deny
    );
    let only_create = json!({"match": {"resourceRules": [
        {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets"], "operations": ["CREATE"]},
        {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]}});
    let only_create = policy_with("p", only_create, description(Phase::Validating, &ALL), deny_class(&["x"]));
    assert_eq!(
        owned(objects(&[stateful_set("1", json!({}))]), only_create, pod(CONTROLLER, "StatefulSet", "1")),
        Verdict::Deny
    );
    // The Pod carries the label that is asked for, its owner doesn't.
    let labelled = || {
        policy_with(
            "p",
            json!({"match": {"objectSelector": {"matchLabels": {"judge": "me"}}}}),
            description(Phase::Validating, &ALL),
            deny_class(&["x"]),
        )
    };
    let mut request = pod(CONTROLLER, "StatefulSet", "1");
    request["object"]["metadata"]["labels"] = json!({"judge": "me"});
    assert_eq!(owned(objects(&[stateful_set("1", json!({}))]), labelled(), request.clone()), Verdict::Deny);
    assert_eq!(owned(objects(&[stateful_set("1", json!({"judge": "me"}))]), labelled(), request), Verdict::Warn);
}

#[test]
fn owners_are_followed_up_the_chain() {
    let replica_set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "db", "namespace": "a", "uid": "1", "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "top", "uid": "9", "controller": true}]}});
    let deployment = |uid: &str| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "top", "namespace": "a", "uid": uid}});
    let judge =
        || policy_with("p", json!({}), description(Phase::Validating, &["pods", "deployments"]), deny_class(&["x"]));
    let request = || pod("system:serviceaccount:kube-system:replicaset-controller", "ReplicaSet", "1");
    assert_eq!(owned(objects(&[replica_set.clone(), deployment("9")]), judge(), request()), Verdict::Warn);
    assert_eq!(owned(objects(&[replica_set, deployment("8")]), judge(), request()), Verdict::Deny);
}

#[test]
fn a_template_claim_is_tied_to_its_set_by_user_and_name() {
    let claim = |user: &str, name: &str| {
        json!({
            "kind": {"group": "", "version": "v1", "kind": "PersistentVolumeClaim"}, "resource": {"group": "", "version": "v1", "resource": "persistentvolumeclaims"},
            "name": name, "userInfo": {"username": user}, "object": {"metadata": {"name": name}, "spec": {"class": "x"}},
        })
    };
    let cluster = || objects(&[stateful_set("1", json!({}))]);
    let judge = || policy("p", deny_class(&["x"]));
    for (user, name, expected) in [
        (CONTROLLER, "data-db-0", Verdict::Warn),
        (CONTROLLER, "data-db-x", Verdict::Deny),
        (CONTROLLER, "other-db-0", Verdict::Deny),
        (CONTROLLER, "data-other-0", Verdict::Deny),
        ("mallory", "data-db-0", Verdict::Deny),
    ] {
        assert_eq!(owned(cluster(), judge(), claim(user, name)), expected, "{user} {name}");
    }
    assert_eq!(owned(no_cluster(), judge(), claim(CONTROLLER, "data-db-0")), Verdict::Undecided);
}

#[test]
fn an_edit_on_a_field_that_cannot_change_only_puts_back_what_was_there() {
    let pointer = "/spec/volumeClaimTemplates/0/spec/storageClassName";
    let set_class = || {
        let mut description = description(Phase::Mutating, &ALL);
        description.reach.reads[0].object = Some(
            serde_json::from_value(json!({"fields": {"spec": {"fields": {"volumeClaimTemplates": "value"}}}})).unwrap(),
        );
        policy_with("p", json!({}), description, set(pointer, "\"new-default\""))
    };
    let object = |class: Option<&str>| match class {
        Some(class) => {
            json!({"metadata": {}, "spec": {"volumeClaimTemplates": [{"spec": {"storageClassName": class}}]}})
        }
        None => json!({"metadata": {}, "spec": {"volumeClaimTemplates": [{"spec": {}}]}}),
    };
    let patched = |new: Option<&str>, old: Option<&str>| {
        let run = mutate(vec![set_class()], update(object(new), object(old)));
        run.admitted.patch.first().and_then(|edit| edit.value().map(str::to_owned))
    };
    assert_eq!(patched(None, Some("injected")).as_deref(), Some("\"injected\""));
    assert_eq!(patched(None, None), None);
    assert_eq!(patched(Some("mine"), Some("injected")), None);
    let created = mutate(vec![set_class()], json!({"object": object(None)}));
    assert_eq!(created.admitted.patch[0].value(), Some("\"new-default\""));
}

#[test]
fn selectors_of_a_scale_are_judged_on_its_parent() {
    let by_label = || {
        policy_with(
            "p",
            json!({"match": {"objectSelector": {"matchLabels": {"judge": "me"}}}}),
            description(Phase::Validating, &ALL),
            Box::new(|_| Err(Failure::Busy)),
        )
    };
    let scale = json!({"operation": "UPDATE", "subResource": "scale", "name": "db", "kind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}, "object": {"metadata": {"labels": {"judge": "not me"}}}, "oldObject": {}});
    let asked = |cluster| {
        run_with(cluster, vec![by_label()], Phase::Validating, &review(scale.clone()).to_string())
            .admitted
            .policies
            .len()
    };
    assert_eq!(asked(objects(&[stateful_set("1", json!({"judge": "me"}))])), 1);
    assert_eq!(asked(objects(&[stateful_set("1", json!({}))])), 0);
    assert_eq!(asked(no_cluster()), 1);
}

#[test]
fn unknown_namespace_labels_count_as_a_match_and_a_denial_is_undecided() {
    let by_namespace = || {
        policy_with(
            "p",
            json!({"match": {"namespaceSelector": {"matchLabels": {"env": "prod"}}}}),
            description(Phase::Validating, &ALL),
            deny_class(&["x"]),
        )
    };
    let request = || review(json!({"object": {"spec": {"class": "x"}}})).to_string();
    let namespace =
        |env: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"env": env}}});
    let run = |cluster| run_with(cluster, vec![by_namespace()], Phase::Validating, &request());
    assert_eq!(verdict(&run(no_cluster())), Verdict::Undecided);
    assert_eq!(verdict(&run(objects(&[namespace("prod")]))), Verdict::Deny);
    assert!(run(objects(&[namespace("test")])).admitted.policies.is_empty());
}

#[test]
fn a_policy_that_cannot_run_answers_as_its_failure_policy_says() {
    let broken = |failure_policy: &str| {
        let document = json!({"apiVersion": API_VERSION, "kind": "ClusterPolicy", "metadata": {"name": "p"}, "spec": {"module": "m", "failurePolicy": failure_policy}});
        let document = PolicyDocument::from_json(&document).unwrap();
        Arc::new(Policy {
            matcher: Matcher::new(&document, None).unwrap(),
            document,
            description: None,
            digest: String::new(),
            evaluator: Err("no such module".to_owned()),
        })
    };
    let run = validate(vec![broken("Fail")], json!({"object": {}}));
    assert_eq!(run.admitted.message, "p: can't run: no such module");
    assert!(validate(vec![broken("Ignore")], json!({"object": {}})).admitted.allowed);
}

#[test]
fn long_answers_are_cut_with_a_count() {
    let many: Judge = Box::new(|_| {
        let finding = |index: usize| {
            json!({"rule": "class", "level": "deny", "message": format!("{index} {}", "long ".repeat(40))}).to_string()
        };
        Ok(RawReview { findings: (0..100).map(finding).collect(), ..RawReview::default() })
    });
    let run = validate(vec![policy("p", many)], json!({"object": {}}));
    assert!(run.admitted.message.len() <= crate::verdict::MAX_MESSAGE_BYTES);
    assert!(run.admitted.message.ends_with("more findings"), "{}", run.admitted.message);
}

/// As two webhooks of one path ask, each in the version that its policies read.
#[test]
fn a_policy_of_another_version_is_left_to_its_own_call() {
    let reading = |name: &str, version: &str, phase: Phase| {
        let mut description = description(phase, &ALL);
        description.reach.matches[0].api_versions = vec![version.to_owned()];
        policy_with(name, json!({}), description, deny_class(&["bad"]))
    };
    let request = |version: &str| {
        json!({
            "kind": {"group": "apps", "version": version, "kind": "StatefulSet"},
            "resource": {"group": "apps", "version": version, "resource": "statefulsets"},
            "object": {"spec": {"class": "bad"}},
        })
    };
    let asked = |policies: Vec<Arc<Policy>>, phase: Phase, version: &str| {
        let run = match phase {
            Phase::Validating => validate(policies, request(version)),
            Phase::Mutating => mutate(policies, request(version)),
        };
        let asked = run.admitted.policies.iter().map(|report| (report.policy.clone(), report.error.is_some()));
        asked.collect::<Vec<_>>()
    };
    for phase in [Phase::Validating, Phase::Mutating] {
        let both = || vec![reading("one", "v1", phase), reading("two", "v2", phase)];
        assert_eq!(asked(both(), phase, "v1"), [("one".to_owned(), false)]);
        assert_eq!(asked(both(), phase, "v2"), [("two".to_owned(), false)]);
        let neither = asked(both(), phase, "v3");
        assert_eq!(neither, [("one".to_owned(), true), ("two".to_owned(), true)], "a version that nobody reads");
    }
}
