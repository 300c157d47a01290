//! From a version that is gone to its successor, where fields moved but nothing
//! is lost: the Ingress of `extensions/v1beta1` and `networking.k8s.io/v1beta1`.
//!
//! Source: `Convert_v1beta1_IngressSpec_To_networking_IngressSpec` and its
//! neighbours (pkg/apis/networking/v1beta1/conversion.go of kubernetes 1.21, the
//! last that served it), and `SetDefaults_HTTPIngressPath` there for `pathType`.

use portcullis_core::edit::{Edit, Pointer};
use portcullis_core::json::{Kind, Value, quote};

/// The edits that make an Ingress of v1beta1 one of v1.
pub(super) fn ingress(ingress: Value<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    let Some(spec) = ingress.get("spec") else { return edits };
    if let Some(backend) = spec.get("backend") {
        edits.push(Edit::Remove { path: Pointer::new(["spec", "backend"]) });
        edits.push(Edit::Add { path: Pointer::new(["spec", "defaultBackend"]), value: converted(backend) });
    }
    let rules = spec.get("rules").filter(|rules| rules.kind() == Kind::Array);
    for (rule_index, rule) in rules.into_iter().flat_map(Value::items).enumerate() {
        let paths = rule.path(&["http", "paths"]).filter(|paths| paths.kind() == Kind::Array);
        for (path_index, path) in paths.into_iter().flat_map(Value::items).enumerate() {
            let (rule_index, path_index) = (rule_index.to_string(), path_index.to_string());
            let below = |field| Pointer::new(["spec", "rules", &rule_index, "http", "paths", &path_index, field]);
            if let Some(backend) = path.get("backend") {
                edits.push(Edit::Replace { path: below("backend"), value: converted(backend) });
            }
            if path.kind() == Kind::Object && path.get("pathType").is_none_or(Value::is_null) {
                edits.push(Edit::Add { path: below("pathType"), value: quote("ImplementationSpecific") });
            }
        }
    }
    edits
}

/// `{serviceName, servicePort}` as `{service: {name, port: {name | number}}}`.
fn converted(backend: Value<'_>) -> String {
    let (name, port) = (backend.get("serviceName"), backend.get("servicePort"));
    if backend.kind() != Kind::Object || (name.is_none() && port.is_none()) {
        return backend.raw().to_owned();
    }
    let mut members = Vec::new();
    members.extend(name.map(|name| format!(r#""name":{}"#, name.raw())));
    members.extend(port.map(|port| match port.kind() {
        Kind::String => format!(r#""port":{{"name":{}}}"#, port.raw()),
        _ => format!(r#""port":{{"number":{}}}"#, port.raw()),
    }));
    let service = format!(r#""service":{{{}}}"#, members.join(","));
    let others = backend.fields().filter(|(key, _)| !matches!(&**key, "serviceName" | "servicePort" | "service"));
    let others: String = others.map(|(key, value)| format!(",{}:{}", quote(&key), value.raw())).collect();
    format!("{{{service}{others}}}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

    use portcullis_core::edit;
    use portcullis_core::json::Document;
    use serde_json::{Value, json};

    fn check(spec: &Value, expected: &Value) {
        let text = json!({"spec": spec}).to_string();
        let edits = super::ingress(Document::parse(text.as_bytes()).unwrap().root());
        let found: Value = serde_json::from_str(&edit::apply(&text, &edits).unwrap()).unwrap();
        assert_eq!(found["spec"], *expected);
    }

    #[test]
    fn backends_and_path_types_take_their_new_shape() {
        check(
            &json!({"backend": {"serviceName": "a", "servicePort": "web"}, "tls": [{"hosts": ["h.example"]}],
                "rules": [{"host": "h.example", "http": {"paths": [{"path": "/", "backend": {"serviceName": "b", "servicePort": 80}}, {"pathType": "Exact", "backend": {"resource": {"kind": "X"}}}]}}, {"host": "i.example"}]}),
            &json!({"defaultBackend": {"service": {"name": "a", "port": {"name": "web"}}}, "tls": [{"hosts": ["h.example"]}],
                "rules": [{"host": "h.example", "http": {"paths": [
                    {"path": "/", "pathType": "ImplementationSpecific", "backend": {"service": {"name": "b", "port": {"number": 80}}}},
                    {"pathType": "Exact", "backend": {"resource": {"kind": "X"}}}]}}, {"host": "i.example"}]}),
        );
        check(&json!({"rules": "x", "backend": null}), &json!({"rules": "x", "defaultBackend": null}));
    }
}
