//! Turns the catalogue's data files into sorted static tables.
//!
//! A guest answers each review in a fresh instance, so nothing may be parsed
//! then: what `catalogue/*.tsv` says is Rust source by the time it compiles,
//! and a look-up is a binary search. Sources and product names stay in the
//! files; they would only make the guest larger.
//!
//! ```text
//! catalogue/*.tsv --read--> rows --resolve names--> $OUT_DIR/catalogue.rs --include!--> src/catalogue.rs
//! ```

#[path = "build/custom.rs"]
mod custom;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// Environment variables that many programs share and that therefore say nothing of the system.
const SHARED_ENVIRONMENT_PREFIXES: [&str; 2] = ["AWS_", "LICENSE"];

/// A parsed file: each row by column name.
struct Table {
    file: String,
    rows: Vec<BTreeMap<String, String>>,
}

fn main() {
    println!("cargo::rerun-if-changed=catalogue");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR for a build script");
    let mut source = String::new();
    let stores = Table::read("datastores");
    let systems: Vec<String> = stores.rows.iter().map(|row| row["system"].clone()).collect();
    let index = |name: &str| {
        systems
            .iter()
            .position(|system| system == name)
            .unwrap_or_else(|| panic!("`{name}` is not a system of datastores.tsv"))
    };
    write_systems(&mut source, &stores);
    write_images(&mut source, &stores, &Table::read("lookalikes"));
    write_words(&mut source, &Table::read("lookalike-words"));
    write_commands(&mut source, &stores, &Table::read("clients"));
    write_signs(&mut source, &stores, &Table::read("ports"), index);
    write_provisioners(&mut source, &Table::read("provisioners"));
    write_provisioner_facts(&mut source, &Table::read("provisioner-facts"));
    write_volume_sources(&mut source, &Table::read("volume-sources"));
    write_credentials(&mut source, &Table::read("credentials"), index);
    custom::write(&mut source, &Table::read("custom-resources"), &Table::read("custom-storage"), |system| {
        index(system);
    });
    fs::write(Path::new(&out).join("catalogue.rs"), source).expect("OUT_DIR is writable");
}

impl Table {
    fn read(name: &str) -> Self {
        let file = format!("catalogue/{name}.tsv");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
        let rows = lines
            .enumerate()
            .map(|(number, line)| {
                let cells: Vec<&str> = line.split('\t').collect();
                assert!(
                    cells.len() == header.len(),
                    "{file}:{}: {} cells where the header has {}",
                    number + 2,
                    cells.len(),
                    header.len()
                );
                header.iter().zip(cells).map(|(&column, cell)| (column.to_owned(), cell.to_owned())).collect()
            })
            .collect();
        Self { file, rows }
    }
}

/// The elements of a cell, without empty ones.
fn list(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// A slice of string literals.
fn texts<'a>(elements: impl Iterator<Item = &'a str>) -> String {
    format!("&[{}]", elements.map(|element| format!("{element:?}")).collect::<Vec<_>>().join(", "))
}

/// A static table sorted by its key; the key that comes first in the files wins where two rows have it.
fn write_sorted<K: Ord + std::fmt::Debug>(
    source: &mut String,
    name: &str,
    value_type: &str,
    rows: impl IntoIterator<Item = (K, String)>,
) {
    let mut sorted = BTreeMap::new();
    for (key, value) in rows {
        sorted.entry(key).or_insert(value);
    }
    writeln!(source, "pub(crate) static {name}: &[{value_type}] = &[").expect("a string takes all that is written");
    for (key, value) in sorted {
        writeln!(source, "    ({key:?}, {value}),").expect("a string takes all that is written");
    }
    source.push_str("];\n");
}

fn write_systems(source: &mut String, stores: &Table) {
    source.push_str("pub(crate) static SYSTEMS: &[System] = &[\n");
    for row in &stores.rows {
        let keeps = match row["keeps"].as_str() {
            "durable" => "Durable",
            "memory" => "Memory",
            other => panic!("{}: `{other}` in `keeps` is neither durable nor memory", stores.file),
        };
        let off: Vec<String> = list(&row["persistence_off"]).map(switch).collect();
        writeln!(
            source,
            "    System {{ name: {:?}, keeps: Keeps::{keeps}, directories: {}, directory_environment: {}, directory_flags: {}, persistence_off: &[{}] }},",
            row["system"],
            texts(list(&row["data_directories"])),
            texts(list(&row["directory_environment"])),
            texts(list(&row["directory_flags"])),
            off.join(", "),
        )
        .expect("a string takes all that is written");
    }
    source.push_str("];\n");
}

/// `--save "" & --appendonly no` or `env:NAME=value`: what must all be there.
fn switch(text: &str) -> String {
    let terms: Vec<String> = text
        .split('&')
        .map(|term| {
            let term = term.trim();
            if let Some((name, value)) = term.strip_prefix("env:").and_then(|term| term.split_once('=')) {
                return format!("Switch::Environment({name:?}, {value:?})");
            }
            match term.split_once(' ') {
                Some((flag, value)) => format!("Switch::Flag({flag:?}, Some({:?}))", value.trim().trim_matches('"')),
                None => format!("Switch::Flag({term:?}, None)"),
            }
        })
        .collect();
    format!("&[{}]", terms.join(", "))
}

fn write_images(source: &mut String, stores: &Table, lookalikes: &Table) {
    let of_stores = stores.rows.iter().enumerate().flat_map(|(index, row)| {
        list(&row["repositories"]).map(move |path| (path.to_owned(), format!("Repository::DataStore({index})")))
    });
    let of_others = lookalikes
        .rows
        .iter()
        .map(|row| (row["repository"].clone(), format!("Repository::LookAlike({})", role(&row["role"]))));
    write_sorted(source, "REPOSITORIES", "(&str, Repository)", of_stores.chain(of_others));
    let named = |column: &'static str| {
        stores
            .rows
            .iter()
            .enumerate()
            .flat_map(move |(index, row)| list(&row[column]).map(move |name| (name.to_owned(), index.to_string())))
    };
    write_sorted(source, "NAMES", "(&str, u16)", named("names"));
    write_sorted(source, "GENERIC_NAMES", "(&str, u16)", named("generic_names"));
    let names = lookalikes
        .rows
        .iter()
        .filter(|row| !row["name"].is_empty())
        .map(|row| (row["name"].clone(), role(&row["role"])));
    write_sorted(source, "LOOKALIKE_NAMES", "(&str, Role)", names);
}

fn write_words(source: &mut String, words: &Table) {
    let mut words: Vec<&str> = words.rows.iter().map(|row| row["word"].as_str()).collect();
    words.sort_unstable();
    writeln!(source, "pub(crate) static LOOKALIKE_WORDS: &[&str] = {};", texts(words.into_iter()))
        .expect("a string takes all that is written");
}

/// `psql`, `cockroach init`, `redis-server --sentinel`: a program and the words that must follow it.
fn write_commands(source: &mut String, stores: &Table, clients: &Table) {
    let split = |command: &str| {
        let mut words = command.split(' ');
        let program = words.next().unwrap_or_default().to_owned();
        (program, words.map(str::to_owned).collect::<Vec<_>>())
    };
    let servers = stores.rows.iter().enumerate().flat_map(|(index, row)| {
        list(&row["servers"]).map(move |command| (command, format!("Program::Server({index})")))
    });
    let clients =
        clients.rows.iter().map(|row| (row["command"].as_str(), format!("Program::Other({})", role(&row["role"]))));
    let mut sorted = BTreeMap::<String, Vec<(Vec<String>, String)>>::new();
    for (command, meaning) in servers.chain(clients) {
        let (program, words) = split(command);
        sorted.entry(program).or_default().push((words, meaning));
    }
    source.push_str("pub(crate) static PROGRAMS: &[(&str, Meanings)] = &[\n");
    for (program, mut meanings) in sorted {
        // What asks for more words is more particular, and is tried first.
        meanings.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
        let meanings: Vec<String> = meanings
            .iter()
            .map(|(words, meaning)| format!("({}, {meaning})", texts(words.iter().map(String::as_str))))
            .collect();
        writeln!(source, "    ({program:?}, &[{}]),", meanings.join(", ")).expect("a string takes all that is written");
    }
    source.push_str("];\n");
}

/// Ports, directories and variables that point at one system.
fn write_signs(source: &mut String, stores: &Table, ports: &Table, index: impl Fn(&str) -> usize) {
    let port = |row: &BTreeMap<String, String>| {
        row["port"].parse::<u16>().unwrap_or_else(|error| panic!("{}: port `{}`: {error}", ports.file, row["port"]))
    };
    write_sorted(
        source,
        "PORTS",
        "(u16, u16)",
        ports.rows.iter().map(|row| (port(row), index(&row["system"]).to_string())),
    );
    // One path segment (`/data`) is anybody's.
    let telling =
        |path: &&str| path.matches('/').count() >= 2 && !path.starts_with("/tmp/") && !path.starts_with("/home/");
    let directories = stores.rows.iter().enumerate().flat_map(|(index, row)| {
        list(&row["data_directories"]).filter(telling).map(move |path| (path.to_owned(), index.to_string()))
    });
    write_sorted(source, "DIRECTORIES", "(&str, u16)", directories);
    let own =
        |name: &&str| name.contains('_') && !SHARED_ENVIRONMENT_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let variables = stores.rows.iter().enumerate().flat_map(|(index, row)| {
        list(&row["credential_environment"]).filter(own).map(move |name| (name.to_owned(), index.to_string()))
    });
    write_sorted(source, "ENVIRONMENT", "(&str, u16)", variables);
}

fn write_provisioners(source: &mut String, provisioners: &Table) {
    for (name, kind) in [
        ("PROVISIONERS", "exact"),
        ("PROVISIONER_PREFIXES", "prefix"),
        ("PROVISIONER_SUFFIXES", "suffix"),
        ("PROVISIONER_WORDS", "word"),
    ] {
        let rows = provisioners.rows.iter().filter(|row| row["match"] == kind);
        let rows = rows.map(|row| {
            let rules: Vec<String> =
                list(&row["parameters"]).map(|rule| parameter_rule(rule, &provisioners.file)).collect();
            (
                row["pattern"].clone(),
                format!(
                    "Provisioner {{ place: {}, rules: &[{}] }}",
                    place(&row["locality"], &provisioners.file),
                    rules.join(", ")
                ),
            )
        });
        write_sorted(source, name, "(&str, Provisioner)", rows);
    }
}

fn write_provisioner_facts(source: &mut String, facts: &Table) {
    for (name, kind) in
        [("FACTS", "exact"), ("FACT_PREFIXES", "prefix"), ("FACT_SUFFIXES", "suffix"), ("FACT_WORDS", "word")]
    {
        let rows = facts.rows.iter().filter(|row| row["match"] == kind).map(|row| {
            let text = |column: &str| match row[column].as_str() {
                "" => "None".to_owned(),
                text => format!("Some({text:?})"),
            };
            let zonal = match row["topology"].as_str() {
                "" => false,
                "zone" => true,
                other => panic!("{}: `{other}` in `topology` is neither `zone` nor empty", facts.file),
            };
            let facts = format!(
                "ProvisionerFacts {{ offers: {}, refuses: {}, is_zonal: {zonal}, successor: {}, removed: {}, announced: {} }}",
                texts(list(&row["offers"])),
                texts(list(&row["refuses"])),
                text("successor"),
                text("removed"),
                text("announced"),
            );
            (row["pattern"].clone(), facts)
        });
        write_sorted(source, name, "(&str, ProvisionerFacts)", rows);
    }
}

/// `dataLocality=strict-local:local`, with `&` between parameters that must all be so.
fn parameter_rule(text: &str, file: &str) -> String {
    let (conditions, outcome) =
        text.rsplit_once(':').unwrap_or_else(|| panic!("{file}: `{text}` names no locality after a colon"));
    let conditions: Vec<String> = conditions
        .split('&')
        .map(|condition| {
            let (name, value) =
                condition.trim().split_once('=').unwrap_or_else(|| panic!("{file}: `{condition}` has no `=`"));
            format!("({name:?}, {value:?})")
        })
        .collect();
    format!("(&[{}], {})", conditions.join(", "), place(outcome, file))
}

fn place(word: &str, file: &str) -> &'static str {
    match word {
        "remote" => "Place::Remote",
        "local" => "Place::Local",
        "unknown" => "Place::Unknown",
        other => panic!("{file}: `{other}` is not a locality"),
    }
}

fn write_volume_sources(source: &mut String, sources: &Table) {
    let rows = sources.rows.iter().map(|row| {
        let holds = match row["locality"].as_str() {
            "remote" => "SourcePlace::Remote",
            "local" => "SourcePlace::Local",
            "ephemeral" => "SourcePlace::Ephemeral",
            "not-data" => "SourcePlace::NotData",
            "depends" => "SourcePlace::Depends",
            other => panic!("{}: `{other}` is not a locality of a volume source", sources.file),
        };
        (row["field"].clone(), holds.to_owned())
    });
    write_sorted(source, "VOLUME_SOURCES", "(&str, SourcePlace)", rows);
}

/// What each system takes credentials by, and what opens it to everybody.
fn write_credentials(source: &mut String, credentials: &Table, index: impl Fn(&str) -> usize) {
    let mut variables: Vec<&str> = credentials.rows.iter().flat_map(|row| list(&row["environment"])).collect();
    variables.sort_unstable();
    variables.dedup();
    writeln!(source, "pub(crate) static CREDENTIAL_VARIABLES: &[&str] = {};", texts(variables.into_iter()))
        .expect("a string takes all that is written");
    let terms = |text: &str| format!("&[{}]", text.split('&').map(term).collect::<Vec<_>>().join(", "));
    let rows = credentials.rows.iter().map(|row| {
        index(&row["system"]);
        let ways: Vec<String> = list(&row["switches"]).map(terms).collect();
        let needs: Vec<String> = list(&row["credentials"]).map(term).collect();
        let (flags, ways, needs) = (texts(list(&row["flags"])), ways.join(", "), needs.join(", "));
        (row["system"].clone(), format!("Credentials {{ flags: {flags}, ways: &[{ways}], needs: &[{needs}] }}"))
    });
    write_sorted(source, "CREDENTIALS", "(&str, Credentials)", rows);
}

/// `env:NAME=value`, `--flag value` or `--flag=value`; `!` in front: not so. `*`: any value.
fn term(text: &str) -> String {
    let text = text.trim();
    let (absent, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let switch = match text.strip_prefix("env:") {
        Some(variable) => {
            let (name, value) = variable.split_once('=').unwrap_or((variable, "*"));
            format!("Switch::Environment({name:?}, {value:?})")
        }
        None => match text.split_once([' ', '=']) {
            Some((flag, value)) => format!("Switch::Flag({flag:?}, Some({value:?}))"),
            None => format!("Switch::Flag({text:?}, None)"),
        },
    };
    format!("Term {{ absent: {absent}, switch: {switch} }}")
}

fn role(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase()).into_iter();
    format!("Role::{}", first.chain(letters).collect::<String>())
}
