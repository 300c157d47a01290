//! One JSON object, two readers: the lens takes the fields that it owns, the
//! author's view gets the others, in one pass and without losing serde's place.
//!
//! `#[serde(flatten)]` would do, but it buffers everything and forgets where an
//! error was.

use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Error, IntoDeserializer, MapAccess};
use serde_json::Value;

/// What the lens does with a field.
pub(super) enum Taken {
    /// The author's view gets it.
    Left,
    /// It is the lens's alone.
    Kept,
    /// Both get it.
    Shared(Value),
}

/// The lens's part of an object.
pub(super) trait Own<'de> {
    /// Takes the field if it is the lens's; else leaves its value to be read.
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<Taken, A::Error>;
}

/// Reads an object for both.
pub(super) fn split<'de, O: Own<'de>, T: Deserialize<'de>, A: MapAccess<'de>>(
    own: &mut O,
    map: A,
) -> Result<T, A::Error> {
    T::deserialize(MapAccessDeserializer::new(Split { own, map, shared: None, lifetime: PhantomData }))
}

struct Split<'a, 'de, O, A> {
    own: &'a mut O,
    map: A,
    shared: Option<Value>,
    lifetime: PhantomData<&'de ()>,
}

impl<'de, O: Own<'de>, A: MapAccess<'de>> MapAccess<'de> for Split<'_, 'de, O, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.map.next_key::<String>()? {
            match self.own.take(&name, &mut self.map)? {
                Taken::Kept => continue,
                Taken::Left => {}
                Taken::Shared(value) => self.shared = Some(value),
            }
            return seed.deserialize(name.into_deserializer()).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.shared.take() {
            Some(value) => seed.deserialize(value).map_err(A::Error::custom),
            None => self.map.next_value_seed(seed),
        }
    }
}
