//! What the API server fills in before it asks anybody, so that a policy sees
//! the object that it would see in a cluster.
//!
//! The rows are data (`table`); this module walks them. What is filled in is
//! remembered ([`Defaulted`]), because it is nobody's choice: it is left out of
//! what `--patched` prints, and a mutation of it is an addition to what was
//! written. managedFields are not made up: the API server writes them after
//! defaulting, for all fields of a client's create, so they would tell a policy
//! nothing about these.

mod table;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::edit::{self, Edit, MAX_EDITS, Pointer};
use portcullis_core::json::{Document, Kind, Value, quote};

use table::{Base, CONTAINER_BASES, KINDS, POD_BASES};

/// The label that every Namespace has.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The lists of a pod that hold containers.
const CONTAINER_LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// A field that is filled in where it is absent.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Below the base; objects on the way are made.
    field: &'static str,
    fill: Fill,
    when: When,
    /// The function that does it.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for whoever reads the table; a test holds that each row has one")
    )]
    source: &'static str,
}

/// With what.
#[derive(Debug, Clone, Copy)]
enum Fill {
    /// This.
    Json(&'static str),
    /// What stands at another path of the base, if anything does.
    Copied(&'static str),
    /// Each member of the map there that the field lacks.
    EachOf(&'static str),
    /// By the tag of the image there: `Always` for none or `latest`.
    PullPolicy(&'static str),
}

/// Where; paths are below the base.
#[derive(Debug, Clone, Copy)]
enum When {
    Always,
    /// The text there is one of these; the empty one is an absent one.
    Is(&'static str, &'static [&'static str]),
    Has(&'static str),
    Lacks(&'static str),
    /// Nothing stands there besides this field.
    Only(&'static str),
}

/// An object with what the API server fills in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaulted {
    /// As it would be stored.
    pub object: String,
    /// The fields that were filled in.
    pub fields: Vec<Pointer>,
}

/// Fills an object in.
pub fn fill(text: &str, api_version: &str, kind: &str) -> Defaulted {
    let unchanged = || Defaulted { object: text.to_owned(), fields: Vec::new() };
    let Ok(document) = Document::parse(text.as_bytes()) else { return unchanged() };
    let root = document.root();
    let mut edits = Vec::new();
    if (api_version, kind) == ("v1", "Secret") {
        merge_string_data(root, &mut edits);
    }
    if (api_version, kind) == ("v1", "Namespace") {
        edits.extend(name_label(root));
    }
    let is_merge = edits.len();
    if let Some(of_kind) = KINDS.iter().find(|known| known.api_version == api_version && known.kind == kind) {
        of_kind.bases.iter().for_each(|base| filled_below(root, &[], base, &mut edits));
        if let Some(pod) = of_kind.pod {
            let prefix: Vec<String> = pod.split('.').map(str::to_owned).collect();
            fill_pod(root, &prefix, &mut edits);
        }
    }
    if edits.is_empty() {
        return unchanged();
    }
    let fields = edits[is_merge..].iter().map(|edit| edit.path().clone()).collect();
    match apply_all(root, &edits) {
        Some(object) => Defaulted { object, fields },
        // A parent is no object: the API server refuses that, so it is sent as it is.
        None => unchanged(),
    }
}

fn apply_all(root: Value<'_>, edits: &[Edit]) -> Option<String> {
    let mut chunks = edits.chunks(MAX_EDITS);
    let mut object = edit::apply_document(root, chunks.next()?).ok()?;
    for chunk in chunks {
        object = edit::apply(&object, chunk).ok()?;
    }
    Some(object)
}

/// `stringData` goes into `data` and is gone
/// (`core/v1 Convert_v1_Secret_To_core_Secret` in pkg/apis/core/v1/conversion.go).
fn merge_string_data(secret: Value<'_>, edits: &mut Vec<Edit>) {
    let Some(strings) = secret.get("stringData").filter(|strings| strings.kind() == Kind::Object) else { return };
    for (key, value) in strings.fields() {
        // What is no text the API server refuses; it is pointed out elsewhere.
        let text = if value.is_null() { Some("".into()) } else { value.as_str() };
        let Some(text) = text else { return edits.clear() };
        let value = quote(&STANDARD.encode(text.as_bytes()));
        edits.push(Edit::Add { path: Pointer::new(["data", &*key]), value });
    }
    edits.push(Edit::Remove { path: Pointer::new(["stringData"]) });
}

/// `core/v1 SetDefaults_Namespace`.
fn name_label(namespace: Value<'_>) -> Option<Edit> {
    let name = namespace.path(&["metadata", "name"]).and_then(Value::as_str).filter(|name| !name.is_empty())?;
    let there = namespace.path(&["metadata", "labels", NAMESPACE_NAME_LABEL]).and_then(Value::as_str);
    let path = Pointer::new(["metadata", "labels", NAMESPACE_NAME_LABEL]);
    (there.as_deref() != Some(&name)).then(|| Edit::Add { path, value: quote(&name) })
}

fn fill_pod(root: Value<'_>, prefix: &[String], edits: &mut Vec<Edit>) {
    let keys: Vec<&str> = prefix.iter().map(String::as_str).collect();
    let Some(spec) = root.path(&keys).filter(|spec| spec.kind() == Kind::Object) else { return };
    POD_BASES.iter().for_each(|base| filled_below(spec, prefix, base, edits));
    for list in CONTAINER_LISTS {
        let Some(containers) = spec.get(list).filter(|list| list.kind() == Kind::Array) else { continue };
        for (index, container) in containers.items().enumerate() {
            let prefix = [prefix, &[list.to_owned(), index.to_string()]].concat();
            CONTAINER_BASES.iter().for_each(|base| filled_below(container, &prefix, base, edits));
        }
    }
}

/// Fills in a base's rows at every place of its pattern below a value.
fn filled_below(value: Value<'_>, prefix: &[String], base: &Base, edits: &mut Vec<Edit>) {
    let mut places = vec![(value, prefix.to_vec())];
    for segment in base.at.split('.').filter(|segment| !segment.is_empty()) {
        let (name, each) = segment.strip_suffix("[*]").map_or((segment, false), |name| (name, true));
        let mut next = Vec::new();
        for (value, mut path) in places {
            let Some(inner) = value.get(name) else { continue };
            path.push(name.to_owned());
            match inner.kind() {
                Kind::Array if each => next.extend(inner.items().enumerate().map(|(index, item)| {
                    let mut path = path.clone();
                    path.push(index.to_string());
                    (item, path)
                })),
                Kind::Object if !each => next.push((inner, path)),
                _ => {}
            }
        }
        places = next;
    }
    for (value, path) in places.iter().filter(|(value, _)| value.kind() == Kind::Object) {
        base.rows.iter().for_each(|row| fill_row(*value, path, row, edits));
    }
}

fn fill_row(base: Value<'_>, path: &[String], row: &Row, edits: &mut Vec<Edit>) {
    let applies = match row.when {
        When::Always => true,
        When::Is(field, texts) => texts.contains(&&*text_at(base, field)),
        When::Has(field) => !is_absent(at(base, field)),
        When::Lacks(field) => is_absent(at(base, field)),
        When::Only(field) => base.fields().all(|(key, value)| key == field || value.is_null()),
    };
    if !applies {
        return;
    }
    let segments = || path.iter().map(String::as_str).chain(row.field.split('.'));
    let mut add = |path: Pointer, value: String| edits.push(Edit::Add { path, value });
    let own = at(base, row.field);
    match row.fill {
        Fill::EachOf(source) => {
            let given = at(base, source).filter(|map| map.kind() == Kind::Object);
            for (key, value) in given.into_iter().flat_map(Value::fields) {
                if own.and_then(|own| own.get(&key)).is_none() {
                    let path = segments().map(str::to_owned).chain([key.into_owned()]);
                    add(Pointer::new(path), value.raw().to_owned());
                }
            }
        }
        Fill::Copied(_) if !is_empty(own) => {}
        Fill::Json(_) | Fill::PullPolicy(_) if !is_absent(own) => {}
        Fill::Json(value) => add(Pointer::new(segments()), value.to_owned()),
        Fill::Copied(source) => {
            if let Some(value) = at(base, source).filter(|value| !is_empty(Some(*value))) {
                add(Pointer::new(segments()), value.raw().to_owned());
            }
        }
        Fill::PullPolicy(image) => {
            let policy = if is_latest(&text_at(base, image)) { "\"Always\"" } else { "\"IfNotPresent\"" };
            add(Pointer::new(segments()), policy.to_owned());
        }
    }
}

fn at<'d>(base: Value<'d>, path: &str) -> Option<Value<'d>> {
    path.split('.').try_fold(base, |value, segment| value.get(segment))
}

fn text_at(base: Value<'_>, path: &str) -> String {
    at(base, path).and_then(Value::as_str).unwrap_or_default().into_owned()
}

/// Absent to Go: not there, null or an empty text.
fn is_absent(value: Option<Value<'_>>) -> bool {
    value.is_none_or(|value| value.is_null() || value.as_str().is_some_and(|text| text.is_empty()))
}

/// Absent, or a map without members.
fn is_empty(value: Option<Value<'_>>) -> bool {
    is_absent(value) || value.is_some_and(|value| value.kind() == Kind::Object && value.len() == 0)
}

/// Whether an image's tag is `latest`, named or implied (`parsers.ParseImageName`).
fn is_latest(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    match name.split_once('@') {
        // A digest without a tag names one image.
        Some((name, _)) => name.ends_with(":latest"),
        None => name.split_once(':').is_none_or(|(_, tag)| tag == "latest"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

    use serde_json::{Value, json};

    use super::*;

    fn filled(object: &Value) -> (Value, Vec<String>) {
        let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let defaulted = fill(&object.to_string(), api_version, kind);
        let fields = defaulted.fields.iter().map(ToString::to_string).collect();
        (serde_json::from_str(&defaulted.object).unwrap(), fields)
    }

    /// What stands at a pointer once the object is filled in.
    fn check(object: &Value, expected: &[(&str, Value)]) {
        let (found, _) = filled(object);
        for (pointer, value) in expected {
            assert_eq!(found.pointer(pointer), Some(value).filter(|value| !value.is_null()), "{pointer} of {found}");
        }
    }

    #[test]
    fn every_row_names_its_source_and_a_field_of_its_kind() {
        let schema = super::super::schema::built_in();
        let known = |root: &'static str, base: &str, field: &str| {
            let path = base.split('.').chain(field.split('.')).filter(|segment| !segment.is_empty());
            let mut of = Some(root);
            path.fold(true, |known, segment| {
                let found = of.and_then(|of| schema.field(of, segment.trim_end_matches("[*]")));
                of = found.and_then(|found| found.shape.object());
                known && found.is_some()
            })
        };
        let mut rows = 0;
        let mut check = |root: &'static str, bases: &[Base]| {
            for base in bases {
                for row in base.rows {
                    assert!(known(root, base.at, row.field), "{root} {} {}", base.at, row.field);
                    assert!(row.source.contains("/v1 "), "{}", row.source);
                    rows += 1;
                }
            }
        };
        for kind in KINDS {
            let root = schema.kind(kind.api_version, kind.kind).unwrap();
            check(root, kind.bases);
            if let Some(pod) = kind.pod {
                assert!(known(root, pod, "containers"), "{pod}");
            }
        }
        check("core.v1.PodSpec", POD_BASES);
        check("core.v1.Container", CONTAINER_BASES);
        assert!(rows > 80, "{rows}");
    }

    #[test]
    fn a_stateful_set_is_filled_in_down_to_its_containers() {
        let pod = json!({"containers": [
            {"name": "a", "image": "mongo", "ports": [{"containerPort": 1}], "livenessProbe": {"httpGet": {"port": 1}, "periodSeconds": 3}},
            {"name": "b", "image": "r:5000/mongo:7", "imagePullPolicy": "Never"}],
            "volumes": [{"name": "e"}, {"name": "s", "secret": {"secretName": "x"}}, {"name": "h", "hostPath": {"path": "/"}}]});
        let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "m"}, "spec": {
            "replicas": 0, "template": {"spec": pod}, "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {}}]}});
        check(
            &set,
            &[
                ("/spec/replicas", json!(0)),
                ("/spec/serviceName", Value::Null),
                ("/spec/podManagementPolicy", json!("OrderedReady")),
                ("/spec/updateStrategy", json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})),
                (
                    "/spec/persistentVolumeClaimRetentionPolicy",
                    json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
                ),
                ("/spec/volumeClaimTemplates/0/spec", json!({"volumeMode": "Filesystem"})),
                ("/spec/volumeClaimTemplates/0/kind", json!("PersistentVolumeClaim")),
                ("/spec/template/spec/restartPolicy", json!("Always")),
                ("/spec/template/spec/containers/0/imagePullPolicy", json!("Always")),
                ("/spec/template/spec/containers/0/ports/0/protocol", json!("TCP")),
                ("/spec/template/spec/containers/0/livenessProbe/periodSeconds", json!(3)),
                ("/spec/template/spec/containers/0/livenessProbe/httpGet/scheme", json!("HTTP")),
                ("/spec/template/spec/containers/1/imagePullPolicy", json!("Never")),
                ("/spec/template/spec/volumes/0/emptyDir", json!({})),
                ("/spec/template/spec/volumes/1/secret/defaultMode", json!(420)),
                ("/spec/template/spec/volumes/1/emptyDir", Value::Null),
                ("/spec/template/spec/volumes/2/hostPath/type", json!("")),
            ],
        );
    }

    #[test]
    fn what_is_filled_in_depends_on_what_is_there() {
        let service =
            |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec});
        check(
            &service(json!({"ports": [{"port": 80}, {"port": 81, "targetPort": "web"}]})),
            &[
                ("/spec/type", json!("ClusterIP")),
                ("/spec/sessionAffinity", json!("None")),
                ("/spec/externalTrafficPolicy", Value::Null),
                ("/spec/internalTrafficPolicy", json!("Cluster")),
                ("/spec/ports/0", json!({"port": 80, "protocol": "TCP", "targetPort": 80})),
                ("/spec/ports/1/targetPort", json!("web")),
            ],
        );
        check(
            &service(json!({"type": "LoadBalancer", "sessionAffinity": "ClientIP"})),
            &[
                ("/spec/externalTrafficPolicy", json!("Cluster")),
                ("/spec/allocateLoadBalancerNodePorts", json!(true)),
                ("/spec/sessionAffinityConfig/clientIP/timeoutSeconds", json!(10800)),
            ],
        );
        let job =
            |spec: Value| json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec});
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {}});
        check(
            &job(json!({"template": template})),
            &[
                ("/spec/completions", json!(1)),
                ("/spec/backoffLimit", json!(6)),
                ("/metadata/labels", json!({"a": "b"})),
            ],
        );
        check(&job(json!({"parallelism": 2})), &[("/spec/completions", Value::Null), ("/spec/parallelism", json!(2))]);
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"strategy": {"type": "Recreate"}}});
        check(&deployment, &[("/spec/strategy", json!({"type": "Recreate"})), ("/spec/replicas", json!(1))]);
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}]}});
        check(&pod, &[("/spec/containers/0/resources/requests", json!({"cpu": "500m", "memory": "1Gi"}))]);
    }

    #[test]
    fn string_data_is_merged_and_goes_before_data() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "eA=="}, "stringData": {"a": "hello", "b": null}});
        let (found, fields) = filled(&secret);
        assert_eq!(found["data"], json!({"a": "aGVsbG8=", "b": ""}));
        assert_eq!(found.get("stringData"), None);
        assert_eq!((&found["type"], fields), (&json!("Opaque"), vec!["/type".to_owned()]));
        let refused = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "x", "stringData": {"a": "b", "n": 1}});
        assert_eq!(filled(&refused).0, refused);
    }

    #[test]
    fn filling_in_twice_is_filling_in_once_and_other_kinds_stay() {
        let pod = json!({"containers": [{"name": "a", "image": "x@sha256:0"}], "volumes": [{"name": "v"}]});
        let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}});
        let (once, _) = filled(&cron);
        assert_eq!(filled(&once), (once.clone(), Vec::new()));
        assert_eq!(
            once.pointer("/spec/jobTemplate/spec/template/spec/containers/0/imagePullPolicy"),
            Some(&json!("IfNotPresent"))
        );
        let other = json!({"apiVersion": "example.com/v1", "kind": "Pod", "spec": {}});
        assert_eq!(filled(&other), (other.clone(), Vec::new()));
    }

    #[test]
    fn the_largest_pods_are_filled_in() {
        let containers: Vec<Value> = (0..1_000).map(|number| json!({"name": format!("c{number}")})).collect();
        let pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}});
        check(&pod, &[("/spec/containers/999/terminationMessagePolicy", json!("File"))]);
    }
}
