//! Every refusal, each at the token that is wrong: what is wrong, why it
//! matters for idempotency, and what to write instead.

use quote::ToTokens;
use syn::{Expr, FnArg, GenericParam, Ident, ReturnType, Signature, Type, spanned::Spanned};

use crate::{
    errors::Errors,
    known::{self, Known},
    parse::{
        args::{Args, Fingerprint, Key, Scope},
        signature::{Argument, Handler, identifiers},
    },
};

/// What axum takes.
const MOST_ARGUMENTS: usize = 16;

pub(crate) fn validate(args: &Args, handler: &Handler, errors: &mut Errors) {
    required(args, handler, errors);
    lease_below_ttl(args, errors);
    key_conflicts(args, errors);
    signature(&handler.item.sig, errors);
    answer(&handler.item.sig, errors);
    attributes(handler, errors);
    arguments(args, handler, errors);
    bodies(args, handler, errors);
    expressions(args, handler, errors);
}

fn required(args: &Args, handler: &Handler, errors: &mut Errors) {
    let (ttl, scope) = (args.says("ttl"), args.says("scope"));
    if !ttl && !scope {
        errors.at(
            proc_macro2::Span::call_site(),
            "say how long a key is kept and whose it is: #[idempotent(ttl = \"24h\", scope = \"user\")]",
        );
    } else if !ttl {
        errors.at(
            proc_macro2::Span::call_site(),
            format!("`ttl` is missing: for how long does a retry of `{}` get the recorded answer? Write `ttl = \"24h\"`", handler.item.sig.ident),
        );
    } else if !scope {
        errors.at(
            proc_macro2::Span::call_site(),
            "`scope` is missing: whose key is it? Without one, a user could get another's answer by \
             sending the same key. Write `scope = \"user\"` (a resolver's name), `scope = user.id` \
             (an expression over the arguments), or `scope = \"global\"`",
        );
    }
}

fn lease_below_ttl(args: &Args, errors: &mut Errors) {
    if let (Some((ttl, _)), Some((lease, written))) = (&args.ttl, &args.lease)
        && lease >= ttl
    {
        errors.over(
            written,
            "the lease must be shorter than the ttl: it is how long a crashed execution blocks \
             retries, and it is renewed while the handler runs; \"30s\" is enough for any handler",
        );
    }
}

fn key_conflicts(args: &Args, errors: &mut Errors) {
    if let (Some(Key::Expression(_)), Some(header)) = (&args.key, &args.header) {
        errors.over(
            header,
            "`header` conflicts with `key`, which takes the key from the arguments; remove one of them",
        );
    }
}

fn signature(sig: &Signature, errors: &mut Errors) {
    if sig.asyncness.is_none() {
        errors.over(
            sig.fn_token,
            "an idempotent handler must be async, because its claim is awaited before its body runs; write `async fn`",
        );
    }
    if let Some(constness) = &sig.constness {
        errors.over(
            constness,
            "an idempotent handler cannot be `const`; remove it",
        );
    }
    if !sig.safety.to_token_stream().is_empty() {
        errors.over(
            &sig.safety,
            "a handler is called by axum, which calls no unsafe functions; remove `unsafe`",
        );
    }
    if let Some(abi) = &sig.abi {
        errors.over(
            abi,
            "a handler is called by axum, in Rust's own ABI; remove it",
        );
    }
    for parameter in &sig.generics.params {
        let what = match parameter {
            GenericParam::Lifetime(_) => "a lifetime",
            GenericParam::Type(_) => "a type parameter",
            GenericParam::Const(_) => "a const parameter",
        };
        errors.over(
            parameter,
            format!(
                "an idempotent handler cannot have {what}: its payload must be one known type, so that \
                 its fingerprint is one known form; write a concrete type, or protect the route with \
                 `IdempotencyLayer`"
            ),
        );
    }
    for input in &sig.inputs {
        match input {
            FnArg::Receiver(receiver) => errors.over(
                receiver,
                "a handler has no `self`: axum calls it with what the request and the state hold; take `State(…)` instead",
            ),
            FnArg::Typed(argument) => {
                if let Type::ImplTrait(opaque) = &*argument.ty {
                    errors.over(
                        opaque,
                        "an argument must be a concrete type, so that what it takes from the request is known",
                    );
                }
                if let Type::TraitObject(object) = &*argument.ty {
                    errors.over(
                        object,
                        "an argument must be a concrete type, so that what it takes from the request is known",
                    );
                }
            }
        }
    }
}

fn answer(sig: &Signature, errors: &mut Errors) {
    match &sig.output {
        ReturnType::Default => errors.over(
            &sig.ident,
            "an idempotent handler says what it answers, because the answer is what a retry gets; \
             add a return type such as `-> Result<Json<T>, E>` (or `-> ()` if there is nothing to say)",
        ),
        ReturnType::Type(_, ty) if known::is_streaming_answer(ty) => errors.over(
            ty,
            "a stream has no end to record, so a retry could not get it again; answer with a whole \
             response, and stream from a GET handler",
        ),
        ReturnType::Type(..) => {}
    }
}

fn attributes(handler: &Handler, errors: &mut Errors) {
    for attribute in &handler.item.attrs {
        let is_twice = attribute
            .path()
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "idempotent");
        if is_twice {
            errors.over(
                attribute,
                "#[idempotent] stands here twice, so the inner one would claim what the outer one holds; keep one",
            );
        }
    }
}

fn arguments(args: &Args, handler: &Handler, errors: &mut Errors) {
    if let Some(surplus) = handler.arguments.get(MOST_ARGUMENTS) {
        errors.over(
            &surplus.ty,
            format!(
                "axum takes at most {MOST_ARGUMENTS} arguments; put some of them into a struct with \
                 #[derive(FromRequestParts)]"
            ),
        );
    }
    for argument in &handler.arguments {
        if let Some(cfg) = argument
            .attributes
            .iter()
            .find(|attribute| attribute.path().is_ident("cfg"))
        {
            errors.over(
                cfg,
                "an argument of an idempotent handler cannot come and go: with it the payload would; \
                 write two handlers and put #[cfg] on each",
            );
        }
        deferral(args, argument, errors);
    }
}

fn deferral(args: &Args, argument: &Argument, errors: &mut Errors) {
    let Some(deferred) = &argument.deferred else {
        return;
    };
    if !matches!(deferred.meta, syn::Meta::Path(_)) {
        errors.over(deferred, "#[deferred] takes no arguments");
    }
    if argument.known != Known::Other {
        errors.over(
            deferred,
            "the payload cannot be deferred: its fingerprint is needed before the claim; remove #[deferred]",
        );
    }
    for (name, expression) in written_expressions(args) {
        if let Some(binding) = mentioned(argument, expression) {
            errors.over(
                expression,
                format!(
                    "`{name}` needs `{binding}` before the claim, but `{binding}` is #[deferred] until after it; \
                     remove #[deferred], or take the value from another argument"
                ),
            );
        }
    }
}

fn bodies(args: &Args, handler: &Handler, errors: &mut Errors) {
    for argument in &handler.arguments {
        match argument.known {
            Known::Upgrade => errors.over(
                &argument.ty,
                "an upgraded connection has no answer to record, so a retry could not get it again; \
                 remove #[idempotent] from this handler",
            ),
            Known::Whole if !matches!(args.fingerprint, Some(Fingerprint::Expression(_))) => errors.over(
                &argument.ty,
                "the payload behind this type is not read yet, so it cannot be fingerprinted: another payload \
                 under the same key could not be told from a retry; take `Json<T>`, `Form<T>`, `Bytes` or \
                 `String`, or say `fingerprint = <expression over the arguments>`",
            ),
            Known::Whole | Known::Body | Known::Other => {}
        }
    }
    let reads = |argument: &&Argument| matches!(argument.known, Known::Body | Known::Whole);
    let mut readers = handler.arguments.iter().filter(reads);
    let (Some(first), second) = (readers.next(), readers.next()) else {
        return;
    };
    if let Some(second) = second {
        errors.over(
            &second.ty,
            format!(
                "a request has one body, and `{}` reads it already; keep one of them",
                first.ty.to_token_stream().to_string().replace(' ', "")
            ),
        );
    } else if handler
        .arguments
        .last()
        .is_some_and(|last| last.known == Known::Other)
    {
        errors.over(
            &first.ty,
            "the argument that reads the body must be the last one, because it consumes the request; move it to the end",
        );
    }
}

fn expressions(args: &Args, handler: &Handler, errors: &mut Errors) {
    for (name, expression) in written_expressions(args) {
        let names_one = handler
            .arguments
            .iter()
            .any(|argument| mentioned(argument, expression).is_some());
        if names_one {
            continue;
        }
        let bindings: Vec<String> = handler
            .arguments
            .iter()
            .flat_map(|argument| &argument.bindings)
            .map(|binding| format!("`{binding}`"))
            .collect();
        let there_are = match bindings.as_slice() {
            [] => "none of the arguments has a name".to_owned(),
            names => format!("the arguments bind {}", names.join(", ")),
        };
        let (consequence, instead) = match name {
            "scope" => (
                "every caller would share one scope",
                "; if that is meant, say `scope = \"global\"`",
            ),
            "key" => ("every request would have the same key", ""),
            _ => ("every payload would look the same", ""),
        };
        errors.at(
            expression.span(),
            format!(
                "this names no argument of the handler, so {consequence}: {there_are}{instead}"
            ),
        );
    }
}

/// The arguments of the attribute that are expressions over the handler's.
fn written_expressions(args: &Args) -> Vec<(&'static str, &Expr)> {
    let mut found = Vec::new();
    if let Some(Scope::Expression(expression)) = &args.scope {
        found.push(("scope", expression));
    }
    if let Some(Key::Expression(expression)) = &args.key {
        found.push(("key", expression));
    }
    if let Some(Fingerprint::Expression(expression)) = &args.fingerprint {
        found.push(("fingerprint", expression));
    }
    found
}

/// A name that the argument binds and the expression mentions.
pub(crate) fn mentioned<'a>(argument: &'a Argument, expression: &Expr) -> Option<&'a Ident> {
    let mut names = Vec::new();
    identifiers(expression.to_token_stream(), &mut names);
    argument
        .bindings
        .iter()
        .find(|binding| names.iter().any(|name| *binding == name))
}
