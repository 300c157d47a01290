//! Whether a value is what its name says: a secret in plain text, or a
//! reference, a path, a switch, a placeholder.
//!
//! Invariant: what is returned never holds any part of the value.

use crate::names::{Noun, words};

/// What a value is, where its name says that it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plain {
    /// Something stands where a secret will be put: a reader was meant to replace it.
    Placeholder,
    /// The secret itself.
    Secret,
}

/// Where a value stands: what expands there isn't the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A variable or an argument, in which Kubernetes expands `$(NAME)`.
    Field,
    /// A shell script, in which `$NAME` expands anywhere.
    Script,
    /// A line of a configuration file.
    File,
}

/// Words that switch something, and words for nothing.
const SWITCHES: [&str; 24] = [
    "0", "1", "any", "auto", "bool", "boolean", "disabled", "enabled", "f", "false", "n", "never", "nil", "no", "none",
    "null", "off", "on", "optional", "required", "t", "true", "y", "yes",
];
/// Words for the type of a value, in schemas and code.
const TYPES: [&str; 8] = ["binary", "bytes", "int", "integer", "object", "str", "string", "varchar"];
/// Ends of names of files that hold secrets.
const FILES: [&str; 9] = ["crt", "jks", "json", "key", "p12", "pem", "txt", "yaml", "yml"];
/// How tools name a secret that they fetch from elsewhere.
const REFERENCES: [&str; 26] = [
    "$__",
    "%(",
    "@Microsoft.KeyVault",
    "AWSSM",
    "ENC(",
    "ENC[",
    "arn:aws:",
    "awssm:",
    "awsssm:",
    "azurekeyvault:",
    "env.",
    "env:",
    "file:",
    "gcpsm:",
    "k8s:",
    "op://",
    "process.env",
    "projects/",
    "ref+",
    "secret:",
    "secretref",
    "sm://",
    "ssm:",
    "vault:",
    "{cipher}",
    "{vault}",
];
/// Upper-case words that ask a reader to put something there.
const PLACEHOLDERS: [&str; 9] =
    ["CHANGEME", "CHANGE_ME", "FIXME", "INSERT", "PLACEHOLDER", "REDACTED", "REPLACE", "TODO", "YOUR"];
/// The same in any case, as a whole.
const WHOLE_PLACEHOLDERS: [&str; 6] = ["placeholder", "redacted", "replace-me", "replace_me", "replaceme", "tbd"];
/// What a Secret's name ends in.
const OBJECT_ENDS: [&str; 8] = ["auth", "cert", "certs", "credentials", "creds", "secret", "secrets", "tls"];
/// Usual keys of a Secret.
const OBJECT_KEYS: [&str; 9] =
    ["accesskey", "ca.crt", "key", "password", "secret-key", "secretkey", "tls.key", "token", "username"];

/// Judges the value of something that is secret by its name.
pub(crate) fn judge(noun: Noun, value: &str, place: Place) -> Option<Plain> {
    let value = unquote(value);
    // `PASSWORD='',` of SQL in a here document: the quotes are gone, the comma is left.
    let value = if place == Place::Script { value.trim_end_matches([',', ';', ')']) } else { value };
    let lower = value.to_ascii_lowercase();
    if value.is_empty() || is_reference(value, place) || SWITCHES.contains(&lower.as_str()) || is_path(value) {
        return None;
    }
    if is_placeholder(value) {
        return Some(Plain::Placeholder);
    }
    if value.contains("://") || place == Place::File && (TYPES.contains(&lower.as_str()) || is_label(value)) {
        return None;
    }
    let digits = value.bytes().all(|letter| letter.is_ascii_digit());
    let is_secret = match noun {
        Noun::Password => !digits || value.len() > 2,
        Noun::Token => !is_number(value) && !is_duration(&lower) && !is_kind_of_token(&lower),
        Noun::Key => (!digits || value.len() > 7) && !OBJECT_KEYS.contains(&lower.as_str()),
        Noun::Secret | Noun::Credentials => !is_number(value) && !is_duration(&lower) && !is_object_name(value),
    };
    is_secret.then_some(Plain::Secret)
}

/// A password inside a URL, where there are no switches and no paths.
pub(crate) fn judge_in_url(password: &str, place: Place) -> Option<Plain> {
    if password.is_empty()
        || is_reference(password, place)
        || password.starts_with('{')
        || password.starts_with('%') && !is_escape(password)
    {
        return None;
    }
    if is_placeholder(password) || matches!(password, "PASS" | "PASSWORD" | "...") {
        return Some(Plain::Placeholder);
    }
    Some(Plain::Secret)
}

/// Without quotes around it.
pub(crate) fn unquote(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\'', '`'] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.trim();
        }
    }
    value
}

/// Whether a value stands for one that is put there later: `$(NAME)`, `${NAME}`, `{{ … }}`, `vault:…`.
pub(crate) fn is_reference(value: &str, place: Place) -> bool {
    let expands = ["$(", "${", "{{", "<%", "#{", "<<"].iter().any(|begin| value.contains(begin));
    let name =
        |text: &str| !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_');
    let whole = value.strip_prefix('$').is_some_and(|rest| name(rest) || rest.is_empty());
    let percent =
        value.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).is_some_and(|inner| !inner.is_empty());
    let tag = value
        .strip_prefix('!')
        .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_alphabetic()) && rest.contains(' '));
    let in_shell = place == Place::Script
        && value.match_indices('$').any(|(at, _)| {
            value[at + 1..]
                .chars()
                .next()
                .is_none_or(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '@' | '*' | '#'))
        })
        || place != Place::Field && value.starts_with('`');
    expands || whole || percent || tag || in_shell || REFERENCES.iter().any(|begin| value.starts_with(begin))
}

fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let between = |open: char, close: char| value.starts_with(open) && value.ends_with(close) && value.len() > 2;
    let enclosed =
        between('<', '>') || between('[', ']') || between('@', '@') || value.starts_with("__") && value.ends_with("__");
    let blank = value.len() > 2
        && value.chars().all(|letter| matches!(letter, 'x' | 'X' | '*' | '.' | '-' | '_' | '#' | '?' | '•'));
    let upper = value.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').any(|word| {
        PLACEHOLDERS
            .iter()
            .any(|known| word == *known || word.strip_prefix(known).is_some_and(|rest| rest.starts_with('_')))
    });
    let spoken = ["your-", "your_", "insert-", "insert_", "replace-with", "replace_with"]
        .iter()
        .any(|begin| lower.starts_with(begin))
        || ["-here", "_here", " here", "goes here", "goes-here"].iter().any(|end| lower.ends_with(end));
    enclosed || blank || upper || spoken || WHOLE_PLACEHOLDERS.contains(&lower.as_str())
}

/// A file or a folder: what is secret is in there.
fn is_path(value: &str) -> bool {
    let begins = ["/", "./", "../", "~/"].iter().any(|begin| value.starts_with(begin));
    let drive = value.as_bytes().get(1..3) == Some(b":\\");
    let plain = value.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"/._-~ ".contains(&letter));
    let is_file = value.rsplit_once('.').is_some_and(|(name, extension)| {
        !name.is_empty() && FILES.contains(&extension) && !value.contains(char::is_whitespace)
    });
    begins && plain || drive || is_file && plain
}

fn is_number(value: &str) -> bool {
    value.parse::<f64>().is_ok()
}

fn is_duration(lower: &str) -> bool {
    let number = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    is_number(number) && matches!(&lower[number.len()..], "s" | "m" | "h" | "d" | "w" | "y" | "ms" | "min" | "sec")
}

/// `AUTH_TOKEN=bearer` says which kind of token is used.
fn is_kind_of_token(lower: &str) -> bool {
    matches!(
        lower,
        "basic"
            | "bearer"
            | "cookie"
            | "header"
            | "jwt"
            | "kubernetes"
            | "oauth"
            | "oauth2"
            | "oidc"
            | "opaque"
            | "uuid"
    )
}

/// A label on a form: one capitalised word for a secret.
fn is_label(value: &str) -> bool {
    matches!(value, "Credentials" | "Key" | "Passphrase" | "Passwort" | "Password" | "Secret" | "Token")
}

/// A name such as Secrets have: lower case with dashes, the last word saying that it is one.
fn is_object_name(value: &str) -> bool {
    let plain = value
        .bytes()
        .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, b'-' | b'.' | b'/'));
    plain && value.contains('-') && words(value).last().is_some_and(|last| OBJECT_ENDS.contains(&last.as_str()))
}

/// `%40` begins a password that is escaped, `%s` one that is formatted.
fn is_escape(value: &str) -> bool {
    value.as_bytes().get(1..3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(noun: Noun, place: Place, expected: Option<Plain>, values: &[&str]) {
        for value in values {
            assert_eq!(judge(noun, value, place), expected, "{noun:?} {place:?} `{value}`");
        }
    }

    #[test]
    fn what_could_be_a_password_is_one() {
        let secret = Some(Plain::Secret);
        check(
            Noun::Password,
            Place::Field,
            secret,
            &[
                "hunter2",
                "password",
                "123456",
                "a b c",
                "pa$$word",
                "changeme",
                "x",
                "SECRET",
                "yourpassword",
                "/+abc==",
            ],
        );
        check(Noun::Token, Place::Field, secret, &["hunter2", "abc.def"]);
        check(Noun::Secret, Place::Field, secret, &["hunter2", "my-jwt-key"]);
        check(Noun::Key, Place::Field, secret, &["hunter2", "minio123"]);
        check(Noun::Password, Place::File, secret, &["hunter2", "\"hunter2\"", "'hunter2'", "password"]);
    }

    #[test]
    fn references_paths_switches_and_types_are_none() {
        for place in [Place::Field, Place::Script, Place::File] {
            check(
                Noun::Password,
                place,
                None,
                &[
                    "",
                    "''",
                    "$(DB_PASSWORD)",
                    "${DB_PASSWORD}",
                    "$DB_PASSWORD",
                    "{{ .Values.password }}",
                    "/run/secrets/db",
                    "./password.txt",
                    "password.txt",
                    "file:/x",
                    "vault:secret/data/db#password",
                    "%DB_PASSWORD%",
                    "true",
                    "no",
                    "https://vault.example",
                    "null",
                    "ENC[AES256_GCM,data:x]",
                    "!secret db",
                ],
            );
        }
        check(Noun::Password, Place::Script, None, &["a$B", "$1", "$"]);
        check(Noun::Password, Place::File, None, &["string", "Password"]);
        check(Noun::Token, Place::Field, None, &["3600", "24h", "bearer", "1.5"]);
        check(Noun::Secret, Place::Field, None, &["db-credentials", "my-app-secret", "shop/app-tls"]);
        check(Noun::Key, Place::Field, None, &["password", "12"]);
    }

    #[test]
    fn what_asks_to_be_replaced_is_a_placeholder() {
        check(
            Noun::Token,
            Place::Field,
            Some(Plain::Placeholder),
            &[
                "INSERT_ETCD_DISCOVERY_TOKEN",
                "<token>",
                "YOUR_TOKEN",
                "your-token-here",
                "xxxxx",
                "****",
                "__TOKEN__",
                "REPLACE_ME",
                "TODO",
                "[token]",
            ],
        );
    }

    #[test]
    fn a_password_in_a_url_may_be_anything() {
        for password in ["guest", "true", "%40b", "/x"] {
            assert_eq!(judge_in_url(password, Place::Field), Some(Plain::Secret), "{password}");
        }
        for reference in ["", "$(P)", "${P}", "{password}", "%s", "$P"] {
            assert_eq!(judge_in_url(reference, Place::Field), None, "{reference}");
        }
        assert_eq!(judge_in_url("<password>", Place::Field), Some(Plain::Placeholder));
    }
}
