//! The harness on a small policy of its own: each way in which a policy can be
//! wrong or untested must fail.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::kind::{Kind, ObjectKind, Objects, Scope, read_kind};
use crate::path::FieldPath;
use crate::policy::{Cases, Mutating, Rule, Rules, Sample, Severity};
use crate::reach::{Lookup, Reach};
use crate::request::{Operation, Request};
use crate::review::Review;
use crate::settings::Settings;
use crate::view::{Tree, View, Visited};
use crate::{GroupVersionKind, Host, Malformed, Query};

/// Misbehaves as its settings say.
struct Subject;

#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct SubjectSettings {
    appends: bool,
    strays: bool,
    peeks: bool,
    lists: bool,
    optional: bool,
    lonely: bool,
    unsure: bool,
    kept: bool,
    nested: Vec<Nested>,
}

#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Nested {
    storage_class: String,
}

impl Settings for SubjectSettings {}

#[derive(Clone, Copy)]
enum SubjectRule {
    Nameless,
}

impl Rules for SubjectRule {
    const ALL: &'static [Rule] = &[Rule {
        id: "nameless",
        severity: Severity::Low,
        title: "no name",
        reason: "why",
        remedy: "give it one",
        url: "",
        examples: None,
    }];

    fn declaration(self) -> &'static Rule {
        &Self::ALL[self as usize]
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Thing {
    tag: String,
    secret: String,
}

impl View for Thing {
    fn tree(_: &mut Visited) -> Tree {
        Tree::field("tag", Tree::Value)
    }
}

impl Kind for Thing {
    const API_VERSION: &'static str = "example.org/v1";
    const KIND: &'static str = "Thing";
    const RESOURCE: &'static str = "things";
    const SCOPE: Scope = Scope::Namespaced;
}

impl Objects for Thing {
    fn kinds() -> Vec<ObjectKind> {
        vec![ObjectKind::of::<Self>()]
    }

    fn read(kind: &GroupVersionKind, json: &str) -> Option<Result<Self, Malformed>> {
        read_kind(kind, json)
    }
}

impl Cases for Subject {}

impl Policy for Subject {
    type Settings = SubjectSettings;
    type Rule = SubjectRule;
    type Phase = Mutating;
    type Object = Thing;
    type OldObject = Thing;

    const NAME: &'static str = "subject";
    const VERSION: &'static str = "0.1.0";
    const TITLE: &'static str = "a policy to test the harness on";

    fn reach(settings: &SubjectSettings) -> Reach {
        let reach = Reach::of::<Self>(&[Operation::Create, Operation::Update]).writes::<Thing>(&["/tag"]);
        let lookup = Lookup::of::<Thing>().list().key("spec.parts[*].name");
        if settings.optional { reach.lookup(lookup.optional()) } else { reach.lookup(lookup) }
    }

    fn samples() -> Vec<Sample> {
        vec![Sample::create(json!({"apiVersion": "example.org/v1", "kind": "Thing", "tag": "a"}))]
    }

    fn review(settings: &SubjectSettings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        let Some(thing) = &request.object else { return };
        assert!(thing.secret.is_empty(), "an undeclared field arrived");
        let tag = FieldPath::root().field("tag");
        if thing.tag.is_empty() {
            review.deny(SubjectRule::Nameless, "no tag").at(&tag).subject("thing");
        }
        if thing.tag == "raw" {
            review.replace(&tag, "cooked");
        }
        if settings.appends {
            review.replace(&tag, format!("{}+", thing.tag));
        }
        if settings.strays {
            review.add(&FieldPath::root().field("other"), 1);
        }
        if settings.kept && request.old_object.as_ref().is_some_and(|old| old.tag != "a" && !old.tag.is_empty()) {
            review.warn(SubjectRule::Nameless, "the tag was another");
        }
        if settings.peeks {
            let _ = host.get::<Thing>("other");
        }
        if settings.lists {
            let found =
                host.list::<Thing>(Query::all().within("shop").labelled("app=x").key("spec.parts[*].name", "p"));
            review.audit("found", format!("{} {}", found.items.len(), found.complete));
            if (settings.lonely && !found.items.is_empty()) || (settings.unsure && !found.complete) {
                review.warn(SubjectRule::Nameless, "another has none");
            }
        }
    }
}

const WHOLE: &str = r#"
cases:
  - name: a tag is enough
    object: &thing {apiVersion: example.org/v1, kind: Thing, tag: a, secret: s}
    expect: {verdict: allow}
  - name: raw is cooked
    operation: UPDATE
    object: {apiVersion: example.org/v1, kind: Thing, tag: raw, other: kept}
    oldObject: *thing
    expect: {verdict: allow, edits: [{op: replace, path: /tag, value: cooked}], patched: {apiVersion: example.org/v1, kind: Thing, tag: cooked, other: kept}}
"#;
const DENIED: &str = r#"
  - name: no tag is denied
    object: {apiVersion: example.org/v1, kind: Thing}
    expect: {verdict: deny, findings: [{rule: nameless, level: deny, subject: thing, path: tag, message: tag}]}
"#;

/// What is wrong with the policy by these files.
fn wrong(files: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (index, text) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{index}.yaml")), text).unwrap();
    }
    check_cases(&Erased::<Subject>::NEW, folder.path()).join("\n")
}

fn check(files: &[&str], expected: &str) {
    let wrong = wrong(files);
    assert!(wrong.contains(expected), "expected `{expected}` in: {wrong}");
}

fn whole() -> String {
    format!("{WHOLE}{DENIED}")
}

#[test]
fn a_policy_with_all_its_cases_passes() {
    assert_eq!(wrong(&[&whole()]), "");
}

#[test]
#[should_panic(expected = "fails its cases")]
fn a_missing_folder_fails() {
    assert_cases::<Subject>(Path::new("no/such/folder"));
}

#[test]
fn what_has_no_case_fails() {
    check(&[], "holds no case");
    check(&["cases: []"], "holds no case");
    check(&[WHOLE], "no case shows the rule `nameless` being reported");
    check(&[&format!("cases:{DENIED}")], "no case shows the rule `nameless` passing");
    check(&[&format!("cases:{DENIED}")], "the policy matches UPDATE, and no case is one");
}

#[test]
fn a_case_that_is_none_fails() {
    check(&[&whole(), &whole()], "two cases are named `a tag is enough`");
    check(&["cases:\n  - {name: x, expects: {verdict: allow}}"], "expects");
    check(&["cases:\n  - {name: x, expect: {verdict: maybe}}"], "maybe");
}

#[test]
fn what_differs_fails() {
    let one = |fields: &str, expect: &str| {
        format!(
            "cases:\n  - {{name: x, object: {{apiVersion: example.org/v1, kind: Thing, tag: a}}, {fields} expect: {expect}}}"
        )
    };
    check(&[&one("", "{verdict: deny}")], "expected the verdict Deny, got Allow");
    check(&[&one("", "{verdict: allow, findings: [{rule: nameless, level: deny}]}")], "expected the finding");
    check(&[&one("", "{verdict: allow, edits: [{op: remove, path: /tag}]}")], "expected the edits");
    check(&[&one("", "{verdict: allow, auditAnnotations: {a: b}}")], "expected the audit annotations");
    check(&[&one("operation: DELETE,", "{verdict: allow}")], "got Unmatched");
    check(&[&one("settings: {lists: true}, complete: false,", "{verdict: allow}")], "got Undecided");
    check(
        &[&WHOLE
            .replace("edits: [{op: replace, path: /tag, value: cooked}], patched", "patched")
            .replace("tag: cooked", "tag: burnt")],
        "expected the object",
    );
    check(
        &["cases:\n  - {name: x, object: {apiVersion: example.org/v1, kind: Thing}, expect: {verdict: deny}}"],
        "didn't expect the finding",
    );
    check(
        &[
            "cases:\n  - {name: x, object: {apiVersion: example.org/v1, kind: Thing, tag: raw}, expect: {verdict: allow}}",
        ],
        "didn't expect edits",
    );
}

#[test]
fn what_breaks_the_contract_fails() {
    let with = |settings: &str| {
        format!(
            "cases:\n  - {{name: x, object: {{apiVersion: example.org/v1, kind: Thing, tag: a}}, settings: {settings}, expect: {{verdict: allow, edits: []}}}}"
        )
    };
    check(&[&with("{appends: true}")], "the mutation isn't idempotent");
    check(&[&with("{strays: true}")], "the edit at /other is outside the declared reach");
    check(&[&with("{apends: true}")], "apends: unknown field `apends`; did you mean `appends`?");
    check(
        &[&with("{nested: [{storageClas: x}]}")],
        "nested[0].storageClas: unknown field `storageClas`; did you mean `storageClass`?",
    );
    check(&[&with("{nested: [{storageClass: [x]}]}")], "nested[0].storageClass: invalid type");
}

#[test]
#[should_panic(expected = "the policy's reach doesn't declare to get example.org/v1 Thing")]
fn an_undeclared_lookup_panics() {
    wrong(&[
        "cases:\n  - {name: x, object: {apiVersion: example.org/v1, kind: Thing, tag: a}, settings: {peeks: true}, expect: {verdict: allow}}",
    ]);
}

#[test]
fn a_list_is_narrowed_by_namespace_labels_and_key_and_projected() {
    let thing = |namespace: &str, app: &str, part: &str| json!({"apiVersion": "example.org/v1", "kind": "Thing", "secret": "s", "metadata": {"namespace": namespace, "labels": {"app": app}}, "spec": {"parts": [{"name": "q"}, {"name": part}]}});
    let cluster =
        json!([thing("shop", "x", "p"), thing("other", "x", "p"), thing("shop", "y", "p"), thing("shop", "x", "o")]);
    for (settings, complete, expected) in [
        ("lists: true", true, ("Allow", "1 true")),
        ("lists: true", false, ("Undecided", "1 false")),
        ("lists: true, optional: true", false, ("Allow", "1 false")),
    ] {
        let text = format!(
            "{{name: x, object: {{apiVersion: example.org/v1, kind: Thing, tag: a}}, settings: {{{settings}}}, complete: {complete}, cluster: {cluster}, expect: {{verdict: allow}}}}"
        );
        let case: Case = serde_saphyr::from_str(&text).unwrap();
        let outcome = run(&Erased::<Subject>::NEW, &case).unwrap();
        assert_eq!((format!("{:?}", outcome.verdict).as_str(), outcome.audit_annotations["found"].as_str()), expected);
    }
}

#[test]
fn edits_apply_as_the_host_applies_them() {
    let path = FieldPath::fields(["metadata", "annotations"]).key("a/b");
    let mut object = json!({"spec": {"list": [1, 2]}, "metadata": {"annotations": null}});
    let list = FieldPath::fields(["spec", "list"]);
    let edits = [
        crate::Edit::Test(list.index(0), json!(1)),
        crate::Edit::Add(path, json!("c")),
        crate::Edit::Add(list.index(1), json!("between")),
        crate::Edit::Add(list.key("-"), json!("last")),
        crate::Edit::Remove(list.index(0)),
        crate::Edit::Replace(list.index(0), json!("first")),
    ];
    apply(&mut object, &edits).unwrap();
    assert_eq!(object, json!({"spec": {"list": ["first", 2, "last"]}, "metadata": {"annotations": {"a/b": "c"}}}));
    for edit in [
        crate::Edit::Test(list.clone(), json!(1)),
        crate::Edit::Remove(list.index(9)),
        crate::Edit::Replace(list.key("x"), json!(1)),
        crate::Edit::Add(list.index(9), json!(1)),
    ] {
        assert!(apply(&mut object, &[edit]).is_err());
    }
}

#[test]
fn a_description_is_what_the_contract_asks_for() {
    let description = Erased::<Subject>::NEW.description();
    assert_eq!(description["phase"], "mutating");
    assert_eq!(description["rules"][1]["id"], "malformed");
    assert_eq!(
        description["reach"]["matches"],
        json!([{"apiGroups": ["example.org"], "apiVersions": ["v1"], "resources": ["things"], "operations": ["CREATE", "UPDATE"], "scope": "Namespaced"}])
    );
    let tree = json!({"fields": {"tag": "value"}});
    assert_eq!(
        description["reach"]["reads"],
        json!([{"apiVersion": "example.org/v1", "kind": "Thing", "object": tree, "oldObject": tree}])
    );
    assert_eq!(
        description["reach"]["lookups"],
        json!([{"apiVersion": "example.org/v1", "kind": "Thing", "fields": tree, "verbs": ["list"], "keys": ["spec.parts[*].name"], "optional": false}])
    );
    assert_eq!(
        description["reach"]["writes"],
        json!([{"apiVersion": "example.org/v1", "kind": "Thing", "pointers": ["/tag"]}])
    );
    assert_eq!(
        description["samples"][0]["attributes"]["kind"],
        json!({"group": "example.org", "version": "v1", "kind": "Thing"})
    );
    assert_eq!(description["settings"]["properties"]["nested"]["type"], "array");
}

#[test]
fn findings_keep_the_contracts_bounds() {
    let mut review = Review::<Subject>::new();
    for index in 0..150 {
        let level = if index == 149 { crate::Level::Deny } else { crate::Level::Warn };
        review.find(SubjectRule::Nameless, level, "é".repeat(4000)).value("v".repeat(5000)).fix("f".repeat(5000));
    }
    let findings = review.into_contents().findings_json();
    assert_eq!(findings.len(), crate::MAX_FINDINGS);
    assert!(findings.iter().all(|finding| finding.to_string().len() <= crate::MAX_FINDING_BYTES));
    assert_eq!(findings.last().unwrap()["level"], "deny", "the worst stays");
}

/// What is wrong with these examples of `nameless`.
fn wrong_examples(examples: crate::Examples) -> String {
    let rule = Rule { examples: Some(examples), ..SubjectRule::ALL[0] };
    example::check(&Erased::<Subject>::NEW, &rule).join("\n")
}

const TAGGED: &str = "apiVersion: example.org/v1\nkind: Thing\ntag: a\n";
const UNTAGGED: &str = "# what holds\napiVersion: example.org/v1\nkind: Thing\n";

#[test]
fn examples_are_held_to_what_they_show() {
    let examples = crate::Examples { bad: UNTAGGED, good: TAGGED, settings: None, old: None };
    assert_eq!(wrong_examples(examples), "");
    for (examples, expected) in [
        (crate::Examples { bad: TAGGED, ..examples }, "examples/nameless: bad.yaml isn't reported"),
        (crate::Examples { good: UNTAGGED, ..examples }, "examples/nameless: good.yaml is reported"),
        (crate::Examples { good: "kind: Other", ..examples }, "good.yaml shows nothing"),
        (crate::Examples { good: "", ..examples }, "good.yaml: there is no document in it"),
        (crate::Examples { bad: "a: [", ..examples }, "bad.yaml: "),
        (crate::Examples { settings: Some("strays: true"), ..examples }, "outside the declared reach"),
        (crate::Examples { old: Some("a: ["), ..examples }, "old.yaml: "),
    ] {
        let wrong = wrong_examples(examples);
        assert!(wrong.contains(expected), "expected `{expected}` in: {wrong}");
    }
}

#[test]
fn an_example_is_judged_beside_the_documents_behind_it_and_as_an_update_of_the_old() {
    let bad = "{apiVersion: example.org/v1, kind: Thing, tag: counted}\n---\n{apiVersion: example.org/v1, kind: Thing, metadata: {namespace: shop, labels: {app: x}}, spec: {parts: [{name: p}]}}\n";
    let examples = crate::Examples { bad, good: TAGGED, settings: Some("{lists: true, lonely: true}"), old: None };
    assert_eq!(wrong_examples(examples), "");
    assert!(wrong_examples(crate::Examples { bad: TAGGED, ..examples }).contains("isn't reported"));
    let examples = crate::Examples { bad: TAGGED, good: TAGGED, settings: Some("kept: true"), old: Some(UNTAGGED) };
    assert!(wrong_examples(examples).contains("bad.yaml isn't reported"));
    let examples = crate::Examples { old: Some("{apiVersion: example.org/v1, kind: Thing, tag: b}"), ..examples };
    assert!(wrong_examples(examples).contains("good.yaml is reported"), "the old object was handed over");
}

#[test]
fn an_example_of_what_is_not_known_is_judged_in_a_part_of_a_cluster() {
    let settings = Some("{lists: true, unsure: true}");
    let examples = crate::Examples { bad: TAGGED, good: TAGGED, settings, old: None };
    assert_eq!(wrong_examples(examples), "");
}

#[test]
fn the_readmes_cases_are_cases() {
    let readme = include_str!("../../README.md");
    let text = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let file: CaseFile = serde_saphyr::from_str(text).unwrap();
    assert_eq!(file.cases.len(), 2);
    assert_eq!(file.cases[1].object, file.cases[0].object, "the anchor stands for the object");
}
