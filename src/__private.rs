//! Everything that the expansion of `#[idempotent]` may name. Not for use by
//! hand: it changes without notice.

pub use inventory;

pub use axum::response::Response;

pub use idem_core::Steps;

pub use crate::{
    body::{Captured, CapturedRaw},
    call::Call,
    check,
    claimed::WithClaim,
    deferred::Deferred,
    entry::NeedsIdempotencyInState,
    handler::HandlerSpec,
};
