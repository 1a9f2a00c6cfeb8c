//! From a valid handler to its expansion: small, because the work lives in the runtime.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, Expr, Ident, PatIdent, Path, parse_quote,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

use crate::{
    known::Known,
    parse::{
        args::{Args, Fingerprint, Key, Scope},
        signature::{Argument, Handler},
    },
    validate::mentioned,
};

/// The handler's expansion. `id` is its number in the program's registry.
pub(crate) fn expand(args: &Args, handler: &Handler, id: u64) -> TokenStream {
    let facade = args
        .krate
        .clone()
        .unwrap_or_else(|| parse_quote!(::idem_axum));
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
}

impl Expansion<'_> {
    fn function(&self) -> TokenStream {
        let private = &self.private;
        let sig = &self.handler.item.sig;
        let (vis, name) = (&self.handler.item.vis, &sig.ident);
        let (outer, inner) = split_attributes(&self.handler.item.attrs);
        let parameters = self.parameters();
        let (sibling, nested, body) = self.body(&inner);
        let spec = self.spec();
        let begin = self.begin();
        let statements = self.statements();
        let extractions = self.extractions();
        let values = self.values();
        quote! {
            #sibling

            #(#outer)*
            #[allow(clippy::too_many_arguments)]
            #vis async fn #name(#(#parameters),*) -> #private::Response {
                #nested

                #private::inventory::submit! { #spec }

                #begin
                #(#statements)*
                #private::Call::run(__idem_call, async move {
                    #(#extractions)*
                    #private::IntoResponse::into_response(#body(#(#values),*).await)
                })
                .await
            }
        }
    }

    /// The user's function: nested under its own name, or, where it names the
    /// `impl` block's `Self`, beside under a hidden one. And how it is called.
    fn body(&self, attributes: &[&Attribute]) -> (TokenStream, TokenStream, TokenStream) {
        let mut function = self.handler.item.clone();
        function.attrs = attributes
            .iter()
            .map(|&attribute| attribute.clone())
            .collect();
        function.vis = syn::Visibility::Inherited;
        let name = function.sig.ident.clone();
        if self.handler.names_self() {
            function.sig.ident = format_ident!("__idem_{name}", span = name.span());
            let hidden = &function.sig.ident;
            let cfgs = self
                .handler
                .item
                .attrs
                .iter()
                .filter(|attribute| attribute.path().is_ident("cfg"));
            let call = quote!(Self::#hidden);
            (
                quote!(#(#cfgs)* #[doc(hidden)] #function),
                TokenStream::new(),
                call,
            )
        } else {
            (
                TokenStream::new(),
                function.to_token_stream(),
                quote!(#name),
            )
        }
    }

    fn parameters(&self) -> Vec<TokenStream> {
        let private = &self.private;
        let id = self.id;
        let last = self.handler.arguments.len().checked_sub(1);
        let mut parameters: Vec<_> = self
            .arguments()
            .map(|(index, argument, holder)| {
                let (name, ty) = (variable(index), &argument.ty);
                let held = match holder {
                    Holder::Plain => quote!(#ty),
                    Holder::Deferred => quote_spanned!(ty.span()=> #private::Deferred<#ty>),
                    Holder::Captured => quote_spanned!(ty.span()=> #private::Captured<#ty>),
                    Holder::CapturedRaw => quote_spanned!(ty.span()=> #private::CapturedRaw<#ty>),
                };
                if Some(index) == last {
                    quote_spanned!(ty.span()=> __idem_entered: #private::Entered<#id, #held>)
                } else {
                    quote!(#name: #held)
                }
            })
            .collect();
        if last.is_none() {
            parameters.push(quote!(__idem_entered: #private::Entered<#id, ()>));
        }
        parameters
    }

    /// Takes the last argument out of what it came in.
    fn begin(&self) -> TokenStream {
        let private = &self.private;
        let last = match self.handler.arguments.len().checked_sub(1) {
            Some(index) => variable(index).to_token_stream(),
            None => quote!(()),
        };
        quote!(let (mut __idem_call, #last) = #private::Entered::begin(__idem_entered);)
    }

    /// The constant that registers the handler: only what was written is in it.
    fn spec(&self) -> TokenStream {
        let Self { args, private, .. } = self;
        let id = self.id;
        let name = self.handler.item.sig.ident.to_string();
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
        let mut statements = Vec::new();
        if let Some(Scope::Expression(expression)) = &args.scope {
            statements.push(self.with_bindings(expression, "scope"));
        }
        if let Some(Key::Expression(expression)) = &args.key {
            statements.push(self.with_bindings(expression, "key"));
        }
        if let Some(Fingerprint::Expression(expression)) = &args.fingerprint {
            statements.push(self.with_bindings(expression, "payload"));
        }
        for (index, argument, holder) in self.arguments() {
            let (name, ty) = (variable(index), &argument.ty);
            if matches!(holder, Holder::Captured | Holder::CapturedRaw) {
                if holder == Holder::Captured && argument.known == Known::Body {
                    let check =
                        quote_spanned!(ty.span()=> #private::assert_fingerprint_body::<#ty>());
                    statements.push(quote!(#check;));
                }
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
            .filter(|(_, argument, _)| mentioned(argument, expression).is_some())
            .map(|(index, argument, holder)| {
                let mut pattern = argument.pattern.clone();
                ByReference.visit_pat_mut(&mut pattern);
                let name = variable(index);
                let value = match holder {
                    Holder::Captured => quote!(#private::Captured::get(&#name)),
                    Holder::CapturedRaw => quote!(#private::CapturedRaw::get(&#name)),
                    Holder::Plain | Holder::Deferred => quote!(&#name),
                };
                quote! {
                    #[allow(unused_variables)]
                    let #pattern = #value;
                }
            });
        let call = quote_spanned! {expression.span()=>
            #private::Call::#method(&mut __idem_call, &(#expression));
        };
        quote!({ #(#bindings)* #call })
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
                    Holder::Plain | Holder::Deferred => quote!(#name),
                    Holder::Captured => quote!(#private::Captured::into_inner(#name)),
                    Holder::CapturedRaw => quote!(#private::CapturedRaw::into_inner(#name)),
                }
            })
            .collect()
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

/// Attributes for the function that axum sees, and for the one that the user
/// wrote. Lint levels are for both; what wraps a body goes with the body.
fn split_attributes(attributes: &[Attribute]) -> (Vec<&Attribute>, Vec<&Attribute>) {
    let is = |path: &Path, names: &[&str]| {
        path.segments
            .last()
            .is_some_and(|segment| names.iter().any(|name| segment.ident == name))
    };
    let outer = attributes
        .iter()
        .filter(|attribute| !is(attribute.path(), &["instrument", "expect"]))
        .collect();
    let inner = attributes
        .iter()
        .filter(|attribute| {
            is(
                attribute.path(),
                &["instrument", "allow", "warn", "deny", "forbid", "expect"],
            )
        })
        .collect();
    (outer, inner)
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
