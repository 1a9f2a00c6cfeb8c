//! From what was written to what is compiled, or to what is wrong with it.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::{
    errors::Errors,
    expand,
    parse::{args::Args, function::Function, signature::Handler},
    rewrite, validate,
};

/// The expansion. `place` tells apart handlers of the same text.
pub(crate) fn attribute(args: &TokenStream, item: &TokenStream, place: &str) -> TokenStream {
    let id = id(&[
        &std::env::var("CARGO_PKG_NAME").unwrap_or_default(),
        place,
        &args.to_string(),
        &item.to_string(),
    ]);
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => return not_a_function(item, &error),
    };
    let mut errors = Errors::default();
    let parsed = Args::parse(args.clone(), &mut errors);
    if errors.is_empty()
        && let Some(rewritten) = rewrite::rewrite(&function, &parsed, args)
    {
        return rewritten;
    }
    let handler = Handler::new(function);
    validate::validate(&parsed, &handler, &mut errors);
    if errors.is_empty() {
        return expand::expand(&parsed, &handler, id);
    }
    // The function as it was written, so that ours are the only errors.
    let errors = errors.into_tokens();
    let original = without_duplicates(handler.function);
    quote!(#errors #original)
}

/// A second `#[idempotent]` has been refused: it must not be expanded as well.
fn without_duplicates(mut function: Function) -> TokenStream {
    function.attributes.retain(|attribute| {
        attribute
            .path()
            .segments
            .last()
            .is_none_or(|segment| segment.ident != "idempotent")
    });
    function.into_token_stream()
}

fn not_a_function(item: &TokenStream, error: &syn::Error) -> TokenStream {
    let is_function = item
        .clone()
        .into_iter()
        .any(|token| token.to_string() == "fn");
    let error = if is_function {
        error.to_compile_error()
    } else {
        syn::Error::new_spanned(
            item,
            "#[idempotent] goes on an async handler function; for a whole service use `IdempotencyLayer`",
        )
        .to_compile_error()
    };
    quote!(#error #item)
}

/// FNV-1a over the parts, each followed by a byte that none of them has.
pub(crate) fn id(parts: &[&str]) -> u64 {
    let bytes = parts
        .iter()
        .flat_map(|part| part.bytes().chain(std::iter::once(0xff)));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
