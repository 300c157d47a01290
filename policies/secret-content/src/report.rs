//! The one way from what was found to a finding: nothing that a Secret holds
//! gets through.
//!
//! The host hides findings that repeat a value, but only from 8 bytes on and
//! without saying which key it was. Here 4 bytes are enough, and a key whose
//! name can't be shown (`password: password`) is named by its place among the
//! sorted keys, so that the finding still says where, and is still the same
//! finding when it is judged again.

use std::collections::BTreeSet;

use portcullis_certificates::decode_base64;
use portcullis_sdk::{FieldPath, Level, Review, Rules as _};

use crate::SecretContent;
use crate::entries;
use crate::rules::Rule;
use crate::values::{Value, Values};
use crate::views::Secret;

/// A shorter value can't be told from ordinary text.
const MIN_HIDDEN_BYTES: usize = 4;

/// Of a longer file the lines further down aren't hidden one by one, only the file as a whole.
const MOST_LINES: usize = 1000;
/// What is said where the value is a word of the rule's own title.
const UNSAID: &str = "…";

/// Where findings go.
pub(crate) struct Report<'a> {
    review: &'a mut Review<SecretContent>,
    hidden: BTreeSet<String>,
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
        let mut hidden = BTreeSet::new();
        let mut hide = |text: &str| {
            for part in std::iter::once(text).chain(text.lines().take(MOST_LINES)).map(str::trim) {
                if part.len() >= MIN_HIDDEN_BYTES {
                    hidden.insert(part.to_owned());
                }
            }
        };
        for field in [&secret.data, &secret.string_data] {
            scalars(field, &mut |written| {
                hide(written);
                hide(
                    &decode_base64(written)
                        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                        .unwrap_or_default(),
                );
            });
        }
        for text in values.0.values().filter_map(Value::text) {
            entries::entries(text).iter().for_each(|entry| hide(&entry.value));
            entries::url_passwords(text).into_iter().for_each(&mut hide);
        }
        Self { review, hidden, keys: values.0.keys().cloned().collect(), is_immutable: secret.immutable }
    }

    /// Hides something more that was read out of a value.
    pub(crate) fn hide(&mut self, text: &str) {
        if text.len() >= MIN_HIDDEN_BYTES {
            self.hidden.insert(text.to_owned());
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
        let message = [format!("{name} {message}"), rule.declaration().title.to_owned()]
            .into_iter()
            .find(|text| !self.shows(text))
            .unwrap_or_else(|| UNSAID.to_owned());
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
            About::Field(field, path) if !self.shows(field) && !self.shows(path.as_str()) => {
                (field.to_owned(), path.clone(), format!("the Secret's {field}"))
            }
            About::Field(..) => ("#".to_owned(), FieldPath::root(), "it".to_owned()),
            About::Key(key) => {
                let path =
                    values.0.get(key).map_or_else(|| FieldPath::root().field("data"), |value| value.path.clone());
                let subject = format!("key={key}");
                if !self.shows(path.as_str()) && !self.shows(&subject) {
                    return (subject, path, format!("`{key}`"));
                }
                let place = self.keys.iter().position(|known| known == key).map_or(0, |index| index + 1);
                let data = FieldPath::root().field("data");
                let path = if self.shows(data.as_str()) { FieldPath::root() } else { data };
                // Shorter than what is hidden, but for a Secret of hundreds of keys.
                let name = match self.keys.len() {
                    1 => "its only key".to_owned(),
                    _ => format!("the key that sorts as number {place}"),
                };
                (format!("#{place}"), path, name)
            }
        }
    }

    fn shows(&self, text: &str) -> bool {
        self.hidden.iter().any(|hidden| text.contains(hidden.as_str()))
    }
}

/// Every scalar of a value, as it is written; what is true or false hides nothing.
fn scalars(value: &serde_json::Value, take: &mut impl FnMut(&str)) {
    match value {
        serde_json::Value::Object(members) => members.values().for_each(|member| scalars(member, take)),
        serde_json::Value::Array(elements) => elements.iter().for_each(|element| scalars(element, take)),
        serde_json::Value::String(text) => take(text),
        serde_json::Value::Number(number) => take(&number.to_string()),
        serde_json::Value::Bool(_) | serde_json::Value::Null => {}
    }
}
