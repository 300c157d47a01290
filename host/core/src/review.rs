//! AdmissionReview in and out: `admission.k8s.io/v1` and `v1beta1`
//! (k8s.io/api/admission/v1/types.go).
//!
//! What comes in borrows from the body: object and oldObject stay raw text.
//! What goes out is exactly what the API server accepts: uid and apiVersion of
//! the request, a code of 400 or above on a denial, no empty patch.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::contract::Operation;
use crate::edit::Edit;
use crate::json::{Document, Kind, Value};

/// The group of admission reviews.
const GROUP: &str = "admission.k8s.io";
/// What an answer says where the request names no version that can be used.
const DEFAULT_API_VERSION: &str = "admission.k8s.io/v1";

/// Where a request comes from; policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The API server.
    Admission,
    /// The command line.
    Check,
    /// A scan of what is there.
    Scan,
}

/// A request, borrowed from its review.
#[derive(Debug, Clone)]
pub struct Review<'d> {
    /// `admission.k8s.io/v1` or `admission.k8s.io/v1beta1`.
    pub api_version: String,
    /// What the answer must repeat.
    pub uid: String,
    /// The kind of object and oldObject.
    pub kind: GroupVersionKind,
    /// The resource in the version of the webhook's rule.
    pub resource: GroupVersionResource,
    /// `scale`, `status`…
    pub subresource: Option<String>,
    /// As the client sent it, where that differs.
    pub request_kind: Option<GroupVersionKind>,
    /// As the client sent it, where that differs.
    pub request_resource: Option<GroupVersionResource>,
    /// As the client sent it, where that differs.
    pub request_subresource: Option<String>,
    /// Empty on CREATE with generateName and on deletecollection.
    pub name: String,
    /// Empty for a cluster-scoped object; a Namespace's own name.
    pub namespace: String,
    /// The operation.
    pub operation: Operation,
    /// Who asks.
    pub user: UserInfo,
    /// Null is None.
    pub object: Option<Value<'d>>,
    /// Null is None.
    pub old_object: Option<Value<'d>>,
    /// Nothing will be persisted.
    pub dry_run: bool,
    /// `CreateOptions` and the like; null is None.
    pub options: Option<Value<'d>>,
}

/// `metav1.GroupVersionKind`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupVersionKind {
    /// Empty for the core group.
    #[serde(default)]
    pub group: String,
    /// `v1`.
    #[serde(default)]
    pub version: String,
    /// `Pod`.
    #[serde(default)]
    pub kind: String,
}

/// `metav1.GroupVersionResource`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupVersionResource {
    /// Empty for the core group.
    #[serde(default)]
    pub group: String,
    /// `v1`.
    #[serde(default)]
    pub version: String,
    /// `pods`.
    #[serde(default)]
    pub resource: String,
}

/// `authentication.k8s.io/v1 UserInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserInfo {
    /// `system:serviceaccount:kube-system:statefulset-controller`.
    #[serde(default)]
    pub username: String,
    /// Across time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// `system:masters`…
    #[serde(default)]
    pub groups: Vec<String>,
    /// What the authenticator adds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Why a review can't be judged, with what an answer needs all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadReview {
    /// Where one could be read.
    pub uid: Option<String>,
    /// As the answer has to name it.
    pub api_version: String,
    /// What is wrong.
    pub reason: String,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Response {
    /// Whether the request may pass.
    pub allowed: bool,
    /// With a denial.
    pub denial: Option<Denial>,
    /// One line each.
    pub warnings: Vec<String>,
    /// Empty where nothing changes.
    pub patch: Vec<Edit>,
    /// Keys without a slash, at most 63 characters.
    pub audit_annotations: BTreeMap<String, String>,
}

/// `status` of a denial.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// 403, or 422 for a malformed object.
    pub code: u16,
    /// `Forbidden`, `Invalid`.
    pub reason: &'static str,
    /// One line a finding.
    pub message: String,
    /// One a finding: field, message, reason.
    pub causes: Vec<Cause>,
}

/// `metav1.StatusCause`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// `policy/rule`.
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub field: String,
}

impl<'d> Review<'d> {
    /// Reads a review; the document's text outlives what is read.
    ///
    /// # Errors
    /// Says what is wrong, with the uid where there is one.
    pub fn decode(document: &'d Document<'_>) -> Result<Review<'d>, BadReview> {
        let root = document.root();
        let api_version = text(root.get("apiVersion")).into_owned();
        let uid =
            root.path(&["request", "uid"]).and_then(Value::as_str).map(Cow::into_owned).filter(|uid| !uid.is_empty());
        let fail = |reason: String| BadReview { uid: uid.clone(), api_version: answer_version(&api_version), reason };

        if root.kind() != Kind::Object {
            return Err(fail("the body is not a JSON object".to_owned()));
        }
        if text(root.get("kind")) != "AdmissionReview" {
            return Err(fail(format!("kind is {:?}, not AdmissionReview", text(root.get("kind")))));
        }
        if api_version != "admission.k8s.io/v1" && api_version != "admission.k8s.io/v1beta1" {
            return Err(fail(format!("apiVersion is {api_version:?}; known are admission.k8s.io/v1 and v1beta1")));
        }
        let Some(request) = root.get("request").filter(|request| request.kind() == Kind::Object) else {
            return Err(fail("request is missing".to_owned()));
        };
        let Some(uid) = uid.clone() else {
            return Err(fail("request.uid is missing or empty".to_owned()));
        };
        let operation = text(request.get("operation"));
        let operation = match operation.as_ref() {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            "CONNECT" => Operation::Connect,
            other => {
                return Err(fail(format!(
                    "request.operation is {other:?}; known are CREATE, UPDATE, DELETE and CONNECT"
                )));
            }
        };
        let kind: GroupVersionKind = field(request, "kind").map_err(&fail)?.unwrap_or_default();
        if kind.kind.is_empty() {
            return Err(fail("request.kind.kind is missing or empty".to_owned()));
        }
        let resource: GroupVersionResource = field(request, "resource").map_err(&fail)?.unwrap_or_default();
        if resource.resource.is_empty() {
            return Err(fail("request.resource.resource is missing or empty".to_owned()));
        }
        let object = |name: &str| match request.get(name).filter(|value| !value.is_null()) {
            Some(value) if value.kind() != Kind::Object => Err(fail(format!("request.{name} is not an object"))),
            value => Ok(value),
        };
        Ok(Review {
            operation,
            kind,
            resource,
            object: object("object")?,
            old_object: object("oldObject")?,
            options: object("options")?,
            subresource: optional_text(request, "subResource"),
            request_kind: field(request, "requestKind").map_err(&fail)?,
            request_resource: field(request, "requestResource").map_err(&fail)?,
            request_subresource: optional_text(request, "requestSubResource"),
            name: text(request.get("name")).into_owned(),
            namespace: text(request.get("namespace")).into_owned(),
            user: field(request, "userInfo").map_err(&fail)?.unwrap_or_default(),
            dry_run: request.get("dryRun").and_then(Value::as_bool).unwrap_or(false),
            uid,
            api_version,
        })
    }

    /// `apps/v1`.
    pub fn kind_api_version(&self) -> String {
        join(&self.kind.group, &self.kind.version)
    }

    /// The object's name, wherever it stands.
    pub fn object_name(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let named = |object: Option<Value<'_>>| {
            object.and_then(|object| object.path(&["metadata", "name"])).and_then(Value::as_str).map(Cow::into_owned)
        };
        named(self.object).or_else(|| named(self.old_object)).unwrap_or_default()
    }

    /// The attributes that a policy is given, as JSON.
    pub fn attributes(&self, origin: Origin, namespace_labels: Option<&BTreeMap<String, String>>) -> String {
        let attributes = Attributes {
            origin,
            uid: &self.uid,
            kind: &self.kind,
            resource: &self.resource,
            sub_resource: self.subresource.as_deref(),
            // Nearly always the same again: every policy would parse it twice.
            request_kind: self.request_kind.as_ref().filter(|kind| **kind != self.kind),
            request_resource: self.request_resource.as_ref().filter(|resource| **resource != self.resource),
            request_sub_resource: self
                .request_subresource
                .as_deref()
                .filter(|subresource| Some(*subresource) != self.subresource.as_deref()),
            name: self.object_name(),
            namespace: &self.namespace,
            namespace_labels,
            user_info: &self.user,
            dry_run: self.dry_run,
            options: self.options.and_then(|options| serde_json::from_str(options.raw()).ok()),
        };
        // Strings, maps with text keys and checked JSON: nothing that can't be written.
        serde_json::to_string(&attributes).unwrap_or_else(|_| r#"{"origin":"admission"}"#.to_owned())
    }
}

/// `request.attributes` of the contract.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attributes<'a> {
    origin: Origin,
    uid: &'a str,
    kind: &'a GroupVersionKind,
    resource: &'a GroupVersionResource,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_kind: Option<&'a GroupVersionKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_resource: Option<&'a GroupVersionResource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_sub_resource: Option<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_labels: Option<&'a BTreeMap<String, String>>,
    user_info: &'a UserInfo,
    #[serde(skip_serializing_if = "is_false")]
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'a RawValue>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// `group/version`, or only the version in the core group.
pub fn join(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The apiVersion of the answer to a review that says this.
pub fn answer_version(api_version: &str) -> String {
    match api_version.split_once('/') {
        Some((GROUP, version)) if !version.is_empty() => api_version.to_owned(),
        _ => DEFAULT_API_VERSION.to_owned(),
    }
}

/// Writes an answer.
pub fn encode(api_version: &str, uid: &str, response: &Response) -> String {
    let has_patch = response.allowed && !response.patch.is_empty();
    let patch = has_patch
        .then(|| BASE64_STANDARD.encode(serde_json::to_string(&response.patch).unwrap_or_else(|_| "[]".to_owned())));
    let status = response.denial.as_ref().map(|denial| Status {
        metadata: Empty {},
        status: "Failure",
        message: &denial.message,
        reason: denial.reason,
        details: (!denial.causes.is_empty()).then_some(Details { causes: &denial.causes }),
        code: denial.code,
    });
    let answer = Answer {
        api_version,
        kind: "AdmissionReview",
        response: AnswerResponse {
            uid,
            allowed: response.allowed,
            status,
            patch_type: has_patch.then_some("JSONPatch"),
            patch,
            warnings: &response.warnings,
            audit_annotations: &response.audit_annotations,
        },
    };
    // Text and numbers only: there is nothing that can't be written.
    serde_json::to_string(&answer).unwrap_or_default()
}

/// `admission.k8s.io/v1 AdmissionReview`, as far as an answer goes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    api_version: &'a str,
    kind: &'a str,
    response: AnswerResponse<'a>,
}

/// `admission.k8s.io/v1 AdmissionResponse`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerResponse<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'a BTreeMap<String, String>,
}

/// `metav1.Status`.
#[derive(Serialize)]
struct Status<'a> {
    metadata: Empty,
    status: &'a str,
    message: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
    code: u16,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Details<'a> {
    causes: &'a [Cause],
}

fn text(value: Option<Value<'_>>) -> Cow<'_, str> {
    value.and_then(Value::as_str).unwrap_or_default()
}

fn optional_text(request: Value<'_>, name: &str) -> Option<String> {
    Some(text(request.get(name)).into_owned()).filter(|text| !text.is_empty())
}

fn field<T: serde::de::DeserializeOwned>(request: Value<'_>, name: &str) -> Result<Option<T>, String> {
    match request.get(name).filter(|value| !value.is_null()) {
        Some(value) => value.deserialize().map(Some).map_err(|error| format!("request.{name}: {error}")),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &str) -> Result<(String, Operation), BadReview> {
        let document = Document::parse(body.as_bytes()).expect("JSON");
        Review::decode(&document).map(|review| (review.uid.clone(), review.operation))
    }

    const REQUEST: &str = r#""uid":"u","operation":"CREATE","kind":{"version":"v1","kind":"Pod"},"resource":{"version":"v1","resource":"pods"}"#;

    #[test]
    fn both_versions_are_read() {
        for version in ["v1", "v1beta1"] {
            let body = format!(
                r#"{{"apiVersion":"admission.k8s.io/{version}","kind":"AdmissionReview","request":{{{REQUEST}}}}}"#
            );
            assert_eq!(decode(&body), Ok(("u".to_owned(), Operation::Create)));
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_the_uid_kept() {
        let cases = [
            (r#"[]"#, None, "the body is not a JSON object"),
            (r#"{"kind":"Pod","apiVersion":"v1"}"#, None, "kind is \"Pod\", not AdmissionReview"),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v2","request":{"uid":"u"}}"#,
                Some("u"),
                "apiVersion is \"admission.k8s.io/v2\"; known are admission.k8s.io/v1 and v1beta1",
            ),
            (r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#, None, "request is missing"),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":""}}"#,
                None,
                "request.uid is missing or empty",
            ),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","operation":"PATCH"}}"#,
                Some("u"),
                "request.operation is \"PATCH\"; known are CREATE, UPDATE, DELETE and CONNECT",
            ),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","operation":"CREATE"}}"#,
                Some("u"),
                "request.kind.kind is missing or empty",
            ),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","operation":"CREATE","kind":{"kind":"Pod"},"resource":{"resource":"pods"},"object":[]}}"#,
                Some("u"),
                "request.object is not an object",
            ),
        ];
        for (body, uid, reason) in cases {
            let error = decode(body).expect_err(body);
            assert_eq!((error.uid.as_deref(), error.reason.as_str()), (uid, reason));
        }
    }

    #[test]
    fn an_answer_repeats_uid_and_version_and_leaves_out_what_is_empty() {
        let allowed = Response { allowed: true, ..Response::default() };
        assert_eq!(
            encode("admission.k8s.io/v1beta1", "u", &allowed),
            r#"{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","response":{"uid":"u","allowed":true}}"#
        );
        let denied = Response {
            denial: Some(Denial { code: 403, reason: "Forbidden", message: "no".into(), causes: vec![] }),
            patch: vec![Edit::Remove { path: "/a".parse().expect("a pointer") }],
            ..Response::default()
        };
        let answer = encode("admission.k8s.io/v1", "u", &denied);
        assert!(answer.contains(r#""code":403"#) && !answer.contains("patch"), "{answer}");
    }
}
