//! A field whose type is no view.
use portcullis_sdk::View;

struct Other;

#[derive(View)]
struct Outer {
    other: Other,
}

fn main() {}
