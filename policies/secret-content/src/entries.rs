//! Credentials inside a value that is more than one: URLs, connection strings,
//! and files of settings (JSON, YAML, properties, dotenv).
//!
//! Nothing here is a parser of those formats: a name, a sign and a value on one
//! line is what they share, and enough to find what somebody forgot to fill in.

use serde_json::Value;

/// A file with more entries is data, not settings.
const MAX_ENTRIES: usize = 1000;

/// A name and what stands behind it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'t> {
    pub(crate) name: String,
    pub(crate) value: std::borrow::Cow<'t, str>,
}

/// The entries of a text, if it looks like a file of settings or a connection string.
pub(crate) fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    if text.trim_start().starts_with(['{', '[']) {
        if let Ok(value) = serde_json::from_str(text) {
            of_json("", &value, &mut found);
        }
        return found;
    }
    for line in text.lines().map(str::trim) {
        if found.len() >= MAX_ENTRIES {
            break;
        }
        if !line.starts_with(['#', ';']) && !line.starts_with("//") {
            of_line(line, &mut found);
        }
    }
    found
}

fn of_json(name: &str, value: &Value, found: &mut Vec<Entry<'_>>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| of_json(name, member, found)),
        Value::Array(elements) => elements.iter().for_each(|element| of_json(name, element, found)),
        Value::String(text) if found.len() < MAX_ENTRIES => {
            found.push(Entry { name: name.to_owned(), value: text.clone().into() });
        }
        _ => {}
    }
}

fn of_line<'t>(line: &'t str, found: &mut Vec<Entry<'t>>) {
    let line = line.strip_prefix("- ").unwrap_or(line).trim_start_matches("export ");
    // YAML and JSON: a colon with a space behind it.
    if let Some((name, value)) = line.split_once(": ").filter(|(name, _)| is_name(name)) {
        found.push(entry(name, value));
        return;
    }
    match line.matches('=').count() {
        0 => {}
        1 => {
            found.extend(line.split_once('=').filter(|(name, _)| is_name(name)).map(|(name, value)| entry(name, value)))
        }
        // `host=a password=b`, `Server=a;Password=b`, `jdbc:…?user=a&password=b`
        _ => {
            let parts = line.split([';', '&', '?', ' ']).filter_map(|part| part.split_once('=')).take(MAX_ENTRIES);
            found.extend(parts.filter(|(name, _)| is_name(name)).map(|(name, value)| entry(name, value)));
        }
    }
}

/// Names are short and have no white space inside.
fn is_name(name: &str) -> bool {
    let name = unquoted(name.trim());
    !name.is_empty() && name.len() <= 128 && !name.contains(char::is_whitespace)
}

fn entry<'t>(name: &str, value: &'t str) -> Entry<'t> {
    let value = value.trim().trim_end_matches(',');
    let is_quoted = value.starts_with(['"', '\'']);
    let value = if is_quoted { value } else { value.split_once(" #").map_or(value, |(value, _)| value.trim_end()) };
    Entry { name: unquoted(name.trim()).to_owned(), value: unquoted(value).into() }
}

fn unquoted(text: &str) -> &str {
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text)
}

/// The passwords in the URLs of a text: `x` of `postgres://app:x@db/shop`.
pub(crate) fn url_passwords(text: &str) -> Vec<&str> {
    text.split("://")
        .skip(1)
        .take(MAX_ENTRIES)
        .filter_map(|rest| {
            let end = rest.find(|c: char| c.is_whitespace() || "/\"'?#,".contains(c)).unwrap_or(rest.len());
            let (login, _) = rest[..end].rsplit_once('@')?;
            let (_, password) = login.split_once(':')?;
            Some(password).filter(|password| !password.is_empty())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_every_format_give_names_and_values() {
        let pairs = |text: &str| -> Vec<(String, String)> {
            entries(text).into_iter().map(|entry| (entry.name, entry.value.into_owned())).collect()
        };
        let one = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert_eq!(pairs("apiUrl: \"https://a\"\npassword: <password>\n").len(), 2);
        assert_eq!(pairs("  password: 'a b'"), one("password", "a b"));
        assert_eq!(pairs("spring.datasource.password=changeme # later"), one("spring.datasource.password", "changeme"));
        assert_eq!(pairs("export TOKEN=\"x # y\""), one("TOKEN", "x # y"));
        assert_eq!(pairs("# password: changeme\n; a=b\n// c: d"), []);
        assert_eq!(pairs("{\"db\": {\"password\": \"x\"}, \"n\": 1}"), one("password", "x"));
        assert_eq!(pairs("[{\"token\": \"x\"}]"), one("token", "x"));
        assert_eq!(pairs("{ not json: x"), []);
        assert_eq!(pairs("host=db user=app password=x")[2], ("password".to_owned(), "x".to_owned()));
        assert_eq!(pairs("Server=db;Password=x")[1], ("Password".to_owned(), "x".to_owned()));
        assert_eq!(pairs("just a sentence: with a colon"), []);
        assert_eq!(pairs("c2VjcmV0"), []);
    }

    #[test]
    fn what_is_data_and_not_settings_is_read_only_so_far() {
        assert_eq!(entries(&"a=b&".repeat(5000)).len(), MAX_ENTRIES);
        assert_eq!(entries(&"a: b\n".repeat(5000)).len(), MAX_ENTRIES);
        assert_eq!(url_passwords(&"x://u:p@h ".repeat(5000)).len(), MAX_ENTRIES);
    }

    #[test]
    fn passwords_are_found_in_urls() {
        for (text, expected) in [
            ("postgres://app:x@db:5432/shop?sslmode=disable", vec!["x"]),
            ("amqp://guest:guest@mq", vec!["guest"]),
            ("redis://:x@cache/0", vec!["x"]),
            ("https://shop.example/a:b@c", vec![]),
            ("https://shop.example:8443/", vec![]),
            ("https://token@git.example/", vec![]),
            ("a=http://u:p@one, b=http://u:q@two", vec!["p", "q"]),
            ("nothing", vec![]),
        ] {
            assert_eq!(url_passwords(text), expected, "{text}");
        }
    }
}
