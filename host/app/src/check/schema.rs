//! Which fields the built-in kinds have, from Kubernetes' published OpenAPI.
//!
//! `schema/kubernetes.txt` is made by `schema/generate.py`, whose head describes
//! its lines. Reading it costs one pass over its lines (about 90 KB); the fields
//! of a type are parsed when the first object needs them.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

/// The schema of the version named in its first line.
static TEXT: &str = include_str!("../../schema/kubernetes.txt");

/// All kinds and types.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::of(TEXT));

/// Kinds, and the types that they are made of.
#[derive(Debug)]
pub struct Schema {
    /// By kind: the versions that serve it, each with its type.
    kinds: HashMap<&'static str, Vec<(&'static str, &'static str)>>,
    types: HashMap<&'static str, Type>,
}

/// A type with fields.
#[derive(Debug)]
pub struct Type {
    line: &'static str,
    fields: OnceLock<Vec<Field>>,
}

/// A field of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// As it is written.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// True or false.
    Truth,
    /// `10Gi`, `500m`, or a number.
    Quantity,
    /// A whole number or a text.
    NumberOrText,
    /// Bytes as base64.
    Base64,
    /// Nobody says.
    Anything,
    /// An object of a type.
    Object(&'static str),
    /// A list; its elements are written as the rest says.
    List(&'static str),
    /// A map from texts; its values are written as the rest says.
    Map(&'static str),
}

/// The schema of the built-in kinds.
pub fn built_in() -> &'static Schema {
    &SCHEMA
}

impl Schema {
    fn of(text: &'static str) -> Schema {
        let mut schema = Schema { kinds: HashMap::with_capacity(128), types: HashMap::with_capacity(1024) };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((kind, name)) = line.split_once(" = ") {
                if let Some((version, kind)) = kind.split_once(' ') {
                    schema.kinds.entry(kind).or_default().push((version, name));
                }
            } else if let Some((name, line)) = line.split_once(": ") {
                schema.types.insert(name, Type { line, fields: OnceLock::new() });
            }
        }
        schema
    }

    /// The Kubernetes version that it describes.
    pub fn version(&self) -> &'static str {
        TEXT.split([' ', ',']).nth(2).unwrap_or_default()
    }

    /// The type of a kind.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<&'static str> {
        let versions = self.kinds.get(kind)?;
        versions.iter().find(|(version, _)| *version == api_version).map(|(_, name)| *name)
    }

    /// The versions that serve a kind, of whatever group.
    pub fn versions(&self, kind: &str) -> impl Iterator<Item = &'static str> {
        self.kinds.get(kind).into_iter().flatten().map(|(version, _)| *version)
    }

    /// The fields of a type, in the order of their names.
    pub fn fields(&self, name: &str) -> &[Field] {
        self.types.get(name).map_or(&[], Type::fields)
    }

    /// A field of a type.
    pub fn field(&self, name: &str, field: &str) -> Option<Field> {
        let fields = self.fields(name);
        let index = fields.binary_search_by(|known| known.name.cmp(field)).ok()?;
        Some(fields[index])
    }
}

impl Type {
    fn fields(&self) -> &[Field] {
        self.fields.get_or_init(|| {
            let mut fields: Vec<Field> = self.line.split(", ").filter_map(Field::of).collect();
            fields.sort_unstable_by_key(|field| field.name);
            fields
        })
    }
}

impl Field {
    fn of(text: &'static str) -> Option<Field> {
        let (name, shape) = text.split_once(' ')?;
        Some(Field { name: name.trim_end_matches('!'), shape: Shape::of(shape) })
    }
}

impl Shape {
    /// From its letters; see `schema/generate.py`.
    pub fn of(text: &'static str) -> Shape {
        match text.as_bytes().first() {
            Some(b'@') => Shape::Object(&text[1..]),
            Some(b'[') => Shape::List(&text[1..]),
            Some(b'{') => Shape::Map(&text[1..]),
            Some(b's') => Shape::Text,
            Some(b'i') => Shape::Whole,
            Some(b'n') => Shape::Number,
            Some(b'b') => Shape::Truth,
            Some(b'q') => Shape::Quantity,
            Some(b'x') => Shape::NumberOrText,
            Some(b'y') => Shape::Base64,
            _ => Shape::Anything,
        }
    }

    /// The type of the objects in it, lists and maps opened.
    pub fn object(self) -> Option<&'static str> {
        let mut shape = self;
        loop {
            shape = match shape {
                Shape::Object(name) => return Some(name),
                Shape::List(inner) | Shape::Map(inner) => Shape::of(inner),
                _ => return None,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text is made by a program; this is what a broken one would miss.
    #[test]
    fn every_line_is_a_kind_or_a_type_and_every_type_is_there() {
        let schema = built_in();
        let lines = TEXT.lines().filter(|line| !line.starts_with('#')).count();
        let names: Vec<_> = schema.kinds.values().flatten().map(|(_, name)| *name).collect();
        assert_eq!(names.len() + schema.types.len(), lines);
        for name in names {
            assert!(schema.types.contains_key(name), "{name}");
        }
        for (name, known) in &schema.types {
            assert_eq!(known.fields().len(), known.line.split(", ").count(), "{name}");
            for field in known.fields() {
                let letters = known.line.split(", ").any(|text| {
                    let (written, letters) = text.split_once(' ').expect("a name and a shape");
                    let leaf = letters.trim_start_matches(['[', '{']);
                    written.trim_end_matches('!') == field.name
                        && (leaf.starts_with('@') || (leaf.len() == 1 && "sinbqxy*".contains(leaf)))
                });
                assert!(letters, "{name}.{}", field.name);
                if let Some(inner) = field.shape.object() {
                    assert!(schema.types.contains_key(inner), "{name}.{}: {inner}", field.name);
                }
            }
        }
        assert_eq!(schema.version(), "1.36.3");
        assert!(TEXT.len() < 200_000, "{} bytes", TEXT.len());
    }

    #[test]
    fn the_kinds_that_policies_judge_are_there() {
        let schema = built_in();
        let kinds = [
            ("apps/v1", "StatefulSet", "spec"),
            ("apps/v1", "Deployment", "spec"),
            ("batch/v1", "CronJob", "spec"),
            ("v1", "Pod", "spec"),
            ("v1", "Secret", "stringData"),
            ("v1", "PersistentVolumeClaim", "spec"),
            ("v1", "PersistentVolume", "spec"),
            ("storage.k8s.io/v1", "StorageClass", "provisioner"),
            ("networking.k8s.io/v1", "Ingress", "spec"),
            ("autoscaling/v1", "Scale", "spec"),
        ];
        for (api_version, kind, field) in kinds {
            let name = schema.kind(api_version, kind).unwrap_or_else(|| panic!("{api_version} {kind}"));
            assert!(schema.field(name, field).is_some(), "{name} {field}");
        }
        assert_eq!(schema.kind("apps/v1beta1", "StatefulSet"), None);
        assert_eq!(schema.versions("CronJob").collect::<Vec<_>>(), ["batch/v1"]);
        let claim = schema.field("core.v1.VolumeResourceRequirements", "requests").expect("a field");
        assert_eq!(claim.shape, Shape::Map("q"));
    }
}
