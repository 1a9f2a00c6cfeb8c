//! What is written for later: the attribute goes on, on another item.
//!
//! A condition on an argument stands for two handlers, and some macros must be
//! expanded before ours. In both cases the answer is the item in another form,
//! with the attribute on it again.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, FnArg, parse_quote};

use crate::{
    companions,
    parse::{args::Args, function::Function},
};

/// The item in the form that it must have before it is expanded, or `None` if it has it.
pub(crate) fn rewrite(
    function: &Function,
    args: &Args,
    tokens: &TokenStream,
) -> Option<TokenStream> {
    let facade = args.facade();
    let again = |tokens: &TokenStream| quote!(#[#facade::idempotent(#tokens)]);
    if let Some(variants) = variants(function, &again(tokens)) {
        return Some(variants);
    }
    let (first, others) = companions::first(&function.attributes);
    if first.is_empty() {
        return None;
    }
    // What `#[debug_handler]` is told of the state holds for us, and it will be gone.
    let told = match (&args.state, companions::state(function)) {
        (None, Some(state)) => {
            let comma = companions::needs_comma(tokens).then(|| quote!(,));
            again(&quote!(#tokens #comma state = #state))
        }
        _ => again(tokens),
    };
    let mut rest = function.clone();
    rest.attributes = others.into_iter().cloned().collect();
    #[cfg(feature = "utoipa")]
    let first = first
        .into_iter()
        .map(|attribute| crate::openapi::documented(attribute, args));
    Some(quote!(#(#first)* #told #rest))
}

/// With `#[cfg(p)]` on an argument: the handler with it and the one without.
/// With `#[cfg_attr(p, …)]`: the one where its attributes hold and the other.
fn variants(function: &Function, again: &TokenStream) -> Option<TokenStream> {
    let (index, at, condition, attributes) = first_condition(function)?;
    let mut with = function.clone();
    let mut without = function.clone();
    for variant in [&mut with, &mut without] {
        if let Some(FnArg::Typed(argument)) = variant.sig.inputs.iter_mut().nth(index) {
            argument.attrs.remove(at);
        }
    }
    match attributes {
        Some(attributes) => {
            if let Some(FnArg::Typed(argument)) = with.sig.inputs.iter_mut().nth(index) {
                argument.attrs.extend(attributes);
            }
        }
        None => {
            without.sig.inputs = without
                .sig
                .inputs
                .into_pairs()
                .enumerate()
                .filter_map(|(place, pair)| (place != index).then_some(pair))
                .collect();
        }
    }
    Some(quote! {
        #[cfg(#condition)] #again #with
        #[cfg(not(#condition))] #again #without
    })
}

/// The first conditional attribute on an argument: the argument's index and its
/// own, its condition, and the attributes that a `cfg_attr` stands for.
fn first_condition(
    function: &Function,
) -> Option<(usize, usize, TokenStream, Option<Vec<Attribute>>)> {
    for (index, input) in function.sig.inputs.iter().enumerate() {
        let FnArg::Typed(argument) = input else {
            continue;
        };
        for (at, attribute) in argument.attrs.iter().enumerate() {
            if attribute.path().is_ident("cfg")
                && let Ok(list) = attribute.meta.require_list()
            {
                return Some((index, at, list.tokens.clone(), None));
            }
            if let Some((condition, metas)) = companions::conditional(attribute) {
                let attributes = metas
                    .into_iter()
                    .map(|meta| parse_quote!(#[#meta]))
                    .collect();
                return Some((index, at, condition, Some(attributes)));
            }
        }
    }
    None
}
