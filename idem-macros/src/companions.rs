//! The handler's other attributes: which function each belongs to, and which
//! must be expanded before ours.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, Meta, Path, Token, Type, parse::Parser, parse_quote, punctuated::Punctuated};

use crate::parse::{function::Function, types::presumed_state};

/// Macros that read the signature as the user wrote it.
const READS_SIGNATURE: [(&str, Option<&str>); 2] =
    [("debug_handler", None), ("path", Some("utoipa"))];

/// What wraps a body, or speaks of it: it goes with the user's function.
const FOR_THE_BODY: [&str; 2] = ["instrument", "expect"];

/// Lint levels: they hold for both functions.
const FOR_BOTH: [&str; 4] = ["allow", "warn", "deny", "forbid"];

/// Attributes for the function that axum sees, and for the one that the user wrote.
#[derive(Default)]
pub(crate) struct Split {
    pub(crate) outer: Vec<Attribute>,
    pub(crate) inner: Vec<Attribute>,
}

impl Split {
    pub(crate) fn new(attributes: &[Attribute]) -> Self {
        let mut split = Self::default();
        for attribute in attributes {
            let Some((condition, conditional)) = conditional(attribute) else {
                split.sort(attribute.path(), attribute.clone());
                continue;
            };
            for meta in conditional {
                split.sort(meta.path(), parse_quote!(#[cfg_attr(#condition, #meta)]));
            }
        }
        split
    }

    fn sort(&mut self, path: &Path, attribute: Attribute) {
        if ends_with(path, &FOR_BOTH) {
            self.outer.push(attribute.clone());
            self.inner.push(attribute);
        } else if ends_with(path, &FOR_THE_BODY) {
            let Some(lints) = expected(&attribute) else {
                self.inner.push(attribute);
                return;
            };
            // The function that the user wrote is always called: only the other can be dead.
            let allowed = parse_quote!(#[allow(#lints)]);
            if mentions(lints, "dead_code") {
                self.outer.push(attribute);
                self.inner.push(allowed);
            } else {
                self.outer.push(allowed);
                self.inner.push(attribute);
            }
        } else {
            self.outer.push(attribute);
        }
    }
}

/// The attributes that must be expanded before ours, and the others.
pub(crate) fn first(attributes: &[Attribute]) -> (Vec<&Attribute>, Vec<&Attribute>) {
    attributes
        .iter()
        .partition(|attribute| match conditional(attribute) {
            Some((_, attributes)) => attributes.iter().any(|meta| reads_signature(meta.path())),
            None => reads_signature(attribute.path()),
        })
}

/// The state that a `#[debug_handler]` below ours takes for the router's: the
/// one that it names, or that of the handler's one `State<T>`.
pub(crate) fn state(function: &Function) -> Option<Type> {
    let debug = function
        .attributes
        .iter()
        .find(|attribute| ends_with(attribute.path(), &["debug_handler"]))?;
    let presumed = presumed_state(&function.sig).cloned();
    if matches!(debug.meta, Meta::Path(_)) {
        return presumed;
    }
    let mut state = presumed;
    debug
        .parse_nested_meta(|meta| {
            if meta.path.is_ident("state") {
                state = Some(meta.value()?.parse()?);
            }
            Ok(())
        })
        .ok()?;
    state
}

/// The predicate and the attributes of a `cfg_attr`.
pub(crate) fn conditional(attribute: &Attribute) -> Option<(TokenStream, Vec<Meta>)> {
    let Meta::List(list) = &attribute.meta else {
        return None;
    };
    if !list.path.is_ident("cfg_attr") {
        return None;
    }
    let mut parts = Punctuated::<Meta, Token![,]>::parse_terminated
        .parse2(list.tokens.clone())
        .ok()?
        .into_iter();
    let condition = parts.next()?.into_token_stream();
    Some((condition, parts.collect()))
}

/// `utoipa::path`
#[cfg(feature = "utoipa")]
pub(crate) fn is_utoipa_path(path: &Path) -> bool {
    reads_signature(path) && ends_with(path, &["path"])
}

/// `#[instrument]` for a function that must go by another name: its span keeps this one.
pub(crate) fn named(attribute: &Attribute, name: &str) -> Attribute {
    changed(attribute, |meta| with_name(meta, name))
}

/// The attribute, or those in a `cfg_attr`, each changed.
pub(crate) fn changed(attribute: &Attribute, change: impl Fn(&Meta) -> Meta) -> Attribute {
    match conditional(attribute) {
        Some((condition, metas)) => {
            let metas = metas.iter().map(change);
            parse_quote!(#[cfg_attr(#condition, #(#metas),*)])
        }
        None => {
            let meta = change(&attribute.meta);
            parse_quote!(#[#meta])
        }
    }
}

/// Whether a list needs a comma before it can be continued.
pub(crate) fn needs_comma(list: &TokenStream) -> bool {
    match list.clone().into_iter().last() {
        Some(TokenTree::Punct(punct)) => punct.as_char() != ',',
        Some(_) => true,
        None => false,
    }
}

fn with_name(meta: &Meta, name: &str) -> Meta {
    let is_tracings = meta.path().is_ident("instrument")
        || (ends_with(meta.path(), &["instrument"])
            && meta
                .path()
                .segments
                .iter()
                .any(|part| part.ident == "tracing"));
    match meta {
        Meta::Path(path) if is_tracings => parse_quote!(#path(name = #name)),
        Meta::List(list) if is_tracings && !says_name(list.tokens.clone()) => {
            let (path, rest) = (&list.path, &list.tokens);
            let comma = (!rest.is_empty()).then(|| quote!(,));
            parse_quote!(#path(name = #name #comma #rest))
        }
        other => other.clone(),
    }
}

/// `name = …`, or a text in the first place.
fn says_name(tokens: TokenStream) -> bool {
    matches!(
        tokens.clone().into_iter().next(),
        Some(TokenTree::Literal(_))
    ) || mentions(tokens, "name")
}

fn reads_signature(path: &Path) -> bool {
    let mut segments = path.segments.iter().rev();
    let (last, parent) = (segments.next(), segments.next());
    READS_SIGNATURE.iter().any(|(name, module)| {
        last.is_some_and(|segment| segment.ident == name)
            && match module {
                Some(module) => parent.is_some_and(|segment| segment.ident == module),
                None => true,
            }
    })
}

/// The lints of an `#[expect(…)]`.
fn expected(attribute: &Attribute) -> Option<TokenStream> {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("expect") => Some(list.tokens.clone()),
        _ => None,
    }
}

fn mentions(tokens: TokenStream, name: &str) -> bool {
    tokens
        .into_iter()
        .any(|token| matches!(&token, TokenTree::Ident(ident) if ident == name))
}

fn ends_with(path: &Path, names: &[&str]) -> bool {
    path.segments
        .last()
        .is_some_and(|segment| names.iter().any(|name| segment.ident == name))
}
