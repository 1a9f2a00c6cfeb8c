//! The handler: its signature, and each argument with what it binds.

use proc_macro2::{Ident, Span};
use syn::{
    Attribute, FnArg, GenericArgument, Pat, PatIdent, PatType, PathArguments, PathSegment,
    Signature, Type, TypePath,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::function::Function;

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

    pub(crate) fn name(&self) -> &Ident {
        &self.function.sig.ident
    }
}

/// What a handler's arguments say of the router's state: `T` of its one `State<T>`.
pub(crate) fn presumed_state(sig: &Signature) -> Option<&Type> {
    let mut states = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => state_in(&argument.ty),
        FnArg::Receiver(_) => None,
    });
    let first = states.next()?;
    states.next().is_none().then_some(first)
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
}

/// The token of a type that an error points at: `Json` of `axum::Json<T>`.
pub(crate) fn point(ty: &Type) -> Span {
    match last_segment(ty) {
        Some(segment) => segment.ident.span(),
        None => ty.span(),
    }
}

/// `T`, if the type is written `State<T>`.
fn state_in(ty: &Type) -> Option<&Type> {
    let segment = last_segment(ty)?;
    match &segment.arguments {
        PathArguments::AngleBracketed(list) if segment.ident == "State" && list.args.len() == 1 => {
            match list.args.first() {
                Some(GenericArgument::Type(state)) => Some(state),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(TypePath { path, .. }) => path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
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

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    #[test]
    fn the_state_is_read_off_the_argument_that_is_written_so() {
        let state = |text| {
            let ty: Type = syn::parse_str(text).unwrap();
            state_in(&ty).map(|state| state.to_token_stream().to_string())
        };
        assert_eq!(state("State<App>").as_deref(), Some("App"));
        assert_eq!(state("axum::extract::State<App>").as_deref(), Some("App"));
        assert_eq!(state("Json<App>"), None);
        assert_eq!(state("State"), None);
        assert_eq!(state("(State<App>,)"), None);
    }
}
