//! What YAML means, what is refused and with which words, and where values are.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

use portcullis_core::json;
use proptest::prelude::*;

use super::{Position, read};

/// The JSON of every document, or the errors.
fn outcome(text: &str) -> Result<Vec<String>, Vec<String>> {
    let contents = read("f.yaml", text.as_bytes()).strict();
    for document in &contents.documents {
        json::Document::parse(document.json.as_bytes()).unwrap();
    }
    if contents.errors.is_empty() {
        Ok(contents.documents.into_iter().map(|document| document.json).collect())
    } else {
        Err(contents.errors.iter().map(ToString::to_string).collect())
    }
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(outcome(text), Ok(expected.iter().map(ToString::to_string).collect()), "{text}");
}

fn refused(text: &str, expected: &[&str]) {
    assert_eq!(outcome(text), Err(expected.iter().map(ToString::to_string).collect()), "{text}");
}

#[test]
fn scalars_mean_what_they_mean_to_kubectl() {
    // Checked against `kubectl patch --local -o json` 1.32, but for the numbers
    // that kubectl writes anew: those keep their text here.
    let cases = [
        ("y", "true"),
        ("n", "false"),
        ("Y", "true"),
        ("yes", "true"),
        ("On", "true"),
        ("oN", "\"oN\""),
        ("OFF", "false"),
        ("TRUE", "true"),
        ("010", "8"),
        ("0o10", "8"),
        ("0O10", "8"),
        ("08", "8"),
        ("0_7", "7"),
        ("0x1F", "31"),
        ("0x_1", "1"),
        ("-0x1F", "-31"),
        ("0b101", "5"),
        ("-0b11", "-3"),
        ("0B11", "3"),
        ("0b2", "\"0b2\""),
        ("0x", "\"0x\""),
        ("1_000", "1000"),
        ("1__0", "10"),
        ("_1", "\"_1\""),
        ("1_0.5", "10.5"),
        ("1e3", "1e3"),
        ("1E5", "1E5"),
        ("1.50", "1.50"),
        ("1.0", "1.0"),
        ("+12", "12"),
        ("-0", "-0"),
        ("0x1FFFFFFFFFFFFFFFF", "\"0x1FFFFFFFFFFFFFFFF\""),
        ("!!binary aGVsbG8=", "\"hello\""),
        ("1e", "\"1e\""),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("+.5", "0.5"),
        ("5.", "5"),
        ("12345678901234567890", "12345678901234567890"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("0777777777777777777777777", "7.777777777777778e23"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("0.1e400", "\"0.1e400\""),
        ("2001-12-14", "\"2001-12-14\""),
        ("2001-12-14t21:59:43.10-05:00", "\"2001-12-14t21:59:43.10-05:00\""),
        ("1:30", "\"1:30\""),
        ("1.2.3", "\"1.2.3\""),
        ("~", "null"),
        ("", "null"),
        ("Null", "null"),
        ("nULL", "\"nULL\""),
        ("=", "\"=\""),
        ("\"yes\"", "\"yes\""),
        ("'010'", "\"010\""),
        ("!!str 12", "\"12\""),
        ("!!int \"12\"", "12"),
        ("!!float 12", "12"),
        ("!!bool \"yes\"", "true"),
        ("!!null \"\"", "null"),
        ("! yes", "\"yes\""),
        ("!foo bar", "\"bar\""),
        ("!!timestamp 2001-12-14", "\"2001-12-14\""),
        ("|\n  a\n  b\n", "\"a\\nb\\n\""),
        (">-\n  a\n  b\n", "\"a b\""),
    ];
    for (text, expected) in cases {
        check(&format!("k: {text}\n"), &[&format!("{{\"k\":{expected}}}")]);
    }
}

/// Texts that kubectl refuses and that are read here: a tab as a separator,
/// an escape of JSON's, and line ends that only YAML 1.1 knows. No manifest that
/// kubectl takes is read otherwise for it.
const LENIENT: &[&str] = &["- a\n-\tb", "k: \"\\/\"", "k: a\u{2028}b", "k: a\u{85}b"];
/// Refused here: kubectl sends other bytes than were meant.
const STRICTER: &[&str] = &["k: !!binary /w=="];

#[test]
fn a_text_means_what_it_means_to_kubectl() {
    let same = |found: &serde_json::Value, expected: &serde_json::Value| {
        // Numbers keep their text here; Go writes them anew.
        let plain = |value: &serde_json::Value| {
            let mut text = String::new();
            plainly(value, &mut text);
            text
        };
        plain(found) == plain(expected)
    };
    let table = include_str!("kubectl.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut different = Vec::new();
    let mut rows = 0;
    for line in table {
        rows += 1;
        let (text, expected) = line.split_once('\t').unwrap();
        let text: String = serde_json::from_str(text).unwrap();
        let expected: Option<serde_json::Value> = serde_json::from_str(expected).ok();
        let found = outcome(&format!("{text}\n"));
        let agrees = match (&found, &expected) {
            (Ok(documents), Some(expected)) => {
                let found = documents.first().map_or("null", String::as_str);
                documents.len() <= 1 && same(&serde_json::from_str(found).unwrap(), expected)
            }
            (Err(_), None) => true,
            (Ok(_), None) => LENIENT.contains(&text.as_str()),
            (Err(_), Some(_)) => STRICTER.contains(&text.as_str()),
        };
        if !agrees {
            different.push(format!("{line}\n    found {found:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(rows > 250, "{rows}");
}

/// JSON with the members in order and every number as a double.
fn plainly(value: &serde_json::Value, text: &mut String) {
    match value {
        serde_json::Value::Number(number) => text.push_str(&format!("{:?}", number.as_f64().unwrap() + 0.0)),
        serde_json::Value::Array(items) => items.iter().for_each(|item| {
            text.push_str(" [");
            plainly(item, text);
        }),
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            members.into_iter().for_each(|(key, item)| {
                text.push_str(&format!(" {{{key:?}:"));
                plainly(item, text);
            });
        }
        other => text.push_str(&other.to_string()),
    }
}

#[test]
fn keys_are_texts() {
    check(
        "1: a\n1.5: b\nyes: c\n0x10: d\n2001-01-01: e\n1e6: f\n12345678.5: g\n1e-5: h\n? k\n: i\n",
        &[
            r#"{"1":"a","1.5":"b","true":"c","16":"d","2001-01-01":"e","1e+06":"f","1.2345678e+07":"g","1e-05":"h","k":"i"}"#,
        ],
    );
}

#[test]
fn anchors_aliases_and_merges_are_resolved_in_order() {
    let base = "b: &b {a: 1, b: 2}\nc: &c {a: 10, c: 3}\n";
    let cases = [
        ("m: *b", r#"{"a":1,"b":2}"#),
        ("m:\n  <<: *b\n  a: own", r#"{"a":"own","b":2}"#),
        ("m:\n  a: own\n  <<: *b", r#"{"a":1,"b":2}"#),
        ("m:\n  <<: [*b, *c]", r#"{"a":1,"c":3,"b":2}"#),
        ("m:\n  <<: *b\n  <<: *c", r#"{"a":10,"b":2,"c":3}"#),
        ("m:\n  \"<<\": x", r#"{"<<":"x"}"#),
        ("n: &k name\nm:\n  *k : v", r#"{"name":"v"}"#),
    ];
    for (text, expected) in cases {
        let found = outcome(&format!("{base}{text}\n")).unwrap().remove(0);
        let document = json::Document::parse(found.as_bytes()).unwrap();
        assert_eq!(document.root().get("m").unwrap().raw(), expected, "{text}");
    }
}

#[test]
fn documents_are_told_apart() {
    check("a: 1\n---\n# only a comment\n---\nb: 2\n...\n---\n", &[r#"{"a":1}"#, r#"{"b":2}"#]);
    check("%YAML 1.1\n---\na: 1\n--- {b: 2}\n", &[r#"{"a":1}"#, r#"{"b":2}"#]);
    check("{\"a\": 1}\n{\"b\":\n2}\nnull\n", &[r#"{"a": 1}"#, "{\"b\":\n2}"]);
    check("{\"a\": 1}\n---\nb: 1\n", &[r#"{"a": 1}"#, r#"{"b":1}"#]);
    check("{a: 1, b: [x, 2]}", &[r#"{"a":1,"b":["x",2]}"#]);
    check("a: |\n  x\n  ---\n  y\n", &[r#"{"a":"x\n---\ny\n"}"#]);
    check("\u{feff}a: 1\r\nb: 2\r\n", &[r#"{"a":1,"b":2}"#]);
    check("", &[]);
    check("# nothing\n---\n", &[]);
}

#[test]
fn flow_collections_and_quoted_texts_need_no_deeper_lines() {
    check("a:\n  b: {\n    \"c\": \"d\"\n  }\n  e: f\n", &[r#"{"a":{"b":{"c":"d"},"e":"f"}}"#]);
    check("a:\n- b: [\n1, # ]\n'it''s',\n]\n- c: {\nd: [\n2]\n}\n", &[r#"{"a":[{"b":[1,"it's"]},{"c":{"d":[2]}}]}"#]);
    check("a:\n  b: \"x\n y\nz\"\n  c: |\n    {\n   \n", &[r#"{"a":{"b":"x y z","c":"{\n"}}"#]);
    let document = read("-", b"a:\n  b: {\n c: d\n  }\n").documents.remove(0);
    assert_eq!(document.position_of("a.b.c"), Position { line: 3, column: 2 });
    refused("a:\n  b: {\n  c: d\n", &["f.yaml:4:1: while parsing a flow mapping, did not find expected ',' or '}'"]);
}

#[test]
fn json_keeps_every_byte() {
    check(r#"{"a": 1.0e+2,  "b": "\u00e9\/", "c": -0}"#, &[r#"{"a": 1.0e+2,  "b": "\u00e9\/", "c": -0}"#]);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(9_990), "]".repeat(9_990));
    check(&deep, &[&deep]);
}

#[test]
fn a_tab_after_a_colon_is_a_space() {
    check("a:\tb\nc: {d:\te}\nf:\t\"x:\ty\"\n", &[r#"{"a":"b","c":{"d":"e"},"f":"x:\ty"}"#]);
}

#[test]
fn utf16_is_read_by_its_mark() {
    for order in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
        let bytes: Vec<u8> = "\u{feff}a: é".encode_utf16().flat_map(order).collect();
        assert_eq!(read("-", &bytes).documents[0].json, r#"{"a":"é"}"#);
    }
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    refused(
        "a: 1\nb: 2\na: 3\n",
        &[
            "f.yaml:3:1: the key \"a\" stands twice in this mapping (first in line 1); kubectl takes the later one; remove or rename one of them",
        ],
    );
    refused(
        "{\"a\": 1,\n \"a\": 2}",
        &[
            "f.yaml:2:2: the key \"a\" stands twice in this mapping (first in line 1); kubectl takes the later one; remove or rename one of them",
        ],
    );
    refused(
        "a:\n\t- b\n",
        &[
            "f.yaml:2:2: tabs disallowed within this context (block indentation); a tab stands in the indentation; YAML is indented with spaces",
        ],
    );
    refused(
        "a: b: c\n",
        &["f.yaml:1:5: mapping values are not allowed in this context; a value that holds `: ` must be quoted"],
    );
    refused(
        "a: &x [*x]\n",
        &["f.yaml:1:8: this alias stands inside the value that it names; JSON can't hold a value within itself"],
    );
    refused("a: .inf\n", &["f.yaml:1:4: JSON has no number .inf; quote it if it is a text"]);
    refused("~: a\n", &["f.yaml:1:1: null can't be a key; quote it if the key is the text"]);
    refused(
        "a: !!binary '?'\n",
        &["f.yaml:1:4: this is not base64; JSON holds texts: without the tag !!binary the base64 itself is one"],
    );
    refused("%YAML 1.2\n---\na: 1\n", &["f.yaml:1:1: kubectl reads YAML 1.1 and refuses this directive; take it away"]);
    refused("a: !!int x\n", &["f.yaml:1:4: \"x\" is not what its tag !!int says"]);
    refused(
        "<<: 1\n",
        &["f.yaml:1:5: `<<` merges mappings; this is none; write `<<: *anchor`, or quote the key if `<<` is a text"],
    );
    refused(
        "name: {{ .Values.name }}\n",
        &[
            "f.yaml:1:8: a mapping or list can't be a key; is this a template such as {{ … }}? render it first: `helm template CHART | portcullis check -`",
        ],
    );
    refused("a\0b", &["f.yaml:1:2: this is a binary file, not YAML or JSON"]);
}

#[test]
fn a_broken_document_does_not_hide_the_others() {
    let contents = read("f.yaml", b"a: 1\n---\nb: [\n---\nc: 3\n");
    assert_eq!(
        contents.documents.iter().map(|document| document.json.as_str()).collect::<Vec<_>>(),
        [r#"{"a":1}"#, r#"{"c":3}"#]
    );
    assert_eq!(contents.documents[1].start, Position { line: 5, column: 1 });
    assert_eq!(contents.errors.len(), 1);
}

#[test]
fn what_aliases_expand_to_is_bounded() {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(",")));
    }
    let errors = outcome(&text).unwrap_err();
    assert!(errors[0].contains("are aliases expanded"), "{errors:?}");
}

#[test]
fn deep_nesting_ends_with_an_error_not_with_the_process() {
    let errors = outcome(&"- ".repeat(12_000)).unwrap_err();
    assert!(errors[0].contains("levels inside each other"), "{errors:?}");
    assert!(outcome(&"[".repeat(100_000)).is_err());
}

#[test]
fn every_value_has_its_place() {
    let yaml = "# c\nspec:\n  list:\n  - name: a\n    image: b\n  - name: c\n  ann: {example.com/k: v, a.b: w}\n";
    let json = "\n{\"spec\": {\"list\": [{\"name\": \"a\",\n\"image\": \"b\"}, {\"name\": \"c\"}]}}";
    let cases = [
        (yaml, "", (2, 1)),
        (yaml, "spec.list[1].name", (6, 5)),
        (yaml, "spec.list[0].image", (5, 5)),
        (yaml, "spec.list[0].ports[3].x", (4, 5)),
        (yaml, "spec.ann[example.com/k]", (7, 9)),
        (yaml, "spec.ann[\"example.com/k\"]", (7, 9)),
        (yaml, "spec.ann.example.com/k", (7, 9)),
        (yaml, "spec.ann.a.b", (7, 27)),
        (yaml, "nothing", (2, 1)),
        (json, "spec.list[0].image", (3, 10)),
    ];
    for (text, path, (line, column)) in cases {
        let document = read("-", text.as_bytes()).documents.remove(0);
        assert_eq!(document.position_of(path), Position { line, column }, "{path} in {text}");
    }
}

#[test]
fn parts_of_a_document_keep_their_places() {
    let document = read("-", b"kind: List\nitems:\n- a: 1\n- b:\n    c: 2\n").documents.remove(0);
    let second = document.elements("/items").remove(1);
    assert_eq!((second.json.as_str(), second.start), (r#"{"b":{"c":2}}"#, Position { line: 4, column: 3 }));
    assert_eq!(second.position_of("b.c"), Position { line: 5, column: 5 });
    assert_eq!(document.part("/items/1/b").unwrap().position_of("c"), Position { line: 5, column: 5 });
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        "[ -~\n\t]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map("\\PC{0,6}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Block YAML with every text in double quotes, as JSON writes it.
fn as_yaml(value: &serde_json::Value, indentation: usize) -> String {
    let pad = " ".repeat(indentation);
    match value {
        serde_json::Value::Array(items) if !items.is_empty() => items
            .iter()
            .map(|item| format!("\n{pad}- {}", as_yaml(item, indentation + 2).trim_start_matches([' '])))
            .collect(),
        serde_json::Value::Object(members) if !members.is_empty() => members
            .iter()
            .map(|(key, item)| format!("\n{pad}? {}\n{pad}: {}", json::quote(key), as_yaml(item, indentation + 2)))
            .collect(),
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn json_and_yaml_of_a_value_give_the_value(value in any_json()) {
        let object = serde_json::json!({"k": value});
        for text in [object.to_string(), serde_json::to_string_pretty(&object).unwrap(), as_yaml(&object, 0)] {
            let contents = read("-", text.as_bytes());
            prop_assert!(contents.errors.is_empty(), "{:?} in {}", contents.errors, text);
            let found: serde_json::Value = serde_json::from_str(&contents.documents[0].json).unwrap();
            prop_assert_eq!(&found, &object, "{}", text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\n\t]{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let structured: String = text.chars().map(|character| if character == '~' { '\n' } else { character }).collect();
        for input in [text.as_bytes(), structured.as_bytes(), &bytes] {
            for document in read("-", input).documents {
                prop_assert!(json::Document::parse(document.json.as_bytes()).is_ok());
            }
        }
    }
}
