//! The objects of one kind in memory: what is kept of each as JSON text, found by
//! name, by label, and by the keys that policies look up by.
//!
//! Pure and synchronous; who watches fills it, who looks up reads it. Lists are
//! in the order of namespaces and names, so that replicas give the same answers.
//!
//! Invariants: every index names exactly the objects that hold the value; the
//! texts of one object and its index entries change together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use portcullis_core::cluster::{Listing, Query};
use portcullis_core::json::{Document, Kind, Value, write_quoted};
use portcullis_core::objects::{key_values, labels};
use portcullis_core::policy::{LabelOperator, LabelSelector};
use portcullis_core::selector::Labels;
use portcullis_core::view::{Tree, project_into};

use super::wanted::Wanted;

/// Objects of one kind that are kept, at most: of more, a look-up that doesn't
/// find its object here asks the API server, and a list isn't complete.
pub(super) const MAX_OBJECTS: usize = 250_000;
/// What every object is known by, whatever its view names.
const ALWAYS: &[&[&str]] =
    &[&["metadata", "name"], &["metadata", "namespace"], &["metadata", "labels"], &["metadata", "uid"]];

/// The objects of one kind.
#[derive(Debug)]
pub(super) struct Store {
    shape: Arc<Shape>,
    /// By namespace (empty for none), then name.
    names: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Slot>>,
    slots: Vec<Option<Stored>>,
    free: Vec<Slot>,
    labels: HashMap<Arc<str>, HashMap<Arc<str>, Vec<Slot>>>,
    /// One index a declared key.
    keys: Vec<HashMap<Arc<str>, Vec<Slot>>>,
    /// Objects that can't be read, with the reason.
    unreadable: BTreeMap<(String, String), String>,
    bytes: usize,
    overflowed: bool,
}

type Slot = u32;

/// What is kept of an object of this kind.
#[derive(Debug)]
pub(super) struct Shape {
    api_version: String,
    kind: String,
    fields: Tree,
    keys: Vec<String>,
}

#[derive(Debug)]
struct Stored {
    namespace: Arc<str>,
    name: Arc<str>,
    text: Arc<str>,
    labels: Box<[(Arc<str>, Arc<str>)]>,
    /// Index of the key, and a value of it.
    keys: Box<[(u32, Arc<str>)]>,
}

/// An object, read and ready to be kept: what takes time is done before the
/// store is locked.
#[derive(Debug)]
pub(super) struct Prepared(Result<Parts, String>);

#[derive(Debug)]
struct Parts {
    text: String,
    labels: Labels,
    keys: Vec<(u32, String)>,
}

/// Whose object an answer of the API server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Empty for a cluster-scoped kind.
    pub(super) namespace: String,
    pub(super) name: String,
}

/// What memory says of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// This is kept of it.
    Found(Arc<str>),
    /// It isn't here.
    Missing,
    /// It is there and can't be read.
    Unreadable(String),
}

impl Shape {
    pub(super) fn of(wanted: &Wanted) -> Shape {
        Shape {
            api_version: wanted.api_version.clone(),
            kind: wanted.kind.clone(),
            fields: wanted.fields.superset(&Tree::of_paths(ALWAYS)),
            keys: wanted.keys.clone(),
        }
    }

    /// What is kept of an object as the API server sends it: the items of its
    /// lists name neither version nor kind, and field ownership is kept of none
    /// unless a view names it.
    ///
    /// # Errors
    /// Why the text can't be read.
    pub(super) fn keep(&self, object: &str) -> Result<String, String> {
        Ok(self.kept(read(object)?.root()))
    }

    /// The same, with all that the store's indexes need.
    pub(super) fn prepare(&self, object: &str) -> Prepared {
        let parts = |document: Document<'_>| Parts {
            text: self.kept(document.root()),
            labels: labels(document.root()),
            keys: self.key_values(document.root()),
        };
        Prepared(read(object).map(parts))
    }

    /// Each value that a key reaches, once.
    fn key_values(&self, object: Value<'_>) -> Vec<(u32, String)> {
        let mut values: Vec<(u32, String)> = Vec::new();
        for (number, key) in (0..).zip(&self.keys) {
            key_values(object, key, &mut |value| {
                if !values.iter().any(|(other, known)| *other == number && known == value) {
                    values.push((number, value.to_owned()));
                }
            });
        }
        values
    }

    fn kept(&self, object: Value<'_>) -> String {
        let mut text = String::from(r#"{"apiVersion":"#);
        write_quoted(&mut text, &self.api_version);
        text.push_str(r#","kind":"#);
        write_quoted(&mut text, &self.kind);
        for (field, value) in object.fields() {
            let Some(tree) = self.fields.get(&field).filter(|_| field != "apiVersion" && field != "kind") else {
                continue;
            };
            text.push(',');
            write_quoted(&mut text, &field);
            text.push(':');
            if field == "metadata" && *tree == Tree::Value && value.kind() == Kind::Object {
                write_without_ownership(&mut text, value);
            } else {
                project_into(&mut text, value, tree);
            }
        }
        text.push('}');
        text
    }
}

fn read(object: &str) -> Result<Document<'_>, String> {
    Document::parse(object.as_bytes()).map_err(|error| format!("it can't be read: {error}"))
}

fn write_without_ownership(text: &mut String, metadata: Value<'_>) {
    text.push('{');
    let fields = metadata.fields().filter(|(field, _)| field != "managedFields");
    for (index, (field, value)) in fields.enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_quoted(text, &field);
        text.push(':');
        text.push_str(value.raw());
    }
    text.push('}');
}

impl Store {
    pub(super) fn new(shape: Arc<Shape>) -> Store {
        Store {
            names: BTreeMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            labels: HashMap::new(),
            keys: shape.keys.iter().map(|_| HashMap::new()).collect(),
            unreadable: BTreeMap::new(),
            bytes: 0,
            overflowed: false,
            shape,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Bytes of the texts that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes an object in the place of the one of its name.
    pub(super) fn put(&mut self, named: &Named, object: Prepared) {
        self.put_sharing(named, object, None);
    }

    /// The same; a text that `before` holds already is shared with it, so that
    /// reading all objects anew doesn't keep each twice.
    pub(super) fn put_sharing(&mut self, named: &Named, object: Prepared, before: Option<&Store>) {
        self.remove(named);
        let parts = match object.0 {
            Ok(parts) => parts,
            Err(reason) => {
                self.unreadable.insert((named.namespace.clone(), named.name.clone()), reason);
                return;
            }
        };
        if self.len() >= MAX_OBJECTS {
            self.overflowed = true;
            return;
        }
        let text = match before.map(|before| before.find(&named.namespace, &named.name)) {
            Some(Held::Found(held)) if *held == *parts.text => held,
            _ => parts.text.into(),
        };
        let slot = self.free.pop().unwrap_or(self.slots.len() as Slot);
        let namespace = self.names.get_key_value(named.namespace.as_str()).map(|(namespace, _)| namespace.clone());
        let stored = Stored {
            labels: parts.labels.iter().map(|(key, value)| self.index_label(key, value, slot)).collect(),
            keys: parts
                .keys
                .iter()
                .map(|(number, value)| (*number, index(&mut self.keys[*number as usize], value, slot)))
                .collect(),
            namespace: namespace.unwrap_or_else(|| named.namespace.as_str().into()),
            name: named.name.as_str().into(),
            text,
        };
        self.bytes += stored.text.len();
        self.names.entry(stored.namespace.clone()).or_default().insert(stored.name.clone(), slot);
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = Some(stored),
            None => self.slots.push(Some(stored)),
        }
    }

    fn index_label(&mut self, key: &str, value: &str, slot: Slot) -> (Arc<str>, Arc<str>) {
        let key: Arc<str> = self.labels.get_key_value(key).map_or_else(|| key.into(), |(key, _)| key.clone());
        let values = self.labels.entry(key.clone()).or_default();
        (key, index(values, value, slot))
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, named: &Named) {
        if !self.unreadable.is_empty() {
            self.unreadable.remove(&(named.namespace.clone(), named.name.clone()));
        }
        let Some(in_namespace) = self.names.get_mut(named.namespace.as_str()) else { return };
        let Some(slot) = in_namespace.remove(named.name.as_str()) else { return };
        if in_namespace.is_empty() {
            self.names.remove(named.namespace.as_str());
        }
        let Some(stored) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        self.free.push(slot);
        self.bytes -= stored.text.len();
        for (key, value) in stored.labels {
            if let Some(values) = self.labels.get_mut(&key) {
                unindex(values, &value, slot);
                if values.is_empty() {
                    self.labels.remove(&key);
                }
            }
        }
        for (number, value) in stored.keys {
            if let Some(values) = self.keys.get_mut(number as usize) {
                unindex(values, &value, slot);
            }
        }
    }

    /// One object; `namespace` is empty for a cluster-scoped kind.
    pub(super) fn find(&self, namespace: &str, name: &str) -> Held {
        let slot = self.names.get(namespace).and_then(|names| names.get(name));
        if let Some(stored) = slot.and_then(|slot| self.stored(*slot)) {
            return Held::Found(stored.text.clone());
        }
        if !self.unreadable.is_empty()
            && let Some(reason) = self.unreadable.get(&(namespace.to_owned(), name.to_owned()))
        {
            return Held::Unreadable(reason.clone());
        }
        Held::Missing
    }

    /// The objects that a query asks for.
    pub(super) fn select(&self, query: &Query) -> Listing {
        let selector = match query.label_selector.as_deref().map(LabelSelector::parse).transpose() {
            Ok(selector) => selector.unwrap_or_default(),
            Err(error) => return Listing { items: Vec::new(), incomplete: Some(error.to_string()) },
        };
        let candidates = match self.narrowed(query, &selector) {
            Ok(candidates) => candidates,
            Err(reason) => return Listing { items: Vec::new(), incomplete: Some(reason) },
        };
        let matches = |stored: &&Stored| {
            query.namespace.as_deref().is_none_or(|namespace| *stored.namespace == *namespace)
                && selector.matches_by(|key| stored.label(key))
        };
        let (items, cut) = match candidates {
            Some(slots) => {
                let mut found: Vec<&Stored> =
                    slots.iter().filter_map(|slot| self.stored(*slot)).filter(matches).collect();
                found.sort_unstable_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
                taken(found.into_iter(), query.limit)
            }
            None => taken(self.in_order(query.namespace.as_deref()).filter(matches), query.limit),
        };
        Listing { items, incomplete: self.not_kept(query.namespace.as_deref()).or(cut) }
    }

    /// The objects among which a query's are, by its key or else the rarest of the labels
    /// that it names; None: all.
    fn narrowed(&self, query: &Query, selector: &LabelSelector) -> Result<Option<&[Slot]>, String> {
        if let Some((key, value)) = &query.key {
            let Some(number) = self.shape.keys.iter().position(|known| known == key) else {
                return Err(format!("no policy in use looks up {} by {key}", query.kind));
            };
            return Ok(Some(self.keys[number].get(value.as_str()).map_or(&[], Vec::as_slice)));
        }
        let with = |key: &str, value: &str| {
            self.labels.get(key).and_then(|values| values.get(value)).map_or(&[][..], Vec::as_slice)
        };
        let exact = selector.match_labels.iter().map(|(key, value)| with(key, value));
        let listed = selector
            .match_expressions
            .iter()
            .filter(|requirement| requirement.operator == LabelOperator::In && requirement.values.len() == 1)
            .map(|requirement| with(&requirement.key, &requirement.values[0]));
        Ok(exact.chain(listed).min_by_key(|slots| slots.len()))
    }

    fn in_order<'a>(&'a self, namespace: Option<&str>) -> Box<dyn Iterator<Item = &'a Stored> + 'a> {
        let of = |names: &'a BTreeMap<Arc<str>, Slot>| names.values().filter_map(|slot| self.stored(*slot));
        match namespace {
            Some(namespace) => Box::new(self.names.get(namespace).into_iter().flat_map(of)),
            None => Box::new(self.names.values().flat_map(of)),
        }
    }

    fn stored(&self, slot: Slot) -> Option<&Stored> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// Why a list isn't all there is.
    fn not_kept(&self, namespace: Option<&str>) -> Option<String> {
        if self.overflowed {
            return Some(format!("there are more than the {MAX_OBJECTS} that are kept in memory"));
        }
        let of = |(of, _): &&(String, String)| namespace.is_none_or(|namespace| of == namespace);
        let ((namespace, name), reason) = self.unreadable.iter().find(|(named, _)| of(named))?;
        Some(format!("{} {namespace}/{name}: {reason}", self.shape.kind))
    }
}

impl Stored {
    fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(held, _)| **held == *key).map(|(_, value)| &**value)
    }
}

/// Enters an object under a value; gives the value as the index holds it.
fn index(values: &mut HashMap<Arc<str>, Vec<Slot>>, value: &str, slot: Slot) -> Arc<str> {
    let value: Arc<str> = values.get_key_value(value).map_or_else(|| value.into(), |(value, _)| value.clone());
    values.entry(value.clone()).or_default().push(slot);
    value
}

fn unindex(values: &mut HashMap<Arc<str>, Vec<Slot>>, value: &Arc<str>, slot: Slot) {
    let Some(slots) = values.get_mut(value) else { return };
    if let Some(place) = slots.iter().position(|held| *held == slot) {
        slots.swap_remove(place);
    }
    if slots.is_empty() {
        values.remove(value);
    }
}

/// The first of them, and whether there are more.
fn taken<'a>(mut found: impl Iterator<Item = &'a Stored>, limit: usize) -> (Vec<Arc<str>>, Option<String>) {
    let items = found.by_ref().take(limit).map(|stored| stored.text.clone()).collect();
    (items, found.next().map(|_| format!("there are more than {limit}")))
}

#[cfg(test)]
mod tests;
