//! Colours, where a person looks.

use std::ffi::OsString;
use std::io::IsTerminal;

use crate::args::ColorChoice;

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

    /// Colours as asked for; where nothing is asked, for a terminal.
    pub fn of(stream: &impl IsTerminal, choice: ColorChoice) -> Palette {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if coloured(choice, stream.is_terminal(), variable) { Palette::COLOURS } else { Palette::default() }
    }
}

/// `NO_COLOR` (<https://no-color.org>) goes before `CLICOLOR_FORCE`
/// (<https://bixense.com/clicolors>), and both before what the terminal says of itself.
fn coloured(choice: ColorChoice, is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let is = |name: &str, value: &str| variable(name).is_some_and(|found| found == value);
            if variable("NO_COLOR").is_some() {
                return false;
            }
            if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
                return true;
            }
            is_terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_flag_then_the_environment_then_the_terminal() {
        let check = |choice, terminal, variables: &[(&str, &str)]| {
            coloured(choice, terminal, |name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            })
        };
        let auto = ColorChoice::Auto;
        assert!(check(auto, true, &[]));
        assert!(!check(auto, false, &[]));
        assert!(!check(auto, true, &[("NO_COLOR", "1")]));
        assert!(!check(auto, true, &[("TERM", "dumb")]));
        assert!(!check(auto, true, &[("CLICOLOR", "0")]));
        assert!(check(auto, false, &[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")]));
        assert!(!check(auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!check(auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(check(ColorChoice::Always, false, &[("NO_COLOR", "1")]));
        assert!(!check(ColorChoice::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }
}
