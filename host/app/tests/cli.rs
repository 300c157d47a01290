//! The command line as a user meets it: exit code, standard output, standard
//! error. A case is a folder of `tests/cli`:
//!
//! ```text
//! cmd       the arguments, in quotes where they hold spaces
//! stdin     what is piped in, where something is
//! exit, stdout, stderr   what is expected; `BLESS=1` writes them
//! after/    files that the command changes, as they are then
//! ```
//! and the files that it is about; the command runs in a copy of the folder. Times are
//! shown as 0 and digests as `<digest>`, so that a case says the same every time.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Cases that there are at least: a folder that moved must not pass as empty.
const LEAST_CASES: usize = 20;

#[test]
fn every_case_says_what_it_said() {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/cli"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
    cases.sort();
    assert!(cases.len() >= LEAST_CASES, "{} cases", cases.len());
    let different: Vec<String> = cases.iter().flat_map(|case| run(case, bless)).collect();
    assert!(different.is_empty(), "{}\n(BLESS=1 writes what is found)", different.join("\n"));
}

/// Runs a case; gives what differs from what is expected.
fn run(case: &Path, bless: bool) -> Vec<String> {
    let command = fs::read_to_string(case.join("cmd")).unwrap();
    let stdin = File::open(case.join("stdin")).map_or_else(|_| Stdio::null(), Stdio::from);
    let copy = tempfile::tempdir().unwrap();
    let inputs = files(case);
    for name in &inputs {
        let path = copy.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(case.join(name), path).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(words(&command))
        .current_dir(copy.path())
        .env_clear()
        .env("PORTCULLIS_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"))
        .stdin(stdin)
        .output()
        .unwrap();
    let exit = output.status.code().map_or_else(|| "killed".to_owned(), |code| code.to_string());
    let mut found = vec![
        ("exit".to_owned(), format!("{exit}\n")),
        ("stdout".to_owned(), steady(&output.stdout)),
        ("stderr".to_owned(), steady(&output.stderr)),
    ];
    assert_eq!(files(copy.path()), inputs, "{command} made or removed files");
    for name in inputs {
        let after = fs::read(copy.path().join(&name)).unwrap();
        if after != fs::read(case.join(&name)).unwrap() {
            found.push((format!("after/{}", name.display()), String::from_utf8(after).unwrap()));
        }
    }
    let mut different = Vec::new();
    for (name, found) in found {
        let path = case.join(&name);
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if bless && (found != expected || !path.exists()) {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &found).unwrap();
        } else if found != expected || !path.exists() {
            let case = case.file_name().unwrap_or_default().display();
            different.push(format!("== {case}: {name}\n-- expected\n{expected}-- found\n{found}"));
        }
    }
    different
}

/// The files that a command is about, by their names below the folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let names = entries
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(folder).unwrap().to_owned());
    let of_the_case = |name: &PathBuf| {
        ["cmd", "stdin", "exit", "stdout", "stderr"].iter().any(|known| name == Path::new(known))
            || name.starts_with("after")
    };
    names.filter(|name| !of_the_case(name)).collect()
}

/// Splits at white space, outside of double quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in command.trim().split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Without what differs from run to run.
fn steady(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let mut steady = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (head, tail) = line.split_at(line.find(": ").map_or(line.len(), |colon| colon + 2));
        match head.trim() {
            "\"durationMicros\":" => steady
                .push_str(&format!("{head}0{}", tail.trim_start_matches(|character: char| character.is_ascii_digit()))),
            "\"digest\":" => {
                steady.push_str(&format!("{head}\"<digest>\"{}", &tail[tail.rfind('"').map_or(0, |quote| quote + 1)..]))
            }
            _ => steady.push_str(line),
        }
    }
    steady
}

#[test]
fn policies_for_programs_are_an_array_of_objects_with_names() {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["policies", "-o", "json"])
        .env_clear()
        .env("PORTCULLIS_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = list.iter().map(|policy| policy["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"database-remote-storage") && names.contains(&"default-storage-class"), "{names:?}");
    for part in ["matches", "reads", "lookups", "writes", "rules", "settings", "settingsSchema"] {
        assert!(list.iter().all(|policy| !policy[part].is_null()), "{part}");
    }
}

#[test]
fn the_list_is_the_same_in_yaml_and_in_json() {
    let list = |format: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["policies", "-o", format])
            .env_clear()
            .env("PORTCULLIS_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"))
            .output()
            .unwrap();
        let mut contents = portcullis::yaml::read("-", &output.stdout);
        assert!(contents.errors.is_empty(), "{:?}", contents.errors);
        serde_json::from_str::<serde_json::Value>(&contents.documents.pop().unwrap().json).unwrap()
    };
    assert_eq!(list("yaml"), list("json"));
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_portcullis")).args(["completions", shell]).env_clear().output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && script.contains("fail-on") && script.contains("explain"),
            "{shell}: {script}"
        );
    }
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_portcullis")).arg("man").arg(folder.path()).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for subcommand in ["", "-check", "-serve", "-policies", "-explain", "-completions", "-man"] {
        let page = fs::read_to_string(folder.path().join(format!("portcullis{subcommand}.1"))).unwrap();
        assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
    }
}

#[test]
fn sarif_is_what_its_schema_says() {
    // A bracket too many, in a pattern for languages: other readers take it, this one doesn't.
    let text = include_str!("schemas/sarif-2.1.0.json").replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$");
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let mut results = 0;
    for case in ["database_on_local_class", "broken_yaml", "alias_cycle", "old_api_versions", "warn_only_policy"] {
        let folder = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/cli").join(case);
        let command = fs::read_to_string(folder.join("cmd")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(words(&command))
            .args(["-o", "sarif"])
            .current_dir(folder)
            .env_clear()
            .env("PORTCULLIS_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let log: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let errors: Vec<String> =
            schema.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{case}: {errors:?}");
        results += log["runs"][0]["results"].as_array().unwrap().len();
    }
    assert!(results > 3, "{results} results");
}
