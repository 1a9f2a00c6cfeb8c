//! What a handler's last argument contributes to the fingerprint.

use axum::{
    Form, Json, RequestExt,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, RawForm, Request},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use idem_core::{FingerprintBuilder, FingerprintError};
use serde::Serialize;

use crate::check::{HeldAgain, Repeatable};

/// A body extractor whose payload can be fingerprinted.
///
/// The last argument of an annotated handler either comes from the request's
/// head alone (it implements `FromRequestParts`), or it must implement this
/// trait, so that *no payload is ever left out of the fingerprint unless the
/// author says so*. axum's `Json`, `Form`, `RawForm`, `Bytes` and `String`
/// have it, and so has an `Option` of one that does.
///
/// For an extractor of your own, feed everything that makes two payloads differ:
///
/// ```
/// use idem_axum::{FingerprintBody, FingerprintBuilder, FingerprintError};
///
/// struct Xml<T>(T);
///
/// impl<T: serde::Serialize> FingerprintBody for Xml<T> {
///     fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
///         to.typed(&self.0)?;
///         Ok(())
///     }
/// }
/// ```
///
/// Without touching the type, say `fingerprint = "raw"` (the body's bytes) or
/// `fingerprint = (&req.amount, &req.currency)` in the attribute.
#[diagnostic::on_unimplemented(
    message = "the payload of `{Self}` cannot be fingerprinted",
    label = "idem could not tell a retry from another payload under the same key",
    note = "take `Json<T>`, `Form<T>` (with `T: serde::Serialize`), `Bytes` or `String`, or implement \
            `idem_axum::FingerprintBody` for an extractor of your own",
    note = "without touching the type, say `fingerprint = \"raw\"` (the body's bytes) or \
            `fingerprint = <expression over the arguments>` in #[idempotent]"
)]
pub trait FingerprintBody {
    /// Feeds the payload to the fingerprint.
    ///
    /// # Errors
    /// [`FingerprintError`] when the payload has no canonical form; the request
    /// is then refused with 400, and nothing is claimed.
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError>;
}

impl<T: Serialize> FingerprintBody for Json<T> {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        to.typed(&self.0).map(|_| ())
    }
}

impl<T: Serialize> FingerprintBody for Form<T> {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        to.typed(&self.0).map(|_| ())
    }
}

impl FingerprintBody for RawForm {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        to.raw(&self.0);
        Ok(())
    }
}

impl FingerprintBody for Bytes {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        to.raw(self);
        Ok(())
    }
}

impl FingerprintBody for String {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        to.text(self);
        Ok(())
    }
}

#[cfg(feature = "axum-extra")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum-extra")))]
impl<B: FingerprintBody, R> FingerprintBody for axum_extra::extract::WithRejection<B, R> {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        self.0.fingerprint(to)
    }
}

#[cfg(feature = "axum-extra")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum-extra")))]
impl<T: Serialize> FingerprintBody for axum_extra::extract::Form<T> {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        to.typed(&self.0).map(|_| ())
    }
}

impl<B: FingerprintBody> FingerprintBody for Option<B> {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        match self {
            Some(body) => body.fingerprint(to),
            None => {
                to.nothing();
                Ok(())
            }
        }
    }
}

/// A last argument that feeds a fingerprint.
#[doc(hidden)]
pub trait Feed {
    #[doc(hidden)]
    fn feed(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError>;
}

/// A handler's last argument, with what it contributes to the fingerprint.
///
/// Which of its two impls extracts it decides that: from a whole request it
/// must have a [`FingerprintBody`], from the head alone there is no payload.
#[doc(hidden)]
#[derive(Debug)]
pub struct Captured<T> {
    value: T,
    feed: Option<FeedFn<T>>,
}

type FeedFn<T> = fn(&T, &mut FingerprintBuilder) -> Result<(), FingerprintError>;

impl<T> Captured<T> {
    pub fn get(this: &Self) -> &T {
        &this.value
    }

    pub fn into_inner(this: Self) -> T {
        this.value
    }
}

impl<T> HeldAgain<T> for Captured<T> {
    fn again(&self) -> Self
    where
        T: Repeatable,
    {
        Self {
            value: self.value.again(),
            feed: self.feed,
        }
    }
}

impl<T> Feed for Captured<T> {
    fn feed(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        match self.feed {
            Some(feed) => feed(&self.value, to),
            None => Ok(()),
        }
    }
}

impl<S, T> FromRequest<S> for Captured<T>
where
    S: Send + Sync,
    T: FromRequest<S> + FingerprintBody,
{
    type Rejection = T::Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, T::Rejection> {
        match T::from_request(request, state).await {
            Ok(value) => Ok(Self {
                value,
                feed: Some(T::fingerprint),
            }),
            Err(rejection) => Err(rejection),
        }
    }
}

impl<S, T> FromRequestParts<S> for Captured<T>
where
    S: Send + Sync,
    T: FromRequestParts<S>,
{
    type Rejection = T::Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, T::Rejection> {
        match T::from_request_parts(parts, state).await {
            Ok(value) => Ok(Self { value, feed: None }),
            Err(rejection) => Err(rejection),
        }
    }
}

/// A handler's last argument, with the bytes that it was read from.
#[doc(hidden)]
#[derive(Debug)]
pub struct CapturedRaw<T> {
    value: T,
    bytes: Bytes,
}

impl<T> CapturedRaw<T> {
    pub fn get(this: &Self) -> &T {
        &this.value
    }

    pub fn into_inner(this: Self) -> T {
        this.value
    }
}

impl<T> HeldAgain<T> for CapturedRaw<T> {
    fn again(&self) -> Self
    where
        T: Repeatable,
    {
        Self {
            value: self.value.again(),
            bytes: self.bytes.clone(),
        }
    }
}

impl<T> Feed for CapturedRaw<T> {
    fn feed(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        to.raw(&self.bytes);
        Ok(())
    }
}

impl<S, T> FromRequest<S> for CapturedRaw<T>
where
    S: Send + Sync,
    T: FromRequest<S>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        // axum's own limit, or the service's `DefaultBodyLimit`.
        let (parts, body) = request.with_limited_body().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .map_err(|error| unreadable(&error))?;
        let request = Request::from_parts(parts, bytes.clone().into());
        let value = T::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        Ok(Self { value, bytes })
    }
}

/// What axum's own body extractors answer.
fn unreadable(error: &axum::Error) -> Response {
    if is_too_large(error) {
        (StatusCode::PAYLOAD_TOO_LARGE, "length limit exceeded").into_response()
    } else {
        (StatusCode::BAD_REQUEST, "failed to buffer the request body").into_response()
    }
}

/// Whether a body could not be read because of its length.
pub(crate) fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
