//! The one way from what was found to a finding: nothing that a Secret holds
//! gets through.
//!
//! The host hides findings that repeat a value, but only from 8 bytes on and
//! without saying which key it was. Here 4 bytes are enough, and a key whose
//! name can't be shown (`password: password`) is named by its place among the
//! sorted keys, so that the finding still says where, and is still the same
//! finding when it is judged again.

use portcullis_sdk::{FieldPath, Level, Review, Rules as _};

use crate::SecretContent;
use crate::entries;
use crate::rules::Rule;
use crate::values::Values;
use crate::views::Secret;

/// A shorter value can't be told from ordinary text.
const MIN_HIDDEN_BYTES: usize = 4;

/// Where findings go.
pub(crate) struct Report<'a> {
    review: &'a mut Review<SecretContent>,
    hidden: Vec<String>,
    /// All keys in order, for those that can't be named.
    keys: Vec<String>,
    /// What to add to a fix, because the Secret can't be changed.
    is_immutable: bool,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'t> {
    /// The value of a key.
    Key(&'t str),
    /// Something else of the Secret: its type, its name, an annotation.
    Field(&'t str, &'t FieldPath),
}

impl<'a> Report<'a> {
    pub(crate) fn new(review: &'a mut Review<SecretContent>, secret: &Secret, values: &Values) -> Self {
        let mut hidden = Vec::new();
        let mut hide = |text: &str| {
            let text = text.trim();
            if text.len() >= MIN_HIDDEN_BYTES && !hidden.iter().any(|known| known == text) {
                hidden.push(text.to_owned());
            }
        };
        for value in values.0.values() {
            hide(&value.written);
            if let Some(text) = value.text() {
                hide(text);
                entries::entries(text).iter().for_each(|entry| hide(&entry.value));
                entries::url_passwords(text).into_iter().for_each(&mut hide);
            }
        }
        // What stringData replaces was a value too.
        secret.data.values().for_each(|written| hide(written));
        Self { review, hidden, keys: values.0.keys().cloned().collect(), is_immutable: secret.immutable }
    }

    /// Hides something more that was read out of a value.
    pub(crate) fn hide(&mut self, text: &str) {
        if text.len() >= MIN_HIDDEN_BYTES {
            self.hidden.push(text.to_owned());
        }
    }

    /// Reports. `message` says what is wrong with the value as what follows "`key` …".
    pub(crate) fn say(
        &mut self,
        level: Level,
        rule: Rule,
        about: About<'_>,
        values: &Values,
        message: &str,
        fix: &str,
    ) {
        let (subject, path, name) = self.place(about, values);
        let mut message = format!("{name} {message}");
        if self.shows(&message) {
            rule.declaration().title.clone_into(&mut message);
        }
        let fix = if self.is_immutable {
            format!("{fix}; the Secret is immutable, so delete it and make it anew")
        } else {
            fix.to_owned()
        };
        let shows_fix = self.shows(&fix);
        let finding = self.review.find(rule, level, message).at(&path).subject(subject);
        if !shows_fix {
            finding.fix(fix);
        }
    }

    /// The subject, the path, and what the message begins with.
    fn place(&self, about: About<'_>, values: &Values) -> (String, FieldPath, String) {
        match about {
            About::Field(field, path) => (field.to_owned(), path.clone(), format!("the Secret's {field}")),
            About::Key(key) => {
                let path =
                    values.0.get(key).map_or_else(|| FieldPath::root().field("data"), |value| value.path.clone());
                if !self.shows(path.as_str()) {
                    return (format!("key={key}"), path, format!("`{key}`"));
                }
                let place = self.keys.iter().position(|known| known == key).map_or(0, |index| index + 1);
                (
                    format!("key=#{place}"),
                    FieldPath::root().field("data"),
                    format!("the key that sorts as number {place}"),
                )
            }
        }
    }

    fn shows(&self, text: &str) -> bool {
        self.hidden.iter().any(|hidden| text.contains(hidden.as_str()))
    }
}
