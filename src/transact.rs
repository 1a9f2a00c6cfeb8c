//! The place of a handler's transaction among its arguments.

use std::{convert::Infallible, fmt, marker::PhantomData};

use axum::extract::FromRequestParts;
use http::request::Parts;

/// Stands where the handler takes its transaction. Nothing is extracted: the
/// transaction is begun with the claim.
#[doc(hidden)]
pub struct Begun<T>(PhantomData<fn() -> T>);

impl<S: Sync, T> FromRequestParts<S> for Begun<T> {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(PhantomData))
    }
}

impl<T> fmt::Debug for Begun<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Begun")
    }
}
