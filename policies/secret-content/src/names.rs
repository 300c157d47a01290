//! What the name of a key says about its value.

/// Words that make a key a credential's.
const CREDENTIAL_WORDS: [&str; 12] =
    ["pass", "pwd", "pw", "psw", "passwd", "password", "passphrase", "secret", "token", "credential", "apikey", "pin"];
/// Parts of a word that do: `rootpasswd`, `PGPASSWORD`, `clientsecret`.
const CREDENTIAL_PARTS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
];
/// What a `key` is a credential with: `api-key`, `ENCRYPTION_KEY`.
const KEY_KINDS: [&str; 10] =
    ["api", "access", "secret", "private", "encryption", "signing", "master", "auth", "shared", "account"];
/// A last word that makes it something about the credential, not the credential.
const ABOUT_WORDS: [&str; 42] = [
    "name",
    "user",
    "username",
    "login",
    "email",
    "host",
    "hostname",
    "port",
    "url",
    "uri",
    "endpoint",
    "path",
    "file",
    "filename",
    "dir",
    "directory",
    "namespace",
    "region",
    "bucket",
    "type",
    "kind",
    "algorithm",
    "alg",
    "method",
    "expiry",
    "expiration",
    "expires",
    "ttl",
    "enabled",
    "required",
    "id",
    "public",
    "pub",
    "cert",
    "crt",
    "ca",
    "version",
    "length",
    "hint",
    "issuer",
    "audience",
    "policy",
];
/// What names who logs in: as easily spoilt by a line break as the credential.
const USER_WORDS: [&str; 4] = ["user", "username", "login", "email"];

/// Words that make it the name of a Secret: `existingSecret`, `imagePullSecret`.
const REFERENCE_WORDS: [&str; 3] = ["existing", "pull", "ref"];

/// Whether a value under this key is a credential.
pub(crate) fn is_credential(key: &str) -> bool {
    let words = words(key);
    if words.iter().any(|word| REFERENCE_WORDS.contains(&word.as_str())) {
        return false;
    }
    words.last().is_some_and(|last| !ABOUT_WORDS.contains(&last.as_str())) && speaks_of_credentials(&words)
}

/// Whether a line break at the value's end would spoil it.
pub(crate) fn is_spoilt_by_newline(key: &str) -> bool {
    let words = words(key);
    speaks_of_credentials(&words) || words.iter().any(|word| USER_WORDS.contains(&word.as_str()))
}

/// Whether a value under this key is the name of who logs in: `username`, `database-admin-name`.
pub(crate) fn is_user(key: &str) -> bool {
    let words = words(key);
    words.last().is_some_and(|last| last == "name" || USER_WORDS.contains(&last.as_str()))
}

fn speaks_of_credentials(words: &[String]) -> bool {
    let is_credential = |word: &String| {
        let word = word.as_str();
        let singular = word.strip_suffix('s').filter(|singular| singular.len() > 3).unwrap_or(word);
        CREDENTIAL_WORDS.contains(&singular)
            || CREDENTIAL_WORDS.contains(&word)
            || CREDENTIAL_PARTS.iter().any(|part| word.contains(part))
            || (word.ends_with("pass") && !["bypass", "compass"].contains(&word))
            || word.ends_with("pwd")
    };
    words.iter().any(is_credential)
        || words.windows(2).any(|pair| pair[1] == "key" && KEY_KINDS.contains(&pair[0].as_str()))
}

/// The words of a key in lower case: `rootPassword`, `ROOT_PASSWORD` and `root.password` have the same.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for character in key.chars() {
        let begins = character.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        if !character.is_alphanumeric() || begins {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
        before = character;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_key_says_whether_it_holds_a_credential() {
        for key in [
            "password",
            "rootpasswd",
            "RABBITMQ_DEFAULT_PASS",
            "PGPASSWORD",
            "mysql-root-password",
            "adminPassword",
            "secretkey",
            "accesskey",
            "API_KEY",
            "apiKey",
            "encryption.key",
            "token",
            "token-secret",
            "client-secret",
            "DB_PWD",
            "mysqlpass",
            "SECRET_KEY_BASE",
            "passwords",
            "jwt_secrets",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(is_credential(key), "{key}");
        }
        for key in [
            "username",
            "RABBITMQ_DEFAULT_USER",
            "AWS_ACCESS_KEY_ID",
            "secretName",
            "password-file",
            "token_url",
            "host",
            "key",
            "tls.crt",
            "csrf",
            ".secret-file",
            "bypass",
            "release",
            "ca.crt",
            "config.yaml",
            "",
            "TOKEN_TTL",
            "existingSecret",
            "imagePullSecret",
            "passwordSecretRef",
        ] {
            assert!(!is_credential(key), "{key}");
        }
    }

    #[test]
    fn the_name_of_a_key_says_whether_it_holds_a_user() {
        for (key, is) in
            [("username", true), ("database-admin-name", true), ("ADMIN_LOGIN", true), ("password", false), ("", false)]
        {
            assert_eq!(is_user(key), is, "{key}");
        }
    }

    #[test]
    fn a_line_break_spoils_what_is_typed_in() {
        for key in ["password", "username", ".secret-file", "ADMIN_LOGIN"] {
            assert!(is_spoilt_by_newline(key), "{key}");
        }
        for key in ["tls.crt", "config.yaml", "known_hosts"] {
            assert!(!is_spoilt_by_newline(key), "{key}");
        }
    }
}
