//! A core module becomes a component.
//!
//! wit-bindgen leaves the world that a guest was written against in a custom
//! section; wit-component reads it and wraps the module. What can go wrong is
//! told before wit-component sees it, where its own words would not help an
//! author.

use wasmparser::{Encoding, Parser, Payload};
use wit_component::ComponentEncoder;

/// How wit-bindgen's custom sections begin.
const COMPONENT_TYPE: &str = "component-type";

/// How the modules and interfaces of WASI are named, before and since preview 2.
const WASI: [&str; 2] = ["wasi_", "wasi:"];

/// Why a module can't become a component.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The bytes aren't WebAssembly, or are cut off.
    #[error("this is not a WebAssembly module")]
    NotWasm(#[source] wasmparser::BinaryReaderError),
    /// It is a component already.
    #[error("this is a component already, not a core module; use it as it is")]
    AlreadyComponent,
    /// It was built for a target with WASI.
    #[error(
        "the module imports `{import}`: a policy has no system to call\n\
         hint: build it for wasm32-unknown-unknown, and without crates that need WASI"
    )]
    Wasi {
        /// The first such import, as `module.name`.
        import: String,
    },
    /// Nothing in it says which world it was written against.
    #[error(
        "the module has no `{COMPONENT_TYPE}` section, so nothing says which exports are a policy's\n\
         hint: export policies with `portcullis_sdk::module!`, or with wit-bindgen's `generate!` and `export!`"
    )]
    NoWorld,
    /// wit-component refused it: its exports don't fit the world, say.
    #[error("the module can't be wrapped as a component: {reason}")]
    Encode {
        /// wit-component's words, causes included.
        reason: String,
    },
}

/// Wraps a core module that was built with wit-bindgen as a component, and
/// validates the result. The same module gives the same bytes.
///
/// # Errors
/// Says why these bytes can't become a component, and what would be right.
pub fn componentize(core_wasm: &[u8]) -> Result<Vec<u8>, ComponentError> {
    inspect(core_wasm)?;
    ComponentEncoder::default()
        .validate(true)
        .module(core_wasm)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| ComponentError::Encode { reason: format!("{error:#}") })
}

fn inspect(core_wasm: &[u8]) -> Result<(), ComponentError> {
    let mut has_world = false;
    for payload in Parser::new(0).parse_all(core_wasm) {
        match payload.map_err(ComponentError::NotWasm)? {
            Payload::Version { encoding: Encoding::Component, .. } => return Err(ComponentError::AlreadyComponent),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(ComponentError::NotWasm)?;
                    if WASI.iter().any(|prefix| import.module.starts_with(prefix)) {
                        return Err(ComponentError::Wasi { import: format!("{}.{}", import.module, import.name) });
                    }
                }
            }
            Payload::CustomSection(section) => {
                has_world |= section.name().starts_with(COMPONENT_TYPE);
            }
            _ => {}
        }
    }
    if has_world { Ok(()) } else { Err(ComponentError::NoWorld) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";
    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    /// `(module (type (func)) (import "wasi_snapshot_preview1" "f" (func (type 0))))`
    const WASI_MODULE: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x1c\x01\x16wasi_snapshot_preview1\x01f\0\0";

    #[test]
    fn what_can_not_be_wrapped_says_why() {
        let cases = [
            (b"{}".as_slice(), "not a WebAssembly module"),
            (&EMPTY_MODULE[..6], "not a WebAssembly module"),
            (EMPTY_COMPONENT, "a component already"),
            (EMPTY_MODULE, "no `component-type` section"),
            (WASI_MODULE, "imports `wasi_snapshot_preview1.f`"),
        ];
        for (bytes, expected) in cases {
            let message = componentize(bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
