//! Tells `#[utoipa::path]` of the key's header and of idem's own answers.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, Meta, Path};

use crate::{
    companions::{changed, is_utoipa_path, needs_comma},
    parse::args::{Args, Key},
};

/// The attribute, with what it should say of the handler if it is utoipa's.
pub(crate) fn documented(attribute: &Attribute, args: &Args) -> Attribute {
    changed(attribute, |meta| with_idempotency(meta, args))
}

fn with_idempotency(meta: &Meta, args: &Args) -> Meta {
    match meta {
        Meta::List(list) if is_utoipa_path(&list.path) => {
            let facade = args.facade();
            let mut list = list.clone();
            // A later response of the same status replaces an earlier one, and the author knows best.
            list.tokens = with(list.tokens, "responses", &problems(args, &facade), true);
            if let Some(header) = header(args, &facade) {
                list.tokens = with(list.tokens, "params", &header, false);
            }
            Meta::List(list)
        }
        other => other.clone(),
    }
}

fn problems(args: &Args, facade: &Path) -> TokenStream {
    let is_ietf = args.choices.contains(&"profile_ietf");
    let name = if is_ietf {
        quote!(IetfProblems)
    } else {
        quote!(Problems)
    };
    quote!(#facade::openapi::#name)
}

/// The parameter, if the key comes in a header.
fn header(args: &Args, facade: &Path) -> Option<TokenStream> {
    let ty = match &args.key {
        Some(Key::Expression(_)) => return None,
        Some(Key::Optional) => quote!(::core::option::Option<::std::string::String>),
        Some(Key::Required) | None if args.header.is_none() => {
            return Some(quote!(#facade::openapi::KeyHeader));
        }
        Some(Key::Required) | None => quote!(::std::string::String),
    };
    let name = args
        .header
        .as_ref()
        .map_or_else(|| "Idempotency-Key".to_owned(), syn::LitStr::value);
    let description = "Unique to this request, such as a UUID, and the same with every retry of it: \
                       a retry gets the answer of the first.";
    Some(quote!(
        (#name = #ty, Header, description = #description, min_length = 1, max_length = 255)
    ))
}

/// Adds an item to a list such as `params(…)`, or the list.
fn with(tokens: TokenStream, name: &str, item: &TokenStream, first: bool) -> TokenStream {
    let mut trees: Vec<TokenTree> = tokens.into_iter().collect();
    let list = trees.windows(2).position(|pair| {
        matches!(&pair[0], TokenTree::Ident(ident) if ident == name)
            && matches!(&pair[1], TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis)
    });
    if let Some(TokenTree::Group(group)) = list.and_then(|index| trees.get_mut(index + 1)) {
        let items = group.stream();
        let items = if first {
            quote!(#item, #items)
        } else {
            let comma = needs_comma(&items).then(|| quote!(,));
            quote!(#items #comma #item)
        };
        let mut extended = Group::new(Delimiter::Parenthesis, items);
        extended.set_span(group.span());
        *group = extended;
        return trees.into_iter().collect();
    }
    let tokens: TokenStream = trees.into_iter().collect();
    let comma = needs_comma(&tokens).then(|| quote!(,));
    let name = Ident::new(name, Span::call_site());
    quote!(#tokens #comma #name(#item))
}
