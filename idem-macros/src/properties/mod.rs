//! What must hold whatever is written in an attribute and below it: panicking where it does not.
//!
//! The target in `fuzz/` runs it on what a fuzzer finds, the tests here on random texts and on the
//! corpus that the fuzzer has left behind. A crate of macros exports nothing else, so the target's
//! crate includes these files.

use std::time::Duration;

use proc_macro2::{TokenStream, TokenTree};

use crate::{attribute, errors::Errors, parse::args::Args};

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
#[cfg(test)]
mod tests;

/// Deeper than anyone writes; the compiler itself stops at about this.
const NESTED: usize = 64;

/// `data` is the attribute's arguments on its first line, and the item below it.
pub(crate) fn attribute(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (args, item) = text.split_once('\n').unwrap_or((&text, ""));
    let (Ok(args), Ok(item)) = (args.parse::<TokenStream>(), item.parse::<TokenStream>()) else {
        return;
    };
    if nested(args.clone()) > NESTED || nested(item.clone()) > NESTED {
        return;
    }
    durations_are_in_bounds(args.clone());
    let expansion = attribute::attribute(&args, &item, "src/lib.rs:1:1");
    // A mistake leaves the function in place: what was Rust before is Rust after.
    if let Ok(function) = syn::parse2::<syn::ItemFn>(item) {
        let file = match syn::parse2::<syn::File>(expansion.clone()) {
            Ok(file) => file,
            Err(error) => panic!("{error}: {expansion}"),
        };
        let name = function.sig.ident;
        let is_there = file.items.iter().any(|item| match item {
            syn::Item::Fn(function) => function.sig.ident == name,
            _ => false,
        });
        assert!(is_there, "{name} is gone: {expansion}");
    }
}

fn nested(tokens: TokenStream) -> usize {
    // Not by recursion: it is asked before anything may recurse.
    let mut deepest = 0;
    let mut open = vec![(1, tokens)];
    while let Some((depth, tokens)) = open.pop() {
        deepest = deepest.max(depth);
        open.extend(tokens.into_iter().filter_map(|token| match token {
            TokenTree::Group(group) => Some((depth + 1, group.stream())),
            _ => None,
        }));
    }
    deepest
}

fn durations_are_in_bounds(args: TokenStream) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let args = Args::parse(args, &mut Errors::default());
    let within = |given: Option<Duration>, least, most| {
        assert!(given.is_none_or(|given| (least..=most).contains(&given)));
    };
    within(
        args.ttl.map(|(ttl, _)| ttl),
        Duration::from_secs(1),
        400 * DAY,
    );
    within(args.grace, Duration::ZERO, 400 * DAY);
    within(
        args.lease.map(|(lease, _)| lease),
        Duration::from_millis(10),
        DAY,
    );
    within(args.wait, Duration::ZERO, Duration::from_secs(300));
}
