//! Secrets on command lines: flags, assignments, and what clients take in their
//! own ways, in words and inside shell scripts.

use portcullis_workloads::split_script;

use crate::clients::{BY_PLACE, CLIENTS, Form};
use crate::content::{Sort, find};
use crate::names::{Noun, noun};
use crate::text::of_program;
use crate::values::{Place, Plain, judge};

/// Something secret on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// The flag or the name; never what is given.
    pub(crate) name: String,
    pub(crate) sort: Option<Sort>,
    pub(crate) plain: Plain,
    /// Which word it stands in.
    pub(crate) word: usize,
}

/// Programs that run what follows them.
const WRAPPERS: [&str; 9] = ["exec", "sudo", "env", "time", "then", "do", "if", "until", "while"];
const SHELLS: [&str; 6] = ["ash", "bash", "dash", "ksh", "sh", "zsh"];
/// Flags with an assignment behind them, in the same word.
const CARRIERS: [&str; 7] =
    ["--build-arg=", "--env=", "--from-literal=", "--set-string=", "--set=", "-e=", "--extra-vars="];
/// A `--secret` alone names a Secret more often than it is one.
const SECRET_FLAGS: [&str; 20] = [
    "api",
    "app",
    "auth",
    "client",
    "consumer",
    "cookie",
    "encryption",
    "hmac",
    "jwt",
    "keystone",
    "oauth",
    "oauth2",
    "oidc",
    "rpc",
    "s3",
    "session",
    "shared",
    "sign",
    "signing",
    "webhook",
];
/// What has no name of its own.
const ARGUMENT: &str = "argument";
/// Flags with one dash that begin as `-p` does.
const PASSWORD_FLAGS: [&str; 6] = ["-p", "-pass", "-passphrase", "-passwd", "-password", "-pw"];
/// Longer command lines are read no further; a real one has a few hundred words.
const MAX_WORDS: usize = 5_000;

/// The secrets of a command line given in words: `command` and `args` in a row.
/// `flags` are those of the data store, if it is one.
pub(crate) fn of_words(words: &[String], flags: &[&str]) -> Vec<Given> {
    let runs_shell = |before: &[String]| {
        before.last().is_some_and(|flag| is_shell_flag(flag))
            && before.iter().any(|word| SHELLS.contains(&basename(word)))
    };
    let is_script = |(index, word): &(usize, &String)| {
        runs_shell(&words[..*index]) || word.contains('\n') && word.contains(char::is_whitespace)
    };
    let scripts: Vec<(usize, &String)> = words.iter().enumerate().filter(is_script).collect();
    let mut found = if scripts.is_empty() { of_invocation(words, flags, Place::Field) } else { Vec::new() };
    for (index, script) in scripts {
        found.extend(of_script(script, flags).into_iter().map(|given| Given { word: index, ..given }));
    }
    found.dedup_by(|one, two| one.name == two.name);
    found
}

/// The secrets of a shell script, each once.
pub(crate) fn of_script(script: &str, flags: &[&str]) -> Vec<Given> {
    let mut found: Vec<Given> = Vec::new();
    for invocation in split_script(script) {
        for given in of_invocation(&invocation, flags, Place::Script) {
            if !found.iter().any(|known| known.name == given.name) {
                found.push(given);
            }
        }
    }
    found
}

/// The secrets of one program's words.
fn of_invocation(words: &[String], flags: &[&str], place: Place) -> Vec<Given> {
    let words = &words[..words.len().min(MAX_WORDS)];
    let mut found = Vec::new();
    let start = program_at(words);
    let is_program = |word: &&String| !word.starts_with('-') && !word.contains([':', '=', '@', ' ']);
    let program = words.get(start).filter(is_program).map_or("", |word| basename(word));
    let mut taken = None;
    for (index, word) in words.iter().enumerate() {
        if taken == Some(index) {
            continue;
        }
        let next = words.get(index + 1).map(String::as_str).filter(|next| !next.starts_with('-'));
        if let Some((given, uses_next)) = of_word(word, next, program, flags, place, index) {
            taken = uses_next.then_some(index + 1);
            found.push(given);
        }
    }
    found.extend(by_place(words, start, place));
    found
}

/// What one word gives away, and whether it is the next one that holds it.
fn of_word(
    word: &str,
    next: Option<&str>,
    program: &str,
    flags: &[&str],
    place: Place,
    index: usize,
) -> Option<(Given, bool)> {
    let given = |name: &str, sort: Option<Sort>, plain: Plain, next: bool| {
        Some((Given { name: told(name).to_owned(), sort, plain, word: index + usize::from(next) }, next))
    };
    let word = CARRIERS.iter().find_map(|carrier| word.strip_prefix(carrier)).unwrap_or(word);
    if let Some((flag, value, is_next)) = of_client(word, next, program) {
        let plain = judge(Noun::Password, value, place);
        return plain.and_then(|plain| given(flag, None, plain, is_next));
    }
    if let Some((name, value)) = assignment(word) {
        if let Some(plain) = flag_noun(name, flags).and_then(|noun| judge(noun, value, place)) {
            return given(name, None, plain, false);
        }
    } else if word.starts_with('-') && !word.contains(char::is_whitespace) {
        if let Some(value) = next
            && let Some(plain) = flag_noun(word, flags).and_then(|noun| judge(noun, value, place))
        {
            return given(word, None, plain, true);
        }
        return None;
    }
    let lower = word.to_ascii_lowercase();
    if let Some(header) = lower.find("authorization:").map(|at| word[at + "authorization:".len()..].trim()) {
        let value = header.split_once(' ').map_or(header, |(_, value)| value);
        return judge(Noun::Password, value, place).and_then(|plain| given("Authorization", None, plain, false));
    }
    if let Some(plain) = sql_password(word, place) {
        return given("IDENTIFIED BY", None, plain, false);
    }
    // A program in an argument: `--eval "db.createUser({…})"`.
    if let Some((name, plain)) = of_program(word) {
        return given(&name, None, plain, false);
    }
    let leak = find(word, place)?;
    let name = assignment(word).map_or(program, |(name, _)| name);
    given(name, Some(leak.sort), leak.plain, false)
}

/// A name as it may be told: `-psecret` is a flag with its value in one word.
fn told(name: &str) -> &str {
    let plain = name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"_-. ".contains(&letter));
    let attached = name.starts_with("-p") && !PASSWORD_FLAGS.contains(&name);
    if attached {
        "-p"
    } else if plain && !name.is_empty() {
        name
    } else {
        ARGUMENT
    }
}

/// A flag by which this program takes a password, and what it is given.
fn of_client<'a>(word: &'a str, next: Option<&'a str>, program: &str) -> Option<(&'static str, &'a str, bool)> {
    CLIENTS.iter().filter(|client| client.programs.contains(&program)).find_map(|client| {
        let rest = word.strip_prefix(client.flag)?;
        let (value, is_next) = match (rest, client.form) {
            ("", Form::Next | Form::Either) => (next?, true),
            (rest, Form::Attached | Form::Either) if !rest.is_empty() && !client.flag.starts_with("--") => {
                (rest, false)
            }
            (rest, Form::Either) => (rest.strip_prefix('=')?, false),
            _ => return None,
        };
        let value = if client.pair { value.split_once(':')?.1 } else { value };
        Some((client.flag, value, is_next))
    })
}

/// `--name=value`, `-Dname=value`, `NAME=value`.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let plain =
        !name.is_empty() && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"_-.".contains(&letter));
    plain.then_some((name, value))
}

/// What a flag's name says of its value.
fn flag_noun(name: &str, flags: &[&str]) -> Option<Noun> {
    if flags.contains(&name) {
        return Some(Noun::Token);
    }
    let bare = name.trim_start_matches('-');
    let bare = if name.starts_with("-D") { bare.trim_start_matches('D') } else { bare };
    let noun = noun(bare)?;
    let dashed = name.starts_with('-');
    let words = crate::names::words(bare);
    let telling = words.iter().rev().skip(1).any(|word| SECRET_FLAGS.contains(&word.as_str()));
    (noun != Noun::Secret || !dashed || telling).then_some(noun)
}

fn by_place(words: &[String], start: usize, place: Place) -> Option<Given> {
    let words = words.get(start..)?;
    let (known, at) = BY_PLACE.iter().find(|(known, _)| {
        known.len() <= words.len() && known.iter().zip(words).all(|(known, word)| *known == basename(word))
    })?;
    let plain = judge(Noun::Password, words.get(*at)?, place)?;
    Some(Given { name: known.join(" "), sort: None, plain, word: start + at })
}

/// `IDENTIFIED BY 'x'`, `WITH PASSWORD 'x'`: the password of an SQL statement.
pub(crate) fn sql_password(text: &str, place: Place) -> Option<Plain> {
    // Most lines are told apart without a copy of them.
    if !["assword", "ASSWORD", "dentified", "DENTIFIED"].iter().any(|part| text.contains(part)) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let mut worst = None;
    for begin in ["identified by ", " password ", "password("] {
        for (at, _) in lower.match_indices(begin) {
            let rest = text[at + begin.len()..].trim_start();
            let Some(quote) = rest.chars().next().filter(|letter| matches!(letter, '\'' | '"')) else { continue };
            let Some((value, _)) = rest[1..].split_once(quote) else { continue };
            worst = worst.max(judge(Noun::Password, value, place));
        }
    }
    worst
}

/// Where the program stands, behind assignments and wrappers.
fn program_at(words: &[String]) -> usize {
    let skipped = words
        .iter()
        .take_while(|word| WRAPPERS.contains(&basename(word)) || !word.starts_with('-') && assignment(word).is_some())
        .count();
    skipped.min(words.len().saturating_sub(1))
}

fn is_shell_flag(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.contains('c') && word.len() <= 6
}

fn basename(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of what is given away, and the word that holds it.
    fn check(words: &[&str], expected: &[(&str, usize)]) {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let found = of_words(&words, &["--auth"]);
        let found: Vec<(&str, usize)> = found.iter().map(|given| (given.name.as_str(), given.word)).collect();
        assert_eq!(found, expected, "{words:?}");
    }

    #[test]
    fn flags_and_assignments_give_secrets_away() {
        check(&["--requirepass", "hunter2"], &[("--requirepass", 1)]);
        check(&["redis-server", "--requirepass=hunter2"], &[("--requirepass", 1)]);
        check(&["--username", "username", "--password", "password"], &[("--password", 3)]);
        check(
            &["java", "-Dspring.datasource.password=hunter2", "-jar", "a.jar"],
            &[("-Dspring.datasource.password", 1)],
        );
        check(&["--auth", "hunter2"], &[("--auth", 1)]);
        check(
            &["oauth2-proxy", "--client-secret=hunter2", "--cookie-secret=hunter2"],
            &[("--client-secret", 1), ("--cookie-secret", 2)],
        );
        check(&["-httpAuth.password=hunter2"], &[("-httpAuth.password", 0)]);
        check(&["app", "postgres://a:hunter2@db/a"], &[("app", 1)]);
        check(&["postgres://a:hunter2@db"], &[("argument", 0)]);
        check(&["-phunter2password", "x"], &[("-p", 1)]);
        check(&["app", "--dsn=postgres://a:hunter2@db/a"], &[("--dsn", 1)]);
    }

    #[test]
    fn references_and_names_of_files_and_secrets_give_nothing_away() {
        check(&["--requirepass", "$(REDIS_PASSWORD)"], &[]);
        check(&["--password-file", "/run/secrets/db"], &[]);
        check(&["--password", "--verbose"], &[]);
        check(&["--default-authentication-plugin", "mysql_native_password"], &[]);
        check(&["--tls-secret=shop-tls", "--secret=shop", "--secret-name=a"], &[]);
        check(&["--token-ttl=24h", "--service-account-private-key-file=/k"], &[]);
        check(&["sh", "-c", "redis-server --requirepass \"$REDIS_PASSWORD\""], &[]);
        check(&["sh", "-c", "mysqladmin ping -p$MYSQL_ROOT_PASSWORD"], &[]);
        check(&["sh", "-c", "mysql -p\"$(cat /run/secrets/p)\" -e 'select 1'"], &[]);
        check(&["mongod", "-p", "27017"], &[]);
        check(&["sh", "-c", "mkdir -p /data && curl -u admin http://x"], &[]);
        check(
            &["bash", "-c", "mysql -h m <<EOF\nCHANGE MASTER TO\n  MASTER_PASSWORD='',\n  MASTER_USER='root';\nEOF"],
            &[],
        );
        check(&["sh", "-c", "mysql -h m -e \"CHANGE MASTER TO MASTER_PASSWORD='', MASTER_USER='root'\""], &[]);
    }

    #[test]
    fn clients_take_passwords_in_their_own_ways() {
        check(&["sh", "-c", "mysqladmin ping -phunter2"], &[("-p", 2)]);
        check(&["mysql", "-uroot", "-phunter2"], &[("-p", 2)]);
        check(&["bash", "-ec", "until mongosh -u a -p hunter2; do sleep 1; done"], &[("-p", 2)]);
        check(&["redis-cli", "-a", "hunter2", "ping"], &[("-a", 2)]);
        check(&["/bin/sh", "-c", "PGPASSWORD=hunter2 psql -h db"], &[("PGPASSWORD", 2)]);
        check(&["sh", "-c", "export DB_PASSWORD='hunter2'\nrun"], &[("DB_PASSWORD", 2)]);
        check(&["curl", "-u", "admin:hunter2", "http://es:9200"], &[("-u", 2)]);
        check(&["curl", "-H", "Authorization: Bearer hunter2hunter2"], &[("Authorization", 2)]);
        check(&["rabbitmqctl", "add_user", "app", "hunter2"], &[("rabbitmqctl add_user", 3)]);
        check(&["sh", "-c", "mc alias set m http://minio:9000 minio hunter2"], &[("mc alias set", 2)]);
        check(&["sh", "-c", "psql -c \"ALTER USER a WITH PASSWORD 'hunter2'\""], &[("IDENTIFIED BY", 2)]);
        check(&["kubectl", "create", "secret", "generic", "a", "--from-literal=password=hunter2"], &[("password", 5)]);
        check(&["mongosh", "--eval", "db.createUser({user: 'a', pwd: 'hunter2'})"], &[("pwd", 2)]);
        check(&["keytool", "-storepass", "hunter2"], &[("-storepass", 2)]);
        check(&["sh", "-c", "wget postgres://a:hunter2@db"], &[("wget", 2)]);
    }
}
