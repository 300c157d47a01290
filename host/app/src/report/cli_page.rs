//! The command line's reference page, made of the command line itself. A test
//! holds `docs/cli.md` to it.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

/// The page.
pub fn page(mut command: Command) -> String {
    command.build();
    let mut page =
        String::from("<!-- made from the command line itself: `BLESS=1 cargo test -p portcullis --test docs` -->\n\n");
    let _ = write!(page, "# The command line\n\n{}\n\n", about(&command));
    page.push_str("| Command | |\n|---|---|\n");
    for subcommand in shown(&command) {
        let name = subcommand.get_name();
        let _ = writeln!(page, "| [`portcullis {name}`](#portcullis-{name}) | {} |", cell(&about(subcommand)));
    }
    page.push_str(
        "\nExit codes: 0 fine, 1 something was found that `--fail-on` names, 2 bad usage or input that can't be read.\n\n",
    );
    write_options(&mut page, &command, true);
    for subcommand in shown(&command) {
        let _ = write!(page, "## portcullis {}\n\n{}\n\n", subcommand.get_name(), about(subcommand));
        let usage = subcommand.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").trim();
        let _ = write!(page, "```sh\n{usage}\n```\n\n");
        write_options(&mut page, subcommand, false);
    }
    format!("{}\n", page.trim_end())
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set() && subcommand.get_name() != "help")
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    if about.is_empty() || about.ends_with('.') { about } else { format!("{about}.") }
}

/// Options in tables by their headings; `global` ones stand at the top only.
fn write_options(page: &mut String, command: &Command, global: bool) {
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version"))
        .filter(|argument| argument.is_global_set() == global)
        .collect();
    let mut headings: Vec<&str> = Vec::new();
    for argument in &arguments {
        let heading = heading(argument);
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading_name in headings {
        let _ = write!(page, "| {heading_name} | |\n|---|---|\n");
        for argument in arguments.iter().filter(|argument| heading(argument) == heading_name) {
            let _ = writeln!(page, "| {} | {} |", spelled(argument), cell(&described(argument)));
        }
        page.push('\n');
    }
}

fn heading(argument: &Arg) -> &str {
    argument.get_help_heading().unwrap_or(if argument.is_positional() { "Arguments" } else { "Options" })
}

/// `-o`, `--output FORMAT`
fn spelled(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let value = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    if argument.is_positional() {
        return format!("`{}`", cell(&value));
    }
    let value = if takes_value { format!(" {value}") } else { String::new() };
    let mut spelled = Vec::new();
    if let Some(short) = argument.get_short() {
        spelled.push(format!("`-{short}`"));
    }
    if let Some(long) = argument.get_long() {
        spelled.push(format!("`--{long}{}`", cell(&value)));
    }
    spelled.join(", ")
}

fn described(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let defaults = argument.get_default_values();
    if takes_value && !defaults.is_empty() {
        let defaults: Vec<String> = defaults.iter().map(|value| value.to_string_lossy().into_owned()).collect();
        let _ = write!(text, " [default: {}]", defaults.join(", "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(text, " [env: {}]", variable.to_string_lossy());
    }
    let values = argument.get_possible_values();
    if takes_value && !values.is_empty() {
        let values = values.iter().filter(|value| !value.is_hide_set()).map(|value| match value.get_help() {
            Some(help) => format!("<br>`{}`: {help}", value.get_name()),
            None => format!("<br>`{}`", value.get_name()),
        });
        text.extend(values);
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
