//! The runtime as an axum service has it in its state.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use axum::body::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Response, request::Parts};
use idem_core::{
    Drained, Limits, Once, OnceError, Operation, Overrides, Policy, ReplayCache, Runtime,
    RuntimeBuilder, Scope, Store, StoreError,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::BuildError,
    handler,
    headers::HeaderPolicy,
    plan::{Ground, Plan},
    policy::{Profile, RecordRule},
    problem::Problems,
    scope::{Resolver, ScopeResolver},
};

/// The `type` of a problem document is this and its slug, unless the service says otherwise.
pub const DEFAULT_PROBLEM_BASE: &str = "urn:idem:problem:";

/// How large an answer may be and still be recorded, unless a handler or the
/// service says otherwise: 1 MiB.
pub const DEFAULT_MAX_RESPONSE: usize = 1 << 20;

/// Makes the annotated handlers of a service idempotent. Lives in the
/// service's state; cheap to clone.
///
/// ```
/// use axum::{Router, extract::FromRef};
/// use idem_axum::{Idempotency, MemoryStore};
///
/// #[derive(Clone, FromRef)]
/// struct App {
///     idempotency: Idempotency,
/// }
///
/// let idempotency = Idempotency::builder(MemoryStore::new())
///     .scope("user", |parts| {
///         // What a middleware of yours has authenticated:
///         parts.extensions.get::<String>().cloned()
///     })
///     .build()?;
/// let app: Router = Router::new().with_state(App { idempotency });
/// # Ok::<(), idem_axum::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Idempotency {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) ground: Ground,
    plans: HashMap<u64, Arc<Plan>>,
    pub(crate) problems: Problems,
    pub(crate) headers: HeaderPolicy,
    pub(crate) redact: Option<Redact>,
}

/// Changes what is stored of an answer.
pub(crate) type Redact = Arc<dyn Fn(&mut Response<Bytes>) + Send + Sync>;

impl Idempotency {
    /// Starts with a store; everything else has a default.
    pub fn builder(store: impl Store) -> IdempotencyBuilder {
        IdempotencyBuilder {
            runtime: Runtime::builder(store),
            scopes: Vec::new(),
            record: RecordRule::default(),
            profile: Profile::default(),
            max_response: DEFAULT_MAX_RESPONSE,
            problem_base: DEFAULT_PROBLEM_BASE.to_owned(),
            documentation: None,
            headers: HeaderPolicy::default(),
            redact: None,
            modules: Vec::new(),
        }
    }

    /// Runs `work` once per operation, scope and key: the same protection for
    /// consumers, jobs and webhooks. See [`Runtime::once`].
    ///
    /// # Errors
    /// [`OnceError`]
    pub async fn once<P, T, E, W, F>(
        &self,
        operation: impl Into<Operation>,
        scope: &Scope,
        key: &str,
        payload: &P,
        work: W,
    ) -> Result<Once<T>, OnceError<E>>
    where
        P: Serialize + ?Sized,
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        W: FnOnce() -> F,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.runtime()
            .once(operation, scope, key, payload, work)
            .await
    }

    /// [`once`](Self::once) with its own ttl, lease, and so on.
    ///
    /// # Errors
    /// [`OnceError`]
    pub async fn once_with<P, T, E, W, F>(
        &self,
        overrides: &Overrides,
        operation: impl Into<Operation>,
        scope: &Scope,
        key: &str,
        payload: &P,
        work: W,
    ) -> Result<Once<T>, OnceError<E>>
    where
        P: Serialize + ?Sized,
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        W: FnOnce() -> F,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.runtime()
            .once_with(overrides, operation, scope, key, payload, work)
            .await
    }

    /// Waits for what is still in flight, such as executions whose clients have
    /// gone, for `deadline` at the most. Call it when the server has stopped:
    ///
    /// ```no_run
    /// # async fn main_(listener: tokio::net::TcpListener, app: axum::Router,
    /// #     idempotency: idem_axum::Idempotency) -> std::io::Result<()> {
    /// axum::serve(listener, app)
    ///     .with_graceful_shutdown(async { let _ = tokio::signal::ctrl_c().await; })
    ///     .await?;
    /// let _ = idempotency.drain(std::time::Duration::from_secs(20)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.runtime().drain(deadline).await
    }

    /// Whether the store takes claims now: for a readiness probe.
    ///
    /// # Errors
    /// What the store says is wrong, or that it did not answer in time.
    pub async fn health(&self) -> Result<(), StoreError> {
        self.runtime().health().await
    }

    /// The runtime underneath, which knows nothing of HTTP.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.shared.ground.runtime
    }

    pub(crate) fn plan(&self, handler: u64) -> Option<&Arc<Plan>> {
        self.shared.plans.get(&handler)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency")
            .field("runtime", self.runtime())
            .field("handlers", &self.shared.plans.len())
            .finish_non_exhaustive()
    }
}

/// Builds an [`Idempotency`].
#[must_use]
pub struct IdempotencyBuilder {
    runtime: RuntimeBuilder,
    scopes: Vec<(String, Resolver)>,
    record: RecordRule,
    profile: Profile,
    max_response: usize,
    problem_base: String,
    documentation: Option<String>,
    headers: HeaderPolicy,
    redact: Option<Redact>,
    /// Empty: all of them.
    modules: Vec<String>,
}

impl IdempotencyBuilder {
    /// Registers who is meant by `scope = "name"`: the closure reads the
    /// caller's id from the request's head, and answers `None` when there is
    /// none (401, nothing is claimed).
    ///
    /// It must read what has been authenticated, see [`ScopeResolver`].
    pub fn scope(
        mut self,
        name: impl Into<String>,
        resolve: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let resolver = Resolver::Closure(Box::new(resolve));
        self.scopes.push((name.into(), resolver));
        self
    }

    /// Registers a resolver that waits for something, or refuses in its own words.
    pub fn scope_resolver(mut self, name: impl Into<String>, resolver: impl ScopeResolver) -> Self {
        let resolver = Resolver::Object(Box::new(resolver));
        self.scopes.push((name.into(), resolver));
        self
    }

    /// Separates services that share a store. `"idem"` by default.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.runtime = self.runtime.namespace(namespace);
        self
    }

    /// Hides keys, ids and payloads' fingerprints from somebody with a dump of the
    /// store, see [`SlotDeriver::keyed`](idem_core::SlotDeriver::keyed). To change it,
    /// see [`accept_secret`](Self::accept_secret).
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.runtime = self.runtime.secret(secret);
        self
    }

    /// Accepts what is stored under another secret too: how a secret is rotated while
    /// the service runs. The stages, and how long to wait between them, are those of
    /// [`RuntimeBuilder::accept_secret`].
    ///
    /// ```
    /// # use idem_axum::{Idempotency, MemoryStore};
    /// let third_stage = Idempotency::builder(MemoryStore::new())
    ///     .secret("the new one")
    ///     .accept_secret("the old one");
    /// # let _ = third_stage;
    /// ```
    pub fn accept_secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.runtime = self.runtime.accept_secret(secret);
        self
    }

    /// Accepts what is stored without a secret too, see
    /// [`RuntimeBuilder::accept_no_secret`].
    pub fn accept_no_secret(mut self) -> Self {
        self.runtime = self.runtime.accept_no_secret();
        self
    }

    /// Seals what is stored of answers and steps: encrypts it, and binds it to its
    /// request, see [`encryption`](crate::encryption).
    ///
    /// ```
    /// use idem_axum::{Idempotency, MemoryStore, encryption::{Key, Keyring}};
    ///
    /// # let random = [7; 32];
    /// let keys = Keyring::new(Key::new("2026-11", &random)?);
    /// let builder = Idempotency::builder(MemoryStore::new()).encryption(keys);
    /// # let _ = builder;
    /// # Ok::<(), idem_axum::encryption::KeyringError>(())
    /// ```
    #[cfg(feature = "encryption")]
    #[cfg_attr(docsrs, doc(cfg(feature = "encryption")))]
    pub fn encryption(mut self, keyring: crate::encryption::Keyring) -> Self {
        self.runtime = self.runtime.encryption(keyring);
        self
    }

    /// Compresses what is stored of answers and steps, from a length on, see
    /// [`Compression`](crate::Compression): when it pays, and when it gives something away.
    ///
    /// ```
    /// use idem_axum::{Compression, Idempotency, MemoryStore};
    ///
    /// let builder = Idempotency::builder(MemoryStore::new()).compress(Compression::default());
    /// # let _ = builder;
    /// ```
    #[cfg(feature = "compression")]
    #[cfg_attr(docsrs, doc(cfg(feature = "compression")))]
    pub fn compress(mut self, compression: crate::Compression) -> Self {
        self.runtime = self.runtime.compress(compression);
        self
    }

    /// The defaults for handlers that do not say otherwise.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.runtime = self.runtime.policy(policy);
        self
    }

    /// How much one scope (one user, one tenant) may have in flight and stored, see
    /// [`Limits`]; beyond it a request that would run the handler is answered with 429
    /// [`too-many-in-flight`](crate::Problem::TooManyInFlight), and a retry as ever.
    /// Nothing is limited by default.
    ///
    /// ```
    /// use idem_axum::{Idempotency, Limits, MemoryStore};
    ///
    /// let builder = Idempotency::builder(MemoryStore::new()).limits(Limits {
    ///     live_claims: Some(16),
    ///     stored_bytes: Some(64 << 20),
    /// });
    /// # let _ = builder;
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.runtime = self.runtime.limits(limits);
        self
    }

    /// Keeps recorded answers in this process, so that replaying them takes no round trip
    /// to the store, see [`ReplayCache`]. Nothing is kept by default.
    ///
    /// ```
    /// use std::time::Duration;
    /// use idem_axum::{Idempotency, MemoryStore, ReplayCache};
    ///
    /// let builder = Idempotency::builder(MemoryStore::new()).replay_cache(ReplayCache {
    ///     max_bytes: 64 << 20,
    ///     max_age: Duration::from_secs(10),
    /// });
    /// # let _ = builder;
    /// ```
    pub fn replay_cache(mut self, cache: ReplayCache) -> Self {
        self.runtime = self.runtime.replay_cache(cache);
        self
    }

    /// Which answers are recorded, see [`RecordRule`].
    pub fn record(mut self, rule: RecordRule) -> Self {
        self.record = rule;
        self
    }

    /// Which status a reused key gets, see [`Profile`].
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// How many bytes of an answer's body are recorded at the most;
    /// [`DEFAULT_MAX_RESPONSE`] by default. A larger or streamed answer is
    /// recorded without its body.
    pub fn max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }

    /// Put before the slug in a problem's `type`, such as
    /// `"https://errors.example.com/"`. [`DEFAULT_PROBLEM_BASE`] by default.
    pub fn problem_base(mut self, base: impl Into<String>) -> Self {
        self.problem_base = base.into();
        self
    }

    /// The page that tells clients how to send keys; `key-missing` links to it.
    pub fn documentation(mut self, url: impl Into<String>) -> Self {
        self.documentation = Some(url.into());
        self
    }

    /// Which headers of an answer are recorded, see [`HeaderPolicy`].
    pub fn headers(mut self, policy: HeaderPolicy) -> Self {
        self.headers = policy;
        self
    }

    /// Changes what is *stored* of an answer, such as a card number. The first
    /// caller gets the answer as it is, every replay the redacted one.
    ///
    /// ```
    /// # use idem_axum::{Idempotency, MemoryStore};
    /// let builder = Idempotency::builder(MemoryStore::new()).redact(|stored| {
    ///     stored.headers_mut().remove("x-card-number");
    /// });
    /// # let _ = builder;
    /// ```
    pub fn redact(mut self, redact: impl Fn(&mut Response<Bytes>) + Send + Sync + 'static) -> Self {
        self.redact = Some(Arc::new(redact));
        self
    }

    /// How long a claim may take before the request is refused, see
    /// [`RuntimeBuilder::store_deadline`].
    pub fn store_deadline(mut self, deadline: Duration) -> Self {
        self.runtime = self.runtime.store_deadline(deadline);
        self
    }

    /// How long one try of a store command may take, see
    /// [`RuntimeBuilder::store_try_timeout`].
    pub fn store_try_timeout(mut self, timeout: Duration) -> Self {
        self.runtime = self.runtime.store_try_timeout(timeout);
        self
    }

    /// How long an answer is held back for its record, see
    /// [`RuntimeBuilder::complete_timeout`].
    pub fn complete_timeout(mut self, timeout: Duration) -> Self {
        self.runtime = self.runtime.complete_timeout(timeout);
        self
    }

    /// Carries task-locals over to an execution whose client has gone, see
    /// [`RuntimeBuilder::carry`].
    pub fn carry(
        mut self,
        carry: impl Fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        self.runtime = self.runtime.carry(carry);
        self
    }

    /// Checks and serves only handlers in these modules and below them
    /// (`"shop::payments"`). For programs with several runtimes, each with
    /// scopes of its own; by default a runtime serves every handler there is.
    pub fn only_modules<M: Into<String>>(mut self, modules: impl IntoIterator<Item = M>) -> Self {
        self.modules.extend(modules.into_iter().map(Into::into));
        self
    }

    /// Checks everything that can be wrong, every annotated handler of the
    /// program included, and builds the runtime.
    ///
    /// # Errors
    /// [`BuildError`], which names each handler that cannot be served with its
    /// file and line.
    pub fn build(self) -> Result<Idempotency, BuildError> {
        let mut scopes = HashMap::with_capacity(self.scopes.len());
        for (name, resolver) in self.scopes {
            if name.is_empty() || name == "global" {
                return Err(BuildError::ScopeName { name });
            }
            if scopes.insert(name.clone(), Arc::new(resolver)).is_some() {
                return Err(BuildError::ScopeTwice { name });
            }
        }
        let ground = Ground {
            runtime: self.runtime.build()?,
            scopes,
            record: self.record,
            profile: self.profile,
            max_response: self.max_response,
        };
        let handlers = handler::registered().filter(|handler| {
            self.modules.is_empty() || self.modules.iter().any(|module| handler.is_in(module))
        });
        let plans = ground.plans(handlers).map_err(BuildError::Endpoints)?;
        Ok(Idempotency {
            shared: Arc::new(Shared {
                ground,
                plans,
                problems: Problems {
                    base: self.problem_base,
                    documentation: self.documentation.map(link).transpose()?,
                },
                headers: self.headers,
                redact: self.redact,
            }),
        })
    }
}

fn link(url: String) -> Result<HeaderValue, BuildError> {
    if url.contains(['<', '>']) {
        return Err(BuildError::DocumentationUrl { url });
    }
    HeaderValue::try_from(format!("<{url}>; rel=\"describedby\""))
        .map_err(|_| BuildError::DocumentationUrl { url })
}

impl fmt::Debug for IdempotencyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scopes: Vec<&str> = self.scopes.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("IdempotencyBuilder")
            .field("runtime", &self.runtime)
            .field("scopes", &scopes)
            .finish_non_exhaustive()
    }
}
