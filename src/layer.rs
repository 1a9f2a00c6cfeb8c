//! The same protection for routes that cannot be annotated.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http::Method;
use idem_core::{OnCrash, OnStoreError};
use tower::{Layer, Service};

use crate::{
    body::is_too_large,
    entry::enter,
    error::BuildError,
    handler::{KeyRule, Place, Rules, ScopeRule},
    plan::Plan,
    policy::{Profile, RecordRule},
    problem::Problem,
    state::Idempotency,
};

/// How much of a request's body the layer reads unless told otherwise: 2 MiB, as axum does.
pub const DEFAULT_BODY_LIMIT: usize = 2 << 20;

/// A tower layer with the attribute's semantics, for handlers that cannot be
/// annotated: generic ones, other people's, whole services.
///
/// Two things differ from the attribute. The fingerprint is over the body's
/// *bytes*, so a retry must send the same bytes. And what the layer wraps runs
/// behind it, extractors included: **put authentication outside of the layer**,
/// or let the scope's resolver check the credentials, so that a replay is not
/// served to somebody who would have been refused.
///
/// Safe methods (GET, HEAD, OPTIONS, TRACE) pass through.
///
/// ```
/// use std::time::Duration;
/// use axum::{Router, routing::post};
/// use idem_axum::{Idempotency, IdempotencyLayer, MemoryStore};
///
/// let idempotency = Idempotency::builder(MemoryStore::new())
///     .scope("user", |parts| parts.extensions.get::<String>().cloned())
///     .build()?;
/// let layer = IdempotencyLayer::builder(&idempotency, Duration::from_secs(24 * 60 * 60))
///     .scope("user")
///     .build()?;
/// let app: Router = Router::new()
///     .route("/import", post(|body: String| async move { body }))
///     .route_layer(layer);
/// # Ok::<(), idem_axum::BuildError>(())
/// ```
#[derive(Clone)]
pub struct IdempotencyLayer {
    idempotency: Idempotency,
    plan: Arc<Plan>,
    body_limit: usize,
}

impl IdempotencyLayer {
    /// Starts with the ttl; the scope must be given, everything else has a default.
    #[track_caller]
    pub fn builder(idempotency: &Idempotency, ttl: Duration) -> LayerWithoutScope {
        let caller = std::panic::Location::caller();
        LayerWithoutScope(IdempotencyLayerBuilder {
            idempotency: idempotency.clone(),
            place: Place {
                module: "",
                name: "IdempotencyLayer",
                file: caller.file(),
                line: caller.line(),
            },
            rules: Rules::new(ttl),
            body_limit: DEFAULT_BODY_LIMIT,
        })
    }
}

/// A layer that does not yet say whose keys it serves, so that nobody forgets.
#[derive(Debug)]
#[must_use]
pub struct LayerWithoutScope(IdempotencyLayerBuilder);

impl LayerWithoutScope {
    /// Keys belong to the caller that the resolver of this name finds.
    pub fn scope(mut self, name: &'static str) -> IdempotencyLayerBuilder {
        self.0.rules.scope = ScopeRule::Named(name);
        self.0
    }

    /// Keys belong to nobody: they must be unguessable and unique across all callers.
    pub fn global_scope(mut self) -> IdempotencyLayerBuilder {
        self.0.rules.scope = ScopeRule::Global;
        self.0
    }
}

/// Builds an [`IdempotencyLayer`]; its methods are the attribute's arguments.
#[must_use]
pub struct IdempotencyLayerBuilder {
    idempotency: Idempotency,
    place: Place,
    rules: Rules,
    body_limit: usize,
}

impl IdempotencyLayerBuilder {
    /// A request without a key is served without protection.
    pub const fn key_optional(mut self) -> Self {
        self.rules.key_optional = true;
        self
    }

    /// The header that carries the key.
    pub const fn header(mut self, name: &'static str) -> Self {
        self.rules.key = KeyRule::Header(name);
        self
    }

    /// How long a record is kept after its ttl.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.rules.overrides.grace = Some(grace);
        self
    }

    /// How long an execution may stay silent before a retry takes over.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.rules.overrides.lease = Some(lease);
        self
    }

    /// How long a duplicate waits for the first request to end.
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.rules.overrides.wait = Some(wait);
        self
    }

    /// What becomes of an execution that fell silent.
    pub const fn on_crash(mut self, on_crash: OnCrash) -> Self {
        self.rules.overrides.on_crash = Some(on_crash);
        self
    }

    /// What becomes of a request when the store fails.
    pub const fn store_error(mut self, store_error: OnStoreError) -> Self {
        self.rules.overrides.store_error = Some(store_error);
        self
    }

    /// Which answers are recorded.
    pub const fn record(mut self, rule: RecordRule) -> Self {
        self.rules.record = Some(rule);
        self
    }

    /// Which status a reused key gets.
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.rules.profile = Some(profile);
        self
    }

    /// The operation's name; the method and the route's template by default.
    pub const fn operation(mut self, name: &'static str) -> Self {
        self.rules.operation = Some(name);
        self
    }

    /// How many bytes of an answer's body are recorded at the most.
    pub const fn max_response(mut self, bytes: usize) -> Self {
        self.rules.max_response = Some(bytes);
        self
    }

    /// How many bytes of a request's body are read at the most, to fingerprint
    /// it; [`DEFAULT_BODY_LIMIT`] by default. A larger one is answered with 413.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Checks the rules against the runtime.
    ///
    /// # Errors
    /// [`BuildError::Endpoints`] with the file and line of the builder.
    pub fn build(self) -> Result<IdempotencyLayer, BuildError> {
        let ground = &self.idempotency.shared().ground;
        let plan = ground
            .plan(&self.place, self.rules)
            .map_err(|error| BuildError::Endpoints(vec![error]))?;
        Ok(IdempotencyLayer {
            plan: Arc::new(plan),
            idempotency: self.idempotency,
            body_limit: self.body_limit,
        })
    }
}

impl fmt::Debug for IdempotencyLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyLayerBuilder")
            .field("rules", &self.rules)
            .field("body_limit", &self.body_limit)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for IdempotencyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyLayer")
            .field("body_limit", &self.body_limit)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for IdempotencyLayer {
    type Service = IdempotencyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdempotencyService {
            inner,
            layer: self.clone(),
        }
    }
}

/// What an [`IdempotencyLayer`] makes of a service.
#[derive(Debug, Clone)]
pub struct IdempotencyService<S> {
    inner: S,
    layer: IdempotencyLayer,
}

impl<S> Service<Request> for IdempotencyService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that was polled ready goes along, its clone stays.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        if is_safe(request.method()) {
            return Box::pin(inner.call(request));
        }
        let layer = self.layer.clone();
        Box::pin(async move {
            Ok(match layer.run(inner, request).await {
                Ok(response) | Err(response) => response,
            })
        })
    }
}

impl IdempotencyLayer {
    async fn run<S>(self, mut inner: S, request: Request) -> Result<Response, Response>
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let mut call = enter(self.idempotency.clone(), Arc::clone(&self.plan), &parts).await?;
        let bytes = self.read(body).await?;
        call.bytes(&bytes);
        let request = Request::from_parts(parts, Body::from(bytes));
        let response = call.run(async move {
            match inner.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        });
        Ok(response.await)
    }

    async fn read(&self, body: Body) -> Result<Bytes, Response> {
        let read = axum::body::to_bytes(body, self.body_limit).await;
        read.map_err(|error| {
            let problems = &self.idempotency.shared().problems;
            if is_too_large(&error) {
                problems
                    .report(Problem::PayloadTooLarge)
                    .detail(format!(
                        "The payload is larger than {} bytes. Nothing was executed.",
                        self.body_limit
                    ))
                    .into_response()
            } else {
                problems
                    .report(Problem::PayloadUnusable)
                    .detail("The payload could not be read to its end. Nothing was executed.")
                    .into_response()
            }
        })
    }
}

/// Methods that have no effect to repeat, RFC 9110 §9.2.1.
fn is_safe(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}
