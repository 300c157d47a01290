//! A rule that shall have examples, and has none.
use portcullis_sdk::Rules;

#[derive(Clone, Copy, Rules)]
#[rules(examples)]
enum Rule {
    /// what is wrong
    ///
    /// Why.
    ///
    /// What to do.
    #[rule(severity = "high")]
    Unseen,
}

fn main() {}
