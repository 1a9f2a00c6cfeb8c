//! One attribute makes an axum handler safe to retry: *one key, one effect, one answer*.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod call;
mod deferred;
mod entry;
mod error;
mod handler;
mod headers;
mod layer;
mod outcome;
mod plan;
mod policy;
mod problem;
mod respond;
mod scope;
mod state;

#[doc(hidden)]
pub mod __private;

pub use idem_macros::idempotent;

pub use self::{
    body::FingerprintBody,
    error::{BuildError, EndpointError, EndpointProblem},
    headers::{EXPIRED, HeaderPolicy, REPLAYED, STORED, UNPROTECTED},
    layer::{
        DEFAULT_BODY_LIMIT, IdempotencyLayer, IdempotencyLayerBuilder, IdempotencyService,
        LayerWithoutScope,
    },
    outcome::Outcome,
    policy::{Profile, RecordRule},
    problem::Problem,
    scope::ScopeResolver,
    state::{DEFAULT_MAX_RESPONSE, DEFAULT_PROBLEM_BASE, Idempotency, IdempotencyBuilder},
};
#[cfg(feature = "memory")]
#[cfg_attr(docsrs, doc(cfg(feature = "memory")))]
pub use idem_core::MemoryStore;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use idem_core::testing;
pub use idem_core::{
    Drained, FingerprintBuilder, FingerprintError, IdempotencyKey, KeyError, OnCrash, OnStoreError,
    Once, OnceError, Operation, Overrides, Policy, PolicyError, Runtime, Scope, ScopeError, Store,
    StoreError,
};
