//! `#[derive(Rules)]`: declarations of rules from an enum and its doc comments.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Fields, Lit, LitStr, Meta, Variant};

use crate::case::kebab;

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let name = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(syn::Error::new_spanned(name, "Rules is derived for an enum with one variant for each rule"));
    };
    let declarations = data.variants.iter().map(declaration).collect::<syn::Result<Vec<_>>>()?;
    let variants = data.variants.iter().map(|variant| &variant.ident);
    let indexes = 0..data.variants.len();
    Ok(quote! {
        #[automatically_derived]
        impl ::portcullis_sdk::Rules for #name {
            const ALL: &'static [::portcullis_sdk::Rule] = &[#(#declarations),*];

            fn declaration(self) -> &'static ::portcullis_sdk::Rule {
                match self {
                    #(Self::#variants => &<Self as ::portcullis_sdk::Rules>::ALL[#indexes],)*
                }
            }
        }
    })
}

fn declaration(variant: &Variant) -> syn::Result<TokenStream> {
    if !matches!(variant.fields, Fields::Unit) {
        return Err(syn::Error::new_spanned(variant, "a rule is a variant without fields"));
    }
    let id = kebab(&variant.ident.to_string());
    let (title, reason) = title_and_reason(&variant.attrs);
    if title.is_empty() || reason.is_empty() {
        return Err(syn::Error::new_spanned(
            &variant.ident,
            "a rule's doc comment is its text for users: the first paragraph says what is wrong in one line, the next why it matters",
        ));
    }
    let (severity, url) = severity_and_url(variant)?;
    Ok(quote!(::portcullis_sdk::Rule {
        id: #id,
        severity: ::portcullis_sdk::Severity::#severity,
        title: #title,
        reason: #reason,
        url: #url,
    }))
}

fn severity_and_url(variant: &Variant) -> syn::Result<(syn::Ident, String)> {
    let (mut severity, mut url) = (None, String::new());
    for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("rule")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("severity") {
                let text: LitStr = meta.value()?.parse()?;
                severity = Some(match text.value().as_str() {
                    "low" => format_ident!("Low"),
                    "medium" => format_ident!("Medium"),
                    "high" => format_ident!("High"),
                    "critical" => format_ident!("Critical"),
                    _ => {
                        return Err(syn::Error::new(
                            text.span(),
                            "a severity is \"low\", \"medium\", \"high\" or \"critical\"",
                        ));
                    }
                });
            } else if meta.path.is_ident("url") {
                url = meta.value()?.parse::<LitStr>()?.value();
            } else {
                return Err(meta.error("a rule has a severity and a url"));
            }
            Ok(())
        })?;
    }
    let severity = severity
        .ok_or_else(|| syn::Error::new_spanned(&variant.ident, "say how bad it is: #[rule(severity = \"high\")]"))?;
    Ok((severity, url))
}

/// The doc comment's first paragraph, and the rest with a line for each paragraph.
fn title_and_reason(attributes: &[Attribute]) -> (String, String) {
    let mut paragraphs = vec![String::new()];
    for line in attributes.iter().filter_map(doc_line) {
        let line = line.trim();
        let last = paragraphs.len() - 1;
        if line.is_empty() {
            paragraphs.push(String::new());
        } else {
            if !paragraphs[last].is_empty() {
                paragraphs[last].push(' ');
            }
            paragraphs[last].push_str(line);
        }
    }
    let mut paragraphs = paragraphs.into_iter().filter(|paragraph| !paragraph.is_empty());
    let title = paragraphs.next().unwrap_or_default();
    (title, paragraphs.collect::<Vec<_>>().join("\n"))
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}
