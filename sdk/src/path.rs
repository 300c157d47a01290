//! The place of a value in an object, written both ways at once.
//!
//! A finding carries a Kubernetes-style path (`spec.containers[0].image`), an
//! edit a JSON Pointer (`/spec/containers/0/image`). Both are grown together,
//! step by step, so that they can't name two places.

use std::fmt;

/// A place in an object: a Kubernetes-style path and the JSON Pointer of the same place.
///
/// ```
/// use portcullis_sdk::FieldPath;
///
/// let path = FieldPath::fields(["metadata", "annotations"]).key("a.b/c");
/// assert_eq!(path.to_string(), "metadata.annotations[a.b/c]");
/// assert_eq!(path.pointer(), "/metadata/annotations/a.b~1c");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    text: String,
    pointer: String,
}

impl FieldPath {
    /// The object itself: the empty path and the empty pointer.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The field reached from the root by these names.
    #[must_use]
    pub fn fields<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(Self::root(), |path, name| path.field(name))
    }

    /// A struct's field. A name that would read as something else in the
    /// dotted form is written in brackets, like a map's key.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        if !is_plain(name) {
            return self.key(name);
        }
        let mut next = self.with_room(name.len() + 1);
        if !next.text.is_empty() {
            next.text.push('.');
        }
        next.text.push_str(name);
        next.push_pointer(name);
        next
    }

    /// The value at a map's key, such as a label or an annotation.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut next = self.with_room(key.len() + 2);
        next.text.push('[');
        next.text.push_str(key);
        next.text.push(']');
        next.push_pointer(key);
        next
    }

    /// An element of a list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.key(&index.to_string())
    }

    /// The place named by `rest`, seen from here.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        let mut next = self.clone();
        if !next.text.is_empty() && !rest.text.is_empty() && !rest.text.starts_with('[') {
            next.text.push('.');
        }
        next.text.push_str(&rest.text);
        next.pointer.push_str(&rest.pointer);
        next
    }

    /// The JSON Pointer (RFC 6901) of this place.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The Kubernetes-style path of this place, as findings show it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same place, with room for so many bytes more: policies grow a path
    /// for every field that they look at, long before anything is found there.
    fn with_room(&self, more: usize) -> Self {
        let grown = |held: &str| {
            let mut grown = String::with_capacity(held.len() + more);
            grown.push_str(held);
            grown
        };
        Self { text: grown(&self.text), pointer: grown(&self.pointer) }
    }

    fn push_pointer(&mut self, token: &str) {
        self.pointer.push('/');
        if !token.bytes().any(|byte| matches!(byte, b'~' | b'/')) {
            self.pointer.push_str(token);
            return;
        }
        for character in token.chars() {
            match character {
                '~' => self.pointer.push_str("~0"),
                '/' => self.pointer.push_str("~1"),
                other => self.pointer.push(other),
            }
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Whether a name reads as one field in the dotted form.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_' || character == '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &FieldPath, text: &str, pointer: &str) {
        assert_eq!((path.as_str(), path.pointer()), (text, pointer));
    }

    #[test]
    fn path_and_pointer_name_the_same_place() {
        let spec = FieldPath::root().field("spec");
        check(&FieldPath::root(), "", "");
        check(
            &spec.field("containers").index(0).field("image"),
            "spec.containers[0].image",
            "/spec/containers/0/image",
        );
        check(&FieldPath::fields(["metadata", "labels"]).key("app"), "metadata.labels[app]", "/metadata/labels/app");
        check(
            &FieldPath::fields(["metadata", "annotations"]).key("a~b/c.d"),
            "metadata.annotations[a~b/c.d]",
            "/metadata/annotations/a~0b~1c.d",
        );
        check(&spec.field("f:storage-class"), "spec[f:storage-class]", "/spec/f:storage-class");
        check(&spec.field(""), "spec[]", "/spec/");
        check(&spec.join(&FieldPath::root().field("a")), "spec.a", "/spec/a");
        check(&spec.join(&FieldPath::root().index(1)), "spec[1]", "/spec/1");
        check(&FieldPath::root().join(&spec), "spec", "/spec");
    }

    #[test]
    fn a_pointer_finds_what_the_path_was_grown_through() {
        let object = serde_json::json!({"a/b": {"~": [null, {"x.y": 7}]}});
        let path = FieldPath::root().key("a/b").key("~").index(1).key("x.y");
        assert_eq!(object.pointer(path.pointer()), Some(&serde_json::json!(7)));
    }
}
