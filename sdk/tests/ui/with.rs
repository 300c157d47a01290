//! A function decides what is read.
use portcullis_sdk::View;

mod seconds {
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        serde::Deserialize::deserialize(deserializer)
    }
}

#[derive(serde::Deserialize, View)]
struct Timeout {
    #[serde(with = "seconds")]
    after: u64,
}

fn main() {}
