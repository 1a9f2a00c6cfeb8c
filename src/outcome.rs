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

/// Says for one answer of a handler that takes its transaction (`Tx`) what becomes
/// of the handler's own writes. By default those of an error answer (status 400 and
/// above) are rolled back, and only its record commits; all others are kept.
///
/// It is a response extension, and a part of a response tuple. For an answer that is
/// released and not recorded, see [`Outcome`], it has no meaning: everything is
/// rolled back.
///
/// ```
/// use axum::{http::StatusCode, response::{IntoResponse, Response}};
/// use idem_axum::Writes;
///
/// // The attempt is to stay in the books.
/// fn declined() -> Response {
///     (StatusCode::PAYMENT_REQUIRED, Writes::Keep, "the card was declined").into_response()
/// }
/// # let _ = declined();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Writes {
    /// They commit with the record.
    Keep,
    /// They are rolled back.
    RollBack,
}

/// The database said within the handler that its transaction must give way to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conflict;

impl IntoResponseParts for Writes {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

impl IntoResponseParts for Outcome {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}
