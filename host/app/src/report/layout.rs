//! How text for people is laid out: colours and width. A terminal's width is
//! respected; what goes to a file or a pipe is not wrapped, so that it can be
//! searched line by line.

use std::io::IsTerminal;

use super::palette::Palette;
use crate::args::ColorChoice;

/// The narrowest terminal for which text is wrapped; below it would be one word a line.
const MIN_WIDTH: usize = 40;
/// Longer lines are hard to read, however wide the window.
const MAX_WIDTH: usize = 140;

/// Colours and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// Colours.
    pub palette: Palette,
    /// Columns; None: lines are as long as they are.
    pub width: Option<usize>,
}

impl Layout {
    /// For standard output.
    pub fn of_stdout(choice: ColorChoice) -> Layout {
        let stdout = std::io::stdout();
        let width = if stdout.is_terminal() { terminal_size::terminal_size_of(&stdout) } else { None };
        Layout::new(Palette::of(&stdout, choice), width)
    }

    /// For standard error.
    pub fn of_stderr(choice: ColorChoice) -> Layout {
        let stderr = std::io::stderr();
        let width = if stderr.is_terminal() { terminal_size::terminal_size_of(&stderr) } else { None };
        Layout::new(Palette::of(&stderr, choice), width)
    }

    fn new(palette: Palette, size: Option<(terminal_size::Width, terminal_size::Height)>) -> Layout {
        let width = size.map(|(width, _)| usize::from(width.0).min(MAX_WIDTH)).filter(|width| *width >= MIN_WIDTH);
        Layout { palette, width }
    }

    /// The lines of a text; all but the first begin with an indentation.
    pub fn lines(&self, text: &str, indent: &str) -> Vec<String> {
        match self.width {
            Some(width) => {
                let options = textwrap::Options::new(width).subsequent_indent(indent).break_words(false);
                textwrap::wrap(text, options).into_iter().map(std::borrow::Cow::into_owned).collect()
            }
            None => {
                let lines = text.split('\n').enumerate();
                lines
                    .map(|(index, line)| if index == 0 { line.to_owned() } else { format!("{indent}{line}") })
                    .collect()
            }
        }
    }
}

/// Text that comes from a manifest can't move the cursor: control characters
/// are shown escaped, line breaks stay.
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            '\n' => shown.push('\n'),
            character if is_unsafe(character) => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}

/// Control characters, and those that change the direction of what follows
/// (CVE-2021-42574: a text that shows other than it is).
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}
