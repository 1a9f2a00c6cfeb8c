//! What is read off the types of a signature, and what they become.

use proc_macro2::Span;
use syn::{
    FnArg, GenericArgument, Lifetime, ParenthesizedGenericArguments, PathArguments, PathSegment,
    Signature, Type, TypeFnPtr, TypeImplTrait, TypePath, TypeReference,
    spanned::Spanned,
    visit::Visit,
    visit_mut::{self, VisitMut},
};

/// The token of a type that an error points at: `Json` of `axum::Json<T>`.
pub(crate) fn point(ty: &Type) -> Span {
    match last_segment(ty) {
        Some(segment) => segment.ident.span(),
        None => ty.span(),
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

/// Whether it is written `Tx<…>`: the transaction in which effect and record commit.
pub(crate) fn is_transaction(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == "Tx")
}

/// Whether it is written `Steps` or `Lease`: what the handler is given of its claim.
pub(crate) fn is_of_claim(ty: &Type) -> bool {
    is_steps(ty) || last_segment(ty).is_some_and(|segment| segment.ident == "Lease")
}

/// Whether it is written `Steps`: the handler's recovery points.
pub(crate) fn is_steps(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == "Steps")
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

/// The first `impl Trait` in a type.
pub(crate) fn opaque(ty: &Type) -> Option<&TypeImplTrait> {
    struct Opaque<'a>(Option<&'a TypeImplTrait>);
    impl<'a> Visit<'a> for Opaque<'a> {
        fn visit_type_impl_trait(&mut self, opaque: &'a TypeImplTrait) {
            self.0.get_or_insert(opaque);
        }
    }
    let mut finder = Opaque(None);
    finder.visit_type(ty);
    finder.0
}

/// The type with `'static` for every lifetime that is left out: what is
/// extracted borrows from nothing, and outlives the client's connection.
pub(crate) fn owned(ty: &Type) -> Type {
    struct Static;
    impl VisitMut for Static {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            if lifetime.ident == "_" {
                *lifetime = Lifetime::new("'static", lifetime.span());
            }
        }

        fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
            if reference.lifetime.is_none() {
                reference.lifetime = Some(Lifetime::new("'static", reference.and_token.span));
            }
            visit_mut::visit_type_reference_mut(self, reference);
        }

        /// In `fn(&str)` a lifetime that is left out is any.
        fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}

        fn visit_parenthesized_generic_arguments_mut(
            &mut self,
            _: &mut ParenthesizedGenericArguments,
        ) {
        }
    }
    let mut ty = ty.clone();
    Static.visit_type_mut(&mut ty);
    ty
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
