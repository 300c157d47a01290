//! Names and values on one line of text, as configuration files, JSON, shells and
//! programs write them.

/// A name and a value on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    /// Whether it stands in quotes: what doesn't may be code.
    pub(crate) is_quoted: bool,
}

/// The longest name that is looked for before a separator.
const MAX_NAME: usize = 128;

/// Every `name = value` and `name: value` of a line.
pub(crate) fn pairs(line: &str) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    let mut open: Option<char> = None;
    let mut skip_to = 0;
    for (at, letter) in line.char_indices() {
        if at < skip_to {
            continue;
        }
        match letter {
            '"' | '\'' if open == Some(letter) => open = None,
            '"' | '\'' if open.is_none() => open = Some(letter),
            '=' | ':' => {
                if let Some((pair, end)) = pair_at(line, at, letter, open) {
                    pairs.push(pair);
                    skip_to = end;
                    open = None;
                }
            }
            _ => {}
        }
    }
    pairs
}

/// The pair whose separator stands at `at`, and where its value ends.
fn pair_at(line: &str, at: usize, separator: char, open: Option<char>) -> Option<(Pair<'_>, usize)> {
    let (before, after) = (&line[..at], &line[at + 1..]);
    let doubled = after.starts_with(['=', ':', '~', '>']) || before.ends_with(['=', ':', '!', '<', '>', '+', '~', '?']);
    if doubled || separator == ':' && after.starts_with("//") {
        return None;
    }
    let name_text = before.trim_end();
    let name_text = name_text.strip_suffix(['"', '\'']).unwrap_or(name_text);
    let length = name_text
        .bytes()
        .rev()
        .take(MAX_NAME)
        .take_while(|letter| letter.is_ascii_alphanumeric() || b"_-.".contains(letter))
        .count();
    let name = &name_text[name_text.len() - length..];
    if name.is_empty() {
        return None;
    }
    let front = name_text[..name_text.len() - length].trim_end_matches(['"', '\'']).trim_end();
    // `Enter your password: now` is prose.
    if separator == ':' && !front.is_empty() && !front.ends_with(['{', ',', '[', '(', '-', '&', '=', ':', '?', ';']) {
        return None;
    }
    let value_text = after.trim_start();
    let begin = line.len() - value_text.len();
    let quote = value_text.chars().next().filter(|letter| matches!(letter, '"' | '\''));
    // The quote closes the text that the name stands in: `echo "password: "`.
    if quote.is_some() && quote == open {
        return None;
    }
    if let Some(quote) = quote {
        let length = value_text[1..].find(quote)?;
        return Some((Pair { name, value: &value_text[1..=length], is_quoted: true }, begin + length + 2));
    }
    if let (Some(open), true) = (open, separator == '=' || separator == ':') {
        // Inside a quoted text the value ends with it at the latest.
        let length = value_text
            .find(|letter: char| letter == open || letter.is_whitespace() || matches!(letter, ';' | '&' | ','))
            .unwrap_or(value_text.len());
        return Some((Pair { name, value: &value_text[..length], is_quoted: false }, begin + length));
    }
    let ends: &[char] = if separator == '=' { &[';', '&', ',', ')', '}'] } else { &[',', '}', ']'] };
    let length =
        value_text.find(|letter: char| letter.is_whitespace() || ends.contains(&letter)).unwrap_or(value_text.len());
    let rest = value_text[length..]
        .trim_start_matches(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '}' | ']' | ';' | ')'));
    // `Password: must be set`, and `proto: a b`: prose.
    let is_prose = separator == ':' && !rest.is_empty() && !value_text[length..].starts_with(',');
    (!is_prose).then_some((Pair { name, value: &value_text[..length], is_quoted: false }, begin + length))
}
