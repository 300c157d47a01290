//! The contract's types on the host's side, made from `sdk/wit` by
//! `bindgen!`, one module a published version.
//!
//! Nothing outside `imports` and `instance` names these types: the rest of the
//! host speaks `portcullis_core`'s, so that another version of the contract is
//! one more module here and a conversion.

/// Version 0.1.0.
pub(crate) mod v0_1_0 {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit",
        world: "portcullis:policy/policy",
        imports: {
            "portcullis:policy/cluster": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
