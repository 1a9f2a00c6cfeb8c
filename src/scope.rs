//! Who is asking: resolvers that are registered by name on the runtime.

use axum::response::Response;
use futures_util::future::BoxFuture;
use http::request::Parts;

/// Finds out whose key it is, from a request's head.
///
/// Most resolvers are closures, see
/// [`IdempotencyBuilder::scope`](crate::IdempotencyBuilder::scope). Implement
/// the trait to look something up, or to refuse with a response of your own.
///
/// A resolver must not believe what a client merely claims: it reads what a
/// middleware has authenticated (from `parts.extensions`), or checks the
/// credentials itself. It runs before the handler's body is read and before
/// anything is claimed.
///
/// ```
/// use axum::{http::{StatusCode, request::Parts}, response::{IntoResponse, Response}};
/// use futures_util::{FutureExt, future::BoxFuture};
/// use idem_axum::ScopeResolver;
///
/// #[derive(Clone)]
/// struct Tenant(String);
///
/// struct TenantScope;
///
/// impl ScopeResolver for TenantScope {
///     fn resolve<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<Option<String>, Response>> {
///         async move {
///             match parts.extensions.get::<Tenant>() {
///                 Some(Tenant(id)) => Ok(Some(id.clone())),
///                 None => Err(StatusCode::FORBIDDEN.into_response()),
///             }
///         }
///         .boxed()
///     }
/// }
/// ```
pub trait ScopeResolver: Send + Sync + 'static {
    /// The scope's value: `None` or an empty string when there is none, which
    /// is answered with 401 and claims nothing.
    ///
    /// # Errors
    /// The response that the client gets instead.
    fn resolve<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<Option<String>, Response>>;
}

type Closure = Box<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

/// A closure is kept apart so that it costs no boxed future.
pub(crate) enum Resolver {
    Closure(Closure),
    Object(Box<dyn ScopeResolver>),
}

impl Resolver {
    pub(crate) async fn resolve(&self, parts: &Parts) -> Result<Option<String>, Response> {
        match self {
            Self::Closure(closure) => Ok(closure(parts)),
            Self::Object(object) => object.resolve(parts).await,
        }
    }
}
