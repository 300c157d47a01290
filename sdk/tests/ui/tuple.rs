//! A tuple struct has no names.
use portcullis_sdk::View;

#[derive(serde::Deserialize, View)]
struct Pair(String, String);

fn main() {}
