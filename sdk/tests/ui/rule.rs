//! A rule without its text.
use portcullis_sdk::Rules;

#[derive(Clone, Copy, Rules)]
enum Rule {
    #[rule(severity = "high")]
    Silent,
}

fn main() {}
