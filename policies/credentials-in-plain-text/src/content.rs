//! Secrets that show by themselves, whatever the name beside them: passwords in
//! URLs and connection strings, private keys, tokens with a known prefix.
//!
//! Invariant: what is found is told by its sort, never by its text.

use crate::names::{Noun, noun};
use crate::values::{Place, Plain, judge, judge_in_url};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leak {
    pub(crate) sort: Sort,
    pub(crate) plain: Plain,
}

/// Its sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A password in a URL or a connection string.
    Url,
    /// A PEM block of a private key.
    PrivateKey,
    /// A token, and whose.
    Token(&'static str),
}

/// A token that is known by its beginning.
struct Known {
    prefix: &'static str,
    /// How many letters of the token's alphabet must follow.
    least: usize,
    name: &'static str,
}

/// The letters of an AWS access key behind its prefix.
const AWS_LENGTH: usize = 16;
/// Sources: the secret-scanning documentation of GitHub and of each vendor.
const TOKENS: [Known; 36] = [
    known("AKIA", AWS_LENGTH, "an AWS access key"),
    known("ASIA", AWS_LENGTH, "an AWS access key"),
    known("AIza", 35, "a Google API key"),
    known("GOCSPX-", 20, "a Google client secret"),
    known("ghp_", 36, "a GitHub token"),
    known("gho_", 36, "a GitHub token"),
    known("ghu_", 36, "a GitHub token"),
    known("ghs_", 36, "a GitHub token"),
    known("ghr_", 36, "a GitHub token"),
    known("github_pat_", 22, "a GitHub token"),
    known("glpat-", 20, "a GitLab token"),
    known("gldt-", 20, "a GitLab token"),
    known("glrt-", 20, "a GitLab token"),
    known("xoxb-", 20, "a Slack token"),
    known("xoxp-", 20, "a Slack token"),
    known("xoxa-", 20, "a Slack token"),
    known("xoxr-", 20, "a Slack token"),
    known("xapp-", 20, "a Slack token"),
    known("hooks.slack.com/services/T", 20, "a Slack webhook"),
    known("sk_live_", 20, "a Stripe key"),
    known("rk_live_", 20, "a Stripe key"),
    known("sk-ant-", 20, "an Anthropic key"),
    known("sk-proj-", 20, "an OpenAI key"),
    known("npm_", 36, "an npm token"),
    known("pypi-AgEI", 20, "a PyPI token"),
    known("dop_v1_", 40, "a DigitalOcean token"),
    known("dckr_pat_", 20, "a Docker token"),
    known("hvs.", 24, "a Vault token"),
    known("hvb.", 24, "a Vault token"),
    known("SG.", 40, "a SendGrid key"),
    known("shpat_", 32, "a Shopify token"),
    known("glsa_", 32, "a Grafana token"),
    known("hf_", 34, "a Hugging Face token"),
    known("AGE-SECRET-KEY-1", 50, "an age key"),
    known("nvapi-", 40, "an NVIDIA key"),
    known("sbp_", 40, "a Supabase token"),
];
/// How many letters of a key must follow the line that announces it: a script that searches for that line has none.
const LEAST_OF_A_KEY: usize = 32;
/// The least that each of a JSON Web Token's first two parts has, and its signature.
const LEAST_OF_A_JWT: usize = 10;
/// Names by which a connection string gives a secret, beside those that say so: Azure's signatures.
const SIGNATURES: [&str; 3] = ["sig", "accountkey", "sharedaccesskey"];

const fn known(prefix: &'static str, least: usize, name: &'static str) -> Known {
    Known { prefix, least, name }
}

/// The first secret in a text; what is certain before a placeholder.
pub(crate) fn find(text: &str, place: Place) -> Option<Leak> {
    if has_private_key(text) {
        return Some(Leak { sort: Sort::PrivateKey, plain: Plain::Secret });
    }
    if let Some(name) = token(text) {
        return Some(Leak { sort: Sort::Token(name), plain: Plain::Secret });
    }
    let found = url_password(text, place).max(connection_string(text, place));
    found.map(|plain| Leak { sort: Sort::Url, plain })
}

/// Whether a private key follows its announcement.
pub(crate) fn has_private_key(text: &str) -> bool {
    text.match_indices("PRIVATE KEY").any(|(at, announcement)| {
        let begins =
            text[..at].rfind("-----BEGIN ").is_some_and(|begin| at - begin < 40 && !text[begin..at].contains('\n'));
        let rest = &text[at + announcement.len()..];
        let Some(body) = rest.strip_prefix("-----").or_else(|| rest.strip_prefix(" BLOCK-----")) else { return false };
        let body = body.split("-----").next().unwrap_or_default();
        let letters = body.bytes().filter(|letter| letter.is_ascii_alphanumeric() || b"+/=".contains(letter)).count();
        begins && letters >= LEAST_OF_A_KEY && !body.contains("${") && !body.contains("{{")
    })
}

/// One pass over the text: what a token may begin with is rare where a word begins.
fn token(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    let begins = |at: usize| at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
    let starts = bytes.iter().enumerate().filter(|(at, letter)| letter.is_ascii_alphanumeric() && begins(*at));
    let known = starts.filter_map(|(at, _)| TOKENS.iter().find(|known| is_token(&bytes[at..], known))).next();
    known.map(|known| known.name).or_else(|| has_jwt(text).then_some("a JSON Web Token"))
}

/// Whether a text begins with such a token.
fn is_token(text: &[u8], known: &Known) -> bool {
    let prefix = known.prefix.as_bytes();
    // Nearly every word is told apart by its first two letters.
    if text.len() < prefix.len() || text[..2] != prefix[..2] {
        return false;
    }
    let Some(rest) = text.strip_prefix(prefix) else { return false };
    let is_of_token = |letter: &u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-' | b'.' | b'/');
    let rest = &rest[..rest.iter().position(|letter| !is_of_token(letter)).unwrap_or(rest.len())];
    // An AWS access key is exactly so long and in capitals, or it is a word.
    let is_aws_or_other = known.least != AWS_LENGTH
        || rest.len() == known.least
            && rest.iter().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit());
    // A blank (`ghp_xxxxxxxx…`) shows the form of one.
    let is_blank = rest.iter().all(|letter| matches!(letter, b'x' | b'X' | b'.' | b'-' | b'_'));
    rest.len() >= known.least && is_aws_or_other && !is_blank
}

/// `eyJ….eyJ….…`: two parts that begin an object in base64, and a signature.
fn has_jwt(text: &str) -> bool {
    let part = |text: &str| {
        text.bytes().take_while(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-')).count()
    };
    text.match_indices("eyJ").any(|(at, _)| {
        let head = &text[at..];
        let first = part(head);
        let Some(claims) = head[first..].strip_prefix('.') else { return false };
        let second = part(claims);
        let Some(signature) = claims[second..].strip_prefix('.') else { return false };
        first >= LEAST_OF_A_JWT
            && claims.starts_with("eyJ")
            && second >= LEAST_OF_A_JWT
            && part(signature) >= LEAST_OF_A_JWT
    })
}

/// `scheme://user:password@host`, and `user:password@tcp(host)` as Go has it.
fn url_password(text: &str, place: Place) -> Option<Plain> {
    let ends = |letter: char| {
        letter.is_whitespace() || matches!(letter, '/' | '?' | '#' | '"' | '\'' | '`' | ',' | '|' | '\\')
    };
    let urls = text.match_indices("://").filter_map(|(at, separator)| {
        let scheme = text[..at]
            .bytes()
            .rev()
            .take_while(|letter| letter.is_ascii_alphanumeric() || b"+.-".contains(letter))
            .count();
        let rest = &text[at + separator.len()..];
        let user_info = user_info(rest, ends)?;
        (scheme > 0).then_some(user_info)
    });
    let drivers = ["@tcp(", "@unix(", "@("].into_iter().flat_map(|driver| {
        text.match_indices(driver).map(move |(at, _)| {
            let separates = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '=' | '/');
            text[..at].rsplit(separates).next().unwrap_or_default()
        })
    });
    let plain = |user_info: &str| user_info.split_once(':').and_then(|(_, password)| judge_in_url(password, place));
    urls.chain(drivers).filter_map(plain).max().or_else(|| bare(text).and_then(plain))
}

/// What stands before the `@` of an authority. A password may hold what should have been escaped.
fn user_info(rest: &str, ends: impl Fn(char) -> bool) -> Option<&str> {
    // `$(USER):$(PASSWORD)@host`, `${…}`, `{…}` and `<…>` end nowhere in between.
    let mut depth = 0_u32;
    let mut end = rest.len();
    for (at, letter) in rest.char_indices() {
        match letter {
            '(' | '{' | '<' => depth += 1,
            ')' | '}' | '>' => depth = depth.saturating_sub(1),
            letter if depth == 0 && ends(letter) => {
                end = at;
                break;
            }
            '\n' => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    rest[..end].rfind('@').map(|at| &rest[..at])
}

/// A whole text of the form `user:password@host:port/database`.
fn bare(text: &str) -> Option<&str> {
    let text = text.trim();
    if text.contains("://") {
        return None;
    }
    let (user_info, host) = text.rsplit_once('@')?;
    let (user, _) = user_info.split_once(':')?;
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"._-".contains(&letter))
    };
    let (name, after) = host.split_once([':', '/']).unwrap_or((host, ""));
    let host = plain(name)
        && (after.is_empty() || after.starts_with(|letter: char| letter.is_ascii_digit()) || host.contains('/'));
    (plain(user) && host && !text.contains(char::is_whitespace)).then_some(user_info)
}

/// `password=…` among the parts of a connection string: JDBC, libpq, .NET, Azure, query parameters.
fn connection_string(text: &str, place: Place) -> Option<Plain> {
    if !text.contains('=') {
        return None;
    }
    let separates = |letter: char| letter.is_whitespace() || matches!(letter, '?' | '&' | ';' | ',' | '"' | '\'');
    let parts: Vec<&str> = text.split(separates).filter(|part| !part.is_empty()).collect();
    let is_connection = text.contains("://")
        || text.contains("jdbc:")
        || parts.iter().filter(|part| part.contains('=')).count() > 1
        || text.contains(';') && text.contains('=');
    if !is_connection {
        return None;
    }
    let secret = |part: &&str| {
        let (name, value) = part.split_once('=')?;
        let name = name.rsplit(['/', '(', '{']).next().unwrap_or(name).trim_start_matches("-D");
        let noun =
            if SIGNATURES.iter().any(|known| name.eq_ignore_ascii_case(known)) { Noun::Key } else { noun(name)? };
        judge(noun, value, place)
    };
    parts.iter().filter_map(secret).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Sort>) {
        let found = find(text, Place::Field).filter(|leak| leak.plain == Plain::Secret).map(|leak| leak.sort);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn passwords_in_urls_are_found_and_plain_urls_are_not() {
        for text in [
            "amqp://guest:guest@rabbitmq:5672/",
            "redis://:hunter2@redis:6379/0",
            "mongodb://a:hunter2@m-0.m,m-1.m:27017/db?replicaSet=rs0",
            "postgres+asyncpg://app:p%40ss@db/app",
            "https://user:hunter2@proxy.example:3128",
            "see http://a:b@c and more",
            "app:hunter2@tcp(mysql:3306)/shop?parseTime=true",
            "root:hunter2@(mysql:3306)/",
            "app:hunter2@mysql:3306/shop",
            "jdbc:postgresql://db/app?user=app&password=hunter2",
            "jdbc:sqlserver://db:1433;databaseName=app;user=sa;password=hunter2;",
            "host=db user=app password=hunter2 dbname=app",
            "Server=db;Database=app;User Id=sa;Password=hunter2;",
            "redis:6379,password=hunter2,ssl=True",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=aHVudGVyMg==;EndpointSuffix=core.windows.net",
            "https://a.blob.core.windows.net/c?sv=2020&sig=aHVudGVyMg%3D",
            "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=r;SharedAccessKey=aHVudGVyMg=",
        ] {
            check(text, Some(Sort::Url));
        }
        for text in [
            "http://etcd-discovery:2379",
            "https://example.com/@user:name",
            "postgres://app@db/app",
            "postgres://app:$(DB_PASSWORD)@db/app",
            "postgres://${USER}:${PASSWORD}@db/app",
            "postgres://{user}:{password}@db",
            "mysql://app:@db",
            "jdbc:mysql://db/app?useSSL=false&user=app",
            "jdbc:mysql://db/app?user=app&password=$(P)&x=y",
            "kafka-0:9092,kafka-1:9092",
            "git@github.com:org/repo.git",
            "https://login.example/token?grant_type=password&scope=a",
            "gcomm://",
            "a@b.example",
            "nodes@host:8080",
            "name=a value=b",
        ] {
            check(text, None);
        }
        let placeholder = find("postgres://<user>:<password>@db/app", Place::Field);
        assert_eq!(placeholder.map(|leak| leak.plain), Some(Plain::Placeholder));
    }

    #[test]
    fn tokens_and_keys_are_found_by_their_form() {
        check("AKIAIOSFODNN7EXAMPLE", Some(Sort::Token("an AWS access key")));
        check("id: AKIAIOSFODNN7EXAMPLE!", Some(Sort::Token("an AWS access key")));
        check("AKIAtownship", None);
        check(&format!("ghp_{}", "a1".repeat(18)), Some(Sort::Token("a GitHub token")));
        check(&format!("ghp_{}", "x".repeat(36)), None);
        check("https://hooks.slack.com/services/T00000001/B0000002/abcdef123456", Some(Sort::Token("a Slack webhook")));
        check("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.c2lnbmF0dXJlMTIz", Some(Sort::Token("a JSON Web Token")));
        check("eyJhbGciOiJIUzI1NiJ9", None);
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw";
        check(
            &format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"),
            Some(Sort::PrivateKey),
        );
        check(&format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"), None);
        check("grep -q -- '-----BEGIN PRIVATE KEY-----' key.pem", None);
    }
}
