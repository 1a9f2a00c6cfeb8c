//! The annotated function, as it is written.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::{
    Attribute, Block, Error, Signature, Visibility,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    visit::Visit,
};

/// A function whose body is not parsed: it stays as it was written, also while
/// its author is still writing it.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) sig: Signature,
    body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let sig: Signature = input.parse()?;
        let body: TokenStream = input.parse()?;
        if !matches!(body.clone().into_iter().next(), Some(TokenTree::Group(_))) {
            return Err(Error::new_spanned(
                &sig.ident,
                "a handler has a body, which runs once for each key; #[idempotent] goes on the function that has one",
            ));
        }
        Ok(Self {
            attributes,
            visibility,
            sig,
            body,
        })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(&self.attributes);
        self.visibility.to_tokens(tokens);
        self.sig.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

impl Function {
    /// Where the body stands.
    pub(crate) fn brace(&self) -> Span {
        self.body
            .clone()
            .into_iter()
            .next()
            .map_or_else(Span::call_site, |token| token.span())
    }

    /// Counts the names as used, which an expression of the attribute uses.
    pub(crate) fn uses(&mut self, names: &[syn::Ident]) {
        if names.is_empty() {
            return;
        }
        let mut tokens = std::mem::take(&mut self.body).into_iter();
        if let Some(TokenTree::Group(block)) = tokens.next() {
            let body: Vec<TokenTree> = block.stream().into_iter().collect();
            let (attributes, statements) = body.split_at(inner_attributes(&body));
            let mut counted = Group::new(
                block.delimiter(),
                quote!(#(#attributes)* let _ = (#(&#names,)*); #(#statements)*),
            );
            counted.set_span(block.span());
            self.body = counted.into_token_stream();
        }
        self.body.extend(tokens);
    }

    /// Whether signature or body name the `impl` block's own type, which a
    /// nested function cannot.
    pub(crate) fn names_self(&self) -> bool {
        let mut finder = FindSelf(false);
        finder.visit_signature(&self.sig);
        if !finder.0 {
            let mut names = Vec::new();
            identifiers(self.body.clone(), &mut names);
            if names.iter().any(|name| name == "Self")
                && let Ok(block) = syn::parse2::<Block>(self.body.clone())
            {
                finder.visit_block(&block);
            }
        }
        finder.0
    }
}

/// How many tokens the `#![…]` take with which a body may begin.
fn inner_attributes(body: &[TokenTree]) -> usize {
    let attributes = body.chunks(3).take_while(|tokens| {
        matches!(
            tokens,
            [TokenTree::Punct(hash), TokenTree::Punct(bang), TokenTree::Group(_)]
                if hash.as_char() == '#' && bang.as_char() == '!'
        )
    });
    3 * attributes.count()
}

struct FindSelf(bool);

impl<'ast> Visit<'ast> for FindSelf {
    fn visit_ident(&mut self, ident: &'ast syn::Ident) {
        self.0 |= ident == "Self";
    }

    /// An item inside has a `Self` of its own.
    fn visit_item(&mut self, _: &'ast syn::Item) {}

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let mut names = Vec::new();
        identifiers(mac.tokens.clone(), &mut names);
        self.0 |= names.iter().any(|name| name == "Self");
    }
}

/// Every identifier in `tokens`, and those that a format string captures.
pub(crate) fn identifiers(tokens: TokenStream, found: &mut Vec<String>) {
    for tree in tokens {
        match tree {
            TokenTree::Ident(ident) => found.push(ident.unraw().to_string()),
            TokenTree::Group(group) => identifiers(group.stream(), found),
            TokenTree::Literal(literal) => captures(&literal.to_string(), found),
            TokenTree::Punct(_) => {}
        }
    }
}

/// `"{user} {amount:?}"` captures `user` and `amount`.
fn captures(literal: &str, found: &mut Vec<String>) {
    for piece in literal.split('{').skip(1) {
        let name: String = piece
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        found.push(name);
    }
}
