//! Tells `#[utoipa::path]` of the key's header and of idem's own answers.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, Meta, Path, parse_quote};

use crate::{
    companions::{conditional, is_utoipa_path},
    parse::args::{Args, Key},
};

/// The attribute, with what it should say of the handler if it is utoipa's.
pub(crate) fn documented(attribute: &Attribute, args: &Args) -> Attribute {
    match conditional(attribute) {
        Some((condition, metas)) => {
            let metas = metas.iter().map(|meta| with_idempotency(meta, args));
            parse_quote!(#[cfg_attr(#condition, #(#metas),*)])
        }
        None => {
            let meta = with_idempotency(&attribute.meta, args);
            parse_quote!(#[#meta])
        }
    }
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
    match list.map(|index| (index + 1, &trees[index + 1])) {
        Some((index, TokenTree::Group(group))) => {
            let items = group.stream();
            let ends = matches!(
                items.clone().into_iter().last(),
                None | Some(TokenTree::Punct(_))
            );
            let comma = (!ends).then(|| quote!(,));
            let items = if first {
                quote!(#item, #items)
            } else {
                quote!(#items #comma #item)
            };
            let mut extended = Group::new(Delimiter::Parenthesis, items);
            extended.set_span(group.span());
            trees[index] = extended.into();
            trees.into_iter().collect()
        }
        _ => {
            let name = proc_macro2::Ident::new(name, proc_macro2::Span::call_site());
            let tokens: TokenStream = trees.into_iter().collect();
            let ends = matches!(
                tokens.clone().into_iter().last(),
                None | Some(TokenTree::Punct(_))
            );
            let comma = (!ends).then(|| quote!(,));
            quote!(#tokens #comma #name(#item)).into_token_stream()
        }
    }
}
