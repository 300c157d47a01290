//! What a request asks together and what alone, with policies written as closures.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};

use super::*;
use crate::admit::{Admitted, Origin, Owner, Request, Selection, Snapshot, admit};
use crate::cluster::{ObjectName, Scoped};
use crate::contract::{Description, Phase, RawReview};
use crate::evaluate::{Call as EvaluateCall, Evaluate, EvaluateTogether, Evaluation, Failure};
use crate::matching::Matcher;
use crate::objects::NoCluster;
use crate::policy::{API_VERSION, PolicyDocument};
use crate::view::UnitedViews;

/// What a policy says: of itself, of the object that it was given, alone or not.
type Judge = fn(member: u32, object: &str, alone: bool) -> Result<RawReview, Failure>;

/// A module whose policies are all the same.
struct Module {
    judge: Judge,
    looks_up: bool,
    /// The members of each call, and the object that they were given.
    calls: Mutex<Vec<(Vec<u32>, String)>>,
}

struct One {
    module: Arc<Module>,
    company: Option<Company>,
    member: u32,
}

impl Module {
    async fn ask(&self, member: u32, object: &str, alone: bool, cluster: &Scoped) -> Result<RawReview, Failure> {
        if self.looks_up {
            let thing = |name: &str| ObjectName {
                api_version: "v1".to_owned(),
                kind: "Thing".to_owned(),
                namespace: None,
                name: name.to_owned(),
            };
            cluster.get(&thing(&format!("of-{member}"))).await?;
        }
        (self.judge)(member, object, alone)
    }
}

impl EvaluateTogether for Module {
    fn evaluate_together<'a>(&'a self, call: SharedCall<'a>) -> BoxFuture<'a, Result<Vec<Answered>, Failure>> {
        async move {
            let object = call.object.unwrap_or_default();
            let members = call.members.iter().map(|(member, _)| *member).collect();
            self.calls.lock().unwrap().push((members, object.to_owned()));
            let mut answers = Vec::new();
            for (member, cluster) in call.members {
                let review = self.ask(*member, object, false, cluster).await?;
                answers.push(Answered { review, ran: Duration::from_micros(3) });
            }
            answers.retain(|answer| answer.review.extra.is_none());
            Ok(answers)
        }
        .boxed()
    }
}

impl Evaluate for One {
    fn evaluate<'a>(&'a self, call: EvaluateCall<'a>) -> BoxFuture<'a, Evaluation> {
        async move {
            let object = call.object.unwrap_or_default();
            self.module.calls.lock().unwrap().push((vec![self.member], object.to_owned()));
            let outcome = self.module.ask(self.member, object, true, &call.cluster).await;
            Evaluation { outcome, ran: Duration::from_micros(7) }
        }
        .boxed()
    }

    fn company(&self) -> Option<&Company> {
        self.company.as_ref()
    }
}

fn description(view: &Json, kind: &str) -> Description {
    serde_json::from_value(json!({
        "name": "p", "phase": Phase::Validating, "rules": [{"id": "bad", "title": "it is bad"}],
        "reach": {
            "matches": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["things"], "operations": ["*"]}],
            "reads": [{"apiVersion": "v1", "kind": kind, "object": view}],
            "lookups": [{"apiVersion": "v1", "kind": "Thing", "fields": "value", "verbs": ["get"]}],
        },
    }))
    .unwrap()
}

/// Policies `p0`, `p1`, … of one module, with such views of a kind.
fn policies(module: &Arc<Module>, kind: &str, views: &[Json]) -> Vec<Arc<Policy>> {
    let shared: Arc<dyn EvaluateTogether> = module.clone();
    let united = Arc::<UnitedViews>::default();
    let policy = |(member, view): (u32, &Json)| {
        let document = json!({"apiVersion": API_VERSION, "kind": "ClusterPolicy", "metadata": {"name": format!("p{member}")}, "spec": {"module": "m"}});
        let document = PolicyDocument::from_json(&document).unwrap();
        let description = description(view, kind);
        let company = Some(Company { module: shared.clone(), member, views: united.clone() });
        Arc::new(Policy {
            matcher: Matcher::new(&document, Some(&description)).unwrap(),
            document,
            description: Some(description.into()),
            digest: String::new(),
            evaluator: Ok(Arc::new(One { module: module.clone(), company, member })),
        })
    };
    (0..).zip(views).map(policy).collect()
}

fn module(judge: Judge) -> Arc<Module> {
    Arc::new(Module { judge, looks_up: false, calls: Mutex::default() })
}

fn run(policies: Vec<Arc<Policy>>, kind: &str, object: &Json) -> Admitted {
    let cluster = Arc::new(NoCluster { reason: "nobody knows".to_owned() });
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "CREATE", "name": "n", "kind": {"group": "", "version": "v1", "kind": kind},
        "resource": {"group": "", "version": "v1", "resource": "things"}, "object": object,
    }});
    let body = body.to_string();
    let request = Request {
        selection: Selection { phase: Phase::Validating, group: None, owner: Owner::Cluster },
        body: body.as_bytes(),
        arrived: Instant::now(),
        deadline: Instant::now() + Duration::from_secs(60),
        now: Duration::ZERO,
        origin: Origin::Admission,
    };
    admit(&Snapshot { policies, cluster, tenants: Default::default() }, request).now_or_never().unwrap().unwrap()
}

fn finding(member: u32) -> RawReview {
    let finding = json!({"rule": "bad", "level": "warn", "message": format!("found by {member}")});
    RawReview { findings: vec![finding.to_string()], ..RawReview::default() }
}

fn calls(module: &Module) -> Vec<Vec<u32>> {
    module.calls.lock().unwrap().iter().map(|(members, _)| members.clone()).collect()
}

/// Each policy with its first finding's message, or its error.
fn said(admitted: &Admitted) -> Vec<(String, String)> {
    let text = |report: &PolicyReport| {
        report.error.clone().or_else(|| Some(report.findings.first()?.message.clone())).unwrap_or_default()
    };
    admitted.policies.iter().map(|report| (report.policy.clone(), text(report))).collect()
}

fn expect(found: &[(String, String)], expected: &[&str]) {
    let expected = expected.iter().enumerate().map(|(place, text)| (format!("p{place}"), (*text).to_owned()));
    assert_eq!(found, expected.collect::<Vec<_>>());
}

const OBJECT: &str = r#"{"a":{"x":1,"y":2},"b":[3],"c":4}"#;

fn object() -> Json {
    serde_json::from_str(OBJECT).unwrap()
}

#[test]
fn policies_whose_views_unite_are_asked_in_one_call() {
    let module = module(|member, _, _| Ok(finding(member)));
    let views = [
        json!({"fields": {"a": "value"}}),
        json!({"fields": {"a": "keys"}}),
        json!({"fields": {"b": "value"}}),
        json!({"fields": {"a": "keys", "c": "present"}}),
    ];
    let admitted = run(policies(&module, "Thing", &views), "Thing", &object());
    expect(&said(&admitted), &["found by 0", "found by 1", "found by 2", "found by 3"]);
    let calls = module.calls.lock().unwrap();
    let expected = [
        (vec![0, 2], r#"{"a":{"x":1,"y":2},"b":[3]}"#.to_owned()),
        (vec![1, 3], r#"{"a":{"x":true,"y":true},"c":true}"#.to_owned()),
    ];
    assert_eq!(*calls, expected);
    assert_eq!(admitted.policies[0].duration_micros, 3);
}

#[test]
fn a_call_that_fails_is_nobodys_and_each_answers_for_itself() {
    let failing: Judge = |member, _, _| match member {
        1 => Err(Failure::Trap { reason: "it is mine".to_owned() }),
        member => Ok(finding(member)),
    };
    let module = module(failing);
    let views = vec![json!({"fields": {"a": "value"}}); 3];
    let admitted = run(policies(&module, "Thing", &views), "Thing", &object());
    expect(&said(&admitted), &["found by 0", "trapped: it is mine", "found by 2"]);
    assert_eq!(calls(&module), [vec![0, 1, 2], vec![0], vec![1], vec![2]]);
}

#[test]
fn too_few_answers_are_nobodys_either() {
    let module = module(|member, _, alone| {
        let extra = (member == 2 && !alone).then(|| "{}".to_owned());
        Ok(RawReview { extra, ..finding(member) })
    });
    let views = vec![json!({"fields": {"a": "value"}}); 3];
    let admitted = run(policies(&module, "Thing", &views), "Thing", &object());
    expect(&said(&admitted), &["found by 0", "found by 1", "found by 2"]);
    assert_eq!(calls(&module).len(), 4);
}

#[test]
fn a_malformed_answer_is_asked_for_again_alone() {
    let malformed: Judge = |member, _, alone| match (member, alone) {
        (1, false) => Ok(RawReview { findings: vec!["{".to_owned()], ..RawReview::default() }),
        _ => Ok(finding(member)),
    };
    let module = module(malformed);
    let views = vec![json!({"fields": {"a": "value"}}); 2];
    let admitted = run(policies(&module, "Thing", &views), "Thing", &object());
    expect(&said(&admitted), &["found by 0", "found by 1"]);
    assert_eq!(calls(&module), [vec![0, 1], vec![1]]);
}

#[test]
fn what_stays_unknown_is_a_need_of_who_asked() {
    let module =
        Arc::new(Module { judge: |_, _, _| Ok(RawReview::default()), looks_up: true, calls: Mutex::default() });
    let views = vec![json!({"fields": {"a": "value"}}); 2];
    let admitted = run(policies(&module, "Thing", &views), "Thing", &object());
    let needs: Vec<_> = admitted.policies.iter().map(|report| report.needs.clone()).collect();
    assert_eq!(needs, [["Thing of-0 (nobody knows)"], ["Thing of-1 (nobody knows)"]]);
    assert_eq!(calls(&module), [vec![0, 1]]);
}

#[test]
fn who_is_given_values_from_secrets_is_asked_alone() {
    let module = module(|member, _, _| Ok(finding(member)));
    let views = [
        json!({"fields": {"data": "keys"}}),
        json!({"fields": {"data": "value"}}),
        json!({"fields": {"data": "keys"}}),
    ];
    let secret = json!({"data": {"password": "aHVudGVyMg=="}});
    let admitted = run(policies(&module, "Secret", &views), "Secret", &secret);
    expect(&said(&admitted), &["found by 0", "found by 1", "found by 2"]);
    let mut calls = calls(&module);
    calls.sort();
    assert_eq!(calls, [vec![0, 2], vec![1]]);
}

#[test]
fn policies_of_two_modules_are_never_asked_together() {
    let (one, two) = (module(|member, _, _| Ok(finding(member))), module(|member, _, _| Ok(finding(member))));
    let view = [json!({"fields": {"a": "value"}})];
    let both = [policies(&one, "Thing", &view), policies(&two, "Thing", &view)].concat();
    run(both, "Thing", &object());
    assert_eq!((calls(&one), calls(&two)), (vec![vec![0]], vec![vec![0]]));
}
