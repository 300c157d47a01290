//! `#[derive(Objects)]`: an enum with one view in each variant.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields};

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let name = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(syn::Error::new_spanned(
            name,
            "Objects is derived for an enum with one view in each variant; for a single kind derive View with #[view(api_version = …, kind = …, resource = …)]",
        ));
    };
    if let Some(parameter) = input.generics.params.first() {
        return Err(syn::Error::new_spanned(parameter, "what a policy reviews can't be generic; name the views"));
    }
    let mut variants = Vec::new();
    let mut types = Vec::new();
    for variant in &data.variants {
        match &variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                variants.push(&variant.ident);
                types.extend(fields.unnamed.iter().map(|field| &field.ty));
            }
            _ => {
                return Err(syn::Error::new_spanned(
                    variant,
                    "a variant holds one view and nothing else: `Claim(Claim)`",
                ));
            }
        }
    }
    Ok(quote! {
        #[automatically_derived]
        impl ::portcullis_sdk::Objects for #name {
            fn kinds() -> ::std::vec::Vec<::portcullis_sdk::ObjectKind> {
                let mut kinds = ::std::vec::Vec::new();
                #(kinds.extend(<#types as ::portcullis_sdk::Objects>::kinds());)*
                kinds
            }

            fn read(
                kind: &::portcullis_sdk::GroupVersionKind,
                json: &str,
            ) -> ::std::option::Option<::std::result::Result<Self, ::portcullis_sdk::Malformed>> {
                #(if let ::std::option::Option::Some(read) = <#types as ::portcullis_sdk::Objects>::read(kind, json) {
                    return ::std::option::Option::Some(read.map(Self::#variants));
                })*
                ::std::option::Option::None
            }
        }
    })
}
