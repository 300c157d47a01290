//! What comes out of Secrets: which views take values from them, and the values
//! that a policy was given, so that nothing of them goes on into an answer.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::contract::Description;
use crate::json::{Document, Kind, Value};
use crate::view::Tree;

/// A shorter value can't be told from ordinary text.
const MIN_SECRET_BYTES: usize = 8;
/// Whether a policy looks Secrets up, so that in a cluster the account of the
/// server needs the right to read them: RBAC can't tell names from values.
pub fn looks_up_secrets(description: &Description) -> bool {
    description.reach.lookups.iter().any(|lookup| lookup.kind == "Secret" && lookup.api_version == "v1")
}

/// Values that a policy was given from Secrets, raw and decoded.
#[derive(Debug, Default)]
pub struct SecretValues(BTreeSet<String>);

impl SecretValues {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds every value of a Secret, as it stands and decoded.
    pub fn add(&mut self, secret: Value<'_>) {
        for (field, encoded) in [("data", true), ("stringData", false)] {
            let Some(values) = secret.get(field).filter(|values| values.kind() == Kind::Object) else { continue };
            for text in values.fields().filter_map(|(_, value)| value.as_str()) {
                if encoded && let Ok(decoded) = BASE64_STANDARD.decode(text.as_bytes()) {
                    self.insert(&String::from_utf8_lossy(&decoded));
                }
                self.insert(&text);
            }
        }
    }

    /// Adds every value of objects that are given as text.
    pub fn collect<'t>(&mut self, secrets: impl Iterator<Item = &'t str>) {
        for text in secrets {
            if let Ok(document) = Document::parse(text.as_bytes()) {
                self.add(document.root());
            }
        }
    }

    fn insert(&mut self, value: &str) {
        let value = value.trim();
        if value.len() >= MIN_SECRET_BYTES {
            self.0.insert(value.to_owned());
        }
    }

    /// Whether any of them stands in a text.
    pub fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|value| text.contains(value.as_str()))
    }
}

/// Whether a view of a Secret takes values out of it.
pub fn takes_secret_values(api_version: &str, kind: &str, tree: &Tree) -> bool {
    fn has_value(tree: &Tree) -> bool {
        match tree {
            Tree::Value => true,
            Tree::Keys | Tree::Present => false,
            Tree::Fields(fields) => fields.values().any(has_value),
            Tree::Each(each) => has_value(each),
        }
    }
    let of_secret = api_version == "v1" && kind == "Secret";
    of_secret
        && match tree {
            Tree::Fields(fields) => ["data", "stringData"].iter().filter_map(|field| fields.get(*field)).any(has_value),
            tree => has_value(tree),
        }
}

/// Whether any view of a policy takes values from Secrets.
pub fn reads_secret_values(description: &Description) -> bool {
    let reads = description.reach.reads.iter().flat_map(|read| {
        [&read.object, &read.old_object].into_iter().flatten().map(|tree| (&read.api_version, &read.kind, tree))
    });
    let lookups = description.reach.lookups.iter().map(|lookup| (&lookup.api_version, &lookup.kind, &lookup.fields));
    reads.chain(lookups).any(|(api_version, kind, tree)| takes_secret_values(api_version, kind, tree))
}
