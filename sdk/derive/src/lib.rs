//! The derives of `portcullis-sdk`: `View`, `Objects` and `Rules`.
//!
//! They are compile-time twins of what serde does with the same attributes.
//! Invariant: what can't be followed with certainty is a compile error that
//! says what to do, because a field that is read and not declared never reaches
//! the policy.

mod case;
mod objects;
mod rules;
mod serde_attributes;
mod view;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Derives what a serde struct reads.
///
/// `#[view(api_version = "apps/v1", kind = "StatefulSet", resource = "statefulsets")]` on the
/// struct makes it the view of a kind (`scope = "Cluster"` for one without a
/// namespace). `#[view(value)]`, `#[view(keys)]` and `#[view(present)]` on a field,
/// or `#[view(value)]` on a type, say what is read where serde's attributes don't tell.
#[proc_macro_derive(View, attributes(view))]
pub fn derive_view(input: TokenStream) -> TokenStream {
    finish(view::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Derives which kinds a policy reviews, for an enum with one view in each variant.
#[proc_macro_derive(Objects)]
pub fn derive_objects(input: TokenStream) -> TokenStream {
    finish(objects::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Derives the declarations of rules from an enum: the id from the variant's
/// name, title, reason and remedy from the paragraphs of its doc comment,
/// severity and URL from `#[rule(…)]`.
///
/// `#[rules(examples)]` on the enum gives every rule the files `bad.yaml` and
/// `good.yaml`, and where they exist `settings.yaml` and `old.yaml`, of the
/// folder `examples/<id>` beside `Cargo.toml`. A missing one is a compile error.
#[proc_macro_derive(Rules, attributes(rule, rules))]
pub fn derive_rules(input: TokenStream) -> TokenStream {
    finish(rules::derive(&parse_macro_input!(input as DeriveInput)))
}

fn finish(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(|error| error.to_compile_error()).into()
}
