//! The interfaces that a policy may import, one file each. What isn't here a
//! policy can't do.
//!
//! A new host call is an interface in the contract, a file here and a row in
//! [`INTERFACES`]; the linker's types and the loader's check come from those.

pub(crate) mod clock;
pub(crate) mod cluster;
pub(crate) mod log;
pub(crate) mod turn;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::v0_1_0::Policy;
use crate::state::State;

/// The contract's package.
pub(crate) const PACKAGE: &str = "portcullis:policy";
/// The version of the contract that this host speaks.
pub(crate) const VERSION: &str = "0.1.0";
/// The interfaces of the package, in the order in which they are listed to a person.
pub(crate) const INTERFACES: [&str; 5] = ["cluster", "clock", "turn", "log", "types"];

/// A linker that offers the contract's interfaces, and nothing else.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    Policy::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}
