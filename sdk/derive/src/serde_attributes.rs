//! What serde's attributes say about deserialising, as far as a view follows it.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, LitStr, Token};

use crate::case::Case;

/// On a struct or enum.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) rename_all: Option<Case>,
    pub(crate) transparent: bool,
    /// An attribute that changes what is read in a way that a view can't follow.
    pub(crate) opaque: Option<String>,
}

/// On a field.
#[derive(Default)]
pub(crate) struct Field {
    pub(crate) rename: Option<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) flatten: bool,
    pub(crate) skip: bool,
    /// As in `Container`.
    pub(crate) opaque: Option<String>,
}

impl Container {
    pub(crate) fn parse(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut container = Self::default();
        for_each_serde(attributes, |meta| {
            if meta.path.is_ident("rename_all") {
                for name in names(&meta)? {
                    container.rename_all = Some(Case::parse(&name.value()).ok_or_else(|| {
                        syn::Error::new(name.span(), format!("unknown convention `{}`", name.value()))
                    })?);
                }
            } else if meta.path.is_ident("transparent") {
                container.transparent = true;
            } else if [
                "from",
                "try_from",
                "tag",
                "content",
                "untagged",
                "remote",
                "variant_identifier",
                "field_identifier",
            ]
            .iter()
            .any(|name| meta.path.is_ident(name))
            {
                container.opaque = meta.path.get_ident().map(ToString::to_string);
                skip_value(&meta)?;
            } else {
                skip_value(&meta)?;
            }
            Ok(())
        })?;
        Ok(container)
    }
}

impl Field {
    pub(crate) fn parse(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut field = Self::default();
        for_each_serde(attributes, |meta| {
            if meta.path.is_ident("rename") {
                if let Some(name) = names(&meta)?.pop() {
                    field.rename = Some(name.value());
                }
            } else if meta.path.is_ident("alias") {
                field.aliases.push(meta.value()?.parse::<LitStr>()?.value());
            } else if meta.path.is_ident("flatten") {
                field.flatten = true;
            } else if meta.path.is_ident("skip") || meta.path.is_ident("skip_deserializing") {
                field.skip = true;
            } else if meta.path.is_ident("with") || meta.path.is_ident("deserialize_with") {
                field.opaque = meta.path.get_ident().map(ToString::to_string);
                skip_value(&meta)?;
            } else {
                skip_value(&meta)?;
            }
            Ok(())
        })?;
        Ok(field)
    }
}

fn for_each_serde(
    attributes: &[Attribute],
    mut visit: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        attribute.parse_nested_meta(&mut visit)?;
    }
    Ok(())
}

/// The name in `= "name"` or `(deserialize = "name", serialize = "other")`; empty where only serialising is renamed.
fn names(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<LitStr>> {
    if meta.input.peek(Token![=]) {
        return Ok(vec![meta.value()?.parse()?]);
    }
    let mut names = Vec::new();
    meta.parse_nested_meta(|inner| {
        let name: LitStr = inner.value()?.parse()?;
        if inner.path.is_ident("deserialize") {
            names.push(name);
        }
        Ok(())
    })?;
    Ok(names)
}

/// Reads over `= value` or `(…)`.
fn skip_value(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        let inner;
        syn::parenthesized!(inner in meta.input);
        inner.parse::<proc_macro2::TokenStream>()?;
    }
    Ok(())
}
