//! One named setting: a variable, a key of a ConfigMap, an annotation.

use portcullis_workloads::is_credential_variable;

use crate::command::of_words;
use crate::content::{Sort, find};
use crate::names::{Noun, noun, words};
use crate::settings::Settings;
use crate::text::of_file;
use crate::values::{Place, Plain, judge};

/// What a setting gives away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) what: What,
    pub(crate) plain: Plain,
}

/// How it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// By the name.
    Named(Noun),
    /// By itself.
    Shown(Sort),
    /// By a flag among options that the value holds: `--requirepass`.
    Flag(String),
}

/// Ends of annotations that hold what kubectl or an operator sent: it is found at its own place.
const APPLIED: [&str; 4] = ["/applied", "/last-applied", "/last-applied-configuration", "/last-handled-configuration"];
/// Words of annotations that hold a digest of something secret, which tells nothing.
const DIGESTS: [&str; 5] = ["checksum", "digest", "hash", "sha", "sha256"];

/// What a variable, or a key with one value, gives away.
pub(crate) fn of_setting(settings: &Settings, name: &str, value: &str, place: Place) -> Option<Told> {
    if settings.is_ignored(name) {
        return None;
    }
    let shown = find(value, place).map(|leak| Told { what: What::Shown(leak.sort), plain: leak.plain });
    if shown.as_ref().is_some_and(|told| told.plain == Plain::Secret) {
        return shown;
    }
    let by_name = if settings.is_secret(name) || is_credential_variable(name) {
        noun(name).or(Some(Noun::Password))
    } else {
        noun(name)
    };
    let value_of_pair = pair(name, value);
    let named = match (value_of_pair, by_name) {
        (Some(password), _) => judge(Noun::Password, password, place).map(|plain| (Noun::Credentials, plain)),
        (None, Some(noun)) if !is_user(name) => judge(noun, value, place).map(|plain| (noun, plain)),
        _ => None,
    };
    let named = named.map(|(noun, plain)| Told { what: What::Named(noun), plain });
    named.or(shown).or_else(|| options(value)).or_else(|| of_text(name, value))
}

/// A whole file, a JSON object or quoted pairs as a value: `{"password": "…"}`, `username="a" password="…";`.
fn of_text(name: &str, value: &str) -> Option<Told> {
    let text = value.trim();
    let is_text = text.contains('\n') || text.starts_with('{') || text.contains("=\"");
    let found = if is_text { of_file(name, text).into_iter().next()? } else { return None };
    Some(Told {
        what: found.sort.map_or_else(|| What::Flag(found.name.unwrap_or_default()), What::Shown),
        plain: found.plain,
    })
}

/// What an annotation gives away. Names of Secrets and digests are what most that speak of secrets hold.
pub(crate) fn of_annotation(settings: &Settings, key: &str, value: &str) -> Option<Told> {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let is_digest = words(key).iter().any(|word| DIGESTS.contains(&word.as_str()));
    if APPLIED.iter().any(|end| key.ends_with(end)) || is_digest {
        return None;
    }
    let told = of_setting(settings, name, value, Place::Field)?;
    let names_an_object =
        matches!(told.what, What::Named(Noun::Secret | Noun::Credentials)) && !settings.is_secret(name);
    // `vault.hashicorp.com/agent-inject-secret-password: secret/data/db` says where it is kept.
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"/._-".contains(&letter);
    let says_where = matches!(told.what, What::Named(_)) && value.contains('/') && value.bytes().all(plain);
    (!names_an_object && !says_where).then_some(told)
}

/// The secret half of `user/password` and `user:password`.
fn pair<'a>(name: &str, value: &'a str) -> Option<&'a str> {
    let words = words(name);
    let last = words.last()?;
    let separator = if name == "NEO4J_AUTH" { '/' } else { ':' };
    if last != "auth" && !(is_user(name) && is_credential_variable(name)) {
        return None;
    }
    let (user, password) = value.split_once(separator)?;
    let plain =
        !user.is_empty() && user.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"_-.@".contains(&letter));
    let is_port = password.bytes().all(|digit| digit.is_ascii_digit()) && separator == ':';
    (plain && !password.is_empty() && !password.starts_with('/') && !is_port).then_some(password)
}

fn is_user(name: &str) -> bool {
    words(name).last().is_some_and(|last| matches!(last.as_str(), "user" | "username"))
}

/// Options in a variable: `REDIS_ARGS: --requirepass …`, `JAVA_OPTS: -Ddb.password=…`.
fn options(value: &str) -> Option<Told> {
    if !value.trim_start().starts_with('-') || !value.contains([' ', '=']) {
        return None;
    }
    let words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
    let given = of_words(&words, &[]).into_iter().next()?;
    Some(Told { what: What::Flag(given.name), plain: given.plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, expected: bool) {
        let told = of_setting(&Settings::default(), name, value, Place::Field);
        assert_eq!(told.is_some(), expected, "{name}={value}: {told:?}");
    }

    #[test]
    fn variables_are_judged_by_name_and_by_value() {
        for (name, value) in [
            ("MYSQL_ROOT_PASSWORD", "hunter2"),
            ("RABBITMQ_ERLANG_COOKIE", "hunter2"),
            ("NEO4J_AUTH", "neo4j/hunter2"),
            ("ETCDCTL_USER", "root:hunter2"),
            ("REDISCLI_AUTH", "hunter2"),
            ("BASIC_AUTH", "admin:hunter2"),
            ("REDIS_ARGS", "--save 60 1 --requirepass hunter2"),
            ("JAVA_OPTS", "-Xmx1g -Ddb.password=hunter2"),
            ("BROKER", "amqp://a:hunter2@queue"),
            ("CREDENTIALS_JSON", "{\"user\": \"a\", \"password\": \"hunter2\"}"),
            ("KAFKA_SASL_JAAS_CONFIG", "org.example.PlainLoginModule required username=\"a\" password=\"hunter2\";"),
            ("CONFIG", "db:\n  host: db\n  password: hunter2\n"),
            ("ANYTHING", "AKIAIOSFODNN7EXAMPLE"),
        ] {
            check(name, value, true);
        }
        for (name, value) in [
            ("MYSQL_ROOT_PASSWORD", ""),
            ("NEO4J_AUTH", "none"),
            ("NEO4J_AUTH", "neo4j/$(PASSWORD)"),
            ("ETCDCTL_USER", "root"),
            ("AUTH", "auth-service:8080"),
            ("DB_HOST", "mysql:3306"),
            ("BROKER", "amqp://queue:5672"),
            ("REDIS_ARGS", "--save 60 1"),
            ("KAFKA_OPTS", "-Djava.security.auth.login.config=/etc/jaas.conf"),
            ("CONFIG", "db:\n  host: db\n  password: ${DB_PASSWORD}\n"),
            ("POSTGRES_PASSWORD_FILE", "/run/secrets/p"),
            ("POSTGRES_HOST_AUTH_METHOD", "trust"),
            ("MYSQL_RANDOM_ROOT_PASSWORD", "yes"),
        ] {
            check(name, value, false);
        }
    }

    #[test]
    fn annotations_name_secrets_and_digests_more_often_than_they_hold_one() {
        let settings = Settings::default();
        for (key, value) in [
            ("nginx.ingress.kubernetes.io/auth-secret", "users"),
            ("checksum/secret", "0f343b0931126a20f133d67c2b018a3b"),
            ("checksum/db-password", "0f343b0931126a20f133d67c2b018a3b"),
            ("vault.hashicorp.com/agent-inject-secret-password", "secret/data/db"),
            ("kopf.zalando.org/last-handled-configuration", "{\"password\":\"hunter2\"}"),
            (
                "kubectl.kubernetes.io/last-applied-configuration",
                "{\"password\":\"hunter2\",\"url\":\"amqp://a:hunter2@q\"}",
            ),
            ("vault.hashicorp.com/agent-inject-token", "true"),
            ("example.com/team", "shop"),
        ] {
            assert_eq!(of_annotation(&settings, key, value), None, "{key}");
        }
        for (key, value) in [
            ("example.com/api-token", "hunter2"),
            ("example.com/db", "postgres://a:hunter2@db"),
            ("password", "hunter2"),
        ] {
            assert!(of_annotation(&settings, key, value).is_some(), "{key}");
        }
    }
}
