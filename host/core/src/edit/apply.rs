//! Edits on a text: a tree whose leaves are slices of the text (or of an edit's
//! value), taken apart only where an edit goes through.
//!
//! Work: one parse of the text, one level for each segment of an edit's path,
//! one copy at the end. A wide object is indexed once, not searched for each edit.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Edit, EditError, EditErrorReason, MAX_EDITS, Pointer};
use crate::json::{Comparison, Document, Kind, MAX_DEPTH, NumberEquality, Value, array_index, write_quoted};

/// Applies edits in order, each to the result of those before.
///
/// # Errors
/// The first edit that can't be applied. Nothing is applied then.
///
/// ```
/// use portcullis_core::edit::{apply, Edit};
///
/// let edit = Edit::Add { path: "/metadata/labels/tier".parse()?, value: r#""db""#.to_owned() };
/// let text = apply(r#"{"spec": {"n": 1.0}}"#, &[edit])?;
/// assert_eq!(text, r#"{"spec":{"n": 1.0},"metadata":{"labels":{"tier":"db"}}}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn apply(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let document = Document::parse(text.as_bytes()).map_err(|error| EditError {
        index: 0,
        path: edits.first().map(Edit::path).cloned().unwrap_or_default(),
        reason: EditErrorReason::Text(error),
    })?;
    apply_document(document.root(), edits)
}

/// As [`apply`], where the text is parsed already; also for a part of one.
///
/// # Errors
/// As [`apply`].
pub fn apply_document(value: Value<'_>, edits: &[Edit]) -> Result<String, EditError> {
    if edits.len() > MAX_EDITS {
        return Err(EditError {
            index: MAX_EDITS,
            path: edits[MAX_EDITS].path().clone(),
            reason: EditErrorReason::TooMany(edits.len()),
        });
    }
    let fault = |index: usize, reason| EditError { index, path: edits[index].path().clone(), reason };
    let mut values = Vec::with_capacity(edits.len());
    for (index, edit) in edits.iter().enumerate() {
        let value = edit.value().map(|value| Document::parse(value.as_bytes()));
        let value = value.transpose().map_err(|error| fault(index, EditErrorReason::Value(error)))?;
        values.push(value);
    }
    let mut draft = Draft::new(value);
    for (index, (edit, value)) in edits.iter().zip(&values).enumerate() {
        let value = value.as_ref().map(Document::root);
        draft.edit(edit, value).map_err(|reason| fault(index, reason))?;
    }
    Ok(draft.write())
}

/// The value as edited so far. Slots refer to each other by index, so that
/// neither a walk nor a drop recurses.
struct Draft<'d> {
    slots: Vec<Slot<'d>>,
    root: usize,
    /// Bytes of the text at the start: about as long as the result.
    length: usize,
}

enum Slot<'d> {
    /// As it is in a text.
    Raw(Value<'d>),
    Object(Box<Fields<'d>>),
    Array(Vec<usize>),
}

/// The fields of an object that was taken apart.
#[derive(Default)]
struct Fields<'d> {
    /// A field that was removed leaves a gap, so that indexes stay.
    entries: Vec<Option<(FieldKey<'d>, usize)>>,
    present: usize,
    /// Past [`FEW_FIELDS`]: where a key stands.
    by_key: Option<HashMap<Cow<'d, str>, usize>>,
}

/// A key and, where it comes from a text, how it stands there.
struct FieldKey<'d> {
    text: Cow<'d, str>,
    raw: Option<&'d str>,
}

/// Up to here an object is searched from end to end.
const FEW_FIELDS: usize = 32;

type Outcome<T> = Result<T, EditErrorReason>;

impl<'d> Draft<'d> {
    fn new(value: Value<'d>) -> Self {
        Self { slots: vec![Slot::Raw(value)], root: 0, length: value.raw().len() }
    }

    fn edit(&mut self, edit: &'d Edit, value: Option<Value<'d>>) -> Outcome<()> {
        let path = edit.path();
        if path.depth() + value.map_or(0, Value::depth) > MAX_DEPTH {
            return Err(EditErrorReason::TooDeep);
        }
        match (edit, value) {
            (Edit::Remove { .. }, _) => self.remove(path),
            (Edit::Add { .. }, Some(value)) => self.add(path, value),
            (Edit::Replace { .. }, Some(value)) => {
                let slot = self.find(path, path.depth())?;
                self.slots[slot] = Slot::Raw(value);
                Ok(())
            }
            (Edit::Test { .. }, Some(value)) => {
                let slot = self.find(path, path.depth())?;
                match self.equals(slot, value) {
                    true => Ok(()),
                    false => Err(EditErrorReason::TestFailed),
                }
            }
            // Every edit but a removal has a value.
            (_, None) => Err(EditErrorReason::Absent(path.to_string())),
        }
    }

    fn add(&mut self, path: &'d Pointer, value: Value<'d>) -> Outcome<()> {
        let Some(last) = path.segments().next_back() else {
            self.slots[self.root] = Slot::Raw(value);
            return Ok(());
        };
        let parent = self.find_or_make(path)?;
        let added = self.push(Slot::Raw(value));
        match &mut self.slots[parent] {
            Slot::Object(fields) => {
                fields.set(last, added);
                Ok(())
            }
            Slot::Array(elements) => {
                let index = match last {
                    "-" => Some(elements.len()),
                    _ => array_index(last).filter(|index| *index <= elements.len()),
                };
                match index {
                    Some(index) => {
                        elements.insert(index, added);
                        Ok(())
                    }
                    None => Err(no_index(path, elements.len())),
                }
            }
            Slot::Raw(_) => Err(EditErrorReason::Scalar(shown(path, path.depth() - 1))),
        }
    }

    fn remove(&mut self, path: &'d Pointer) -> Outcome<()> {
        let Some(last) = path.segments().next_back() else {
            return Err(EditErrorReason::Root);
        };
        let parent = self.find(path, path.depth() - 1)?;
        self.expand(parent);
        match &mut self.slots[parent] {
            Slot::Object(fields) => match fields.remove(last) {
                true => Ok(()),
                false => Err(EditErrorReason::Absent(path.to_string())),
            },
            Slot::Array(elements) => match array_index(last).filter(|index| *index < elements.len()) {
                Some(index) => {
                    elements.remove(index);
                    Ok(())
                }
                None => Err(no_index(path, elements.len())),
            },
            Slot::Raw(_) => Err(EditErrorReason::Scalar(shown(path, path.depth() - 1))),
        }
    }

    /// The slot at the first segments of a path, taken apart on the way.
    fn find(&mut self, path: &Pointer, depth: usize) -> Outcome<usize> {
        let mut slot = self.root;
        for (level, segment) in path.segments().take(depth).enumerate() {
            slot = self
                .step(slot, path, level, segment)?
                .ok_or_else(|| EditErrorReason::Absent(shown(path, level + 1)))?;
        }
        Ok(slot)
    }

    /// The parent of what a path names; objects on the way that are absent or
    /// null (which Kubernetes takes for absent) are made.
    fn find_or_make(&mut self, path: &'d Pointer) -> Outcome<usize> {
        let mut slot = self.root;
        for (level, segment) in path.segments().take(path.depth() - 1).enumerate() {
            slot = match self.step(slot, path, level, segment)? {
                Some(below) => below,
                None => {
                    let made = self.push(Slot::Object(Box::default()));
                    if let Slot::Object(fields) = &mut self.slots[slot] {
                        fields.set(segment, made);
                    }
                    made
                }
            };
            if let Slot::Raw(value) = self.slots[slot]
                && value.is_null()
            {
                self.slots[slot] = Slot::Object(Box::default());
            }
        }
        self.expand(slot);
        Ok(slot)
    }

    /// One level down; none where an object lacks the field.
    fn step(&mut self, slot: usize, path: &Pointer, level: usize, segment: &str) -> Outcome<Option<usize>> {
        self.expand(slot);
        match &self.slots[slot] {
            Slot::Object(fields) => Ok(fields.get(segment)),
            Slot::Array(elements) => array_index(segment)
                .and_then(|index| elements.get(index).copied())
                .map(Some)
                .ok_or_else(|| EditErrorReason::Index {
                    array: shown(path, level),
                    segment: segment.to_owned(),
                    length: elements.len(),
                }),
            Slot::Raw(_) => Err(EditErrorReason::Scalar(shown(path, level))),
        }
    }

    fn push(&mut self, slot: Slot<'d>) -> usize {
        self.slots.push(slot);
        self.slots.len() - 1
    }

    /// Takes a container apart, one level.
    fn expand(&mut self, slot: usize) {
        let Slot::Raw(value) = self.slots[slot] else {
            return;
        };
        let expanded = match value.kind() {
            Kind::Object => {
                let first = self.slots.len();
                let mut fields = Box::<Fields<'_>>::default();
                for (offset, (key, value)) in value.members().enumerate() {
                    self.slots.push(Slot::Raw(value));
                    fields.push(FieldKey { text: key.text(), raw: Some(key.raw()) }, first + offset);
                }
                Slot::Object(fields)
            }
            Kind::Array => {
                let first = self.slots.len();
                self.slots.extend(value.items_raw().map(Slot::Raw));
                Slot::Array((first..self.slots.len()).collect())
            }
            _ => return,
        };
        self.slots[slot] = expanded;
    }

    /// Whether a slot holds this value, as JSON has equality.
    fn equals(&self, slot: usize, value: Value<'_>) -> bool {
        let mut pending = vec![(slot, value)];
        while let Some((slot, value)) = pending.pop() {
            let equal = match &self.slots[slot] {
                Slot::Raw(own) => Comparison::new(NumberEquality::Value).equal(*own, value),
                Slot::Array(elements) => {
                    pending.extend(elements.iter().copied().zip(value.items_raw()));
                    value.kind() == Kind::Array && value.len() == elements.len()
                }
                Slot::Object(fields) => {
                    let found = value.members().try_for_each(|(key, value)| {
                        pending.push((fields.get(&key.text())?, value));
                        Some(())
                    });
                    value.kind() == Kind::Object && value.len() == fields.present && found.is_some()
                }
            };
            if !equal {
                return false;
            }
        }
        true
    }

    fn write(&self) -> String {
        enum Step<'s, 'd> {
            Slot(usize),
            Fields(std::slice::Iter<'s, Option<(FieldKey<'d>, usize)>>, bool),
            Elements(std::slice::Iter<'s, usize>, bool),
        }
        let mut output = String::with_capacity(self.length + self.length / 8);
        let mut pending = vec![Step::Slot(self.root)];
        while let Some(step) = pending.pop() {
            match step {
                Step::Slot(slot) => match &self.slots[slot] {
                    Slot::Raw(value) => output.push_str(value.raw()),
                    Slot::Object(fields) => {
                        output.push('{');
                        pending.push(Step::Fields(fields.entries.iter(), false));
                    }
                    Slot::Array(elements) => {
                        output.push('[');
                        pending.push(Step::Elements(elements.iter(), false));
                    }
                },
                Step::Fields(mut entries, started) => match entries.find_map(Option::as_ref) {
                    Some((key, slot)) => {
                        if started {
                            output.push(',');
                        }
                        match key.raw {
                            Some(raw) => output.push_str(raw),
                            None => write_quoted(&mut output, &key.text),
                        }
                        output.push(':');
                        pending.extend([Step::Fields(entries, true), Step::Slot(*slot)]);
                    }
                    None => output.push('}'),
                },
                Step::Elements(mut elements, started) => match elements.next() {
                    Some(slot) => {
                        if started {
                            output.push(',');
                        }
                        pending.extend([Step::Elements(elements, true), Step::Slot(*slot)]);
                    }
                    None => output.push(']'),
                },
            }
        }
        output
    }
}

impl<'d> Fields<'d> {
    fn position(&self, key: &str) -> Option<usize> {
        match &self.by_key {
            Some(by_key) => by_key.get(key).copied(),
            None => self.entries.iter().position(|entry| entry.as_ref().is_some_and(|(own, _)| own.text == key)),
        }
    }

    fn get(&self, key: &str) -> Option<usize> {
        self.entries[self.position(key)?].as_ref().map(|(_, slot)| *slot)
    }

    fn set(&mut self, key: &'d str, slot: usize) {
        let held = self.position(key).and_then(|position| self.entries[position].as_mut());
        match held {
            Some((_, held)) => *held = slot,
            None => self.push(FieldKey { text: Cow::Borrowed(key), raw: None }, slot),
        }
    }

    /// Appends a key that isn't there.
    fn push(&mut self, key: FieldKey<'d>, slot: usize) {
        if let Some(by_key) = &mut self.by_key {
            by_key.insert(key.text.clone(), self.entries.len());
        }
        self.entries.push(Some((key, slot)));
        self.present += 1;
        if self.by_key.is_none() && self.entries.len() > FEW_FIELDS {
            let positions = self.entries.iter().enumerate();
            let by_key =
                positions.filter_map(|(position, entry)| Some((entry.as_ref()?.0.text.clone(), position))).collect();
            self.by_key = Some(by_key);
        }
    }

    /// Whether it was there.
    fn remove(&mut self, key: &str) -> bool {
        let Some(position) = self.position(key) else {
            return false;
        };
        if let Some(by_key) = &mut self.by_key {
            by_key.remove(key);
        }
        self.entries[position] = None;
        self.present -= 1;
        true
    }
}

/// The first segments of a path, as an error shows them.
fn shown(path: &Pointer, depth: usize) -> String {
    Pointer::new(path.segments().take(depth)).to_string()
}

fn no_index(path: &Pointer, length: usize) -> EditErrorReason {
    EditErrorReason::Index {
        array: shown(path, path.depth() - 1),
        segment: path.segments().next_back().unwrap_or_default().to_owned(),
        length,
    }
}
