//! What is read is decided by another type.
use portcullis_sdk::View;

#[derive(serde::Deserialize, View)]
#[serde(from = "String")]
struct Name {
    text: String,
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self { text }
    }
}

fn main() {}
