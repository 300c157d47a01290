//! Colours, where a person looks.

use std::io::IsTerminal;

/// The escape sequences that are used, or nothing in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Palette {
    /// For what stops a request.
    pub denied: &'static str,
    /// For what doesn't.
    pub warned: &'static str,
    /// For places.
    pub place: &'static str,
    /// For what would be right.
    pub help: &'static str,
    /// For headings.
    pub bold: &'static str,
    /// Ends each of them.
    pub end: &'static str,
}

impl Palette {
    /// With colours.
    pub const COLOURS: Palette = Palette {
        denied: "\x1b[1;31m",
        warned: "\x1b[1;33m",
        place: "\x1b[34m",
        help: "\x1b[36m",
        bold: "\x1b[1m",
        end: "\x1b[0m",
    };

    /// Colours for a terminal, unless `NO_COLOR` (<https://no-color.org>) or a
    /// dumb terminal says otherwise.
    pub fn of(stream: &impl IsTerminal) -> Palette {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        if stream.is_terminal() && !refused && !dumb { Palette::COLOURS } else { Palette::default() }
    }
}
