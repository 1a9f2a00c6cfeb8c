//! One attribute makes an axum handler safe to retry: *one key, one effect, one answer*.
//!
//! A client that times out does not know whether its request happened, so it
//! sends it again with the same `Idempotency-Key`. [`#[idempotent]`](macro@idempotent)
//! claims the key atomically before the handler's body runs, runs the body
//! once, records its answer and gives that answer to every retry.
//!
//! ```
//! use axum::{Json, Router, extract::FromRef, http::StatusCode, routing::post};
//! use idem_axum::{Idempotency, MemoryStore, idempotent};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct CreatePayment {
//!     amount: u64,
//!     currency: String,
//! }
//!
//! #[idempotent(ttl = "24h", scope = "user")]
//! async fn create_payment(Json(payment): Json<CreatePayment>) -> (StatusCode, Json<CreatePayment>) {
//!     // charge the card …
//!     (StatusCode::CREATED, Json(payment))
//! }
//!
//! #[derive(Clone, FromRef)]
//! struct App {
//!     idempotency: Idempotency,
//! }
//!
//! #[derive(Clone)]
//! struct UserId(String);
//!
//! let idempotency = Idempotency::builder(MemoryStore::new())
//!     // What `scope = "user"` means: what a middleware has authenticated.
//!     .scope("user", |parts| parts.extensions.get::<UserId>().map(|user| user.0.clone()))
//!     .build()?;
//! let app: Router = Router::new()
//!     .route("/payments", post(create_payment))
//!     .with_state(App { idempotency });
//! # Ok::<(), idem_axum::BuildError>(())
//! ```
//!
//! # What is guaranteed
//!
//! | mode | effect of the handler |
//! | --- | --- |
//! | any store | never concurrent with itself under a live lease; never again after its record is stored |
//! | any store, process dies between effect and record | runs again at takeover (at least once), or with `on_crash = "refuse"` never (at most once) |
//! | recovery points: the handler takes [`Steps`] | each finished step never runs again; the interrupted step may |
//! | transactional (PostgreSQL, SQLite): the handler takes the transaction, `Tx` | **exactly once**, for effects in that database |
//! | Redis with failover | as durable as acknowledged: `min_replicas` makes a claim wait for its replicas, and refuse if they don't answer |
//!
//! # The parts
//!
//! - [`#[idempotent]`](macro@idempotent) for handlers, [`IdempotencyLayer`] for routes that cannot
//!   be annotated, [`Idempotency::once`] for work outside HTTP.
//! - [`Idempotency`] lives in the service's state. Building it checks every annotated handler of
//!   the program and names what cannot work with its file and line.
//! - [`Steps`] are a handler's recovery points, [`Lease`] is its claim; both are arguments.
//! - [`Problem`] lists idem's own answers; [`RecordRule`], [`HeaderPolicy`] and [`Outcome`] say
//!   what is kept of the handler's.
//! - [`FingerprintBody`] tells two payloads apart, [`ScopeResolver`] two callers.
//!
//! # Features
//!
//! | feature | what it adds | default |
//! | --- | --- | --- |
//! | `memory` | [`MemoryStore`]: one process, gone when it ends | yes |
//! | `redis` | [`RedisStore`]: many processes, over Redis or Valkey, one server, Sentinel or Cluster | |
//! | `redis-tls` | `rediss://` and its certificates, by rustls | |
//! | `postgres` | `PostgresStore`, and handlers that take `Tx<Postgres>` | |
//! | `postgres-tls` | TLS to PostgreSQL, by rustls | |
//! | `sqlite` | `SqliteStore`: a file, which survives a restart, and handlers that take `Tx<Sqlite>` | |
//! | `metrics` | counters and histograms through the `metrics` facade, listed in [`idem_core`] | |
//! | `encryption` | what is stored of answers and steps is sealed, see `encryption` | |
//! | `compression` | what is stored of answers and steps is compressed, see `Compression` | |
//! | `axum-extra` | [`FingerprintBody`] for the `WithRejection` and `Form` of `axum_extra` | |
//! | `utoipa` | the key's header and idem's own answers in OpenAPI documents, see `openapi` | |
//! | `testing` | `testing`: the conformance suite, `ChaosStore`, the test clock | |
//!
//! Every protected request runs in the `tracing` span `idempotent` with `operation`, `slot` (8 hex
//! digits), `attempt` and `outcome`; neither key nor body is in it.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod call;
mod claimed;
mod deferred;
mod entry;
mod error;
mod handler;
mod headers;
mod layer;
#[cfg(feature = "utoipa")]
#[cfg_attr(docsrs, doc(cfg(feature = "utoipa")))]
pub mod openapi;
mod outcome;
mod plan;
mod policy;
mod problem;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod properties;
mod respond;
mod scope;
mod state;

#[doc(hidden)]
pub mod __private;
#[doc(hidden)]
pub mod check;

pub use idem_macros::idempotent;

pub use self::{
    body::FingerprintBody,
    error::{BuildError, EndpointError, EndpointProblem},
    headers::{EXPIRED, HeaderPolicy, REPLAYED, STORED, UNPROTECTED},
    layer::{
        DEFAULT_BODY_LIMIT, IdempotencyLayer, IdempotencyLayerBuilder, IdempotencyService,
        LayerWithoutScope,
    },
    outcome::{Outcome, Writes},
    policy::{Profile, RecordRule},
    problem::Problem,
    scope::ScopeResolver,
    state::{DEFAULT_MAX_RESPONSE, DEFAULT_PROBLEM_BASE, Idempotency, IdempotencyBuilder},
};
#[cfg(feature = "compression")]
#[cfg_attr(docsrs, doc(cfg(feature = "compression")))]
pub use idem_core::Compression;
#[cfg(feature = "memory")]
#[cfg_attr(docsrs, doc(cfg(feature = "memory")))]
pub use idem_core::MemoryStore;
#[cfg(feature = "encryption")]
#[cfg_attr(docsrs, doc(cfg(feature = "encryption")))]
pub use idem_core::encryption;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use idem_core::testing;
pub use idem_core::{
    Cursor, Drained, Fence, Fingerprint, FingerprintBuilder, FingerprintError, IdempotencyKey,
    KeyError, Lease, Limit, Limits, ListQuery, OnCrash, OnStoreError, Once, OnceError, Operation,
    Overrides, Page, Policy, PolicyError, ReplayCache, Resolution, Resolved, Retention, Runtime,
    SLOT_BYTES, Scope, ScopeError, ScopeTag, Slot, SlotError, SlotState, SlotView, Spent,
    StateKind, StepError, Steps, StepsError, Store, StoreError, TransactionHandle, Transactional,
};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use idem_postgres::{
    Isolation, Postgres, PostgresStore, PostgresStoreBuilder, SetupError as PostgresSetupError,
};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use idem_redis::{
    Hazard as RedisHazard, RedisStore, RedisStoreBuilder, SetupError as RedisSetupError,
};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "postgres", feature = "sqlite"))))]
pub use idem_sql::Tx;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use idem_sqlite::{SetupError as SqliteSetupError, Sqlite, SqliteStore, SqliteStoreBuilder};
