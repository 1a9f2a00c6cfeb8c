//! The handler: its signature, and each argument with what it binds.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{
    Attribute, Expr, FnArg, Pat, PatIdent, PatType, Type,
    ext::IdentExt,
    visit::{self, Visit},
};

use super::{
    function::{Function, identifiers},
    types::{is_of_claim, is_steps, is_transaction},
};

/// The annotated function.
pub(crate) struct Handler {
    /// Without `#[deferred]`.
    pub(crate) function: Function,
    pub(crate) arguments: Vec<Argument>,
}

/// One of its arguments, other than `self`.
pub(crate) struct Argument {
    pub(crate) pattern: Pat,
    pub(crate) ty: Type,
    pub(crate) deferred: Option<Attribute>,
    /// The names that its pattern binds.
    pub(crate) bindings: Vec<Ident>,
}

impl Handler {
    pub(crate) fn new(mut function: Function) -> Self {
        let arguments = function
            .sig
            .inputs
            .iter_mut()
            .filter_map(|input| match input {
                FnArg::Typed(typed) => Some(Argument::new(typed)),
                FnArg::Receiver(_) => None,
            })
            .collect();
        Self {
            function,
            arguments,
        }
    }

    /// The argument that is the handler's transaction.
    pub(crate) fn transaction(&self) -> Option<&Argument> {
        self.arguments
            .iter()
            .find(|argument| argument.is_transaction())
    }

    /// The argument that is the handler's recovery points.
    pub(crate) fn steps(&self) -> Option<&Argument> {
        self.arguments
            .iter()
            .find(|argument| is_steps(&argument.ty))
    }

    /// Whether it takes something that is made of the claim.
    pub(crate) fn takes_of_claim(&self) -> bool {
        self.arguments.iter().any(Argument::is_of_claim)
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.function.sig.ident
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
            bindings: bindings.0,
        }
    }

    pub(crate) fn is_transaction(&self) -> bool {
        is_transaction(&self.ty)
    }

    pub(crate) fn is_of_claim(&self) -> bool {
        is_of_claim(&self.ty)
    }

    /// Whether there is none before the claim.
    pub(crate) fn comes_with_claim(&self) -> bool {
        self.is_transaction() || self.is_of_claim()
    }

    /// A name that it binds and the expression mentions.
    pub(crate) fn mentioned(&self, expression: &Expr) -> Option<&Ident> {
        self.bindings
            .iter()
            .find(|binding| mentions(binding, expression))
    }
}

pub(crate) fn mentions(binding: &Ident, expression: &Expr) -> bool {
    let mut names = Vec::new();
    identifiers(expression.to_token_stream(), &mut names);
    let binding = binding.unraw();
    names.iter().any(|name| binding == name)
}

#[derive(Default)]
struct Bindings(Vec<Ident>);

impl Visit<'_> for Bindings {
    fn visit_pat_ident(&mut self, pattern: &PatIdent) {
        self.0.push(pattern.ident.clone());
        visit::visit_pat_ident(self, pattern);
    }
}
