//! `#[derive(View)]`: the tree of what a serde struct reads.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Fields, LitStr, Type};

use crate::serde_attributes;

/// What `#[view(…)]` says is read.
#[derive(Clone, Copy)]
enum Leaf {
    Value,
    Keys,
    Present,
}

/// What `#[view(…)]` says on a struct.
#[derive(Default)]
struct ViewContainer {
    value: bool,
    api_version: Option<LitStr>,
    kind: Option<LitStr>,
    resource: Option<LitStr>,
    cluster_scoped: bool,
}

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let name = &input.ident;
    let view = ViewContainer::parse(&input.attrs)?;
    if let Some(parameter) = input.generics.params.first() {
        return Err(syn::Error::new_spanned(
            parameter,
            "a view can't be generic: what it reads must be known where it is written; write one struct for each type",
        ));
    }
    let tree = if view.value { quote!(::portcullis_sdk::Tree::Value) } else { tree_of(input)? };
    let kind = view.implement_kind(name)?;
    Ok(quote! {
        #[automatically_derived]
        impl ::portcullis_sdk::View for #name {
            fn tree(visited: &mut ::portcullis_sdk::Visited) -> ::portcullis_sdk::Tree {
                visited.enter::<Self>(|visited| { let _ = &visited; #tree })
            }
        }
        #kind
    })
}

fn tree_of(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(
            &input.ident,
            "a view can't follow an enum or union: what it reads depends on what it finds; add #[view(value)] to the type to take the whole value",
        ));
    };
    let container = serde_attributes::Container::parse(&input.attrs)?;
    if let Some(attribute) = container.opaque {
        return Err(syn::Error::new_spanned(
            &input.ident,
            format!(
                "a view can't follow #[serde({attribute})]: what is read is decided elsewhere; add #[view(value)] to the type to take the whole value"
            ),
        ));
    }
    if container.transparent {
        let only: Vec<&Type> = data.fields.iter().map(|field| &field.ty).collect();
        let [only] = only[..] else {
            return Err(syn::Error::new_spanned(
                &input.ident,
                "a view can follow #[serde(transparent)] only on a struct with one field; add #[view(value)] to the type to take the whole value",
            ));
        };
        return Ok(quote!(<#only as ::portcullis_sdk::View>::tree(visited)));
    }
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new_spanned(
            &input.ident,
            "a view can't follow a tuple struct: its fields have no names; name them, or add #[view(value)] to the type to take the whole value",
        ));
    };
    let mut named = Vec::new();
    let mut flattened = Vec::new();
    for field in &fields.named {
        let Some(identifier) = &field.ident else { continue };
        let serde = serde_attributes::Field::parse(&field.attrs)?;
        if serde.skip {
            continue;
        }
        let tree = field_tree(field, &serde)?;
        if serde.flatten {
            flattened.push(tree);
            continue;
        }
        let plain = identifier.to_string();
        let plain = plain.strip_prefix("r#").unwrap_or(&plain);
        let own = serde.rename.unwrap_or_else(|| {
            container.rename_all.map_or_else(|| plain.to_owned(), |case| case.apply_to_field(plain))
        });
        for name in std::iter::once(own).chain(serde.aliases) {
            named.push(quote!((::std::string::String::from(#name), #tree)));
        }
    }
    Ok(quote!(::portcullis_sdk::Tree::fields([#(#named),*]) #(.merge(#flattened))*))
}

fn field_tree(field: &syn::Field, serde: &serde_attributes::Field) -> syn::Result<TokenStream> {
    let ty = &field.ty;
    if let Some(leaf) = parse_field(&field.attrs)? {
        let leaf = match leaf {
            Leaf::Value => format_ident!("Value"),
            Leaf::Keys => format_ident!("Keys"),
            Leaf::Present => format_ident!("Present"),
        };
        return Ok(quote!(::portcullis_sdk::Tree::#leaf));
    }
    if let Some(attribute) = &serde.opaque {
        return Err(syn::Error::new_spanned(
            ty,
            format!(
                "a view can't follow #[serde({attribute})]: what is read is decided by a function; add #[view(value)], #[view(keys)] or #[view(present)] to the field to say what it takes"
            ),
        ));
    }
    Ok(quote!(<#ty as ::portcullis_sdk::View>::tree(visited)))
}

fn parse_field(attributes: &[Attribute]) -> syn::Result<Option<Leaf>> {
    let mut leaf = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("view")) {
        attribute.parse_nested_meta(|meta| {
            leaf = Some(if meta.path.is_ident("value") {
                Leaf::Value
            } else if meta.path.is_ident("keys") {
                Leaf::Keys
            } else if meta.path.is_ident("present") {
                Leaf::Present
            } else {
                return Err(
                    meta.error("on a field only #[view(value)], #[view(keys)] and #[view(present)] have a meaning")
                );
            });
            Ok(())
        })?;
    }
    Ok(leaf)
}

impl ViewContainer {
    fn parse(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut container = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("view")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("value") {
                    container.value = true;
                } else if meta.path.is_ident("api_version") {
                    container.api_version = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("kind") {
                    container.kind = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("resource") {
                    container.resource = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("scope") {
                    let scope: LitStr = meta.value()?.parse()?;
                    container.cluster_scoped = match scope.value().as_str() {
                        "Cluster" => true,
                        "Namespaced" => false,
                        _ => return Err(syn::Error::new(scope.span(), "a scope is \"Namespaced\" or \"Cluster\"")),
                    };
                } else {
                    return Err(meta.error("on a type only #[view(value)] and #[view(api_version = …, kind = …, resource = …, scope = …)] have a meaning"));
                }
                Ok(())
            })?;
        }
        Ok(container)
    }

    fn implement_kind(&self, name: &syn::Ident) -> syn::Result<TokenStream> {
        let (api_version, kind, resource) = match (&self.api_version, &self.kind, &self.resource) {
            (None, None, None) => return Ok(TokenStream::new()),
            (Some(api_version), Some(kind), Some(resource)) => (api_version, kind, resource),
            _ => {
                return Err(syn::Error::new(
                    Span::call_site(),
                    "the view of a kind names api_version, kind and resource (the plural in URLs)",
                ));
            }
        };
        let scope = if self.cluster_scoped { format_ident!("Cluster") } else { format_ident!("Namespaced") };
        Ok(quote! {
            #[automatically_derived]
            impl ::portcullis_sdk::Kind for #name {
                const API_VERSION: &'static str = #api_version;
                const KIND: &'static str = #kind;
                const RESOURCE: &'static str = #resource;
                const SCOPE: ::portcullis_sdk::Scope = ::portcullis_sdk::Scope::#scope;
            }

            #[automatically_derived]
            impl ::portcullis_sdk::Objects for #name {
                fn kinds() -> ::std::vec::Vec<::portcullis_sdk::ObjectKind> {
                    ::std::vec![::portcullis_sdk::ObjectKind::of::<Self>()]
                }

                fn read(
                    kind: &::portcullis_sdk::GroupVersionKind,
                    json: &str,
                ) -> ::std::option::Option<::std::result::Result<Self, ::portcullis_sdk::Malformed>> {
                    ::portcullis_sdk::read_kind::<Self>(kind, json)
                }
            }
        })
    }
}
