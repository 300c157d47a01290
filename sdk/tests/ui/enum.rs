//! An enum reads what it finds.
use portcullis_sdk::View;

#[derive(serde::Deserialize, View)]
enum Port {
    Number(u16),
    Name(String),
}

fn main() {}
