//! The `#[idempotent]` attribute of [idem-axum](https://docs.rs/idem-axum),
//! which re-exports it. Its manual is on the attribute.
#![forbid(unsafe_code)]

mod attribute;
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

#[doc = include_str!("manual.md")]
#[proc_macro_attribute]
pub fn idempotent(
    args: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let item: TokenStream = item.into();
    let place = place(&item);
    attribute::attribute(&args.into(), &item, &place).into()
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

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
