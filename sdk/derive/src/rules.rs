//! `#[derive(Rules)]`: declarations of rules from an enum, its doc comments and
//! the examples in the crate's folder `examples`.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Fields, Lit, LitStr, Meta, Variant};

use crate::case::kebab;

/// What a rule's doc comment says, by paragraphs.
struct Texts {
    title: String,
    reason: String,
    /// The third paragraph and those after it.
    remedy: String,
}

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let name = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(syn::Error::new_spanned(name, "Rules is derived for an enum with one variant for each rule"));
    };
    let has_examples = has_examples(&input.attrs)?;
    let declarations =
        data.variants.iter().map(|variant| declaration(variant, has_examples)).collect::<syn::Result<Vec<_>>>()?;
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

fn has_examples(attributes: &[Attribute]) -> syn::Result<bool> {
    let mut has_examples = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("rules")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("examples") {
                return Err(meta.error("on the enum only #[rules(examples)] has a meaning"));
            }
            has_examples = true;
            Ok(())
        })?;
    }
    Ok(has_examples)
}

fn declaration(variant: &Variant, has_examples: bool) -> syn::Result<TokenStream> {
    if !matches!(variant.fields, Fields::Unit) {
        return Err(syn::Error::new_spanned(variant, "a rule is a variant without fields"));
    }
    let id = kebab(&variant.ident.to_string());
    let Texts { title, reason, remedy } = texts(&variant.attrs);
    if title.is_empty() || reason.is_empty() {
        return Err(syn::Error::new_spanned(
            &variant.ident,
            "a rule's doc comment is its text for users: the first paragraph says what is wrong in one line, the next why it matters, the third how to put it right",
        ));
    }
    if has_examples && remedy.is_empty() {
        return Err(syn::Error::new_spanned(
            &variant.ident,
            "a rule with examples also says how to put it right: the third paragraph of its doc comment",
        ));
    }
    let (severity, url) = severity_and_url(variant)?;
    let examples = if has_examples { examples(variant, &id)? } else { quote!(::std::option::Option::None) };
    Ok(quote!(::portcullis_sdk::Rule {
        id: #id,
        severity: ::portcullis_sdk::Severity::#severity,
        title: #title,
        reason: #reason,
        remedy: #remedy,
        url: #url,
        examples: #examples,
    }))
}

/// The rule's example files, included by the compiler so that cargo follows them.
fn examples(variant: &Variant, id: &str) -> syn::Result<TokenStream> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let include = |file: &str| {
        let path = format!("examples/{id}/{file}");
        let text = quote!(::std::include_str!(::std::concat!(::std::env!("CARGO_MANIFEST_DIR"), "/", #path)));
        Path::new(&root).join(&path).is_file().then_some(text)
    };
    let required = |file: &str, what: &str| {
        include(file).ok_or_else(|| {
            syn::Error::new_spanned(
                &variant.ident,
                format!(
                    "the file examples/{id}/{file} is missing: Kubernetes manifests, the first of which {what} the rule, the others what the cluster holds"
                ),
            )
        })
    };
    let optional = |file: &str| match include(file) {
        Some(text) => quote!(::std::option::Option::Some(#text)),
        None => quote!(::std::option::Option::None),
    };
    let (bad, good) = (required("bad.yaml", "breaks")?, required("good.yaml", "keeps")?);
    let (settings, old) = (optional("settings.yaml"), optional("old.yaml"));
    Ok(quote!(::std::option::Option::Some(::portcullis_sdk::Examples {
        bad: #bad,
        good: #good,
        settings: #settings,
        old: #old,
    })))
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

/// The doc comment by paragraphs, each on one line.
fn texts(attributes: &[Attribute]) -> Texts {
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
    let reason = paragraphs.next().unwrap_or_default();
    Texts { title, reason, remedy: paragraphs.collect::<Vec<_>>().join("\n") }
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
