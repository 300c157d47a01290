//! One admission request, as far as a policy's views reach.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::Value;

use crate::kind::GroupVersionKind;
use crate::policy::Policy;

/// What is being done to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// The object is new.
    Create,
    /// The object changes.
    Update,
    /// The object goes.
    Delete,
    /// A connection to it is opened (exec, port-forward, proxy).
    Connect,
}

impl Operation {
    /// As in a webhook rule.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// One admission request, seen through the views of `P`.
#[derive(Debug)]
pub struct Request<P: Policy> {
    /// What is being done.
    pub operation: Operation,
    /// The object after the operation: on CREATE and UPDATE.
    pub object: Option<P::Object>,
    /// The object before the operation: on UPDATE and DELETE.
    pub old_object: Option<P::OldObject>,
    /// All the rest that the request says: parsed once for all policies of a call.
    pub attributes: Rc<Attributes>,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The API server.
    #[default]
    Admission,
    /// The command line, over files.
    Check,
    /// A scan of what the cluster holds: a create without a user.
    Scan,
    /// One that this SDK doesn't know yet.
    #[serde(other)]
    Other,
}

/// What a request says beside its objects. Every field but `origin` may be absent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attributes {
    /// Where the request comes from.
    pub origin: Origin,
    /// The API server's id of the request.
    pub uid: Option<String>,
    /// The kind that `object` is of.
    pub kind: Option<GroupVersionKind>,
    /// The resource that the request is about.
    pub resource: Option<GroupVersionResource>,
    /// `ephemeralcontainers`, `scale`, `status`, …
    pub sub_resource: Option<String>,
    /// The kind as the client sent it, before conversion.
    pub request_kind: Option<GroupVersionKind>,
    /// The resource as the client sent it, before conversion.
    pub request_resource: Option<GroupVersionResource>,
    /// The subresource as the client sent it.
    pub request_sub_resource: Option<String>,
    /// Absent where the API server has yet to make one, and in a deletecollection.
    pub name: Option<String>,
    /// For a Namespace its own name.
    pub namespace: Option<String>,
    /// The labels of that namespace, where they are known.
    pub namespace_labels: Option<BTreeMap<String, String>>,
    /// Who asks.
    pub user_info: Option<UserInfo>,
    /// Whether nothing is kept.
    pub dry_run: bool,
    /// `CreateOptions`, `UpdateOptions`, …
    pub options: Option<Value>,
}

/// A resource's full name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct GroupVersionResource {
    /// Empty for the core group.
    pub group: String,
    /// `v1`.
    pub version: String,
    /// `statefulsets`.
    pub resource: String,
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct UserInfo {
    /// `system:serviceaccount:kube-system:statefulset-controller`.
    pub username: String,
    /// The authenticator's id of the user.
    pub uid: String,
    /// The user's groups.
    pub groups: Vec<String>,
    /// What else the authenticator says.
    pub extra: BTreeMap<String, Vec<String>>,
}
