//! What Portcullis ships with: the built-in modules as components, and the sets
//! of policy documents that run them.
//!
//! The server starts with a library and no set-up because everything is inside
//! the binary. The components are built by `build.rs` with the same library
//! that authors' policies are built with; nothing here knows what is in them.
//!
//! A document names a module as `builtin/<name>`.

/// A built-in module: one component of one or more policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// The part of `spec.module` after `builtin/`; the folder below `modules/`.
    pub name: &'static str,
    /// SHA-256 of `bytes`, as `sha256:<hexadecimal digits>`.
    pub digest: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

/// A set of policy documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name; the file below `sets/` without its ending.
    pub name: &'static str,
    /// The documents, as multi-document YAML.
    pub documents: &'static str,
}

/// The set that runs where no policy source is given at all.
pub const BASELINE: Set = Set { name: "baseline", documents: include_str!("../sets/baseline.yaml") };

/// What is asked for beyond it: what is probably wrong is denied, and matters of
/// taste are judged.
pub const STRICT: Set = Set { name: "strict", documents: include_str!("../sets/strict.yaml") };

const MODULES: &[Module] = include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// The built-in modules, by name in ascending order.
#[must_use]
pub const fn modules() -> &'static [Module] {
    MODULES
}

/// The built-in module of this name, without `builtin/`.
///
/// ```
/// let storage = portcullis_bundle::module("storage").expect("it is built in");
/// assert!(storage.digest.starts_with("sha256:"));
/// assert!(portcullis_bundle::module("no-such-module").is_none());
/// ```
#[must_use]
pub fn module(name: &str) -> Option<&'static Module> {
    modules().iter().find(|module| module.name == name)
}

/// The sets, each a whole of its own.
#[must_use]
pub const fn sets() -> &'static [Set] {
    &[BASELINE, STRICT]
}

/// The set of this name.
///
/// ```
/// assert!(portcullis_bundle::set("strict").is_some());
/// assert!(portcullis_bundle::set("no-such-set").is_none());
/// ```
#[must_use]
pub fn set(name: &str) -> Option<Set> {
    sets().iter().find(|set| set.name == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a component, unlike a core module, begins with.
    const COMPONENT_PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn every_module_is_a_component() {
        assert!(!modules().is_empty());
        for module in modules() {
            assert!(module.bytes.starts_with(COMPONENT_PREAMBLE), "{}", module.name);
        }
    }

    #[test]
    fn every_document_of_a_set_runs_a_module_that_is_built_in() {
        for set in sets() {
            let named: Vec<&str> =
                set.documents.lines().filter_map(|line| line.trim().strip_prefix("module: builtin/")).collect();
            let documents = set.documents.lines().filter(|line| line.starts_with("kind: ClusterPolicy")).count();
            assert_eq!(named.len(), documents);
            for name in named {
                assert!(module(name).is_some(), "{name} is not built in");
            }
        }
    }
}
