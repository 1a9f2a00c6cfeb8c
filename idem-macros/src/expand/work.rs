//! What runs when the claim is won: the user's function, with everything that it takes.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ReturnType;

use super::{Expansion, Holder, at, variable};
use crate::parse::types::{owned, point};

impl Expansion<'_> {
    /// The future that runs the user's function; of its transaction, where it takes one.
    pub(super) fn work(&self, path: &TokenStream) -> TokenStream {
        let extractions = self.extractions();
        let values = self.values();
        let answer = self.answer();
        let future = quote! {
            async move {
                #(#extractions)*
                // Not called by its name: clippy minds a function without an await
                // less if it is used as a value, as it was.
                let __idem_body = #path;
                match __idem_body(#(#values),*).await { #answer }
            }
        };
        let private = &self.private;
        let mut parameters = Vec::new();
        for (index, argument, holder) in self.arguments() {
            if holder == Holder::Transaction {
                let (name, ty) = (variable(index), owned(&argument.ty));
                parameters.push(quote!(#name: #ty));
            }
        }
        let of_claim = self.of_claim();
        if !of_claim.is_empty() {
            parameters.push(quote!(__idem_steps: #private::Steps));
        }
        if parameters.is_empty() {
            return future;
        }
        let again = self.again();
        quote!(move |#(#parameters),*| { #(#of_claim)* #again #future })
    }

    /// Makes the arguments that are made of the claim.
    fn of_claim(&self) -> Vec<TokenStream> {
        let private = &self.private;
        self.arguments()
            .filter(|(_, _, holder)| *holder == Holder::OfClaim)
            .map(|(index, argument, _)| {
                let (name, ty) = (variable(index), owned(&argument.ty));
                let of_claim = quote_spanned!(point(&argument.ty)=> of_claim);
                quote!(let #name = #private::check::#of_claim::<#ty>(&__idem_steps);)
            })
            .collect()
    }

    /// The arguments once more, where the body may run more than once.
    fn again(&self) -> TokenStream {
        let private = &self.private;
        if self.args.retries.is_none() {
            return TokenStream::new();
        }
        self.arguments()
            .filter_map(|(index, argument, holder)| {
                let name = variable(index);
                // An error about it points at the argument's type.
                let again = quote_spanned!(point(&argument.ty)=> again);
                let again = match holder {
                    Holder::Transaction | Holder::OfClaim => return None,
                    Holder::Plain => quote! {{
                        use #private::check::verdicts::*;
                        (&&#private::check::Again::of(&#name)).#again()
                    }},
                    Holder::Deferred | Holder::Captured | Holder::CapturedRaw => {
                        quote!({ use #private::check::verdicts::*; #name.#again() })
                    }
                };
                Some(quote!(let #name = #again;))
            })
            .collect()
    }

    /// The answer of the user's function, as a response. An error about it
    /// points at the return type.
    fn answer(&self) -> TokenStream {
        let private = &self.private;
        let respond = match (self.handler.transaction(), &self.args.retries) {
            (Some(transaction), Some(_)) => {
                let ty = owned(&transaction.ty);
                quote!(__idem_answer => #private::check::respond_or_retry::<#ty, _>(__idem_answer))
            }
            _ => quote!(__idem_answer => #private::check::respond(__idem_answer)),
        };
        match &self.handler.function.sig.output {
            ReturnType::Type(_, ty) => at(point(ty), respond),
            ReturnType::Default => respond,
        }
    }

    /// Extracts what was deferred, once the claim is won.
    fn extractions(&self) -> Vec<TokenStream> {
        let private = &self.private;
        self.arguments()
            .filter(|(_, _, holder)| *holder == Holder::Deferred)
            .map(|(index, _, _)| {
                let name = variable(index);
                quote! {
                    let #name = match #private::Deferred::extract(#name).await {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(rejection) => return rejection,
                    };
                }
            })
            .collect()
    }

    fn values(&self) -> Vec<TokenStream> {
        let private = &self.private;
        self.arguments()
            .map(|(index, _, holder)| {
                let name = variable(index);
                match holder {
                    Holder::Plain | Holder::Deferred | Holder::Transaction | Holder::OfClaim => {
                        quote!(#name)
                    }
                    Holder::Captured => quote!(#private::Captured::into_inner(#name)),
                    Holder::CapturedRaw => quote!(#private::CapturedRaw::into_inner(#name)),
                }
            })
            .collect()
    }
}
