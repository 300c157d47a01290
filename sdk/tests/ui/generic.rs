//! A generic view reads what its caller chooses.
use portcullis_sdk::View;

#[derive(serde::Deserialize, View)]
struct Wrapper<T> {
    inner: T,
}

fn main() {}
