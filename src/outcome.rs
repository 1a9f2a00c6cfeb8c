//! A handler's own word on whether its answer is kept.

use std::convert::Infallible;

use axum::response::{IntoResponseParts, ResponseParts};

/// Says for one answer whether it is recorded, whatever the
/// [`RecordRule`](crate::RecordRule) says of its status.
///
/// It is a response extension, and a part of a response tuple:
///
/// ```
/// use axum::{http::StatusCode, response::{IntoResponse, Response}};
/// use idem_axum::Outcome;
///
/// // The bank was not asked at all: a retry may go through.
/// fn bank_is_closed() -> Response {
///     (StatusCode::UNPROCESSABLE_ENTITY, Outcome::Release, "try again tomorrow").into_response()
/// }
/// # let _ = bank_is_closed();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Keep the answer: every retry gets it.
    Record,
    /// Keep nothing: a retry runs again.
    Release,
}

impl IntoResponseParts for Outcome {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}
