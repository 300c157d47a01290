//! The table's paths, walked through an object.
//!
//! `spec.nodeSets[*].storage` is each element's or value's `storage`; `.` is the
//! place itself. A step that finds another shape finds nothing.

use portcullis_sdk::FieldPath;
use portcullis_sdk::serde_json::Value;

use super::is_set;

/// What an element of a list is known by, whatever its index; the first that is there counts.
pub(super) const NAMES: [&str; 3] = ["name", "id", "metadata.name"];

/// A value of an object, with its place.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) path: FieldPath,
    /// The path with names in the place of indexes.
    pub(super) name: String,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, path: FieldPath::root(), name: String::new() }
    }

    /// Every value that a path leads to from here, null among them.
    pub(super) fn all(&self, path: &str) -> Vec<Self> {
        let mut nodes = vec![self.clone()];
        for (name, each) in steps(path) {
            nodes = nodes.iter().filter_map(|node| node.member(name)).collect();
            if each {
                nodes = nodes.iter().flat_map(Self::each).collect();
            }
        }
        nodes
    }

    fn member(&self, name: &str) -> Option<Self> {
        let value = self.value.as_object()?.get(name)?;
        let dot = if self.name.is_empty() { "" } else { "." };
        Some(Self { value, path: self.path.field(name), name: format!("{}{dot}{name}", self.name) })
    }

    fn each(&self) -> Vec<Self> {
        match self.value {
            Value::Array(elements) => elements
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    let name = name_of(value).unwrap_or_else(|| index.to_string());
                    Self { value, path: self.path.index(index), name: format!("{}[{name}]", self.name) }
                })
                .collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| Self { value, path: self.path.key(key), name: format!("{}[{key}]", self.name) })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// The steps of a path: a field, and whether each of its elements is meant.
pub(super) fn steps(path: &str) -> impl Iterator<Item = (&str, bool)> {
    path.split('.').filter(|step| !step.is_empty()).map(|step| match step.strip_suffix("[*]") {
        Some(name) => (name, true),
        None => (step, false),
    })
}

/// A path as it is written where nothing is there yet; what stands for each element is left out.
pub(super) fn written(path: &str) -> FieldPath {
    steps(path).fold(FieldPath::root(), |path, (name, _)| path.field(name))
}

/// The path of a condition: `storageType` of `storageType!=Ephemeral`.
pub(super) fn of(condition: &str) -> &str {
    let path = condition.split_once('=').map_or(condition, |(path, _)| path.trim_end_matches('!'));
    path.trim_start_matches('!')
}

/// The path from the root whose value a condition compares with.
pub(super) fn compared(condition: &str) -> Option<&str> {
    condition.split_once('=')?.1.strip_prefix('@')
}

/// Whether a condition of the table holds at a place.
pub(super) fn holds(condition: &str, node: &Node<'_>, root: &Node<'_>) -> bool {
    let found = node.all(of(condition));
    let Some((path, wanted)) = condition.split_once('=') else {
        return found.iter().any(|node| is_set(node.value)) != condition.starts_with('!');
    };
    let equal = match wanted.strip_prefix('@') {
        Some(elsewhere) => {
            let wanted = root.all(elsewhere);
            found.iter().any(|node| wanted.iter().any(|wanted| wanted.value == node.value))
        }
        None => found.iter().any(|node| reads(node.value, wanted)),
    };
    equal != path.ends_with('!')
}

/// The numbers at a path; `#` at its end counts a list instead.
pub(super) fn numbers(root: &Node<'_>, path: &str) -> Vec<i64> {
    match path.strip_suffix('#') {
        Some(path) => {
            let lists = root.all(path).into_iter().filter_map(|node| node.value.as_array());
            lists.filter_map(|list| i64::try_from(list.len()).ok()).collect()
        }
        None => root.all(path).iter().filter_map(|node| node.value.as_i64()).collect(),
    }
}

/// Whether a value is written so, in whatever case: operators accept several.
fn reads(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text.eq_ignore_ascii_case(wanted),
        Value::Bool(is) => wanted == if *is { "true" } else { "false" },
        Value::Number(number) => number.to_string() == wanted,
        _ => false,
    }
}

fn name_of(element: &Value) -> Option<String> {
    NAMES.iter().find_map(|name| {
        let value = name.split('.').try_fold(element, |value, step| value.get(step))?;
        match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    })
}
