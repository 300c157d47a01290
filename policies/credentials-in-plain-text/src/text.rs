//! Secrets in the text of configuration files: properties, INI, YAML, JSON,
//! XML, directives, SQL and scripts, read line by line.
//!
//! It is no parser of any of these; it finds `name` and `value` where they stand
//! as such files write them, and says nothing of what it doesn't understand.
//! Comments, code and prose give nothing away.

use crate::command::{of_script, sql_password};
use crate::content::{Leak, Sort, find, has_private_key};
use crate::names::{Noun, noun, words};
use crate::pairs::{Pair, pairs};
use crate::values::{Place, Plain, is_reference, judge, unquote};

/// Something secret in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The name that it stands at, where it has one; never the secret.
    pub(crate) name: Option<String>,
    pub(crate) sort: Option<Sort>,
    pub(crate) plain: Plain,
}

/// Files of programs and templates: only what stands in quotes is a value there.
const CODE: [&str; 24] = [
    "go",
    "gotmpl",
    "gradle",
    "groovy",
    "hcl",
    "j2",
    "java",
    "jinja",
    "js",
    "jsonnet",
    "kt",
    "libsonnet",
    "lua",
    "mjs",
    "php",
    "pl",
    "ps1",
    "py",
    "rb",
    "rego",
    "star",
    "tf",
    "tpl",
    "ts",
];
/// Prose: an example is no secret.
const PROSE: [&str; 5] = ["adoc", "htm", "html", "md", "rst"];
/// Words in the name of a file with texts for people, in which `password` is a label.
const TRANSLATIONS: [&str; 8] = ["i18n", "l10n", "lang", "language", "locale", "locales", "messages", "translations"];
/// Shell scripts.
const SCRIPTS: [&str; 3] = ["bash", "sh", "zsh"];
/// Directives with a password behind a space.
const DIRECTIVES: [&str; 5] = ["masterauth", "masterpass", "primaryauth", "rename-command-auth", "requirepass"];
/// Longer lines are data, not settings; they are searched for keys and URLs only.
const MAX_LINE: usize = 4_096;
/// More findings in one file say nothing more.
const MAX_FOUND: usize = 10;

/// The secrets of a file, each name once.
pub(crate) fn of_file(file: &str, text: &str) -> Vec<Found> {
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let is = |known: &[&str]| known.contains(&extension.as_str());
    let mut found = Vec::new();
    if has_private_key(text) {
        found.push(Found { name: None, sort: Some(Sort::PrivateKey), plain: Plain::Secret });
    }
    if is(&PROSE) || words(file).iter().any(|word| TRANSLATIONS.contains(&word.as_str())) {
        return found;
    }
    let mut add = |one: Found| {
        if found.len() < MAX_FOUND && !found.iter().any(|known: &Found| known.name == one.name) {
            found.push(one);
        }
    };
    if is(&SCRIPTS) || text.starts_with("#!") && text.lines().next().is_some_and(|line| line.ends_with("sh")) {
        let given = of_script(text, &[]).into_iter();
        given.for_each(|given| add(Found { name: Some(given.name), sort: given.sort, plain: given.plain }));
        return found;
    }
    of_login_file(file, text).into_iter().for_each(&mut add);
    let is_code = is(&CODE) || text.starts_with("#!");
    let mut named: Option<&str> = None;
    for line in text.lines() {
        let line = without_comment(line.trim());
        if line.is_empty() {
            continue;
        }
        of_line(line, is_code, &mut named).into_iter().for_each(&mut add);
    }
    found
}

/// What a program's text in an argument gives away: a quoted value at a telling name.
pub(crate) fn of_program(text: &str) -> Option<(String, Plain)> {
    if !text.contains(['{', '(']) || text.len() > MAX_LINE {
        return None;
    }
    pairs(text)
        .iter()
        .filter_map(|pair| of_pair(pair.name, pair, true))
        .find_map(|found| Some((found.name?, found.plain)))
}

/// Logins in files of their own form: Docker's, PostgreSQL's `.pgpass`, PgBouncer's `userlist.txt`.
fn of_login_file(file: &str, text: &str) -> Option<Found> {
    let place = Place::File;
    let lines = || text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let (name, plain) = if text.contains("\"auths\"") {
        let values = lines().flat_map(pairs).filter(|pair| pair.name == "auth" && pair.is_quoted);
        ("auth", values.filter_map(|pair| judge(Noun::Password, pair.value, place)).max()?)
    } else if file.ends_with("pgpass") {
        ("pgpass", lines().filter_map(|line| judge(Noun::Password, line.splitn(5, ':').nth(4)?, place)).max()?)
    } else if file.ends_with("userlist.txt") {
        ("userlist", lines().filter_map(|line| judge(Noun::Password, line.split('"').nth(3)?, place)).max()?)
    } else {
        return None;
    };
    Some(Found { name: Some(name.to_owned()), sort: None, plain })
}

/// The secrets of a line. `named` is a name that waits for its value on the next:
/// `- name: PASSWORD`, then `value: …`.
fn of_line<'a>(line: &'a str, is_code: bool, named: &mut Option<&'a str>) -> Vec<Found> {
    let place = Place::File;
    let mut found = Vec::new();
    let waiting = named.take();
    if line.len() <= MAX_LINE {
        let pairs = pairs(line);
        let mut name_of_pair = waiting;
        for pair in &pairs {
            match pair.name.trim_start_matches(['-', ' ']) {
                "name" | "key" => name_of_pair = Some(pair.value),
                "value" | "content" | "default" => {
                    let name = name_of_pair.take();
                    let plain = name.and_then(noun).and_then(|noun| judge(noun, pair.value, place));
                    found.extend(plain.map(|plain| Found { name: name.map(str::to_owned), sort: None, plain }));
                }
                name => found.extend(of_pair(name, pair, is_code)),
            }
        }
        *named = name_of_pair;
        found.extend(directive(line));
        found.extend(element(line));
        found.extend(sql_password(line, place).map(|plain| Found {
            name: Some("IDENTIFIED BY".to_owned()),
            sort: None,
            plain,
        }));
        found.extend(header(line).map(|plain| Found { name: Some("Authorization".to_owned()), sort: None, plain }));
        if found.is_empty() {
            // The first name of the line, where the line begins with it: one inside a URL may be its password.
            let line_begins = line.trim_start_matches(['-', ' ', '"', '\'', '{']);
            let first = pairs
                .first()
                .map(|pair| pair.name.trim_start_matches('-'))
                .filter(|name| line_begins.starts_with(name));
            let name = first.map(str::to_owned);
            found.extend(leak_of(line, is_code).map(|leak| Found { name, sort: Some(leak.sort), plain: leak.plain }));
        }
    } else {
        found.extend(find(line, place).filter(|leak| leak.sort != Sort::Url).map(|leak| Found {
            name: None,
            sort: Some(leak.sort),
            plain: leak.plain,
        }));
    }
    found
}

/// What shows by itself on a line, but for private keys, for which the whole text is searched.
fn leak_of(line: &str, is_code: bool) -> Option<Leak> {
    find(line, Place::File)
        .filter(|leak| leak.sort != Sort::PrivateKey && !(is_code && line.contains('%') && leak.sort == Sort::Url))
}

fn of_pair(name: &str, pair: &Pair<'_>, is_code: bool) -> Option<Found> {
    let noun = noun(name)?;
    let value = pair.value;
    // A call, a list, a selector (`input.token`) or several words are code and prose.
    let is_expression =
        value.contains(['(', '[', '{', '\\']) && !pair.is_quoted || value.starts_with('.') || value.starts_with('[');
    let is_prose = value.contains(char::is_whitespace);
    if is_expression || is_prose || is_code && !pair.is_quoted {
        return None;
    }
    judge(noun, value, Place::File).map(|plain| Found { name: Some(name.to_owned()), sort: None, plain })
}

/// `requirepass x`, `user default on >x`.
fn directive(line: &str) -> Option<Found> {
    let mut words = line.split_whitespace();
    let first = words.next()?.to_ascii_lowercase();
    let place = Place::File;
    if first == "user" {
        let password = words.skip(1).find_map(|word| word.strip_prefix('>'))?;
        return judge(Noun::Password, password, place).map(|plain| Found {
            name: Some("user".to_owned()),
            sort: None,
            plain,
        });
    }
    if !DIRECTIVES.contains(&first.as_str()) {
        return None;
    }
    let plain = judge(Noun::Password, words.next()?, place)?;
    Some(Found { name: Some(first), sort: None, plain })
}

/// `<password>x</password>`.
fn element(line: &str) -> Option<Found> {
    let begin = line.find('<')?;
    let (name, rest) = line[begin + 1..].split_once('>')?;
    let name = name.split_whitespace().next()?;
    let (value, _) = rest.split_once("</")?;
    let plain = judge(noun(name)?, value, Place::File)?;
    Some(Found { name: Some(name.to_owned()), sort: None, plain })
}

/// `Authorization: Basic …`, `proxy_set_header Authorization "Bearer …"`.
fn header(line: &str) -> Option<Plain> {
    if !["uthorization", "UTHORIZATION"].iter().any(|part| line.contains(part)) {
        return None;
    }
    let lower = line.to_ascii_lowercase();
    let at = lower.find("authorization")?;
    let scheme = ["basic ", "bearer "]
        .into_iter()
        .find_map(|scheme| lower[at..].find(scheme).map(|begin| at + begin + scheme.len()))?;
    let value = line[scheme..]
        .split(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | ';' | ','))
        .next()?;
    let is_token = value.len() > 7 && !is_reference(value, Place::Script);
    if is_token { judge(Noun::Password, value, Place::Script) } else { None }
}

/// Without a comment: a whole line, or what stands behind ` #`.
fn without_comment(line: &str) -> &str {
    let is_comment =
        ["#", "//", ";", "-- ", "/*", "* ", "<!--", "%", "REM "].iter().any(|begin| line.starts_with(begin));
    if is_comment && !line.starts_with("#!") || line == "*" {
        return "";
    }
    let quoted = |at: usize| ['"', '\''].iter().any(|&quote| line[..at].matches(quote).count() % 2 == 1);
    line.match_indices(" #").find(|(at, _)| !quoted(*at)).map_or(line, |(at, _)| line[..at].trim_end())
}

/// Whether a value of a ConfigMap is a file rather than one setting.
pub(crate) fn is_file(key: &str, value: &str) -> bool {
    let text = value.trim();
    let has_extension = key.rsplit_once('.').is_some_and(|(_, extension)| {
        matches!(
            extension,
            "acl"
                | "cfg"
                | "cnf"
                | "conf"
                | "config"
                | "env"
                | "hcl"
                | "ini"
                | "json"
                | "pgpass"
                | "properties"
                | "sh"
                | "sql"
                | "toml"
                | "xml"
                | "yaml"
                | "yml"
        )
    });
    text.contains('\n') || has_extension || unquote(text).starts_with('{') && text.ends_with('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names at which something secret stands; `-` where it has none.
    fn check(file: &str, text: &str, expected: &[&str]) {
        let found = of_file(file, text);
        let found: Vec<&str> = found.iter().map(|found| found.name.as_deref().unwrap_or("-")).collect();
        assert_eq!(found, expected, "{file}:\n{text}");
    }

    #[test]
    fn settings_of_every_form_are_read() {
        check(
            "application.properties",
            "spring.datasource.url=jdbc:mysql://db/a\nspring.datasource.password=hunter2",
            &["spring.datasource.password"],
        );
        check("a.ini", "[db]\nuser = app\npassword = hunter2 ; really", &["password"]);
        check("a.yaml", "auth:\n  username: admin\n  password: password", &["password"]);
        check("a.yaml", "- {user: a, password: hunter2}", &["password"]);
        check("a.json", "{\"host\": \"db\", \"password\": \"hunter2\", \"port\": 1}", &["password"]);
        check("redis.conf", "bind 0.0.0.0\nrequirepass hunter2\nmasterauth hunter2", &["requirepass", "masterauth"]);
        check("users.acl", "user default on >hunter2 ~* +@all", &["user"]);
        check("users.xml", "<default>\n  <password>hunter2</password>\n</default>", &["password"]);
        check("core.xml", "<property name=\"db.password\" value=\"hunter2\"/>", &["db.password"]);
        check("rabbitmq.conf", "default_user = a\ndefault_pass = hunter2", &["default_pass"]);
        check("init.sql", "CREATE USER app IDENTIFIED BY 'hunter2';", &["IDENTIFIED BY"]);
        check("init.sql", "ALTER ROLE app WITH PASSWORD 'hunter2';", &["IDENTIFIED BY"]);
        check("init.js", "db.createUser({user: 'a', pwd: 'hunter2'})", &["pwd"]);
        check("run.sh", "#!/bin/sh\nexport PGPASSWORD=hunter2\npsql", &["PGPASSWORD"]);
        check("pod.yaml", "env:\n- name: DB_PASSWORD\n  value: hunter2", &["DB_PASSWORD"]);
        check(".env", "API_TOKEN=hunter2hunter2", &["API_TOKEN"]);
        check("nginx.conf", "proxy_set_header Authorization \"Basic aHVudGVyMjpodW50ZXIy\";", &["Authorization"]);
        check("config.json", "{\"auths\": {\"registry.example\": {\"auth\": \"aHVudGVyMjpodW50ZXIy\"}}}", &["auth"]);
        check(".pgpass", "db:5432:*:app:hunter2", &["pgpass"]);
        check("userlist.txt", "\"app\" \"hunter2\"", &["userlist"]);
        check("app.toml", "url = \"postgres://a:hunter2@db/a\"", &["url"]);
        check(
            "a.txt",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA\n-----END PRIVATE KEY-----",
            &["-"],
        );
    }

    #[test]
    fn comments_code_prose_references_and_types_say_nothing() {
        for (file, text) in [
            ("a.yaml", "# password: hunter2\n  # token: hunter2"),
            ("a.ini", ";password=hunter2"),
            ("init.sql", "-- password 'hunter2'"),
            ("a.yaml", "password: ${DB_PASSWORD}\ntoken: $TOKEN\nsecret: \"\""),
            ("a.yaml", "passwordFrom:\n  secretKeyRef:\n    name: db\n    key: password"),
            ("a.yaml", "password:\n  valueFrom: x"),
            ("a.yaml", "password_file: /run/secrets/db\ntls_secret: shop-tls"),
            ("a.rego", "allow { token := input.token; token == data.token }\npassword = input.password"),
            ("a.py", "password = os.environ['DB_PASSWORD']\nconnect(password=password)"),
            (
                "run.sh",
                "#!/bin/sh\nread -p \"Password: \" password\necho \"password: $password\"\nPGPASSWORD=\"$(cat /p)\" psql",
            ),
            ("README.md", "password: hunter2"),
            ("schema.json", "{\"password\": {\"type\": \"string\"}, \"token\": \"string\"}"),
            ("a.proto", "string password = 1;"),
            ("de.properties", "login.password=Passwort\nlogin.hint=Enter your password: now"),
            ("messages_nl.properties", "password=Wachtwoord"),
            (".pgpass", "# db:5432:*:app:hunter2"),
            ("de.json", "{\"password\": \"Enter your password\"}"),
            ("pg.conf", "password_encryption = scram-sha-256"),
            ("pg_hba.conf", "host all all 0.0.0.0/0 scram-sha-256"),
            ("app.yaml", "url: http://etcd:2379\nimage: registry:5000/a/b\ntoken_ttl: 24h"),
            ("a.js", "const url = `postgres://${user}:${password}@db`"),
            ("grafana.ini", "admin_password = $__file{/etc/secrets/p}\nsecret_key = %(KEY)s"),
            ("a.yaml", "imagePullSecrets:\n- name: regcred"),
            ("a.yaml", "env:\n- name: DB_PASSWORD\n  valueFrom: {}\n- name: DB_HOST\n  value: db"),
        ] {
            check(file, text, &[]);
        }
    }
}
