//! What a name says of its value: the words of `MYSQL_ROOT_PASSWORD`,
//! `spring.datasource.password`, `--db-password` or `clientSecret`, and whether
//! they end in a word for a secret.
//!
//! The last word is what the thing is, those before it say which: `SECRET_NAME`
//! is a name, `TOKEN_TTL` a duration, `PASSWORD_FILE` a file. So only what ends
//! in such a word, but for endings that say nothing (`_DEFAULT`, `_PROD`), is one.

/// What a name says that its value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Noun {
    Password,
    Secret,
    Token,
    Key,
    Credentials,
}

/// Words for a password.
const PASSWORDS: [&str; 17] = [
    "dbpass",
    "keypass",
    "masterauth",
    "pass",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "primaryauth",
    "psw",
    "pswd",
    "pwd",
    "requirepass",
    "rootpass",
    "storepass",
    "userpass",
];
/// What every name of a secret has in it: most names are told apart by that.
const PARTS: [&str; 8] = ["auth", "cred", "key", "pass", "psw", "pwd", "secret", "token"];
/// Ends of words written together: `PGPASSWORD`, `ADMINPASSWORD`.
const PASSWORD_ENDS: [&str; 4] = ["password", "passwd", "passphrase", "passwort"];
/// Words for credentials.
const CREDENTIALS: [&str; 4] = ["credential", "credentials", "cred", "creds"];
/// Tokens written together.
const TOKENS: [&str; 7] = ["token", "tokens", "authtoken", "accesstoken", "apitoken", "bearertoken", "refreshtoken"];
/// Secrets written together.
const SECRETS: [&str; 4] = ["secret", "secrets", "clientsecret", "appsecret"];
/// Keys written together.
const KEYS: [&str; 9] = [
    "accesskey",
    "apikey",
    "apikeys",
    "authkey",
    "encryptionkey",
    "masterkey",
    "privatekey",
    "secretkey",
    "signingkey",
];
/// What a key must be for to be a secret: a key alone may be of a map, a table or a piano.
const SECRET_KEYS: [&str; 24] = [
    "access",
    "account",
    "admin",
    "aes",
    "api",
    "app",
    "auth",
    "cipher",
    "cookie",
    "crypto",
    "decryption",
    "encrypt",
    "encryption",
    "hmac",
    "jwt",
    "master",
    "private",
    "sas",
    "secret",
    "session",
    "shared",
    "sign",
    "signing",
    "webhook",
];
/// Ends that say nothing of what the value is.
const NEUTRAL_ENDS: [&str; 23] = [
    "b64",
    "base",
    "base64",
    "current",
    "default",
    "dev",
    "encoded",
    "local",
    "new",
    "old",
    "plain",
    "plaintext",
    "primary",
    "prod",
    "production",
    "qa",
    "raw",
    "secondary",
    "stage",
    "staging",
    "test",
    "text",
    "value",
];
/// Words in front that make a switch, a bound or a rule of it.
const SWITCHES: [&str; 24] = [
    "allow", "allows", "disable", "disabled", "enable", "enabled", "forgot", "generate", "has", "hide", "is", "max",
    "maximum", "min", "minimum", "no", "num", "random", "require", "required", "show", "skip", "use", "validate",
];
/// Words before `secret` that make a Secret's name of it.
const SECRET_OBJECTS: [&str; 23] = [
    "ca",
    "cert",
    "certificate",
    "certs",
    "cred",
    "credential",
    "credentials",
    "creds",
    "dockerconfig",
    "existing",
    "image",
    "k8s",
    "kubeconfig",
    "kubernetes",
    "password",
    "pull",
    "ref",
    "regcred",
    "registry",
    "sealed",
    "ssl",
    "tls",
    "user",
];
/// Words before `token` that make something public of it.
const PUBLIC_TOKENS: [&str; 10] =
    ["cluster", "continue", "eos", "next", "pad", "page", "pagination", "stop", "sync", "unk"];
/// A name longer than this is none: the longest field paths are shorter.
const MAX_NAME: usize = 256;

/// What a name says that its value is, if that is secret.
pub(crate) fn noun(name: &str) -> Option<Noun> {
    let lower = name.to_ascii_lowercase();
    if name.len() > MAX_NAME || !PARTS.iter().any(|part| lower.contains(part)) {
        return None;
    }
    let words = words(name);
    // Of Google's libraries: always the name of a file.
    if words.ends_with(&["application".to_owned(), "credentials".to_owned()]) {
        return None;
    }
    let mut words: &[String] = &words;
    while let [before @ .., last] = words {
        let neutral = last.bytes().all(|letter| letter.is_ascii_digit()) || NEUTRAL_ENDS.contains(&last.as_str());
        if before.is_empty() || !neutral {
            break;
        }
        words = before;
    }
    let (last, before) = words.split_last()?;
    let last = last.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_any = |known: &[&str]| before.iter().any(|word| known.contains(&word.as_str()));
    if is_any(&SWITCHES) {
        return None;
    }
    if PASSWORDS.contains(&last) || PASSWORD_ENDS.iter().any(|end| last.ends_with(end)) {
        return Some(Noun::Password);
    }
    if CREDENTIALS.contains(&last) {
        return Some(Noun::Credentials);
    }
    let one_before = before.last().map_or("", String::as_str);
    if TOKENS.contains(&last) {
        return (!PUBLIC_TOKENS.contains(&one_before)).then_some(Noun::Token);
    }
    if SECRETS.contains(&last) {
        return (!is_any(&SECRET_OBJECTS)).then_some(Noun::Secret);
    }
    // `passwordSecretKey`, `existingSecretPasswordKey` say where in a Secret something is.
    let of_an_object = before.iter().any(|word| matches!(word.as_str(), "existing" | "password" | "user" | "public"));
    let secret_key = KEYS.contains(&last) || last == "key" && SECRET_KEYS.contains(&one_before);
    if secret_key {
        return (!of_an_object).then_some(Noun::Key);
    }
    // Of a kubeconfig: `client-key-data`.
    (last == "data" && one_before == "key").then_some(Noun::Key)
}

/// The words of a name in lower case, split at what isn't a letter or a digit and at humps.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let letters: Vec<char> = name.chars().collect();
    for (index, &letter) in letters.iter().enumerate() {
        let after = letters.get(index + 1);
        let before = index.checked_sub(1).map(|index| letters[index]);
        let hump = letter.is_ascii_uppercase()
            && (before.is_some_and(|before| before.is_ascii_lowercase() || before.is_ascii_digit())
                || before.is_some_and(|before| before.is_ascii_uppercase())
                    && after.is_some_and(char::is_ascii_lowercase));
        if (hump || !letter.is_ascii_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_ascii_alphanumeric() {
            word.push(letter.to_ascii_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_separators_and_humps() {
        for (name, expected) in [
            ("MYSQL_ROOT_PASSWORD", "mysql root password"),
            ("spring.datasource.password", "spring datasource password"),
            ("--db-password", "db password"),
            ("clientSecret", "client secret"),
            ("APIKey", "api key"),
            ("GF_SECURITY__ADMIN_PASSWORD", "gf security admin password"),
            ("DFLY_requirepass", "dfly requirepass"),
            ("oauth2ClientSecret", "oauth2 client secret"),
            ("", ""),
        ] {
            assert_eq!(words(name).join(" "), expected, "{name}");
        }
    }

    #[test]
    fn what_ends_in_a_word_for_a_secret_is_one() {
        use Noun::{Credentials, Key, Password, Secret, Token};
        for (name, expected) in [
            ("MYSQL_ROOT_PASSWORD", Some(Password)),
            ("PGPASSWORD", Some(Password)),
            ("RABBITMQ_DEFAULT_PASS", Some(Password)),
            ("SEQ_FIRSTRUN_ADMINPASSWORD", Some(Password)),
            ("DB_PASSWORD_PROD", Some(Password)),
            ("PASSWORD_2", Some(Password)),
            ("password1", Some(Password)),
            ("MYSQL_PWD", Some(Password)),
            ("--requirepass", Some(Password)),
            ("-httpAuth.password", Some(Password)),
            ("API_TOKEN", Some(Token)),
            ("SLACK_API_TOKEN", Some(Token)),
            ("JWT_SECRET", Some(Secret)),
            ("clientSecret", Some(Secret)),
            ("AWS_SECRET_ACCESS_KEY", Some(Key)),
            ("MINIO_SECRET_KEY", Some(Key)),
            ("STRIPE_APIKEY", Some(Key)),
            ("SECRET_KEY_BASE", Some(Key)),
            ("TLS_PRIVATE_KEY", Some(Key)),
            ("client-key-data", Some(Key)),
            ("DB_CREDENTIALS", Some(Credentials)),
            // What only speaks of one.
            ("SECRET_NAME", None),
            ("TOKEN_TTL", None),
            ("PASSWORD_MIN_LENGTH", None),
            ("MIN_PASSWORD", None),
            ("POSTGRES_PASSWORD_FILE", None),
            ("GOOGLE_APPLICATION_CREDENTIALS_PATH", None),
            ("ALLOW_EMPTY_PASSWORD", None),
            ("MYSQL_RANDOM_ROOT_PASSWORD", None),
            ("IMAGE_PULL_SECRET", None),
            ("tlsSecret", None),
            ("KUBECONFIG_SECRET", None),
            ("existingSecret", None),
            ("existingSecretPasswordKey", None),
            ("passwordSecretKey", None),
            ("PARTITION_KEY", None),
            ("PUBLIC_KEY", None),
            ("AWS_ACCESS_KEY_ID", None),
            ("ETCD_INITIAL_CLUSTER_TOKEN", None),
            ("GOOGLE_APPLICATION_CREDENTIALS", None),
            ("MAX_TOKENS", None),
            ("BYPASS", None),
            ("COMPASS_URL", None),
            ("AUTH_METHOD", None),
            ("", None),
        ] {
            assert_eq!(noun(name), expected, "{name}");
        }
    }
}
