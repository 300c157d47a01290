//! The part of the build script that writes the table of operators' custom
//! resources: a row each, with the places at which it speaks of storage.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Table, list, texts};

/// What custom resources of several systems are called: which one it is, the object says in its own words.
const ANY_SYSTEM: &str = "any";

/// Operators' resources, sorted by kind and group, each with the places at which it speaks of storage.
pub(super) fn write(source: &mut String, kinds: &Table, storage: &Table, assert_known: impl Fn(&str)) {
    let mut places = BTreeMap::<&str, Vec<String>>::new();
    for row in &storage.rows {
        places.entry(&row["resource"]).or_default().push(storage_place(row, &storage.file));
    }
    let mut sorted = BTreeMap::new();
    for row in &kinds.rows {
        let resource = format!("{}.{}", row["plural"], row["group"]);
        let system = match row["system"].as_str() {
            ANY_SYSTEM => "database",
            system => {
                assert_known(system);
                system
            }
        };
        let places = places
            .remove(resource.as_str())
            .unwrap_or_else(|| panic!("{}: {resource} has no row in {}", kinds.file, storage.file));
        let text = format!(
            "CustomKind {{ kind: {:?}, group: {:?}, plural: {:?}, versions: {}, system: {system:?}, replicas: {}, places: &[{}] }}",
            row["kind"],
            row["group"],
            row["plural"],
            texts(list(&row["versions"])),
            texts(list(&row["replicas"])),
            places.join(", "),
        );
        let before = sorted.insert((row["kind"].clone(), row["group"].clone()), text);
        assert!(before.is_none(), "{}: {resource} stands twice", kinds.file);
    }
    assert!(places.is_empty(), "{}: {:?} are no rows of {}", storage.file, places.keys(), kinds.file);
    source.push_str("pub(crate) static CUSTOM_KINDS: &[CustomKind] = &[\n");
    for text in sorted.values() {
        writeln!(source, "    {text},").expect("a string takes all that is written");
    }
    source.push_str("];\n");
}

/// One row of custom-storage.tsv.
fn storage_place(row: &BTreeMap<String, String>, file: &str) -> String {
    let claim = match row["claim"].split_once(' ') {
        _ if row["claim"].is_empty() => "None".to_owned(),
        None => custom_claim(&row["claim"], list(&row["class"]), list(&row["size"]), false),
        Some((path, "spec")) => {
            custom_claim(path, ["storageClassName"].into_iter(), ["resources.requests.storage"].into_iter(), true)
        }
        Some((path, "template")) => custom_claim(
            path,
            ["spec.storageClassName"].into_iter(),
            ["spec.resources.requests.storage"].into_iter(),
            true,
        ),
        Some((_, other)) => panic!("{file}: `{other}` behind a claim's path is neither spec nor template"),
    };
    let (absent, unless) = row["absent"].split_once(" unless ").unwrap_or((&row["absent"], ""));
    let absent = match absent {
        "" => "Nothing",
        "default" => "DefaultClass",
        "ephemeral" => "Ephemeral",
        other => panic!("{file}: `{other}` isn't what an absent claim can mean"),
    };
    format!(
        "StoragePlace {{ at: {:?}, when: {}, claim: {claim}, ephemeral: {}, host_path: {}, absent: Absent::{absent}, unless: {} }}",
        row["at"],
        texts(row["when"].split('&').map(str::trim).filter(|term| !term.is_empty())),
        texts(list(&row["ephemeral"])),
        texts(list(&row["host_path"])),
        texts(unless.split(' ').filter(|path| !path.is_empty())),
    )
}

fn custom_claim<'a>(
    path: &str,
    class: impl Iterator<Item = &'a str>,
    size: impl Iterator<Item = &'a str>,
    is_claim_spec: bool,
) -> String {
    format!(
        "Some(ClaimPlace {{ path: {path:?}, class: {}, size: {}, is_spec: {is_claim_spec} }})",
        texts(class),
        texts(size)
    )
}
