//! The `#[idempotent]` attribute of [idem-axum](https://docs.rs/idem-axum),
//! which re-exports it. Its manual is on the attribute.
#![forbid(unsafe_code)]

mod companions;
mod errors;
mod expand;
#[cfg(feature = "utoipa")]
mod openapi;
mod parse;
mod rewrite;
mod suggest;
mod validate;

use std::path::{Component, Path, PathBuf};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::{
    errors::Errors,
    parse::{args::Args, function::Function, signature::Handler},
};

#[doc = include_str!("manual.md")]
#[proc_macro_attribute]
pub fn idempotent(
    args: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let item: TokenStream = item.into();
    let place = place(&item);
    attribute(&args.into(), &item, &place).into()
}

/// Where the item stands in its file: it tells apart handlers of the same text.
///
/// `Span::unwrap` is a conversion into the compiler's own type. It panics only
/// outside of an expansion, and this is called by the macro alone.
fn place(item: &TokenStream) -> String {
    let span = item
        .clone()
        .into_iter()
        .next()
        .map_or_else(proc_macro2::Span::call_site, |first| first.span())
        .unwrap();
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let file = portable(&span.file(), &package);
    format!("{file}:{}:{}", span.line(), span.column())
}

/// Where cargo looks for a package's targets.
const TARGETS: [&str; 4] = ["src", "tests", "examples", "benches"];

/// The file without the directories that it has in common with its package's:
/// the same program has the same numbers wherever it is built.
fn portable(file: &str, package: &str) -> String {
    let (file, package) = (Path::new(file), Path::new(package));
    if !file.is_absolute() {
        return file.display().to_string();
    }
    let common = file
        .components()
        .zip(package.components())
        .take_while(|(a, b)| a == b)
        .count();
    let mut rest: PathBuf = file.components().skip(common).collect();
    if common < package.components().count() {
        // From elsewhere, such as a test case that is built in a package of its own.
        let is_target = |part: &Component<'_>| TARGETS.iter().any(|name| part.as_os_str() == *name);
        rest = rest
            .components()
            .skip_while(|part| !is_target(part))
            .collect();
    }
    rest.display().to_string()
}

fn attribute(args: &TokenStream, item: &TokenStream, place: &str) -> TokenStream {
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
fn id(parts: &[&str]) -> u64 {
    let bytes = parts
        .iter()
        .flat_map(|part| part.bytes().chain(std::iter::once(0xff)));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
