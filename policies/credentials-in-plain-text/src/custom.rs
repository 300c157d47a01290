//! Operators' custom resources: secrets anywhere in their specs.
//!
//! A CRD's schema is its operator's, so nothing is known of where in it a secret
//! could stand. The spec is walked whole: fields by their names, `name` and
//! `value` side by side as variables have them, lists of words as command lines,
//! texts of several lines as files. Invariant: fields that name a Secret, or a
//! key in one, are never reported; operators have many of them.

use portcullis_sdk::serde_json::{Map, Value};
use portcullis_sdk::{
    FieldPath, GroupVersionKind, Malformed, Metadata, ObjectKind, Objects, Tree, View, from_json, tree_of,
};
use portcullis_workloads::custom::{CustomResource, is_custom};
use serde::Deserialize;

use crate::command::of_words;
use crate::config::{What, of_setting};
use crate::names::{Noun, words};
use crate::settings::Settings;
use crate::text::{is_file, of_file};
use crate::values::{Place, Plain};

/// Deeper objects are read no further; real ones have some ten levels.
const MAX_DEPTH: usize = 48;
/// Ends of fields that refer to something else.
const REFERENCES: [&str; 8] = ["from", "key", "name", "ref", "secret", "secrets", "selector", "selectors"];
/// Ends of a Secret's name.
const OBJECTS: [&str; 5] = ["credentials", "creds", "password", "secret", "secrets"];

/// An operator's resource.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct Resource {
    /// Its name and annotations.
    pub metadata: Metadata,
    /// What is asked of the operator.
    pub spec: Value,
}

/// An operator's resource, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct Custom {
    /// Its kind's name.
    pub kind: String,
    /// What is read of it.
    pub resource: Resource,
}

/// Something secret in a spec.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) path: FieldPath,
    /// The field's path without places in lists, so that it stays the same when they are reordered.
    pub(crate) field: String,
    /// The name at which it stands.
    pub(crate) name: String,
    pub(crate) plain: Plain,
}

impl Objects for Custom {
    /// Those whose storage the catalogue knows.
    fn kinds() -> Vec<ObjectKind> {
        let tree: Tree = tree_of::<Resource>();
        CustomResource::kinds().into_iter().map(|kind| ObjectKind { tree: tree.clone(), ..kind }).collect()
    }

    fn read(kind: &GroupVersionKind, json: &str) -> Option<Result<Self, Malformed>> {
        is_custom(&kind.kind, &kind.group)
            .then(|| from_json(json).map(|resource| Self { kind: kind.kind.clone(), resource }))
    }
}

/// The secrets of a spec.
pub(crate) fn held(settings: &Settings, spec: &Value) -> Vec<Held> {
    let mut walk = Walk { settings, held: Vec::new() };
    walk.value("spec", spec, &FieldPath::root().field("spec"), "spec", 0);
    walk.held
}

struct Walk<'a> {
    settings: &'a Settings,
    held: Vec<Held>,
}

impl Walk<'_> {
    fn value(&mut self, name: &str, value: &Value, path: &FieldPath, field: &str, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        match value {
            Value::Object(fields) => self.fields(fields, path, field, depth),
            Value::Array(elements) => self.elements(name, elements, path, field, depth),
            Value::String(text) => self.text(name, text, path, field),
            _ => {}
        }
    }

    fn fields(&mut self, fields: &Map<String, Value>, path: &FieldPath, field: &str, depth: usize) {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let variable = text("name").zip(text("value"));
        if let Some((name, value)) = variable
            && let Some(told) = of_setting(self.settings, name, value, Place::Field)
        {
            self.add(&path.field("value"), field, name, told.plain);
        }
        for (name, value) in fields {
            let is_reference =
                value.is_object() && words(name).last().is_some_and(|last| REFERENCES.contains(&last.as_str()));
            if !(is_reference || variable.is_some() && name == "value") {
                self.value(name, value, &path.field(name), &format!("{field}.{name}"), depth + 1);
            }
        }
    }

    fn elements(&mut self, name: &str, elements: &[Value], path: &FieldPath, field: &str, depth: usize) {
        let words: Option<Vec<String>> = elements.iter().map(|element| element.as_str().map(str::to_owned)).collect();
        match words {
            Some(words) => {
                for given in of_words(&words, &[]) {
                    self.add(&path.index(given.word), field, &given.name, given.plain);
                }
            }
            None => {
                for (index, element) in elements.iter().enumerate() {
                    self.value(name, element, &path.index(index), field, depth + 1);
                }
            }
        }
    }

    fn text(&mut self, name: &str, text: &str, path: &FieldPath, field: &str) {
        // `admin/password` of a flat configuration.
        let last = name.rsplit('/').next().unwrap_or(name);
        if is_file("", text) {
            for found in of_file("", text) {
                let inner = found.name.unwrap_or_else(|| last.to_owned());
                self.add(path, field, &inner, found.plain);
            }
            return;
        }
        let Some(told) = of_setting(self.settings, last, text, Place::File) else { return };
        // A field of this name holds a Secret's name, or a key's, more often than a secret.
        let refers = match told.what {
            What::Named(Noun::Secret | Noun::Credentials | Noun::Key) => !self.settings.is_secret(last),
            What::Named(_) => {
                last.starts_with("k8s_secret")
                    || text.contains('-') && words(text).last().is_some_and(|last| OBJECTS.contains(&last.as_str()))
            }
            What::Shown(_) | What::Flag(_) => false,
        };
        if !refers {
            self.add(path, field, last, told.plain);
        }
    }

    fn add(&mut self, path: &FieldPath, field: &str, name: &str, plain: Plain) {
        if !self.settings.is_ignored(name) {
            self.held.push(Held { path: path.clone(), field: field.to_owned(), name: name.to_owned(), plain });
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_sdk::serde_json::json;

    use super::*;

    /// The paths of what is held.
    fn check(spec: &Value, expected: &[&str]) {
        let held = held(&Settings::default(), spec);
        assert_eq!(held.iter().map(|held| held.path.to_string()).collect::<Vec<_>>(), expected, "{spec}");
    }

    #[test]
    fn secrets_are_found_wherever_an_operator_lets_them_stand() {
        check(
            &json!({"configuration": {"users": {"admin/password": "hunter2"}}}),
            &["spec.configuration.users[admin/password]"],
        );
        check(&json!({"env": [{"name": "MINIO_ROOT_PASSWORD", "value": "hunter2"}]}), &["spec.env[0].value"]);
        check(
            &json!({"rabbitmq": {"additionalConfig": "default_user = a\ndefault_pass = hunter2\n"}}),
            &["spec.rabbitmq.additionalConfig"],
        );
        check(
            &json!({"bootstrap": {"initdb": {"postInitSQL": ["CREATE USER a WITH PASSWORD 'hunter2'"]}}}),
            &["spec.bootstrap.initdb.postInitSQL[0]"],
        );
        check(
            &json!({"podTemplate": {"spec": {"containers": [{"name": "a", "args": ["--password", "hunter2"]}]}}}),
            &["spec.podTemplate.spec.containers[0].args[1]"],
        );
        check(&json!({"backup": {"url": "s3://a:hunter2@b/c"}}), &["spec.backup.url"]);
    }

    #[test]
    fn names_of_secrets_and_of_their_keys_are_none() {
        check(
            &json!({"credsSecret": {"name": "a"}, "passwordSecretRef": {"name": "a", "key": "password"}, "rootPasswordSecretKeyRef": {"name": "a", "key": "b"}}),
            &[],
        );
        check(
            &json!({"secretName": "shop", "userSecret": "shop", "tokenSecret": "shop", "secretKey": "password", "password": "shop-db-password"}),
            &[],
        );
        check(
            &json!({"users": {"admin/password_sha256_hex": "abc", "admin/k8s_secret_password": "shop/db/password", "admin/networks/ip": "::/0"}}),
            &[],
        );
        check(
            &json!({"env": [{"name": "A_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}], "replicas": 3, "tls": {"enabled": true}}),
            &[],
        );
    }
}
