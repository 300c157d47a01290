//! A rule that shall have examples, and doesn't say what to do.
use portcullis_sdk::Rules;

#[derive(Clone, Copy, Rules)]
#[rules(examples)]
enum Rule {
    /// what is wrong
    ///
    /// Why.
    #[rule(severity = "high")]
    Unremedied,
}

fn main() {}
