//! Write Portcullis admission policies in Rust.
#![doc = include_str!("../README.md")]

mod erased;
#[cfg(target_arch = "wasm32")]
pub mod guest;
#[cfg(all(feature = "harness", not(target_arch = "wasm32")))]
pub mod harness;
mod host;
mod kind;
mod path;
pub mod pod;
mod policy;
mod quantity;
mod reach;
mod read;
mod request;
mod review;
mod selector;
mod settings;
mod strict;
mod view;

pub use erased::{Configured, Erased, ErasedPolicy, RawRequest, attributes_of};
#[cfg(not(target_arch = "wasm32"))]
pub use host::HostCalls;
pub use host::{Answer, Batch, BatchAnswers, Host, Instant, Listing, LogLevel, Query, Tally, Ticket, raw};
pub use kind::{GroupVersionKind, Kind, Metadata, ObjectKind, Objects, Scope, read_kind};
pub use path::FieldPath;
pub use policy::{
    Cases, Examples, MALFORMED, Mutating, NoRules, Phase, Policy, Rule, Rules, Sample, Severity, Validating,
};
/// Derives what a view reads; see the README.
pub use portcullis_sdk_derive::{Objects, Rules, View};
pub use quantity::{Quantity, QuantityError};
pub use reach::{Lookup, Match, Reach, Read, Write};
pub use read::{Malformed, from_json, from_value};
pub use request::{Attributes, GroupVersionResource, Operation, Origin, Request, UserInfo};
pub use review::{Contents, Edit, Finding, Level, MAX_FINDING_BYTES, MAX_FINDINGS, Review};
pub use schemars;
pub use selector::{LabelSelector, Operator, Requirement, SelectorError};
pub use serde;
pub use serde_json;
pub use settings::{NoSettings, Settings, SettingsFinding, SettingsFindings, schema_of};
pub use strict::Strict;
pub use view::{Keys, Present, Tree, Unread, View, Visited, tree_of};

/// Gives a policy its tests: every case in the crate's folder `cases` (or the
/// folder named), and that there are cases for all it can say and match.
///
/// A policy can't be written without it. The crate's dev-dependencies name
/// `portcullis-sdk` with the feature `harness`.
#[macro_export]
macro_rules! cases {
    ($policy:ident) => {
        $crate::cases!($policy, "cases");
    };
    ($policy:ident, $folder:literal) => {
        impl $crate::Cases for $policy {}

        #[cfg(test)]
        #[test]
        fn cases() {
            $crate::harness::assert_cases::<$policy>(
                &$crate::harness::crate_folder(env!("CARGO_MANIFEST_DIR")).join($folder),
            );
        }
    };
}

/// Makes a module of these policies: what the host loads. Once in a `cdylib`
/// crate, which needs nothing else.
///
/// ```
/// # use portcullis_sdk::*;
/// # struct Nothing;
/// # impl Cases for Nothing {}
/// # impl Policy for Nothing {
/// #     type Settings = NoSettings; type Rule = NoRules; type Phase = Validating; type Object = Unread; type OldObject = Unread;
/// #     const NAME: &'static str = "nothing"; const VERSION: &'static str = "0.1.0"; const TITLE: &'static str = "nothing";
/// #     fn reach(_: &NoSettings) -> Reach { Reach::of::<Self>(&[Operation::Create]) }
/// #     fn samples() -> Vec<Sample> { Vec::new() }
/// #     fn review(_: &NoSettings, _: &Request<Self>, _: &Host, _: &mut Review<Self>) {}
/// # }
/// portcullis_sdk::module!(Nothing);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! module {
    ($($policy:ty),+ $(,)?) => {
        /// The policies of this module.
        pub static POLICIES: &[&dyn $crate::ErasedPolicy] = &[$(&$crate::Erased::<$policy>::NEW),+];

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the exported functions of the contract")]
        const _: () = {
            use $crate::guest::bindings::{self, Guest, portcullis::policy::types};

            struct Module;

            impl Guest for Module {
                fn describe() -> ::std::vec::Vec<::std::string::String> {
                    $crate::guest::describe(POLICIES)
                }

                fn configure(configurations: ::std::vec::Vec<types::Configuration>) -> ::std::result::Result<::std::vec::Vec<types::Configured>, ::std::vec::Vec<types::SettingsFinding>> {
                    $crate::guest::configure(POLICIES, configurations)
                }

                fn review(ids: ::std::vec::Vec<u32>, request: types::Request) -> ::std::vec::Vec<types::Review> {
                    $crate::guest::review(&ids, &request)
                }

                fn warm_up() {
                    $crate::guest::warm_up();
                }
            }

            bindings::export!(Module with_types_in bindings);
        };
    };
}
