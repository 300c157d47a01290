//! A policy written by hand in WebAssembly's text, as a core module with the
//! contract's metadata: what no toolchain of ours made must load as well, and
//! one that no snapshot can be taken of must run all the same.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::path::Path;

use common::{UNLABELLED, configure, engine, review};
use portcullis_engine::SnapshotState;
use serde_json::json;
use wit_component::StringEncoding;
use wit_parser::Resolve;

const DESCRIPTION: &str =
    r#"{"name":"handwritten","phase":"validating","reach":{},"samples":[{"operation":"CREATE"}]}"#;

/// A core module that answers one empty review, and traps where it wasn't
/// configured before. `extra` is put among its definitions.
fn module(extra: &str) -> Vec<u8> {
    module_with(extra, "2", DESCRIPTION)
}

fn module_with(extra: &str, memory: &str, description: &str) -> Vec<u8> {
    let length = description.len();
    let description = description.replace('"', "\\\"");
    let text = format!(
        r#"(module
            {extra}
            (memory (export "memory") {memory})
            (global $configured (mut i32) (i32.const 0))
            (global $free (mut i32) (i32.const 65536))
            (data (i32.const 1024) "{description}")
            ;; describe: one string at 512
            (data (i32.const 16) "\00\02\00\00\01\00\00\00")
            (data (i32.const 512) "\00\04\00\00")
            (func (export "describe") (result i32)
                (i32.store (i32.const 516) (i32.const {length}))
                (i32.const 16))
            ;; configure: ok, one description at 544
            (func (export "configure") (param $list i32) (param $length i32) (result i32)
                (global.set $configured (i32.add (global.get $configured) (i32.const 1)))
                (i32.store (i32.const 544) (i32.load (local.get $list)))
                (i32.store (i32.const 548) (i32.const 1024))
                (i32.store (i32.const 552) (i32.const {length}))
                (i32.store (i32.const 32) (i32.const 0))
                (i32.store (i32.const 36) (i32.const 544))
                (i32.store (i32.const 40) (i32.const 1))
                (i32.const 32))
            ;; review: one review at 576 that says nothing
            (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (if (i32.ne (global.get $configured) (i32.const 1)) (then unreachable))
                (i32.store (i32.const 48) (i32.const 576))
                (i32.store (i32.const 52) (i32.const 1))
                (i32.const 48))
            (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
                (local $place i32)
                (local.set $place (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $place) (local.get $size)))
                (local.get $place))
        )"#
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) =
        resolve.push_dir(Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../sdk/wit")).unwrap();
    let world = resolve.select_world(&[package], Some("policy")).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    module
}

#[tokio::test]
async fn a_core_module_with_the_contracts_metadata_is_wrapped_and_runs() {
    let configured = configure(&engine(), &module(""), "handwritten", json!({}));
    assert_eq!(configured.snapshot, SnapshotState::Taken { warmed_up: false, proofs: 1 });
    assert_eq!(review(&configured, UNLABELLED).await.outcome, Ok(Default::default()));
}

#[tokio::test]
async fn a_guest_that_no_snapshot_can_be_taken_of_is_configured_for_each_request() {
    let tables = "(table $t 1 funcref) (func $unused (table.set $t (i32.const 0) (ref.null func)))";
    let configured = configure(&engine(), &module(tables), "handwritten", json!({}));
    let SnapshotState::Absent { reason } = &configured.snapshot else { panic!("{:?}", configured.snapshot) };
    assert_eq!(reason, "unsupported `table.set` instruction");
    assert!(configured.warnings[0].contains("settings are parsed for every request"), "{:?}", configured.warnings);
    for _ in 0..3 {
        assert_eq!(review(&configured, UNLABELLED).await.outcome, Ok(Default::default()));
    }
}

#[tokio::test]
async fn a_guest_whose_memory_can_not_be_read_has_no_snapshot() {
    let bytes = module_with("", "2 2", DESCRIPTION);
    let configured = configure(&engine(), &bytes, "handwritten", json!({}));
    let SnapshotState::Absent { reason } = &configured.snapshot else { panic!("{:?}", configured.snapshot) };
    assert!(reason.contains("its state can't be read"), "{reason}");
    assert_eq!(review(&configured, UNLABELLED).await.outcome, Ok(Default::default()));
}

#[test]
fn a_module_that_uses_a_feature_that_is_off_is_refused() {
    let check = |extra: &str, expected: &str| {
        let error = engine().load(&module(extra)).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("(memory $other 1)", "multiple memories");
    check("(tag $t)", "exceptions");
    check("(func $f (return_call $f))", "tail calls");
}

#[test]
fn imports_that_are_not_the_contracts_are_refused_by_name() {
    let check = |import: &str, expected: &str| {
        let error = engine().load(&module(import)).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let import = |name: &str| format!(r#"(import "{name}" "f" (func))"#);
    check(&import("wasi_snapshot_preview1"), "imports wasi_snapshot_preview1, which is WASI");
    check(&import("wasi:cli/environment@0.2.0"), "imports wasi:cli/environment@0.2.0, which is WASI");
    check(&import("portcullis:policy/cluster@0.2.0"), "made for the contract portcullis:policy@0.2.0");
    check(&import("env"), "imports env, which this host doesn't offer");
}

#[test]
fn a_description_that_the_binary_can_not_fulfil_is_refused() {
    let lookups = r#"{"lookups":[{"apiVersion":"v1","kind":"Secret","fields":"value","verbs":["get"]}]}"#;
    let description = DESCRIPTION.replace(r#""reach":{}"#, &format!(r#""reach":{lookups}"#));
    let error = engine().load(&module_with("", "2", &description)).err().unwrap().to_string();
    assert!(error.contains("look-ups of v1 Secret, but the module doesn't import `cluster`"), "{error}");
}
