//! A run as JUnit XML, as CI systems read it (the schema of Jenkins' xunit
//! plugin): a suite a file, a case an object. An object fails where `--fail-on`
//! says so, with all that is to say of it; what was found besides is its output.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::Run;
use super::entry::{Entry, entries, named};
use super::fails;
use super::layout::is_unsafe;
use super::spot::Spotter;
use crate::check::Judged;

/// Writes a whole run.
///
/// # Errors
/// Of the writer.
pub fn write(out: &mut impl Write, run: &Run<'_>) -> io::Result<()> {
    let mut writer = Writer::new_with_indent(&mut *out, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = suites(run);
    let failures = run.judged.iter().filter(|judged| fails(&judged.report, run.fail_on)).count();
    let tests = (run.judged.len() + run.problems.len()).to_string();
    writer
        .create_element("testsuites")
        .with_attributes([
            ("name", "portcullis"),
            ("tests", tests.as_str()),
            ("failures", failures.to_string().as_str()),
            ("errors", run.problems.len().to_string().as_str()),
        ])
        .write_inner_content(|writer| {
            let mut spotter = Spotter::default();
            for (source, judged) in &suites {
                write_suite(writer, source, judged, run, &mut spotter)?;
            }
            write_problems(writer, &run.problems)
        })?;
    writeln!(out)
}

/// Objects by their file, in order.
fn suites<'r>(run: &Run<'r>) -> Vec<(&'r str, Vec<&'r Judged>)> {
    let mut suites: Vec<(&str, Vec<&Judged>)> = Vec::new();
    for judged in run.judged {
        let source = judged.document.source.as_ref();
        match suites.last_mut() {
            Some((last, of_file)) if *last == source => of_file.push(judged),
            _ => suites.push((source, vec![judged])),
        }
    }
    suites
}

fn write_suite<W: Write>(
    writer: &mut Writer<W>,
    source: &str,
    judged: &[&Judged],
    run: &Run<'_>,
    spotter: &mut Spotter,
) -> io::Result<()> {
    let failures = judged.iter().filter(|judged| fails(&judged.report, run.fail_on)).count();
    let source = safe(source);
    let attributes = [
        ("name", source.as_str()),
        ("tests", &judged.len().to_string()),
        ("failures", &failures.to_string()),
        ("errors", "0"),
    ];
    let element = writer.create_element("testsuite").with_attributes(attributes);
    element.write_inner_content(|writer| {
        for judged in judged {
            let name = safe(&named(&judged.report.object));
            let line = judged.report.line.to_string();
            let attributes =
                [("name", name.as_str()), ("classname", source.as_str()), ("file", source.as_str()), ("line", &line)];
            let entries = entries(judged, spotter);
            let case = writer.create_element("testcase").with_attributes(attributes);
            if entries.is_empty() {
                case.write_empty()?;
                continue;
            }
            let text = safe(&entries.iter().map(said).collect::<Vec<_>>().join("\n"));
            case.write_inner_content(|writer| {
                if !fails(&judged.report, run.fail_on) {
                    writer.create_element("system-out").write_text_content(BytesText::new(&text))?;
                    return Ok(());
                }
                let first = entries.iter().find(|entry| entry.label.stops()).or(entries.first());
                let (message, kind) = first.map(|entry| (entry.message, entry.name())).unwrap_or_default();
                writer
                    .create_element("failure")
                    .with_attributes([("message", safe(message).as_str()), ("type", safe(&kind).as_str())])
                    .write_text_content(BytesText::new(&text))?;
                Ok(())
            })?;
        }
        Ok(())
    })?;
    Ok(())
}

/// What could not be read is an error of a case of its own.
fn write_problems<W: Write>(writer: &mut Writer<W>, problems: &[String]) -> io::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let count = problems.len().to_string();
    let attributes = [("name", "input"), ("tests", count.as_str()), ("failures", "0"), ("errors", count.as_str())];
    writer.create_element("testsuite").with_attributes(attributes).write_inner_content(|writer| {
        for problem in problems {
            let problem = safe(problem);
            let case = writer.create_element("testcase");
            case.with_attributes([("name", problem.as_str()), ("classname", "input")]).write_inner_content(
                |writer| {
                    let error = writer.create_element("error").with_attribute(("message", problem.as_str()));
                    error.write_empty()?;
                    Ok(())
                },
            )?;
        }
        Ok(())
    })?;
    Ok(())
}

fn said(entry: &Entry<'_>) -> String {
    let place = format!("{}:{}", entry.judged.document.source, entry.spot.start);
    let help = entry.fix.filter(|fix| !fix.text.is_empty()).map(|fix| format!("\n  help: {}", fix.text));
    let see = if entry.url.is_empty() { String::new() } else { format!("\n  see: {}", entry.url) };
    format!("{place}: {}[{}]: {}{}{see}", entry.label.text(), entry.name(), entry.message, help.unwrap_or_default())
}

/// XML 1.0 has no way to write most control characters.
fn safe(text: &str) -> String {
    let allowed =
        |character: char| character == '\n' || !is_unsafe(character) && !matches!(character, '\u{fffe}' | '\u{ffff}');
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if allowed(character) { safe.push(character) } else { safe.extend(character.escape_default()) }
    }
    safe
}
