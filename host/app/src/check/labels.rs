//! Labels of namespaces, as a flag names them: `team=a,env=test` for every
//! namespace of the input, `shop:team=a,env=test` for the namespace `shop`.
//! Namespaces can't hold a colon, and neither can labels.

/// Characters that a label's name and value may have.
const MAX_LABEL_LENGTH: usize = 63;
/// Characters that the prefix of a label's key may have.
const MAX_PREFIX_LENGTH: usize = 253;

/// A label of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceLabel {
    /// None: every namespace of the input.
    pub namespace: Option<String>,
    /// `team`, `example.com/team`.
    pub key: String,
    /// May be empty.
    pub value: String,
}

impl NamespaceLabel {
    /// Reads `[NAMESPACE:]KEY=VALUE[,KEY=VALUE…]`.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn parse(text: &str) -> Result<Vec<NamespaceLabel>, String> {
        let (namespace, labels) = match text.split_once(':') {
            Some((namespace, labels)) => (Some(namespace), labels),
            None => (None, text),
        };
        if let Some(namespace) = namespace.filter(|namespace| !is_namespace(namespace)) {
            return Err(format!(
                "{namespace:?} is no name of a namespace: lower-case letters, digits and `-`, at most 63"
            ));
        }
        let labels = labels.split(',').map(|label| {
            let (key, value) =
                label.split_once('=').ok_or_else(|| format!("{label:?} is no label; write KEY=VALUE, or NAMESPACE:KEY=VALUE"))?;
            if !is_key(key) {
                return Err(format!("{key:?} is no key of a label; write it as `team` or `example.com/team`"));
            }
            if !value.is_empty() && !is_part(value) {
                return Err(format!(
                    "{value:?} is no value of a label: letters, digits, `-`, `_` and `.`, at most {MAX_LABEL_LENGTH}, beginning and ending with a letter or digit"
                ));
            }
            Ok(NamespaceLabel { namespace: namespace.map(str::to_owned), key: key.to_owned(), value: value.to_owned() })
        });
        labels.collect()
    }

    /// Whether the namespace has it.
    pub fn is_of(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|named| named == namespace)
    }
}

fn is_namespace(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_LABEL_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| plain(byte) || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => {
            prefix.len() <= MAX_PREFIX_LENGTH && prefix.split('.').all(is_namespace) && is_part(name)
        }
        None => is_part(text),
    }
}

fn is_part(text: &str) -> bool {
    let ends = |letter: char| letter.is_ascii_alphanumeric();
    (1..=MAX_LABEL_LENGTH).contains(&text.len())
        && text.chars().all(|letter| ends(letter) || matches!(letter, '-' | '_' | '.'))
        && text.starts_with(ends)
        && text.ends_with(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_for_one_namespace_or_for_all() {
        let label = |namespace: Option<&str>, key: &str, value: &str| NamespaceLabel {
            namespace: namespace.map(Into::into),
            key: key.into(),
            value: value.into(),
        };
        assert_eq!(
            NamespaceLabel::parse("a=b,example.com/c="),
            Ok(vec![label(None, "a", "b"), label(None, "example.com/c", "")])
        );
        assert_eq!(NamespaceLabel::parse("shop:a=b"), Ok(vec![label(Some("shop"), "a", "b")]));
    }

    #[test]
    fn what_is_no_label_is_refused_with_what_would_be_right() {
        for (text, expected) in [
            ("", "\"\" is no label; write KEY=VALUE, or NAMESPACE:KEY=VALUE"),
            ("a", "\"a\" is no label"),
            ("a=b,", "\"\" is no label"),
            ("=b", "\"\" is no key"),
            ("a b=c", "\"a b\" is no key"),
            ("/a=c", "\"/a\" is no key"),
            ("a=b c", "\"b c\" is no value"),
            ("a=-", "\"-\" is no value"),
            ("Shop:a=b", "\"Shop\" is no name of a namespace"),
            (":a=b", "\"\" is no name of a namespace"),
        ] {
            let error = NamespaceLabel::parse(text).expect_err(text);
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
