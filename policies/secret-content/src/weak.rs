//! Whether a credential is a placeholder, or one that everybody knows.
//!
//! Three ways lead there: the form (`<password>`, `${TOKEN}`, `xxxx`), a list
//! (`data/well-known.txt`), and the words that it is made of
//! (`data/words.txt`): `mysecretpassword`, `my-access-key`, `Adm1n-Pa$$w0rd!`
//! are words and nothing else, which a random credential never is.

use std::collections::BTreeSet;

/// Longer than any credential that a person types; what is longer is a document or random.
const MAX_CREDENTIAL_BYTES: usize = 200;
/// Letters in a row that nobody's generator makes: `sk-xxxx…`.
const MASK_RUN: usize = 4;
/// A longer row of words may be a passphrase that was thrown with dice.
const MAX_WEAK_BYTES: usize = 24;
/// Longest text that is cut into words.
const MAX_WORDS_BYTES: usize = 64;

const WELL_KNOWN: &str = include_str!("../data/well-known.txt");
const KNOWN_HASHES: &str = include_str!("../data/known-hashes.txt");
const WORDS: &str = include_str!("../data/words.txt");

/// Why a credential is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weakness {
    /// A published hash.
    KnownHash,
    /// Everybody knows it.
    WellKnown,
    /// Something else was meant to stand there.
    Placeholder,
}

/// What is wrong with a credential, if anything; `own` are further ones that nobody may use.
pub(crate) fn judge(text: &str, own: &BTreeSet<String>) -> Option<Weakness> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_CREDENTIAL_BYTES || text.contains('\n') {
        return None;
    }
    if is_template(text) || is_masked(text) || is_order(text) {
        return Some(Weakness::Placeholder);
    }
    let is_listed = lines(WELL_KNOWN).any(|known| known.eq_ignore_ascii_case(text))
        || own.iter().any(|known| known.trim().eq_ignore_ascii_case(text));
    if is_listed || is_one_character(text) {
        return Some(Weakness::WellKnown);
    }
    by_words(text)
}

/// Whether a text is nothing but a placeholder, whatever it stands for. Stricter than for a
/// credential: scripts and settings hold variables that are meant.
pub(crate) fn is_placeholder_alone(text: &str) -> bool {
    let text = text.trim();
    let is_variable = [("${", "}"), ("{{", "}}")].into_iter().any(|(open, close)| {
        let inside = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inside.is_some_and(|inside| !inside.is_empty() && !inside.contains(['{', '}', '$', '\n']))
    });
    text.len() <= MAX_CREDENTIAL_BYTES && (is_variable || is_bracketed(text) || is_order(text))
}

/// Whether a text says to change it, which no value does that was meant.
fn is_order(text: &str) -> bool {
    let dense: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    ["changeme", "replaceme", "changethis", "fixme"].contains(&dense.trim_end_matches(|c: char| c.is_ascii_digit()))
}

/// Whether SOPS encrypted it: what is in it shows only once that is undone.
pub(crate) fn is_encrypted(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("ENC[") && text.ends_with(']')
}

/// Whether a text, of whatever length, holds a published hash.
pub(crate) fn holds_known_hash(text: &str) -> bool {
    lines(KNOWN_HASHES).any(|hash| text.contains(hash))
}

fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// Whether it is, or holds, what a template engine should have filled in.
fn is_template(text: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-. ".contains(c));
    let between = |open: &str, close: &str| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    let is_whole = [("[", "]"), ("%", "%"), ("@", "@"), ("__", "__"), ("%%", "%%"), ("<<", ">>")]
        .into_iter()
        .filter_map(|(open, close)| between(open, close))
        .any(is_name);
    let is_variable = text.strip_prefix('$').is_some_and(|name| {
        name.len() > 2 && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
    });
    let holds = [("${", "}"), ("$(", ")"), ("{{", "}}")].into_iter().any(|(open, close)| {
        let inside =
            text.split_once(open).and_then(|(_, rest)| rest.split_once(close)).map(|(inside, _)| inside.trim());
        inside.is_some_and(|inside| inside.starts_with(|c: char| c.is_ascii_alphabetic() || "._-#".contains(c)))
    });
    is_whole || is_variable || holds || is_bracketed(text)
}

/// `<password>`, `<your password>`; not XML.
fn is_bracketed(text: &str) -> bool {
    text.strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .is_some_and(|inside| !inside.is_empty() && !inside.contains(['<', '>', '=', '/', '"', '\'', ':', '\n']))
}

/// Whether what is secret in it was crossed out.
fn is_masked(text: &str) -> bool {
    let mut run = 0;
    let has_run = text.bytes().any(|byte| {
        run = if byte.eq_ignore_ascii_case(&b'x') { run + 1 } else { 0 };
        run >= MASK_RUN
    });
    has_run || (text.len() > 2 && text.chars().all(|c| "xX*.-_?#•…".contains(c)))
}

/// `aaaa`, `0000`.
fn is_one_character(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| characters.all(|other| other == first))
}

/// What the words say that a text is made of; `None` where it isn't made of words.
fn by_words(text: &str) -> Option<Weakness> {
    // A path or a reference (`vault:secret/data/db#password`) is made of words too.
    if text.contains(['/', ':', '#']) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let stem = lower.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let dense: String = stem.chars().filter_map(unmasked).collect();
    if dense.is_empty() || dense.len() > MAX_WORDS_BYTES {
        return None;
    }
    // Which of the sorts of words a way from the start to each place has met: a set of sets, one bit each.
    let mut met = vec![0_u8; dense.len() + 1];
    met[0] = 1;
    for from in 0..dense.len() {
        if met[from] == 0 {
            continue;
        }
        for (word, sort) in words() {
            if dense[from..].starts_with(word) {
                let to = from + word.len();
                let added =
                    (0..4_u8).filter(|set| met[from] & (1 << set) != 0).fold(0, |sets, set| sets | 1 << (set | sort));
                met[to] |= added;
            }
        }
    }
    let reached = |sort: u8| (0..4_u8).any(|set| met[dense.len()] & (1 << set) != 0 && set & sort != 0);
    if reached(MARKER) {
        Some(Weakness::Placeholder)
    } else if reached(CORE) && dense.len() <= MAX_WEAK_BYTES {
        Some(Weakness::WellKnown)
    } else {
        None
    }
}

const MARKER: u8 = 1;
const CORE: u8 = 2;

fn words() -> impl Iterator<Item = (&'static str, u8)> {
    lines(WORDS).flat_map(|line| {
        let mut words = line.split(' ');
        let sort = match words.next() {
            Some("marker") => MARKER,
            Some("core") => CORE,
            _ => 0,
        };
        words.map(move |word| (word, sort))
    })
}

/// The letter that a look-alike stands for; `None` for what only parts words.
fn unmasked(character: char) -> Option<char> {
    match character {
        '0' => Some('o'),
        '1' => Some('i'),
        '3' => Some('e'),
        '4' | '@' => Some('a'),
        '5' | '$' => Some('s'),
        '7' => Some('t'),
        other => other.is_ascii_alphanumeric().then_some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str], expected: Option<Weakness>) {
        for text in texts {
            assert_eq!(judge(text, &BTreeSet::from(["Acme2020".to_owned()])), expected, "{text}");
        }
    }

    #[test]
    fn placeholders_are_recognised_by_form_and_by_words() {
        check(
            &[
                "<password>",
                "<your password here>",
                "${DB_PASSWORD}",
                "x-${TOKEN:-y}",
                "$(PASSWORD)",
                "{{ .Values.password }}",
                "$DB_PASSWORD",
                "%PASSWORD%",
                "__TOKEN__",
                "@secret@",
                "[password]",
                "xxx",
                "xxxxxxxx",
                "***",
                "...",
                "sk-xxxxXXXX",
                "myXXxxxx/secretXXXXxxxx/keyXXxxxx",
                "changeme",
                "CHANGE_ME",
                "ChangeMe123!",
                "change-this",
                "REPLACE_ME",
                "TODO",
                "my-access-key",
                "mysecretpassword",
                "your_api_key_here",
                "yourpassword",
                "example-password",
                "dummy",
                "PLACEHOLDER",
                "insert token here",
                "my-secret-pw",
                "change me please",
            ],
            Some(Weakness::Placeholder),
        );
    }

    #[test]
    fn what_everybody_knows_is_recognised() {
        check(
            &[
                "password",
                "Password1",
                "P@ssw0rd",
                "Pa$$w0rd!",
                "admin",
                "admin123",
                "root",
                "guest",
                "test123",
                "123456",
                "12345678",
                "secret",
                "s3cr3t",
                "supersecret",
                "t0p-Secret",
                "postgres",
                "redispassword",
                "rootpassword",
                "qwerty",
                "minio123",
                "aaaa",
                "0000",
                "letmein",
                "hunter2",
                "acme2020",
                "kq4gihvszzgn1p0r",
                "1f2d1e2e67df",
                " password\n",
            ],
            Some(Weakness::WellKnown),
        );
    }

    #[test]
    fn what_nobody_could_guess_is_left_alone() {
        check(
            &[
                "39528$vdg7Jb",
                "aGVsbG8gd29ybGQ-9f8e7d",
                "J7#kd92!mQ",
                "tr0ub4dor&3",
                "9f86d081884c7d65",
                "correct-pony-lamp-9",
                "vault:secret/data/db#x9",
                "",
                "   ",
                "eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx",
                "$2y$05$abcdefghij",
                "0b7c6f54-3f0e-4f6e-9a52-1f1d6c1d7a10",
                "Qx-xXq",
                "q<b>7c",
                "service-account",
                "freedom-winter-master-star-summer",
            ],
            None,
        );
        assert_eq!(judge(&"password".repeat(40), &BTreeSet::new()), None);
    }

    #[test]
    fn under_any_key_only_what_is_nothing_else_is_a_placeholder() {
        for text in ["<your host>", "${DB_HOST}", "{{ .Values.host }}", "changeme", "REPLACE_ME", " <user>\n"] {
            assert!(is_placeholder_alone(text), "{text}");
        }
        for text in [
            "exec ${JAVA_HOME}/bin/java",
            "${A}-${B}",
            "echo $(date)",
            "[default]",
            "---",
            "xxxx",
            "<a b='c'/>",
            "<config/>",
            "",
            "{}",
            "<>",
        ] {
            assert!(!is_placeholder_alone(text), "{text}");
        }
    }

    #[test]
    fn what_people_make_up_is_made_of_words() {
        for text in [
            "mypassw0rd",
            "pass123",
            "adminpass",
            "admin@123",
            "Admin@1234",
            "rootroot",
            "root123",
            "secretpassword",
            "s3cr3tp@ss",
            "p4ssw0rd",
            "test1234",
            "testpassword",
            "postgrespw",
            "mongoadmin",
            "Welcome1",
            "Welcome@123",
            "wordpress",
            "wp_password",
            "app-password",
            "userpass",
            "dbpassword",
            "mysql123",
            "abc123",
            "qwerty123",
            "secret-token",
            "jwtsecret",
            "dev-secret",
            "very-secret",
            "super-secret-key",
            "notsecure",
            "foobar",
            "grafana",
            "airflow",
            "summer2024",
            "Password2024!",
            "default-token",
            "admin-secret",
        ] {
            assert!(judge(text, &BTreeSet::new()).is_some(), "{text}");
        }
    }

    #[test]
    fn published_hashes_are_known() {
        assert!(holds_known_hash("admin:$2y$12$4K/VkmDd1q1Orb3xAt82zu8gk7Ad6ReFR4LCP9UeYE90NLiN9Df72\n"));
        assert!(!holds_known_hash("admin:$2y$12$0000000000000000000000000000000000000000000000000000"));
    }
}
