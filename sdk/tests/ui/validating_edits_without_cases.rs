//! A finding can only name a declared rule, and a validating policy can't edit.
use portcullis_sdk::*;

struct Policy1;

impl Policy for Policy1 {
    type Settings = NoSettings;
    type Rule = NoRules;
    type Phase = Validating;
    type Object = Unread;
    type OldObject = Unread;
    const NAME: &'static str = "one";
    const VERSION: &'static str = "0.1.0";
    const TITLE: &'static str = "one";
    fn reach(_: &NoSettings) -> Reach {
        Reach::of::<Self>(&[Operation::Create])
    }
    fn samples() -> Vec<Sample> {
        Vec::new()
    }
    fn review(_: &NoSettings, _: &Request<Self>, _: &Host, review: &mut Review<Self>) {
        review.remove(&FieldPath::root());
    }
}

fn main() {}
