//! Whether two values are one, without recursion and without going through an
//! object once for each of its keys.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Key, Kind, Members, Value, number};

/// How numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberEquality {
    /// `1` is `1.0`.
    Value,
    /// `1` isn't `1.0`: a patch between the two must say so.
    Token,
}

/// A comparison of values, with a bound on its work where the caller compares
/// parts of one text again and again.
pub(crate) struct Comparison {
    numbers: NumberEquality,
    /// Pairs of values that may still be looked at; past it everything differs.
    pub(crate) left: usize,
}

/// Objects of up to this many fields are searched from end to end.
const FEW_FIELDS: usize = 16;

impl Comparison {
    pub(crate) fn new(numbers: NumberEquality) -> Self {
        Self::within(numbers, usize::MAX)
    }

    /// With a bound on the pairs that are looked at.
    pub(crate) fn within(numbers: NumberEquality, pairs: usize) -> Self {
        Self { numbers, left: pairs }
    }

    pub(crate) fn equal(&mut self, left: Value<'_>, right: Value<'_>) -> bool {
        if left.raw() == right.raw() {
            return true;
        }
        let mut pending = vec![(left, right)];
        while let Some((left, right)) = pending.pop() {
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
            let kind = left.kind();
            if kind != right.kind() || left.len() != right.len() {
                return false;
            }
            match kind {
                Kind::Array => pending.extend(left.items_raw().zip(right.items_raw())),
                Kind::Object => {
                    let mut fields = FieldFinder::new(right);
                    for (key, value) in left.members() {
                        match fields.find(key) {
                            Some(other) => pending.push((value, other)),
                            None => return false,
                        }
                    }
                }
                _ => {
                    if !self.equal_scalars(left, right) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// For two values of one kind, neither of them a container.
    pub(crate) fn equal_scalars(&self, left: Value<'_>, right: Value<'_>) -> bool {
        match left.kind() {
            Kind::Number if self.numbers == NumberEquality::Value => number::equal(left.raw(), right.raw()),
            Kind::String => {
                left.raw() == right.raw()
                    || (left.node().is_escaped() || right.node().is_escaped()) && left.as_str() == right.as_str()
            }
            _ => left.raw() == right.raw(),
        }
    }
}

/// Finds the fields of an object by keys that mostly come in the object's own order.
pub(crate) struct FieldFinder<'d> {
    object: Value<'d>,
    expected: Members<'d>,
    by_key: Option<HashMap<Cow<'d, str>, Value<'d>>>,
}

impl<'d> FieldFinder<'d> {
    pub(crate) fn new(object: Value<'d>) -> Self {
        Self { object, expected: object.members(), by_key: None }
    }

    pub(crate) fn find(&mut self, key: Key<'_>) -> Option<Value<'d>> {
        let mut ahead = self.expected.clone();
        if let Some((name, value)) = ahead.next()
            && name.same(key)
        {
            self.expected = ahead;
            return Some(value);
        }
        if self.object.len() <= FEW_FIELDS {
            return self.object.members().find_map(|(name, value)| name.same(key).then_some(value));
        }
        self.by_key.get_or_insert_with(|| self.object.fields().collect()).get(&key.text()).copied()
    }
}
