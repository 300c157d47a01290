//! What `check` itself has to say of an object, before any policy is asked:
//! what the API server would refuse, drop or ignore.
//!
//! Only built-in kinds are spoken of. The rules are the API server's own, each
//! with its source; what is a matter of judgement is left to policies.

use portcullis_core::json::{Kind, Value};
use portcullis_core::kinds::{Kinds, Resource};

use super::fields::{self, Fault};
use super::schema;

/// Kinds that run pods, and where their pod's spec stands.
const POD_SPECS: &[(&str, &str, &[&str])] = &[
    ("v1", "Pod", &["spec"]),
    ("v1", "PodTemplate", &["template", "spec"]),
    ("v1", "ReplicationController", &["spec", "template", "spec"]),
    ("apps/v1", "Deployment", &["spec", "template", "spec"]),
    ("apps/v1", "StatefulSet", &["spec", "template", "spec"]),
    ("apps/v1", "DaemonSet", &["spec", "template", "spec"]),
    ("apps/v1", "ReplicaSet", &["spec", "template", "spec"]),
    ("batch/v1", "Job", &["spec", "template", "spec"]),
    ("batch/v1", "CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
];

/// What other kinds can't be without (`ValidateXxx` of pkg/apis/*/validation in
/// kubernetes 1.36): one of the paths must be there.
const NEEDED: &[(&str, &str, &[&[&str]])] = &[
    ("v1", "PersistentVolume", &[&["spec", "capacity"]]),
    ("v1", "PersistentVolumeClaim", &[&["spec", "resources", "requests", "storage"]]),
    ("networking.k8s.io/v1", "Ingress", &[&["spec", "rules"], &["spec", "defaultBackend"]]),
    ("storage.k8s.io/v1", "StorageClass", &[&["provisioner"]]),
];

/// An object and what is known of its kind.
#[derive(Clone, Copy)]
pub(super) struct Seen<'o> {
    /// As it would be sent.
    pub(super) object: Value<'o>,
    /// `apps/v1`.
    pub(super) api_version: &'o str,
    /// `StatefulSet`.
    pub(super) kind: &'o str,
    /// Its resource.
    pub(super) resource: &'o Resource,
}

/// All remarks on an object: on its kind, its name and namespace, whether it is
/// whole, then on its fields.
pub(super) fn remarks(seen: Seen<'_>, kinds: &Kinds) -> Vec<Fault> {
    let mut remarks = Vec::new();
    remarks.extend(not_served(seen, kinds));
    remarks.extend(namespaced_in_vain(seen));
    remarks.extend(partial(seen));
    remarks.extend(fields::faults(seen.object, seen.api_version, seen.kind));
    remarks
}

/// No API server has such a kind in such a version.
fn not_served(seen: Seen<'_>, kinds: &Kinds) -> Option<Fault> {
    let Seen { api_version, kind, .. } = seen;
    let group = portcullis_core::objects::group(api_version);
    let schema = schema::built_in();
    if schema.kind(api_version, kind).is_some() || kinds.knows_custom(group, kind) {
        return None;
    }
    let served: Vec<&str> = schema.versions(kind).collect();
    let message = if kinds.is_built_in(group) {
        // Kinds that are never stored, such as reviews, have no schema here.
        if kinds.is_known(group, kind) && served.is_empty() {
            return None;
        }
        let instead = served.first().map(|version| format!("; did you mean apiVersion {version}?")).unwrap_or_default();
        format!("{api_version} has no kind {kind} in Kubernetes {}{instead}", schema.version())
    } else if group.contains('.') {
        return None;
    } else {
        // ValidateCustomResourceDefinitionSpec: "should be a domain with at least one dot".
        let group = api_version.split('/').next().unwrap_or_default();
        format!(
            "no API server serves {api_version} {kind}: the group {group:?} is not Kubernetes' own, and others have a dot"
        )
    };
    Some(Fault { path: "apiVersion".to_owned(), message })
}

/// EnsureObjectNamespaceMatchesRequestNamespace (apiserver/pkg/registry/rest/meta.go)
/// empties the namespace of what is cluster-scoped.
fn namespaced_in_vain(seen: Seen<'_>) -> Option<Fault> {
    let namespace = seen.object.path(&["metadata", "namespace"]).and_then(Value::as_str)?;
    (!seen.resource.namespaced && !namespace.is_empty()).then(|| Fault {
        path: "metadata.namespace".to_owned(),
        message: format!(
            "a {} is cluster-scoped: its namespace {namespace:?} is ignored, and kubectl with -n would not find it there; remove it",
            seen.kind
        ),
    })
}

/// A part of an object, such as kustomize lays over another.
fn partial(seen: Seen<'_>) -> Option<Fault> {
    let Seen { object, api_version, kind, .. } = seen;
    schema::built_in().kind(api_version, kind)?;
    let mut missing = Vec::new();
    let named = ["name", "generateName"]
        .iter()
        .any(|field| object.path(&["metadata", field]).and_then(Value::as_str).is_some_and(|name| !name.is_empty()));
    if !named {
        missing.push("metadata.name".to_owned());
    }
    let row = POD_SPECS.iter().find(|(version, name, _)| *version == api_version && *name == kind);
    if let Some((_, _, path)) = row {
        let spec = object.path(path);
        if spec.and_then(|spec| spec.get("containers")).is_none_or(|list| list.kind() == Kind::Array && list.len() == 0)
        {
            missing.push(format!("{}.containers", path.join(".")));
        }
        // ValidateStatefulSetSpec and its like: "required" where it is empty.
        if api_version == "apps/v1" && object.path(&["spec", "selector"]).is_none_or(Value::is_null) {
            missing.push("spec.selector".to_owned());
        }
    }
    let row = NEEDED.iter().find(|(version, name, _)| *version == api_version && *name == kind);
    if let Some((_, _, alternatives)) = row
        && !alternatives.iter().any(|path| object.path(path).is_some_and(|value| !value.is_null()))
    {
        let names: Vec<String> = alternatives.iter().map(|path| path.join(".")).collect();
        missing.push(names.join(" or "));
    }
    if api_version == "v1" && kind == "Service" && !may_have_no_ports(object) {
        missing.push("spec.ports".to_owned());
    }
    let (last, rest) = missing.split_last()?;
    let list = if rest.is_empty() { last.clone() } else { format!("{} and {last}", rest.join(", ")) };
    Some(Fault {
        path: if named { "metadata.name".to_owned() } else { "kind".to_owned() },
        message: format!(
            "looks like a patch, not a whole {kind}: {list} {} missing, so the API server would refuse it; check what `kubectl kustomize` prints",
            if rest.is_empty() { "is" } else { "are" }
        ),
    })
}

/// ValidateService: headless and external ones may.
fn may_have_no_ports(service: Value<'_>) -> bool {
    let Some(spec) = service.get("spec") else { return false };
    let text = |field: &str| spec.get(field).and_then(Value::as_str);
    spec.get("ports").is_some_and(|ports| ports.kind() == Kind::Array && ports.len() > 0)
        || text("clusterIP").as_deref() == Some("None")
        || text("type").as_deref() == Some("ExternalName")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

    use portcullis_core::json::Document;
    use serde_json::{Value, json};

    use super::*;

    fn check(object: &Value, expected: &[&str]) {
        let text = object.to_string();
        let kinds = Kinds::default();
        let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let resource = kinds.resource(portcullis_core::objects::group(api_version), kind);
        let document = Document::parse(text.as_bytes()).unwrap();
        let found = remarks(Seen { object: document.root(), api_version, kind, resource: &resource }, &kinds);
        let found: Vec<&str> = found.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn kinds_that_nobody_serves_are_named() {
        let object =
            |api_version: &str, kind: &str| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}});
        check(
            &object("config/v1", "MyKind"),
            &[
                "no API server serves config/v1 MyKind: the group \"config\" is not Kubernetes' own, and others have a dot",
            ],
        );
        check(&object("v1", "Mouse"), &["v1 has no kind Mouse in Kubernetes 1.36.3"]);
        check(
            &object("v1", "Deployment"),
            &["v1 has no kind Deployment in Kubernetes 1.36.3; did you mean apiVersion apps/v1?"],
        );
        check(
            &object("apps/v2", "Deployment"),
            &["apps/v2 has no kind Deployment in Kubernetes 1.36.3; did you mean apiVersion apps/v1?"],
        );
        check(&object("example.com/v1", "Mouse"), &[]);
        check(&object("v1", "ComponentStatus"), &[]);
    }

    #[test]
    fn a_namespace_on_what_is_cluster_scoped_is_pointed_out() {
        // (R16)
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "a", "namespace": "shop"}, "provisioner": "x"});
        check(
            &class,
            &[
                "a StorageClass is cluster-scoped: its namespace \"shop\" is ignored, and kubectl with -n would not find it there; remove it",
            ],
        );
    }

    #[test]
    fn patches_are_told_from_whole_objects() {
        let patch = |kind: &str, list: &str, verb: &str| {
            format!(
                "looks like a patch, not a whole {kind}: {list} {verb} missing, so the API server would refuse it; check what `kubectl kustomize` prints"
            )
        };
        let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "zoo"}, "spec": {"template": {"spec": {"volumes": []}}}});
        check(&set, &[&patch("StatefulSet", "spec.template.spec.containers and spec.selector", "are")]);
        let service =
            |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec});
        check(&service(json!(null)), &[&patch("Service", "spec.ports", "is")]);
        check(&service(json!({"clusterIP": "None"})), &[]);
        check(&service(json!({"type": "ExternalName", "externalName": "a.example"})), &[]);
        check(&service(json!({"ports": [{"port": 80}]})), &[]);
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": ""}, "spec": {"rules": [{"host": "a.example"}]}});
        check(&ingress, &[&patch("Ingress", "metadata.name", "is")]);
        let generated = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "a-"}, "spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}});
        check(&generated, &[]);
        check(
            &json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a"}}),
            &[&patch("PersistentVolumeClaim", "spec.resources.requests.storage", "is")],
        );
    }
}
