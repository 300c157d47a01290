//! What a container's command line runs: the programs that it starts, seen
//! through wrappers, entry points and `sh -c`, and its words, for flags.
//!
//! It is a reading, not a shell: quotes, separators, comments and keywords are
//! understood, variables and files are not. What isn't understood says nothing.

use crate::catalogue::{self, PROGRAMS, Program, Role};

/// Programs that start what stands behind them.
const WRAPPERS: [&str; 21] = [
    "catatonit",
    "command",
    "docker-entrypoint.sh",
    "docker-entrypoint",
    "dumb-init",
    "entrypoint.sh",
    "entrypoint",
    "env",
    "eval",
    "exec",
    "ionice",
    "nice",
    "nohup",
    "numactl",
    "run.sh",
    "setpriv",
    "stdbuf",
    "sudo",
    "time",
    "tini",
    "container-entrypoint",
];
/// Wrappers whose first word is a user or a duration.
const WRAPPERS_WITH_ARGUMENT: [&str; 4] = ["gosu", "su-exec", "timeout", "chroot"];
/// Shells: with `-c` they run a script text, else a script file.
const SHELLS: [&str; 6] = ["ash", "bash", "dash", "ksh", "sh", "zsh"];
/// What a script's line may begin with before its program.
const KEYWORDS: [&str; 10] = ["!", "do", "done", "elif", "else", "fi", "if", "then", "until", "while"];
/// A script longer than this is read no further: real ones have a few hundred words.
const MAX_WORDS: usize = 10_000;

/// A container's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// Each program with its arguments.
    invocations: Vec<Vec<String>>,
    /// All words in a row.
    words: Vec<String>,
}

impl CommandLine {
    /// Reads `command` and `args`. Without a command the arguments go to the
    /// image's entry point, which takes them as its own sub-command or flags.
    pub(crate) fn read(command: &[String], args: &[String]) -> Self {
        let direct: Vec<String> = command.iter().chain(args).cloned().collect();
        let invocations = match script_of(&direct) {
            Some(script) => split_script(script),
            None => vec![direct],
        };
        let words = invocations.iter().flatten().take(MAX_WORDS).cloned().collect();
        Self { invocations, words }
    }

    /// What the catalogue knows of it. `image_name` is the program that an
    /// image's entry point most likely is.
    pub(crate) fn program(&self, image_name: &str) -> Option<Program> {
        let mut other = None;
        let mut last_is_unknown = false;
        for invocation in &self.invocations {
            let Some((program, rest)) = unwrap(invocation).split_first() else { continue };
            let own = if program.starts_with('-') { None } else { lookup(basename(program), rest, false) };
            let known = own.or_else(|| lookup(image_name, invocation, true));
            match known {
                Some(Program::Server(_)) => return known,
                Some(Program::Other(role)) => {
                    last_is_unknown = false;
                    // Waiting and echoing say less than what is waited for.
                    if other.is_none_or(|before| before == Role::Idle) {
                        other = Some(role);
                    }
                }
                None => last_is_unknown = !is_builtin(basename(program)),
            }
        }
        // A script that waits with a client and then starts something unknown may start anything.
        if last_is_unknown { None } else { other.map(Program::Other) }
    }

    /// The values given to a flag: `--flag value`, `--flag=value`; for a name
    /// without a dash (`path.data`) the assignment in any form.
    pub(crate) fn values<'a>(&'a self, flag: &'a str) -> impl Iterator<Item = &'a str> {
        self.words.iter().enumerate().filter_map(move |(index, word)| {
            if flag.starts_with('-') && word == flag {
                return self.words.get(index + 1).map(String::as_str);
            }
            let (name, value) = word.split_once('=')?;
            let name = if flag.starts_with('-') { name } else { name.trim_start_matches('-').trim_start_matches('E') };
            (name == flag).then_some(value)
        })
    }

    /// Whether a flag stands there with this value, or at all.
    pub(crate) fn has(&self, flag: &str, value: Option<&str>) -> bool {
        match value {
            Some(value) => {
                self.values(flag).any(|given| unquote(given) == value || given.split(',').any(|part| part == value))
            }
            None => self.words.iter().any(|word| {
                word == flag || word.strip_prefix(flag).is_some_and(|rest| matches!(rest, "=true" | "=1" | "=yes"))
            }),
        }
    }

    /// The words, in order.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }
}

/// What a program with these arguments is. `as_entry_point`: only if the arguments say so too.
fn lookup(program: &str, rest: &[String], as_entry_point: bool) -> Option<Program> {
    let program = program.to_ascii_lowercase();
    let meanings = catalogue::find(PROGRAMS, &program)?;
    meanings
        .iter()
        .find(|(words, _)| !(as_entry_point && words.is_empty()) && follows(words, rest))
        .map(|(_, program)| *program)
}

/// Whether flags stand anywhere, and the other words at the start of what isn't a flag.
fn follows(words: &[&str], rest: &[String]) -> bool {
    let (flags, positional): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
    let mut given = rest.iter().filter(|word| !word.starts_with('-'));
    let dashless = |flag: &str| flag.trim_start_matches('-').to_owned();
    flags.iter().all(|flag| rest.iter().any(|word| word.starts_with('-') && dashless(word) == dashless(flag)))
        && positional.iter().all(|word| given.next().is_some_and(|given| given.eq_ignore_ascii_case(word)))
}

/// The script text of `sh -c TEXT`.
fn script_of(words: &[String]) -> Option<&str> {
    let words = unwrap(words);
    let (shell, rest) = words.split_first()?;
    if !SHELLS.contains(&basename(shell)) {
        return None;
    }
    let flag = rest.iter().position(|word| {
        word.starts_with('-') && !word.starts_with("--") && word.ends_with(['c', 'e', 'x']) && word.contains('c')
    })?;
    rest[flag + 1..].iter().find(|word| !word.starts_with('-')).map(String::as_str)
}

/// Without wrappers, shells and assignments in front.
fn unwrap(words: &[String]) -> &[String] {
    let mut words = words;
    while let Some((first, rest)) = words.split_first() {
        let name = basename(first);
        let assignment = first.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        });
        let shell_on_file = SHELLS.contains(&name) && rest.first().is_some_and(|word| !word.starts_with('-'));
        if !rest.is_empty() && (WRAPPERS.contains(&name) || shell_on_file) {
            words = skip_flags(rest);
        } else if WRAPPERS_WITH_ARGUMENT.contains(&name) && rest.len() > 1 {
            words = &skip_flags(rest)[1.min(rest.len())..];
        } else if assignment || KEYWORDS.contains(&name) {
            words = rest;
        } else {
            break;
        }
    }
    words
}

fn skip_flags(words: &[String]) -> &[String] {
    let begin = words.iter().position(|word| !word.starts_with('-')).unwrap_or(words.len());
    &words[begin..]
}

fn basename(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

fn unquote(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

/// What a script does between its programs.
fn is_builtin(program: &str) -> bool {
    matches!(
        program,
        "" | "["
            | "[["
            | "test"
            | "set"
            | "cd"
            | "export"
            | "trap"
            | "wait"
            | "exit"
            | "for"
            | "case"
            | "esac"
            | "in"
            | "printf"
            | "read"
            | "local"
            | "return"
            | "source"
            | "."
            | "mkdir"
            | "cp"
            | "mv"
            | "rm"
            | "sed"
            | "grep"
            | "awk"
            | "ls"
            | "date"
            | "hostname"
            | "kill"
            | "id"
            | "ln"
            | "touch"
            | "tee"
            | "find"
            | "ulimit"
            | "umask"
            | "shift"
            | "break"
            | "continue"
            | "unset"
            | "apk"
            | "apt-get"
            | "yum"
            | "pip"
    )
}

/// A shell script's commands, each in words: quotes, separators and comments are understood, variables aren't.
pub fn split_script(script: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut command: Vec<String> = Vec::new();
    let mut word = String::new();
    let (mut in_word, mut count) = (false, 0);
    let mut quote = None;
    let mut letters = script.chars().peekable();
    let mut end_word = |word: &mut String, in_word: &mut bool, command: &mut Vec<String>| {
        if std::mem::take(in_word) && count < MAX_WORDS {
            count += 1;
            command.push(std::mem::take(word));
        }
    };
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(mark), _) if letter == mark => quote = None,
            (Some('\''), _) => word.push(letter),
            (_, '\\') => match letters.next() {
                Some('\n') | None => {}
                Some(escaped) => {
                    in_word = true;
                    word.push(escaped);
                }
            },
            (Some(_), _) => word.push(letter),
            (None, '"' | '\'') => {
                quote = Some(letter);
                in_word = true;
            }
            (None, '#') if !in_word => while letters.next_if(|&letter| letter != '\n').is_some() {},
            (None, '\n' | ';' | '&' | '|' | '(' | ')' | '`') => {
                end_word(&mut word, &mut in_word, &mut command);
                if !command.is_empty() {
                    commands.push(std::mem::take(&mut command));
                }
            }
            (None, letter) if letter.is_whitespace() => end_word(&mut word, &mut in_word, &mut command),
            (None, letter) => {
                in_word = true;
                word.push(letter);
            }
        }
    }
    end_word(&mut word, &mut in_word, &mut command);
    if !command.is_empty() {
        commands.push(command);
    }
    commands
}
