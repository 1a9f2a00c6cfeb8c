//! Everything that the expansion of `#[idempotent]` may name. Not for use by
//! hand: it changes without notice.

pub use inventory;

pub use axum::response::{IntoResponse, Response};

pub use crate::{
    body::{Captured, CapturedRaw},
    call::Call,
    deferred::Deferred,
    entry::Entered,
    handler::HandlerSpec,
};

use crate::FingerprintBody;

/// Puts the error for a payload without a fingerprint on the argument's type.
pub const fn assert_fingerprint_body<T: FingerprintBody>() {}
