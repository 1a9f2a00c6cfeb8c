//! From a valid handler to its expansion: small, because the work lives in the runtime.

mod work;

use std::time::Duration;

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Expr, Ident, PatIdent, ReturnType, Visibility,
    ext::IdentExt,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

use crate::{
    companions::{self, Split},
    parse::{
        args::{Args, Fingerprint, Key, Scope},
        signature::{Argument, Handler, mentions},
        types::{opaque, owned, point, presumed_state},
    },
};

/// The handler's expansion. `id` is its number in the program's registry.
pub(crate) fn expand(args: &Args, handler: &Handler, id: u64) -> TokenStream {
    let facade = args.facade();
    let expansion = Expansion {
        args,
        handler,
        id,
        private: quote!(#facade::__private),
    };
    expansion.function()
}

struct Expansion<'a> {
    args: &'a Args,
    handler: &'a Handler,
    id: u64,
    private: TokenStream,
}

/// How the expansion holds one of the handler's arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// As it is.
    Plain,
    /// Not extracted yet.
    Deferred,
    /// With what it contributes to the fingerprint.
    Captured,
    /// With the bytes that it was read from.
    CapturedRaw,
    /// Not extracted at all: it is begun with the claim.
    Transaction,
    /// Not extracted at all: it is made of the claim.
    OfClaim,
}

impl Expansion<'_> {
    fn function(&self) -> TokenStream {
        let private = &self.private;
        let handler = &self.handler.function;
        let (vis, name) = (&handler.visibility, &handler.sig.ident);
        let (asyncness, fn_token) = (&handler.sig.asyncness, &handler.sig.fn_token);
        let Split { outer, inner } = Split::new(&handler.attributes);
        let parameters = self.parameters();
        let Body {
            sibling,
            nested,
            path,
        } = self.body(&inner);
        let spec = self.spec();
        let checks = self.checks();
        let begin = self.begin();
        let statements = self.statements();
        let work = self.work(&path);
        let in_steps = self.handler.takes_of_claim();
        let method = match (self.handler.transaction(), &self.args.retries) {
            (None, _) if in_steps => format_ident!("run_in_steps"),
            (None, _) => format_ident!("run"),
            (Some(_), None) if in_steps => format_ident!("transact_in_steps"),
            (Some(_), None) => format_ident!("transact"),
            (Some(_), Some(_)) if in_steps => format_ident!("transact_in_steps_retrying"),
            (Some(_), Some(_)) => format_ident!("transact_retrying"),
        };
        // What the body holds across an await is the function's affair: an error
        // about it points at the function.
        let call_and_work = at(name.span(), quote!((__idem_call, __idem_work)));
        let run = at(
            name.span(),
            quote!(#private::Call::#method(__idem_call, __idem_work).await),
        );
        // With the user's own keywords and braces it is the user's function to the
        // compiler: one that nobody uses is dead code.
        let mut block = Group::new(
            Delimiter::Brace,
            quote! {
                #nested

                #private::inventory::submit! { #spec }

                #checks
                #begin
                #(#statements)*
                let #call_and_work = (__idem_call, #work);
                #run
            },
        );
        block.set_span(handler.brace());
        quote! {
            #sibling

            #(#outer)*
            #vis #asyncness #fn_token #name(#(#parameters),*) -> #private::Response #block
        }
    }

    /// The user's function: nested under its own name, or, where it names the
    /// `impl` block's `Self`, beside under a hidden one.
    fn body(&self, attributes: &[syn::Attribute]) -> Body {
        let handler = &self.handler.function;
        let name = &handler.sig.ident;
        // What an expression of the attribute uses is used.
        let used: Vec<Ident> = self
            .handler
            .arguments
            .iter()
            .flat_map(|argument| &argument.bindings)
            .filter(|binding| {
                let mut expressions = self.args.expressions();
                expressions.any(|(_, expression)| mentions(binding, expression))
            })
            .cloned()
            .collect();
        let written = |name: &Ident, attributes: &[syn::Attribute]| {
            let mut function = handler.clone();
            function.attributes = attributes.to_vec();
            function.visibility = Visibility::Inherited;
            function.sig.ident = name.clone();
            function.uses(&used);
            function.into_token_stream()
        };
        if !handler.names_self() {
            return Body {
                sibling: TokenStream::new(),
                nested: written(name, attributes),
                path: quote!(#name),
            };
        }
        let attributes: Vec<_> = attributes
            .iter()
            .map(|attribute| companions::named(attribute, &name.unraw().to_string()))
            .collect();
        let hidden = format_ident!("__idem_{}", name.unraw(), span = name.span());
        let cfgs = handler
            .attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"));
        let function = written(&hidden, &attributes);
        Body {
            sibling: quote!(#(#cfgs)* #[doc(hidden)] #function),
            nested: TokenStream::new(),
            path: quote!(Self::#hidden),
        }
    }

    fn parameters(&self) -> Vec<TokenStream> {
        let private = &self.private;
        let id = self.id;
        let last = self.handler.arguments.len().checked_sub(1);
        let mut parameters: Vec<_> = self
            .arguments()
            .map(|(index, argument, holder)| {
                let (name, ty) = (variable(index), owned(&argument.ty));
                let held = match holder {
                    Holder::Plain => quote!(#ty),
                    Holder::Deferred => quote!(#private::Deferred<#ty>),
                    Holder::Captured => quote!(#private::Captured<#ty>),
                    Holder::CapturedRaw => quote!(#private::CapturedRaw<#ty>),
                    Holder::Transaction | Holder::OfClaim => quote!(#private::WithClaim<#ty>),
                };
                if Some(index) == last {
                    quote!(__idem_last: #private::NeedsIdempotencyInState<#id, #held>)
                } else {
                    quote!(#name: #held)
                }
            })
            .collect();
        if last.is_none() {
            parameters.push(quote!(__idem_last: #private::NeedsIdempotencyInState<#id, ()>));
        }
        parameters
    }

    /// What is asserted of the handler's types. The closure is never called: it
    /// is there for the compiler to look at.
    fn checks(&self) -> TokenStream {
        let private = &self.private;
        let mut checks = Vec::new();
        if let Some(state) = &self.args.state {
            checks.push(quote!(#private::check::state::<#state>();));
        }
        let state = match (&self.args.state, presumed_state(&self.handler.function.sig)) {
            (Some(state), _) => quote!(#private::check::Known<#state>),
            (None, Some(state)) => quote!(#private::check::Guess<#state>),
            (None, None) => quote!(#private::check::Guess<()>),
        };
        let last = self.handler.arguments.len().saturating_sub(1);
        for (index, argument, holder) in self.arguments() {
            let place = match holder {
                Holder::Deferred => quote!(Deferred),
                Holder::Captured => quote!(Typed),
                Holder::CapturedRaw => quote!(Raw),
                // Asserted where it is registered, or made.
                Holder::Transaction | Holder::OfClaim => continue,
                Holder::Plain if index == last => quote!(Last),
                Holder::Plain => quote!(Head),
            };
            let (ty, at) = (&argument.ty, point(&argument.ty));
            let check = quote_spanned!(at=> check);
            checks.push(quote! {
                #private::check::Argument::<#ty, #private::check::#place, #state>::PROBE.#check();
            });
        }
        if let ReturnType::Type(_, ty) = &self.handler.function.sig.output
            && opaque(ty).is_none()
        {
            let check = quote_spanned!(point(ty)=> check);
            checks.push(quote!(#private::check::Answered::<#ty>::PROBE.#check();));
        }
        if checks.is_empty() {
            return TokenStream::new();
        }
        quote! {
            let _ = || {
                use #private::check::verdicts::*;
                #(#checks)*
            };
        }
    }

    /// Takes the last argument out of what it came in.
    fn begin(&self) -> TokenStream {
        let private = &self.private;
        let last = match self.handler.arguments.len().checked_sub(1) {
            Some(index) => variable(index).to_token_stream(),
            None => quote!(()),
        };
        quote! {
            let (mut __idem_call, #last) = #private::NeedsIdempotencyInState::begin(__idem_last);
        }
    }

    /// The constant that registers the handler: only what was written is in it.
    fn spec(&self) -> TokenStream {
        let Self { args, private, .. } = self;
        let id = self.id;
        let name = self.handler.name().to_string();
        let ttl = milliseconds(args.ttl.as_ref().map_or(Duration::ZERO, |(ttl, _)| *ttl));
        let mut chain = vec![match &args.scope {
            Some(Scope::Named(name)) => quote!(.scope_named(#name)),
            Some(Scope::Expression(_)) => quote!(.scope_expression()),
            Some(Scope::Global) | None => quote!(.scope_global()),
        }];
        match &args.key {
            Some(Key::Expression(_)) => chain.push(quote!(.key_expression())),
            Some(Key::Optional) => chain.push(quote!(.key_optional())),
            Some(Key::Required) | None => {}
        }
        if let Some(header) = &args.header {
            let header = header.value().to_ascii_lowercase();
            chain.push(quote!(.key_header(#header)));
        }
        let durations = [
            ("grace_ms", args.grace),
            ("lease_ms", args.lease.as_ref().map(|(lease, _)| *lease)),
            ("wait_ms", args.wait),
        ];
        for (method, duration) in durations {
            if let Some(duration) = duration {
                let (method, duration) = (format_ident!("{method}"), milliseconds(duration));
                chain.push(quote!(.#method(#duration)));
            }
        }
        for method in &args.choices {
            let method = format_ident!("{method}");
            chain.push(quote!(.#method()));
        }
        if let Some(operation) = &args.operation {
            chain.push(quote!(.operation(#operation)));
        }
        if let Some(bytes) = args.max_response {
            chain.push(quote!(.max_response(#bytes)));
        }
        if let Some(transaction) = self.handler.transaction() {
            let ty = owned(&transaction.ty);
            let method = quote_spanned!(point(&transaction.ty)=> transaction);
            chain.push(quote!(.#method::<#ty>()));
        }
        if self.handler.steps().is_some() {
            chain.push(quote!(.steps()));
        }
        if let Some((retries, _)) = self.args.retries {
            chain.push(quote!(.retries(#retries)));
        }
        quote! {
            #private::HandlerSpec::new(
                #id, #name, ::core::module_path!(), ::core::file!(), ::core::line!(), #ttl,
            )
            #(#chain)*
        }
    }

    /// Tells the call what only the arguments know.
    fn statements(&self) -> Vec<TokenStream> {
        let Self { args, private, .. } = self;
        let mut statements: Vec<_> = args
            .expressions()
            .map(|(name, expression)| self.with_bindings(expression, name))
            .collect();
        for (index, _, holder) in self.arguments() {
            if matches!(holder, Holder::Captured | Holder::CapturedRaw) {
                let name = variable(index);
                statements.push(quote!(#private::Call::body(&mut __idem_call, &#name);));
            }
        }
        statements
    }

    /// Evaluates an expression over references to the arguments it mentions.
    fn with_bindings(&self, expression: &Expr, method: &str) -> TokenStream {
        let private = &self.private;
        let method = format_ident!("{method}");
        let bindings = self
            .arguments()
            .filter(|(_, argument, _)| argument.mentioned(expression).is_some())
            .map(|(index, argument, holder)| {
                let mut pattern = argument.pattern.clone();
                ByReference.visit_pat_mut(&mut pattern);
                let name = variable(index);
                let value = match holder {
                    Holder::Captured => quote!(#private::Captured::get(&#name)),
                    Holder::CapturedRaw => quote!(#private::CapturedRaw::get(&#name)),
                    Holder::Plain | Holder::Deferred | Holder::Transaction | Holder::OfClaim => {
                        quote!(&#name)
                    }
                };
                let names = &argument.bindings;
                // Those that the expression does not mention are no mistake.
                quote! {
                    let #pattern = #value;
                    let _ = (#(&#names,)*);
                }
            });
        // An error about the value points at the expression. (A `match` keeps
        // what the expression borrows from alive for the call.)
        let call = at(
            expression.span(),
            quote!((__idem_call, __idem_value) => #private::Call::#method(__idem_call, __idem_value)),
        );
        quote!({ #(#bindings)* match (&mut __idem_call, &(#expression)) { #call } })
    }

    fn arguments(&self) -> impl Iterator<Item = (usize, &Argument, Holder)> {
        let last = self.handler.arguments.len().saturating_sub(1);
        let captured = match self.args.fingerprint {
            None => Holder::Captured,
            Some(Fingerprint::Raw) => Holder::CapturedRaw,
            Some(Fingerprint::Expression(_)) => Holder::Plain,
        };
        self.handler
            .arguments
            .iter()
            .enumerate()
            .map(move |(index, argument)| {
                let holder = match &argument.deferred {
                    _ if argument.is_transaction() => Holder::Transaction,
                    _ if argument.is_of_claim() => Holder::OfClaim,
                    Some(_) => Holder::Deferred,
                    None if index == last => captured,
                    None => Holder::Plain,
                };
                (index, argument, holder)
            })
    }
}

fn variable(index: usize) -> Ident {
    format_ident!("__idem_arg{index}")
}

fn milliseconds(duration: Duration) -> u64 {
    // Bounded by 400 days when it was parsed.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where the user's function is, and how it is called.
struct Body {
    sibling: TokenStream,
    nested: TokenStream,
    path: TokenStream,
}

/// The tokens as if they were written at one place. Names that they bind are
/// known to them only: what a place can see depends on the macro that wrote it.
fn at(place: Span, tokens: TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .map(|token| {
            let mut token = match token {
                TokenTree::Group(group) => {
                    TokenTree::Group(Group::new(group.delimiter(), at(place, group.stream())))
                }
                other => other,
            };
            token.set_span(place);
            token
        })
        .collect()
}

/// Makes a pattern bind references, by leaving that to the value it matches.
struct ByReference;

impl VisitMut for ByReference {
    fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
        pattern.by_ref = None;
        pattern.mutability = None;
        visit_mut::visit_pat_ident_mut(self, pattern);
    }
}
