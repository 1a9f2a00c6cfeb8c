//! From a request's head to its key and scope.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, FromRequestParts, MatchedPath, OriginalUri, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, request::Parts};
use idem_core::{FingerprintBuilder, IdempotencyKey, Refusal, Scope};

use crate::{
    call::Call,
    check::HoldsIdempotency,
    headers::KEY_HEADER,
    plan::{KeyPlan, Plan, ScopePlan},
    problem::Problem,
    state::Idempotency,
};

/// A handler's last argument, and what the head of its request says. `HANDLER`
/// is the handler's number in the program's registry.
///
/// It is the last argument so that the handler's other extractors
/// (authentication!) have run, and the body is read only when key and scope are
/// good.
///
/// Its name is for the compiler's messages: of a router whose state holds no
/// `Idempotency` axum says only that a function with such an argument is no
/// handler.
#[doc(hidden)]
#[derive(Debug)]
pub struct NeedsIdempotencyInState<const HANDLER: u64, T> {
    call: Call,
    argument: T,
}

impl<const HANDLER: u64, T> NeedsIdempotencyInState<HANDLER, T> {
    pub fn begin(this: Self) -> (Call, T) {
        (this.call, this.argument)
    }
}

impl<S, T, const HANDLER: u64> FromRequest<S> for NeedsIdempotencyInState<HANDLER, T>
where
    S: HoldsIdempotency + Send + Sync,
    T: FromRequest<S>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        // Spelt out, because it is compiled for each handler.
        match enter_with_body(HANDLER, request, state.idempotency()).await {
            Ok((call, request)) => match T::from_request(request, state).await {
                Ok(argument) => Ok(Self { call, argument }),
                Err(rejection) => Err(rejection.into_response()),
            },
            Err(refusal) => Err(refusal),
        }
    }
}

impl<S, T, const HANDLER: u64> FromRequestParts<S> for NeedsIdempotencyInState<HANDLER, T>
where
    S: HoldsIdempotency + Send + Sync,
    T: FromRequestParts<S> + Send,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        // An argument that needs no body may be authentication: it comes first.
        let argument = match T::from_request_parts(parts, state).await {
            Ok(argument) => argument,
            Err(rejection) => return Err(rejection.into_response()),
        };
        match enter_handler(HANDLER, parts, state.idempotency()).await {
            Ok(call) => Ok(Self { call, argument }),
            Err(refusal) => Err(refusal),
        }
    }
}

async fn enter_with_body(
    handler: u64,
    request: Request,
    idempotency: Idempotency,
) -> Result<(Call, Request), Response> {
    let (parts, body) = request.into_parts();
    let call = enter_handler(handler, &parts, idempotency).await?;
    Ok((call, Request::from_parts(parts, body)))
}

async fn enter_handler(
    handler: u64,
    parts: &Parts,
    idempotency: Idempotency,
) -> Result<Call, Response> {
    match idempotency.plan(handler).map(Arc::clone) {
        Some(plan) => enter(idempotency, plan, parts).await,
        None => {
            tracing::error!(
                uri = parts.uri.path(),
                "the handler is not in the registry that its runtime was built from; \
                 was it linked in after `Idempotency::builder(…).build()`?"
            );
            let problems = &idempotency.shared().problems;
            Err(problems.report(Problem::Misconfigured).into_response())
        }
    }
}

/// Reads everything that the plan wants to know from the head.
///
/// # Errors
/// The answer to a request that cannot be served: nothing has been claimed.
pub(crate) async fn enter(
    idempotency: Idempotency,
    plan: Arc<Plan>,
    parts: &Parts,
) -> Result<Call, Response> {
    let (method, template) = route_of(parts);
    let operation = plan.operation(method, template);
    let key = match &plan.key {
        KeyPlan::Header(name) => {
            let lines = parts.headers.get_all(name).iter();
            match IdempotencyKey::from_headers(lines.map(HeaderValue::as_bytes)) {
                Ok(None) if !plan.key_optional => {
                    idempotency
                        .runtime()
                        .refuse(&operation, Refusal::KeyMissing);
                    let report = idempotency.shared().problems.report(Problem::KeyMissing);
                    return Err(report.detail(how_to_send(name)).into_response());
                }
                Ok(key) => key,
                Err(error) => {
                    idempotency
                        .runtime()
                        .refuse(&operation, Refusal::KeyInvalid);
                    let report = idempotency.shared().problems.report(Problem::KeyInvalid);
                    return Err(report.detail(error.to_string()).into_response());
                }
            }
        }
        KeyPlan::Expression => None,
    };
    let is_protected = key.is_some() || matches!(plan.key, KeyPlan::Expression);
    let scope = match &plan.scope {
        _ if !is_protected => None,
        ScopePlan::Resolver(name, resolver) => {
            let value = resolver.resolve(parts).await?;
            match Scope::new(*name, value.unwrap_or_default()) {
                Ok(scope) => Some(scope),
                Err(_) => {
                    idempotency
                        .runtime()
                        .refuse(&operation, Refusal::ScopeUnresolved);
                    let report = idempotency
                        .shared()
                        .problems
                        .report(Problem::ScopeUnresolved);
                    return Err(report.into_response());
                }
            }
        }
        ScopePlan::Global => Some(Scope::GLOBAL),
        ScopePlan::Expression => None,
    };
    // Below a nested router the request's own path is only the rest of it.
    let uri = match parts.extensions.get::<OriginalUri>() {
        Some(OriginalUri(uri)) => uri,
        None => &parts.uri,
    };
    let fingerprint = FingerprintBuilder::request(parts.method.as_str(), uri.path(), uri.query());
    Ok(Call::new(
        idempotency,
        plan,
        operation,
        key,
        scope,
        fingerprint,
    ))
}

fn how_to_send(name: &HeaderName) -> String {
    let name = if name.as_str() == KEY_HEADER {
        "Idempotency-Key"
    } else {
        name.as_str()
    };
    format!(
        "Send the header {name} with a value that is unique to this request, such as a UUID, \
         and the same one with every retry of it."
    )
}

/// A request that no route template has matched is named by its method alone,
/// and a method that HTTP does not define is not named: both are the client's
/// choice, and must become neither a metric's label nor another operation. (The
/// fingerprint has them.)
fn route_of(parts: &Parts) -> (&str, &str) {
    let template = match parts.extensions.get::<MatchedPath>() {
        Some(path) => path.as_str(),
        None => "*",
    };
    let method = match parts.method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS
        | Method::TRACE
        | Method::CONNECT => parts.method.as_str(),
        _ => "*",
    };
    (method, template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_chooses_freely_is_not_in_the_operations_name() {
        let named = |method: &str, uri: &str| {
            let request = http::Request::builder().method(method).uri(uri);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let (method, template) = route_of(&parts);
            format!("{method} {template}")
        };
        assert_eq!(named("POST", "/any/path?x=1"), "POST *");
        assert_eq!(named("BREW", "/coffee"), "* *");
        assert_eq!(named("post", "/"), "* *");
    }
}
