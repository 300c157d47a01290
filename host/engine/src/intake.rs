//! What is taken in as a policy: bytes become a component whose imports are
//! the contract's and nothing else.
//!
//! All of it is read from the binary before anything is compiled or run, so
//! that a refusal costs nothing and names what to do.

use portcullis_core::evaluate::Failure;
use wasmparser::{ComponentTypeRef, Parser, Payload, TypeBounds};
use wit_component::ComponentEncoder;

use crate::imports::{INTERFACES, PACKAGE, VERSION};

/// Bytes that a module may have: Python's component, the largest seen, has 18 MB.
pub const MAX_MODULE_BYTES: usize = 64 * 1024 * 1024;
/// What every Wasm binary begins with.
const MAGIC: &[u8] = b"\0asm";
/// The custom sections that wit-bindgen leaves in a core module begin with this.
const CONTRACT_SECTION: &str = "component-type";
/// What a module must export.
const EXPORTS: [&str; 3] = ["describe", "configure", "review"];

/// Why a module isn't taken, and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Too large.
    #[error("the module has {bytes} bytes, at most {MAX_MODULE_BYTES} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Something else.
    #[error("not a WebAssembly binary: it doesn't begin with \\0asm")]
    NotWasm,
    /// A binary that doesn't parse, doesn't validate, or uses features that
    /// are off.
    #[error("not a valid policy module: {reason}")]
    Invalid {
        /// What the validator says.
        reason: String,
    },
    /// A core module that knows nothing of the contract.
    #[error(
        "a core module without a `component-type` section: it wasn't made with wit-bindgen from the contract \
         {PACKAGE}@{VERSION}; build it with `portcullis build`, or wrap it with `wasm-tools component new`"
    )]
    NoContract,
    /// WASI, in whatever version.
    #[error(
        "imports {import}, which is WASI: a policy runs without it; build for wasm32-unknown-unknown \
         (for other languages: without a WASI runtime, so that nothing but {PACKAGE} is imported)"
    )]
    Wasi {
        /// The import as the binary names it.
        import: String,
    },
    /// Another version of the contract.
    #[error(
        "made for the contract {PACKAGE}@{found} (it imports {import}), this host speaks {PACKAGE}@{VERSION}; \
         build it against {VERSION}, or run a host that speaks {found}"
    )]
    ContractVersion {
        /// The version that it imports.
        found: String,
        /// The import that says so.
        import: String,
    },
    /// Something that the host doesn't offer.
    #[error("imports {import}, which this host doesn't offer; a policy may import {}", offered())]
    Import {
        /// The import as the binary names it.
        import: String,
    },
    /// An export is missing.
    #[error("doesn't export `{export}`; a policy exports {}", EXPORTS.map(|export| format!("`{export}`")).join(", "))]
    MissingExport {
        /// The export.
        export: &'static str,
    },
    /// Names fit, types don't.
    #[error("doesn't follow the contract {PACKAGE}@{VERSION}: {reason}")]
    Types {
        /// What the linker says.
        reason: String,
    },
    /// `describe` went wrong.
    #[error("`describe` failed: {0}")]
    Describe(#[source] Failure),
    /// What `describe` says can't be right.
    #[error("the description of {policy} is wrong: {reason}")]
    Description {
        /// The policy's name, or its place.
        policy: String,
        /// What is wrong and what would be right.
        reason: String,
    },
}

/// What the binary says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Capabilities {
    /// It can ask the cluster.
    pub cluster: bool,
    /// It can tell the time of a request.
    pub clock: bool,
    /// It can say whose review it is making, so it can be asked for several
    /// policies at once.
    pub turn: bool,
    /// It can write log lines.
    pub log: bool,
}

/// A component made of `bytes`.
pub(crate) fn component(bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    if bytes.len() > MAX_MODULE_BYTES {
        return Err(LoadError::TooLarge { bytes: bytes.len() });
    }
    if !bytes.starts_with(MAGIC) {
        return Err(LoadError::NotWasm);
    }
    if Parser::is_component(bytes) {
        return Ok(bytes.to_vec());
    }
    let mut has_contract = false;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(invalid)?;
                    // `[…]` and `$root` are the component model's own.
                    if !import.module.starts_with(['[', '$']) {
                        Capabilities::default().admit(import.module)?;
                    }
                }
            }
            Payload::CustomSection(section) => has_contract |= section.name().starts_with(CONTRACT_SECTION),
            _ => {}
        }
    }
    if !has_contract {
        return Err(LoadError::NoContract);
    }
    // Whether it is valid is for the engine to say, which knows the features.
    let encoded = ComponentEncoder::default().module(bytes).and_then(|encoder| encoder.encode());
    encoded.map_err(|error| LoadError::Invalid { reason: format!("{error:#}") })
}

/// Reads imports and exports of a component and refuses what isn't the contract's.
pub(crate) fn capabilities(component: &[u8]) -> Result<Capabilities, LoadError> {
    let mut capabilities = Capabilities::default();
    let mut exports = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let import = import.map_err(invalid)?;
                    // A name for a type of an interface that is imported as well: it gives nothing.
                    if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        capabilities.admit(&import.name.full_name())?;
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(invalid)?.name.name);
                }
            }
            _ => {}
        }
    }
    match EXPORTS.into_iter().find(|export| !exports.contains(export)) {
        Some(export) => Err(LoadError::MissingExport { export }),
        None => Ok(capabilities),
    }
}

impl Capabilities {
    fn admit(&mut self, import: &str) -> Result<(), LoadError> {
        let owned = || import.to_owned();
        // `wasi_snapshot_preview1` and its likes are core modules' WASI.
        if import.starts_with("wasi:") || import.starts_with("wasi_") {
            return Err(LoadError::Wasi { import: owned() });
        }
        let of_package = import.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/'));
        let Some((interface, version)) = of_package.and_then(|rest| rest.split_once('@')) else {
            return Err(LoadError::Import { import: owned() });
        };
        if version != VERSION {
            return Err(LoadError::ContractVersion { found: version.to_owned(), import: owned() });
        }
        match interface {
            "cluster" => self.cluster = true,
            "clock" => self.clock = true,
            "turn" => self.turn = true,
            "log" => self.log = true,
            "types" => {}
            _ => return Err(LoadError::Import { import: owned() }),
        }
        Ok(())
    }
}

fn offered() -> String {
    INTERFACES.map(|interface| format!("{PACKAGE}/{interface}@{VERSION}")).join(", ")
}

fn invalid(error: wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Invalid { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_the_contracts_or_refused_by_name() {
        let check = |import: &str, expected: &str| {
            let answer = Capabilities::default().admit(import).map_err(|error| error.to_string());
            match answer {
                Ok(()) => assert_eq!(expected, "taken", "{import}"),
                Err(message) => {
                    assert!(message.contains(import), "{message}");
                    assert!(message.contains(expected), "{message}");
                }
            }
        };
        check("portcullis:policy/cluster@0.1.0", "taken");
        check("portcullis:policy/types@0.1.0", "taken");
        check("wasi:cli/environment@0.2.3", "which is WASI");
        check("wasi_snapshot_preview1", "which is WASI");
        check("portcullis:policy/cluster@0.2.0", "this host speaks portcullis:policy@0.1.0");
        check("portcullis:policy/cluster@0.1.1", "made for the contract portcullis:policy@0.1.1");
        check("portcullis:policy/network@0.1.0", "a policy may import portcullis:policy/cluster@0.1.0");
        check("portcullis:policy/cluster", "this host doesn't offer");
        check("portcullis:policyx/cluster@0.1.0", "this host doesn't offer");
        check("env", "this host doesn't offer");
    }

    #[test]
    fn bytes_that_are_no_policy_are_refused() {
        let check = |bytes: &[u8], expected: &str| {
            let message = match component(bytes).and_then(|component| capabilities(&component)) {
                Ok(_) => "taken".to_owned(),
                Err(error) => error.to_string(),
            };
            assert!(message.contains(expected), "{message}");
        };
        check(b"", "not a WebAssembly binary");
        check(b"apiVersion: v1", "not a WebAssembly binary");
        check(b"\0asm", "not a valid policy module");
        check(b"\0asm\x01\0\0\0", "without a `component-type` section");
        check(b"\0asm\x0d\0\x01\0", "doesn't export `describe`");
        check(&vec![0; MAX_MODULE_BYTES + 1], "at most");
    }
}
