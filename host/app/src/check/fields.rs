//! Fields that a built-in kind doesn't have, and values of the wrong type.
//!
//! kubectl refuses both (`--validate=strict` is its default since 1.25); any
//! other client's unknown fields the API server drops without a word, and then
//! runs what is left: `volumes` beside the pod's `spec` becomes a pod without
//! them. So each is named, with the place that was probably meant.
//!
//! The walk keeps its own stack: an object may nest deeper than this thread's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::json::{Kind, Value};

use super::schema::{self, Schema, Shape};

/// Faults of one object that are named; the rest is counted.
pub const MAX_FAULTS: usize = 12;
/// Steps from a misplaced field to where it belongs, at most.
const MAX_STEPS: usize = 3;
/// Edits that make a typing error, and letters below which everything is near.
const MAX_TYPOS: usize = 2;
const MIN_TYPO_LENGTH: usize = 4;

/// Something that the API server would not take as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, in Kubernetes' style.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Where a value stands in the object.
struct Place<'d> {
    parent: usize,
    segment: Segment<'d>,
    /// The type of the object there, if one is known.
    of: Option<&'static str>,
}

enum Segment<'d> {
    Root,
    Key(std::borrow::Cow<'d, str>),
    Index(usize),
}

struct Walk<'d> {
    schema: &'static Schema,
    places: Vec<Place<'d>>,
    pending: Vec<(Value<'d>, Shape, usize)>,
    /// With where they stand in the text.
    faults: Vec<(usize, Fault)>,
}

/// The faults of an object, in the order of its text; none for a kind that isn't built in.
pub fn faults(object: Value<'_>, api_version: &str, kind: &str) -> Vec<Fault> {
    let schema = schema::built_in();
    let Some(name) = schema.kind(api_version, kind) else { return Vec::new() };
    let root = Place { parent: 0, segment: Segment::Root, of: Some(name) };
    let mut walk =
        Walk { schema, places: vec![root], pending: vec![(object, Shape::Object(name), 0)], faults: Vec::new() };
    while let Some((value, shape, place)) = walk.pending.pop() {
        walk.visit(value, shape, place);
    }
    walk.faults.sort_by_key(|(at, _)| *at);
    let more = walk.faults.len().saturating_sub(MAX_FAULTS);
    let mut faults: Vec<Fault> = walk.faults.into_iter().take(MAX_FAULTS).map(|(_, fault)| fault).collect();
    if more > 0 {
        faults.push(Fault {
            path: String::new(),
            message: format!("{more} more fields are unknown or of the wrong type"),
        });
    }
    faults
}

impl<'d> Walk<'d> {
    fn visit(&mut self, value: Value<'d>, shape: Shape, place: usize) {
        if value.is_null() || shape == Shape::Anything {
            return;
        }
        match (shape, value.kind()) {
            (Shape::Object(name), Kind::Object) => {
                for (key, inner) in value.fields() {
                    match self.schema.field(name, &key) {
                        Some(field) => {
                            let of = field.shape.object();
                            let below = self.place(place, Segment::Key(key), of);
                            self.pending.push((inner, field.shape, below));
                        }
                        None => self.unknown(name, place, &key, inner),
                    }
                }
            }
            (Shape::Map(inner), Kind::Object) => {
                let shape = Shape::of(inner);
                for (key, value) in value.fields() {
                    let below = self.place(place, Segment::Key(key), shape.object());
                    self.pending.push((value, shape, below));
                }
            }
            (Shape::List(inner), Kind::Array) => {
                let shape = Shape::of(inner);
                for (index, value) in value.items().enumerate() {
                    let below = self.place(place, Segment::Index(index), shape.object());
                    self.pending.push((value, shape, below));
                }
            }
            _ => {
                if let Some(wrong) = wrong(value, shape) {
                    let path = self.path(place);
                    let message = format!("{path:?} {wrong}");
                    self.faults.push((value.span().start, Fault { path, message }));
                }
            }
        }
    }

    fn place(&mut self, parent: usize, segment: Segment<'d>, of: Option<&'static str>) -> usize {
        self.places.push(Place { parent, segment, of });
        self.places.len() - 1
    }

    fn path(&self, place: usize) -> String {
        let mut segments = Vec::new();
        let mut at = place;
        while let Segment::Key(_) | Segment::Index(_) = self.places[at].segment {
            segments.push(&self.places[at].segment);
            at = self.places[at].parent;
        }
        let mut path = String::new();
        for segment in segments.into_iter().rev() {
            match segment {
                Segment::Root => {}
                Segment::Key(key) => join(&mut path, key),
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    fn unknown(&mut self, name: &'static str, place: usize, key: &str, value: Value<'d>) {
        let mut path = self.path(place);
        let parent = path.clone();
        join(&mut path, key);
        let meant = self.near(name, key, &parent).or_else(|| self.elsewhere(name, place, key, value));
        let meant = meant.or_else(|| self.typo(name, key, &parent));
        let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
        let message = format!("unknown field {path:?}, which kubectl refuses and the API server drops{meant}");
        self.faults.push((value.span().start, Fault { path, message }));
    }

    /// Another case, or a field that has become an object: `serviceName`, now `service.name`.
    fn near(&self, name: &str, key: &str, parent: &str) -> Option<String> {
        let fields = self.schema.fields(name);
        if let Some(field) = fields.iter().find(|field| field.name.eq_ignore_ascii_case(key)) {
            return Some(below(parent, field.name));
        }
        fields.iter().find_map(|field| {
            let rest =
                key.strip_prefix(field.name).filter(|rest| rest.starts_with(|first: char| first.is_uppercase()))?;
            let Shape::Object(inner) = field.shape else { return None };
            let rest = uncapitalised(rest);
            self.schema.field(inner, &rest)?;
            Some(format!("{}.{rest}", below(parent, field.name)))
        })
    }

    /// The nearest place that has a field of this name for such a value: below, or around.
    fn elsewhere(&self, name: &'static str, place: usize, key: &str, value: Value<'_>) -> Option<String> {
        let mut around = (name, place);
        (0..MAX_STEPS).find_map(|up| {
            if up > 0 {
                around = self.parent_object(around.1)?;
            }
            let found = self.within(around.0, key, value, MAX_STEPS - up)?;
            let parent = self.path(around.1);
            Some(if parent.is_empty() { found } else { format!("{parent}.{found}") })
        })
    }

    /// The object around a place.
    fn parent_object(&self, place: usize) -> Option<(&'static str, usize)> {
        let mut at = place;
        while at != 0 {
            // A list lies between an element and the object that holds it.
            let was_key = matches!(self.places[at].segment, Segment::Key(_));
            at = self.places[at].parent;
            if was_key {
                return self.places[at].of.map(|of| (of, at));
            }
        }
        None
    }

    /// Breadth first through the fields of a type.
    fn within(&self, name: &'static str, key: &str, value: Value<'_>, steps: usize) -> Option<String> {
        let mut level = vec![(name, String::new())];
        for _ in 0..steps {
            let mut next = Vec::new();
            for (name, prefix) in &level {
                for field in self.schema.fields(name) {
                    let (mut path, mut shape) = (below(prefix, field.name), field.shape);
                    if field.name == key && wrong(value, shape).is_none() {
                        return Some(path);
                    }
                    // What the API server itself writes is not what anybody meant.
                    if matches!(field.name, "status" | "managedFields") {
                        continue;
                    }
                    while let Shape::List(inner) = shape {
                        path.push_str("[*]");
                        shape = Shape::of(inner);
                    }
                    if let Shape::Object(inner) = shape {
                        next.push((inner, path));
                    }
                }
            }
            level = next;
        }
        None
    }

    /// A field that is nearly spelt so, or whose name ends so.
    fn typo(&self, name: &str, key: &str, parent: &str) -> Option<String> {
        let fields = self.schema.fields(name);
        let distance = |field: &&schema::Field| strsim::damerau_levenshtein(field.name, key);
        let nearest = fields.iter().filter(|_| key.len() >= MIN_TYPO_LENGTH).min_by_key(distance);
        let nearest = nearest.filter(|field| distance(field) <= MAX_TYPOS);
        let lower = key.to_lowercase();
        let ends = || {
            let ends = |field: &&schema::Field| field.name.to_lowercase().ends_with(&lower);
            fields.iter().filter(|_| key.len() >= MIN_TYPO_LENGTH).find(ends)
        };
        nearest.or_else(ends).map(|field| below(parent, field.name))
    }
}

fn below(parent: &str, name: &str) -> String {
    let mut path = parent.to_owned();
    join(&mut path, name);
    path
}

/// Adds a field to a path; a key that isn't plain stands in brackets.
fn join(path: &mut String, key: &str) {
    if key.is_empty() || key.contains(['.', '/', '[', ']', ' ']) {
        path.push_str(&format!("[{key}]"));
    } else {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    }
}

fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

/// Why a value doesn't fit; it never names the value, which may be a secret.
fn wrong(value: Value<'_>, shape: Shape) -> Option<String> {
    let kind = value.kind();
    let text = || value.as_str().unwrap_or_default();
    let (meant, advice) = match shape {
        Shape::Anything => return None,
        Shape::Text if kind == Kind::String => return None,
        Shape::Text if matches!(kind, Kind::Number | Kind::Bool) => ("a text", "; put it in quotes"),
        Shape::Text => ("a text", ""),
        Shape::Whole if kind == Kind::Number && is_whole(value.raw()) => return None,
        Shape::Whole if kind == Kind::String && is_whole(&text()) => ("a whole number", "; write it without quotes"),
        Shape::Whole => ("a whole number", ""),
        Shape::Number if kind == Kind::Number => return None,
        Shape::Number => ("a number", ""),
        Shape::Truth if kind == Kind::Bool => return None,
        Shape::Truth if kind == Kind::String && matches!(&*text(), "true" | "false") => {
            ("true or false", "; write it without quotes")
        }
        Shape::Truth => ("true or false", ""),
        Shape::NumberOrText if kind == Kind::String || (kind == Kind::Number && is_whole(value.raw())) => return None,
        Shape::NumberOrText => ("a whole number or a text", ""),
        Shape::Quantity => return wrong_quantity(value),
        Shape::Base64 => return wrong_base64(value),
        Shape::Object(_) | Shape::Map(_) if kind == Kind::Object => return None,
        Shape::Object(_) | Shape::Map(_) if kind == Kind::Array => ("a mapping", "; take the dashes away"),
        Shape::Object(_) | Shape::Map(_) => ("a mapping", ""),
        Shape::List(_) if kind == Kind::Array => return None,
        Shape::List(_) => ("a list", "; write each element after a dash"),
    };
    Some(format!("holds {} where {meant} is meant, which the API server refuses{advice}", called(value)))
}

fn called(value: Value<'_>) -> &'static str {
    match value.kind() {
        Kind::Null => "nothing",
        Kind::Bool => "true or false",
        Kind::Number if is_whole(value.raw()) => "a number",
        Kind::Number => "a fraction",
        Kind::String => "a text",
        Kind::Array => "a list",
        Kind::Object => "a mapping",
    }
}

/// Whether a number is whole, in whatever way it is written (`1.0`, `1e3`).
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        || (text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
            && text.parse::<f64>().is_ok_and(|number| number.is_finite() && number.fract() == 0.0))
}

fn wrong_quantity(value: Value<'_>) -> Option<String> {
    match value.kind() {
        Kind::Number => None,
        Kind::String => {
            let text = value.as_str().unwrap_or_default();
            let refused = || {
                let shown: String = text.chars().take(40).collect();
                format!("holds {shown:?}, which is no quantity; write a number with a unit, such as 10Gi or 500m")
            };
            (!is_quantity(&text)).then(refused)
        }
        _ => Some(format!("holds {} where a quantity is meant; write 10Gi or 500m", called(value))),
    }
}

/// As `resource.ParseQuantity` of k8s.io/apimachinery reads it: a sign, digits
/// with at most one point, and a binary, decimal or exponent suffix.
fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let well_formed = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() <= 1;
    well_formed
        && match suffix {
            "" | "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" | "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E" => true,
            _ => suffix.strip_prefix(['e', 'E']).is_some_and(|exponent| {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            }),
        }
}

/// As Go decodes `[]byte`: padded standard base64, in which line ends don't count.
fn wrong_base64(value: Value<'_>) -> Option<String> {
    if value.kind() != Kind::String {
        return Some(format!("holds {} where base64 is meant, which the API server refuses", called(value)));
    }
    let mut text = value.as_str().unwrap_or_default().into_owned();
    text.retain(|letter| !matches!(letter, '\r' | '\n'));
    let refused = "is not base64, which the API server refuses; plain text of a Secret belongs under stringData";
    STANDARD.decode(text).is_err().then(|| refused.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

    use portcullis_core::json::Document;
    use serde_json::{Value, json};

    use super::*;

    fn check(api_version: &str, kind: &str, object: &Value, expected: &[&str]) {
        let text = object.to_string();
        let found = faults(Document::parse(text.as_bytes()).unwrap().root(), api_version, kind);
        let found: Vec<&str> = found.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(found, expected, "{text}");
    }

    fn unknown(path: &str, meant: Option<&str>) -> String {
        let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
        format!("unknown field {path:?}, which kubectl refuses and the API server drops{meant}")
    }

    #[test]
    fn unknown_fields_are_named_with_what_was_meant() {
        let pod =
            |template: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": template}});
        let deployment = |template: Value, path: &str, meant: Option<&str>| {
            check("apps/v1", "Deployment", &pod(template), &[&unknown(path, meant)]);
        };
        deployment(
            json!({"volumes": [{"name": "a"}], "spec": {}}),
            "spec.template.volumes",
            Some("spec.template.spec.volumes"),
        );
        deployment(
            json!({"spec": {"containers": [{"name": "a", "volumes": []}]}}),
            "spec.template.spec.containers[0].volumes",
            Some("spec.template.spec.volumes"),
        );
        deployment(
            json!({"spec": {"image": "a"}}),
            "spec.template.spec.image",
            Some("spec.template.spec.containers[*].image"),
        );
        deployment(
            json!({"spec": {"containers": [{"imagepullPolicy": "Always"}]}}),
            "spec.template.spec.containers[0].imagepullPolicy",
            Some("spec.template.spec.containers[0].imagePullPolicy"),
        );
        deployment(json!({"spec": {"volumse": []}}), "spec.template.spec.volumse", Some("spec.template.spec.volumes"));
        deployment(json!({"spec": {"zzzzzz.io/x": 1}}), "spec.template.spec[zzzzzz.io/x]", None);
    }

    #[test]
    fn an_old_ingress_under_the_new_version_is_told_its_new_fields() {
        let backend = json!({"serviceName": "web", "servicePort": 80});
        let ingress = json!({"spec": {"backend": backend, "rules": [{"http": {"paths": [{"backend": backend}]}}]}});
        let path = "spec.rules[0].http.paths[0].backend";
        check(
            "networking.k8s.io/v1",
            "Ingress",
            &ingress,
            &[
                &unknown("spec.backend", Some("spec.defaultBackend")),
                &unknown(&format!("{path}.serviceName"), Some(&format!("{path}.service.name"))),
                &unknown(&format!("{path}.servicePort"), Some(&format!("{path}.service.port"))),
            ],
        );
    }

    #[test]
    fn values_of_the_wrong_type_are_named_without_the_value() {
        let wrong = |path: &str, rest: &str| format!("{path:?} holds {rest}");
        check(
            "apps/v1",
            "StatefulSet",
            &json!({"metadata": {"labels": {"a": true}}, "spec": {"replicas": "3", "template": [], "volumeClaimTemplates": {}, "minReadySeconds": 1.5, "ordinals": {"start": 2.0}, "revisionHistoryLimit": null}}),
            &[
                &wrong(
                    "metadata.labels.a",
                    "true or false where a text is meant, which the API server refuses; put it in quotes",
                ),
                &wrong(
                    "spec.minReadySeconds",
                    "a fraction where a whole number is meant, which the API server refuses",
                ),
                &wrong(
                    "spec.replicas",
                    "a text where a whole number is meant, which the API server refuses; write it without quotes",
                ),
                &wrong(
                    "spec.template",
                    "a list where a mapping is meant, which the API server refuses; take the dashes away",
                ),
                &wrong(
                    "spec.volumeClaimTemplates",
                    "a mapping where a list is meant, which the API server refuses; write each element after a dash",
                ),
            ],
        );
        check(
            "v1",
            "Secret",
            &json!({"data": {"ok": "aGVs\nbG8=", "tls.crt": "hunter2!"}, "stringData": {"n": 1}}),
            &[
                "\"data[tls.crt]\" is not base64, which the API server refuses; plain text of a Secret belongs under stringData",
                "\"stringData.n\" holds a number where a text is meant, which the API server refuses; put it in quotes",
            ],
        );
    }

    #[test]
    fn quantities_are_read_as_the_api_server_reads_them() {
        for (text, expected) in [
            ("10Gi", true),
            ("1.5Gi", true),
            ("500m", true),
            ("+1", true),
            (".5", true),
            ("5.", true),
            ("1e3", true),
            ("1E-3", true),
            ("1E", true),
            ("", false),
            ("volume-capacity", false),
            ("10GB", false),
            ("10 Gi", false),
            ("1.2.3", false),
            (".", false),
            ("1e", false),
            ("${SIZE}", false),
        ] {
            assert_eq!(is_quantity(text), expected, "{text:?}");
        }
        check(
            "v1",
            "PersistentVolumeClaim",
            &json!({"spec": {"resources": {"requests": {"storage": "volume-capacity"}, "limits": {"storage": 5}}}}),
            &[
                "\"spec.resources.requests.storage\" holds \"volume-capacity\", which is no quantity; write a number with a unit, such as 10Gi or 500m",
            ],
        );
    }

    #[test]
    fn what_is_free_or_unknown_is_left_alone_and_many_faults_are_counted() {
        check("apps/v1", "Mouse", &json!({"spec": {"x": 1}}), &[]);
        check("v1", "ConfigMap", &json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"any.key": "x"}}), &[]);
        let definition = json!({"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"items": {"x": 1}, "default": [1]}}}}}]}});
        check("apiextensions.k8s.io/v1", "CustomResourceDefinition", &definition, &[]);
        let many: serde_json::Map<String, Value> = (0..20).map(|number| (format!("x{number:02}"), json!(1))).collect();
        let text = Value::Object(many).to_string();
        let found = faults(Document::parse(text.as_bytes()).unwrap().root(), "v1", "ConfigMap");
        assert_eq!(found.len(), MAX_FAULTS + 1);
        assert_eq!(found[MAX_FAULTS].message, "8 more fields are unknown or of the wrong type");
    }
}
