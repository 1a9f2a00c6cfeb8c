//! The handler: its function, and each argument with what it binds.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, FnArg, Ident, ItemFn, Pat, PatIdent, PatType, Type,
    visit::{self, Visit},
};

use crate::known::{self, Known};

/// The annotated function.
pub(crate) struct Handler {
    /// As it was written, without `#[deferred]`.
    pub(crate) item: ItemFn,
    pub(crate) arguments: Vec<Argument>,
}

/// One of its arguments, other than `self`.
pub(crate) struct Argument {
    pub(crate) pattern: Pat,
    pub(crate) ty: Type,
    pub(crate) deferred: Option<Attribute>,
    /// Its other attributes.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) known: Known,
    /// The names that its pattern binds.
    pub(crate) bindings: Vec<Ident>,
}

impl Handler {
    pub(crate) fn new(mut item: ItemFn) -> Self {
        let arguments = item
            .sig
            .inputs
            .iter_mut()
            .filter_map(|input| match input {
                FnArg::Typed(typed) => Some(Argument::new(typed)),
                FnArg::Receiver(_) => None,
            })
            .collect();
        Self { item, arguments }
    }

    /// Whether signature or body name the `impl` block's own type, which a
    /// nested function cannot.
    pub(crate) fn names_self(&self) -> bool {
        let mut finder = FindSelf(false);
        finder.visit_signature(&self.item.sig);
        finder.visit_block(&self.item.block);
        finder.0
    }
}

impl Argument {
    fn new(typed: &mut PatType) -> Self {
        let deferred = typed
            .attrs
            .iter()
            .position(|attribute| attribute.path().is_ident("deferred"))
            .map(|index| typed.attrs.remove(index));
        let mut bindings = Bindings::default();
        bindings.visit_pat(&typed.pat);
        Self {
            pattern: (*typed.pat).clone(),
            ty: (*typed.ty).clone(),
            deferred,
            attributes: typed.attrs.clone(),
            known: known::argument(&typed.ty),
            bindings: bindings.0,
        }
    }
}

#[derive(Default)]
struct Bindings(Vec<Ident>);

impl Visit<'_> for Bindings {
    fn visit_pat_ident(&mut self, pattern: &PatIdent) {
        self.0.push(pattern.ident.clone());
        visit::visit_pat_ident(self, pattern);
    }
}

struct FindSelf(bool);

impl<'ast> Visit<'ast> for FindSelf {
    fn visit_ident(&mut self, ident: &'ast Ident) {
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
            TokenTree::Ident(ident) => found.push(ident.to_string()),
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
