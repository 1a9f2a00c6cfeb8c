//! Every refusal, each at the token that is wrong: what is wrong, why it
//! matters for idempotency, and what to write instead.

use quote::ToTokens;
use syn::{Expr, FnArg, GenericParam, Ident, Path, ReturnType, Signature, Type};

use crate::{
    errors::Errors,
    parse::{
        args::{Args, Fingerprint, Key},
        function::identifiers,
        signature::{Argument, Handler},
        types::{last_segment, opaque},
    },
    suggest::closest,
};

/// What axum takes.
const MOST_ARGUMENTS: usize = 16;

pub(crate) fn validate(args: &Args, handler: &Handler, errors: &mut Errors) {
    if !args.unreadable {
        required(args, handler, errors);
    }
    lease_below_ttl(args, errors);
    key_conflicts(args, errors);
    signature(&handler.function.sig, errors);
    answer(&handler.function.sig, errors);
    attributes(handler, errors);
    arguments(args, handler, errors);
    with_claim(args, handler, errors);
    transaction(args, handler, errors);
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
            format!("`ttl` is missing: for how long does a retry of `{}` get the recorded answer? Write `ttl = \"24h\"`", handler.name()),
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
            FnArg::Typed(argument) => argument_type(&argument.ty, errors),
        }
    }
}

fn argument_type(ty: &Type, errors: &mut Errors) {
    match ty {
        Type::Reference(reference) => errors.over(
            reference,
            "a handler owns its arguments: what axum takes from a request is not borrowed from anywhere; \
             take the value itself",
        ),
        Type::TraitObject(object) => errors.over(
            object,
            "an argument must be a concrete type, so that what it takes from the request is known; \
             a trait object can be shared with `State<Arc<dyn …>>`",
        ),
        _ => {
            if let Some(opaque) = opaque(ty) {
                errors.over(
                    opaque,
                    "an argument must be a concrete type, so that what it takes from the request is known; \
                     name the type",
                );
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
        ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) => errors.over(
            ty,
            "an answer that never comes can never be recorded; answer with a response",
        ),
        ReturnType::Type(..) => {}
    }
}

fn attributes(handler: &Handler, errors: &mut Errors) {
    for attribute in &handler.function.attributes {
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
                "axum takes at most {MOST_ARGUMENTS} arguments; put some of them into a tuple, \
                 `(a, b): (A, B)`, or a struct with #[derive(FromRequestParts)]"
            ),
        );
    }
    for argument in &handler.arguments {
        if last_segment(&argument.ty).is_some_and(|segment| segment.ident == "WebSocketUpgrade") {
            errors.over(
                &argument.ty,
                "an upgraded connection has no answer to record, so a retry could not get it again; \
                 remove #[idempotent] from this handler",
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
    for (name, expression) in args.expressions() {
        if let Some(binding) = argument.mentioned(expression) {
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

/// What there is none of before the claim cannot be asked for before it.
fn with_claim(args: &Args, handler: &Handler, errors: &mut Errors) {
    for argument in &handler.arguments {
        if !argument.comes_with_claim() {
            continue;
        }
        let what = if argument.is_transaction() {
            "the transaction"
        } else {
            "this"
        };
        if let Some(deferred) = &argument.deferred {
            errors.over(
                deferred,
                format!("{what} comes with the claim, so it cannot be #[deferred]; remove it"),
            );
        }
        for (name, expression) in args.expressions() {
            if let Some(binding) = argument.mentioned(expression) {
                errors.over(
                    expression,
                    format!(
                        "`{name}` is needed before the claim, and `{binding}` comes with it; take the value from \
                         another argument"
                    ),
                );
            }
        }
    }
    if let (Some(Fingerprint::Raw), Some(last)) = (&args.fingerprint, handler.arguments.last())
        && last.comes_with_claim()
    {
        errors.over(
            &last.ty,
            "`fingerprint = \"raw\"` compares the bytes that the last argument reads, and this one reads none, so \
             every payload would look the same; put the argument that reads the body last, or remove `fingerprint`",
        );
    }
}

/// What belongs to a handler that takes its transaction, and what does not.
fn transaction(args: &Args, handler: &Handler, errors: &mut Errors) {
    let mut transactions = handler
        .arguments
        .iter()
        .filter(|argument| argument.is_transaction());
    if transactions.next().is_none() {
        if let Some((_, written)) = &args.retries {
            errors.over(
                written,
                "`retries` is for a handler that takes its transaction, `tx: Tx<Postgres>`: there, nothing was \
                 committed when it runs again; here, it would happen twice. Remove it, or take a `Tx`",
            );
        }
        return;
    }
    for second in transactions {
        errors.over(
            &second.ty,
            "a handler has one transaction, in which its effect and its record commit together; \
             use the first, and `tx.begin()` for a savepoint within it",
        );
    }
    if handler.steps().is_none()
        && let Some(lease) = handler
            .arguments
            .iter()
            .find(|argument| argument.is_of_claim())
    {
        errors.over(
            &lease.ty,
            "the claim of a handler that takes its transaction is in the transaction: there is no lease that could be \
             lost, and nothing is left of it when it ends; remove this argument",
        );
    }
    for name in ["on_crash", "store_error"] {
        // With steps the claim is outside of the transaction, and has a lease.
        if name == "on_crash" && handler.steps().is_some() {
            continue;
        }
        if let Some(written) = args.name_of(name) {
            let why = if name == "on_crash" {
                "a transaction that dies leaves nothing behind, so there is nothing to take over or to refuse"
            } else {
                "without the database there is no transaction to run in, so it always fails closed"
            };
            errors.over(
                written,
                format!("`{name}` has no meaning for a handler that takes its transaction: {why}; remove it"),
            );
        }
    }
}

fn expressions(args: &Args, handler: &Handler, errors: &mut Errors) {
    for (name, expression) in args.expressions() {
        let names_one = handler
            .arguments
            .iter()
            .any(|argument| argument.mentioned(expression).is_some());
        if names_one {
            continue;
        }
        let bindings: Vec<String> = handler
            .arguments
            .iter()
            .filter(|argument| !argument.comes_with_claim())
            .flat_map(|argument| &argument.bindings)
            .map(|binding| format!("`{binding}`"))
            .collect();
        let there_are = match bindings.as_slice() {
            [] => "none of the arguments has a name".to_owned(),
            names => format!("the arguments bind {}", names.join(", ")),
        };
        let consequence = match name {
            "scope" => "every caller would share one scope",
            "key" => "every request would have the same key",
            _ => "every payload would look the same",
        };
        let instead = match meant(handler, expression) {
            Some(binding) => format!("; did you mean `{binding}`?"),
            None if name == "scope" => format!(
                "; if that is meant, say `scope = \"global\"`{}",
                in_quotes(expression)
            ),
            None => String::new(),
        };
        errors.over(
            expression,
            format!(
                "this names no argument of the handler, so {consequence}: {there_are}{instead}"
            ),
        );
    }
}

/// `scope = user` may be `scope = "user"`, a resolver's name.
fn in_quotes(expression: &Expr) -> String {
    match single_name(expression) {
        Some(name) => format!(", and the name of a resolver goes in quotes: `scope = \"{name}\"`"),
        None => String::new(),
    }
}

/// The binding that is probably meant by a name in the expression.
fn meant<'a>(handler: &'a Handler, expression: &Expr) -> Option<&'a Ident> {
    let mut names = Vec::new();
    identifiers(expression.to_token_stream(), &mut names);
    let bindings = || {
        handler
            .arguments
            .iter()
            .filter(|argument| !argument.comes_with_claim())
            .flat_map(|argument| &argument.bindings)
    };
    let known: Vec<String> = bindings().map(ToString::to_string).collect();
    let meant = names
        .iter()
        .find_map(|name| closest(name, known.iter().map(String::as_str)))?;
    bindings().find(|binding| *binding == meant)
}

fn single_name(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Path(path) => Path::get_ident(&path.path),
        _ => None,
    }
}
